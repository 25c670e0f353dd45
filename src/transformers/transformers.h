/* transformers: what the rest of the library sees of the provider of Hugging Face checkpoints. */
#ifndef INF_TRANSFORMERS_TRANSFORMERS_H
#define INF_TRANSFORMERS_TRANSFORMERS_H

#include "core/provider.h"

extern const struct provider_ops transformers_provider_ops;

/* What is known of the provider in a build that leaves it out, too. */
#define TRANSFORMERS_IDENTITY                                                                      \
    .type = INF_PROVIDER_TRANSFORMERS, .name = "transformers",                                     \
    .url_variable = "TRANSFORMERS_MODEL_NAME", .default_url = "",                                  \
    .device_variable = "TRANSFORMERS_DEVICE", .in_process = true

/* The row's check_config, owns_model, inspect and check_fit. */
int32_t transformers_check_config(inf_provider_config *config, inf_error *err);
bool transformers_owns(const char *path);
int32_t transformers_inspect(struct buffer *out, const char **adapter, const char *path,
                             inf_error *err);
int32_t transformers_check_fit(const char *base, const char *adapter, inf_error *misfit,
                               inf_error *err);

#endif
