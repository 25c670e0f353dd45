/* numbers: see the header. Magnitudes compare as integers: the sign bit is off, and NaN is above
 * infinity. */
#include "core/numbers.h"

#include "core/cpu_features.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static uint32_t largest_bits(const unsigned char *data, int32_t type, size_t n)
{
    uint32_t mask = type == NUMBER_F32 ? 0x7fffffffu : 0x7fff, largest = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t bits = number_bits(data, type, i) & mask;

        largest = bits > largest ? bits : largest;
    }
    return largest;
}

bool numbers_magnitude(float *largest, uint32_t bits, int32_t type)
{
    static const uint32_t infinity[] = {0x7f800000u, 0x7c00, 0x7f80};

    if (bits >= infinity[type])
        return false;
    *largest = number_of_bits(bits, type);
    return true;
}

bool numbers_largest_portable(float *largest, const void *data, int32_t type, size_t n)
{
    return numbers_magnitude(largest, largest_bits(data, type, n), type);
}

#if defined(__x86_64__)

#define AVX2 __attribute__((target("avx2")))

enum { AHEAD = 2048 }; /* bytes that are fetched before they are needed */

AVX2 static uint32_t largest_f32(const unsigned char *src, size_t n)
{
    const __m256i mask = _mm256_set1_epi32(0x7fffffff);
    __m256i x = _mm256_setzero_si256(), y = _mm256_setzero_si256();
    uint32_t lanes[8], largest = 0;
    size_t i = 0;

    for (; i + 16 <= n; i += 16) {
        const __m256i *at = (const __m256i *)(const void *)(src + 4 * i);

        x = _mm256_max_epu32(x, _mm256_and_si256(_mm256_loadu_si256(at), mask));
        y = _mm256_max_epu32(y, _mm256_and_si256(_mm256_loadu_si256(at + 1), mask));
    }
    _mm256_storeu_si256((__m256i *)(void *)lanes, _mm256_max_epu32(x, y));
    largest = largest_bits(src + 4 * i, NUMBER_F32, n - i);
    for (int k = 0; k < 8; k++)
        largest = lanes[k] > largest ? lanes[k] : largest;
    return largest;
}

AVX2 static uint32_t largest_half(const unsigned char *src, int32_t type, size_t n)
{
    const __m256i mask = _mm256_set1_epi16(0x7fff);
    __m256i x[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
                    _mm256_setzero_si256()};
    uint16_t lanes[16];
    uint32_t largest = 0;
    size_t i = 0;

    for (; i + 64 <= n; i += 64) { /* two cache lines */
        const __m256i *at = (const __m256i *)(const void *)(src + 2 * i);

        _mm_prefetch((const char *)at + AHEAD, _MM_HINT_T0);
        _mm_prefetch((const char *)at + AHEAD + 64, _MM_HINT_T0);
        for (int k = 0; k < 4; k++)
            x[k] = _mm256_max_epu16(x[k], _mm256_and_si256(_mm256_loadu_si256(at + k), mask));
    }
    x[0] = _mm256_max_epu16(_mm256_max_epu16(x[0], x[1]), _mm256_max_epu16(x[2], x[3]));
    for (; i + 16 <= n; i += 16) {
        const __m256i *at = (const __m256i *)(const void *)(src + 2 * i);

        x[0] = _mm256_max_epu16(x[0], _mm256_and_si256(_mm256_loadu_si256(at), mask));
    }
    _mm256_storeu_si256((__m256i *)(void *)lanes, x[0]);
    largest = largest_bits(src + 2 * i, type, n - i);
    for (int k = 0; k < 16; k++)
        largest = lanes[k] > largest ? lanes[k] : largest;
    return largest;
}

bool numbers_largest(float *largest, const void *data, int32_t type, size_t n)
{
    if (!cpu_has_avx2())
        return numbers_largest_portable(largest, data, type, n);
    return numbers_magnitude(
        largest, type == NUMBER_F32 ? largest_f32(data, n) : largest_half(data, type, n), type);
}

#else

bool numbers_largest(float *largest, const void *data, int32_t type, size_t n)
{
    return numbers_largest_portable(largest, data, type, n);
}

#endif
