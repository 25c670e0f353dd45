/*
 * loads: eight numbers of a row of weights, or of activations, as floats in a vector of AVX2, or of two rows in one of
 * AVX-512.
 */
#ifndef INF_KERNELS_LOADS_H
#define INF_KERNELS_LOADS_H

#include "kernels/matmul.h"
#include "kernels/vectors.h"

INLINE __m128i eight_halves(const void *w, size_t i)
{
    return _mm_loadu_si128((const __m128i *)(const void *)((const uint16_t *)w + i));
}

/* Where the halves of eight numbers lie in a lane that has all of them. */
#define BF16_LOW -1, -1, 0, 1, -1, -1, 2, 3, -1, -1, 4, 5, -1, -1, 6, 7
#define BF16_HIGH -1, -1, 8, 9, -1, -1, 10, 11, -1, -1, 12, 13, -1, -1, 14, 15
static const int8_t bf16_places[VECTOR_BYTES]
    __attribute__((aligned(VECTOR_BYTES))) = {BF16_LOW, BF16_HIGH,
#if VECTOR_BYTES == 64
                                              BF16_LOW, BF16_HIGH
#endif
};

#if VECTOR_BYTES == 32

/* Of eight numbers that are in both lanes. One instruction, where widening and shifting are two, and one that
 * takes its table from memory: a tile leaves no register for it. */
INLINE __m256 f32_of_bf16(__m256i twice)
{
    __asm__("vpshufb %1, %0, %0" : "+x"(twice) : "m"(bf16_places));
    return _mm256_castsi256_ps(twice);
}

/* Numbers i .. i+7 of each row of weights in a vector. */
INLINE floats load_weights(const int32_t type, const char *const w[EIGHTS], size_t i)
{
    if (type == WEIGHT_F32)
        return _mm256_loadu_ps((const float *)(const void *)w[0] + i);
    if (type == WEIGHT_F16)
        return _mm256_cvtph_ps(eight_halves(w[0], i));
    return f32_of_bf16(_mm256_broadcastsi128_si256(eight_halves(w[0], i)));
}

INLINE floats load_row(const float *x)
{
    return _mm256_loadu_ps(x);
}

/* What each row of weights in a vector gives. */
INLINE void sums_of(floats v, float out[EIGHTS])
{
    out[0] = sum8(v);
}

#else

/* Both rows' numbers are in two lanes each. */
INLINE __m512 f32_of_bf16(__m128i first, __m128i second)
{
    __m512i v = _mm512_mask_broadcast_i32x4(_mm512_broadcast_i32x4(first), 0xff00, second);

    return _mm512_castsi512_ps(
        _mm512_shuffle_epi8(v, _mm512_load_si512((const void *)bf16_places)));
}

INLINE floats load_weights(const int32_t type, const char *const w[EIGHTS], size_t i)
{
    if (type == WEIGHT_F32)
        return _mm512_insertf32x8(
            _mm512_castps256_ps512(_mm256_loadu_ps((const float *)(const void *)w[0] + i)),
            _mm256_loadu_ps((const float *)(const void *)w[1] + i), 1);
    if (type == WEIGHT_F16)
        return _mm512_cvtph_ps(_mm256_inserti128_si256(
            _mm256_castsi128_si256(eight_halves(w[0], i)), eight_halves(w[1], i), 1));
    return f32_of_bf16(eight_halves(w[0], i), eight_halves(w[1], i));
}

INLINE floats load_row(const float *x)
{
    return _mm512_broadcast_f32x8(_mm256_loadu_ps(x));
}

/* As sum8, of both at once. */
INLINE void sums_of(floats v, float out[EIGHTS])
{
    v = _mm512_add_ps(v, _mm512_shuffle_f32x4(v, v, 0xb1));
    v = _mm512_add_ps(v, _mm512_shuffle_ps(v, v, 0x4e));
    v = _mm512_add_ps(v, _mm512_shuffle_ps(v, v, 0xb1));
    out[0] = _mm512_cvtss_f32(v);
    out[1] = _mm_cvtss_f32(_mm512_extractf32x4_ps(v, 2));
}

#endif

#endif
