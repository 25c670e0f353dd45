/*
 * token_cost: the CPU that the library itself spends on a streamed token: scheduling, text, stop
 * strings, dispatch and the callback, everything but the model and the sampling. The real scheduler
 * runs on an engine that only waits, as a model of 2 ms a step would make it, on a vocabulary of 64
 * tokens; what the waiting itself costs is measured apart and taken off.
 *
 *     token_cost STREAMS      prints {"us_per_token":..., "tokens":...}
 */
#include "core/context_state.h"
#include "core/provider_state.h"
#include "free_engine.h"
#include "local/scheduler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { N_VOCAB = 64, TOKENS = 500, STEP_US = 2000, MAX_STREAMS = 16 };

static struct scheduler *scheduler;
static struct free_engine engine;

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

/* ------------------------------------------------------------------ the tokenizer */

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
static const struct tokenizer tokenizer = {&tokenizer_ops, &engine, N_VOCAB};

/* ------------------------------------------------------------------ the provider over it */

static int32_t create(void **impl, inf_context *ctx, const inf_provider_config *config,
                      inf_error *err)
{
    static const struct engine_limits limits = {
        .max_slots = MAX_STREAMS, .max_context = 4096, .max_tokens = 512, .n_vocab = N_VOCAB};
    static const struct scheduler_options options = {.prefill_chunk = 128};

    (void)ctx, (void)config;
    if (!free_engine_init(&engine, &limits))
        return error_no_memory(err);
    engine.blind = true;
    engine.step_us = STEP_US;
    engine.logits[7] = 1;
    *impl = &engine;
    return scheduler_create(&scheduler, &engine.engine, &options, err);
}

static void destroy(void *impl)
{
    (void)impl;
    scheduler_drain_and_free(scheduler, NULL);
    free_engine_free(&engine);
}

static int32_t generate(void *impl, inf_op *op, inf_error *err)
{
    struct sequence *sequence = NULL;
    int32_t code = free_sequence(&sequence, op, &tokenizer, "\1\1\1\1", TOKENS, NULL, err);

    (void)impl;
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
