/*
 * logits: the logits after a list of tokens, computed alone by an exact engine of its own, between two
 * steps of the scheduler's worker.
 */
#include "core/memory.h"
#include "local/logit_scan.h"
#include "local/provider.h"

#include <string.h>

struct logits {
    struct preparation base;
    struct scheduler_task task;
    struct instance *instance;
    struct adapter_set *adapters; /* pinned */
    int32_t top;
    size_t n_ids, n_probe;
    int32_t ids[]; /* of the text, then those to be probed */
};

/* ------------------------------------------------------------------ the answer */

static int32_t fill_output(const struct logits *l, const float *logits, int32_t n_vocab,
                           inf_error *err)
{
    struct op_output *o = op_output(l->base.op);
    int32_t n_top = l->top < n_vocab ? l->top : n_vocab;

    if (!logits_are_usable(logits, n_vocab))
        return adapter_set_not_finite(l->adapters, err);
    o->all = mem_alloc((size_t)n_vocab * sizeof *o->all);
    o->top_ids = mem_alloc((size_t)(n_top ? n_top : 1) * sizeof *o->top_ids);
    o->top = mem_alloc((size_t)(n_top ? n_top : 1) * sizeof *o->top);
    o->probe = mem_alloc((l->n_probe ? l->n_probe : 1) * sizeof *o->probe);
    if (!o->all || !o->top_ids || !o->top || !o->probe)
        return error_no_memory(err);
    memcpy(o->all, logits, (size_t)n_vocab * sizeof *o->all);
    o->n_all = (size_t)n_vocab;
    if (n_top)
        logits_top_logprobs(logits, n_vocab, n_top, o->top_ids, o->top);
    for (int32_t k = 0; k < n_top; k++) /* the logits themselves, not log-probabilities */
        o->top[k] = logits[o->top_ids[k]];
    o->n_top = (size_t)n_top;
    for (size_t k = 0; k < l->n_probe; k++)
        o->probe[k] = logits[l->ids[l->n_ids + k]];
    o->n_probe = l->n_probe;
    return INF_OK;
}

/* ------------------------------------------------------------------ on the worker */

static int32_t decode_all(const struct engine *engine, const struct logits *l, inf_error *err)
{
    int32_t n = (int32_t)l->n_ids;
    int32_t code = INF_OK;

    for (int32_t at = 0; at < n && code == INF_OK;) {
        int32_t count = n - at < engine->limits.max_tokens ? n - at : engine->limits.max_tokens;
        struct engine_row row = {.slot = 0,
                                 .position = at,
                                 .tokens = l->ids + at,
                                 .adapters = l->adapters,
                                 .first_logits = count - 1,
                                 .n_logits = at + count == n};

        if (op_stop_code(l->base.op) != INF_OK)
            return op_stop_error(l->base.op, err);
        code = engine->ops->decode(engine->impl, &row, 1, count, err);
        at += count;
    }
    return code;
}

static int32_t compute(const struct logits *l, inf_error *err)
{
    struct engine engine;
    int32_t code = instance_exact_engine(l->instance, (int32_t)l->n_ids, &engine, err);

    if (code != INF_OK)
        return code;
    code = engine.ops->reserve(engine.impl, 1, (int32_t)l->n_ids, err);
    if (code == INF_OK)
        code = decode_all(&engine, l, err);
    if (code == INF_OK)
        code = fill_output(l, engine.ops->logits(engine.impl, 0, 0), engine.limits.n_vocab, err);
    engine.ops->free(engine.impl);
    return code;
}

static void run_task(struct scheduler_task *task)
{
    struct logits *l = task->owner;
    inf_error err = {0};

    compute(l, &err);
    preparation_end(&l->base, &err);
}

/* ------------------------------------------------------------------ before */

static int32_t check_ids(const struct logits *l, inf_error *err)
{
    const struct model_facts *f = &l->base.provider->facts;
    int32_t code = window_check(f->window, f->window_of, l->n_ids, 0, err);

    return code == INF_OK ? tokenizer_check_ids(&l->instance->loaded.tokenizer, "token", l->ids,
                                                l->n_ids + l->n_probe, err)
                          : code;
}

static void run_logits(struct preparation *base)
{
    struct logits *l = (struct logits *)(void *)base;
    inf_error err = {0};
    int32_t code = provider_acquire(base->provider, base->op, false, &l->instance, &err);

    if (code == INF_OK)
        code = check_ids(l, &err);
    if (code == INF_OK)
        scheduler_run_task(l->instance->scheduler, &l->task);
    else
        preparation_end(base, &err);
}

static void dispose(struct preparation *base)
{
    struct logits *l = (struct logits *)(void *)base;

    adapter_set_unref(l->adapters);
    instance_unref(l->instance);
}

int32_t local_logits(void *impl, inf_op *op, const inf_logits_request *request, inf_error *err)
{
    struct local_provider *p = impl;
    size_t n = request->n_token_ids;
    struct logits *l = NULL;
    int32_t code = window_check(p->config.n_ctx, NULL, n, 0, err);

    if (code != INF_OK)
        return code;
    l = preparation_create(sizeof *l + (n + request->n_probe) * sizeof *l->ids, p, op, run_logits,
                           err);
    if (!l)
        return INF_ERROR_NO_MEMORY;
    l->base.dispose = dispose;
    l->task = (struct scheduler_task){.run = run_task, .owner = l};
    l->top = request->top;
    l->n_ids = n;
    l->n_probe = request->n_probe;
    if (n)
        memcpy(l->ids, request->token_ids, n * sizeof *l->ids);
    if (request->n_probe)
        memcpy(l->ids + n, request->probe, request->n_probe * sizeof *l->ids);
    code = provider_pin(p, &l->adapters, request->adapters, request->n_adapters, err);
    if (code != INF_OK) {
        preparation_free(&l->base);
        return code;
    }
    preparation_submit(&l->base);
    return INF_OK;
}
