/*
 * weights: quantised weights of eight rows at once: where their chunks lie, how a chunk becomes vectors of
 * four neighbouring numbers of each row, and the scales. What panels and weights as they lie have in common.
 *
 * A part of one source file for each width of vectors, which includes it (vectors.h).
 */
#ifndef INF_KERNELS_WEIGHTS_H
#define INF_KERNELS_WEIGHTS_H

#include "kernels/vectors.h"

#include "kernels/quantised.h"

#include <string.h>

/* Q8_0 has one where its bytes are multiplied without their sign. */
INLINE bool has_offset(const int32_t type)
{
    return (VECTOR_DOTS && type == WEIGHT_Q8_0) || type == WEIGHT_Q4_0 || type == WEIGHT_Q5_0 ||
           type == WEIGHT_Q6_K;
}

/* Products of weights below 2^bits with activations, added in pairs of bytes, fit 16 bits for so many. */
INLINE int fit(const int32_t type)
{
    return type == WEIGHT_Q6_K ? 2 : type == WEIGHT_Q5_K || type == WEIGHT_Q5_0 ? 4 : 8;
}

/* The scales of a chunk of eight rows: of its blocks, or of each 16 numbers; and the minima. */
struct scales {
    __m256 scale[GROUPS];
    __m256 min[CHUNK_BLOCKS];
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

/* Block b of Q4_0, Q4_1 or Q5_0: v[k] gets the numbers 4k .. 4k+3 of each of eight rows, without their offset. */
INLINE void unpack_halves(const int32_t type, rows8 p, int32_t b, __m256i v[8])
{
    size_t begin = (size_t)b * (size_t)weight_bytes(type);
    size_t end = begin + (size_t)weight_bytes(type);
    __m256i q[4];

    transpose16(p, end - BLOCK / 2, q);
    UNROLL for (int k = 0; k < 4; k++)
    {
        v[k] = low_bits(q[k]);
        v[4 + k] = high_bits(q[k]);
    }
    if (type == WEIGHT_Q5_0) {
        __m256i high = words(p, begin + 2);

        UNROLL for (int k = 0; k < 8; k++) v[k] = _mm256_or_si256(v[k], fifth_bits(high, k));
    }
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
            halves(p, (size_t)b * (size_t)weight_bytes(type), &out->scale[b], &out->min[b]);
}

/* Bytes of 8 bits and a sign as they are above the least. */
INLINE __m256i without_sign(__m256i v)
{
    return _mm256_xor_si256(v, _mm256_set1_epi8((char)0x80));
}

#endif
