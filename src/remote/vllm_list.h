/* vllm_list: which adapters there are: those that this provider tracks, and those on the servers. */
#ifndef INF_REMOTE_VLLM_LIST_H
#define INF_REMOTE_VLLM_LIST_H

#include "remote/vllm_servers.h"

/* The provider's slots. */
int32_t vllm_adapters(void *impl, inf_adapter_list *list, inf_error *err);
int32_t vllm_server_adapters(void *impl, inf_op *op, inf_error *err);

#endif
