/* llamacpp: what the rest of the library sees of the llama.cpp provider. */
#ifndef INF_LLAMACPP_LLAMACPP_H
#define INF_LLAMACPP_LLAMACPP_H

#include "core/provider.h"

extern const struct provider_ops llamacpp_provider_ops;

/* What a GGUF file or an adapter is, as inf_inspect_start describes; may do I/O. */
int32_t llamacpp_inspect(struct buffer *out, const char *path, const char *base, inf_error *err);

#endif
