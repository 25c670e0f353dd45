/*
 * lying: quantised weights multiplied as they lie. For few rows of activations unpacking costs more than it
 * saves. Vectors of eight, whatever the width of others: a block of one row.
 *
 * A part of one source file for each width of vectors, which includes it (vectors.h).
 */
#ifndef INF_KERNELS_LYING_H
#define INF_KERNELS_LYING_H

#include "kernels/weights.h"

INLINE __m256i load32(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

/* 16 in the bytes whose bit is set. */
INLINE __m256i fifth_bits_of(const uint8_t *high)
{
    const __m256i where = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202,
                                             0x0303030303030303);
    const __m256i bits = _mm256_set1_epi64x((int64_t)0x8040201008040201);
    __m256i bytes = _mm256_shuffle_epi8(_mm256_broadcastd_epi32(load4(high)), where);

    return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(bytes, bits), bits),
                            _mm256_set1_epi8(16));
}

/* Block b of a row of weights, its numbers as bytes, without their offset. */
INLINE __m256i block_of(const int32_t type, const uint8_t *p, int32_t b)
{
    if (type == WEIGHT_Q8_0)
        return load32(p + b * weight_bytes(type) + 2);
    if (type == WEIGHT_Q4_0 || type == WEIGHT_Q4_1 || type == WEIGHT_Q5_0) {
        const uint8_t *end = p + (b + 1) * weight_bytes(type);
        __m128i q = _mm_loadu_si128((const __m128i *)(const void *)(end - BLOCK / 2));
        __m256i v = low_bits(
            _mm256_inserti128_si256(_mm256_castsi128_si256(q), _mm_srli_epi16(q, 4), 1));

        return type == WEIGHT_Q5_0 ? _mm256_or_si256(v, fifth_bits_of(end - BLOCK / 2 - 4)) : v;
    }
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
    __m256i s[4][8];

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

INLINE void lying_n(const int32_t type, const struct matmul *m, int32_t column, int32_t n_columns,
                    const int n)
{
    const struct activations *x[4];
    const uint8_t *p[16];
    struct scales scales;
    __m256 y[4];
    size_t part = 8 * m->w_stride / (size_t)chunk_count(m->n_in);

    find_rows(m, column, n_columns, p);
    UNROLL for (int c = 0; c < n; c++)
    {
        x[c] = matmul_x(m, c);
        y[c] = _mm256_setzero_ps();
    }
    for (int32_t i = 0; i < chunk_count(m->n_in); i++) {
        int32_t n_blocks = blocks_in_chunk(m->n_in, i);

        ask_for((const char *)m->w + (size_t)(column + 8) * m->w_stride + (size_t)i * part, part);
        scales_of(type, p, n_blocks, &scales);
        if (type < WEIGHT_Q4_K) {
            for (int32_t b = 0; b < n_blocks; b++)
                multiply_lying(type, p, b, &scales, x, n, y);
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

typedef void lying_rows(const struct matmul *m, int32_t column, int32_t n_columns);

#define LYING(type, n)                                                                             \
    INSTANCE void lying_##type##_##n(const struct matmul *m, int32_t column, int32_t n_columns)    \
    {                                                                                              \
        lying_n(WEIGHT_##type, m, column, n_columns, n);                                           \
    }
#define LYING_1(type) LYING(type, 1)
FOR_QUANTISED(LYING_1)
LYING(Q8_0, 2)
LYING(Q8_0, 3)
LYING(Q8_0, 4)

/* For 1 to 4 rows of activations; NULL: panels are faster. */
static lying_rows *const lying_of[WEIGHT_TYPES][4] = {
    [WEIGHT_Q8_0] = {lying_Q8_0_1, lying_Q8_0_2, lying_Q8_0_3, lying_Q8_0_4},
    [WEIGHT_Q4_0] = {lying_Q4_0_1},
    [WEIGHT_Q4_1] = {lying_Q4_1_1},
    [WEIGHT_Q5_0] = {lying_Q5_0_1},
    [WEIGHT_Q4_K] = {lying_Q4_K_1},
    [WEIGHT_Q5_K] = {lying_Q5_K_1},
    [WEIGHT_Q6_K] = {lying_Q6_K_1}};

/* False: for so many rows of that type panels are faster. */
static bool lying(const struct matmul *m, int32_t first, int32_t n)
{
    bool few = m->n_rows >= 1 && m->n_rows <= 4;
    lying_rows *rows = few ? lying_of[m->type][m->n_rows - 1] : NULL;

    for (int32_t c = 0; rows && c < n; c += 8)
        rows(m, first + c, n - c < 8 ? n - c : 8);
    return rows != NULL;
}

#endif
