/*
 * backends: the composition root, the only file that knows which providers this build has.
 */
#include "core/file.h"
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
