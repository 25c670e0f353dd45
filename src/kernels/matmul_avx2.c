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
/* Of each type, and number of rows, a function of its own, in which it is a constant. */
#define INSTANCE AVX2 __attribute__((noinline)) static
#define FOR_QUANTISED(x) x(Q8_0) x(Q4_0) x(Q4_1) x(Q5_0) x(Q4_K) x(Q5_K) x(Q6_K)
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#define ROLLED _Pragma("clang loop unroll(disable)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#define ROLLED _Pragma("GCC unroll 1")
#endif

/* In loops that gcc unrolls, and where it gives a sum a second register, it runs out of them: then a sum lies in
 * memory, for which each step waits. This one has a register. */
#define KEEP(v) __asm__("" : "+x"(v))

INLINE float sum8(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

/* Several rows of weights that are read at once are no stream that the CPU foresees: the next ones are
 * asked for, a part with each step. */
INLINE void ask_for(const void *p, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64)
        _mm_prefetch((const char *)p + i, _MM_HINT_T1);
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

/* The scales of a chunk of eight rows: of its blocks, or of each 16 numbers; and the minima. */
struct scales {
    __m256 scale[GROUPS];
    __m256 min[CHUNK_BLOCKS];
};

/*
 * A chunk of 16 rows of weights. q[plane][block][k][half]: the numbers 4k .. 4k+3 of a block, of each of
 * eight rows. Q8_0 has two planes, the magnitudes and the numbers.
 */
struct panel {
    __m256i q[2][CHUNK_BLOCKS][8][2];
    struct scales scales[2];
};

/* Of a block of weights: a constant where the type is. */
INLINE int32_t weight_bytes(const int32_t type)
{
    switch (type) {
    case WEIGHT_Q8_0:
        return sizeof(struct block_q8_0);
    case WEIGHT_Q4_0:
        return sizeof(struct block_q4_0);
    case WEIGHT_Q4_1:
        return sizeof(struct block_q4_1);
    case WEIGHT_Q5_0:
        return sizeof(struct block_q5_0);
    case WEIGHT_Q4_K:
        return sizeof(struct block_q4_k);
    case WEIGHT_Q5_K:
        return sizeof(struct block_q5_k);
    default:
        return sizeof(struct block_q6_k);
    }
}

INLINE size_t chunk_bytes(const int32_t type)
{
    return (size_t)(type < WEIGHT_Q4_K ? CHUNK_BLOCKS : 1) * (size_t)weight_bytes(type);
}

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

/* ------------------------------------------------------------------ their scales */

/* Byte i of each of eight words. */
INLINE __m256i byte_of(__m256i words, const int i)
{
    return i == 3 ? _mm256_srli_epi32(words, 24)
                  : _mm256_and_si256(_mm256_srli_epi32(words, 8 * i), _mm256_set1_epi32(255));
}

INLINE __m256i signed_byte_of(__m256i words, const int i)
{
    return _mm256_srai_epi32(_mm256_slli_epi32(words, 24 - 8 * i), 24);
}

INLINE __m256i and_bytes(__m256i v, const int bits)
{
    return _mm256_and_si256(v, _mm256_set1_epi8((char)bits));
}

/* Q4_K and Q5_K: d, m and twelve bytes with scales and minima of six bits (unpack_scales). */
INLINE void scales_of_k(rows8 p, struct scales *out)
{
    __m256i head[4];
    __m256i scales[2];
    __m256i minima[2];
    __m256 d;
    __m256 m;

    transpose16(p, 0, head);
    halves(p, 0, &d, &m);
    m = _mm256_xor_ps(m, _mm256_set1_ps(-0.0f));
    scales[0] = and_bytes(head[1], 63);
    minima[0] = and_bytes(head[2], 63);
    scales[1] = _mm256_or_si256(and_bytes(head[3], 15),
                                _mm256_slli_epi32(and_bytes(_mm256_srli_epi32(head[1], 6), 3), 4));
    minima[1] = _mm256_or_si256(and_bytes(_mm256_srli_epi32(head[3], 4), 15),
                                _mm256_slli_epi32(and_bytes(_mm256_srli_epi32(head[2], 6), 3), 4));
    UNROLL for (int b = 0; b < CHUNK_BLOCKS; b++)
    {
        out->scale[b] = _mm256_mul_ps(d, _mm256_cvtepi32_ps(byte_of(scales[b / 4], b % 4)));
        out->min[b] = _mm256_mul_ps(m, _mm256_cvtepi32_ps(byte_of(minima[b / 4], b % 4)));
    }
}

INLINE void scales_of_q6_k(rows8 p, struct scales *out)
{
    __m256i scales[4];
    __m256 unused;
    __m256 d;

    transpose16(p, CHUNK / 2 + CHUNK / 4, scales);
    halves(p, sizeof(struct block_q6_k) - 4, &unused, &d);
    UNROLL for (int g = 0; g < GROUPS; g++)
        out->scale[g] = _mm256_mul_ps(d, _mm256_cvtepi32_ps(signed_byte_of(scales[g / 4], g % 4)));
}

INLINE void scales_of(const int32_t type, rows8 p, int32_t n_blocks, struct scales *out)
{
    if (type == WEIGHT_Q6_K)
        scales_of_q6_k(p, out);
    else if (type == WEIGHT_Q4_K || type == WEIGHT_Q5_K)
        scales_of_k(p, out);
    else
        for (int32_t b = 0; b < n_blocks; b++)
            halves(p, (size_t)(b * weight_bytes(type)), &out->scale[b], &out->min[b]);
}

/* ------------------------------------------------------------------ unpacking into panels */

INLINE void unpack_q8_0(rows8 p, int32_t n_blocks, struct panel *out, int h)
{
    for (int32_t b = 0; b < n_blocks; b++) {
        __m256i v[8];

        transpose32(p, (size_t)b * sizeof(struct block_q8_0) + 2, v);
        UNROLL for (int k = 0; k < 8; k++)
        {
            out->q[0][b][k][h] = _mm256_abs_epi8(v[k]);
            out->q[1][b][k][h] = v[k];
        }
    }
}

/* Q4_0, or Q4_1. */
INLINE void unpack_q4(const int32_t type, rows8 p, int32_t n_blocks, struct panel *out, int h)
{
    for (int32_t b = 0; b < n_blocks; b++) {
        __m256i v[4];

        transpose16(p, (size_t)(b * weight_bytes(type) + weight_bytes(type) - BLOCK / 2), v);
        UNROLL for (int k = 0; k < 4; k++)
        {
            out->q[0][b][k][h] = low_bits(v[k]);
            out->q[0][b][4 + k][h] = high_bits(v[k]);
        }
    }
}

/* 16 in the bytes whose bit of eight words is set: bits 4k .. 4k+3 of each. */
INLINE __m256i fifth_bits(__m256i high, const int k)
{
    const __m256i where = _mm256_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c, 0, 0x04040404,
                                            0x08080808, 0x0c0c0c0c);
    const __m256i bits = _mm256_set1_epi32(k % 2 ? (int32_t)0x80402010 : 0x08040201);
    __m256i bytes = _mm256_shuffle_epi8(high,
                                        _mm256_add_epi8(where, _mm256_set1_epi8((char)(k / 2))));

    return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(bytes, bits), bits),
                            _mm256_set1_epi8(16));
}

INLINE __m256i words(rows8 p, size_t at)
{
    __m128i a = _mm_unpacklo_epi32(load4(p[0] + at), load4(p[1] + at));
    __m128i b = _mm_unpacklo_epi32(load4(p[2] + at), load4(p[3] + at));
    __m128i c = _mm_unpacklo_epi32(load4(p[4] + at), load4(p[5] + at));
    __m128i d = _mm_unpacklo_epi32(load4(p[6] + at), load4(p[7] + at));

    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_unpacklo_epi64(a, b)),
                                   _mm_unpacklo_epi64(c, d), 1);
}

INLINE void unpack_q5_0(rows8 p, int32_t n_blocks, struct panel *out, int h)
{
    for (int32_t b = 0; b < n_blocks; b++) {
        size_t at = (size_t)b * sizeof(struct block_q5_0);
        __m256i high = words(p, at + 2);
        __m256i v[4];

        transpose16(p, at + 6, v);
        UNROLL for (int k = 0; k < 4; k++)
        {
            out->q[0][b][k][h] = _mm256_or_si256(low_bits(v[k]), fifth_bits(high, k));
            out->q[0][b][4 + k][h] = _mm256_or_si256(high_bits(v[k]), fifth_bits(high, 4 + k));
        }
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
    else if (type == WEIGHT_Q4_0 || type == WEIGHT_Q4_1)
        unpack_q4(type, p, n_blocks, out, h);
    else if (type == WEIGHT_Q5_0)
        unpack_q5_0(p, n_blocks, out, h);
    else if (type == WEIGHT_Q6_K)
        unpack_q6_k(p, out, h);
    else
        unpack_k(type, p, out, h);
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
    return type == WEIGHT_Q6_K ? 2 : type == WEIGHT_Q5_K || type == WEIGHT_Q5_0 ? 4 : 8;
}

/* Adds to s the sums of n_k times four products of a block, from k0 on. */
INLINE void add_products(const __m256i w[8][2], const int8_t *const q[], const int k0,
                         const int n_k, const int n_fit, const int n, __m256i s[][2])
{
    for (int from = k0; from < k0 + n_k; from += n_fit) {
        __m256i t[4][2];

        UNROLL for (int c = 0; c < n; c++) t[c][0] = t[c][1] = _mm256_setzero_si256();
        ROLLED for (int k = from; k < from + n_fit; k++)
        {
            UNROLL for (int c = 0; c < n; c++)
            {
                __m256i x = four_of(q[c] + 4 * k);

                UNROLL for (int h = 0; h < 2; h++)
                {
                    t[c][h] = _mm256_add_epi16(t[c][h], _mm256_maddubs_epi16(w[k][h], x));
                    KEEP(t[c][h]);
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
    ROLLED for (int k = 0; k < 8; k++)
    {
        UNROLL for (int c = 0; c < n; c++)
        {
            __m256i x = four_of(q[c] + 4 * k);

            UNROLL for (int h = 0; h < 2; h++)
            {
                __m256i products = _mm256_maddubs_epi16(magnitude[k][h],
                                                        _mm256_sign_epi8(x, w[k][h]));

                s[c][h] = _mm256_add_epi32(s[c][h], sum_pairs(products));
                KEEP(s[c][h]);
            }
        }
    }
}

INLINE bool has_offset(const int32_t type)
{
    return type == WEIGHT_Q4_0 || type == WEIGHT_Q5_0 || type == WEIGHT_Q6_K;
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
                _mm256_mul_ps(_mm256_cvtepi32_ps(s[c][h]), p->scales[h].scale[b * n_groups + g]),
                _mm256_broadcast_ss(&x[c]->d[b]), y[c][h]);
        }
    }
    if (has_min(type)) {
        UNROLL for (int c = 0; c < n; c++)
        {
            UNROLL for (int h = 0; h < 2; h++) y[c][h] = _mm256_fmadd_ps(
                p->scales[h].min[b], _mm256_broadcast_ss(&x[c]->s[b]), y[c][h]);
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
static int32_t together(int32_t left)
{
    int32_t passes = (left + 3) / 4;

    return (left + passes - 1) / passes;
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
#define PANELS(type)                                                                               \
    INSTANCE void unpack_##type(rows8 p, int32_t n_blocks, struct panel *out, int h)               \
    {                                                                                              \
        unpack(WEIGHT_##type, p, n_blocks, out, h);                                                \
    }                                                                                              \
    MULTIPLY(type, 1) MULTIPLY(type, 2) MULTIPLY(type, 3) MULTIPLY(type, 4)
FOR_QUANTISED(PANELS)

#define UNPACK_OF(type) [WEIGHT_##type] = unpack_##type,
#define MULTIPLY_OF(type)                                                                          \
    [WEIGHT_##type] = {multiply_##type##_1, multiply_##type##_2, multiply_##type##_3,              \
                       multiply_##type##_4},
static unpack_rows *const unpack_of[WEIGHT_TYPES] = {FOR_QUANTISED(UNPACK_OF)};
static multiply_rows *const multiply_of[WEIGHT_TYPES][4] = {FOR_QUANTISED(MULTIPLY_OF)};

/* Chunk i of the rows from `row` on. */
AVX2 static void multiply(const struct panel *p, const struct matmul *m, int32_t row,
                          int32_t n_rows, int32_t i, __m256 (*sums)[2])
{
    int32_t n_blocks = blocks_in_chunk(m->n_in, i);
    int32_t n = 0;

    for (int32_t r = 0; r < n_rows; r += n) {
        const struct activations *x[4];

        n = together(n_rows - r);
        for (int32_t c = 0; c < n; c++)
            x[c] = (const struct activations *)matmul_x(m, row + r + c) + i;
        multiply_of[m->type][n - 1](p, n_blocks, x, sums + r);
    }
}

/* The rows of weights of a panel; where they end the last one again. */
AVX2 static void find_rows(const struct matmul *m, int32_t column, int32_t n, const uint8_t *p[16])
{
    for (int32_t i = 0; i < 16; i++)
        p[i] = (const uint8_t *)m->w + (size_t)(column + (i < n ? i : n - 1)) * m->w_stride;
}

AVX2 static void store(const struct matmul *m, int32_t row, int32_t n_rows, int32_t column,
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

AVX2 static void quantised_panel(const struct matmul *m, int32_t row, int32_t n_rows,
                                 int32_t column, int32_t n, struct panel *panel)
{
    const uint8_t *p[16];
    __m256 sums[ROWS_AT_ONCE][2];
    size_t part = 16 * m->w_stride / (size_t)chunk_count(m->n_in);

    find_rows(m, column, n, p);
    for (int32_t r = 0; r < n_rows; r++)
        sums[r][0] = sums[r][1] = _mm256_setzero_ps();
    for (int32_t i = 0; i < chunk_count(m->n_in); i++) {
        ask_for((const char *)m->w + (size_t)(column + 16) * m->w_stride + (size_t)i * part, part);
        for (int h = 0; h < 2; h++)
            unpack_of[m->type](p + 8 * h, blocks_in_chunk(m->n_in, i), panel, h);
        for (int k = 0; k < 16; k++)
            p[k] += chunk_bytes(m->type);
        multiply(panel, m, row, n_rows, i, sums);
    }
    store(m, row, n_rows, column, n, sums);
}

/* ------------------------------------------------------------------ few rows of activations */

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

/* A block of eight rows as they lie: for few rows of activations unpacking costs more than it saves. The
 * sums of blocks are whole numbers, the same ones. */
INLINE void multiply_lying(const int32_t type, rows8 p, int32_t b, const struct scales *scales,
                           const struct activations *const x[], const int n, __m256 y[])
{
    __m256i s[4][8];

    UNROLL for (int r = 0; r < 8; r++)
    {
        __m256i w = block_of(type, p[r], b);
        __m256i magnitude = _mm256_abs_epi8(w);

        UNROLL for (int c = 0; c < n; c++)
        {
            __m256i q = load32(x[c]->q + b * BLOCK);

            s[c][r] = sum_pairs(type == WEIGHT_Q8_0
                                    ? _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(q, w))
                                    : _mm256_maddubs_epi16(w, q));
        }
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

static void quantised(const struct matmul *m, int32_t first, int32_t n)
{
    bool few = m->n_rows >= 1 && m->n_rows <= 4;
    lying_rows *lying = few ? lying_of[m->type][m->n_rows - 1] : NULL;
    struct panel panel;

    for (int32_t c = 0; lying && c < n; c += 8)
        lying(m, first + c, n - c < 8 ? n - c : 8);
    for (int32_t row = 0; !lying && row < m->n_rows; row += ROWS_AT_ONCE) {
        int32_t n_rows = m->n_rows - row < ROWS_AT_ONCE ? m->n_rows - row : ROWS_AT_ONCE;

        for (int32_t c = 0; c < n; c += 16)
            quantised_panel(m, row, n_rows, first + c, n - c < 16 ? n - c : 16, &panel);
    }
}

/* ------------------------------------------------------------------ products of numbers */

/* Where the halves of eight numbers lie in a lane that has all of them. */
static const int8_t bf16_places[32]
    __attribute__((aligned(32))) = {-1, -1, 0, 1, -1, -1, 2,  3,  -1, -1, 4,  5,  -1, -1, 6,  7,
                                    -1, -1, 8, 9, -1, -1, 10, 11, -1, -1, 12, 13, -1, -1, 14, 15};

/* Of eight numbers that are in both lanes. One instruction, where widening and shifting are two, and one that
 * takes its table from memory: a tile leaves no register for it. */
INLINE __m256 f32_of_bf16(__m256i twice)
{
    __asm__("vpshufb %1, %0, %0" : "+x"(twice) : "m"(bf16_places));
    return _mm256_castsi256_ps(twice);
}

INLINE __m256 load8(const int32_t type, const void *w, size_t i)
{
    if (type == WEIGHT_F32)
        return _mm256_loadu_ps((const float *)w + i);
    if (type == WEIGHT_F16)
        return _mm256_cvtph_ps(
            _mm_loadu_si128((const __m128i *)(const void *)((const uint16_t *)w + i)));
    return f32_of_bf16(_mm256_broadcastsi128_si256(
        _mm_loadu_si128((const __m128i *)(const void *)((const uint16_t *)w + i))));
}

INLINE size_t number_bytes(const int32_t type)
{
    return type == WEIGHT_F32 ? 4 : 2;
}

/* n < 8 numbers, then zeros. */
INLINE __m256 load_rest(const int32_t type, const void *w, size_t i, size_t n)
{
    uint8_t rest[32] = {0};

    memcpy(rest, (const char *)w + i * number_bytes(type), n * number_bytes(type));
    return load8(type, rest, 0);
}

/* The numbers i .. i+7 of n_w rows of weights and n of activations: sums, weights and a row of activations are
 * as many as there are registers, and one sum in memory would be what all wait for. */
INLINE void multiply_eight(const int32_t type, const char *const w[], const float *const x[],
                           size_t i, const int n, const int n_w, __m256 y[])
{
    const int at_once = n == 1 ? 1 : n_w;

    UNROLL for (int from = 0; from < n_w; from += at_once)
    {
        __m256 v[8];

        UNROLL for (int k = 0; k < at_once; k++) v[k] = load8(type, w[from + k], i);
        UNROLL for (int c = 0; c < n; c++)
        {
            __m256 numbers = _mm256_loadu_ps(x[c] + i);

            UNROLL for (int k = 0; k < at_once; k++)
                y[c * n_w + from + k] = _mm256_fmadd_ps(v[k], numbers, y[c * n_w + from + k]);
        }
    }
}

/* n_w rows of weights times n rows of activations. */
INLINE void tile(const int32_t type, const struct matmul *m, int32_t row, int32_t column,
                 const int n, const int n_w)
{
    const bool asks = row == 0; /* afterwards they are there */
    size_t i = 0;
    size_t n8 = (size_t)m->n_in & ~(size_t)7;
    size_t rest = (size_t)m->n_in - n8;
    const float *x[4];
    const char *w[8];
    __m256 y[12];
    __m256 v[8];

    UNROLL for (int c = 0; c < n; c++) x[c] = matmul_x(m, row + c);
    UNROLL for (int k = 0; k < n_w; k++)
        w[k] = (const char *)m->w + (size_t)(column + k) * m->w_stride;
    UNROLL for (int k = 0; k < n * n_w; k++) y[k] = _mm256_setzero_ps();
    for (; i + 32 <= n8; i += 32) {
        UNROLL for (int k = 0; asks && k < n_w; k++) ask_for(
            w[k] + (size_t)n_w * m->w_stride + i * number_bytes(type), 32 * number_bytes(type));
        ROLLED for (size_t j = i; j < i + 32; j += 8)
        {
            multiply_eight(type, w, x, j, n, n_w, y);
        }
    }
    for (; i < n8; i += 8)
        multiply_eight(type, w, x, i, n, n_w, y);
    if (rest > 0) {
        UNROLL for (int k = 0; k < n_w; k++) v[k] = load_rest(type, w[k], n8, rest);
        UNROLL for (int c = 0; c < n; c++)
        {
            __m256 numbers = load_rest(WEIGHT_F32, x[c], n8, rest);

            UNROLL for (int k = 0; k < n_w; k++)
                y[c * n_w + k] = _mm256_fmadd_ps(v[k], numbers, y[c * n_w + k]);
        }
    }
    UNROLL for (int c = 0; c < n; c++)
    {
        UNROLL for (int k = 0; k < n_w; k++)
            matmul_y(m, row + c)[column + k] = sum8(y[c * n_w + k]);
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

typedef void strip_rows(const struct matmul *m, int32_t row, int32_t column, int32_t end);

#define FOR_NUMBERS(x) x(F32) x(F16) x(BF16)
#define STRIP_N(type, n, n_w)                                                                      \
    INSTANCE void strip_##type##_##n(const struct matmul *m, int32_t row, int32_t column,          \
                                     int32_t end)                                                  \
    {                                                                                              \
        strip(WEIGHT_##type, m, row, column, end, n, n_w);                                         \
    }
#define STRIP(type) STRIP_N(type, 1, 8) STRIP_N(type, 2, 4) STRIP_N(type, 3, 3) STRIP_N(type, 4, 3)
FOR_NUMBERS(STRIP)

#define STRIP_OF(type)                                                                             \
    [WEIGHT_##type] = {strip_##type##_1, strip_##type##_2, strip_##type##_3, strip_##type##_4},
static strip_rows *const strip_of[WEIGHT_TYPES][4] = {FOR_NUMBERS(STRIP_OF)};

/* Rows of weights that all rows of activations pass over while they are in a near cache. */
enum { WEIGHTS_AT_ONCE = 24, NUMBERS_AT_ONCE = 32 };

static void numbers(const struct matmul *m, int32_t from, int32_t n_rows, int32_t first, int32_t n)
{
    for (int32_t c = first; c < first + n; c += WEIGHTS_AT_ONCE) {
        int32_t end = c + WEIGHTS_AT_ONCE < first + n ? c + WEIGHTS_AT_ONCE : first + n;
        int32_t rows = 0;

        for (int32_t r = 0; r < n_rows; r += rows) {
            rows = together(n_rows - r);
            strip_of[m->type][rows - 1](m, from + r, c, end);
        }
    }
}

void matmul_columns_avx2(const struct matmul *m, int32_t first, int32_t n)
{
    if (weight_is_quantised(m->type)) {
        quantised(m, first, n);
        return;
    }
    for (int32_t row = 0; row < m->n_rows; row += NUMBERS_AT_ONCE)
        numbers(m, row, m->n_rows - row < NUMBERS_AT_ONCE ? m->n_rows - row : NUMBERS_AT_ONCE,
                first, n);
}

#endif
