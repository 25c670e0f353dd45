/*
 * neon_blocks: quantised weights of four rows times rows of activations, block by block, in registers. With sums of four
 * products (VECTOR_DOTS) a vector has four neighbouring numbers of four rows, and is multiplied with a lane of
 * activations; without, 16 of one row.
 *
 * A part of one source file for each of both, which includes it.
 */
#ifndef INF_KERNELS_NEON_BLOCKS_H
#define INF_KERNELS_NEON_BLOCKS_H

#include "kernels/neon.h"

#include "kernels/quantised.h"
#include "kernels/strips.h"

#include <string.h>

/* Rows of activations that are computed together; and those that are in a near cache together. */
enum { BLOCK_ROWS = 8, ROWS_AT_ONCE = 64 };

/* Where a block, or a chunk, begins in each of four rows. */
typedef const uint8_t *const rows4[4];

/* Q8_0 has its sign here, and Q6_K is unpacked with one. */
INLINE bool has_offset(const int32_t type)
{
    return type == WEIGHT_Q4_0 || type == WEIGHT_Q5_0;
}

/* ------------------------------------------------------------------ bytes of four rows */

INLINE uint32x4_t evens(uint32x4_t a, uint32x4_t b)
{
    return vreinterpretq_u32_u64(vtrn1q_u64(vreinterpretq_u64_u32(a), vreinterpretq_u64_u32(b)));
}

INLINE uint32x4_t odds(uint32x4_t a, uint32x4_t b)
{
    return vreinterpretq_u32_u64(vtrn2q_u64(vreinterpretq_u64_u32(a), vreinterpretq_u64_u32(b)));
}

/* 16 bytes of four rows: v[k] gets the bytes 4k .. 4k+3 of each. */
INLINE void transpose16(rows4 p, size_t at, uint8x16_t v[4])
{
    uint32x4_t a = vreinterpretq_u32_u8(vld1q_u8(p[0] + at));
    uint32x4_t b = vreinterpretq_u32_u8(vld1q_u8(p[1] + at));
    uint32x4_t c = vreinterpretq_u32_u8(vld1q_u8(p[2] + at));
    uint32x4_t d = vreinterpretq_u32_u8(vld1q_u8(p[3] + at));

    v[0] = vreinterpretq_u8_u32(evens(vtrn1q_u32(a, b), vtrn1q_u32(c, d)));
    v[1] = vreinterpretq_u8_u32(evens(vtrn2q_u32(a, b), vtrn2q_u32(c, d)));
    v[2] = vreinterpretq_u8_u32(odds(vtrn1q_u32(a, b), vtrn1q_u32(c, d)));
    v[3] = vreinterpretq_u8_u32(odds(vtrn2q_u32(a, b), vtrn2q_u32(c, d)));
}

/* 16 bytes of four rows, as they are multiplied. */
INLINE void load16(rows4 p, size_t at, uint8x16_t v[4])
{
    if (VECTOR_DOTS)
        transpose16(p, at, v);
    else
        UNROLL for (int r = 0; r < 4; r++) v[r] = vld1q_u8(p[r] + at);
}

INLINE void load32(rows4 p, size_t at, uint8x16_t v[8])
{
    load16(p, at, v);
    load16(p, at + 16, v + 4);
}

INLINE uint32_t word_at(const uint8_t *p)
{
    uint32_t word = 0;

    memcpy(&word, p, sizeof word);
    return word;
}

/* Four bytes of four rows. */
INLINE uint32x4_t words(rows4 p, size_t at)
{
    uint32x4_t v = vdupq_n_u32(word_at(p[0] + at));

    v = vsetq_lane_u32(word_at(p[1] + at), v, 1);
    v = vsetq_lane_u32(word_at(p[2] + at), v, 2);
    return vsetq_lane_u32(word_at(p[3] + at), v, 3);
}

INLINE float32x4_t floats_of_halves(uint16x4_t v)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(v));
}

/* The first half float of each of four words. */
INLINE float32x4_t first_halves(uint32x4_t v)
{
    return floats_of_halves(vmovn_u32(v));
}

INLINE float32x4_t second_halves(uint32x4_t v)
{
    return floats_of_halves(vshrn_n_u32(v, 16));
}

INLINE uint8x16_t low_bits(uint8x16_t v)
{
    return vandq_u8(v, vdupq_n_u8(15));
}

INLINE uint8x16_t high_bits(uint8x16_t v)
{
    return vshrq_n_u8(v, 4);
}

/* What load32 has made of 32 bits of each row: 16 where the bit is set, in v[k]. */
INLINE uint8x16_t fifth_bits(uint32x4_t high, const int k)
{
    static const uint8_t lanes[16] = {0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12};
    static const uint8_t bytes[16] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1};
    const uint8x16_t where = VECTOR_DOTS ? vaddq_u8(vld1q_u8(lanes), vdupq_n_u8((uint8_t)(k / 2)))
                                         : vaddq_u8(vld1q_u8(bytes),
                                                    vdupq_n_u8((uint8_t)(k % 4 * 4 + k / 4 * 2)));
    const uint8x16_t bits = VECTOR_DOTS
                                ? vreinterpretq_u8_u32(vdupq_n_u32(k % 2 ? 0x80402010 : 0x08040201))
                                : vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));

    return vandq_u8(vtstq_u8(vqtbl1q_u8(vreinterpretq_u8_u32(high), where), bits), vdupq_n_u8(16));
}

/* ------------------------------------------------------------------ scales */

/* The scales of a chunk of four rows: of its blocks, or of each 16 numbers; and the minima. */
struct scales {
    float32x4_t scale[GROUPS];
    float32x4_t min[CHUNK_BLOCKS];
};

/* Byte i of each of four words. */
INLINE float32x4_t byte_of(uint8x16_t words, const int i)
{
    uint32x4_t v = vshlq_u32(vreinterpretq_u32_u8(words), vdupq_n_s32(-8 * i));

    return vcvtq_f32_u32(vandq_u32(v, vdupq_n_u32(255)));
}

INLINE float32x4_t signed_byte_of(uint8x16_t words, const int i)
{
    int32x4_t v = vshlq_s32(vreinterpretq_s32_u8(words), vdupq_n_s32(24 - 8 * i));

    return vcvtq_f32_s32(vshrq_n_s32(v, 24));
}

INLINE uint8x16_t and_bytes(uint8x16_t v, const uint8_t bits)
{
    return vandq_u8(v, vdupq_n_u8(bits));
}

/* Q4_K and Q5_K: d, m and twelve bytes with scales and minima of six bits (unpack_scales). */
INLINE void scales_of_k(rows4 p, struct scales *out)
{
    uint8x16_t head[4];
    uint8x16_t scales[2];
    uint8x16_t minima[2];
    float32x4_t d;
    float32x4_t m;

    transpose16(p, 0, head);
    d = first_halves(vreinterpretq_u32_u8(head[0]));
    m = vnegq_f32(second_halves(vreinterpretq_u32_u8(head[0])));
    scales[0] = and_bytes(head[1], 63);
    minima[0] = and_bytes(head[2], 63);
    scales[1] = vorrq_u8(low_bits(head[3]), vshlq_n_u8(vshrq_n_u8(head[1], 6), 4));
    minima[1] = vorrq_u8(high_bits(head[3]), vshlq_n_u8(vshrq_n_u8(head[2], 6), 4));
    UNROLL for (int b = 0; b < CHUNK_BLOCKS; b++)
    {
        out->scale[b] = vmulq_f32(d, byte_of(scales[b / 4], b % 4));
        out->min[b] = vmulq_f32(m, byte_of(minima[b / 4], b % 4));
    }
}

INLINE void scales_of_q6_k(rows4 p, struct scales *out)
{
    uint8x16_t scales[4];
    float32x4_t d = second_halves(words(p, sizeof(struct block_q6_k) - 4));

    transpose16(p, CHUNK / 2 + CHUNK / 4, scales);
    UNROLL for (int g = 0; g < GROUPS; g++)
        out->scale[g] = vmulq_f32(d, signed_byte_of(scales[g / 4], g % 4));
}

/* ------------------------------------------------------------------ products */

#if VECTOR_DOTS

/* s + sums of products of 16 numbers of four rows. */
INLINE int32x4_t add_sixteen(int32x4_t s, const uint8x16_t v[4], int8x16_t q)
{
    s = vdotq_laneq_s32(s, vreinterpretq_s8_u8(v[0]), q, 0);
    s = vdotq_laneq_s32(s, vreinterpretq_s8_u8(v[1]), q, 1);
    s = vdotq_laneq_s32(s, vreinterpretq_s8_u8(v[2]), q, 2);
    return vdotq_laneq_s32(s, vreinterpretq_s8_u8(v[3]), q, 3);
}

INLINE int32x4_t add_block(const int32_t type, int32x4_t s, const uint8x16_t v[8], int8x16_t low,
                           int8x16_t high)
{
    (void)type;
    return add_sixteen(add_sixteen(s, v, low), v + 4, high);
}

#else

/* Sums of two products of a row's 16 numbers, which fit 16 bits. */
INLINE int16x8_t products(uint8x16_t v, int8x16_t q)
{
    int8x16_t w = vreinterpretq_s8_u8(v);

    return vmlal_high_s8(vmull_s8(vget_low_s8(w), vget_low_s8(q)), w, q);
}

/* The lanes of four vectors, added up. */
INLINE int32x4_t sums_of_lanes(const int32x4_t s[4])
{
    return vpaddq_s32(vpaddq_s32(s[0], s[1]), vpaddq_s32(s[2], s[3]));
}

INLINE int32x4_t add_sixteen(int32x4_t s, const uint8x16_t v[4], int8x16_t q)
{
    int32x4_t rows[4];

    UNROLL for (int r = 0; r < 4; r++) rows[r] = vpaddlq_s16(products(v[r], q));
    return vaddq_s32(s, sums_of_lanes(rows));
}

/* Of four products too, unless weights have eight bits. */
INLINE int32x4_t add_block(const int32_t type, int32x4_t s, const uint8x16_t v[8], int8x16_t low,
                           int8x16_t high)
{
    int32x4_t rows[4];

    UNROLL for (int r = 0; r < 4; r++)
    {
        int16x8_t first = products(v[r], low);
        int16x8_t second = products(v[4 + r], high);

        rows[r] = type == WEIGHT_Q8_0 ? vpadalq_s16(vpaddlq_s16(first), second)
                                      : vpaddlq_s16(vaddq_s16(first, second));
    }
    return vaddq_s32(s, sums_of_lanes(rows));
}

#endif

/* y + scale d sum. */
INLINE float32x4_t add_scaled(int32x4_t sum, float32x4_t scale, float d, float32x4_t y)
{
    return vfmaq_n_f32(y, vmulq_f32(vcvtq_f32_s32(sum), scale), d);
}

/* Sums of products begin with what an offset takes off them. */
INLINE int32x4_t begin(const int32_t type, const int32_t *offset)
{
    return has_offset(type) ? vnegq_s32(vld1q_dup_s32(offset)) : vdupq_n_s32(0);
}

/* y += what block b gives, whose scale, or scales of 16 numbers each, these are. */
INLINE void multiply_block(const int32_t type, const uint8x16_t v[8], int32_t b,
                           const float32x4_t scale[], float32x4_t min,
                           const struct activations *const x[], const int n, float32x4_t y[])
{
    UNROLL for (int c = 0; c < n; c++)
    {
        const int8_t *q = x[c]->q + b * BLOCK;
        int8x16_t low = vld1q_s8(q);
        int8x16_t high = vld1q_s8(q + 16);

        if (type == WEIGHT_Q6_K) {
            y[c] = add_scaled(add_sixteen(vdupq_n_s32(0), v, low), scale[0], x[c]->d[b], y[c]);
            y[c] = add_scaled(add_sixteen(vdupq_n_s32(0), v + 4, high), scale[1], x[c]->d[b], y[c]);
        } else {
            y[c] = add_scaled(add_block(type, begin(type, &x[c]->sum[b]), v, low, high), scale[0],
                              x[c]->d[b], y[c]);
        }
        if (has_min(type))
            y[c] = vfmaq_n_f32(y[c], min, x[c]->s[b]);
    }
}

/* ------------------------------------------------------------------ chunks */

/* Block b of a type of blocks of 32. */
INLINE void multiply_small(const int32_t type, rows4 p, int32_t b,
                           const struct activations *const x[], const int n, float32x4_t y[])
{
    size_t begin = (size_t)(b * weight_bytes(type));
    size_t end = begin + (size_t)weight_bytes(type);
    uint32x4_t head = words(p, begin);
    float32x4_t scale = first_halves(head);
    uint8x16_t v[8];

    if (type == WEIGHT_Q8_0) {
        load32(p, end - BLOCK, v);
    } else {
        load16(p, end - BLOCK / 2, v);
        UNROLL for (int k = 0; k < 4; k++)
        {
            v[4 + k] = high_bits(v[k]);
            v[k] = low_bits(v[k]);
        }
    }
    if (type == WEIGHT_Q5_0) {
        uint32x4_t high = words(p, begin + 2);

        UNROLL for (int k = 0; k < 8; k++) v[k] = vorrq_u8(v[k], fifth_bits(high, k));
    }
    multiply_block(type, v, b, &scale, second_halves(head), x, n, y);
}

/* A chunk of Q4_K, or Q5_K, of which two blocks share their bytes. */
INLINE void multiply_k(const int32_t type, rows4 p, const struct activations *const x[],
                       const int n, float32x4_t y[])
{
    const uint8x16_t bit = vdupq_n_u8(16);
    size_t head = (size_t)weight_bytes(type) - CHUNK / 2;
    struct scales scales;
    uint8x16_t fifth[8];

    scales_of_k(p, &scales);
    if (type == WEIGHT_Q5_K)
        load32(p, head - CHUNK / 8, fifth);
    ROLLED for (int32_t b = 0; b < CHUNK_BLOCKS; b += 2)
    {
        uint8x16_t low[8];
        uint8x16_t high[8];

        load32(p, head + (size_t)(b / 2) * BLOCK, low);
        UNROLL for (int k = 0; k < 8; k++)
        {
            high[k] = high_bits(low[k]);
            low[k] = low_bits(low[k]);
            if (type == WEIGHT_Q5_K) {
                low[k] = vorrq_u8(low[k], vandq_u8(vshlq_n_u8(fifth[k], 4), bit));
                high[k] = vorrq_u8(high[k], vandq_u8(vshlq_n_u8(fifth[k], 3), bit));
                fifth[k] = vshrq_n_u8(fifth[k], 2);
            }
        }
        multiply_block(type, low, b, &scales.scale[b], scales.min[b], x, n, y);
        multiply_block(type, high, b + 1, &scales.scale[b + 1], scales.min[b + 1], x, n, y);
    }
}

/* Without the offset. */
INLINE uint8x16_t six_bits(uint8x16_t low, uint8x16_t high)
{
    return vsubq_u8(vorrq_u8(low, vandq_u8(high, vdupq_n_u8(0x30))), vdupq_n_u8(32));
}

INLINE void unpack_q6_k(rows4 p, uint8x16_t out[CHUNK_BLOCKS][8])
{
    for (int half = 0; half < 2; half++, out += 4) {
        uint8x16_t high[8];
        uint8x16_t v[8];

        load32(p, CHUNK / 2 + (size_t)half * 32, high);
        load32(p, (size_t)half * 64, v);
        UNROLL for (int k = 0; k < 8; k++)
        {
            out[0][k] = six_bits(low_bits(v[k]), vshlq_n_u8(high[k], 4));
            out[2][k] = six_bits(high_bits(v[k]), high[k]);
        }
        load32(p, (size_t)half * 64 + 32, v);
        UNROLL for (int k = 0; k < 8; k++)
        {
            out[1][k] = six_bits(low_bits(v[k]), vshlq_n_u8(high[k], 2));
            out[3][k] = six_bits(high_bits(v[k]), vshrq_n_u8(high[k], 2));
        }
    }
}

/* There are too few registers for what its blocks share: they are unpacked into memory. */
INLINE void multiply_q6_k(rows4 p, const struct activations *const x[], const int n,
                          float32x4_t y[])
{
    const int32_t type = WEIGHT_Q6_K;
    uint8x16_t v[CHUNK_BLOCKS][8];
    struct scales scales;

    scales_of_q6_k(p, &scales);
    unpack_q6_k(p, v);
    ROLLED for (int32_t b = 0; b < CHUNK_BLOCKS; b++)
    {
        multiply_block(type, v[b], b, &scales.scale[2 * b], vdupq_n_f32(0), x, n, y);
    }
}

/* ------------------------------------------------------------------ columns */

/* Four columns, of which those before `end` are kept. */
INLINE void four_columns(const int32_t type, const struct matmul *m, int32_t row, int32_t column,
                         int32_t end, const int n)
{
    const char *next = row == 0 ? matmul_next(m, column + 4, end) : NULL; /* else there */
    size_t part = 4 * m->w_stride / (size_t)chunk_count(m->n_in);
    const struct activations *x[BLOCK_ROWS];
    const uint8_t *p[4];
    float32x4_t y[BLOCK_ROWS];

    find_rows(m, column, end - column, p, 4);
    UNROLL for (int c = 0; c < n; c++)
    {
        x[c] = matmul_x(m, row + c);
        y[c] = vdupq_n_f32(0);
    }
    for (int32_t i = 0; i < chunk_count(m->n_in); i++) {
        int32_t n_blocks = blocks_in_chunk(m->n_in, i);

        ask_for(next, (size_t)i * part, part);
        if (type == WEIGHT_Q6_K) {
            multiply_q6_k(p, x, n, y);
        } else if (type >= WEIGHT_Q4_K) {
            multiply_k(type, p, x, n, y);
        } else {
            ROLLED for (int32_t b = 0; b < n_blocks; b++)
            {
                multiply_small(type, p, b, x, n, y);
            }
        }
        UNROLL for (int r = 0; r < 4; r++) p[r] += chunk_bytes(type);
        UNROLL for (int c = 0; c < n; c++) x[c]++;
    }
    UNROLL for (int c = 0; c < n; c++)
    {
        float *out = matmul_y(m, row + c) + column;
        float sums[4];

        vst1q_f32(sums, y[c]);
        memcpy(out, sums, (size_t)(end - column < 4 ? end - column : 4) * sizeof *sums);
    }
}

#define STRIP_OF_BLOCKS(type, n)                                                                   \
    INSTANCE void blocks_##type##_##n(const struct matmul *m, int32_t row, int32_t column,         \
                                      int32_t end)                                                 \
    {                                                                                              \
        for (; column < end; column += 4)                                                          \
            four_columns(WEIGHT_##type, m, row, column, end, n);                                   \
    }
#define BLOCKS(type)                                                                               \
    STRIP_OF_BLOCKS(type, 1)                                                                       \
    STRIP_OF_BLOCKS(type, 2)                                                                       \
    STRIP_OF_BLOCKS(type, 3)                                                                       \
    STRIP_OF_BLOCKS(type, 4)                                                                       \
    STRIP_OF_BLOCKS(type, 5)                                                                       \
    STRIP_OF_BLOCKS(type, 6) STRIP_OF_BLOCKS(type, 7) STRIP_OF_BLOCKS(type, 8)
#define BLOCKS_OF(type)                                                                            \
    AT(WEIGHT_##type){blocks_##type##_1, blocks_##type##_2, blocks_##type##_3, blocks_##type##_4,  \
                      blocks_##type##_5, blocks_##type##_6, blocks_##type##_7, blocks_##type##_8},
FOR_QUANTISED(BLOCKS)

static strip_rows *const blocks_of[WEIGHT_TYPES][BLOCK_ROWS] = {FOR_QUANTISED(BLOCKS_OF)};

#endif
