/*
 * matmul with AVX2, FMA and F16C.
 *
 * Quantised weights: 16 rows of weights are unpacked a chunk at a time into a panel, in which a vector has
 * four neighbouring numbers of eight rows; all rows of activations pass over it while it is in the
 * nearest cache, four at a time. So weights are unpacked once, nothing is summed across a vector, and
 * products of few bits are added in 16 bits.
 * Weights that are numbers: tiles of rows of weights times rows of activations, in registers.
 */
#include "kernels/blocks.h"

#if INF_KERNELS_X86

#include "core/numbers.h"

#include <immintrin.h>
#include <math.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define INLINE AVX2 static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

INLINE float sum8(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

/* ------------------------------------------------------------------ activations */

INLINE int32_t sum_i32(__m256i v)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));

    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

/* NaN where a number is not finite. */
INLINE float scale_of(const __m256 v[4])
{
    const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    __m256 largest = _mm256_setzero_ps();
    __m256 zero = _mm256_setzero_ps();
    __m128 m;

    UNROLL for (int i = 0; i < 4; i++)
    {
        largest = _mm256_max_ps(largest, _mm256_and_ps(v[i], magnitude));
        zero = _mm256_fmadd_ps(v[i], _mm256_setzero_ps(), zero);
    }
    m = _mm_max_ps(_mm256_castps256_ps128(largest), _mm256_extractf128_ps(largest, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    m = _mm_max_ss(m, _mm_movehdup_ps(m));
    if (_mm256_movemask_ps(_mm256_cmp_ps(zero, _mm256_setzero_ps(), _CMP_NEQ_UQ)))
        return NAN;
    return _mm_cvtss_f32(m) / 127;
}

INLINE void prepare_block(const struct weight_facts *f, const float *x, struct activations *out,
                          int32_t b)
{
    __m256 v[4];
    __m256i q[4];
    __m256i packed;
    float d = 0;
    float inverse = 0;
    int32_t sums[2];

    UNROLL for (int i = 0; i < 4; i++) v[i] = _mm256_loadu_ps(x + i * 8);
    d = scale_of(v);
    inverse = d > 0 ? 1 / d : 0;
    UNROLL for (int i = 0; i < 4; i++)
        q[i] = d > 0 ? _mm256_cvtps_epi32(_mm256_mul_ps(v[i], _mm256_set1_ps(inverse)))
                     : _mm256_setzero_si256();
    sums[0] = sum_i32(_mm256_add_epi32(q[0], q[1]));
    sums[1] = sum_i32(_mm256_add_epi32(q[2], q[3]));
    packed = _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
    packed = _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256((__m256i *)(void *)(out->q + b * BLOCK), packed);
    out->d[b] = d;
    out->s[b] = d * (float)(sums[0] + sums[1]);
    if (f->group == 16) {
        out->sum[2 * b] = f->offset * sums[0];
        out->sum[2 * b + 1] = f->offset * sums[1];
    } else {
        out->sum[b] = f->offset * (sums[0] + sums[1]);
    }
}

AVX2 void matmul_prepare_avx2(int32_t type, int32_t n_in, const float *x, struct activations *out)
{
    for (int32_t i = 0; i < chunk_count(n_in); i++) {
        int32_t n_blocks = blocks_in_chunk(n_in, i);

        if (n_blocks < CHUNK_BLOCKS)
            memset(&out[i], 0, sizeof out[i]);
        for (int32_t b = 0; b < n_blocks; b++)
            prepare_block(&weight_facts[type], x + i * CHUNK + b * BLOCK, &out[i], b);
    }
}

/* ------------------------------------------------------------------ unpacking weights */

/*
 * A chunk of 16 rows of weights. q[plane][block][k][half]: the numbers 4k .. 4k+3 of a block, of each of
 * eight rows. Q8_0 has two planes, the magnitudes and the numbers.
 */
struct panel {
    __m256i q[2][CHUNK_BLOCKS][8][2];
    __m256 scale[GROUPS][2];
    __m256 min[CHUNK_BLOCKS][2];
};

/* Where the chunk begins in eight rows. */
typedef const uint8_t *const rows8[8];

INLINE __m256i two_rows(const uint8_t *low, const uint8_t *high)
{
    return _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)low)),
        _mm_loadu_si128((const __m128i *)(const void *)high), 1);
}

/* 16 bytes of eight rows: v[k] gets the bytes 4k .. 4k+3 of each. */
INLINE void transpose16(rows8 p, size_t at, __m256i v[4])
{
    __m256i a = two_rows(p[0] + at, p[4] + at);
    __m256i b = two_rows(p[1] + at, p[5] + at);
    __m256i c = two_rows(p[2] + at, p[6] + at);
    __m256i d = two_rows(p[3] + at, p[7] + at);
    __m256i ab = _mm256_unpacklo_epi32(a, b);
    __m256i cd = _mm256_unpacklo_epi32(c, d);

    v[0] = _mm256_unpacklo_epi64(ab, cd);
    v[1] = _mm256_unpackhi_epi64(ab, cd);
    ab = _mm256_unpackhi_epi32(a, b);
    cd = _mm256_unpackhi_epi32(c, d);
    v[2] = _mm256_unpacklo_epi64(ab, cd);
    v[3] = _mm256_unpackhi_epi64(ab, cd);
}

INLINE void transpose32(rows8 p, size_t at, __m256i v[8])
{
    transpose16(p, at, v);
    transpose16(p, at + 16, v + 4);
}

INLINE __m128i load4(const uint8_t *p)
{
    uint32_t word = 0;

    memcpy(&word, p, sizeof word);
    return _mm_cvtsi32_si128((int32_t)word);
}

/* Two half floats of eight rows. */
INLINE void halves(rows8 p, size_t at, __m256 *first, __m256 *second)
{
    __m128i a = _mm_unpacklo_epi16(load4(p[0] + at), load4(p[1] + at));
    __m128i b = _mm_unpacklo_epi16(load4(p[2] + at), load4(p[3] + at));
    __m128i c = _mm_unpacklo_epi16(load4(p[4] + at), load4(p[5] + at));
    __m128i d = _mm_unpacklo_epi16(load4(p[6] + at), load4(p[7] + at));

    a = _mm_unpacklo_epi32(a, b);
    c = _mm_unpacklo_epi32(c, d);
    *first = _mm256_cvtph_ps(_mm_unpacklo_epi64(a, c));
    *second = _mm256_cvtph_ps(_mm_unpackhi_epi64(a, c));
}

INLINE __m256i low_bits(__m256i v)
{
    return _mm256_and_si256(v, _mm256_set1_epi8(15));
}

INLINE __m256i high_bits(__m256i v)
{
    return low_bits(_mm256_srli_epi16(v, 4));
}

INLINE void unpack_q8_0(rows8 p, int32_t n_blocks, struct panel *out, int h)
{
    for (int32_t b = 0; b < n_blocks; b++) {
        size_t at = (size_t)b * sizeof(struct block_q8_0);
        __m256i v[8];
        __m256 unused;

        halves(p, at, &out->scale[b][h], &unused);
        transpose32(p, at + 2, v);
        UNROLL for (int k = 0; k < 8; k++)
        {
            out->q[0][b][k][h] = _mm256_abs_epi8(v[k]);
            out->q[1][b][k][h] = v[k];
        }
    }
}

/* Q4_0, or Q4_1. */
INLINE void unpack_q4(rows8 p, int32_t n_blocks, struct panel *out, int h, const bool has_min)
{
    for (int32_t b = 0; b < n_blocks; b++) {
        size_t head = has_min ? 4 : 2;
        size_t at = (size_t)b * (head + BLOCK / 2);
        __m256i v[4];

        halves(p, at, &out->scale[b][h], &out->min[b][h]);
        transpose16(p, at + head, v);
        UNROLL for (int k = 0; k < 4; k++)
        {
            out->q[0][b][k][h] = low_bits(v[k]);
            out->q[0][b][4 + k][h] = high_bits(v[k]);
        }
    }
}

/* Bytes of eight rows, 16 of each: at i eight bytes, one of each row. */
INLINE void transpose_bytes(const uint8_t from[8][16], uint8_t to[16][8])
{
    __m128i a[8];
    __m128i b[8];

    UNROLL for (int i = 0; i < 8; i++)
        a[i] = _mm_loadu_si128((const __m128i *)(const void *)from[i]);
    UNROLL for (int i = 0; i < 4; i++)
    {
        b[2 * i] = _mm_unpacklo_epi8(a[2 * i], a[2 * i + 1]);
        b[2 * i + 1] = _mm_unpackhi_epi8(a[2 * i], a[2 * i + 1]);
    }
    UNROLL for (int i = 0; i < 2; i++)
    {
        a[4 * i] = _mm_unpacklo_epi16(b[4 * i], b[4 * i + 2]);
        a[4 * i + 1] = _mm_unpackhi_epi16(b[4 * i], b[4 * i + 2]);
        a[4 * i + 2] = _mm_unpacklo_epi16(b[4 * i + 1], b[4 * i + 3]);
        a[4 * i + 3] = _mm_unpackhi_epi16(b[4 * i + 1], b[4 * i + 3]);
    }
    UNROLL for (int i = 0; i < 4; i++)
    {
        _mm_storeu_si128((__m128i *)(void *)to[4 * i], _mm_unpacklo_epi32(a[i], a[4 + i]));
        _mm_storeu_si128((__m128i *)(void *)to[4 * i + 2], _mm_unpackhi_epi32(a[i], a[4 + i]));
    }
}

INLINE __m256i eight_bytes(const uint8_t *p)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
}

INLINE void unpack_k_scales(rows8 p, struct panel *out, int h)
{
    uint8_t by_row[8][16];
    uint8_t by_block[16][8];
    __m256 d;
    __m256 m;

    for (int r = 0; r < 8; r++)
        unpack_scales(p[r] + 4, by_row[r]);
    transpose_bytes((const uint8_t(*)[16])by_row, by_block);
    halves(p, 0, &d, &m);
    m = _mm256_xor_ps(m, _mm256_set1_ps(-0.0f));
    for (int b = 0; b < CHUNK_BLOCKS; b++) {
        out->scale[b][h] = _mm256_mul_ps(d, _mm256_cvtepi32_ps(eight_bytes(by_block[b])));
        out->min[b][h] = _mm256_mul_ps(m, _mm256_cvtepi32_ps(eight_bytes(by_block[8 + b])));
    }
}

/* Q4_K, or Q5_K. */
INLINE void unpack_k(rows8 p, struct panel *out, int h, const bool has_high)
{
    size_t head = 16;
    __m256i high[8];

    unpack_k_scales(p, out, h);
    if (has_high) {
        transpose32(p, head, high);
        head += CHUNK / 8;
    }
    for (int pair = 0; pair < CHUNK_BLOCKS / 2; pair++) {
        __m256i v[8];

        transpose32(p, head + (size_t)pair * BLOCK, v);
        UNROLL for (int k = 0; k < 8; k++)
        {
            __m256i low = low_bits(v[k]);
            __m256i top = high_bits(v[k]);

            if (has_high) {
                const __m256i bit = _mm256_set1_epi8(16);

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
    uint8_t by_row[8][16];
    uint8_t by_group[16][8];
    uint8_t d[8][4];
    __m256 scale;
    __m256 unused;

    for (int r = 0; r < 8; r++) {
        memcpy(by_row[r], p[r] + CHUNK / 2 + CHUNK / 4, 16);
        memcpy(d[r], p[r] + sizeof(struct block_q6_k) - 4, 4);
    }
    transpose_bytes((const uint8_t(*)[16])by_row, by_group);
    {
        rows8 at = {d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]};

        halves(at, 0, &unused, &scale);
    }
    for (int g = 0; g < GROUPS; g++)
        out->scale[g][h] = _mm256_mul_ps(
            scale, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(
                       _mm_loadl_epi64((const __m128i *)(const void *)by_group[g]))));
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
    if (type == WEIGHT_Q8_0)
        unpack_q8_0(p, n_blocks, out, h);
    else if (type == WEIGHT_Q4_0)
        unpack_q4(p, n_blocks, out, h, false);
    else if (type == WEIGHT_Q4_1)
        unpack_q4(p, n_blocks, out, h, true);
    else if (type == WEIGHT_Q6_K)
        unpack_q6_k(p, out, h);
    else
        unpack_k(p, out, h, type == WEIGHT_Q5_K);
}

/* ------------------------------------------------------------------ quantised products */

INLINE __m256i four_of(const int8_t *q)
{
    int32_t word = 0;

    memcpy(&word, q, sizeof word);
    return _mm256_set1_epi32(word);
}

INLINE __m256i sum_pairs(__m256i v)
{
    return _mm256_madd_epi16(v, _mm256_set1_epi16(1));
}

/* Products of weights below 2^bits with activations, added in pairs of bytes, fit 16 bits for so many. */
INLINE int fit(const int32_t type)
{
    return type == WEIGHT_Q6_K ? 2 : type == WEIGHT_Q5_K ? 4 : 8;
}

/* Adds to s the sums of n_k times four products of a block, from k0 on. */
INLINE void add_products(const __m256i w[8][2], const int8_t *const q[], const int k0,
                         const int n_k, const int n_fit, const int n, __m256i s[][2])
{
    UNROLL for (int from = k0; from < k0 + n_k; from += n_fit)
    {
        __m256i t[4][2];

        UNROLL for (int k = from; k < from + n_fit; k++)
        {
            UNROLL for (int c = 0; c < n; c++)
            {
                __m256i x = four_of(q[c] + 4 * k);

                UNROLL for (int h = 0; h < 2; h++)
                {
                    __m256i product = _mm256_maddubs_epi16(w[k][h], x);

                    t[c][h] = k == from ? product : _mm256_add_epi16(t[c][h], product);
                }
            }
        }
        UNROLL for (int c = 0; c < n; c++)
        {
            UNROLL for (int h = 0; h < 2; h++)
                s[c][h] = _mm256_add_epi32(s[c][h], sum_pairs(t[c][h]));
        }
    }
}

/* The same where weights have eight bits and a sign, which is given to the activations. */
INLINE void add_signed_products(const __m256i magnitude[8][2], const __m256i w[8][2],
                                const int8_t *const q[], const int n, __m256i s[][2])
{
    UNROLL for (int k = 0; k < 8; k++)
    {
        UNROLL for (int c = 0; c < n; c++)
        {
            __m256i x = four_of(q[c] + 4 * k);

            UNROLL for (int h = 0; h < 2; h++) s[c][h] = _mm256_add_epi32(
                s[c][h],
                sum_pairs(_mm256_maddubs_epi16(magnitude[k][h], _mm256_sign_epi8(x, w[k][h]))));
        }
    }
}

INLINE bool has_offset(const int32_t type)
{
    return type == WEIGHT_Q4_0 || type == WEIGHT_Q6_K;
}

INLINE bool has_min(const int32_t type)
{
    return type == WEIGHT_Q4_1 || type == WEIGHT_Q4_K || type == WEIGHT_Q5_K;
}

/* One block, n rows of activations: y += what it gives. */
INLINE void multiply_block(const int32_t type, const struct panel *p, int32_t b,
                           const struct activations *const x[], const int n, __m256 y[][2])
{
    const int n_groups = type == WEIGHT_Q6_K ? 2 : 1;
    const int n_k = 8 / n_groups;
    const int8_t *q[4];

    UNROLL for (int c = 0; c < n; c++) q[c] = x[c]->q + b * BLOCK;
    UNROLL for (int g = 0; g < n_groups; g++)
    {
        __m256i s[4][2];

        UNROLL for (int c = 0; c < n; c++)
        {
            UNROLL for (int h = 0; h < 2; h++)
                s[c][h] = has_offset(type) ? _mm256_set1_epi32(-x[c]->sum[b * n_groups + g])
                                           : _mm256_setzero_si256();
        }
        if (type == WEIGHT_Q8_0)
            add_signed_products(p->q[0][b], p->q[1][b], q, n, s);
        else
            add_products(p->q[0][b], q, g * n_k, n_k, fit(type), n, s);
        UNROLL for (int c = 0; c < n; c++)
        {
            UNROLL for (int h = 0; h < 2; h++) y[c][h] = _mm256_fmadd_ps(
                _mm256_mul_ps(_mm256_cvtepi32_ps(s[c][h]), p->scale[b * n_groups + g][h]),
                _mm256_broadcast_ss(&x[c]->d[b]), y[c][h]);
        }
    }
    if (has_min(type)) {
        UNROLL for (int c = 0; c < n; c++)
        {
            UNROLL for (int h = 0; h < 2; h++)
                y[c][h] = _mm256_fmadd_ps(p->min[b][h], _mm256_broadcast_ss(&x[c]->s[b]), y[c][h]);
        }
    }
}

INLINE void multiply_n(const int32_t type, const struct panel *p, int32_t n_blocks,
                       const struct activations *const x[], const int n, __m256 (*sums)[2])
{
    __m256 y[4][2];

    UNROLL for (int c = 0; c < n; c++)
    {
        UNROLL for (int h = 0; h < 2; h++) y[c][h] = sums[c][h];
    }
    for (int32_t b = 0; b < n_blocks; b++)
        multiply_block(type, p, b, x, n, y);
    UNROLL for (int c = 0; c < n; c++)
    {
        UNROLL for (int h = 0; h < 2; h++) sums[c][h] = y[c][h];
    }
}

/* How many of `left` rows are computed together: at most four, and not three times four and one. */
INLINE int32_t together(int32_t left)
{
    int32_t passes = (left + 3) / 4;

    return (left + passes - 1) / passes;
}

/* Rows of activations that pass over a panel before the next is unpacked. */
enum { ROWS_AT_ONCE = 64 };

INLINE const struct activations *activations_of(const struct matmul *m, int32_t row)
{
    return (const struct activations *)(const void *)((const char *)m->x +
                                                      (size_t)row * m->x_stride);
}

/* Chunk i of the rows from `row` on. */
INLINE void multiply(const int32_t type, const struct panel *p, const struct matmul *m, int32_t row,
                     int32_t n_rows, int32_t i, __m256 (*sums)[2])
{
    int32_t n_blocks = blocks_in_chunk(m->n_in, i);

    for (int32_t r = 0; r < n_rows;) {
        int32_t n = together(n_rows - r);
        const struct activations *x[4];

        for (int32_t c = 0; c < n; c++)
            x[c] = activations_of(m, row + r + c) + i;
        if (n == 4)
            multiply_n(type, p, n_blocks, x, 4, sums + r);
        else if (n == 3)
            multiply_n(type, p, n_blocks, x, 3, sums + r);
        else if (n == 2)
            multiply_n(type, p, n_blocks, x, 2, sums + r);
        else
            multiply_n(type, p, n_blocks, x, 1, sums + r);
        r += n;
    }
}

/* The rows of weights of a panel; where they end the last one again. */
INLINE void find_rows(const struct matmul *m, int32_t column, int32_t n, const uint8_t *p[16])
{
    for (int32_t i = 0; i < 16; i++)
        p[i] = (const uint8_t *)m->w + (size_t)(column + (i < n ? i : n - 1)) * m->w_stride;
}

INLINE void store(const struct matmul *m, int32_t row, int32_t n_rows, int32_t column, int32_t n,
                  __m256 (*sums)[2])
{
    for (int32_t r = 0; r < n_rows; r++) {
        float *y = m->y + (size_t)(row + r) * m->y_stride + column;

        if (n == 16) {
            _mm256_storeu_ps(y, sums[r][0]);
            _mm256_storeu_ps(y + 8, sums[r][1]);
        } else {
            memcpy(y, sums[r], (size_t)n * sizeof *y);
        }
    }
}

INLINE void quantised_panel(const int32_t type, const struct matmul *m, int32_t row, int32_t n_rows,
                            int32_t column, int32_t n, struct panel *panel)
{
    size_t chunk_bytes = (size_t)(CHUNK / weight_facts[type].block) *
                         (size_t)weight_facts[type].bytes;
    const uint8_t *p[16];
    __m256 sums[ROWS_AT_ONCE][2];

    find_rows(m, column, n, p);
    for (int32_t r = 0; r < n_rows; r++)
        sums[r][0] = sums[r][1] = _mm256_setzero_ps();
    for (int32_t i = 0; i < chunk_count(m->n_in); i++) {
        for (int h = 0; h < 2; h++)
            unpack(type, p + 8 * h, blocks_in_chunk(m->n_in, i), panel, h);
        for (int k = 0; k < 16; k++)
            p[k] += chunk_bytes;
        multiply(type, panel, m, row, n_rows, i, sums);
    }
    store(m, row, n_rows, column, n, sums);
}

/* ------------------------------------------------------------------ Q8_0, few rows */

/* The sums of the lanes of each of eight vectors. */
INLINE __m256i sum_lanes(const __m256i v[8])
{
    __m256i pairs[4];
    __m256i fours[2];

    UNROLL for (int i = 0; i < 4; i++)
        pairs[i] = _mm256_add_epi32(_mm256_unpacklo_epi32(v[2 * i], v[2 * i + 1]),
                                    _mm256_unpackhi_epi32(v[2 * i], v[2 * i + 1]));
    UNROLL for (int i = 0; i < 2; i++)
        fours[i] = _mm256_add_epi32(_mm256_unpacklo_epi64(pairs[2 * i], pairs[2 * i + 1]),
                                    _mm256_unpackhi_epi64(pairs[2 * i], pairs[2 * i + 1]));
    return _mm256_add_epi32(_mm256_permute2x128_si256(fours[0], fours[1], 0x20),
                            _mm256_permute2x128_si256(fours[0], fours[1], 0x31));
}

INLINE __m256i load32(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

/* A chunk of eight rows of weights as they lie: unpacking them costs more than it saves. The sums of
 * blocks are whole numbers, the same ones. */
INLINE void multiply_lying(rows8 p, int32_t n_blocks, const struct activations *const x[],
                           const int n, __m256 y[])
{
    for (int32_t b = 0; b < n_blocks; b++) {
        size_t at = (size_t)b * sizeof(struct block_q8_0);
        __m256i s[4][8];
        __m256 scale;
        __m256 unused;

        halves(p, at, &scale, &unused);
        UNROLL for (int r = 0; r < 8; r++)
        {
            __m256i w = load32(p[r] + at + 2);
            __m256i magnitude = _mm256_abs_epi8(w);

            UNROLL for (int c = 0; c < n; c++) s[c][r] = sum_pairs(
                _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(load32(x[c]->q + b * BLOCK), w)));
        }
        UNROLL for (int c = 0; c < n; c++)
            y[c] = _mm256_fmadd_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(sum_lanes(s[c])), scale),
                                   _mm256_broadcast_ss(&x[c]->d[b]), y[c]);
    }
}

INLINE void lying_n(const struct matmul *m, int32_t row, int32_t column, int32_t n_columns,
                    const int n)
{
    const struct activations *x[4];
    const uint8_t *p[16];
    __m256 y[4];

    find_rows(m, column, n_columns, p);
    UNROLL for (int c = 0; c < n; c++)
    {
        x[c] = activations_of(m, row + c);
        y[c] = _mm256_setzero_ps();
    }
    for (int32_t i = 0; i < chunk_count(m->n_in); i++) {
        multiply_lying(p, blocks_in_chunk(m->n_in, i), x, n, y);
        for (int r = 0; r < 8; r++)
            p[r] += CHUNK_BLOCKS * sizeof(struct block_q8_0);
        UNROLL for (int c = 0; c < n; c++) x[c]++;
    }
    UNROLL for (int c = 0; c < n; c++) memcpy(m->y + (size_t)(row + c) * m->y_stride + column,
                                              &y[c], (size_t)n_columns * sizeof(float));
}

enum { FEW_ROWS = 8 };

INLINE void lying(const struct matmul *m, int32_t first, int32_t n)
{
    for (int32_t c = first; c < first + n; c += 8) {
        int32_t columns = first + n - c < 8 ? first + n - c : 8;

        for (int32_t r = 0; r < m->n_rows;) {
            int32_t rows = together(m->n_rows - r);

            if (rows == 4)
                lying_n(m, r, c, columns, 4);
            else if (rows == 3)
                lying_n(m, r, c, columns, 3);
            else if (rows == 2)
                lying_n(m, r, c, columns, 2);
            else
                lying_n(m, r, c, columns, 1);
            r += rows;
        }
    }
}

/* A copy for each type, in which it is a constant. */
INLINE void quantised(const int32_t type, const struct matmul *m, int32_t first, int32_t n)
{
    struct panel panel;

    if (type == WEIGHT_Q8_0 && m->n_rows <= FEW_ROWS) {
        lying(m, first, n);
        return;
    }
    for (int32_t row = 0; row < m->n_rows; row += ROWS_AT_ONCE) {
        int32_t n_rows = m->n_rows - row < ROWS_AT_ONCE ? m->n_rows - row : ROWS_AT_ONCE;

        for (int32_t c = 0; c < n; c += 16)
            quantised_panel(type, m, row, n_rows, first + c, n - c < 16 ? n - c : 16, &panel);
    }
}

/* ------------------------------------------------------------------ products of numbers */

INLINE __m256 load8(const int32_t type, const void *w, size_t i)
{
    if (type == WEIGHT_F32)
        return _mm256_loadu_ps((const float *)w + i);
    if (type == WEIGHT_F16)
        return _mm256_cvtph_ps(
            _mm_loadu_si128((const __m128i *)(const void *)((const uint16_t *)w + i)));
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(
                              (const __m128i *)(const void *)((const uint16_t *)w + i))),
                          16));
}

/* n < 8 numbers, then zeros. */
INLINE __m256 load_rest(const int32_t type, const void *w, size_t i, size_t n)
{
    uint8_t rest[32] = {0};
    size_t size = type == WEIGHT_F32 ? 4 : 2;

    memcpy(rest, (const char *)w + i * size, n * size);
    return load8(type, rest, 0);
}

INLINE const float *row_of(const struct matmul *m, int32_t row)
{
    return (const float *)(const void *)((const char *)m->x + (size_t)row * m->x_stride);
}

INLINE const void *weights_of(const struct matmul *m, int32_t column)
{
    return (const char *)m->w + (size_t)column * m->w_stride;
}

/* n_w rows of weights times n rows of activations. */
INLINE void tile(const int32_t type, const struct matmul *m, int32_t row, int32_t column,
                 const int n, const int n_w)
{
    size_t n8 = (size_t)m->n_in & ~(size_t)7;
    __m256 y[12];
    __m256 w[8];

    UNROLL for (int i = 0; i < n * n_w; i++) y[i] = _mm256_setzero_ps();
    for (size_t i = 0; i < n8; i += 8) {
        UNROLL for (int k = 0; k < n_w; k++) w[k] = load8(type, weights_of(m, column + k), i);
        UNROLL for (int c = 0; c < n; c++)
        {
            __m256 x = _mm256_loadu_ps(row_of(m, row + c) + i);

            UNROLL for (int k = 0; k < n_w; k++)
                y[c * n_w + k] = _mm256_fmadd_ps(w[k], x, y[c * n_w + k]);
        }
    }
    if (n8 < (size_t)m->n_in) {
        size_t rest = (size_t)m->n_in - n8;

        UNROLL for (int k = 0; k < n_w; k++)
            w[k] = load_rest(type, weights_of(m, column + k), n8, rest);
        UNROLL for (int c = 0; c < n; c++)
        {
            __m256 x = load_rest(WEIGHT_F32, row_of(m, row + c), n8, rest);

            UNROLL for (int k = 0; k < n_w; k++)
                y[c * n_w + k] = _mm256_fmadd_ps(w[k], x, y[c * n_w + k]);
        }
    }
    UNROLL for (int c = 0; c < n; c++)
    {
        UNROLL for (int k = 0; k < n_w; k++)
            m->y[(size_t)(row + c) * m->y_stride + (size_t)(column + k)] = sum8(y[c * n_w + k]);
    }
}

INLINE void strip(const int32_t type, const struct matmul *m, int32_t row, int32_t column,
                  int32_t end, const int n, const int n_w)
{
    for (; column + n_w <= end; column += n_w)
        tile(type, m, row, column, n, n_w);
    for (; column < end; column++)
        tile(type, m, row, column, n, 1);
}

/* Rows of weights that all rows of activations pass over while they are in a near cache. */
enum { WEIGHTS_AT_ONCE = 24 };

INLINE void numbers(const int32_t type, const struct matmul *m, int32_t first, int32_t n)
{
    for (int32_t c = first; c < first + n; c += WEIGHTS_AT_ONCE) {
        int32_t end = c + WEIGHTS_AT_ONCE < first + n ? c + WEIGHTS_AT_ONCE : first + n;

        for (int32_t r = 0; r < m->n_rows;) {
            int32_t n_rows = together(m->n_rows - r);

            if (n_rows == 4)
                strip(type, m, r, c, end, 4, 3);
            else if (n_rows == 3)
                strip(type, m, r, c, end, 3, 3);
            else if (n_rows == 2)
                strip(type, m, r, c, end, 2, 4);
            else
                strip(type, m, r, c, end, 1, 8);
            r += n_rows;
        }
    }
}

AVX2 void matmul_columns_avx2(const struct matmul *m, int32_t first, int32_t n)
{
    switch (m->type) {
    case WEIGHT_F32:
        numbers(WEIGHT_F32, m, first, n);
        break;
    case WEIGHT_F16:
        numbers(WEIGHT_F16, m, first, n);
        break;
    case WEIGHT_BF16:
        numbers(WEIGHT_BF16, m, first, n);
        break;
    case WEIGHT_Q8_0:
        quantised(WEIGHT_Q8_0, m, first, n);
        break;
    case WEIGHT_Q4_0:
        quantised(WEIGHT_Q4_0, m, first, n);
        break;
    case WEIGHT_Q4_1:
        quantised(WEIGHT_Q4_1, m, first, n);
        break;
    case WEIGHT_Q4_K:
        quantised(WEIGHT_Q4_K, m, first, n);
        break;
    case WEIGHT_Q5_K:
        quantised(WEIGHT_Q5_K, m, first, n);
        break;
    case WEIGHT_Q6_K:
        quantised(WEIGHT_Q6_K, m, first, n);
        break;
    default:
        break;
    }
}

#endif
