/*
 * factory: which row a name, a type or the environment means, and the cache.
 *
 * The cache is the context's provider list itself: an entry with `cached` set holds one reference.
 */
#include "core/config.h"
#include "core/context_state.h"
#include "core/provider_state.h"
#include "core/structs.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ------------------------------------------------------------------ the rows */

static const struct provider_ops *row_of(int32_t type)
{
    for (size_t i = 0; backends[i]; i++)
        if (backends[i]->type == type)
            return backends[i];
    return NULL;
}

static const struct provider_ops *row_named(const char *name)
{
    for (size_t i = 0; backends[i]; i++)
        if (strcasecmp(backends[i]->name, name) == 0)
            return backends[i];
    return NULL;
}

const char *inf_provider_type_name(int32_t type)
{
    const struct provider_ops *ops = row_of(type);

    return ops ? ops->name : NULL;
}

int32_t inf_provider_type_info(inf_provider_info *out, size_t size, int32_t type)
{
    const struct provider_ops *ops = row_of(type);
    inf_provider_info info = {0};

    if (!out || !ops)
        return INF_ERROR_INVALID_ARGUMENT;
    info.type = ops->type;
    info.in_process = ops->in_process;
    info.name = ops->name;
    info.url_variable = ops->url_variable;
    info.default_url = ops->default_url;
    info.missing = ops->missing;
    return struct_write(out, size, &info, sizeof info) ? INF_OK : INF_ERROR_INVALID_ARGUMENT;
}

const struct provider_ops *provider_row_of_model(const char *path)
{
    for (size_t i = 0; backends[i]; i++)
        if (backends[i]->owns_model && backends[i]->owns_model(path))
            return backends[i];
    return NULL;
}

int32_t inf_provider_type_of_model(const char *path)
{
    const struct provider_ops *row = path && *path ? provider_row_of_model(path) : NULL;

    return row ? row->type : 0;
}

/* What is given, else what the environment says, else the default. */
static const char *resolve(const char *given, const char *variable, const char *otherwise)
{
    const char *value = NULL;

    if (given || !variable)
        return given ? given : otherwise;
    value = getenv(variable);
    return value && *value ? value : otherwise;
}

/* ------------------------------------------------------------------ without the cache */

/* Resolves what the environment has a say in, and checks. */
static int32_t settle(inf_provider_config *config, const struct provider_ops *ops, inf_error *err)
{
    if (ops->missing)
        return error_set(err, INF_ERROR_UNSUPPORTED, "%s", ops->missing);
    config->base_url = resolve(config->base_url, ops->url_variable, ops->default_url);
    config->device = resolve(config->device, ops->device_variable, NULL);
    return config_check(config, ops, err);
}

int32_t inf_provider_create(inf_provider **out, inf_context *ctx, const inf_provider_config *config,
                            inf_error *err)
{
    inf_provider_config read;
    const struct provider_ops *ops = NULL;
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
    ops = row_of(read.type);
    if (!ops)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "type: %d is no inf_provider_type",
                         read.type);
    code = settle(&read, ops, err);
    if (code == INF_OK)
        code = provider_create_with_ops(out, ctx, ops, &read, err);
    return code == INF_OK ? error_none(err) : code;
}

/* ------------------------------------------------------------------ the cache */

/* The cached provider with a new reference; the lock is held. */
static inf_provider *find_cached(inf_context *ctx, int32_t type, const char *base_url)
{
    for (inf_provider *p = ctx->providers.first; p; p = p->next)
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

/* "vllm, ollama and ..." */
static int32_t unknown_type(const char *name, inf_error *err)
{
    char known[256] = "";
    size_t at = 0;

    for (size_t i = 0; backends[i] && at < sizeof known; i++)
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s",
                               i == 0            ? ""
                               : backends[i + 1] ? ", "
                                                 : " and ",
                               backends[i]->name);
    return error_set(err, INF_ERROR_INVALID_ARGUMENT, "unknown provider '%s'; supported are %s",
                     name, known);
}

/* The first row is the default. */
static int32_t find_row(const struct provider_ops **out, const char *type, inf_error *err)
{
    const char *name = resolve(type, "INFERENCE_PROVIDER", backends[0]->name);

    *out = row_named(name);
    return *out ? INF_OK : unknown_type(name, err);
}

/* The arguments of a get and its options as one configuration, whose type and base_url agree. */
static int32_t read_get(inf_provider_config *out, const struct provider_ops **ops, const char *type,
                        const char *base_url, const inf_provider_config *options, inf_error *err)
{
    int32_t code = INF_OK;

    inf_provider_config_default(out, sizeof *out);
    code = struct_read(out, sizeof *out, options, "inf_provider_config", err);
    if (code != INF_OK)
        return code;
    *ops = out->type && !type ? row_of(out->type) : NULL;
    if (out->type && !type && !*ops)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "type: %d is no inf_provider_type",
                         out->type);
    if (!*ops)
        code = find_row(ops, type, err);
    if (code != INF_OK)
        return code;
    if (out->type && out->type != (*ops)->type)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "type: the options' is another than the argument '%s'", type);
    if (base_url && out->base_url && strcmp(base_url, out->base_url) != 0)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "base_url: the options' is another than the argument");
    out->type = (*ops)->type;
    out->base_url = base_url ? base_url : out->base_url;
    return INF_OK;
}

int32_t inf_provider_get(inf_provider **out, inf_context *ctx, const char *type,
                         const char *base_url, const inf_provider_config *options, inf_error *err)
{
    const struct provider_ops *ops = NULL;
    inf_provider_config config;
    inf_provider *p = NULL;
    int32_t code = INF_OK;

    if (!out || !ctx)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "out or ctx is NULL");
    *out = NULL;
    code = context_check(ctx, false, err);
    if (code == INF_OK)
        code = read_get(&config, &ops, type, base_url, options, err);
    if (code == INF_OK)
        code = settle(&config, ops, err);
    if (code != INF_OK)
        return code;
    p = look_up(ctx, ops->type, config.base_url);
    if (!p) {
        code = provider_create_with_ops(&p, ctx, ops, &config, err);
        p = code == INF_OK ? cache(ctx, p) : NULL;
    }
    if (code == INF_OK && options)
        code = config_compare(&p->config, &config, err);
    if (code != INF_OK) {
        provider_unref(p);
        return code;
    }
    *out = p;
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
        code = inf_provider_get(out, ctx, type, base_url, NULL, err);
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
