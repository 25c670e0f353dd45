/*
 * attention with NEON: what is done there with eight floats.
 */
#include "kernels/attention_parts.h"

#if INF_KERNELS_ARM

#include "kernels/neon.h"

#include <math.h>

INLINE void store8(float *out, floats v)
{
    vst1q_f32(out, v.low);
    vst1q_f32(out + 4, v.high);
}

INLINE floats multiplied(floats a, floats b)
{
    return (floats){vmulq_f32(a.low, b.low), vmulq_f32(a.high, b.high)};
}

INLINE floats added(floats a, floats b)
{
    return (floats){vaddq_f32(a.low, b.low), vaddq_f32(a.high, b.high)};
}

INLINE floats subtracted(floats a, floats b)
{
    return (floats){vsubq_f32(a.low, b.low), vsubq_f32(a.high, b.high)};
}

INLINE floats first_halves(floats a, floats b)
{
    return (floats){a.low, b.low};
}

INLINE floats second_halves(floats a, floats b)
{
    return (floats){a.high, b.high};
}

INLINE float first_of(floats v)
{
    return vgetq_lane_f32(v.low, 0);
}

/* -INFINITY where m is that, s elsewhere. */
INLINE floats infinite_where(floats s, floats m)
{
    const float32x4_t infinite = vdupq_n_f32(-INFINITY);

    return (floats){vbslq_f32(vceqq_f32(m.low, infinite), infinite, s.low),
                    vbslq_f32(vceqq_f32(m.high, infinite), infinite, s.high)};
}

INLINE floats load8(const bool is_half, const char *row, int32_t i)
{
    return is_half ? load_halves(row + (size_t)i * 2)
                   : load_row((const float *)(const void *)(row + (size_t)i * 4));
}

/* The lanes 0 + 2 and 1 + 3 of a, then of b, when each vector's halves are added. */
INLINE float32x4_t pairs_of(floats a, floats b)
{
    float64x2_t x = vreinterpretq_f64_f32(vaddq_f32(a.low, a.high));
    float64x2_t y = vreinterpretq_f64_f32(vaddq_f32(b.low, b.high));

    return vaddq_f32(vreinterpretq_f32_f64(vzip1q_f64(x, y)),
                     vreinterpretq_f32_f64(vzip2q_f64(x, y)));
}

/* The sum of the lanes of each of eight vectors: halves, then pairs, then neighbours. */
INLINE floats sum_lanes(const floats v[8])
{
    return (floats){vpaddq_f32(pairs_of(v[0], v[1]), pairs_of(v[2], v[3])),
                    vpaddq_f32(pairs_of(v[4], v[5]), pairs_of(v[6], v[7]))};
}

INLINE float32x4_t exp4(float32x4_t x)
{
    float32x4_t n = vrndnq_f32(vmulq_n_f32(x, EXP_LOG2E));
    float32x4_t r = vfmaq_f32(x, n, vdupq_n_f32(-EXP_LN2_HIGH));
    float32x4_t e = vdupq_n_f32(exp_terms[0]);
    int32x4_t power = vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)), 23);

    r = vfmaq_f32(r, n, vdupq_n_f32(-EXP_LN2_LOW));
    UNROLL for (int i = 1; i < EXP_TERMS; i++) e = vfmaq_f32(vdupq_n_f32(exp_terms[i]), e, r);
    e = vmulq_f32(e, vreinterpretq_f32_s32(power));
    return vreinterpretq_f32_u32(
        vbicq_u32(vreinterpretq_u32_f32(e), vcltq_f32(x, vdupq_n_f32(EXP_LEAST))));
}

INLINE floats exp8(floats x)
{
    return (floats){exp4(x.low), exp4(x.high)};
}

/* NaN when one is NaN, as vmaxq has it. */
INLINE float largest(const floats s[TILE / 8])
{
    float32x4_t m = vmaxq_f32(s[0].low, s[0].high);

    UNROLL for (int i = 1; i < TILE / 8; i++) m = vmaxq_f32(m, vmaxq_f32(s[i].low, s[i].high));
    return vmaxvq_f32(m);
}

INLINE bool sees_some(const uint16_t mask[TILE])
{
    const uint16x8_t masked = vdupq_n_u16(HALF_MINUS_INFINITY);
    uint16x8_t all_masked = vceqq_u16(vld1q_u16(mask), masked);

    UNROLL for (int i = 1; i < TILE / 8; i++)
        all_masked = vandq_u16(all_masked, vceqq_u16(vld1q_u16(mask + 8 * i), masked));
    return vminvq_u16(all_masked) == 0;
}

#include "kernels/attention_tiles.h"

void attention_add_neon(const struct attention_cells *cells, int32_t first, int32_t end,
                        const struct attention_scores *scores,
                        const struct attention_query *queries, int32_t n)
{
    add_to_queries(cells, first, end, scores, queries, n);
}

#endif
