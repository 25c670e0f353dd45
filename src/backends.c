/*
 * backends: the composition root, the only file that knows which providers this build has.
 */
#include "core/error.h"
#include "core/provider.h"
#include "remote/remote.h"

#ifdef INF_WITH_LLAMACPP
#include "llamacpp/llamacpp.h"
#endif

const struct provider_ops *backend_ops(int32_t type, const char **hint)
{
    switch (type) {
    case INF_PROVIDER_LLAMACPP:
#ifdef INF_WITH_LLAMACPP
        return &llamacpp_provider_ops;
#else
        *hint = "this build has no llamacpp provider; configure it with -DINF_LLAMACPP=ON";
        return NULL;
#endif
    case INF_PROVIDER_VLLM:
        return &vllm_provider_ops;
    case INF_PROVIDER_OLLAMA:
        return &ollama_provider_ops;
    default:
        *hint = "the transformers provider is not part of this version; convert the checkpoint to "
                "GGUF and use llamacpp, which takes PEFT adapters as they are";
        return NULL;
    }
}

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
