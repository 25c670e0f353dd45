/*
 * row_nodes: what row_operators is made of: for each kind of node whether our kernels compute it, and how
 * threads share it. Called by all threads of a pool, as operators are (cpu_operators.h).
 */
#ifndef INF_ENGINE_ROW_NODES_H
#define INF_ENGINE_ROW_NODES_H

#include "core/min_max.h"
#include "engine/cpu_operators.h"

#include <ggml.h>

/* Matmuls. The kernels' name of a type of weights; WEIGHT_TYPES where they know none. */
int32_t row_matmul_type(enum ggml_type type);
bool row_matmul_takes(const struct ggml_tensor *node);
size_t row_matmul_work(const struct ggml_tensor *node); /* bytes of thread->work */
void row_matmul_compute(const struct cpu_thread *thread, struct ggml_tensor *node);
/* Whether the node's columns can be handed on, all rows at once; and the same with that. */
bool row_matmul_calls(const struct ggml_tensor *node);
void row_matmul_compute_with(const struct cpu_thread *thread, struct ggml_tensor *node,
                             const struct cpu_after *after);

/* Matmuls of stacked experts. */
bool row_experts_take(const struct ggml_tensor *node);
size_t row_experts_work(const struct ggml_tensor *node);
void row_experts_compute(const struct cpu_thread *thread, struct ggml_tensor *node);

/* What both need: whether weights are of a kind that the kernels know; the kernels' type that computes a node
 * (exact: without rounding activations to BF16); bytes of a row of activations that is prepared for it (0: it is
 * used as it is); this thread's share of the preparation, into thread->work;
 * and how many columns of n_matrices a thread takes at once. */
bool row_matmul_knows(const struct ggml_tensor *w);
int32_t row_matmul_kernel(bool exact, const struct ggml_tensor *node);
size_t row_matmul_prepared(bool exact, const struct ggml_tensor *node);
void row_matmul_prepare(const struct cpu_thread *thread, const struct ggml_tensor *node);
int64_t row_matmul_columns(const struct cpu_thread *thread, int64_t n_columns, int64_t n_matrices);

/* Flash attention. */
bool row_attention_takes(const struct ggml_tensor *node);
void row_attention_compute(const struct cpu_thread *thread, struct ggml_tensor *node);

/* ------------------------------------------------------------------ tools */

static inline bool row_is_f32(const struct ggml_tensor *t)
{
    return t->type == GGML_TYPE_F32 && t->nb[0] == sizeof(float) && t->nb[1] % sizeof(float) == 0 &&
           t->nb[2] % sizeof(float) == 0 && t->nb[3] % sizeof(float) == 0;
}

static inline int64_t pieces(int64_t n, int64_t size)
{
    return (n + size - 1) / size;
}

#endif
