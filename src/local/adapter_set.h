/*
 * adapter_set: the adapters of one request, in its order, each a pinned generation with a scale; and
 * the key by which what was computed under them is told from the rest. NULL is the base model, with
 * every function here.
 *
 * A set outlives its pins: a slot that remembers what it was computed with keeps no adapter in memory.
 * Threads: one at a time, as the request is handed on: what prepares it, then the worker, then whoever
 * frees the worker's slots once it has ended. The references are not counted atomically.
 */
#ifndef INF_LOCAL_ADAPTER_SET_H
#define INF_LOCAL_ADAPTER_SET_H

#include "core/registry.h"

struct scaled_adapter {
    const struct adapter *adapter; /* NULL once the set is unpinned */
    uint64_t generation;
    float scale;
};

struct adapter_set {
    int32_t refs, n;
    struct registry *registry;
    struct scaled_adapter list[]; /* (n) */
};

/* With one reference. *out is NULL for n 0. INVALID_ARGUMENT when one is not loaded, naming it; NO_MEMORY. */
int32_t adapter_set_pin(struct adapter_set **out, struct registry *registry,
                        const inf_request_adapter *adapters, size_t n, inf_error *err);
/* Lets its adapters go, which may free them here. They must not be looked at any more. */
void adapter_set_unpin(struct adapter_set *s);
struct adapter_set *adapter_set_ref(struct adapter_set *s);
/* The last one unpins it where that was not done. */
void adapter_set_unref(struct adapter_set *s);

/* How many of the first ones are the same in both, with the same scales. */
int32_t adapter_set_common(const struct adapter_set *a, const struct adapter_set *b);
/* Whether the two compute the same: equal generations and scales in the same order. */
bool adapter_set_equal(const struct adapter_set *a, const struct adapter_set *b);
/* The error of logits, computed with them, that are NaN or infinite. */
int32_t adapter_set_not_finite(const struct adapter_set *s, inf_error *err);
static inline int32_t adapter_set_size(const struct adapter_set *s)
{
    return s ? s->n : 0;
}

#endif
