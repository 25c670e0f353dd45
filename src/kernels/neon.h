/*
 * neon: eight floats in two registers of NEON, and what is done with them there. Only where INF_KERNELS_ARM is 1.
 */
#ifndef INF_KERNELS_NEON_H
#define INF_KERNELS_NEON_H

#include "kernels/matmul.h"

#include <arm_neon.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VECTOR_BYTES 16
#define TARGET /* what is beyond the first NEON has a file, with options, of its own */
enum { EIGHTS = 1, ROWS_TOGETHER = 6 };

#include "kernels/inline.h"

typedef struct {
    float32x4_t low, high;
} floats;

/* As in vectors.h. */
INLINE void ask_for(const char *next, size_t at, size_t bytes)
{
    for (size_t i = 0; next && i < bytes; i += 64)
        __builtin_prefetch(next + at + i, 0, 2);
}

INLINE floats all(float value)
{
    return (floats){vdupq_n_f32(value), vdupq_n_f32(value)};
}

INLINE floats floats_zero(void)
{
    return all(0);
}

INLINE floats add_product(floats a, floats b, floats to)
{
    return (floats){vfmaq_f32(to.low, a.low, b.low), vfmaq_f32(to.high, a.high, b.high)};
}

/* Halves, then pairs, then neighbours, as sum8 of vectors.h. */
INLINE float sum8(floats v)
{
    float32x4_t s = vaddq_f32(v.low, v.high);
    float32x2_t pair = vadd_f32(vget_low_f32(s), vget_high_f32(s));

    return vget_lane_f32(pair, 0) + vget_lane_f32(pair, 1);
}

INLINE floats load_row(const float *x)
{
    return (floats){vld1q_f32(x), vld1q_f32(x + 4)};
}

INLINE floats load_halves(const void *p)
{
    float16x8_t v = vreinterpretq_f16_u8(vld1q_u8(p));

    return (floats){vcvt_f32_f16(vget_low_f16(v)), vcvt_high_f32_f16(v)};
}

/* Numbers i .. i+7 of a row of weights. */
INLINE floats load_weights(const int32_t type, const char *const w[EIGHTS], size_t i)
{
    uint16x8_t v;

    if (type == WEIGHT_F32)
        return (floats){vreinterpretq_f32_u8(vld1q_u8((const uint8_t *)w[0] + 4 * i)),
                        vreinterpretq_f32_u8(vld1q_u8((const uint8_t *)w[0] + 4 * i + 16))};
    if (type == WEIGHT_F16)
        return load_halves(w[0] + 2 * i);
    v = vreinterpretq_u16_u8(vld1q_u8((const uint8_t *)w[0] + 2 * i));
    return (floats){vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(v), 16)),
                    vreinterpretq_f32_u32(vshll_high_n_u16(v, 16))};
}

INLINE void sums_of(floats v, float out[EIGHTS])
{
    out[0] = sum8(v);
}

#endif
