/*
 * vectors: what functions of AVX2 or AVX-512 are built for, and what their width decides. A
 * file that includes it says which it is of: VECTOR_BYTES is 32 (AVX2, FMA, F16C) or 64 (AVX-512 F, BW, DQ and
 * VL), VECTOR_DOTS is 1 where there are sums of products of bytes (VNNI), VECTOR_BF16 is defined where there are such of
 * BF16. Only where INF_KERNELS_X86 is 1.
 *
 * In memory there are always vectors of eight: one of 16 is two of them, one behind the other. So what is laid
 * out for one width serves the other.
 */
#ifndef INF_KERNELS_VECTORS_H
#define INF_KERNELS_VECTORS_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A test puts the instructions that its CPU lacks in functions of its own. */
#if defined(INF_KERNELS_EMULATED)
#define TARGET
#include INF_KERNELS_EMULATED
#elif VECTOR_BYTES == 32
#define TARGET __attribute__((target("avx2,fma,f16c")))
#elif defined(VECTOR_BF16)
#define TARGET                                                                                     \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))
#elif VECTOR_DOTS
#define TARGET                                                                                     \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#else
#define TARGET __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")))
#endif
/* In loops that gcc unrolls, and where it gives a sum a second register, it runs out of them: then a sum lies in
 * memory, for which each step waits. This one has a register. */
#if defined(INF_KERNELS_EMULATED)
#define KEEP(v) ((void)(v))
#elif VECTOR_BYTES == 32
#define KEEP(v) __asm__("" : "+x"(v))
#else
#define KEEP(v) __asm__("" : "+v"(v))
#endif

/* LANES: of four bytes; EIGHTS: of eight such. Rows of activations are computed together as far as there are
 * registers for them. */
enum { LANES = VECTOR_BYTES / 4, EIGHTS = LANES / 8, ROWS_TOGETHER = VECTOR_BYTES == 32 ? 4 : 8 };

#include "kernels/inline.h"

/* Several rows of weights that are read at once are no stream that the CPU foresees: the next ones (NULL: unknown) are
 * asked for, a part with each step. */
INLINE void ask_for(const char *next, size_t at, size_t bytes)
{
    for (size_t i = 0; next && i < bytes; i += 64)
        _mm_prefetch(next + at + i, _MM_HINT_T1);
}

INLINE float sum8(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

#if VECTOR_BYTES == 32

typedef __m256i ints;
typedef __m256 floats;
/* The instruction of that name, for vectors of this width. */
#define OF_WIDTH(name) _mm256_##name

INLINE ints load_ints(const __m256i *p)
{
    return *p;
}

INLINE floats load_floats(const __m256 *p)
{
    return *p;
}

INLINE void store_floats(__m256 *p, floats v)
{
    *p = v;
}

/* What two places hold, one behind the other: only the first here. */
INLINE floats join(const __m256 *first, const __m256 *second)
{
    (void)second;
    return *first;
}

INLINE ints ints_zero(void)
{
    return _mm256_setzero_si256();
}

/* The bytes of x with the signs of w; anything where w is 0. */
INLINE ints with_signs(ints x, ints w)
{
    return _mm256_sign_epi8(x, w);
}

INLINE floats floats_all(const float *value)
{
    return _mm256_broadcast_ss(value);
}

#else

typedef __m512i ints;
typedef __m512 floats;
#define OF_WIDTH(name) _mm512_##name

INLINE ints load_ints(const __m256i *p)
{
    return _mm512_loadu_si512((const void *)p);
}

INLINE floats load_floats(const __m256 *p)
{
    return _mm512_loadu_ps((const void *)p);
}

INLINE void store_floats(__m256 *p, floats v)
{
    _mm512_storeu_ps((void *)p, v);
}

INLINE floats join(const __m256 *first, const __m256 *second)
{
    return _mm512_insertf32x8(_mm512_castps256_ps512(*first), *second, 1);
}

INLINE ints ints_zero(void)
{
    return _mm512_setzero_si512();
}

INLINE ints with_signs(ints x, ints w)
{
    return _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(w), _mm512_setzero_si512(), x);
}

INLINE floats floats_all(const float *value)
{
    return _mm512_set1_ps(*value);
}

#endif

INLINE ints ints_all(int32_t value)
{
    return OF_WIDTH(set1_epi32)(value);
}

INLINE ints add16(ints a, ints b)
{
    return OF_WIDTH(add_epi16)(a, b);
}

INLINE ints add32(ints a, ints b)
{
    return OF_WIDTH(add_epi32)(a, b);
}

/* Sums of two products, of bytes without a sign and bytes with one; they must fit. */
INLINE ints pairs_of_products(ints a, ints b)
{
    return OF_WIDTH(maddubs_epi16)(a, b);
}

INLINE ints sums_of_pairs(ints v)
{
    return OF_WIDTH(madd_epi16)(v, OF_WIDTH(set1_epi16)(1));
}

INLINE floats floats_zero(void)
{
    return OF_WIDTH(setzero_ps)();
}

INLINE floats floats_of(ints v)
{
    return OF_WIDTH(cvtepi32_ps)(v);
}

INLINE floats multiplied(floats a, floats b)
{
    return OF_WIDTH(mul_ps)(a, b);
}

INLINE floats add_product(floats a, floats b, floats to)
{
    return OF_WIDTH(fmadd_ps)(a, b, to);
}

#if VECTOR_DOTS

/* to + sums of four products, of bytes without a sign and bytes with one: nothing overflows. */
INLINE ints add_dots(ints to, ints a, ints b)
{
    return _mm512_dpbusd_epi32(to, a, b);
}

#endif

#endif
