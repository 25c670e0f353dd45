/*
 * lora_nodes: what lora_operator is made of: its state, and for each kind of node what adapters do there.
 * Called by all threads of a pool, as operators are (cpu_operators.h); between begin and end of lora_operator.h
 * they read what begin wrote.
 */
#ifndef INF_ENGINE_LORA_NODES_H
#define INF_ENGINE_LORA_NODES_H

#include "engine/cpu_operators.h"
#include "engine/engine_adapter.h"
#include "engine/weight_index.h"
#include "lora/kernels.h"

#include <ggml.h>
#include <stdatomic.h>

/* Consecutive rows of the graph under an adapter; a row under several is in as many segments, in their
 * order. */
struct segment {
    int32_t first, n;
    const struct engine_adapter *adapter;
    float scale;
    size_t shrunk; /* where A x of its rows lies in the scratch, with room for the largest rank */
};

/* All segments of rows that have adapters: of the graph's tokens, or of those with logits. */
struct segments {
    struct segment *list;
    size_t capacity;
    int32_t n, n_rows;              /* rows without adapters count */
    const struct adapter_set *last; /* the last row's, while they are gathered */
    int32_t *of_last;               /* and its segments */
    size_t of_last_capacity;
};

#define MAX_THREADS 512 /* ggml's */

struct lora_operator {
    struct cpu_operators *place;
    struct weight_index *weights;
    size_t n_tensors;

    struct segments by_token, by_output;
    uint8_t *touched; /* (n_tensors) by an adapter of the call: a bit for each use */
    uint32_t kinds;   /* a bit for each kind of module that the call has */
    bool any;
    atomic_bool failed;
    const struct ggml_tensor *stack[MAX_THREADS]; /* computed by ggml, its delta still to come */

    float *scratch; /* (scratch_size) floats: A x of all segments */
    size_t scratch_size;
};

/* Whether it has computed the node; where a graph has a shape that is not known it says so in `failed`. */
bool lora_matmul_compute(struct lora_operator *o, const struct cpu_thread *thread,
                         struct ggml_tensor *t);
bool lora_vector_compute(struct lora_operator *o, const struct cpu_thread *thread,
                         struct ggml_tensor *t);
bool lora_lookup_compute(struct lora_operator *o, const struct cpu_thread *thread,
                         struct ggml_tensor *t);
/* A matmul of stacked experts that others compute gets its delta when the next node, `next`, is asked about. */
void lora_experts_begin(struct lora_operator *o, const struct cpu_thread *thread,
                        const struct ggml_tensor *t);
void lora_experts_finish(struct lora_operator *o, const struct cpu_thread *thread,
                         const struct ggml_tensor *next);

/* ------------------------------------------------------------------ tools */

/* Where the share of thread `index` of n begins, in steps of `step`. */
static inline int32_t share(int32_t total, int32_t step, int32_t index, int32_t n)
{
    int64_t steps = ((int64_t)total + step - 1) / step;
    int64_t at = steps * index / n * step;

    return at < total ? (int32_t)at : total;
}

/* All rows, also where the tokens of a sequence have a dimension of their own (delta nets). */
static inline struct lora_rows rows_in(const struct ggml_tensor *t)
{
    return (struct lora_rows){t->data, t->nb[1] / sizeof(float), (int32_t)ggml_nrows(t)};
}

/* One behind another, evenly. */
static inline bool is_rows(const struct ggml_tensor *t)
{
    return t->type == GGML_TYPE_F32 && t->nb[0] == sizeof(float) &&
           (t->ne[2] == 1 || t->nb[2] == t->nb[1] * (size_t)t->ne[1]) &&
           (t->ne[3] == 1 || t->nb[3] == t->nb[2] * (size_t)t->ne[2]);
}

/* Those of n rows of a graph; NULL: it has others. */
static inline const struct segments *segments_of(const struct lora_operator *o, int64_t n)
{
    return n == o->by_token.n_rows ? &o->by_token : n == o->by_output.n_rows ? &o->by_output : NULL;
}

/* The index of a weight that an adapter in the call changes in that use, else -1. */
static inline int32_t lora_touched(struct lora_operator *o, const struct ggml_tensor *w,
                                   int32_t use)
{
    int32_t index = weight_index_of(o->weights, w);

    return index >= 0 && o->touched[index] & 1u << use ? index : -1;
}

static inline bool fail(struct lora_operator *o)
{
    atomic_store(&o->failed, true);
    return false;
}

#endif
