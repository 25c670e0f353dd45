/*
 * prepare with AVX2: activations of eight bits, with a scale for each 32.
 */
#include "kernels/blocks.h"

#if INF_KERNELS_X86

#define VECTOR_BYTES 32
#define VECTOR_DOTS 0
#include "kernels/vectors.h"

#include <math.h>
#include <string.h>

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
    keep_sums(f, out, b, d, sums);
}

TARGET void matmul_prepare_avx2(int32_t type, int32_t n_in, const float *x, struct activations *out)
{
    for (int32_t i = 0; i < chunk_count(n_in); i++) {
        int32_t n_blocks = blocks_in_chunk(n_in, i);

        if (n_blocks < CHUNK_BLOCKS)
            memset(&out[i], 0, sizeof out[i]);
        for (int32_t b = 0; b < n_blocks; b++)
            prepare_block(&weight_facts[type], x + i * CHUNK + b * BLOCK, &out[i], b);
    }
}

#endif
