/* remote: the providers that are servers. */
#ifndef INF_REMOTE_REMOTE_H
#define INF_REMOTE_REMOTE_H

#include "core/provider.h"

extern const struct provider_ops vllm_provider_ops;
extern const struct provider_ops ollama_provider_ops;

#endif
