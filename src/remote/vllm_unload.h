/*
 * vllm_unload: unloading on the servers, once the last request on the adapter has ended. All but the
 * slot and vllm_retire is on control threads.
 */
#ifndef INF_REMOTE_VLLM_UNLOAD_H
#define INF_REMOTE_VLLM_UNLOAD_H

#include "remote/vllm_servers.h"

/* The provider's slot. */
int32_t vllm_adapter_unload(void *impl, inf_op *op, const char *id, inf_error *err);
/* Has a generation unloaded that was replaced, once its last request has ended. Without the lock. */
void vllm_retire(struct vllm *v, struct generation *g);
/* Unloads what we left on replica i and it lists: of a load that nobody waited for any more, of an
 * unload that did not reach it. Nothing else. */
void vllm_unload_leftovers(struct task *t, size_t i, const struct model_list *list);

#endif
