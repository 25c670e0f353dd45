/*
 * token_cost: the CPU that the library itself spends on a streamed token: scheduling, text, stop
 * strings, dispatch and the callback, everything but the model and the sampling. The real scheduler
 * runs on an engine that only waits, as a model of 2 ms a step would make it, on a vocabulary of 64
 * tokens; what the waiting itself costs is measured apart and taken off.
 *
 *     token_cost STREAMS      prints {"us_per_token":..., "tokens":...}
 */
#include "core/memory.h"
#include "core/provider.h"
#include "local/scheduler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/context_state.h"

enum { N_VOCAB = 64, TOKENS = 500, STEP_US = 2000, MAX_STREAMS = 16 };

static struct scheduler *scheduler;
static float logits[N_VOCAB];

static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void wait_a_step(void)
{
    nanosleep(&(struct timespec){0, STEP_US * 1000L}, NULL);
}

static void check(int32_t code, const inf_error *err)
{
    if (code == INF_OK)
        return;
    fprintf(stderr, "token_cost: %s\n", err->message);
    exit(1);
}

/* ------------------------------------------------------------------ the engine that waits */

static int32_t decode(void *e, const struct engine_row *rows, int32_t n_rows, int32_t n_tokens,
                      inf_error *err)
{
    (void)e, (void)rows, (void)n_rows, (void)n_tokens;
    wait_a_step();
    return error_none(err);
}

static const float *row_logits(void *e, int32_t row)
{
    (void)e, (void)row;
    return logits;
}

static int32_t truncate_slot(void *e, int32_t slot, int32_t n)
{
    (void)e, (void)slot;
    return n;
}

static int32_t two_slots(void *e, int32_t a, int32_t b, inf_error *err)
{
    (void)e, (void)a, (void)b;
    return error_none(err);
}

static int32_t copy_slot(void *e, int32_t from, int32_t to, inf_error *err)
{
    (void)e, (void)from, (void)to;
    return error_none(err);
}

static int32_t scrub(void *e, int32_t slot, inf_error *err)
{
    (void)e, (void)slot;
    return error_none(err);
}

static enum token_kind kind(void *impl, int32_t token)
{
    (void)impl, (void)token;
    return TOKEN_TEXT;
}

static struct decoder *decoder_create(void *impl)
{
    return impl;
}

static bool decoder_push(struct decoder *d, int32_t token, struct buffer *out)
{
    (void)d, (void)token;
    return buffer_append_str(out, " word");
}

static bool decoder_finish(struct decoder *d, struct buffer *out)
{
    (void)d, (void)out;
    return true;
}

static void decoder_free(struct decoder *d)
{
    (void)d;
}

static const struct tokenizer_ops tokenizer_ops = {.kind = kind,
                                                   .decoder_create = decoder_create,
                                                   .decoder_push = decoder_push,
                                                   .decoder_finish = decoder_finish,
                                                   .decoder_free = decoder_free};
static const struct tokenizer tokenizer = {&tokenizer_ops, logits, N_VOCAB};

/* ------------------------------------------------------------------ the provider over it */

static int32_t create(void **impl, inf_context *ctx, const inf_provider_config *config,
                      inf_error *err)
{
    static const struct engine_ops ops = {.decode = decode,
                                          .logits = row_logits,
                                          .truncate = truncate_slot,
                                          .swap = two_slots,
                                          .copy = copy_slot,
                                          .scrub = scrub,
                                          .reserve = two_slots};
    struct engine engine = {
        .ops = &ops,
        .limits = {
            .max_slots = MAX_STREAMS, .max_context = 4096, .max_tokens = 512, .n_vocab = N_VOCAB}};

    (void)ctx, (void)config;
    *impl = logits;
    return scheduler_create(&scheduler, &engine, 128, err);
}

static void destroy(void *impl)
{
    (void)impl;
    scheduler_drain_and_free(scheduler, NULL);
}

static int32_t generate(void *impl, inf_op *op, inf_error *err)
{
    struct sampling_options o = {.top_p = 1, .repetition_penalty = 1, .n_vocab = N_VOCAB};
    struct sampler *sampler = NULL;
    struct sequence *sequence = NULL;
    int32_t *tokens = mem_calloc(4, sizeof *tokens);
    int32_t code = tokens ? sampler_create(&sampler, &o, NULL, err) : error_no_memory(err);

    (void)impl;
    if (code == INF_OK)
        code = sequence_create(&sequence, op, &tokenizer, tokens, 4, TOKENS, sampler, NULL, NULL,
                               err);
    if (code == INF_OK)
        scheduler_submit(scheduler, sequence);
    return code;
}

/* ------------------------------------------------------------------ the measurement */

static void on_token(void *user_data, inf_op *op, const inf_chunk *chunk)
{
    (void)op;
    *(size_t *)user_data += chunk->text.len;
}

static void run(inf_provider *p, int streams)
{
    inf_op *ops[MAX_STREAMS];
    size_t bytes = 0;
    inf_callbacks callbacks;
    inf_request request;
    inf_error err;

    inf_callbacks_default(&callbacks, sizeof callbacks);
    callbacks.on_token = on_token;
    callbacks.user_data = &bytes;
    inf_request_default(&request, sizeof request);
    request.prompt = inf_str("x");
    request.ignore_eos = true;
    for (int i = 0; i < streams; i++)
        check(inf_generate_start(&ops[i], p, &request, &callbacks, &err), &err);
    for (int i = 0; i < streams; i++) {
        check(inf_op_wait(ops[i], -1, &err), &err);
        inf_op_release(ops[i]);
    }
    if (bytes != (size_t)streams * TOKENS * strlen(" word")) {
        fprintf(stderr, "token_cost: %zu bytes came\n", bytes);
        exit(1);
    }
}

static double cost_of_waiting(void)
{
    double begin = cpu_seconds();

    for (int i = 0; i < TOKENS; i++)
        wait_a_step();
    return cpu_seconds() - begin;
}

int main(int argc, char **argv)
{
    static const struct provider_ops ops = {.type = INF_PROVIDER_LLAMACPP,
                                            .in_process = true,
                                            .create = create,
                                            .destroy = destroy,
                                            .generate = generate};
    int streams = argc > 1 ? atoi(argv[1]) : 1;
    inf_provider_config config;
    inf_context *context = NULL;
    inf_provider *p = NULL;
    double waiting = 0;
    double spent = 0;
    inf_error err;

    if (streams < 1 || streams > MAX_STREAMS)
        return fprintf(stderr, "usage: token_cost STREAMS (1..16)\n"), 2;
    logits[7] = 1;
    check(inf_context_create(&context, NULL, &err), &err);
    inf_provider_config_default(&config, sizeof config);
    config.base_url = "none";
    check(provider_create_with_ops(&p, context, &ops, &config, &err), &err);
    run(p, streams);
    waiting = cost_of_waiting();
    spent = cpu_seconds();
    run(p, streams);
    spent = cpu_seconds() - spent - waiting;
    printf("{\"us_per_token\":%.3f,\"tokens\":%d}\n", spent * 1e6 / (streams * TOKENS),
           streams * TOKENS);
    inf_provider_release(p);
    return inf_context_close(context, NULL);
}
