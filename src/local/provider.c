/*
 * provider: the in-process provider's life: its configuration, what the model's files say, loading and
 * unloading. What operations do lies in generate.c, adapters.c, text.c, render.c and logits.c.
 */
#include "local/provider.h"

#include "core/context.h"
#include "core/cpu_count.h"
#include "core/memory.h"
#include "text/chat_template.h"

int32_t provider_check_model(const struct local_provider *p, inf_error *err)
{
    if (p->path[0] != '\0')
        return INF_OK;
    return error_set(err, INF_ERROR_INVALID_ARGUMENT, "no model is set; %s", p->ops->how_to_set);
}

int32_t provider_pin(const struct local_provider *p, struct adapter_set **out,
                     const inf_request_adapter *adapters, size_t n, inf_error *err)
{
    int32_t code = adapter_set_pin(out, p->registry, adapters, n, err);

    return code == INF_OK ? p->ops->adapters_check(*out, err) : code;
}

/* load_lock is held. */
static int32_t open_model(struct local_provider *p, inf_error *err)
{
    int32_t code = INF_OK;

    if (p->is_open)
        return INF_OK;
    code = provider_check_model(p, err);
    if (code == INF_OK)
        code = p->ops->open(p->model, &p->facts, err);
    p->is_open = code == INF_OK;
    return code;
}

int32_t provider_open(struct local_provider *p, inf_error *err)
{
    int32_t code = INF_OK;

    if (atomic_load(&p->is_open))
        return INF_OK;
    pthread_mutex_lock(&p->load_lock);
    code = open_model(p, err);
    pthread_mutex_unlock(&p->load_lock);
    return code;
}

/* ------------------------------------------------------------------ loading */

static void add_stats(struct scheduler_stats *sum, const struct scheduler_stats *more)
{
    sum->steps += more->steps;
    sum->shared_steps += more->shared_steps;
    sum->rows += more->rows;
    sum->requests += more->requests;
    sum->prefix_tokens += more->prefix_tokens;
}

static void instance_freed(void *arg, const struct scheduler_stats *final)
{
    struct local_provider *p = arg;

    pthread_mutex_lock(&p->lock);
    add_stats(&p->before, final);
    if (--p->n_instances == 0)
        pthread_cond_broadcast(&p->all_freed);
    pthread_mutex_unlock(&p->lock);
}

static struct instance *loaded(struct local_provider *p, bool tokenizer_is_enough)
{
    struct instance *i = NULL;

    pthread_mutex_lock(&p->lock);
    i = p->instance ? p->instance : tokenizer_is_enough ? p->tokenizer : NULL;
    if (i)
        instance_ref(i);
    pthread_mutex_unlock(&p->lock);
    return i;
}

/* The provider keeps one reference of its own; load_lock is held. */
static void keep_instance(struct local_provider *p, struct instance *i, bool tokenizer_only)
{
    struct instance *old = NULL;

    pthread_mutex_lock(&p->lock);
    p->n_instances++;
    if (tokenizer_only) {
        p->tokenizer = i;
    } else {
        p->instance = i;
        old = p->tokenizer;
        p->tokenizer = NULL;
    }
    instance_ref(i);
    pthread_mutex_unlock(&p->lock);
    instance_unref(old);
}

/* load_lock is held. */
static int32_t load_instance(struct local_provider *p, inf_op *op, bool tokenizer_only,
                             struct instance **out, inf_error *err)
{
    struct instance_options options = {.ops = p->ops,
                                       .model = p->model,
                                       .facts = &p->facts,
                                       .config = &p->config,
                                       .tokenizer_only = tokenizer_only,
                                       .op = op,
                                       .kv_bytes = &p->kv_bytes,
                                       .freed = instance_freed,
                                       .freed_arg = p};
    int32_t code = open_model(p, err);

    if (code == INF_OK)
        code = instance_load(out, &options, err);
    if (code == INF_OK)
        keep_instance(p, *out, tokenizer_only);
    return code;
}

int32_t provider_acquire(struct local_provider *p, inf_op *op, bool tokenizer_only,
                         struct instance **out, inf_error *err)
{
    int32_t code = INF_OK;

    *out = loaded(p, tokenizer_only);
    if (*out)
        return INF_OK;
    pthread_mutex_lock(&p->load_lock);
    *out = loaded(p, tokenizer_only);
    if (!*out)
        code = load_instance(p, op, tokenizer_only, out, err);
    pthread_mutex_unlock(&p->load_lock);
    return code;
}

static void run_load(struct preparation *prep)
{
    struct instance *i = NULL;
    inf_error err = {0};

    if (provider_acquire(prep->provider, prep->op, false, &i, &err) == INF_OK)
        op_progress(prep->op, 1.0f);
    instance_unref(i);
    preparation_end(prep, &err);
}

int32_t local_load(void *impl, inf_op *op, inf_error *err)
{
    return preparation_of_bytes(impl, op, NULL, 0, false, run_load, err);
}

/* What is loaded (the model, or a tokenizer alone) goes when its last request has ended, and the operation ends
 * with it. */
static void run_unload(struct preparation *prep)
{
    struct local_provider *p = prep->provider;
    struct instance *i = NULL;

    pthread_mutex_lock(&p->lock);
    i = p->instance ? p->instance : p->tokenizer;
    p->instance = NULL;
    p->tokenizer = NULL;
    pthread_mutex_unlock(&p->lock);
    if (!i) {
        preparation_end(prep, NULL);
        return;
    }
    i->unload = prep->op;
    preparation_free(prep);
    instance_unref(i);
}

int32_t local_unload(void *impl, inf_op *op, inf_error *err)
{
    return preparation_of_bytes(impl, op, NULL, 0, false, run_unload, err);
}

/* ------------------------------------------------------------------ life */

void local_destroy(void *impl)
{
    struct local_provider *p = impl;

    if (!p)
        return;
    instance_unref(p->tokenizer);
    instance_unref(p->instance);
    pthread_mutex_lock(&p->lock);
    while (p->n_instances > 0)
        pthread_cond_wait(&p->all_freed, &p->lock);
    pthread_mutex_unlock(&p->lock);
    registry_free(p->registry);
    chat_template_free(p->chat_template);
    chat_template_free(p->tools_template);
    p->ops->destroy(p->model);
    pthread_cond_destroy(&p->all_freed);
    pthread_mutex_destroy(&p->lock);
    pthread_mutex_destroy(&p->load_lock);
    mem_free(p->path);
    mem_free(p);
}

/* More threads than can run wait for each other at every step. */
static void check_threads(inf_context *ctx, const inf_provider_config *config)
{
    int32_t n = config->n_threads > 0 ? cpu_threads() : 0;

    if (config->n_threads > n)
        context_log(
            ctx, INF_LOG_WARNING,
            "n_threads %d: this process has %d CPU%s; more threads than that are far slower",
            config->n_threads, n, n == 1 ? "" : "s");
}

int32_t local_create(void **impl, const struct model_ops *ops, inf_context *ctx,
                     const inf_provider_config *config, inf_error *err)
{
    struct registry_limits limits = {.max_adapters = config->max_adapters,
                                     .max_bytes = config->max_adapter_bytes,
                                     .evict = config->adapter_overflow ==
                                              INF_ADAPTER_OVERFLOW_EVICT};
    struct local_provider *p = mem_calloc(1, sizeof *p);
    int32_t code = INF_OK;

    *impl = NULL;
    if (!p)
        return error_no_memory(err);
    pthread_mutex_init(&p->load_lock, NULL);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->all_freed, NULL);
    p->context = ctx;
    p->ops = ops;
    p->config = *config;
    p->path = mem_strdup(config->base_url);
    p->config.base_url = p->path;
    code = p->path ? ops->create(&p->model, ctx, &p->config, err) : error_no_memory(err);
    if (code == INF_OK)
        code = registry_create(&p->registry, &limits, ops->adapter_free, err);
    if (code != INF_OK) {
        local_destroy(p);
        return code;
    }
    check_threads(ctx, config);
    *impl = p;
    return INF_OK;
}

void local_stats(void *impl, inf_provider_stats *stats)
{
    struct local_provider *p = impl;
    struct instance *i = loaded(p, false);
    struct scheduler_stats now = {0};

    if (i)
        scheduler_get_stats(i->scheduler, &now);
    pthread_mutex_lock(&p->lock);
    add_stats(&now, &p->before);
    pthread_mutex_unlock(&p->lock);
    stats->steps = now.steps;
    stats->shared_steps = now.shared_steps;
    stats->rows = now.rows;
    stats->requests = now.requests;
    stats->prefix_tokens = now.prefix_tokens;
    stats->active = now.active;
    stats->queued = atomic_load(&p->in_flight) - now.active;
    if (stats->queued < 0)
        stats->queued = 0;
    stats->kv_bytes = atomic_load(&p->kv_bytes);
    stats->model_loaded = i != NULL;
    registry_count(p->registry, &stats->adapters, &stats->pins, &stats->adapter_bytes);
    instance_unref(i);
}
