/*
 * registry: adapter ids, their generations and the pins on them. Knows nothing of what an adapter
 * is: a payload with a destructor and a size.
 *
 * An id names the newest generation. A generation lives while it is current or pinned; the last
 * of these to go destroys the payload, on the thread that let go, with no lock held.
 * Threads: any; one mutex inside, never held while calling out.
 */
#ifndef INF_CORE_REGISTRY_H
#define INF_CORE_REGISTRY_H

#include "core/error.h"
#include "core/op.h"

struct registry;

/* One generation of an adapter. Read-only but for the registry; valid while pinned. */
struct adapter {
    uint64_t generation; /* unique and rising within the registry, from 1 */
    const char *id;
    void *payload;
    size_t bytes;
    const inf_adapter_report *report;
};

struct registry_limits {
    uint64_t max_adapters; /* 0: none */
    uint64_t max_bytes;    /* 0: none */
    bool evict;            /* else refuse */
};

int32_t registry_create(struct registry **out, const struct registry_limits *limits,
                        void (*destroy_payload)(void *payload), inf_error *err);
/* Nothing may be pinned any more. NULL is ignored. */
void registry_free(struct registry *r);

/*
 * Makes `payload` the newest generation of `id`, atomically. `report` is copied; its id,
 * generation, bytes, replaced are filled in (also in *report). *evicted (may be NULL) gets the
 * space-separated ids that made room, or NULL; the caller frees it. On an error (LIMIT, NO_MEMORY)
 * the payload is untouched and still the caller's, and the old generation serves. Replacing counts
 * the old generation's bytes only while it is pinned.
 */
int32_t registry_put(struct registry *r, const char *id, void *payload, size_t bytes,
                     inf_adapter_report *report, char **evicted, inf_error *err);

/* Pins the newest generation of id; NULL when there is none. registry_unpin(NULL) is ignored. */
const struct adapter *registry_pin(struct registry *r, const char *id, size_t id_len);
/* Another pin on what is pinned. */
const struct adapter *registry_pin_again(struct registry *r, const struct adapter *adapter);
void registry_unpin(struct registry *r, const struct adapter *adapter);

/*
 * Hides the id. `unloaded` is called once, when this generation's payload has been destroyed: in
 * this call when nothing pins it, else by the last unpin. NOT_FOUND: nothing is called.
 * The message of NOT_FOUND names the id.
 */
int32_t registry_remove(struct registry *r, const char *id, void (*unloaded)(void *arg), void *arg,
                        inf_error *err);

/* Adds every current adapter to the list. */
int32_t registry_list(struct registry *r, inf_adapter_list *list, inf_error *err);
/* Registered now, pins now, bytes of all living generations now. */
void registry_count(struct registry *r, int64_t *adapters, int64_t *pins, int64_t *bytes);

#endif
