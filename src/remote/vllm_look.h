/*
 * vllm_look: whether a server has an adapter that may have been started anew, and what it lacks when a
 * dead one comes back. What it has lost is loaded there again; what another program has put there under
 * a name of ours is neither used nor unloaded. On control threads.
 */
#ifndef INF_REMOTE_VLLM_LOOK_H
#define INF_REMOTE_VLLM_LOOK_H

#include "remote/vllm_servers.h"

/* Somebody who waits for a look. The lock guards it. */
struct look_waiter {
    struct look *look; /* NULL: it does not wait */
    struct look_waiter *next;
    /* The look has ended; INF_OK: the adapter is there. On a control thread, without the lock. */
    void (*done)(struct look_waiter *w, const inf_error *err);
};

/* The lock is held for these three. */

/* Makes sure that replica i has g, which is pinned, and waits for that. Errors: STATE, NO_MEMORY. */
int32_t vllm_look(struct vllm *v, struct generation *g, size_t i, struct look_waiter *w,
                  inf_error *err);
/* Waits no longer. false: it did not wait, or not any more. */
bool vllm_look_leave(struct look_waiter *w);
/* Lets a dead replica be tried whose time has come: it serves once it has every adapter. */
void vllm_revive_due(struct vllm *v);

#endif
