/*
 * few_rows: quantised weights times one row of activations, or two of Q8_0. Unpacking into a panel costs more than it
 * saves for so few: weights are multiplied as they lie, row behind row, which is the stream that a CPU's memory is fastest at,
 * or (Q4_0, Q4_1 and Q5_0, which must be taken apart anyway) unpacked into registers. Vectors of eight, whatever the width of
 * others.
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

INLINE __m256i add_pairs(__m256i a, __m256i b)
{
    return _mm256_madd_epi16(_mm256_packs_epi32(a, b), _mm256_set1_epi16(1));
}

/* The sums of two neighbours each, of a and of b. */
INLINE __m256i add_neighbours(__m256i a, __m256i b)
{
    __m256 x = _mm256_castsi256_ps(a);
    __m256 y = _mm256_castsi256_ps(b);

    return _mm256_add_epi32(_mm256_castps_si256(_mm256_shuffle_ps(x, y, 0x88)),
                            _mm256_castps_si256(_mm256_shuffle_ps(x, y, 0xdd)));
}

/* The same, of numbers that fit 16 bits. */
INLINE __m256i add_narrow_neighbours(__m256i a, __m256i b)
{
    return _mm256_madd_epi16(_mm256_packs_epi32(a, b), _mm256_set1_epi16(1));
}

/* The same as sum_lanes of sums of four products of K types: they fit 16 bits, and two of them do but of Q6_K. */
INLINE void sum_narrow_lanes(const int32_t type, const __m256i v[8], __m256i *low, __m256i *high)
{
    __m256i pairs[4];
    __m256i fours[2];

    UNROLL for (int i = 0; i < 4; i++) pairs[i] = add_narrow_neighbours(v[2 * i], v[2 * i + 1]);
    UNROLL for (int i = 0; i < 2; i++)
        fours[i] = type == WEIGHT_Q6_K ? add_neighbours(pairs[2 * i], pairs[2 * i + 1])
                                       : add_narrow_neighbours(pairs[2 * i], pairs[2 * i + 1]);
    *low = _mm256_permute2x128_si256(fours[0], fours[1], 0x20);
    *high = _mm256_permute2x128_si256(fours[0], fours[1], 0x31);
}

/* The sums of a chunk's first n blocks, of one row of weights: of each, or, of Q6_K, of its halves. */
INLINE void sums_of_chunk(const int32_t type, const uint8_t *p, const struct activations *x,
                          int32_t n, __m256i *sums, __m256i *of_second_halves)
{
    __m256i s[8];
    __m256i low;
    __m256i high;

    UNROLL for (int b = 0; b < 8; b++)
        s[b] = b < n ? products(type, block_of(type, p, b), load32(x->q + b * BLOCK))
                     : _mm256_setzero_si256();
    if (type == WEIGHT_Q8_0)
        sum_lanes(s, &low, &high);
    else
        sum_narrow_lanes(type, s, &low, &high);
    *sums = type == WEIGHT_Q6_K ? low : _mm256_add_epi32(low, high);
    if (type == WEIGHT_Q6_K)
        *of_second_halves = high;
}

/* v[i][j] <-> v[j][i] */
INLINE void transpose(const __m256i from[8], __m256i v[8])
{
    __m256i t[8];
    __m256i u[8];

    UNROLL for (int i = 0; i < 4; i++)
    {
        t[2 * i] = _mm256_unpacklo_epi32(from[2 * i], from[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_epi32(from[2 * i], from[2 * i + 1]);
    }
    UNROLL for (int i = 0; i < 2; i++)
    {
        u[4 * i] = _mm256_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        u[4 * i + 1] = _mm256_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        u[4 * i + 2] = _mm256_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        u[4 * i + 3] = _mm256_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
    UNROLL for (int i = 0; i < 4; i++)
    {
        v[i] = _mm256_permute2x128_si256(u[i], u[i + 4], 0x20);
        v[i + 4] = _mm256_permute2x128_si256(u[i], u[i + 4], 0x31);
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

/* next: as matmul_next. */
typedef void few_columns(const struct matmul *m, int32_t column, int32_t n_columns,
                         const char *next);

INLINE void unpacked(const int32_t type, const struct matmul *m, int32_t column, int32_t n_columns,
                     const char *next)
{
    const struct activations *x = matmul_x(m, 0);
    const uint8_t *p[8];
    struct scales scales;
    __m256 y = _mm256_setzero_ps();
    size_t part = 8 * m->w_stride / (size_t)chunk_count(m->n_in);

    find_rows(m, column, n_columns, p, 8);
    for (int32_t i = 0; i < chunk_count(m->n_in); i++, x++) {
        int32_t n_blocks = blocks_in_chunk(m->n_in, i);

        ask_for(next, (size_t)i * part, part);
        scales_of(type, p, n_blocks, &scales);
        for (int32_t b = 0; b < n_blocks; b++)
            y = multiply_unpacked(type, p, b, &scales, x, y);
        for (int r = 0; r < 8; r++)
            p[r] += chunk_bytes(type);
    }
    memcpy(matmul_y(m, 0) + column, &y, (size_t)n_columns * sizeof(float));
}

/* ------------------------------------------------------------------ row behind row */

/* Chunks whose sums are kept, and rows of weights at most. */
enum { SEGMENT = 40, STREAMED = 2 * 8 };

/* Rows of weights that are streamed together, in vectors of eight, whose numbers are added up side by side: where a
 * block's are two sums, one behind the other, one vector would be waited for. */
INLINE int vectors_of(const int32_t type)
{
    return type < WEIGHT_Q4_K ? 1 : 2;
}

/* Of two rows of activations, or, of Q6_K, of the halves of blocks. */
typedef __m256i kept_sums[2][SEGMENT][STREAMED];

/* A segment of whole rows, one behind the other. */
INLINE void sum_up(const int32_t type, const struct matmul *m, const uint8_t *const p[],
                   int32_t from, int32_t n_chunks, const char *next, kept_sums sums, const int n)
{
    for (int r = 0; r < 8 * vectors_of(type); r++)
        for (int32_t i = 0; i < n_chunks; i++) {
            size_t at = (size_t)(from + i) * chunk_bytes(type);
            int32_t n_blocks = type == WEIGHT_Q8_0 ? blocks_in_chunk(m->n_in, from + i)
                                                   : CHUNK_BLOCKS;

            ask_for(next, (size_t)r * m->w_stride + at, chunk_bytes(type));
            UNROLL for (int c = 0; c < n; c++)
            {
                const struct activations *x = (const struct activations *)matmul_x(m, c) + from + i;

                if (n_blocks == CHUNK_BLOCKS)
                    sums_of_chunk(type, p[r] + at, x, CHUNK_BLOCKS, &sums[c][i][r], &sums[1][i][r]);
                else
                    sums_of_chunk(type, p[r] + at, x, n_blocks, &sums[c][i][r], &sums[1][i][r]);
            }
        }
}

/* Block b of eight rows: sums of its blocks, or, of Q6_K, of their first halves and of their second ones. */
INLINE __m256 add_block(const int32_t type, const __m256i sums[2][8], int32_t b,
                        const struct scales *scales, const struct activations *x, __m256 y)
{
    if (type == WEIGHT_Q6_K) {
        y = add_scaled(type, sums[0][b], scales->scale[2 * b], &x->sum[2 * b], &x->d[b], y);
        y = add_scaled(type, sums[1][b], scales->scale[2 * b + 1], &x->sum[2 * b + 1], &x->d[b], y);
    } else {
        y = add_scaled(type, sums[0][b], scales->scale[b], &x->sum[b], &x->d[b], y);
    }
    if (has_min(type))
        y = _mm256_fmadd_ps(scales->min[b], _mm256_broadcast_ss(&x->s[b]), y);
    return y;
}

/* What was kept of a chunk, of all rows, for row c of activations. */
INLINE void add_up(const int32_t type, const uint8_t *const p[], int32_t n_blocks, kept_sums sums,
                   int32_t chunk, const int c, const struct activations *x, __m256 y[2])
{
    struct scales scales[2];
    __m256i by_block[2][2][8];

    UNROLL for (int k = 0; k < vectors_of(type); k++)
    {
        scales_of(type, p + 8 * k, n_blocks, &scales[k]);
        transpose(sums[c][chunk] + 8 * k, by_block[k][0]);
        if (type == WEIGHT_Q6_K)
            transpose(sums[1][chunk] + 8 * k, by_block[k][1]);
    }
    UNROLL for (int b = 0; b < 8; b++) UNROLL for (int k = 0; k < vectors_of(type); k++)
        y[k] = b < n_blocks ? add_block(type, by_block[k], b, &scales[k], x, y[k]) : y[k];
}

/* n rows of activations. */
INLINE void streamed(const int32_t type, const struct matmul *m, int32_t column, int32_t n_columns,
                     const char *next, const int n)
{
    const uint8_t *p[STREAMED];
    const uint8_t *at[STREAMED];
    kept_sums sums;
    __m256 y[2][2];
    int32_t all = chunk_count(m->n_in);

    find_rows(m, column, n_columns, p, STREAMED);
    memcpy(at, p, sizeof at);
    UNROLL for (int c = 0; c < n; c++) y[c][0] = y[c][1] = _mm256_setzero_ps();
    for (int32_t from = 0; from < all; from += SEGMENT) {
        int32_t n_chunks = all - from < SEGMENT ? all - from : SEGMENT;

        sum_up(type, m, p, from, n_chunks, next, sums, n);
        for (int32_t i = 0; i < n_chunks; i++) {
            int32_t n_blocks = type == WEIGHT_Q8_0 ? blocks_in_chunk(m->n_in, from + i)
                                                   : CHUNK_BLOCKS;

            UNROLL for (int c = 0; c < n; c++)
                add_up(type, at, n_blocks, sums, i, c,
                       (const struct activations *)matmul_x(m, c) + from + i, y[c]);
            for (int r = 0; r < 8 * vectors_of(type); r++)
                at[r] += chunk_bytes(type);
        }
    }
    UNROLL for (int c = 0; c < n; c++)
        memcpy(matmul_y(m, c) + column, y[c], (size_t)n_columns * sizeof(float));
}

/* ------------------------------------------------------------------ columns */

static bool is_streamed(const int32_t type)
{
    return type == WEIGHT_Q8_0 || type >= WEIGHT_Q4_K;
}

#define FEW(type, n)                                                                               \
    INSTANCE void few_##type##_##n(const struct matmul *m, int32_t column, int32_t n_columns,      \
                                   const char *next)                                               \
    {                                                                                              \
        if (is_streamed(WEIGHT_##type))                                                            \
            streamed(WEIGHT_##type, m, column, n_columns, next, n);                                \
        else                                                                                       \
            unpacked(WEIGHT_##type, m, column, n_columns, next);                                   \
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
    int32_t end = first + n, at_once = m->type < WEIGHT_Q4_K ? 8 : STREAMED;

    if (m->n_rows == 2 && m->type == WEIGHT_Q8_0)
        columns = few_Q8_0_2;
    for (int32_t c = first; columns && c < end; c += at_once)
        columns(m, c, end - c < at_once ? end - c : at_once, matmul_next(m, c + at_once, end));
    return columns != NULL;
}

#endif
