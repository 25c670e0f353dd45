/*
 * backends: the composition root, the only file that knows which providers this build has.
 */
#include "core/error.h"
#include "core/provider.h"
#include "remote/remote.h"

#include "llamacpp/llamacpp.h"

#include <sys/stat.h>

#ifndef INF_WITH_LLAMACPP
static const struct provider_ops no_llamacpp = {
    LLAMACPP_IDENTITY,
    .missing = "this build has no llamacpp provider; configure it with -DINF_LLAMACPP=ON"};
#endif

static bool is_directory(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static const struct provider_ops no_transformers = {
    .type = INF_PROVIDER_TRANSFORMERS,
    .name = "transformers",
    .url_variable = "TRANSFORMERS_MODEL_NAME",
    .default_url = "",
    .device_variable = "TRANSFORMERS_DEVICE",
    .in_process = true,
    .owns_model = is_directory,
    .missing =
        "the transformers provider is not part of this version; convert the checkpoint to GGUF "
        "and use llamacpp, which takes PEFT adapters as they are"};

const struct provider_ops *const backends[] = {&vllm_provider_ops, &ollama_provider_ops,
#ifdef INF_WITH_LLAMACPP
                                               &llamacpp_provider_ops,
#else
                                               &no_llamacpp,
#endif
                                               &no_transformers, NULL};

int32_t backend_inspect(struct buffer *out, const char *path, const char *base, inf_error *err)
{
#ifdef INF_WITH_LLAMACPP
    return llamacpp_inspect(out, path, base, err);
#else
    (void)out;
    (void)base;
    return error_set(err, INF_ERROR_UNSUPPORTED,
                     "this build cannot inspect %s; configure it with -DINF_LLAMACPP=ON", path);
#endif
}
