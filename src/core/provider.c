/*
 * provider: references, the cache, the factory, and the life of what a backend made.
 *
 * The cache is the context's provider list itself: an entry with `cached` set holds one reference.
 */
#include "core/context_state.h"

#include "core/memory.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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
        ctx->providers = p->next;
    if (p->next)
        p->next->previous = p->previous;
}

static void free_provider(inf_provider *p)
{
    inf_context *ctx = p->context;

    mem_free(p->base_url);
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
    if (--ctx->n_destroying == 0)
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
    ctx->n_destroying += has_impl;
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
    for (p = ctx->providers; p && !p->cached; p = p->next)
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
    for (inf_provider *p = ctx->providers; p && !impl; p = p->next) {
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
    while (ctx->n_destroying > 0)
        pthread_cond_wait(&ctx->idle, &ctx->lock);
    pthread_mutex_unlock(&ctx->lock);
}

/* ------------------------------------------------------------------ configuration */

void inf_provider_config_default(inf_provider_config *config, size_t size)
{
    inf_provider_config defaults = {.struct_size = sizeof defaults,
                                    .n_ctx = 4096,
                                    .n_gpu_layers = -1,
                                    .max_sequences = 16,
                                    .queue_limit = 1024,
                                    .prefill_chunk = 128,
                                    .kv_budget_bytes = UINT64_C(4) << 30,
                                    .connect_timeout_ms = 5000,
                                    .silence_timeout_ms = 60000,
                                    .max_retries = 2};

    struct_write(config, size, &defaults, sizeof defaults);
}

static int32_t check_int(const char *field, int64_t value, int64_t low, int64_t high,
                         inf_error *err)
{
    if (value >= low && value <= high)
        return INF_OK;
    return error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, value, "%s: %lld is not in %lld..%lld",
                            field, (long long)value, (long long)low, (long long)high);
}

static int32_t check_config(const inf_provider_config *c, inf_error *err)
{
    const struct {
        const char *field;
        int64_t value, low, high;
    } checks[] = {{"n_ctx", c->n_ctx, 16, 1 << 24},
                  {"n_gpu_layers", c->n_gpu_layers, -1, 1 << 20},
                  {"n_threads", c->n_threads, 0, 512},
                  {"max_sequences", c->max_sequences, 1, 64},
                  {"queue_limit", c->queue_limit, 0, 1 << 24},
                  {"prefill_chunk", c->prefill_chunk, 1, 1 << 20},
                  {"flash_attention", c->flash_attention, 0, INF_FLASH_ATTENTION_OFF},
                  {"adapter_execution", c->adapter_execution, 0, INF_ADAPTERS_NATIVE},
                  {"adapter_overflow", c->adapter_overflow, 0, INF_ADAPTER_OVERFLOW_EVICT},
                  {"reserved", c->reserved, 0, 0},
                  {"connect_timeout_ms", c->connect_timeout_ms, 1, INT32_MAX},
                  {"silence_timeout_ms", c->silence_timeout_ms, 1, INT32_MAX},
                  {"max_retries", c->max_retries, 0, 10},
                  {"adapter_check", c->adapter_check, 0, INF_ADAPTER_CHECK_NEVER}};
    int32_t code = INF_OK;

    for (size_t i = 0; i < sizeof checks / sizeof *checks && code == INF_OK; i++)
        code = check_int(checks[i].field, checks[i].value, checks[i].low, checks[i].high, err);
    if (code == INF_OK && c->kv_budget_bytes == 0)
        code = error_set(err, INF_ERROR_INVALID_ARGUMENT, "kv_budget_bytes: 0 holds no request");
    return code;
}

/* A server has no use for what is said to a provider in process. */
static int32_t check_server_config(const inf_provider_config *c, inf_error *err)
{
    inf_provider_config d;

    inf_provider_config_default(&d, sizeof d);
    /* Field by field: the padding of a caller's struct may hold anything. */
    if (c->n_ctx == d.n_ctx && c->n_gpu_layers == d.n_gpu_layers && c->n_threads == d.n_threads &&
        c->max_sequences == d.max_sequences && c->queue_limit == d.queue_limit &&
        c->prefill_chunk == d.prefill_chunk && c->flash_attention == d.flash_attention &&
        c->adapter_execution == d.adapter_execution && c->kv_budget_bytes == d.kv_budget_bytes &&
        c->max_adapters == d.max_adapters && c->max_adapter_bytes == d.max_adapter_bytes &&
        c->adapter_overflow == d.adapter_overflow)
        return INF_OK;
    return error_set(
        err, INF_ERROR_INVALID_ARGUMENT,
        "this provider is a server: what is said of a model in process may not be set");
}

/* And the other way round. */
static int32_t check_local_config(const inf_provider_config *c, inf_error *err)
{
    inf_provider_config d;

    inf_provider_config_default(&d, sizeof d);
    if (!c->api_key && !c->headers && c->connect_timeout_ms == d.connect_timeout_ms &&
        c->silence_timeout_ms == d.silence_timeout_ms && c->max_retries == d.max_retries &&
        c->adapter_check == d.adapter_check)
        return INF_OK;
    return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                     "this provider runs in process: what is said of a server may not be set");
}

/* ------------------------------------------------------------------ making */

static const struct {
    int32_t type;
    const char *name, *variable, *url;
} types[] = {{INF_PROVIDER_VLLM, "vllm", "VLLM_BASE_URL", "http://localhost:8100/v1"},
             {INF_PROVIDER_OLLAMA, "ollama", "OLLAMA_BASE_URL", "http://localhost:11434/v1"},
             {INF_PROVIDER_LLAMACPP, "llamacpp", "LLAMACPP_MODEL_PATH", ""},
             {INF_PROVIDER_TRANSFORMERS, "transformers", "TRANSFORMERS_MODEL", ""}};

#define N_TYPES (sizeof types / sizeof *types)

const char *inf_provider_type_name(int32_t type)
{
    for (size_t i = 0; i < N_TYPES; i++)
        if (types[i].type == type)
            return types[i].name;
    return NULL;
}

static const char *resolve_url(int32_t type, const char *base_url)
{
    size_t i = 0;
    const char *value = NULL;

    if (base_url)
        return base_url;
    while (types[i].type != type)
        i++;
    value = getenv(types[i].variable);
    return value && *value ? value : types[i].url;
}

int32_t provider_create_with_ops(inf_provider **out, inf_context *ctx,
                                 const struct provider_ops *ops, const inf_provider_config *config,
                                 inf_error *err)
{
    inf_provider *p = mem_calloc(1, sizeof *p);
    inf_provider_config resolved = *config;
    int32_t code = INF_OK;

    *out = NULL;
    if (p)
        p->base_url = mem_strdup(config->base_url);
    if (!p || !p->base_url) {
        mem_free(p);
        return error_no_memory(err);
    }
    atomic_init(&p->refs, 1);
    p->context = ctx;
    p->ops = ops;
    context_ref(ctx);
    resolved.base_url = p->base_url;
    code = ops->create(&p->impl, ctx, &resolved, err);
    if (code != INF_OK) {
        free_provider(p);
        return code;
    }
    pthread_mutex_lock(&ctx->lock);
    if (ctx->closing) {
        code = INF_ERROR_STATE;
    } else {
        p->next = ctx->providers;
        if (p->next)
            p->next->previous = p;
        ctx->providers = p;
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

static int32_t make(inf_provider **out, inf_context *ctx, const inf_provider_config *config,
                    inf_error *err)
{
    const char *hint = "";
    const struct provider_ops *ops = backend_ops(config->type, &hint);
    int32_t code = INF_OK;

    if (!ops)
        return error_set(err, INF_ERROR_UNSUPPORTED, "%s", hint);
    code = check_config(config, err);
    if (code == INF_OK)
        code = ops->in_process ? check_local_config(config, err) : check_server_config(config, err);
    return code == INF_OK ? provider_create_with_ops(out, ctx, ops, config, err) : code;
}

int32_t inf_provider_create(inf_provider **out, inf_context *ctx, const inf_provider_config *config,
                            inf_error *err)
{
    inf_provider_config read;
    int32_t code = INF_OK;

    if (!out || !ctx || !config)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "out, ctx or config is NULL");
    *out = NULL;
    code = context_check(ctx, false, err);
    if (code != INF_OK)
        return code;
    inf_provider_config_default(&read, sizeof read);
    code = struct_read(&read, sizeof read, config, "inf_provider_config", err);
    if (code != INF_OK)
        return code;
    if (!inf_provider_type_name(read.type))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "type: %d is no inf_provider_type",
                         read.type);
    read.base_url = resolve_url(read.type, read.base_url);
    code = make(out, ctx, &read, err);
    return code == INF_OK ? error_none(err) : code;
}

/* ------------------------------------------------------------------ the factory */

/* The cached provider with a new reference; the lock is held. */
static inf_provider *find_cached(inf_context *ctx, int32_t type, const char *base_url)
{
    for (inf_provider *p = ctx->providers; p; p = p->next)
        if (p->cached && p->ops->type == type && strcmp(p->base_url, base_url) == 0)
            return provider_ref(p);
    return NULL;
}

static inf_provider *look_up(inf_context *ctx, int32_t type, const char *base_url)
{
    inf_provider *p = NULL;

    pthread_mutex_lock(&ctx->lock);
    p = find_cached(ctx, type, base_url);
    pthread_mutex_unlock(&ctx->lock);
    return p;
}

/* Caches `made` unless another thread was first; returns the cached one, referenced. */
static inf_provider *cache(inf_context *ctx, inf_provider *made)
{
    inf_provider *first = NULL;

    pthread_mutex_lock(&ctx->lock);
    first = find_cached(ctx, made->ops->type, made->base_url);
    if (!first) {
        made->cached = true;
        provider_ref(made);
    }
    pthread_mutex_unlock(&ctx->lock);
    if (!first)
        return made;
    provider_unref(made);
    return first;
}

static int32_t parse_type(const char *type, int32_t *out, inf_error *err)
{
    const char *name = type ? type : getenv("INFERENCE_PROVIDER");

    if (!name || !*name)
        name = type ? type : "vllm";
    for (size_t i = 0; i < N_TYPES; i++) {
        if (strcasecmp(name, types[i].name) == 0) {
            *out = types[i].type;
            return INF_OK;
        }
    }
    return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                     "unknown provider '%s'; supported are vllm, ollama, llamacpp and transformers",
                     name);
}

int32_t inf_provider_get(inf_provider **out, inf_context *ctx, const char *type,
                         const char *base_url, inf_error *err)
{
    inf_provider_config config;
    int32_t code = INF_OK;

    if (!out || !ctx)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "out or ctx is NULL");
    *out = NULL;
    code = context_check(ctx, false, err);
    if (code != INF_OK)
        return code;
    inf_provider_config_default(&config, sizeof config);
    code = parse_type(type, &config.type, err);
    if (code != INF_OK)
        return code;
    config.base_url = resolve_url(config.type, base_url);
    *out = look_up(ctx, config.type, config.base_url);
    if (*out)
        return error_none(err);
    code = make(out, ctx, &config, err);
    if (code != INF_OK)
        return code;
    *out = cache(ctx, *out);
    return error_none(err);
}

/* A string member, NULL when absent or null; false when it is something else. */
static bool get_string(const json_t *object, const char *key, const char **out)
{
    const json_t *value = json_object_get(object, key);

    *out = json_string_value(value);
    return !value || json_is_null(value) || *out;
}

int32_t inf_provider_get_for_step(inf_provider **out, inf_context *ctx, inf_text step_json,
                                  inf_error *err)
{
    const char *type = NULL;
    const char *base_url = NULL;
    json_error_t why;
    json_t *step = NULL;
    int32_t code = INF_OK;

    if (!out || !ctx || !step_json.data)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "out, ctx or step_json is NULL");
    *out = NULL;
    code = context_check(ctx, false, err);
    if (code != INF_OK)
        return code;
    step = json_loadb(step_json.data, step_json.len, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(step))
        code = error_set(err, INF_ERROR_INVALID_ARGUMENT, "step: not a JSON object%s%s",
                         step ? "" : ": ", step ? "" : why.text);
    else if (!get_string(step, "provider", &type) || !get_string(step, "base_url", &base_url))
        code = error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "step: provider and base_url must be strings");
    else
        code = inf_provider_get(out, ctx, type, base_url, err);
    json_decref(step);
    return code;
}

int32_t inf_provider_evict(inf_provider *provider, inf_error *err)
{
    bool cached = false;
    int32_t code = INF_OK;

    if (!provider)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "provider is NULL");
    code = context_check(provider->context, false, err);
    if (code != INF_OK)
        return code;
    pthread_mutex_lock(&provider->context->lock);
    cached = provider->cached;
    provider->cached = false;
    pthread_mutex_unlock(&provider->context->lock);
    if (!cached)
        return error_set(err, INF_ERROR_NOT_FOUND, "the provider is not in the cache");
    provider_unref(provider);
    return error_none(err);
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

/* The provider's inside, which closing leaves alone until end_look; NULL once it is closed. */
static void *begin_look(inf_provider *p)
{
    void *impl = NULL;

    pthread_mutex_lock(&p->context->lock);
    impl = p->context->closing ? NULL : p->impl;
    p->context->n_ops += impl != NULL;
    pthread_mutex_unlock(&p->context->lock);
    return impl;
}

static void end_look(inf_provider *p)
{
    pthread_mutex_lock(&p->context->lock);
    if (--p->context->n_ops == 0)
        pthread_cond_broadcast(&p->context->idle);
    pthread_mutex_unlock(&p->context->lock);
}

int32_t provider_list_adapters(inf_provider *p, inf_adapter_list *list, inf_error *err)
{
    void *impl = begin_look(p);
    int32_t code = INF_OK;

    if (!impl)
        return error_set(err, INF_ERROR_STATE, "the context is closed");
    if (p->ops->adapters)
        code = p->ops->adapters(impl, list, err);
    end_look(p);
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
    end_look(provider);
    struct_write(stats, size, &s, sizeof s);
    return error_none(err);
}
