/*
 * plan: what is to be converted, before it is: for each base weight that an adapter changes, where
 * the adapter's two matrices are and how they are to be read. Whoever knows an adapter's file and
 * the model makes it; weights.c carries it out. It owns the module list only: names and bytes belong
 * to whoever made it.
 */
#ifndef INF_LORA_PLAN_H
#define INF_LORA_PLAN_H

#include "core/error.h"
#include "core/numbers.h"

/* A weight of the model, as far as adapters look at it. */
struct lora_base {
    const char *name;
    size_t index; /* among the model's tensors */
    int32_t n_in, n_out;
    bool is_f32;
};

/* One matrix of the adapter. */
struct lora_matrix {
    const char *name;   /* for messages */
    int32_t type;       /* enum number_type */
    size_t size;        /* bytes */
    const void *data;   /* in memory, aligned to nothing; or NULL: */
    const void *tensor; /* what the plan's read takes */
};

/* *data: the bytes of a tensor of `file`, in `scratch` (room for its size) or elsewhere. */
typedef int32_t lora_read(const void **data, const void *file, const void *tensor, void *scratch,
                          inf_error *err);

struct lora_plan_module {
    struct lora_base base;
    struct lora_matrix a; /* (rank, n_in) */
    struct lora_matrix b; /* (n_out, rank) */
    int32_t rank;
    float scale;
    int32_t head_dim; /* 0: rows of b stay where they are; else see lora_source_row */
    /* (n_in), (n_out): which column of a, row of b, belongs to each input and output of the model's
     * weight; NULL: the same. mem_*, the plan's. */
    int32_t *inputs, *outputs;
};

struct lora_plan {
    struct lora_plan_module *modules; /* sorted by base.name, each once */
    size_t n;
    lora_read *read; /* of matrices without data */
    const void *file;
    int32_t format;    /* enum inf_adapter_format */
    int32_t n_tensors; /* of the adapter's file */
};

/* Sorts the modules; BAD_FORMAT when two are for the same weight. */
int32_t lora_plan_sort(struct lora_plan *plan, inf_error *err);
void lora_plan_free(struct lora_plan *plan);

/*
 * The row of the adapter's matrix that is row `row` of the model's. Where a head's halves lie one
 * after the other in the adapter and are interleaved in the model, row 2j + i of a head here is row
 * i * head_dim/2 + j there.
 */
static inline int32_t lora_source_row(int32_t row, int32_t head_dim)
{
    int32_t in_head = head_dim ? row % head_dim : 0;

    return head_dim ? row - in_head + (in_head & 1) * (head_dim / 2) + in_head / 2 : row;
}

#endif
