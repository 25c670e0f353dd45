/*
 * vectors: vectors of eight floats of AVX2, FMA and F16C, as convert.c, kernels.c and replace.c use them where the
 * CPU has those. Only where INF_LORA_X86 is 1. Not for others.
 */
#ifndef INF_LORA_VECTORS_H
#define INF_LORA_VECTORS_H

#include "core/numbers.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define INF_LORA_X86 1
#else
#define INF_LORA_X86 0
#endif

#if INF_LORA_X86

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define INLINE AVX2 static inline __attribute__((always_inline))

/* Eight numbers from number i on; the type is a constant where it is called. */
INLINE __m256 load8(const void *numbers, int32_t type, size_t i)
{
    const void *at = (const char *)numbers + i * number_size(type);
    __m128i halves;

    if (type == NUMBER_F32)
        return _mm256_loadu_ps(at);
    halves = _mm_loadu_si128(at);
    if (type == NUMBER_F16)
        return _mm256_cvtph_ps(halves);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}

INLINE float sum8(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

#endif

#endif
