/*
 * logits: the logits after a list of tokens, computed alone by an engine of its own with a KV
 * cache in f32 and without flash attention, between two steps of the scheduler's worker.
 */
#include "core/memory.h"
#include "engine/guard.h"
#include "llamacpp/provider_state.h"

#include <string.h>

struct logits_task {
    struct scheduler_task task;
    struct preparation *prep;
    struct instance *instance;
};

/* ------------------------------------------------------------------ the answer */

static int32_t fill_output(const struct preparation *prep, const float *logits, int32_t n_vocab,
                           inf_error *err)
{
    struct op_output *o = op_output(prep->op);
    int32_t n_top = prep->top < n_vocab ? prep->top : n_vocab;

    if (!logits_are_usable(logits, n_vocab))
        return error_set(err, INF_ERROR_NOT_FINITE, "the logits are NaN or infinite%s",
                         prep->adapter ? "; the adapter overflows" : "");
    o->all = mem_alloc((size_t)n_vocab * sizeof *o->all);
    o->top_ids = mem_alloc((size_t)(n_top ? n_top : 1) * sizeof *o->top_ids);
    o->top = mem_alloc((size_t)(n_top ? n_top : 1) * sizeof *o->top);
    o->probe = mem_alloc((prep->n_probe ? prep->n_probe : 1) * sizeof *o->probe);
    if (!o->all || !o->top_ids || !o->top || !o->probe)
        return error_no_memory(err);
    memcpy(o->all, logits, (size_t)n_vocab * sizeof *o->all);
    o->n_all = (size_t)n_vocab;
    if (n_top)
        logits_top(logits, n_vocab, n_top, o->top_ids, o->top);
    for (int32_t k = 0; k < n_top; k++) /* the logits themselves, not log-probabilities */
        o->top[k] = logits[o->top_ids[k]];
    o->n_top = (size_t)n_top;
    for (size_t k = 0; k < prep->n_probe; k++)
        o->probe[k] = logits[prep->probe[k]];
    o->n_probe = prep->n_probe;
    return INF_OK;
}

/* ------------------------------------------------------------------ on the worker */

static int32_t decode_all(const struct engine *engine, const struct preparation *prep,
                          inf_error *err)
{
    int32_t n = (int32_t)prep->n_ids;
    int32_t code = INF_OK;

    for (int32_t at = 0; at < n && code == INF_OK;) {
        int32_t count = n - at < engine->limits.max_tokens ? n - at : engine->limits.max_tokens;
        struct engine_row row = {.slot = 0,
                                 .position = at,
                                 .tokens = prep->ids + at,
                                 .adapter = prep->adapter,
                                 .scale = prep->scale,
                                 .want_logits = at + count == n};

        if (op_stop_code(prep->op) != INF_OK)
            return op_stop_error(prep->op, err);
        code = engine->ops->decode(engine->impl, &row, 1, count, err);
        at += count;
    }
    return code;
}

static int32_t compute(const struct logits_task *t, inf_error *err)
{
    struct llamacpp_provider *p = t->prep->provider;
    struct llama_engine_options options = {.log = t->instance->context,
                                           .model = t->instance->model,
                                           .base = &p->base,
                                           .n_threads = t->instance->n_threads,
                                           .max_slots = 1,
                                           .max_context = (int32_t)t->prep->n_ids,
                                           .flash_attention = INF_FLASH_ATTENTION_OFF,
                                           .native_adapters = p->native_adapters,
                                           .kv_f32 = true};
    struct llama_engine *own = NULL;
    struct engine engine;
    int32_t code = llama_engine_create(&own, &options, err);

    if (code != INF_OK)
        return code;
    llama_engine_describe(own, &engine);
    code = engine.ops->reserve(engine.impl, 1, (int32_t)t->prep->n_ids, err);
    if (code == INF_OK)
        code = decode_all(&engine, t->prep, err);
    if (code == INF_OK)
        code = fill_output(t->prep, engine.ops->logits(engine.impl, 0), engine.limits.n_vocab, err);
    llama_engine_free(own);
    return code;
}

static void run_task(struct scheduler_task *task)
{
    struct logits_task *t = (struct logits_task *)(void *)task;
    inf_op *op = t->prep->op;
    inf_error err = {0};

    guard_log_to(t->instance->context);
    compute(t, &err);
    guard_log_to(NULL);
    instance_unref(t->instance);
    preparation_free(t->prep);
    mem_free(t);
    op_finish(op, &err);
}

/* ------------------------------------------------------------------ before */

static int32_t check_ids(const struct instance *i, const struct preparation *prep, inf_error *err)
{
    const struct llamacpp_provider *p = prep->provider;
    int32_t window = gguf_model_window(&p->base, p->config.n_ctx);

    if (prep->n_ids > (size_t)window) /* n_ctx was checked at the call */
        return error_set_detail(err, INF_ERROR_CONTEXT_FULL, (int64_t)prep->n_ids,
                                "%zu tokens do not fit the model's %d learned positions",
                                prep->n_ids, window);
    for (size_t k = 0; k < prep->n_ids + prep->n_probe; k++) {
        int32_t id = k < prep->n_ids ? prep->ids[k] : prep->probe[k - prep->n_ids];

        if (id < 0 || id >= i->tokenizer.n_vocab)
            return error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, id,
                                    "token %d is outside the vocabulary of %d tokens", id,
                                    i->tokenizer.n_vocab);
    }
    return INF_OK;
}

static void run_logits(struct preparation *prep)
{
    struct logits_task *t = mem_calloc(1, sizeof *t);
    struct instance *i = NULL;
    inf_op *op = prep->op;
    inf_error err = {0};
    int32_t code = t ? provider_acquire(prep->provider, op, &i, &err) : error_no_memory(&err);

    if (code == INF_OK)
        code = check_ids(i, prep, &err);
    if (code == INF_OK) {
        *t = (struct logits_task){.task = {.run = run_task}, .prep = prep, .instance = i};
        scheduler_run_task(i->scheduler, &t->task);
        return;
    }
    instance_unref(i);
    preparation_free(prep);
    mem_free(t);
    op_finish(op, &err);
}

static int32_t *copy_ids(const int32_t *ids, size_t n)
{
    int32_t *copy = mem_alloc(n ? n * sizeof *ids : 1);

    if (copy && n)
        memcpy(copy, ids, n * sizeof *ids);
    return copy;
}

static int32_t pin(struct preparation *prep, inf_text id, inf_error *err)
{
    if (!id.data || !id.len)
        return INF_OK;
    prep->adapter = registry_pin(prep->provider->registry, id.data, id.len);
    return prep->adapter ? INF_OK
                         : error_set(err, INF_ERROR_INVALID_ARGUMENT,
                                     "adapter '%.*s' is not loaded; load it before using it",
                                     (int)(id.len > 256 ? 256 : id.len), id.data);
}

int32_t llamacpp_logits(void *impl, inf_op *op, const inf_logits_request *request, inf_error *err)
{
    struct llamacpp_provider *p = impl;
    struct preparation *prep = NULL;
    int32_t code = INF_OK;

    if (request->n_token_ids > (size_t)p->config.n_ctx)
        return error_set_detail(err, INF_ERROR_CONTEXT_FULL, (int64_t)request->n_token_ids,
                                "%zu tokens do not fit the window n_ctx of %d; raise n_ctx",
                                request->n_token_ids, p->config.n_ctx);
    prep = preparation_create(p, op, run_logits, err);
    if (!prep)
        return INF_ERROR_NO_MEMORY;
    prep->ids = copy_ids(request->token_ids, request->n_token_ids);
    prep->n_ids = request->n_token_ids;
    prep->probe = copy_ids(request->probe, request->n_probe);
    prep->n_probe = request->n_probe;
    prep->top = request->top;
    if (request->adapter_scale.is_set)
        prep->scale = request->adapter_scale.value;
    code = prep->ids && prep->probe ? pin(prep, request->adapter_id, err) : error_no_memory(err);
    if (code != INF_OK) {
        preparation_free(prep);
        return code;
    }
    preparation_submit(prep);
    return INF_OK;
}
