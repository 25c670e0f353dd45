/*
 * few_rows: quantised weights times one row of activations, or two of Q8_0. Unpacking into a panel costs more than it
 * saves for so few: weights are multiplied as they lie, or (half a byte a number, which must be taken apart anyway) unpacked into
 * registers. Vectors of eight, whatever the width of others.
 *
 * A part of one source file for each width of vectors, which includes it (vectors.h).
 */
#ifndef INF_KERNELS_FEW_ROWS_H
#define INF_KERNELS_FEW_ROWS_H

#include "kernels/weights.h"

/* ------------------------------------------------------------------ as they lie */

INLINE __m256i load32(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

/* Block b of a row of weights, its numbers as bytes, without their offset. */
INLINE __m256i block_of(const int32_t type, const uint8_t *p, int32_t b)
{
    if (type == WEIGHT_Q8_0)
        return load32(p + b * weight_bytes(type) + 2);
    if (type == WEIGHT_Q6_K) {
        __m256i low = load32(p + b / 4 * 64 + b % 2 * 32);
        __m256i high = load32(p + CHUNK / 2 + b / 4 * 32);

        high = _mm256_srl_epi16(high, _mm_cvtsi32_si128(b % 4 * 2));
        low = _mm256_srl_epi16(low, _mm_cvtsi32_si128(b % 4 / 2 * 4));
        return _mm256_or_si256(low_bits(low), _mm256_slli_epi16(and_bytes(high, 3), 4));
    }
    {
        __m256i q = load32(p + weight_bytes(type) - CHUNK / 2 + b / 2 * BLOCK);
        __m256i high = load32(p + 16);

        q = low_bits(_mm256_srl_epi16(q, _mm_cvtsi32_si128(b % 2 * 4)));
        if (type == WEIGHT_Q4_K)
            return q;
        high = _mm256_srl_epi16(high, _mm_cvtsi32_si128(b));
        return _mm256_or_si256(q, _mm256_slli_epi16(and_bytes(high, 1), 4));
    }
}

/* The sums of the low and of the high lanes of each of eight vectors. */
INLINE void sum_lanes(const __m256i v[8], __m256i *low, __m256i *high)
{
    __m256i pairs[4];
    __m256i fours[2];

    UNROLL for (int i = 0; i < 4; i++)
        pairs[i] = _mm256_add_epi32(_mm256_unpacklo_epi32(v[2 * i], v[2 * i + 1]),
                                    _mm256_unpackhi_epi32(v[2 * i], v[2 * i + 1]));
    UNROLL for (int i = 0; i < 2; i++)
        fours[i] = _mm256_add_epi32(_mm256_unpacklo_epi64(pairs[2 * i], pairs[2 * i + 1]),
                                    _mm256_unpackhi_epi64(pairs[2 * i], pairs[2 * i + 1]));
    *low = _mm256_permute2x128_si256(fours[0], fours[1], 0x20);
    *high = _mm256_permute2x128_si256(fours[0], fours[1], 0x31);
}

/* y + scale d (sum - offset's). */
INLINE __m256 add_scaled(const int32_t type, __m256i sum, __m256 scale, const int32_t *offset,
                         const float *d, __m256 y)
{
    if (has_offset(type))
        sum = _mm256_sub_epi32(sum, _mm256_set1_epi32(*offset));
    return _mm256_fmadd_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(sum), scale), _mm256_broadcast_ss(d),
                           y);
}

/* Sums of four products each of a block of weights with activations. */
#if VECTOR_DOTS
INLINE __m256i products(const int32_t type, __m256i w, __m256i q)
{
    return _mm256_dpbusd_epi32(_mm256_setzero_si256(), type == WEIGHT_Q8_0 ? without_sign(w) : w,
                               q);
}
#else
INLINE __m256i products(const int32_t type, __m256i w, __m256i q)
{
    __m256i pairs = type == WEIGHT_Q8_0
                        ? _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(q, w))
                        : _mm256_maddubs_epi16(w, q);

    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}
#endif

/* A block of eight rows as they lie. The sums of blocks are whole numbers, the same ones. */
INLINE void multiply_lying(const int32_t type, rows8 p, int32_t b, const struct scales *scales,
                           const struct activations *const x[], const int n, __m256 y[])
{
    __m256i s[2][8];

    UNROLL for (int r = 0; r < 8; r++)
    {
        __m256i w = block_of(type, p[r], b);

        UNROLL for (int c = 0; c < n; c++) s[c][r] = products(type, w, load32(x[c]->q + b * BLOCK));
    }
    UNROLL for (int c = 0; c < n; c++)
    {
        __m256i low;
        __m256i high;

        sum_lanes(s[c], &low, &high);
        if (type == WEIGHT_Q6_K) {
            y[c] = add_scaled(type, low, scales->scale[2 * b], &x[c]->sum[2 * b], &x[c]->d[b],
                              y[c]);
            y[c] = add_scaled(type, high, scales->scale[2 * b + 1], &x[c]->sum[2 * b + 1],
                              &x[c]->d[b], y[c]);
        } else {
            y[c] = add_scaled(type, _mm256_add_epi32(low, high), scales->scale[b], &x[c]->sum[b],
                              &x[c]->d[b], y[c]);
        }
        if (has_min(type))
            y[c] = _mm256_fmadd_ps(scales->min[b], _mm256_broadcast_ss(&x[c]->s[b]), y[c]);
    }
}

/* ------------------------------------------------------------------ unpacked */

INLINE __m256i four_of_eight(const int8_t *q)
{
    int32_t word = 0;

    memcpy(&word, q, sizeof word);
    return _mm256_set1_epi32(word);
}

/* The sums of a block's products, of weights below 2^5 with activations. */
#if VECTOR_DOTS
INLINE __m256i sums_of_block(const int32_t type, const __m256i v[8], const int8_t *q)
{
    __m256i s[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};

    (void)type;
    UNROLL for (int k = 0; k < 8; k++)
        s[k % 2] = _mm256_dpbusd_epi32(s[k % 2], v[k], four_of_eight(q + 4 * k));
    return _mm256_add_epi32(s[0], s[1]);
}
#else
INLINE __m256i sums_of_block(const int32_t type, const __m256i v[8], const int8_t *q)
{
    const int n = fit(type);
    __m256i s = _mm256_setzero_si256();

    UNROLL for (int from = 0; from < 8; from += n)
    {
        __m256i t = _mm256_maddubs_epi16(v[from], four_of_eight(q + 4 * from));

        UNROLL for (int k = from + 1; k < from + n; k++)
            t = _mm256_add_epi16(t, _mm256_maddubs_epi16(v[k], four_of_eight(q + 4 * k)));
        s = _mm256_add_epi32(s, _mm256_madd_epi16(t, _mm256_set1_epi16(1)));
    }
    return s;
}
#endif

/* A block of eight rows, as they are in a panel. */
INLINE __m256 multiply_unpacked(const int32_t type, rows8 p, int32_t b, const struct scales *scales,
                                const struct activations *x, __m256 y)
{
    __m256i v[8];

    unpack_halves(type, p, b, v);
    y = add_scaled(type, sums_of_block(type, v, x->q + b * BLOCK), scales->scale[b], &x->sum[b],
                   &x->d[b], y);
    if (has_min(type))
        y = _mm256_fmadd_ps(scales->min[b], _mm256_broadcast_ss(&x->s[b]), y);
    return y;
}

/* ------------------------------------------------------------------ columns */

/* next: as matmul_next. */
INLINE void few_n(const int32_t type, const struct matmul *m, int32_t column, int32_t n_columns,
                  const char *next, const int n)
{
    const struct activations *x[2];
    const uint8_t *p[16];
    struct scales scales;
    __m256 y[2];
    size_t part = 8 * m->w_stride / (size_t)chunk_count(m->n_in);

    find_rows(m, column, n_columns, p, 16);
    UNROLL for (int c = 0; c < n; c++)
    {
        x[c] = matmul_x(m, c);
        y[c] = _mm256_setzero_ps();
    }
    for (int32_t i = 0; i < chunk_count(m->n_in); i++) {
        int32_t n_blocks = blocks_in_chunk(m->n_in, i);

        ask_for(next, (size_t)i * part, part);
        scales_of(type, p, n_blocks, &scales);
        if (type == WEIGHT_Q8_0) {
            for (int32_t b = 0; b < n_blocks; b++)
                multiply_lying(type, p, b, &scales, x, n, y);
        } else if (type < WEIGHT_Q4_K) {
            for (int32_t b = 0; b < n_blocks; b++)
                y[0] = multiply_unpacked(type, p, b, &scales, x[0], y[0]);
        } else {
            UNROLL for (int32_t b = 0; b < CHUNK_BLOCKS; b++)
                multiply_lying(type, p, b, &scales, x, n, y);
        }
        for (int r = 0; r < 8; r++)
            p[r] += chunk_bytes(type);
        UNROLL for (int c = 0; c < n; c++) x[c]++;
    }
    UNROLL for (int c = 0; c < n; c++)
        memcpy(matmul_y(m, c) + column, &y[c], (size_t)n_columns * sizeof(float));
}

typedef void few_columns(const struct matmul *m, int32_t column, int32_t n_columns,
                         const char *next);

#define FEW(type, n)                                                                               \
    INSTANCE void few_##type##_##n(const struct matmul *m, int32_t column, int32_t n_columns,      \
                                   const char *next)                                               \
    {                                                                                              \
        few_n(WEIGHT_##type, m, column, n_columns, next, n);                                       \
    }
#define FEW_1(type) FEW(type, 1)
#define FEW_1_OF(type) AT(WEIGHT_##type) few_##type##_1,
FOR_QUANTISED(FEW_1)
FEW(Q8_0, 2)

static few_columns *const one_row_of[WEIGHT_TYPES] = {FOR_QUANTISED(FEW_1_OF)};

/* False: for so many rows of that type panels are faster. */
static bool few_rows(const struct matmul *m, int32_t first, int32_t n)
{
    few_columns *columns = m->n_rows == 1 ? one_row_of[m->type] : NULL;
    int32_t end = first + n;

    if (m->n_rows == 2 && m->type == WEIGHT_Q8_0)
        columns = few_Q8_0_2;
    for (int32_t c = first; columns && c < end; c += 8)
        columns(m, c, end - c < 8 ? end - c : 8, matmul_next(m, c + 8, end));
    return columns != NULL;
}

#endif
