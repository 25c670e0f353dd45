/* vllm_load: loading on the servers, on all of the live ones or on none. On control threads. */
#ifndef INF_REMOTE_VLLM_LOAD_H
#define INF_REMOTE_VLLM_LOAD_H

#include "core/provider.h"
#include "remote/vllm_servers.h"

/* The provider's slot. */
int32_t vllm_adapter_load(void *impl, inf_op *op, const char *id,
                          const struct adapter_source *source, inf_error *err);

#endif
