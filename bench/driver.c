/*
 * driver: the library under measurement. Reads a command a line, answers with a JSON line, so that
 * bench/run.py can interleave its runs with a peer's.
 *
 *     driver MODEL [THREADS [DTYPE]]        a GGUF file, or a checkpoint's directory
 *
 *     opened                    how long the model took to load, and the anonymous memory of the process
 *     register N PREFIX K       adapters a0 .. a<N-1> from PREFIX0 .. PREFIX<K-1>, in turn
 *     generate N A T P          N requests at once, T tokens each, prompts of P tokens; request i has
 *                               adapter a<i mod A> (A 0: none)
 *     decode T [I [J]]          one stream's decode speed over T tokens, under adapter a<I> (-1: none), or a<I> and
 *                               a<J> together
 *     rewrite S T               one stream that rewrites a file of 60 lines, with (S 1) and without speculation
 *     prose S T                 one stream of sampled prose, likewise
 *     prefill P I               the prompt's time: P tokens under adapter a<I> (-1: none)
 *     first I                   time to the first token of a 16-token prompt under a<I>
 *     load PATH                 loads and unloads PATH once
 *     memory PATH               the same from a PEFT directory's bytes
 *     stall PATH N              one stream decodes while PATH is loaded N times: the longest gap
 *                               between two tokens with and without
 */
#include <inference/inference.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { MAX_REQUESTS = 64 };

static inf_context *context;
static inf_provider *model;
static double load_seconds;
static uint32_t salt; /* makes prompts differ, so that no prefix is reused */

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void check(int32_t code, const inf_error *err)
{
    if (code == INF_OK)
        return;
    fprintf(stderr, "driver: %s\n", err->message);
    exit(1);
}

/* A prompt of n tokens: each " the" and the like is one token of every vocabulary measured here;
 * the first ones differ from call to call. */
static char *make_prompt(int n)
{
    static const char *const words[] = {" the", " of", " and",  " to",
                                        " in",  " is", " that", " for"};
    char *text = malloc((size_t)n * 8 + 1);
    uint32_t x = ++salt * 2654435761u;

    text[0] = '\0';
    for (int i = 0; i < n; i++) {
        strcat(text, words[x >> 29]);
        x = x * 1664525u + 1013904223u;
    }
    return text;
}

/* The adapters are a<first> and a<second>, those of them that are no -1. */
static inf_op *start_under(int first, int second, int tokens, int prompt,
                           const inf_callbacks *callbacks)
{
    inf_request_adapter adapters[2];
    char *text = make_prompt(prompt);
    char ids[2][32];
    inf_request request;
    inf_op *op = NULL;
    inf_error err;

    inf_request_default(&request, sizeof request);
    for (int i = 0; i < 2; i++) {
        snprintf(ids[i], sizeof ids[i], "a%d", i ? second : first);
        adapters[i] = (inf_request_adapter){.id = inf_str(ids[i])};
    }
    request.adapters = adapters;
    request.n_adapters = first < 0 ? 0 : second < 0 ? 1 : 2;
    request.prompt = inf_str(text);
    request.max_tokens = (inf_maybe_i32){true, tokens};
    request.temperature = (inf_maybe_f32){true, 0};
    request.ignore_eos = true;
    request.speculate = INF_SPECULATE_OFF; /* a token is a step */
    check(inf_generate_start(&op, model, &request, callbacks, &err), &err);
    free(text);
    return op;
}

static inf_op *start(int adapter, int tokens, int prompt, const inf_callbacks *callbacks)
{
    return start_under(adapter, -1, tokens, prompt, callbacks);
}

static inf_result finish(inf_op *op)
{
    inf_result r;
    inf_error err;

    check(inf_op_wait(op, -1, &err), &err);
    inf_op_result(op, &r, sizeof r);
    inf_op_release(op); /* only numbers are used */
    return r;
}

static void do_register(int n, const char *prefix, int k)
{
    double begin = now();
    inf_error err;

    for (int i = 0; i < n; i++) {
        char id[32];
        char path[4200];

        snprintf(id, sizeof id, "a%d", i);
        snprintf(path, sizeof path, "%s%d", prefix, i % k);
        check(inf_adapter_load(model, id, path, NULL, &err), &err);
    }
    printf("{\"ms\":%.3f}\n", (now() - begin) * 1e3);
}

static void do_generate(int n, int adapters, int tokens, int prompt)
{
    inf_op *ops[MAX_REQUESTS];
    double begin = now();
    double rows = 0;
    double different = 0;
    int64_t made = 0;

    for (int i = 0; i < n; i++)
        ops[i] = start(adapters ? i % adapters : -1, tokens, prompt, NULL);
    for (int i = 0; i < n; i++) {
        inf_result r = finish(ops[i]);

        made += r.completion_tokens;
        rows += r.mean_rows / n;
        different += r.mean_adapters / n;
    }
    printf("{\"tokens\":%lld,\"seconds\":%.6f,\"mean_rows\":%.2f,\"mean_adapters\":%.2f}\n",
           (long long)made, now() - begin, rows, different);
}

/* From the first token to the last; the first comes out of the prefill. */
static void do_decode(int tokens, int adapter, int second)
{
    inf_result r = finish(start_under(adapter, second, tokens + 1, 2, NULL));

    printf("{\"tokens_per_second\":%.3f}\n", (double)tokens / (double)r.timings.decode_us * 1e6);
}

/* The same with a text that must be JSON of a schema; it is long enough for any number of tokens. */
static void do_constrained(int tokens, const char *schema)
{
    inf_request request;
    inf_result r;
    inf_op *op = NULL;
    inf_error err;

    inf_request_default(&request, sizeof request);
    request.prompt = inf_str("The people of the village, as JSON:");
    request.json_schema = inf_str(schema);
    request.max_tokens = (inf_maybe_i32){true, tokens + 1};
    request.temperature = (inf_maybe_f32){true, 0};
    request.speculate = INF_SPECULATE_OFF;
    check(inf_generate_start(&op, model, &request, NULL, &err), &err);
    r = finish(op);
    printf("{\"tokens\":%lld,\"tokens_per_second\":%.3f}\n", (long long)r.completion_tokens,
           (double)(r.completion_tokens - 1) / (double)r.timings.decode_us * 1e6);
}

/* ------------------------------------------------------------------ speculation */

enum { FILE_LINES = 60 };

static void file_of_lines(char *out)
{
    for (int i = 0; i < FILE_LINES; i++)
        out += i % 4 == 0   ? sprintf(out, "def step_%d(left, right):\n", i / 4)
               : i % 4 == 1 ? sprintf(out, "    total = left * %d + right\n", i + 7)
               : i % 4 == 2 ? sprintf(out, "    return total - %d\n", i * 3)
                            : sprintf(out, "\n");
}

/* A copy of the text in which a line in the middle is another one. */
static char *with_a_change(inf_text text)
{
    static const char change[] = "    total = None\n";
    const char *line = memchr(text.data + text.len / 2, '\n', text.len - text.len / 2);
    const char *next = line ? strchr(line + 1, '\n') : NULL;
    char *copy = malloc(text.len + sizeof change);
    size_t begin = 0;

    if (!next)
        return memcpy(copy, text.data, text.len + 1);
    begin = (size_t)(line + 1 - text.data);
    memcpy(copy, text.data, begin);
    memcpy(copy + begin, change, sizeof change - 1);
    strcpy(copy + begin + sizeof change - 1, next + 1);
    return copy;
}

static void say_speculation(inf_op *op)
{
    inf_result r;

    inf_op_result(op, &r, sizeof r);
    printf("{\"tokens\":%lld,\"tokens_per_second\":%.3f,\"drafted\":%lld,\"accepted\":%lld,"
           "\"steps\":%lld}\n",
           (long long)r.completion_tokens,
           (double)(r.completion_tokens - 1) / (double)r.timings.decode_us * 1e6,
           (long long)r.drafted_tokens, (long long)r.accepted_tokens, (long long)r.steps);
}

static inf_op *generate(const inf_request *request)
{
    inf_op *op = NULL;
    inf_error err;

    check(inf_generate_start(&op, model, request, NULL, &err), &err);
    check(inf_op_wait(op, -1, &err), &err);
    return op;
}

/* What the model writes when it is to rewrite the file is, but for one line, the reference: as when the one
 * change is the model's. A small model does not copy what it is shown. */
static void do_rewrite(bool speculates, int tokens)
{
    static inf_op *without;
    static char *reference;
    static char prompt[8192] = "Here is a file.\n\n";
    inf_request request;
    inf_result answer;
    inf_result r;
    inf_op *op = NULL;

    if (!without) {
        file_of_lines(prompt + strlen(prompt));
        strcat(prompt, "\nThe same file, with one change:\n\n");
    }
    inf_request_default(&request, sizeof request);
    request.prompt = inf_str(prompt);
    request.max_tokens = (inf_maybe_i32){true, tokens};
    request.temperature = (inf_maybe_f32){true, 0};
    request.ignore_eos = true;
    request.speculate = INF_SPECULATE_OFF;
    if (!without)
        without = generate(&request);
    inf_op_result(without, &answer, sizeof answer);
    if (!reference)
        reference = with_a_change(answer.text);
    if (speculates) {
        request.speculate = INF_SPECULATE_AUTO;
        request.reference = inf_str(reference);
    }
    op = generate(&request);
    inf_op_result(op, &r, sizeof r);
    if (r.text.len != answer.text.len || memcmp(r.text.data, answer.text.data, r.text.len) != 0) {
        fprintf(stderr, "driver: the text is another one\n");
        exit(1);
    }
    say_speculation(op);
    inf_op_release(op);
}

static void do_prose(bool speculates, int tokens)
{
    inf_request request;
    inf_op *op = NULL;

    inf_request_default(&request, sizeof request);
    request.prompt = inf_str("It was a cold morning when the old fisherman");
    request.max_tokens = (inf_maybe_i32){true, tokens};
    request.seed = (inf_maybe_u64){true, 11};
    request.ignore_eos = true;
    request.speculate = speculates ? INF_SPECULATE_AUTO : INF_SPECULATE_OFF;
    op = generate(&request);
    say_speculation(op);
    inf_op_release(op);
}

static void do_prefill(int prompt, int adapter)
{
    inf_result r = finish(start(adapter, 1, prompt, NULL));

    printf("{\"prompt_tokens\":%lld,\"prefix_tokens\":%lld,\"ms\":%.3f}\n",
           (long long)r.prompt_tokens, (long long)r.prefix_tokens,
           (double)r.timings.prefill_us / 1e3);
}

static void do_first(int adapter)
{
    inf_result r = finish(start(adapter, 1, 16, NULL));

    printf("{\"ms\":%.3f,\"prompt_tokens\":%lld}\n", (double)r.timings.first_token_us / 1e3,
           (long long)r.prompt_tokens);
}

static void do_load(const char *path)
{
    double begin = now();
    inf_error err;

    check(inf_adapter_load(model, "loaded", path, NULL, &err), &err);
    printf("{\"ms\":%.3f}\n", (now() - begin) * 1e3);
    check(inf_adapter_unload(model, "loaded", &err), &err);
}

struct gaps {
    double last, longest, sum;
    int n;
};

static void note_gap(void *user_data, inf_op *op, const inf_chunk *chunk)
{
    struct gaps *g = user_data;
    double t = now();

    (void)op;
    (void)chunk;
    if (g->last > 0) {
        g->longest = t - g->last > g->longest ? t - g->last : g->longest;
        g->sum += t - g->last;
        g->n++;
    }
    g->last = t;
}

/* A whole file; the bytes are malloc's. */
static void *read_file(const char *dir, const char *name, size_t *size)
{
    char path[4224];
    FILE *f = NULL;
    void *bytes = NULL;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0) {
        perror(path);
        exit(1);
    }
    *size = (size_t)ftell(f);
    rewind(f);
    bytes = malloc(*size);
    if (!bytes || fread(bytes, 1, *size, f) != *size) {
        perror(path);
        exit(1);
    }
    fclose(f);
    return bytes;
}

static void do_memory(const char *path)
{
    inf_adapter_source source;
    inf_error err;
    inf_op *op = NULL;
    size_t n_config = 0, n_weights = 0;
    void *config = read_file(path, "adapter_config.json", &n_config);
    void *weights = read_file(path, "adapter_model.safetensors", &n_weights);
    double begin = now();

    inf_adapter_source_default(&source, sizeof source);
    source.config = (inf_text){config, n_config};
    source.weights = (inf_text){weights, n_weights};
    check(inf_adapter_load_start(&op, model, "loaded", &source, NULL, &err), &err);
    check(inf_op_wait(op, -1, &err), &err);
    printf("{\"ms\":%.3f}\n", (now() - begin) * 1e3);
    inf_op_release(op);
    check(inf_adapter_unload(model, "loaded", &err), &err);
    free(config);
    free(weights);
}

static void do_opened(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    long kb = 0;

    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "RssAnon: %ld", &kb) == 1)
            break;
    if (f)
        fclose(f);
    printf("{\"load_seconds\":%.4f,\"anonymous_kb\":%ld}\n", load_seconds, kb);
}

static struct gaps stream(const char *path, int loads)
{
    struct gaps g = {0};
    inf_callbacks callbacks;
    inf_op *op = NULL;
    inf_error err;

    inf_callbacks_default(&callbacks, sizeof callbacks);
    callbacks.on_token = note_gap;
    callbacks.user_data = &g;
    op = start(-1, 200, 16, &callbacks);
    for (int i = 0; i < loads; i++)
        check(inf_adapter_load(model, "loaded", path, NULL, &err), &err);
    finish(op);
    if (loads)
        check(inf_adapter_unload(model, "loaded", &err), &err);
    return g;
}

static void do_stall(const char *path, int loads)
{
    struct gaps quiet = stream(path, 0);
    struct gaps busy = stream(path, loads);

    printf("{\"mean_ms\":%.3f,\"longest_ms\":%.3f,\"mean_loading_ms\":%.3f,"
           "\"longest_loading_ms\":%.3f}\n",
           quiet.sum / quiet.n * 1e3, quiet.longest * 1e3, busy.sum / busy.n * 1e3,
           busy.longest * 1e3);
}

static bool answer(const char *line)
{
    char path[4096]; /* or a schema */
    int a = 0;
    int b = 0;
    int c = 0;
    int d = 0;
    int n = 0;

    if (sscanf(line, "register %d %4095s %d", &a, path, &b) == 3)
        do_register(a, path, b);
    else if (sscanf(line, "generate %d %d %d %d", &a, &b, &c, &d) == 4 && a <= MAX_REQUESTS)
        do_generate(a, b, c, d);
    else if ((n = sscanf(line, "decode %d %d %d", &a, &b, &c)) >= 1)
        do_decode(a, n > 1 ? b : -1, n > 2 ? c : -1);
    else if (sscanf(line, "constrained %d %4095s", &a, path) == 2)
        do_constrained(a, path);
    else if (sscanf(line, "rewrite %d %d", &a, &b) == 2)
        do_rewrite(a, b);
    else if (sscanf(line, "prose %d %d", &a, &b) == 2)
        do_prose(a, b);
    else if (sscanf(line, "prefill %d %d", &a, &b) == 2)
        do_prefill(a, b);
    else if (sscanf(line, "first %d", &a) == 1)
        do_first(a);
    else if (sscanf(line, "load %4095s", path) == 1)
        do_load(path);
    else if (sscanf(line, "memory %4095s", path) == 1)
        do_memory(path);
    else if (strncmp(line, "opened", 6) == 0)
        do_opened();
    else if (sscanf(line, "stall %4095s %d", path, &a) == 2)
        do_stall(path, a);
    else
        return false;
    fflush(stdout);
    return true;
}

int main(int argc, char **argv)
{
    inf_provider_config config;
    struct stat info;
    double begin = 0;
    inf_error err;
    char line[8192];

    if (argc < 2)
        return fprintf(stderr, "usage: driver MODEL [THREADS [DTYPE]]\n"), 2;
    check(inf_context_create(&context, NULL, &err), &err);
    inf_provider_config_default(&config, sizeof config);
    config.type = stat(argv[1], &info) == 0 && S_ISDIR(info.st_mode) ? INF_PROVIDER_TRANSFORMERS
                                                                     : INF_PROVIDER_LLAMACPP;
    config.base_url = argv[1];
    config.n_threads = argc > 2 ? atoi(argv[2]) : 0;
    config.dtype = argc > 3 ? argv[3] : NULL;
    check(inf_provider_create(&model, context, &config, &err), &err);
    begin = now();
    check(inf_provider_load(model, &err), &err);
    load_seconds = now() - begin;
    while (fgets(line, sizeof line, stdin))
        if (!answer(line))
            return fprintf(stderr, "driver: not understood: %s", line), 2;
    inf_provider_release(model);
    return inf_context_close(context, NULL);
}
