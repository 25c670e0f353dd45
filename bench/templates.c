/*
 * bench-templates TEMPLATE CHAT SECONDS: compiles a chat template and renders a chat (JSON: an object of
 * messages and tools) with it, again and again, on one thread; a line of JSON with the CPU seconds of one
 * each, for bench/templates.py: rendering alone, with the chat as values in memory, and as a request does
 * it, from the chat's JSON.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/file.h"
#include "core/memory.h"
#include "text/chat_template.h"
#include "text/template/template.h"
#include "text/template/value.h"

static double cpu_seconds(void)
{
    struct timespec now = {0, 0};

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int32_t compile_times(inf_text source, double seconds, double *each, inf_error *err)
{
    double start = cpu_seconds();
    int32_t code = INF_OK;
    int n = 0;

    do {
        struct chat_template *t = NULL;

        code = chat_template_compile(&t, source, NULL, 0, err);
        chat_template_free(t);
        n++;
    } while (code == INF_OK && cpu_seconds() - start < seconds);
    *each = (cpu_seconds() - start) / n;
    return code;
}

/* From JSON. */
static int32_t request_times(inf_text source, inf_text chat, double seconds, double *each,
                             size_t *bytes, inf_error *err)
{
    struct chat_input input = {.messages_json = chat, .add_generation_prompt = true};
    struct chat_template *t = NULL;
    double start;
    int32_t code = chat_template_compile(&t, source, NULL, 0, err);
    int n = 0;

    start = cpu_seconds();
    do {
        struct buffer out;

        buffer_init(&out, BUFFER_NO_LIMIT);
        if (code == INF_OK)
            code = chat_template_render(t, &input, &out, err);
        *bytes = out.len;
        buffer_free(&out);
        n++;
    } while (code == INF_OK && cpu_seconds() - start < seconds);
    *each = (cpu_seconds() - start) / n;
    chat_template_free(t);
    return code;
}

/* Values that live longer than a rendering. */
static void fill(struct vm *vm, struct dict *variables, void *arg)
{
    const struct dict *chat = arg;

    for (size_t i = 0; i < chat->len; i++)
        dict_set(vm, variables, chat->entries[i].key, chat->entries[i].value);
    dict_set(vm, variables, v_str(text_of(vm, "add_generation_prompt")), v_bool(true));
}

static int32_t render_times(const struct template *t, struct dict *chat, double seconds,
                            double *each, inf_error *err)
{
    struct template_input input = {.fill = fill, .arg = chat};
    double start = cpu_seconds();
    int32_t code = INF_OK;
    int n = 0;

    do {
        struct buffer out;

        buffer_init(&out, BUFFER_NO_LIMIT);
        code = template_render(t, &input, &out, err);
        buffer_free(&out);
        n++;
    } while (code == INF_OK && cpu_seconds() - start < seconds);
    *each = (cpu_seconds() - start) / n;
    return code;
}

static int32_t value_times(inf_text source, inf_text chat, double seconds, double *each,
                           inf_error *err)
{
    static struct vm vm; /* outlives the jump */
    struct template *t = NULL;
    int32_t code = template_compile(&t, source, err);

    vm_init(&vm, (size_t)64 << 20);
    if (code == INF_OK && setjmp(vm.on_error) == 0)
        code = render_times(t, json_parse(&vm, chat.data, chat.len, "the chat").d, seconds, each,
                            err);
    else if (code == INF_OK)
        code = error_set(err, INF_ERROR_INVALID_ARGUMENT, "%s", vm.message);
    vm_free(&vm);
    template_free(t);
    return code;
}

static int32_t measure(inf_text source, inf_text chat, double seconds, inf_error *err)
{
    double compile = 0;
    double render = 0;
    double request = 0;
    size_t bytes = 0;
    int32_t code = compile_times(source, seconds, &compile, err);

    if (code == INF_OK)
        code = value_times(source, chat, seconds, &render, err);
    if (code == INF_OK)
        code = request_times(source, chat, seconds, &request, &bytes, err);
    if (code == INF_OK)
        printf("{\"compile\":%.9f,\"render\":%.9f,\"request\":%.9f,\"bytes\":%zu}\n", compile,
               render, request, bytes);
    return code;
}

int main(int argc, char **argv)
{
    char *source = NULL;
    char *chat = NULL;
    size_t n_source = 0;
    size_t n_chat = 0;
    inf_error err = {0};
    int32_t code;

    if (argc != 4) {
        fprintf(stderr, "usage: bench-templates TEMPLATE CHAT SECONDS\n");
        return 2;
    }
    code = file_read(&source, &n_source, argv[1], 1 << 20, &err);
    if (code == INF_OK)
        code = file_read(&chat, &n_chat, argv[2], 1 << 24, &err);
    if (code == INF_OK)
        code = measure((inf_text){source, n_source}, (inf_text){chat, n_chat}, atof(argv[3]), &err);
    if (code != INF_OK)
        fprintf(stderr, "%s\n", err.message);
    mem_free(source);
    mem_free(chat);
    return code == INF_OK ? 0 : 1;
}
