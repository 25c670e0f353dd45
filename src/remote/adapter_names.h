/*
 * adapter_names: the adapters of a vLLM provider, and the names they have on its servers.
 *
 * vLLM's prefix cache knows an adapter by its name and path alone: new weights under a used name are
 * answered from the old ones' cache. So a server-side name is used once in the server's life: an id's
 * first load keeps the id itself, every later one, after an unload too, gets a fresh name: id@2,
 * id@3, ... whatever stands on the server or was ever seen there counts as used, whoever put it
 * there.
 *
 * What is ours on a server is written down for each name and server: from before a load is sent until
 * its removal is confirmed, or the server refused it, or lists it no longer. Only what stands here is
 * ever unloaded without being asked for by name.
 *
 * A generation is one load of an id. It lives while it is current or a request is pinned to it.
 * Knows nothing of HTTP. Threads: not thread-safe; the provider's lock guards it.
 */
#ifndef INF_REMOTE_ADAPTER_NAMES_H
#define INF_REMOTE_ADAPTER_NAMES_H

#include "core/error.h"
#include "core/op.h"

enum { REPLICAS_MAX = 64, NAME_MAX_LEN = 300 };

/* Which bytes a directory held; see adapter_files.h. */
struct files_digest {
    uint64_t words[2];
    bool known; /* the directory could be read here */
};

struct generation {
    uint64_t number; /* from 1, grows with every load of the provider */
    char *id, *name, *path;
    struct files_digest digest;
    inf_adapter_report report;
    int64_t pins;
    bool current;              /* its id names it */
    bool loaded[REPLICAS_MAX]; /* a replica got it */
    uint32_t
        life[REPLICAS_MAX]; /* the life (replicas.h) in which it was last seen there; 0: none */
    void *waiting;          /* the owner's: who waits for the last pin to go */
    struct generation *next;
};

struct name_set {
    char **items; /* sorted */
    size_t n, capacity;
};

/* A name under which this provider put an adapter on servers. */
struct placed {
    char *name, *path;
    uint64_t where;   /* bit i: replica i has it, as far as is known, or may have it */
    bool loading;     /* a load under this name has not ended */
    bool held;        /* a living generation has this name */
    bool seen;        /* the owner's */
    int64_t until_us; /* until then a server may still be about to have it */
};

struct adapter_names {
    struct generation *all; /* living */
    struct name_set used;   /* ever seen on a server, or sent to one */
    struct placed *placed;  /* (n_placed), sorted by name */
    size_t n_placed, placed_capacity;
    uint64_t next_number;
};

void adapter_names_init(struct adapter_names *a);
void adapter_names_free(struct adapter_names *a);

bool name_set_has(const struct name_set *set, const char *name);
/* Adds it unless it is there. false: out of memory. */
bool name_set_add(struct name_set *set, const char *name);
void name_set_remove(struct name_set *set, const char *name);

/* The name for the next load of an id, at most NAME_MAX_LEN bytes: the id when it was never used,
 * else the first id@2, id@3, ... that was not. */
void adapter_names_choose(char out[NAME_MAX_LEN + 1], const struct adapter_names *a,
                          const char *id);

/* Notes that the replicas in the mask may have it from now on. NULL: out of memory. The pointer is
 * good until the next call of one of these three. */
struct placed *adapter_names_place(struct adapter_names *a, const char *name, const char *path,
                                   uint64_t where);
/* They do not have it, or not from us. */
void adapter_names_removed(struct adapter_names *a, const char *name, uint64_t where);
/* NULL: nothing under that name is ours. */
struct placed *adapter_names_placed(const struct adapter_names *a, const char *name);

/* A generation, not yet current and in no list; freed by generation_free or taken by
 * adapter_names_commit. NULL: out of memory. */
struct generation *generation_make(const char *id, const char *name, const char *path);
void generation_free(struct generation *g);

/* Makes g the id's current generation. *old: the one it replaced, no longer current, or NULL. */
void adapter_names_commit(struct adapter_names *a, struct generation *g, struct generation **old);
/* The id's current generation, or NULL. */
struct generation *adapter_names_find(const struct adapter_names *a, const char *id, size_t len);
/* The living generation with that server-side name, or NULL. */
struct generation *adapter_names_by_name(const struct adapter_names *a, const char *name);
/* The id has living generations and none of them is current. */
bool adapter_names_is_going(const struct adapter_names *a, const char *id, size_t len);
/* Takes a generation that is neither current nor pinned out, and frees it. */
void adapter_names_drop(struct adapter_names *a, struct generation *g);

/* Adds every current generation to the list. */
int32_t adapter_names_list(const struct adapter_names *a, inf_adapter_list *list, inf_error *err);

#endif
