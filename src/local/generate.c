/*
 * generate: a request of the in-process provider, from the public call to the scheduler: pin the
 * adapters, load the model if need be, render and tokenize the prompt, hand it over.
 */
#include "core/clock.h"
#include "core/memory.h"
#include "local/generator.h"
#include "local/render.h"
#include "local/request_sampler.h"

#include <string.h>

struct generate {
    struct preparation base;
    struct adapter_set *adapters; /* pinned */
    bool counted;                 /* in the provider's in_flight */
    struct output_plan plan;      /* once the prompt is rendered */
};

/* ------------------------------------------------------------------ the prompt */

/* Whether the tokenizer puts this token before every text. */
static bool is_put_first(const struct tokenizer *t, int32_t id)
{
    int32_t *ids = NULL;
    int32_t n = 0;
    bool found = t->ops->encode(t->impl, inf_str(""), true, true, &ids, &n, NULL) == INF_OK &&
                 n > 0 && ids[0] == id;

    mem_free(ids);
    return found;
}

/* A prompt that was rendered elsewhere begins with the token that the tokenizer puts first. */
static void drop_second_bos(inf_context *log, const struct tokenizer *t, int32_t *tokens,
                            int32_t *n)
{
    if (*n < 2 || tokens[0] != tokens[1] || !is_put_first(t, tokens[0]))
        return;
    memmove(tokens, tokens + 1, (size_t)(*n - 1) * sizeof *tokens);
    --*n;
    context_log(log, INF_LOG_INFO,
                "the prompt begins with the beginning-of-text token itself; no second one is added "
                "(add_special decides)");
}

static int32_t tokenize_prompt(struct generate *g, const struct tokenizer *tokenizer,
                               int32_t **tokens, int32_t *n, inf_error *err)
{
    const inf_request *r = op_request(g->base.op);
    struct rendered rendered = {0};
    struct buffer text;
    bool add_special = false;
    int32_t code = INF_OK;

    buffer_init(&text, BUFFER_NO_LIMIT);
    code = render_request(g->base.provider, g->base.op, &text, &rendered, err);
    if (code == INF_OK)
        code = output_plan_read(&g->plan, r, &rendered, err);
    add_special = rendered.add_special;
    if (r->add_special.is_set)
        add_special = r->add_special.value;
    if (code == INF_OK)
        code = tokenizer->ops->encode(tokenizer->impl, (inf_text){text.data, text.len}, add_special,
                                      !r->plain_prompt, tokens, n, err);
    if (code == INF_OK && add_special && !r->add_special.is_set)
        drop_second_bos(g->base.provider->context, tokenizer, *tokens, n);
    buffer_free(&text);
    return code;
}

static int32_t check_prompt(const struct local_provider *p, int32_t n, inf_error *err)
{
    const struct model_facts *f = &p->facts;
    int32_t code = window_check(f->window, f->window_of, (size_t)n, 1, err);

    if (n == 0)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "the prompt is empty");
    if (code == INF_OK && n > f->n_ctx_train)
        context_log(p->context, INF_LOG_WARNING,
                    "the prompt has %d tokens and the model was trained on %d; the answer may be "
                    "poor",
                    n, f->n_ctx_train);
    return code;
}

/* ------------------------------------------------------------------ the hand-over */

/* Several: one block, the ids behind the list. */
static int32_t list_adapters(struct op_output *o, const struct adapter_set *s, inf_error *err)
{
    size_t n = (size_t)s->n;
    size_t size = n * sizeof *o->adapters;
    char *text = NULL;

    for (size_t i = 0; i < n; i++)
        size += strlen(s->list[i].adapter->id) + 1;
    o->adapters = mem_alloc(size);
    if (!o->adapters)
        return error_no_memory(err);
    o->n_adapters = n;
    text = (char *)(o->adapters + n);
    for (size_t i = 0; i < n; i++) {
        const struct scaled_adapter *a = &s->list[i];
        size_t len = strlen(a->adapter->id);

        memcpy(text, a->adapter->id, len + 1);
        o->adapters[i] = (inf_result_adapter){
            .id = {text, len}, .generation = a->generation, .scale = a->scale};
        text += len + 1;
    }
    return INF_OK;
}

static int32_t name_output(const struct generate *g, inf_error *err)
{
    struct op_output *o = op_output(g->base.op);

    o->model = mem_strdup(g->base.provider->path);
    if (!o->model)
        return error_no_memory(err);
    if (adapter_set_size(g->adapters) > 1)
        return list_adapters(o, g->adapters, err);
    if (g->adapters) {
        o->adapter_id = mem_strdup(g->adapters->list[0].adapter->id);
        o->adapter_generation = g->adapters->list[0].generation;
    }
    return !g->adapters || o->adapter_id ? INF_OK : error_no_memory(err);
}

/* Where it is not asked for: if the answer's bits are those without. */
static int32_t start_drafting(struct sequence *s, struct instance *i, const inf_request *r,
                              inf_error *err)
{
    const struct engine_limits *limits = &i->engine.limits;
    bool always = r->speculate == INF_SPECULATE_LOOKUP;
    int32_t *reference = NULL;
    int32_t n = 0;
    int32_t code = INF_OK;

    if (always && !limits->takes_back)
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         "speculate: the recurrent layers of this model cannot go back over tokens "
                         "that did not come true; leave it at auto");
    if (r->speculate == INF_SPECULATE_OFF || !limits->takes_back ||
        (!always && !limits->row_independent))
        return INF_OK;
    if (r->reference.len)
        code = i->loaded.tokenizer.ops->encode(i->loaded.tokenizer.impl, r->reference, false, false,
                                               &reference, &n, err);
    if (code == INF_OK)
        code = sequence_start_drafting(s, reference, n, always, err);
    mem_free(reference);
    return code;
}

static int32_t fill_sequence(struct generate *g, struct instance *i, struct sequence *s,
                             inf_error *err)
{
    const struct local_provider *p = g->base.provider;
    const inf_request *r = op_request(g->base.op);
    int32_t room = 0;
    int32_t code = tokenizer_check_ids(s->tokenizer, "stop_token_ids:", r->stop_token_ids,
                                       r->n_stop_token_ids, err);

    if (code == INF_OK)
        code = tokenize_prompt(g, s->tokenizer, &s->tokens, &s->n_prompt, err);
    op_output(g->base.op)->prompt_tokens = s->n_prompt;
    if (code == INF_OK)
        code = check_prompt(p, s->n_prompt, err);
    if (code == INF_OK)
        code = request_sampler(&s->sampler, i, r, &g->plan, err);
    if (code == INF_OK)
        code = output_plan_parser(&s->parser, &g->plan, fresh_seed(), err);
    if (code == INF_OK)
        code = sequence_begin(s, err);
    if (code == INF_OK)
        code = start_drafting(s, i, r, err);
    room = p->facts.window - s->n_prompt;
    s->max_tokens = r->max_tokens.value < room ? r->max_tokens.value : room;
    s->named_call = g->plan.choice == OUTPUT_NAMED;
    return code;
}

/* The sequence takes the adapters over, and its place among those in flight. */
static int32_t make_sequence(struct generate *g, struct instance *i, struct sequence **out,
                             inf_error *err)
{
    int32_t code = sequence_create(out, g->base.op, &i->loaded.tokenizer, err);

    if (code == INF_OK)
        code = fill_sequence(g, i, *out, err);
    if (code != INF_OK) {
        sequence_drop(*out);
        return code;
    }
    (*out)->adapters = g->adapters;
    (*out)->in_flight = &g->base.provider->in_flight;
    g->adapters = NULL;
    g->counted = false;
    return INF_OK;
}

static void run_generate(struct preparation *base)
{
    struct generate *g = (struct generate *)(void *)base;
    struct instance *i = NULL;
    struct sequence *sequence = NULL;
    inf_error err = {0};
    int32_t code = name_output(g, &err);
    int64_t before_us = clock_us();

    if (code == INF_OK)
        code = provider_acquire(base->provider, base->op, false, &i, &err);
    op_output(base->op)->timings.load_us = clock_us() - before_us;
    if (code == INF_OK)
        code = make_sequence(g, i, &sequence, &err);
    if (code != INF_OK) {
        instance_unref(i);
        preparation_end(base, &err);
        return;
    }
    preparation_free(
        base); /* from the submission on the operation may end, and the provider with it */
    scheduler_submit(i->scheduler, sequence);
    instance_unref(i);
}

static void dispose(struct preparation *base)
{
    struct generate *g = (struct generate *)(void *)base;

    adapter_set_unref(g->adapters);
    output_plan_free(&g->plan);
    if (g->counted)
        atomic_fetch_sub(&base->provider->in_flight, 1);
}

static int32_t count(struct generate *g, inf_error *err)
{
    struct local_provider *p = g->base.provider;
    int64_t limit = (int64_t)p->config.max_sequences + p->config.queue_limit;

    g->counted = true;
    if (atomic_fetch_add(&p->in_flight, 1) < limit)
        return INF_OK;
    return error_set_detail(err, INF_ERROR_LIMIT, limit,
                            "%lld requests are in flight already; wait for some to end or raise "
                            "queue_limit",
                            (long long)limit);
}

int32_t local_generate(void *impl, inf_op *op, inf_error *err)
{
    struct local_provider *p = impl;
    struct generate *g = NULL;
    int32_t code = provider_check_model(p, err);

    if (code != INF_OK)
        return code;
    g = preparation_create(sizeof *g, p, op, run_generate, err);
    if (!g)
        return INF_ERROR_NO_MEMORY;
    g->base.dispose = dispose;
    code = count(g, err);
    if (code == INF_OK)
        code = provider_pin(p, &g->adapters, op_request(op)->adapters, op_request(op)->n_adapters,
                            err);
    if (code != INF_OK) {
        preparation_free(&g->base);
        return code;
    }
    preparation_submit(&g->base);
    return INF_OK;
}
