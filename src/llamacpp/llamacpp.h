/* llamacpp: what the rest of the library sees of the llama.cpp provider. */
#ifndef INF_LLAMACPP_LLAMACPP_H
#define INF_LLAMACPP_LLAMACPP_H

#include "core/provider.h"
#include "gguf/path.h"

extern const struct provider_ops llamacpp_provider_ops;

/* What is known of the provider in a build that leaves it out, too. */
#define LLAMACPP_IDENTITY                                                                          \
    .type = INF_PROVIDER_LLAMACPP, .name = "llamacpp", .url_variable = "LLAMACPP_MODEL_PATH",      \
    .default_url = "", .in_process = true, .owns_model = gguf_path

/* The row's check_config, inspect and check_fit. */
int32_t llamacpp_check_config(inf_provider_config *config, inf_error *err);
int32_t llamacpp_inspect(struct buffer *out, const char **adapter, const char *path,
                         inf_error *err);
int32_t llamacpp_check_fit(const char *base, const char *adapter, inf_error *misfit,
                           inf_error *err);

#endif
