/*
 * replicas: several servers behind one provider: which of them gets the next request, which is
 * dead, and when a dead one is tried again. Pure bookkeeping: no I/O.
 *
 * A dead replica gets no request. Once its time has come it is revived: whoever asks (replica_due)
 * gives it every tracked adapter first, and only then it serves again. A single server is never
 * dead: there is no other to ask.
 *
 * What makes one dead: no connection within the connect timeout, a connection that broke, or a list of
 * models that it did not give within the same time. A request that waits long for its answer, or
 * ends by its timeout, makes its replica suspect only: it is then asked for its list, which a server
 * that is merely slow gives at once. So no user's short timeout takes a replica away.
 *
 * A life of a server is the time in which it is known not to have been started anew. Another begins
 * when a connection failed, when it did not know an adapter that it had, and when nothing was heard
 * of it for CONTACT_US: then it may have lost its adapters, and somebody may have given it others
 * under their names. An adapter is used only when it was seen there in the present life.
 *
 * Not thread-safe: the provider's lock guards it.
 */
#ifndef INF_REMOTE_REPLICAS_H
#define INF_REMOTE_REPLICAS_H

#include "remote/server.h"

enum { REPLICAS_MAX = 64 };
#define REPLICA_NONE SIZE_MAX

/* No server is stopped, started again, and given adapters in less. */
enum { CONTACT_US = 2000 * 1000 };

struct replica {
    struct server server;
    int64_t busy; /* requests in flight */
    bool dead, reviving, suspect;
    int32_t failures; /* since it last answered */
    int64_t retry_us; /* when a dead one is tried again */
    uint32_t life;    /* grows; 0 is no life */
    int32_t n_asking; /* who is finding out what it has */
    int64_t heard_us; /* when it last answered */
    int64_t asked_us; /* when it was last asked as a suspect */
};

struct replicas {
    struct replica items[REPLICAS_MAX];
    size_t n;
    size_t next; /* where looking starts, so that equals take turns */
};

/* Bit i of a mask is replica i. */
static inline uint64_t replica_bit(size_t i)
{
    return UINT64_C(1) << i;
}

static inline bool replica_in(uint64_t mask, size_t i)
{
    return mask >> i & 1;
}

/* The least busy live one whose bit is in `having` and not in `tried`, else one that is just not in
 * `tried`; when none is live, the dead one whose time comes first, tried as it is; REPLICA_NONE when
 * all were tried. */
size_t replicas_pick(struct replicas *r, uint64_t having, uint64_t tried);
/* More than one could take the request. */
bool replicas_more(const struct replicas *r, uint64_t tried);
/* No answer came from it to what was sent in that life; if that is over, nothing changes. */
void replicas_failed(struct replicas *r, size_t i, uint32_t life, int64_t now_us);
/* It answered. */
void replicas_heard(struct replicas *r, size_t i, int64_t now_us);
/* It was started anew, or may have been, since that life. */
void replicas_reborn(struct replicas *r, size_t i, uint32_t life);
/* Its life; another one when nothing was heard for long and nobody is connected to it. */
uint32_t replicas_life(struct replicas *r, size_t i, int64_t now_us);
/* It answered, and has everything it needs. */
void replicas_alive(struct replicas *r, size_t i);
/* A dead one whose time has come, now marked as being revived; REPLICA_NONE when there is none. */
size_t replicas_due(struct replicas *r, int64_t now_us);

#endif
