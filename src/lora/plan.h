/*
 * plan: what is to be converted, before it is: for each base weight that an adapter changes, where
 * the adapter's two matrices are and how they are to be read. Whoever knows an adapter's file and
 * the model makes it; weights.c carries it out. It owns the module list only: names and bytes belong
 * to whoever made it.
 */
#ifndef INF_LORA_PLAN_H
#define INF_LORA_PLAN_H

#include "core/blocks.h"
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
    const char *name;   /* for messages; NULL: there is none */
    int32_t type;       /* enum number_type */
    size_t size;        /* bytes */
    const void *data;   /* in memory, aligned to nothing; or NULL: */
    const void *tensor; /* what the plan's read takes */
};

/* *data: the bytes of a tensor of `file`, in `scratch` (room for its size) or elsewhere. */
typedef int32_t lora_read(const void **data, const void *file, const void *tensor, void *scratch,
                          inf_error *err);

/* What a module does to a weight. */
enum lora_kind {
    LORA_DELTA,        /* y += scale (B (A x) + bias), of a matmul; with a magnitude: DoRA's */
    LORA_LOOKUP,       /* the same of an embedding: x is the one-hot vector of a token */
    LORA_EXPERTS,      /* a DELTA for each matrix of a stack */
    LORA_WHOLE,        /* another matrix in its place: in a matmul, */
    LORA_WHOLE_LOOKUP, /* or where rows are looked up */
    LORA_ROWS,         /* other rows of it: outputs of a matmul, */
    LORA_ROWS_LOOKUP,  /* or what is looked up */
    LORA_VECTOR        /* another vector: a norm's weight, or a bias */
};

/* How a weight is used: one that is tied is both. Each use has one module at most. */
enum lora_use { LORA_MULTIPLIED, LORA_LOOKED_UP, LORA_USES };

static inline int32_t lora_use_of(int32_t kind)
{
    return kind == LORA_LOOKUP || kind == LORA_WHOLE_LOOKUP || kind == LORA_ROWS_LOOKUP
               ? LORA_LOOKED_UP
               : LORA_MULTIPLIED;
}

/* Whether it leaves nothing of what the base model computes there (or of rows of it). */
static inline bool lora_replaces(int32_t kind)
{
    return kind >= LORA_WHOLE;
}

struct lora_plan_module {
    struct lora_base base;
    int32_t kind;         /* enum lora_kind */
    struct lora_matrix a; /* (experts·rank, n_in), of the first three kinds */
    struct lora_matrix b; /* (n_out, rank); EXPERTS: (n_out, rank·experts), rank by rank */
    int64_t b_row;        /* EXPERTS: the first of b's rows that are this weight's */
    /* EXPERTS: (n_experts) a and b of each, as a DELTA's, where they are apart; then a is the first one's.
     * NULL: they are not. mem_*, the plan's. */
    struct lora_matrix *experts_a, *experts_b;
    struct lora_matrix bias, magnitude; /* (n_out); name NULL: none */
    struct lora_matrix whole; /* WHOLE (n_out, n_in), VECTOR (n_out), ROWS (n_rows, n_in) */
    bool transposed;          /* WHOLE: it is (n_in, n_out) */
    float (*change)(float x); /* VECTOR: of each of its numbers; NULL: none */
    int32_t *rows;            /* ROWS: (n_rows) which; mem_*, the plan's */
    int32_t n_rows;
    int32_t n_experts; /* 0: the weight is one matrix */
    int32_t rank;      /* of one expert */
    float scale;
    bool stays; /* a and b stay where their data is; whoever carries the plan out settles it */
    int32_t head_dim; /* 0: rows of b (of whole) stay where they are; else see lora_source_row */
    /* (n_in), (n_out): which column of a (of whole), row of b (of whole), belongs to each input and output
     * of the model's weight; NULL: the same. mem_*, the plan's. */
    int32_t *inputs, *outputs;
};

struct lora_plan {
    struct lora_plan_module *modules; /* sorted by base.name and use, each once */
    size_t n;
    lora_read *read; /* of matrices without data */
    const void *file;
    /* What data of matrices may lie in, each in one module, to be changed there and kept; NULL: nothing is.
     * Borrowed, until it becomes the adapter's. */
    struct block *storage;
    int32_t format;    /* enum inf_adapter_format */
    int32_t n_tensors; /* of the adapter's file */
    /* A copy of a base weight in that file which could not be compared with the model's; NULL: none. */
    const char *uncompared;
};

/* Sorts the modules by name and use; BAD_FORMAT when two are for the same use of a weight. */
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
