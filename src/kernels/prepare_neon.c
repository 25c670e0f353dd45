/*
 * prepare with NEON: activations of eight bits, with a scale for each 32.
 */
#include "kernels/blocks.h"

#if INF_KERNELS_ARM

#include "kernels/neon.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* NaN where a number is not finite. */
INLINE float scale_of(const float32x4_t v[8])
{
    float32x4_t largest = vdupq_n_f32(0);
    float32x4_t zero = vdupq_n_f32(0);

    UNROLL for (int i = 0; i < 8; i++)
    {
        largest = vmaxq_f32(largest, vabsq_f32(v[i]));
        zero = vfmaq_f32(zero, v[i], vdupq_n_f32(0));
    }
    return vminvq_u32(vceqzq_f32(zero)) ? vmaxvq_f32(largest) / 127 : NAN;
}

INLINE void prepare_block(const struct weight_facts *f, const float *x, struct activations *out,
                          int32_t b)
{
    float32x4_t v[8];
    int32x4_t q[8];
    float d = 0;
    float inverse = 0;
    int32_t sums[2];

    UNROLL for (int i = 0; i < 8; i++) v[i] = vld1q_f32(x + i * 4);
    d = scale_of(v);
    inverse = d > 0 && 1 / d <= FLT_MAX ? 1 / d : 0;
    UNROLL for (int i = 0; i < 8; i++) q[i] = vcvtnq_s32_f32(vmulq_n_f32(v[i], inverse));
    UNROLL for (int i = 0; i < 2; i++)
    {
        const int32x4_t *four = q + 4 * i;
        int16x8_t low = vcombine_s16(vmovn_s32(four[0]), vmovn_s32(four[1]));
        int16x8_t high = vcombine_s16(vmovn_s32(four[2]), vmovn_s32(four[3]));

        sums[i] = vaddvq_s32(vaddq_s32(vaddq_s32(four[0], four[1]), vaddq_s32(four[2], four[3])));
        vst1q_s8(out->q + b * BLOCK + 16 * i, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
    }
    keep_sums(f, out, b, d, sums);
}

void matmul_prepare_neon(int32_t type, int32_t n_in, const float *x, struct activations *out)
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
