/*
 * weights: an adapter in memory: for each weight of the base model that it changes, what it does there,
 * ready for the kernels and for export. For most:
 *
 *     y += gain * B (A x)     A: (rank, n_in), B: (n_out, rank), stored transposed: (rank, n_out)
 *
 * enum lora_kind says what others do. Row order, rank, scale and the names of the weights are resolved
 * in the plan that it is made from; nothing here knows where an adapter came from.
 * Precision: A and B in f32 when the base weight is F32; else f16 and bf16 stay what they are, and f32 (and
 * what is extreme, or of two types) becomes f16, each tensor multiplied by a power of two that brings its
 * largest magnitude to [2^13, 2^14), which `gain` undoes: no value overflows. Vectors are f32; matrices that
 * stand in the place of the model's keep their type.
 * Immutable after creation but for DoRA's sums (lora/dora.h), which whoever makes it fills in; one block
 * of memory, or two; any thread.
 */
#ifndef INF_LORA_WEIGHTS_H
#define INF_LORA_WEIGHTS_H

#include "core/op.h"
#include "lora/plan.h"

struct lora_module {
    const char *tensor; /* name of the base weight, e.g. "blk.0.attn_q.weight" */
    size_t index;       /* of the base weight, as the plan has it */
    int32_t kind;       /* enum lora_kind */
    int32_t n_in, n_out, rank;
    int32_t type;   /* of a and b */
    float scale;    /* alpha/rank or alpha/sqrt(rank), as PEFT applies it */
    float gain;     /* scale, times the powers of two undone */
    const void *a;  /* (rank, n_in), 32-byte aligned, rows padded to padded_in elements */
    const void *bt; /* (rank, n_out), 32-byte aligned, rows padded to padded_out elements */
    int32_t padded_in, padded_out; /* multiples of 16, padding zero */
    int32_t
        n_experts; /* EXPERTS: a and bt have so many times rank rows, expert by expert; else 0 */

    const float *bias;      /* (n_out) or NULL */
    const float *magnitude; /* (n_out) or NULL: no DoRA */
    float *sums;            /* (3, n_out), with a magnitude: see lora/dora.h */

    const void *
        whole; /* the replacing kinds: VECTOR f32 (n_out), WHOLE (n_out, n_in), ROWS (n_rows, n_in) */
    int32_t whole_type;  /* enum number_type */
    const int32_t *rows; /* ROWS: (n_rows), rising */
    int32_t n_rows;
};

/* Floats that A x of one row takes. */
static inline size_t lora_module_width(const struct lora_module *m)
{
    return (size_t)m->rank * (size_t)(m->n_experts ? m->n_experts : 1);
}

struct lora_weights {
    size_t n_modules;
    struct lora_module *modules; /* sorted by tensor name and use, each once */
    int32_t max_rank;
    size_t max_width; /* the largest lora_module_width */
    size_t bytes;     /* of everything */
    int32_t format;   /* enum inf_adapter_format */
    int32_t n_tensors;
    struct block *own;     /* where this is, with what did not stay elsewhere */
    struct block *storage; /* the plan's, in which matrices stayed; or NULL */
};

/*
 * Carries a plan out. Where matrices can stay in the plan's storage, that becomes the adapter's; else
 * plan->storage is NULL afterwards. Errors: those of its read, NOT_FINITE (names the tensor), NO_MEMORY,
 * CANCELLED or TIMEOUT when op_to_poll (may be NULL) was asked to stop, polled between modules.
 */
int32_t lora_weights_make(struct lora_weights **out, struct lora_plan *plan,
                          const inf_op *op_to_poll, inf_error *err);
void lora_weights_free(struct lora_weights *w); /* NULL is ignored */

/* The first module with LoRA's scale, or NULL: it has none. */
const struct lora_module *lora_weights_scaled(const struct lora_weights *w);

/* A module of a base weight, or NULL. Binary search. */
const struct lora_module *lora_weights_find(const struct lora_weights *w, const char *tensor);

#endif
