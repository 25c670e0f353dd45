/*
 * provider: references, the context's list of providers, and the life of what a backend made. The
 * context's lock guards the list.
 */
#include "core/provider_state.h"

#include "core/config.h"
#include "core/context_state.h"
#include "core/in_flight.h"
#include "core/memory.h"
#include "core/structs.h"

/* ------------------------------------------------------------------ references */

inf_provider *provider_ref(inf_provider *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

static void unlink_provider(inf_context *ctx, inf_provider *p)
{
    if (p->previous)
        p->previous->next = p->next;
    else
        ctx->providers.first = p->next;
    if (p->next)
        p->next->previous = p->previous;
}

static void free_provider(inf_provider *p)
{
    inf_context *ctx = p->context;

    mem_free(p->base_url);
    config_free(&p->config);
    mem_free(p);
    context_unref(ctx);
}

static void destroy_provider(struct job *job)
{
    inf_provider *p = (inf_provider *)(void *)((char *)job - offsetof(inf_provider, destroy_job));
    inf_context *ctx = p->context;

    p->ops->destroy(p->impl);
    context_ref(ctx);
    free_provider(p);
    pthread_mutex_lock(&ctx->lock);
    if (--ctx->providers.n_destroying == 0)
        pthread_cond_broadcast(&ctx->idle);
    pthread_mutex_unlock(&ctx->lock);
    context_unref(ctx);
}

void provider_unref(inf_provider *p)
{
    inf_context *ctx = NULL;
    bool has_impl = false;

    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    ctx = p->context;
    pthread_mutex_lock(&ctx->lock);
    unlink_provider(ctx, p);
    has_impl = p->impl != NULL;
    ctx->providers.n_destroying += has_impl;
    pthread_mutex_unlock(&ctx->lock);
    if (!has_impl) {
        free_provider(p);
        return;
    }
    p->destroy_job.run = destroy_provider;
    context_submit(ctx, &p->destroy_job);
}

inf_provider *inf_provider_retain(inf_provider *provider)
{
    return provider ? provider_ref(provider) : NULL;
}

void inf_provider_release(inf_provider *provider)
{
    if (provider && !context_forked(provider->context))
        provider_unref(provider);
}

static bool drop_one_cached(inf_context *ctx)
{
    inf_provider *p = NULL;

    pthread_mutex_lock(&ctx->lock);
    for (p = ctx->providers.first; p && !p->cached; p = p->next)
        ;
    if (p)
        p->cached = false;
    pthread_mutex_unlock(&ctx->lock);
    provider_unref(p);
    return p != NULL;
}

/* A provider whose handle the caller still holds keeps its handle, not what is inside. */
static bool gut_one(inf_context *ctx)
{
    const struct provider_ops *ops = NULL;
    void *impl = NULL;

    pthread_mutex_lock(&ctx->lock);
    for (inf_provider *p = ctx->providers.first; p && !impl; p = p->next) {
        impl = p->impl;
        ops = p->ops;
        p->impl = NULL;
    }
    pthread_mutex_unlock(&ctx->lock);
    if (impl)
        ops->destroy(impl);
    return impl != NULL;
}

void providers_close(inf_context *ctx)
{
    while (drop_one_cached(ctx))
        ;
    while (gut_one(ctx))
        ;
    pthread_mutex_lock(&ctx->lock);
    while (ctx->providers.n_destroying > 0)
        pthread_cond_wait(&ctx->idle, &ctx->lock);
    pthread_mutex_unlock(&ctx->lock);
}

/* ------------------------------------------------------------------ making */

int32_t provider_create_with_ops(inf_provider **out, inf_context *ctx,
                                 const struct provider_ops *ops, const inf_provider_config *config,
                                 inf_error *err)
{
    inf_provider *p = mem_calloc(1, sizeof *p);
    inf_provider_config own;
    int32_t code = INF_OK;

    *out = NULL;
    if (!p)
        return error_no_memory(err);
    p->base_url = mem_strdup(config->base_url);
    code = p->base_url ? config_copy(&p->config, config, err) : error_no_memory(err);
    if (code != INF_OK) {
        mem_free(p->base_url);
        mem_free(p);
        return code;
    }
    atomic_init(&p->refs, 1);
    p->context = ctx;
    p->ops = ops;
    context_ref(ctx);
    own = p->config;
    own.base_url = p->base_url;
    code = ops->create(&p->impl, ctx, &own, err);
    if (code != INF_OK) {
        free_provider(p);
        return code;
    }
    pthread_mutex_lock(&ctx->lock);
    if (ctx->closing) {
        code = INF_ERROR_STATE;
    } else {
        p->next = ctx->providers.first;
        if (p->next)
            p->next->previous = p;
        ctx->providers.first = p;
    }
    pthread_mutex_unlock(&ctx->lock);
    if (code != INF_OK) {
        ops->destroy(p->impl);
        free_provider(p);
        return error_set(err, code, "the context is closed");
    }
    *out = p;
    return INF_OK;
}

int32_t inf_provider_type_of(const inf_provider *provider)
{
    return provider ? provider->ops->type : 0;
}

const char *inf_provider_base_url(const inf_provider *provider)
{
    return provider ? provider->base_url : "";
}

/* ------------------------------------------------------------------ what does no I/O */

/* The provider's inside, which closing leaves alone until the count goes down; NULL once it is closed. */
static void *begin_look(inf_provider *p)
{
    void *impl = NULL;

    pthread_mutex_lock(&p->context->lock);
    impl = p->context->closing ? NULL : p->impl;
    p->context->in_flight.n += impl != NULL;
    pthread_mutex_unlock(&p->context->lock);
    return impl;
}

int32_t provider_list_adapters(inf_provider *p, inf_adapter_list *list, inf_error *err)
{
    void *impl = begin_look(p);
    int32_t code = INF_OK;

    if (!impl)
        return error_set(err, INF_ERROR_STATE, "the context is closed");
    if (p->ops->adapters)
        code = p->ops->adapters(impl, list, err);
    in_flight_count_down(p->context);
    return code;
}

int32_t inf_provider_get_stats(inf_provider *provider, inf_provider_stats *stats, size_t size,
                               inf_error *err)
{
    inf_provider_stats s = {0};
    void *impl = NULL;
    int32_t code = INF_OK;

    if (!provider || !stats)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "provider or stats is NULL");
    code = context_check(provider->context, false, err);
    if (code != INF_OK)
        return code;
    if (!provider->ops->stats)
        return error_set(err, INF_ERROR_UNSUPPORTED, "this provider keeps no statistics");
    impl = begin_look(provider);
    if (!impl)
        return error_set(err, INF_ERROR_STATE, "the context is closed");
    provider->ops->stats(impl, &s);
    in_flight_count_down(provider->context);
    return struct_write(stats, size, &s, sizeof s)
               ? error_none(err)
               : error_set(err, INF_ERROR_INVALID_ARGUMENT,
                           "size: %zu bytes do not even hold struct_size", size);
}
