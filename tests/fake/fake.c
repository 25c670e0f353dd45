/* fake: see the header. */
#include "fake.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { LINE_MAX_LEN = 1 << 22 };

static void run_server(const char *kind, const int in[2], const int out[2])
{
    const char *transcripts = getenv("INFERENCE_TRANSCRIPTS");

    if (!transcripts)
        transcripts = TEST_SOURCE_DIR "/live/transcripts";
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    for (int fd = 3; fd < 256; fd++)
        close(fd);
    execlp("python3", "python3", TEST_SOURCE_DIR "/fake/server.py", kind, transcripts,
           (char *)NULL);
    _exit(127);
}

/* A line without its end, from mem of malloc. */
static char *read_line(const struct fake *f)
{
    char *line = malloc(LINE_MAX_LEN);
    size_t n = 0;

    assert_non_null(line);
    while (n < LINE_MAX_LEN - 1 && read(f->out, line + n, 1) == 1 && line[n] != '\n')
        n++;
    line[n] = '\0';
    if (n == 0)
        fail_msg("the fake server has ended");
    return line;
}

void fake_start(struct fake *f, const char *kind)
{
    int in[2], out[2];
    char *line = NULL;

    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    f->pid = fork();
    assert_true(f->pid >= 0);
    if (f->pid == 0)
        run_server(kind, in, out);
    close(in[0]);
    close(out[1]);
    f->in = in[1];
    f->out = out[0];
    line = read_line(f);
    f->port = atoi(line);
    free(line);
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%d/v1", f->port);
}

void fake_stop(struct fake *f)
{
    close(f->in);
    close(f->out);
    waitpid(f->pid, NULL, 0);
}

static json_t *order(struct fake *f, const char *format, va_list args)
{
    json_t *answer = NULL;
    char *text = NULL;
    char *line = NULL;
    int n = vasprintf(&text, format, args);

    assert_true(n > 0);
    assert_int_equal(write(f->in, text, (size_t)n), n);
    assert_int_equal(write(f->in, "\n", 1), 1);
    line = read_line(f);
    answer = json_loads(line, 0, NULL);
    if (!answer)
        fail_msg("the fake server said %.200s to %.200s", line, text);
    free(text);
    free(line);
    return answer;
}

json_t *fake_order(struct fake *f, const char *format, ...)
{
    va_list args;
    json_t *answer = NULL;

    va_start(args, format);
    answer = order(f, format, args);
    va_end(args);
    return answer;
}

void fake_do(struct fake *f, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    json_decref(order(f, format, args));
    va_end(args);
}

int fake_requests(struct fake *f, const char *path, char **body)
{
    json_t *state = fake_order(f, "{\"do\":\"state\"}");
    json_t *request = NULL;
    size_t i = 0;
    int n = 0;

    if (body)
        *body = NULL;
    json_array_foreach(json_object_get(state, "requests"), i, request)
    {
        if (strcmp(json_string_value(json_object_get(request, "path")), path) != 0)
            continue;
        n++;
        if (body) {
            free(*body);
            *body = strdup(json_string_value(json_object_get(request, "body")));
        }
    }
    json_decref(state);
    return n;
}

int fake_has_adapter(struct fake *f, const char *name)
{
    json_t *state = fake_order(f, "{\"do\":\"look\"}");
    int has = json_object_get(json_object_get(state, "adapters"), name) != NULL;

    json_decref(state);
    return has;
}
