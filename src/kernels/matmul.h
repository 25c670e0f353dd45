/*
 * matmul: weights times a few rows of activations, or many: y = x W^T. The weights lie as GGUF files hold
 * them, row behind row, quantised or not; nothing is laid out anew.
 *
 * A number of y is computed by one sequence of operations, whatever the number of rows, whichever columns
 * are computed together and whatever the CPU has: the sums of a block of quantised weights are whole
 * numbers, and blocks are added one after another; numbers that are not quantised are added in eight sums
 * by their index modulo 8. So a row's result does not depend on its neighbours, to the last bit.
 * For quantised weights the activations are quantised too, once ("prepared"), to eight bits a number with
 * a scale for each 32.
 * One type is another matter: where a CPU has sums of products of BF16, it computes BF16 weights twice as fast, if
 * activations are rounded to BF16 and added up as it does. Of that type only results of one CPU are the same.
 *
 * Knows no tensor, no thread and no model. Pure functions; any thread.
 */
#ifndef INF_KERNELS_MATMUL_H
#define INF_KERNELS_MATMUL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum weight_type {
    WEIGHT_F32,
    WEIGHT_F16,
    WEIGHT_BF16,
    WEIGHT_BF16_ROUNDED, /* the same weights, with activations of BF16 */
    WEIGHT_Q8_0,
    WEIGHT_Q4_0,
    WEIGHT_Q4_1,
    WEIGHT_Q5_0,
    WEIGHT_Q4_K,
    WEIGHT_Q5_K,
    WEIGHT_Q6_K,
    WEIGHT_TYPES
};

/* Which row of x a row is, and of y. */
struct matmul_row {
    int32_t x, y;
};

struct matmul {
    int32_t type;
    int32_t n_in; /* a multiple of the type's block */
    const void *w;
    size_t w_stride; /* bytes between rows of weights */
    const void *x;   /* n_rows rows: prepared ones, or floats where nothing is prepared */
    size_t x_stride; /* bytes */
    int32_t n_rows;
    const struct matmul_row *rows; /* (n_rows); NULL: all of x and y, in order */
    float *y;                      /* (n_rows, columns) */
    size_t y_stride;               /* floats */
    const void *
        after; /* rows of weights that the thread reads next, or NULL: they are asked for in time */
};

/* Columns that are computed together: a share of them that is a multiple wastes nothing. */
#define MATMUL_COLUMNS 16

/* Numbers in a block of weights. */
int32_t matmul_block(int32_t type);

/* Whether this CPU, or INFERENCE_KERNELS, computes WEIGHT_BF16_ROUNDED faster than WEIGHT_BF16. */
bool matmul_rounds_bf16(void);

/* Bytes of a prepared row, a multiple of 64; 0 where rows are used as they are. */
size_t matmul_prepared_bytes(int32_t type, int32_t n_in);
/* out: aligned to 64 bytes. */
void matmul_prepare(int32_t type, int32_t n_in, const float *x, void *out);

/* The columns first .. first+n-1 of y: one for each row of weights. */
void matmul_columns(const struct matmul *m, int32_t first, int32_t n);

#endif
