/*
 * strips: all rows of activations pass over a few rows of weights while those are in a near cache.
 *
 * A part of one source file for each kind of vectors, which includes it (vectors.h, or neon.h).
 */
#ifndef INF_KERNELS_STRIPS_H
#define INF_KERNELS_STRIPS_H

#include "kernels/blocks.h"

enum { WEIGHTS_AT_ONCE = 24 };

/* The columns from `column` on, before `end`, of as many rows of activations as the function is for. */
typedef void strip_rows(const struct matmul *m, int32_t row, int32_t column, int32_t end);

/* n_rows rows of activations, from `from` on. of: for 1 .. most rows. */
static void pass(const struct matmul *m, strip_rows *const of[], int32_t most, int32_t from,
                 int32_t n_rows, int32_t first, int32_t n)
{
    struct matmul part = *m;

    for (int32_t c = first; c < first + n; c += WEIGHTS_AT_ONCE) {
        int32_t end = c + WEIGHTS_AT_ONCE < first + n ? c + WEIGHTS_AT_ONCE : first + n;
        int32_t rows = 0;

        part.after = matmul_next(m, end, first + n);
        for (int32_t r = 0; r < n_rows; r += rows) {
            rows = together(n_rows - r, most);
            of[rows - 1](&part, from + r, c, end);
        }
    }
}

/* All of them, at_once of them while those are in a near cache. */
static void strips(const struct matmul *m, strip_rows *const of[], int32_t most, int32_t at_once,
                   int32_t first, int32_t n)
{
    for (int32_t row = 0; row < m->n_rows; row += at_once)
        pass(m, of, most, row, m->n_rows - row < at_once ? m->n_rows - row : at_once, first, n);
}

#endif
