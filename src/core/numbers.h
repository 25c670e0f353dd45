/*
 * numbers: floating-point numbers as files hold them: f32, f16 and bf16, little-endian, aligned to
 * nothing. Pure functions; any thread.
 */
#ifndef INF_CORE_NUMBERS_H
#define INF_CORE_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum number_type { NUMBER_F32, NUMBER_F16, NUMBER_BF16 };

static inline float f32_of_bits(uint32_t bits)
{
    float f = 0;

    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t bits_of_f32(float f)
{
    uint32_t bits = 0;

    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static inline float f32_of_f16(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = half & 0x7fff;

    if (rest >= 0x7c00) /* infinity, NaN */
        return f32_of_bits(sign | 0x7f800000u | (rest & 0x3ff) << 13);
    if (rest < 0x400) /* zero, subnormal */
        return f32_of_bits(sign | bits_of_f32((float)rest * 0x1p-24f));
    return f32_of_bits(sign | ((rest << 13) + 0x38000000u));
}

/* Rounded to nearest even. */
static inline uint16_t f16_of_f32(float value)
{
    uint32_t bits = bits_of_f32(value), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffffu;

    if (rest > 0x7f800000u) /* NaN: kept, made quiet */
        return (uint16_t)(sign | 0x7e00 | (rest >> 13 & 0x3ff));
    if (rest >= 0x47800000u) /* 65536 and more */
        return (uint16_t)(sign | 0x7c00);
    if (rest < 0x38800000u) /* below 2^-14: adding 0.5 rounds at 2^-24, where f16 ends */
        return (uint16_t)(sign | (bits_of_f32(f32_of_bits(rest) + 0.5f) - bits_of_f32(0.5f)));
    /* to nearest, ties to even; may carry into infinity */
    return (uint16_t)(sign | ((rest + 0xfff + (rest >> 13 & 1) - 0x38000000u) >> 13));
}

/* To nearest, ties to even; what is no number stays one that is none. */
static inline uint16_t bf16_of_f32(float value)
{
    uint32_t bits = bits_of_f32(value);

    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline size_t number_size(int32_t type)
{
    return type == NUMBER_F32 ? 4 : 2;
}

/* The bits of the number at index i. */
static inline uint32_t number_bits(const void *data, int32_t type, size_t i)
{
    uint32_t word = 0;
    uint16_t half = 0;

    if (type == NUMBER_F32) {
        memcpy(&word, (const char *)data + 4 * i, sizeof word);
        return word;
    }
    memcpy(&half, (const char *)data + 2 * i, sizeof half);
    return half;
}

static inline float number_of_bits(uint32_t bits, int32_t type)
{
    return type == NUMBER_F32   ? f32_of_bits(bits)
           : type == NUMBER_F16 ? f32_of_f16((uint16_t)bits)
                                : f32_of_bits(bits << 16);
}

static inline float number_at(const void *data, int32_t type, size_t i)
{
    return number_of_bits(number_bits(data, type, i), type);
}

/* The largest magnitude among n numbers, 0 for none; false when there is a NaN or an infinity. */
bool numbers_largest(float *largest, const void *data, int32_t type, size_t n);
/* The same without vector instructions: the reference of the tests. */
bool numbers_largest_portable(float *largest, const void *data, int32_t type, size_t n);
/* The magnitude of which these are the bits, and the largest of all; false as above. */
bool numbers_magnitude(float *largest, uint32_t bits, int32_t type);

#endif
