/*
 * backends: the composition root, the only file that knows which providers this build has.
 */
#include "core/error.h"
#include "core/file.h"
#include "core/memory.h"
#include "core/provider.h"
#include "remote/remote.h"

#include "llamacpp/llamacpp.h"
#include "transformers/transformers.h"

#ifndef INF_WITH_LLAMACPP
static const struct provider_ops no_llamacpp = {
    LLAMACPP_IDENTITY,
    .missing = "this build has no llamacpp provider; configure it with -DINF_LLAMACPP=ON"};

static const struct provider_ops no_transformers = {
    TRANSFORMERS_IDENTITY, .owns_model = is_directory,
    .missing = "this build has no transformers provider; configure it with -DINF_LLAMACPP=ON"};
#endif

const struct provider_ops *const backends[] = {&vllm_provider_ops, &ollama_provider_ops,
#ifdef INF_WITH_LLAMACPP
                                               &llamacpp_provider_ops, &transformers_provider_ops,
#else
                                               &no_llamacpp, &no_transformers,
#endif
                                               NULL};

#ifdef INF_WITH_LLAMACPP
static int32_t inspect(struct buffer *out, const char *path, const char *base, inf_error *err)
{
    if (!transformers_is_checkpoint(path))
        return llamacpp_inspect(out, path, base, err);
    if (base)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "%s is a model, not an adapter; only an adapter is held against a base",
                         path);
    return transformers_inspect(out, path, err);
}
#endif

int32_t backend_inspect(struct buffer *out, const char *path, const char *base, inf_error *err)
{
#ifdef INF_WITH_LLAMACPP
    char *cached = transformers_cached(path);
    char *cached_base = base ? transformers_cached(base) : NULL;
    int32_t code = inspect(out, cached ? cached : path, cached_base ? cached_base : base, err);

    mem_free(cached);
    mem_free(cached_base);
    return code;
#else
    (void)out;
    (void)base;
    return error_set(err, INF_ERROR_UNSUPPORTED,
                     "this build cannot inspect %s; configure it with -DINF_LLAMACPP=ON", path);
#endif
}
