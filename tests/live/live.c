/* live: see the header. */
#include "live.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const char *live_env(const char *name)
{
    const char *value = getenv(name);

    if (!value || !*value) {
        fprintf(stderr, "%s is not set; `make test-live` sets it\n", name);
        exit(2);
    }
    return value;
}

static void command(const char *format, const char *a, const char *b, const char *c)
{
    char line[2048];
    int status = 0;

    assert_true(snprintf(line, sizeof line, format, a, b, c) < (int)sizeof line);
    status = system(line);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("failed: %s", line);
}

void live_servers(const char *what, const char *name)
{
    command("sh '%s' %s %s", live_env("INF_LIVE_SERVERS"), what, name);
}

double live_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ------------------------------------------------------------------ HTTP */

static int dial(const char *base)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    const char *colon = strrchr(base, ':');
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_non_null(colon);
    to.sin_port = htons((uint16_t)atoi(colon + 1));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        fail_msg("nobody answers at %s", base);
    return fd;
}

static char *read_all(int fd)
{
    char *all = malloc(LIVE_ANSWER_MAX + 1);
    size_t len = 0;
    ssize_t n = 0;

    assert_non_null(all);
    while (len < LIVE_ANSWER_MAX && (n = read(fd, all + len, LIVE_ANSWER_MAX - len)) > 0)
        len += (size_t)n;
    all[len] = '\0';
    return all;
}

/* HTTP/1.0, so that the answer ends with the connection and comes in one piece. */
int live_http(const char *base, const char *path, const char *body, char **answer)
{
    char head[512];
    char *all = NULL;
    char *text = NULL;
    int fd = dial(base);
    int status = 0;
    int n = snprintf(head, sizeof head,
                     "%s %s HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     body ? "POST" : "GET", path, body ? strlen(body) : 0);

    assert_true(n > 0 && n < (int)sizeof head);
    assert_int_equal(write(fd, head, (size_t)n), n);
    if (body)
        assert_int_equal(write(fd, body, strlen(body)), (ssize_t)strlen(body));
    all = read_all(fd);
    close(fd);
    assert_int_equal(sscanf(all, "HTTP/%*s %d", &status), 1);
    text = strstr(all, "\r\n\r\n");
    assert_non_null(text);
    if (answer)
        *answer = strdup(text + 4);
    free(all);
    return status;
}

/* ------------------------------------------------------------------ vLLM's state */

/* The next model of the list that has a parent, which is an adapter; NULL at the end. */
static const char *next_adapter(const char *at, char *id, size_t size)
{
    static const char is_model[] = "\",\"object\":\"model\",";

    while ((at = strstr(at, "{\"id\":\"")) != NULL) {
        const char *end = NULL;
        const char *parent = NULL;

        at += strlen("{\"id\":\"");
        end = strchr(at, '"');
        parent = strstr(at, "\"parent\":");
        assert_true(end && (size_t)(end - at) < size);
        if (strncmp(end, is_model, sizeof is_model - 1) != 0)
            continue; /* a permission */
        memcpy(id, at, (size_t)(end - at));
        id[end - at] = '\0';
        if (parent && parent[strlen("\"parent\":")] == '"')
            return end;
    }
    return NULL;
}

void live_unload_all(const char *base)
{
    char id[300], body[400];
    char *models = NULL;

    assert_int_equal(live_http(base, "/v1/models", NULL, &models), 200);
    for (const char *at = models; (at = next_adapter(at, id, sizeof id)) != NULL;) {
        snprintf(body, sizeof body, "{\"lora_name\":\"%s\"}", id);
        assert_int_equal(live_http(base, "/v1/unload_lora_adapter", body, NULL), 200);
    }
    free(models);
}

bool live_serves(const char *base, const char *name)
{
    char wanted[300];
    char *models = NULL;
    bool found = false;

    snprintf(wanted, sizeof wanted, "{\"id\":\"%s\"", name);
    assert_int_equal(live_http(base, "/v1/models", NULL, &models), 200);
    found = strstr(models, wanted) != NULL;
    free(models);
    return found;
}

double live_metric(const char *base, const char *metric)
{
    char *text = NULL;
    double sum = -1;

    assert_int_equal(live_http(base, "/metrics", NULL, &text), 200);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        size_t n = strlen(metric);

        if (strncmp(line, metric, n) == 0 && (line[n] == '{' || line[n] == ' '))
            sum = (sum < 0 ? 0 : sum) + atof(strrchr(line, ' ') + 1);
    }
    free(text);
    return sum;
}

/* ------------------------------------------------------------------ adapters */

const char *live_adapter(const char *name)
{
    static char paths[16][512];
    static int turn;
    char *path = paths[turn++ % 16];

    snprintf(path, sizeof paths[0], "%s/%s", live_env("INF_LIVE_ADAPTERS"), name);
    return path;
}

void live_overwrite(const char *folder, const char *adapter)
{
    command("cp '%s'/adapter_config.json '%s'/adapter_model.safetensors '%s'/",
            live_adapter(adapter), live_adapter(adapter), folder);
}

char *live_copy(const char *adapter)
{
    char path[] = "/tmp/inf-live-XXXXXX";

    assert_non_null(mkdtemp(path));
    live_overwrite(path, adapter);
    return strdup(path);
}

void live_remove(char *folder)
{
    command("rm -rf '%s'%s%s", folder, "", "");
    free(folder);
}

/* ------------------------------------------------------------------ tests */

inf_request live_chat(const char *text, int32_t n, const char *adapter)
{
    inf_request r = greedy(text, n, adapter);

    r.ignore_eos = false;
    return r;
}

static bool about_adapters(const char *test)
{
    return strstr(test, "adapter") != NULL;
}

int live_run(const char *name, const struct CMUnitTest *tests, size_t n,
             CMFixtureFunction before_each)
{
    struct CMUnitTest *all = calloc(n_conformance_tests + n, sizeof *all);
    const char *only = getenv("INF_LIVE_ONLY"); /* a part of the names of the tests to run */
    size_t count = 0;
    int failed = 0;

    if (!all)
        return 1;
    for (size_t i = 0; i < n_conformance_tests; i++)
        if (subject->has_adapters || !about_adapters(conformance_tests[i].name))
            all[count++] = conformance_tests[i];
    for (size_t i = 0; i < n; i++)
        all[count++] = tests[i];
    for (size_t i = 0; i < count; i++)
        all[i].setup_func = before_each;
    if (only && *only) {
        size_t kept = 0;

        for (size_t i = 0; i < count; i++)
            if (strstr(all[i].name, only))
                all[kept++] = all[i];
        count = kept;
    }
    failed = _cmocka_run_group_tests(name, all, count, NULL, NULL);
    free(all);
    return failed;
}
