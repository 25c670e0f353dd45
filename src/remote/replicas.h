/*
 * replicas: several servers behind one provider: which of them gets the next request, which is
 * dead, and when a dead one is tried again. Pure bookkeeping: no I/O.
 *
 * A dead replica gets no request. Once its time has come it is revived: whoever asks (replica_due)
 * gives it every tracked adapter first, and only then it serves again. A single server is never
 * dead: there is no other to ask.
 *
 * Not thread-safe: the provider's lock guards it.
 */
#ifndef INF_REMOTE_REPLICAS_H
#define INF_REMOTE_REPLICAS_H

#include "remote/adapter_names.h"
#include "remote/server.h"

#define REPLICA_NONE SIZE_MAX

struct replica {
    struct server server;
    int64_t busy; /* requests in flight */
    bool dead, reviving;
    int32_t failures; /* since it last answered */
    int64_t retry_us; /* when a dead one is tried again */
};

struct replicas {
    struct replica items[REPLICAS_MAX];
    size_t n;
    size_t next; /* where looking starts, so that equals take turns */
};

/* The least busy live one that has g (NULL: any) and whose bit is not in `tried`; when none is
 * live, the dead one whose time comes first, tried as it is; REPLICA_NONE when all were tried. */
size_t replicas_pick(struct replicas *r, const struct generation *g, uint64_t tried);
/* More than one could take the request. */
bool replicas_more(const struct replicas *r, uint64_t tried);
/* No answer came from it. */
void replicas_failed(struct replicas *r, size_t i, int64_t now_us);
/* It answered, and has everything it needs. */
void replicas_alive(struct replicas *r, size_t i);
/* A dead one whose time has come, now marked as being revived; REPLICA_NONE when there is none. */
size_t replicas_due(struct replicas *r, int64_t now_us);

#endif
