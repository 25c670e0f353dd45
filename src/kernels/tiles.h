/*
 * tiles: rows of weights that are numbers times rows of activations, in registers. A vector of 16 is eight numbers
 * of one row of weights and eight of the next, so that each row has its eight sums.
 *
 * A part of one source file for each kind of vectors, which includes first what they are and how they are loaded
 * (loads.h, or neon.h).
 */
#ifndef INF_KERNELS_TILES_H
#define INF_KERNELS_TILES_H

#include "kernels/strips.h"

#include <string.h>

INLINE size_t number_bytes(const int32_t type)
{
    return type == WEIGHT_F32 ? 4 : 2;
}

/* The last n < 8 numbers of what load_weights loads, then zeros. */
INLINE floats load_rest(const int32_t type, const char *const w[EIGHTS], size_t i, size_t n)
{
    char rest[EIGHTS][32] = {{0}};
    const char *rows[EIGHTS];

    UNROLL for (int k = 0; k < EIGHTS; k++)
    {
        memcpy(rest[k], w[k] + i * number_bytes(type), n * number_bytes(type));
        rows[k] = rest[k];
    }
    return load_weights(type, rows, 0);
}

INLINE floats load_rest_of_row(const float *x, size_t n)
{
    float rest[8] = {0};

    memcpy(rest, x, n * sizeof *x);
    return load_row(rest);
}

/* The numbers i .. i+7 of n_w vectors' rows of weights and n of activations: sums, weights and a row of activations
 * are as many as there are registers, and one sum in memory would be what all wait for. */
INLINE void multiply_eight(const int32_t type, const char *const w[], const float *const x[],
                           size_t i, const int n, const int n_w, floats y[])
{
    const int at_once = n == 1 ? 1 : n_w;

    UNROLL for (int from = 0; from < n_w; from += at_once)
    {
        floats v[8];

        UNROLL for (int k = 0; k < at_once; k++)
            v[k] = load_weights(type, w + (from + k) * EIGHTS, i);
        UNROLL for (int c = 0; c < n; c++)
        {
            floats numbers = load_row(x[c] + i);

            UNROLL for (int k = 0; k < at_once; k++)
                y[c * n_w + from + k] = add_product(v[k], numbers, y[c * n_w + from + k]);
        }
    }
}

INLINE void multiply_rest(const int32_t type, const char *const w[], const float *const x[],
                          size_t i, size_t rest, const int n, const int n_w, floats y[])
{
    floats v[8];

    UNROLL for (int k = 0; k < n_w; k++) v[k] = load_rest(type, w + k * EIGHTS, i, rest);
    UNROLL for (int c = 0; c < n; c++)
    {
        floats numbers = load_rest_of_row(x[c] + i, rest);

        UNROLL for (int k = 0; k < n_w; k++)
            y[c * n_w + k] = add_product(v[k], numbers, y[c * n_w + k]);
    }
}

/* n_w vectors' rows of weights, those before `end`, times n rows of activations. */
INLINE void tile(const int32_t type, const struct matmul *m, int32_t row, int32_t column,
                 int32_t end, const int n, const int n_w)
{
    const int n_rows = n_w * EIGHTS;
    const char *next = row == 0 ? matmul_next(m, column + n_rows, end) : NULL; /* else there */
    size_t i = 0;
    size_t n8 = (size_t)m->n_in & ~(size_t)7;
    const float *x[ROWS_TOGETHER];
    const char *w[8 * EIGHTS];
    floats y[24];

    UNROLL for (int c = 0; c < n; c++) x[c] = matmul_x(m, row + c);
    UNROLL for (int k = 0; k < n_rows; k++)
    {
        int32_t at = EIGHTS == 1 || column + k < end ? column + k : end - 1;

        w[k] = (const char *)m->w + (size_t)at * m->w_stride;
    }
    UNROLL for (int k = 0; k < n; k++)
    {
        UNROLL for (int j = 0; j < n_w; j++) y[k * n_w + j] = floats_zero();
    }
    for (; i + 32 <= n8; i += 32) {
        UNROLL for (int k = 0; next && k < n_rows; k++) ask_for(
            next, (size_t)k * m->w_stride + i * number_bytes(type), 32 * number_bytes(type));
        ROLLED for (size_t j = i; j < i + 32; j += 8)
        {
            multiply_eight(type, w, x, j, n, n_w, y);
        }
    }
    for (; i < n8; i += 8)
        multiply_eight(type, w, x, i, n, n_w, y);
    if (n8 < (size_t)m->n_in)
        multiply_rest(type, w, x, n8, (size_t)m->n_in - n8, n, n_w, y);
    UNROLL for (int c = 0; c < n; c++)
    {
        float *out = matmul_y(m, row + c) + column;

        UNROLL for (int k = 0; k < n_rows; k += EIGHTS)
        {
            float sums[EIGHTS];

            sums_of(y[c * n_w + k / EIGHTS], sums);
            UNROLL for (int j = 0; j < EIGHTS; j++)
            {
                if (EIGHTS == 1 || column + k + j < end)
                    out[k + j] = sums[j];
            }
        }
    }
}

INLINE void strip(const int32_t type, const struct matmul *m, int32_t row, int32_t column,
                  int32_t end, const int n, const int n_w)
{
    for (; column + n_w * EIGHTS <= end; column += n_w * EIGHTS)
        tile(type, m, row, column, end, n, n_w);
    for (; column < end; column += EIGHTS)
        tile(type, m, row, column, end, n, 1);
}

#define FOR_NUMBERS(x) x(F32) x(F16) x(BF16)
#define STRIP_N(type, n, n_w)                                                                      \
    INSTANCE void strip_##type##_##n(const struct matmul *m, int32_t row, int32_t column,          \
                                     int32_t end)                                                  \
    {                                                                                              \
        strip(WEIGHT_##type, m, row, column, end, n, n_w);                                         \
    }
#if VECTOR_BYTES == 32
#define STRIP(type) STRIP_N(type, 1, 8) STRIP_N(type, 2, 4) STRIP_N(type, 3, 3) STRIP_N(type, 4, 3)
#define STRIP_OF(type)                                                                             \
    AT(WEIGHT_##type){strip_##type##_1, strip_##type##_2, strip_##type##_3, strip_##type##_4},
#elif VECTOR_BYTES == 16
#define STRIP(type)                                                                                \
    STRIP_N(type, 1, 8)                                                                            \
    STRIP_N(type, 2, 4)                                                                            \
    STRIP_N(type, 3, 3) STRIP_N(type, 4, 2) STRIP_N(type, 5, 2) STRIP_N(type, 6, 2)
#define STRIP_OF(type)                                                                             \
    AT(WEIGHT_##type){strip_##type##_1, strip_##type##_2, strip_##type##_3,                        \
                      strip_##type##_4, strip_##type##_5, strip_##type##_6},
#else
#define STRIP(type)                                                                                \
    STRIP_N(type, 1, 4)                                                                            \
    STRIP_N(type, 2, 4)                                                                            \
    STRIP_N(type, 3, 4)                                                                            \
    STRIP_N(type, 4, 4)                                                                            \
    STRIP_N(type, 5, 4) STRIP_N(type, 6, 4) STRIP_N(type, 7, 3) STRIP_N(type, 8, 3)
#define STRIP_OF(type)                                                                             \
    AT(WEIGHT_##type){strip_##type##_1, strip_##type##_2, strip_##type##_3, strip_##type##_4,      \
                      strip_##type##_5, strip_##type##_6, strip_##type##_7, strip_##type##_8},
#endif
FOR_NUMBERS(STRIP)

/* Rows of activations that are in a near cache together. */
enum { TILED_ROWS = 32 };

static strip_rows *const strip_of[WEIGHT_TYPES][ROWS_TOGETHER] = {FOR_NUMBERS(STRIP_OF)};

#endif
