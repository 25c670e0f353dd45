/*
 * side_by_side: the same question to a base model and to any number of LoRA adapters, all in flight
 * at once, sharing one decode.
 *
 *     side_by_side MODEL "What is gravity?" pirate=adapters/pirate json=adapters/json
 *
 * MODEL is a GGUF file, or a Hugging Face checkpoint's directory or hub id.
 * Each answer stands under its own heading. The first one streams; the others are decoded in the
 * same steps meanwhile, and stream from where they are when their turn comes.
 *
 *     cc side_by_side.c $(pkg-config --cflags --libs inference) -o side_by_side
 */
#include <inference/inference.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ANSWERS = 16, MAX_TOKENS = 80 };

/* One answer. Only the dispatch thread touches it until every operation is done. */
struct answer {
    const char *name; /* NULL: the base model */
    inf_op *op;
    char *text; /* what came while another answer was on the screen */
    size_t len;
    int done;
};

static struct answer answers[MAX_ANSWERS];
static size_t n_answers;
static size_t on_screen; /* index of the answer that streams */

static void print_heading(const struct answer *a)
{
    printf("%s--- %s\n", a == answers ? "" : "\n", a->name ? a->name : "base model");
}

/* Ends the answer on the screen and shows what the next ones have, up to one still in flight. */
static void show_next(void)
{
    while (on_screen < n_answers && answers[on_screen].done) {
        printf("\n");
        if (++on_screen == n_answers)
            break;
        print_heading(&answers[on_screen]);
        fwrite(answers[on_screen].text, 1, answers[on_screen].len, stdout);
    }
    fflush(stdout);
}

static void on_token(void *user_data, inf_op *op, const inf_chunk *chunk)
{
    struct answer *a = user_data;
    char *text = NULL;

    (void)op;
    if (a == &answers[on_screen]) {
        fwrite(chunk->text.data, 1, chunk->text.len, stdout);
        fflush(stdout);
        return;
    }
    text = realloc(a->text, a->len + chunk->text.len + 1);
    if (!text)
        return;
    memcpy(text + a->len, chunk->text.data, chunk->text.len);
    a->text = text;
    a->len += chunk->text.len;
}

static void on_done(void *user_data, inf_op *op)
{
    struct answer *a = user_data;
    inf_error err;

    if (inf_op_error(op, &err) != INF_OK)
        fprintf(stderr, "%s: %s\n", a->name ? a->name : "base model", err.message);
    a->done = 1;
    show_next();
}

static int32_t start(inf_provider *model, struct answer *a, const char *question, inf_error *err)
{
    inf_message message = {inf_str("user"), inf_str(question)};
    inf_callbacks callbacks;
    inf_request request;

    inf_callbacks_default(&callbacks, sizeof callbacks);
    callbacks.on_token = on_token;
    callbacks.on_done = on_done;
    callbacks.user_data = a;
    inf_request_default(&request, sizeof request);
    request.messages = &message;
    request.n_messages = 1;
    request.adapter_id = inf_str(a->name);
    request.max_tokens = (inf_maybe_i32){true, MAX_TOKENS};
    request.temperature = (inf_maybe_f32){true, 0};
    return inf_generate_start(&a->op, model, &request, &callbacks, err);
}

/* "pirate=adapters/pirate" */
static int32_t load(inf_provider *model, char *id_and_path, inf_error *err)
{
    inf_adapter_report report;
    char *equals = strchr(id_and_path, '=');
    int32_t code = INF_OK;

    if (!equals)
        return fprintf(stderr, "%s is not ID=PATH\n", id_and_path), -1;
    *equals = '\0';
    report.struct_size = sizeof report;
    code = inf_adapter_load(model, id_and_path, equals + 1, &report, err);
    if (code == INF_OK) {
        fprintf(stderr, "adapter %s: rank %d, %d modules, %.1f MB\n", id_and_path, report.rank,
                report.n_modules, (double)report.bytes / 1e6);
        answers[n_answers++].name = id_and_path;
    }
    return code;
}

static void print_summary(void)
{
    inf_result r;

    for (size_t i = 0; i < n_answers && answers[i].op; i++) {
        if (inf_op_result(answers[i].op, &r, sizeof r) == INF_OK)
            fprintf(stderr, "%-12s %3lld tokens, %5.0f ms, in steps of %.1f requests on average\n",
                    answers[i].name ? answers[i].name : "base model",
                    (long long)r.completion_tokens, (double)r.timings.total_us / 1e3, r.mean_rows);
        inf_op_release(answers[i].op);
        free(answers[i].text);
    }
}

static int32_t run(inf_provider *model, int argc, char **argv, inf_error *err)
{
    int32_t code = inf_provider_load(model, err);
    int failed = 0;

    n_answers = 1;
    for (int i = 3; i < argc && code == INF_OK; i++)
        code = load(model, argv[i], err);
    if (code != INF_OK)
        return code;
    print_heading(&answers[0]);
    for (size_t i = 0; i < n_answers && code == INF_OK; i++)
        code = start(model, &answers[i], argv[2], err);
    for (size_t i = 0; i < n_answers && answers[i].op; i++)
        failed |= inf_op_wait(answers[i].op, -1, NULL) != INF_OK; /* on_done has said why */
    print_summary();
    return code != INF_OK ? code : failed ? -1 : INF_OK;
}

/* What the path tells. */
static const char *provider_of(const char *path)
{
    int32_t type = inf_provider_type_of_model(path);

    return type ? inf_provider_type_name(type) : "llamacpp";
}

int main(int argc, char **argv)
{
    inf_context *context = NULL;
    inf_provider *model = NULL;
    inf_error err = {0};
    int32_t code = INF_OK;

    if (argc < 3 || argc > 3 + MAX_ANSWERS - 1) {
        fprintf(stderr, "usage: side_by_side MODEL QUESTION [ID=ADAPTER]...\n");
        return 2;
    }
    code = inf_context_create(&context, NULL, &err);
    if (code == INF_OK)
        code = inf_provider_get(&model, context, provider_of(argv[1]), argv[1], NULL, &err);
    if (code == INF_OK)
        code = run(model, argc, argv, &err);
    if (code != INF_OK && err.code != INF_OK)
        fprintf(stderr, "%s\n", err.message);
    inf_provider_release(model);
    inf_context_close(context, NULL);
    return code == INF_OK ? 0 : 1;
}
