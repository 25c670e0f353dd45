/*
 * adapter_names: the adapters of a vLLM provider, the names they have on its servers, and which server
 * has which.
 *
 * vLLM's prefix cache knows an adapter by its name and path alone: new weights under a used name are
 * answered from the old ones' cache. So a server-side name is used once in the server's life: an id's
 * first load keeps the id itself, every later one, after an unload too, gets a fresh name: id@2,
 * id@3, ... whatever stands on the server or was ever seen there counts as used, whoever put it
 * there.
 *
 * A generation is one load of an id, under a name of its own. It is known here from before its load is
 * sent until nobody uses it and no server may have it: its removal is confirmed, or it was refused, or
 * is listed no longer. Only what is known here is ever unloaded without being asked for by name.
 *
 * Knows nothing of HTTP. Threads: not thread-safe; the provider's lock guards it.
 */
#ifndef INF_REMOTE_ADAPTER_NAMES_H
#define INF_REMOTE_ADAPTER_NAMES_H

#include "core/op.h"
#include "remote/adapter_files.h"
#include "core/name_set.h"
#include "remote/replicas.h"

enum generation_state {
    GENERATION_LOADING, /* its load has not ended */
    GENERATION_CURRENT, /* its id names it */
    GENERATION_GOING,   /* replaced or hidden; requests may still use it */
    GENERATION_LEFT     /* nobody uses it; a server may have it */
};

struct generation {
    char *id, *name, *path; /* constant */
    struct files_digest digest;
    inf_adapter_report report; /* its number there is from 1, and grows with every load */
    enum generation_state state;
    int64_t pins;
    void *waiting;               /* for the last pin to go */
    uint64_t where;              /* bit i: replica i has it from us, as far as is known, or may */
    uint32_t life[REPLICAS_MAX]; /* the replica's (replicas.h) in which it was last seen there */
    int64_t until_us;            /* until then a server may still be about to have it */
};

struct adapter_names {
    struct generation **items; /* (n), sorted by name */
    size_t n, capacity;
    struct name_set used; /* names ever seen on a server, or sent to one */
    uint64_t next_number;
};

void adapter_names_init(struct adapter_names *a);
void adapter_names_free(struct adapter_names *a);

/* A generation whose load begins. Its name, used from now on: the id when that was never used, else
 * the first id@2, id@3, ... that was not. NULL: out of memory. */
struct generation *adapter_names_add(struct adapter_names *a, const char *id, const char *path);
/* Makes g its id's current generation. Returns the one it replaced, now going, or NULL. */
struct generation *adapter_names_commit(struct adapter_names *a, struct generation *g);
/* A going one is its id's current one again, unless there is another: false. */
bool adapter_names_restore(struct adapter_names *a, struct generation *g);
/* Nobody uses it (any more): it is freed once no server may have it. */
void adapter_names_leave(struct adapter_names *a, struct generation *g);
/* What has that name is not on these replicas, or not from us. */
void adapter_names_removed(struct adapter_names *a, const char *name, uint64_t where);

/* The id's current generation, or NULL. id: NUL behind it. */
struct generation *adapter_names_current(const struct adapter_names *a, const char *id, size_t len);
/* The id has generations that are going, and none that is current. */
bool adapter_names_is_going(const struct adapter_names *a, const char *id, size_t len);
/* The generation with that server-side name, whatever its state, or NULL. */
struct generation *adapter_names_find(const struct adapter_names *a, const char *name);
/* It is current or going: requests may use it. */
bool generation_serves(const struct generation *g);

/* A current one is going from now on. true: no request has it; else `waiting` is given to whoever gives
 * the last pin back. */
bool generation_hide(struct generation *g, void *waiting);
static inline void generation_pin(struct generation *g)
{
    g->pins++;
}

/* Gives a pin back. What waited for it being the last, or NULL. */
void *generation_unpin(struct generation *g);

/* Replica i has it from us as far as is known, or may. */
static inline bool generation_may_be_on(const struct generation *g, size_t i)
{
    return replica_in(g->where, i);
}

/* It was seen there, ours, in that life. */
static inline bool generation_was_seen(const struct generation *g, size_t i, uint32_t life)
{
    return g->life[i] == life;
}

static inline void generation_saw(struct generation *g, size_t i, uint32_t life)
{
    g->where |= replica_bit(i);
    g->life[i] = life;
}

/* Adds every current generation to the list. */
int32_t adapter_names_list(const struct adapter_names *a, inf_adapter_list *list, inf_error *err);

#endif
