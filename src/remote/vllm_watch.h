/*
 * vllm_watch: requests in flight to several replicas, and whether those answer.
 *
 * A replica that takes connections and never answers is found out so: a request that has waited for
 * the first byte as long as connecting may take, or ended by a timeout without one, makes it suspect.
 * A suspect is asked for its list of models; if it does not give that within the same time it is
 * dead, and the requests that still wait for its first byte are cancelled, to go elsewhere. One that
 * gives it is merely slow, and keeps them. A single server has nobody to be compared with.
 */
#ifndef INF_REMOTE_VLLM_WATCH_H
#define INF_REMOTE_VLLM_WATCH_H

#include "remote/chat_call.h"
#include "remote/vllm_servers.h"

/* The lock is held for all of these, and guards what they look at. */

/* A request in flight. */
struct flight {
    struct flight *next, *previous;
    const struct chat_call *call;
    size_t replica;
    bool moved; /* its replica was found dead while it waited for the answer's first byte */
};

void vllm_watch_add(struct vllm *v, struct flight *f);
void vllm_watch_remove(struct vllm *v, struct flight *f);
/* For struct control. */
bool vllm_watch(void *owner);
/* Has a replica asked whether it is there. */
void vllm_suspect(struct vllm *v, size_t i);

#endif
