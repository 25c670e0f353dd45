/*
 * attention with AVX2, FMA and F16C: what is done there with eight floats.
 */
#include "kernels/attention_parts.h"

#if INF_KERNELS_X86

#define VECTOR_BYTES 32
#define VECTOR_DOTS 0
#include "kernels/vectors.h"

#include <math.h>

INLINE __m256 load_row(const float *x)
{
    return _mm256_loadu_ps(x);
}

INLINE void store8(float *out, __m256 v)
{
    _mm256_storeu_ps(out, v);
}

INLINE __m256 all(float value)
{
    return _mm256_set1_ps(value);
}

INLINE __m256 added(__m256 a, __m256 b)
{
    return _mm256_add_ps(a, b);
}

INLINE __m256 subtracted(__m256 a, __m256 b)
{
    return _mm256_sub_ps(a, b);
}

INLINE __m256 first_halves(__m256 a, __m256 b)
{
    return _mm256_permute2f128_ps(a, b, 0x20);
}

INLINE __m256 second_halves(__m256 a, __m256 b)
{
    return _mm256_permute2f128_ps(a, b, 0x31);
}

/* -INFINITY where m is that, s elsewhere. */
INLINE __m256 infinite_where(__m256 s, __m256 m)
{
    const __m256 infinite = _mm256_set1_ps(-INFINITY);

    return _mm256_blendv_ps(s, infinite, _mm256_cmp_ps(m, infinite, _CMP_EQ_OQ));
}

INLINE __m256 load8(const bool is_half, const char *row, int32_t i)
{
    return is_half ? _mm256_cvtph_ps(
                         _mm_loadu_si128((const __m128i *)(const void *)(row + (size_t)i * 2)))
                   : _mm256_loadu_ps((const float *)(const void *)(row + (size_t)i * 4));
}

/* The sum of the lanes of each of eight vectors: halves, then pairs, then neighbours. */
INLINE __m256 sum_lanes(const __m256 v[8])
{
    __m256 a[4];
    __m256 b[2];

    UNROLL for (int i = 0; i < 4; i++) a[i] = _mm256_add_ps(
        _mm256_permute2f128_ps(v[i], v[4 + i], 0x20), _mm256_permute2f128_ps(v[i], v[4 + i], 0x31));
    UNROLL for (int i = 0; i < 2; i++)
        b[i] = _mm256_add_ps(_mm256_shuffle_ps(a[2 * i], a[2 * i + 1], 0x44),
                             _mm256_shuffle_ps(a[2 * i], a[2 * i + 1], 0xee));
    return _mm256_add_ps(_mm256_shuffle_ps(b[0], b[1], 0x88), _mm256_shuffle_ps(b[0], b[1], 0xdd));
}

INLINE __m256 exp8(__m256 x)
{
    __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(EXP_LOG2E)),
                               _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_fmadd_ps(n, _mm256_set1_ps(-EXP_LN2_HIGH), x);
    __m256 e = _mm256_set1_ps(exp_terms[0]);
    __m256i power = _mm256_slli_epi32(
        _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);

    r = _mm256_fmadd_ps(n, _mm256_set1_ps(-EXP_LN2_LOW), r);
    UNROLL for (int i = 1; i < EXP_TERMS; i++)
        e = _mm256_fmadd_ps(e, r, _mm256_set1_ps(exp_terms[i]));
    return _mm256_andnot_ps(_mm256_cmp_ps(x, _mm256_set1_ps(EXP_LEAST), _CMP_LT_OQ),
                            _mm256_mul_ps(e, _mm256_castsi256_ps(power)));
}

INLINE float first_of(__m256 v)
{
    return _mm_cvtss_f32(_mm256_castps256_ps128(v));
}

/* NaN when one is NaN. */
INLINE float largest(const __m256 s[TILE / 8])
{
    __m256 m = s[0];
    __m256 nan = _mm256_cmp_ps(s[0], s[0], _CMP_UNORD_Q);
    __m128 h;

    UNROLL for (int i = 1; i < TILE / 8; i++)
    {
        m = _mm256_max_ps(m, s[i]);
        nan = _mm256_or_ps(nan, _mm256_cmp_ps(s[i], s[i], _CMP_UNORD_Q));
    }
    if (_mm256_movemask_ps(nan))
        return NAN;
    h = _mm_max_ps(_mm256_castps256_ps128(m), _mm256_extractf128_ps(m, 1));
    h = _mm_max_ps(h, _mm_movehl_ps(h, h));
    return _mm_cvtss_f32(_mm_max_ss(h, _mm_movehdup_ps(h)));
}

INLINE bool sees_some(const uint16_t mask[TILE])
{
    const __m256i masked = _mm256_set1_epi16((short)HALF_MINUS_INFINITY);
    __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)mask);
    __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(mask + 16));

    return _mm256_movemask_epi8(_mm256_and_si256(_mm256_cmpeq_epi16(a, masked),
                                                 _mm256_cmpeq_epi16(b, masked))) != -1;
}

#include "kernels/attention_tiles.h"

TARGET void attention_add_avx2(const struct attention_cells *cells, int32_t first, int32_t end,
                               const struct attention_scores *scores,
                               const struct attention_query *queries, int32_t n)
{
    add_to_queries(cells, first, end, scores, queries, n);
}

#endif
