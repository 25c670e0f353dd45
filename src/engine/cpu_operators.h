/*
 * cpu_operators: the place for our own operators among ggml's threads.
 *
 * Before each node of a graph, on every thread that computes it, ggml-cpu asks its extra buffer types
 * whether one of them does the node. The first of them is ours: it knows whose thread pool the thread
 * belongs to, and asks that pool's operator, then the kernels that all pools have in common. So a graph
 * is never cut, and all threads work on what the operator does. It costs a comparison a node where nobody
 * has an operator.
 * Knows no adapter, no model and no arithmetic. This header is C; the file behind it is the only one that knows
 * ggml-cpu's internal interface.
 *
 * Threads: the list of pools grows under a lock and is read without one. An operator is called on its
 * pool's threads only, and only between open and close, with nobody computing at either.
 */
#ifndef INF_ENGINE_CPU_OPERATORS_H
#define INF_ENGINE_CPU_OPERATORS_H

#include "core/error.h"

#include <ggml.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ggml_threadpool;

/* Where a row of a tensor lies. */
static inline void *tensor_at(const struct ggml_tensor *t, int64_t i1, int64_t i2, int64_t i3)
{
    return (char *)t->data + (size_t)i1 * t->nb[1] + (size_t)i2 * t->nb[2] + (size_t)i3 * t->nb[3];
}

/* The same, counted through all matrices one after another. */
static inline void *tensor_row(const struct ggml_tensor *t, int64_t row)
{
    return tensor_at(t, row % t->ne[1], row / t->ne[1] % t->ne[2], row / t->ne[1] / t->ne[2]);
}

/* One of the threads that compute a node together: number `index` of `n`. */
struct cpu_thread {
    int32_t index, n;
    bool exact;   /* what the pool was opened for: f32 wherever it can be had */
    void *params; /* ggml's */
    void *work;   /* the pool's, shared by its threads; aligned to 64 bytes */
    size_t work_size;
};

/* Whether it has computed the node; called by all threads, and the same answer on all of them. Nodes are
 * matmuls (also those of stacks), products, sums, gated units and rows looked up: in the order of the
 * graph, after all before them are done. */
typedef bool cpu_operator(void *owner, const struct cpu_thread *thread, struct ggml_tensor *node);

/* Who goes on with columns of a matmul's result on the thread that has just computed them, which has them in its
 * cache: columns first .. first+n-1 of all rows, first a multiple of MATMUL_COLUMNS, n too but at the end. All threads
 * have met since the matmul was begun. `coming` is called before they are computed: what will be read may be asked for. */
struct cpu_after {
    void (*coming)(void *owner, int32_t first, int32_t n);
    void (*columns)(void *owner, int32_t first, int32_t n);
    void *owner;
};

enum cpu_computed { CPU_NOT_COMPUTED, CPU_COMPUTED, CPU_COMPUTED_AND_AFTER };

/* What computes matmuls and attention (flash) in place of ggml's own code, in graphs on pools that are
 * open. work_size: bytes of thread->work that a node needs, asked of every graph in the process. compute: the same
 * answer on all threads; after (NULL: nobody) has been called where it says so. */
struct cpu_kernels {
    size_t (*work_size)(const struct ggml_tensor *node);
    enum cpu_computed (*compute)(const struct cpu_thread *thread, struct ggml_tensor *node,
                                 const struct cpu_after *after);
};

/* Once, before anything of ggml computes. kernels: NULL for none; must live for ever. */
void cpu_operators_install(const struct cpu_kernels *kernels);

struct cpu_operators;
/* From now on `compute` (NULL: nobody) is asked about nodes of graphs on that pool. exact: nothing is to be rounded
 * for speed. NO_MEMORY. */
int32_t cpu_operators_open(struct cpu_operators **out, struct ggml_threadpool *pool, bool exact,
                           cpu_operator *compute, void *owner, inf_error *err);
void cpu_operators_close(struct cpu_operators *operators); /* NULL is ignored */

/*
 * ggml computes an RMS norm and the product of it with a weight as one node, about which no operator is
 * asked, where it can. Graphs that this thread runs are asked first, each time and for each such product:
 * where `splits` says so the two stay two. NULL: nobody is asked any more.
 */
typedef bool cpu_splitter(void *owner, const struct ggml_tensor *product);
void cpu_operators_split(struct cpu_operators *operators, cpu_splitter *splits);

/* For operators: the matmul (true: and `after` called for each part of it), or the rows that are looked up, as they
 * would have been computed without them, by all threads; and the barrier that they meet at. */
bool cpu_operators_matmul(const struct cpu_thread *thread, struct ggml_tensor *node,
                          const struct cpu_after *after);
void cpu_operators_get_rows(const struct cpu_thread *thread, struct ggml_tensor *node);
void cpu_operators_barrier(const struct cpu_thread *thread);

/* Sharing out work: after all threads have called _share, the first piece is the thread's index, and
 * each next one is asked for. */
void cpu_operators_share(const struct cpu_thread *thread);
int32_t cpu_operators_next(const struct cpu_thread *thread);

#ifdef __cplusplus
}
#endif

#endif
