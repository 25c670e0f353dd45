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

/* provider_ops.check_config and owns_model. */
int32_t transformers_check_config(inf_provider_config *config, inf_error *err);
bool transformers_owns(const char *path);

/* The directory of an id that the hub's local cache has (mem_*, the caller's); NULL for a path, and for
 * anything else. May do I/O. */
char *transformers_cached(const char *path);
/* Whether a directory is a model's, not an adapter's. */
bool transformers_is_checkpoint(const char *path);
/* What a checkpoint's directory is, as inf_inspect_start describes; may do I/O. */
int32_t transformers_inspect(struct buffer *out, const char *dir, inf_error *err);

#endif
