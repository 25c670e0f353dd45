/*
 * panels: 16 rows of weights are unpacked a chunk at a time into a panel, in which a vector has four neighbouring
 * numbers of eight or 16 rows; all rows of activations pass over it while it is in the nearest cache,
 * several at a time. So weights are unpacked once, nothing is summed across a vector, and products of few
 * bits are added in 16 bits where there are no sums of four.
 *
 * A part of one source file for each width of vectors, which includes it (vectors.h).
 */
#ifndef INF_KERNELS_PANELS_H
#define INF_KERNELS_PANELS_H

#include "kernels/weights.h"

/*
 * A chunk of 16 rows of weights. q[plane][block][k][half]: the numbers 4k .. 4k+3 of a block, of each of
 * eight rows. Q8_0 has two planes, the magnitudes and the numbers; with sums of four one, above the least.
 */
struct panel {
    __m256i q[2][CHUNK_BLOCKS][8][2] __attribute__((aligned(VECTOR_BYTES)));
    struct scales scales[2];
};
enum { VECTORS = 2 / EIGHTS }; /* of 16 rows */

/* ------------------------------------------------------------------ unpacking */

INLINE void unpack_q8_0(rows8 p, int32_t n_blocks, struct panel *out, int h)
{
    for (int32_t b = 0; b < n_blocks; b++) {
        __m256i v[8];

        transpose32(p, (size_t)b * sizeof(struct block_q8_0) + 2, v);
        UNROLL for (int k = 0; k < 8; k++)
        {
            out->q[0][b][k][h] = VECTOR_DOTS ? without_sign(v[k]) : _mm256_abs_epi8(v[k]);
            if (!VECTOR_DOTS)
                out->q[1][b][k][h] = v[k];
        }
    }
}

/* Q4_0, Q4_1, Q5_0. */
INLINE void unpack_q4(const int32_t type, rows8 p, int32_t n_blocks, struct panel *out, int h)
{
    for (int32_t b = 0; b < n_blocks; b++) {
        __m256i v[8];

        unpack_halves(type, p, b, v);
        UNROLL for (int k = 0; k < 8; k++) out->q[0][b][k][h] = v[k];
    }
}

/* Q4_K, or Q5_K. */
INLINE void unpack_k(const int32_t type, rows8 p, struct panel *out, int h)
{
    const __m256i bit = _mm256_set1_epi8(16);
    size_t head = (size_t)weight_bytes(type) - CHUNK / 2;
    __m256i high[8];

    if (type == WEIGHT_Q5_K)
        transpose32(p, head - CHUNK / 8, high);
    for (int pair = 0; pair < CHUNK_BLOCKS / 2; pair++) {
        __m256i v[8];

        transpose32(p, head + (size_t)pair * BLOCK, v);
        UNROLL for (int k = 0; k < 8; k++)
        {
            __m256i low = low_bits(v[k]);
            __m256i top = high_bits(v[k]);

            if (type == WEIGHT_Q5_K) {
                low = _mm256_or_si256(low, _mm256_and_si256(_mm256_slli_epi16(high[k], 4), bit));
                top = _mm256_or_si256(top, _mm256_and_si256(_mm256_slli_epi16(high[k], 3), bit));
                high[k] = _mm256_srli_epi16(high[k], 2);
            }
            out->q[0][2 * pair][k][h] = low;
            out->q[0][2 * pair + 1][k][h] = top;
        }
    }
}

INLINE void unpack_q6_k(rows8 p, struct panel *out, int h)
{
    const __m256i bits = _mm256_set1_epi8(0x30);

    for (int half = 0; half < 2; half++) {
        __m256i a[8];
        __m256i b[8];
        __m256i high[8];

        transpose32(p, (size_t)half * 64, a);
        transpose32(p, (size_t)half * 64 + 32, b);
        transpose32(p, CHUNK / 2 + (size_t)half * 32, high);
        UNROLL for (int k = 0; k < 8; k++)
        {
            out->q[0][4 * half][k][h] = _mm256_or_si256(
                low_bits(a[k]), _mm256_and_si256(_mm256_slli_epi16(high[k], 4), bits));
            out->q[0][4 * half + 1][k][h] = _mm256_or_si256(
                low_bits(b[k]), _mm256_and_si256(_mm256_slli_epi16(high[k], 2), bits));
            out->q[0][4 * half + 2][k][h] = _mm256_or_si256(high_bits(a[k]),
                                                            _mm256_and_si256(high[k], bits));
            out->q[0][4 * half + 3][k][h] = _mm256_or_si256(
                high_bits(b[k]), _mm256_and_si256(_mm256_srli_epi16(high[k], 2), bits));
        }
    }
}

INLINE void unpack(const int32_t type, rows8 p, int32_t n_blocks, struct panel *out, int h)
{
    scales_of(type, p, n_blocks, &out->scales[h]);
    if (type == WEIGHT_Q8_0)
        unpack_q8_0(p, n_blocks, out, h);
    else if (type < WEIGHT_Q4_K)
        unpack_q4(type, p, n_blocks, out, h);
    else if (type == WEIGHT_Q6_K)
        unpack_q6_k(p, out, h);
    else
        unpack_k(type, p, out, h);
}

/* ------------------------------------------------------------------ products */

INLINE ints four_of(const int8_t *q)
{
    int32_t word = 0;

    memcpy(&word, q, sizeof word);
    return ints_all(word);
}

INLINE ints panel_q(const struct panel *p, const int plane, int32_t b, int k, const int h)
{
    return load_ints(&p->q[plane][b][k][h * EIGHTS]);
}

#if VECTOR_DOTS

/* Adds to s the sums of n_k times four products of block b, from k0 on. */
INLINE void add_products(const int32_t type, const struct panel *p, int32_t b,
                         const int8_t *const q[], const int k0, const int n_k, const int n,
                         ints s[][VECTORS])
{
    (void)type;
    ROLLED for (int k = k0; k < k0 + n_k; k++)
    {
        UNROLL for (int c = 0; c < n; c++)
        {
            ints x = four_of(q[c] + 4 * k);

            UNROLL for (int h = 0; h < VECTORS; h++)
            {
                s[c][h] = add_dots(s[c][h], panel_q(p, 0, b, k, h), x);
                KEEP(s[c][h]);
            }
        }
    }
}

#else

/* Weights that have eight bits and a sign, which is given to the activations. */
INLINE void add_signed_products(const struct panel *p, int32_t b, const int8_t *const q[],
                                const int n, ints s[][VECTORS])
{
    ROLLED for (int k = 0; k < 8; k++)
    {
        UNROLL for (int c = 0; c < n; c++)
        {
            ints x = four_of(q[c] + 4 * k);

            UNROLL for (int h = 0; h < VECTORS; h++)
            {
                ints products = pairs_of_products(panel_q(p, 0, b, k, h),
                                                  with_signs(x, panel_q(p, 1, b, k, h)));

                s[c][h] = add32(s[c][h], sums_of_pairs(products));
                KEEP(s[c][h]);
            }
        }
    }
}

/* Adds to s the sums of n_k times four products of block b, from k0 on. */
INLINE void add_products(const int32_t type, const struct panel *p, int32_t b,
                         const int8_t *const q[], const int k0, const int n_k, const int n,
                         ints s[][VECTORS])
{
    if (type == WEIGHT_Q8_0) {
        add_signed_products(p, b, q, n, s);
        return;
    }
    for (int from = k0; from < k0 + n_k; from += fit(type)) {
        ints t[ROWS_TOGETHER][VECTORS];

        UNROLL for (int c = 0; c < n; c++)
        {
            UNROLL for (int h = 0; h < VECTORS; h++) t[c][h] = ints_zero();
        }
        ROLLED for (int k = from; k < from + fit(type); k++)
        {
            UNROLL for (int c = 0; c < n; c++)
            {
                ints x = four_of(q[c] + 4 * k);

                UNROLL for (int h = 0; h < VECTORS; h++)
                {
                    t[c][h] = add16(t[c][h], pairs_of_products(panel_q(p, 0, b, k, h), x));
                    KEEP(t[c][h]);
                }
            }
        }
        UNROLL for (int c = 0; c < n; c++)
        {
            UNROLL for (int h = 0; h < VECTORS; h++)
                s[c][h] = add32(s[c][h], sums_of_pairs(t[c][h]));
        }
    }
}

#endif

/* A scale of 16 rows. */
INLINE floats scale_of(const struct panel *p, int32_t group, const int h)
{
    return join(&p->scales[h].scale[group], &p->scales[1].scale[group]);
}

INLINE floats min_of(const struct panel *p, int32_t b, const int h)
{
    return join(&p->scales[h].min[b], &p->scales[1].min[b]);
}

/* One block, n rows of activations: y += what it gives. */
INLINE void multiply_block(const int32_t type, const struct panel *p, int32_t b,
                           const struct activations *const x[], const int n, floats y[][VECTORS])
{
    const int n_groups = type == WEIGHT_Q6_K ? 2 : 1;
    const int n_k = 8 / n_groups;
    const int8_t *q[ROWS_TOGETHER];

    UNROLL for (int c = 0; c < n; c++) q[c] = x[c]->q + b * BLOCK;
    UNROLL for (int g = 0; g < n_groups; g++)
    {
        ints s[ROWS_TOGETHER][VECTORS];

        UNROLL for (int c = 0; c < n; c++)
        {
            UNROLL for (int h = 0; h < VECTORS; h++)
                s[c][h] = has_offset(type) ? ints_all(-x[c]->sum[b * n_groups + g]) : ints_zero();
        }
        add_products(type, p, b, q, g * n_k, n_k, n, s);
        UNROLL for (int c = 0; c < n; c++)
        {
            UNROLL for (int h = 0; h < VECTORS; h++) y[c][h] = add_product(
                multiplied(floats_of(s[c][h]), scale_of(p, b * n_groups + g, h)),
                floats_all(&x[c]->d[b]), y[c][h]);
        }
    }
    if (has_min(type)) {
        UNROLL for (int c = 0; c < n; c++)
        {
            UNROLL for (int h = 0; h < VECTORS; h++)
                y[c][h] = add_product(min_of(p, b, h), floats_all(&x[c]->s[b]), y[c][h]);
        }
    }
}

INLINE void multiply_n(const int32_t type, const struct panel *p, int32_t n_blocks,
                       const struct activations *const x[], const int n, __m256 (*sums)[2])
{
    floats y[ROWS_TOGETHER][VECTORS];

    UNROLL for (int c = 0; c < n; c++)
    {
        UNROLL for (int h = 0; h < VECTORS; h++) y[c][h] = load_floats(&sums[c][h * EIGHTS]);
    }
    for (int32_t b = 0; b < n_blocks; b++)
        multiply_block(type, p, b, x, n, y);
    UNROLL for (int c = 0; c < n; c++)
    {
        UNROLL for (int h = 0; h < VECTORS; h++) store_floats(&sums[c][h * EIGHTS], y[c][h]);
    }
}

/* Rows of activations that pass over a panel before the next is unpacked. */
enum { ROWS_AT_ONCE = 64 };

typedef void unpack_rows(rows8 p, int32_t n_blocks, struct panel *out, int h);
typedef void multiply_rows(const struct panel *p, int32_t n_blocks,
                           const struct activations *const x[], __m256 (*sums)[2]);

#define MULTIPLY(type, n)                                                                          \
    INSTANCE void multiply_##type##_##n(const struct panel *p, int32_t n_blocks,                   \
                                        const struct activations *const x[], __m256(*sums)[2])     \
    {                                                                                              \
        multiply_n(WEIGHT_##type, p, n_blocks, x, n, sums);                                        \
    }
#define UNPACK(type)                                                                               \
    INSTANCE void unpack_##type(rows8 p, int32_t n_blocks, struct panel *out, int h)               \
    {                                                                                              \
        unpack(WEIGHT_##type, p, n_blocks, out, h);                                                \
    }
#define MULTIPLY_1_4(type) MULTIPLY(type, 1) MULTIPLY(type, 2) MULTIPLY(type, 3) MULTIPLY(type, 4)
#define OF_1_4(type)                                                                               \
    multiply_##type##_1, multiply_##type##_2, multiply_##type##_3, multiply_##type##_4
#if VECTOR_BYTES == 32
#define PANELS(type) UNPACK(type) MULTIPLY_1_4(type)
#define MULTIPLY_OF(type) AT(WEIGHT_##type){OF_1_4(type)},
#else
#define PANELS(type)                                                                               \
    UNPACK(type)                                                                                   \
    MULTIPLY_1_4(type) MULTIPLY(type, 5) MULTIPLY(type, 6) MULTIPLY(type, 7) MULTIPLY(type, 8)
#define MULTIPLY_OF(type)                                                                          \
    AT(WEIGHT_##type){OF_1_4(type), multiply_##type##_5, multiply_##type##_6, multiply_##type##_7, \
                      multiply_##type##_8},
#endif
FOR_QUANTISED(PANELS)

#define UNPACK_OF(type) AT(WEIGHT_##type) unpack_##type,
static unpack_rows *const unpack_of[WEIGHT_TYPES] = {FOR_QUANTISED(UNPACK_OF)};
static multiply_rows *const multiply_of[WEIGHT_TYPES][ROWS_TOGETHER] = {FOR_QUANTISED(MULTIPLY_OF)};

/* Chunk i of the rows from `row` on. */
TARGET static void multiply(const struct panel *p, const struct matmul *m, int32_t row,
                            int32_t n_rows, int32_t i, __m256 (*sums)[2])
{
    int32_t n_blocks = blocks_in_chunk(m->n_in, i);
    int32_t n = 0;

    for (int32_t r = 0; r < n_rows; r += n) {
        const struct activations *x[ROWS_TOGETHER];

        n = together(n_rows - r, ROWS_TOGETHER);
        for (int32_t c = 0; c < n; c++)
            x[c] = (const struct activations *)matmul_x(m, row + r + c) + i;
        multiply_of[m->type][n - 1](p, n_blocks, x, sums + r);
    }
}

TARGET static void store(const struct matmul *m, int32_t row, int32_t n_rows, int32_t column,
                         int32_t n, __m256 (*sums)[2])
{
    for (int32_t r = 0; r < n_rows; r++) {
        float *y = matmul_y(m, row + r) + column;

        if (n == 16) {
            _mm256_storeu_ps(y, sums[r][0]);
            _mm256_storeu_ps(y + 8, sums[r][1]);
        } else {
            memcpy(y, sums[r], (size_t)n * sizeof *y);
        }
    }
}

TARGET static void quantised_panel(const struct matmul *m, int32_t row, int32_t n_rows,
                                   int32_t column, int32_t n, const char *next, struct panel *panel)
{
    const uint8_t *p[16];
    __m256 sums[ROWS_AT_ONCE][2] __attribute__((aligned(VECTOR_BYTES)));
    size_t part = 16 * m->w_stride / (size_t)chunk_count(m->n_in);

    find_rows(m, column, n, p, 16);
    for (int32_t r = 0; r < n_rows; r++)
        sums[r][0] = sums[r][1] = _mm256_setzero_ps();
    for (int32_t i = 0; i < chunk_count(m->n_in); i++) {
        ask_for(next, (size_t)i * part, part);
        for (int h = 0; h < 2; h++)
            unpack_of[m->type](p + 8 * h, blocks_in_chunk(m->n_in, i), panel, h);
        for (int k = 0; k < 16; k++)
            p[k] += chunk_bytes(m->type);
        multiply(panel, m, row, n_rows, i, sums);
    }
    store(m, row, n_rows, column, n, sums);
}

static void panels(const struct matmul *m, int32_t first, int32_t n)
{
    struct panel panel;

    for (int32_t row = 0; row < m->n_rows; row += ROWS_AT_ONCE) {
        int32_t n_rows = m->n_rows - row < ROWS_AT_ONCE ? m->n_rows - row : ROWS_AT_ONCE;

        for (int32_t c = 0; c < n; c += 16)
            quantised_panel(m, row, n_rows, first + c, n - c < 16 ? n - c : 16,
                            matmul_next(m, first + c + 16, first + n), &panel);
    }
}

#endif
