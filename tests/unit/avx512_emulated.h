/*
 * avx512_emulated: the instructions of AVX-512 that src/kernels uses, as functions of SIMDe (Debian: libsimde-dev) over
 * AVX2, or as functions of this file where SIMDe has none. What a file calls after including it runs on a CPU
 * without AVX-512, and does what the instructions do. For tests: it takes many times as long.
 */
#ifndef INF_TEST_AVX512_EMULATED_H
#define INF_TEST_AVX512_EMULATED_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#include <simde/x86/avx512.h>
#pragma GCC diagnostic pop

#include "core/numbers.h"

#include <immintrin.h>
#include <math.h>

static inline simde__m512 emulated_cvtepi32_ps(simde__m512i v)
{
    simde__m512i_private in = simde__m512i_to_private(v);
    simde__m512_private out;

    for (int i = 0; i < 16; i++)
        out.f32[i] = (float)in.i32[i];
    return simde__m512_from_private(out);
}

static inline simde__m512 emulated_cvtph_ps(__m256i halves)
{
    simde__m512_private out;

    out.m256[0] = _mm256_cvtph_ps(_mm256_castsi256_si128(halves));
    out.m256[1] = _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1));
    return simde__m512_from_private(out);
}

static inline __m256 emulated_extractf32x8_ps(simde__m512 v, int half)
{
    return simde__m512_to_private(v).m256[half];
}

static inline float emulated_cvtss_f32(simde__m512 v)
{
    return simde__m512_to_private(v).f32[0];
}

static inline simde__m512 emulated_maskz_loadu_ps(uint32_t mask, const float *p)
{
    simde__m512_private out;

    for (int i = 0; i < 16; i++)
        out.f32[i] = mask >> i & 1 ? p[i] : 0;
    return simde__m512_from_private(out);
}

static inline simde__m512i emulated_maskz_loadu_epi16(uint32_t mask, const uint16_t *p)
{
    simde__m512i_private out;

    for (int i = 0; i < 32; i++)
        out.u16[i] = mask >> i & 1 ? p[i] : 0;
    return simde__m512i_from_private(out);
}

static inline void emulated_mask_storeu_ps(float *p, uint32_t mask, __m128 v)
{
    float values[4];

    _mm_storeu_ps(values, v);
    for (int i = 0; i < 4; i++)
        if (mask >> i & 1)
            p[i] = values[i];
}

static inline __m256i emulated_cvtneps_pbh(simde__m512 v)
{
    simde__m512_private in = simde__m512_to_private(v);
    uint16_t out[16];

    for (int i = 0; i < 16; i++)
        out[i] = bf16_of_f32(in.f32[i]);
    return _mm256_loadu_si256((const __m256i *)(const void *)out);
}

/* The second of each pair first, as the instruction does it. */
static inline simde__m512 emulated_dpbf16_ps(simde__m512 sum, simde__m512i a, simde__m512i b)
{
    simde__m512_private out = simde__m512_to_private(sum);
    simde__m512i_private x = simde__m512i_to_private(a);
    simde__m512i_private y = simde__m512i_to_private(b);

    for (int i = 0; i < 32; i++)
        out.f32[i / 2] = fmaf(f32_of_bits((uint32_t)x.u16[i ^ 1] << 16),
                              f32_of_bits((uint32_t)y.u16[i ^ 1] << 16), out.f32[i / 2]);
    return simde__m512_from_private(out);
}

#define AS_BF16(v) (v)
#define __m512i simde__m512i
#define __m512 simde__m512

/* Some are macros, of one compiler or the other. */
#undef _mm256_dpbusd_epi32
#define _mm256_dpbusd_epi32 simde_mm256_dpbusd_epi32
#undef _mm512_add_epi16
#define _mm512_add_epi16 simde_mm512_add_epi16
#undef _mm512_add_epi32
#define _mm512_add_epi32 simde_mm512_add_epi32
#undef _mm512_broadcast_f32x8
#define _mm512_broadcast_f32x8 simde_mm512_broadcast_f32x8
#undef _mm512_broadcast_i32x4
#define _mm512_broadcast_i32x4 simde_mm512_broadcast_i32x4
#undef _mm512_castps256_ps512
#define _mm512_castps256_ps512 simde_mm512_castps256_ps512
#undef _mm512_castps512_ps256
#define _mm512_castps512_ps256 simde_mm512_castps512_ps256
#undef _mm512_castsi512_ps
#define _mm512_castsi512_ps simde_mm512_castsi512_ps
#undef _mm512_cvtepi32_ps
#define _mm512_cvtepi32_ps emulated_cvtepi32_ps
#undef _mm512_cvtph_ps
#define _mm512_cvtph_ps emulated_cvtph_ps
#undef _mm512_dpbusd_epi32
#define _mm512_dpbusd_epi32 simde_mm512_dpbusd_epi32
#undef _mm512_extractf32x8_ps
#define _mm512_extractf32x8_ps emulated_extractf32x8_ps
#undef _mm512_fmadd_ps
#define _mm512_fmadd_ps simde_mm512_fmadd_ps
#undef _mm512_insertf32x8
#define _mm512_insertf32x8 simde_mm512_insertf32x8
#undef _mm512_load_si512
#define _mm512_load_si512 simde_mm512_load_si512
#undef _mm512_loadu_ps
#define _mm512_loadu_ps simde_mm512_loadu_ps
#undef _mm512_loadu_si512
#define _mm512_loadu_si512 simde_mm512_loadu_si512
#undef _mm512_madd_epi16
#define _mm512_madd_epi16 simde_mm512_madd_epi16
#undef _mm512_maddubs_epi16
#define _mm512_maddubs_epi16 simde_mm512_maddubs_epi16
#undef _mm512_mask_broadcast_i32x4
#define _mm512_mask_broadcast_i32x4 simde_mm512_mask_broadcast_i32x4
#undef _mm512_mask_sub_epi8
#define _mm512_mask_sub_epi8 simde_mm512_mask_sub_epi8
#undef _mm512_movepi8_mask
#define _mm512_movepi8_mask simde_mm512_movepi8_mask
#undef _mm512_mul_ps
#define _mm512_mul_ps simde_mm512_mul_ps
#undef _mm512_set1_epi16
#define _mm512_set1_epi16 simde_mm512_set1_epi16
#undef _mm512_set1_epi32
#define _mm512_set1_epi32 simde_mm512_set1_epi32
#undef _mm512_set1_ps
#define _mm512_set1_ps simde_mm512_set1_ps
#undef _mm512_setzero_ps
#define _mm512_setzero_ps simde_mm512_setzero_ps
#undef _mm512_setzero_si512
#define _mm512_setzero_si512 simde_mm512_setzero_si512
#undef _mm512_shuffle_epi8
#define _mm512_shuffle_epi8 simde_mm512_shuffle_epi8
#undef _mm512_storeu_ps
#define _mm512_storeu_ps simde_mm512_storeu_ps
#undef _mm512_add_ps
#define _mm512_add_ps simde_mm512_add_ps
#undef _mm512_cvtss_f32
#define _mm512_cvtss_f32 emulated_cvtss_f32
#undef _mm512_shuffle_f32x4
#define _mm512_shuffle_f32x4 simde_mm512_shuffle_f32x4
#undef _mm512_shuffle_ps
#define _mm512_shuffle_ps simde_mm512_shuffle_ps
#undef _mm512_maskz_loadu_ps
#define _mm512_maskz_loadu_ps emulated_maskz_loadu_ps
#undef _mm512_maskz_loadu_epi16
#define _mm512_maskz_loadu_epi16 emulated_maskz_loadu_epi16
#undef _mm_mask_storeu_ps
#define _mm_mask_storeu_ps emulated_mask_storeu_ps
#undef _mm512_cvtneps_pbh
#define _mm512_cvtneps_pbh emulated_cvtneps_pbh
#undef _mm512_dpbf16_ps
#define _mm512_dpbf16_ps emulated_dpbf16_ps
#undef _mm512_unpacklo_ps
#define _mm512_unpacklo_ps simde_mm512_unpacklo_ps
#undef _mm512_unpackhi_ps
#define _mm512_unpackhi_ps simde_mm512_unpackhi_ps
#undef _mm512_castps512_ps128
#define _mm512_castps512_ps128 simde_mm512_castps512_ps128
#undef _mm512_extractf32x4_ps
#define _mm512_extractf32x4_ps simde_mm512_extractf32x4_ps

#endif
