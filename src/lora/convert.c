/* convert: see the header. */
#include "lora/convert.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <stdatomic.h>
#endif

/* ---------------------------------------------------------------- single values */

static float float_of(uint32_t bits)
{
    float f = 0;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint32_t bits_of(float f)
{
    uint32_t bits = 0;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

float lora_f32_from_f16(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16, rest = bits & 0x7fff;
    if (rest >= 0x7c00) /* infinity, NaN */
        return float_of(sign | 0x7f800000u | (rest & 0x3ff) << 13);
    if (rest < 0x400) { /* zero, subnormal: rest * 2^-24 */
        float magnitude = (float)rest * 0x1p-24f;
        return float_of(sign | bits_of(magnitude));
    }
    return float_of(sign | ((rest << 13) + 0x38000000u));
}

uint16_t lora_f16_from_f32(float value)
{
    uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffffu;
    if (rest > 0x7f800000u) /* NaN: kept, made quiet */
        return (uint16_t)(sign | 0x7e00 | (rest >> 13 & 0x3ff));
    if (rest >= 0x47800000u) /* 65536 and more */
        return (uint16_t)(sign | 0x7c00);
    if (rest < 0x38800000u) /* below 2^-14: adding 0.5 rounds at 2^-24, where f16 ends */
        return (uint16_t)(sign | (bits_of(float_of(rest) + 0.5f) - bits_of(0.5f)));
    uint32_t odd = rest >> 13 & 1; /* to nearest, ties to even; may carry into infinity */
    return (uint16_t)(sign | ((rest + 0xfff + odd - 0x38000000u) >> 13));
}

static size_t source_size(int32_t source)
{
    return source == LORA_SOURCE_F32 ? 4 : 2;
}

static size_t type_size(int32_t type)
{
    return type == LORA_F32 ? 4 : 2;
}

static float load1(const unsigned char *src, int32_t source, size_t i)
{
    uint32_t word = 0;
    uint16_t half = 0;
    if (source == LORA_SOURCE_F32) {
        memcpy(&word, src + 4 * i, sizeof word);
        return float_of(word);
    }
    memcpy(&half, src + 2 * i, sizeof half);
    return source == LORA_SOURCE_F16 ? lora_f32_from_f16(half) : float_of((uint32_t)half << 16);
}

static void store1(unsigned char *dst, int32_t type, size_t i, float value)
{
    if (type == LORA_F32) {
        memcpy(dst + 4 * i, &value, sizeof value);
    } else {
        uint16_t half = lora_f16_from_f32(value);
        memcpy(dst + 2 * i, &half, sizeof half);
    }
}

/* ---------------------------------------------------------------- portable */

/* Magnitudes compare as integers: the sign bit is off, and NaN is above infinity. */
static uint32_t largest_bits(const unsigned char *src, int32_t source, size_t n)
{
    uint32_t largest = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t word = 0;
        uint16_t half = 0;
        if (source == LORA_SOURCE_F32) {
            memcpy(&word, src + 4 * i, sizeof word);
            word &= 0x7fffffffu;
        } else {
            memcpy(&half, src + 2 * i, sizeof half);
            word = half & 0x7fff;
        }
        largest = word > largest ? word : largest;
    }
    return largest;
}

/* The largest bits found as a value; false for those of NaN and infinity. */
static bool finish_largest(float *largest, uint32_t bits, int32_t source)
{
    static const uint32_t infinity[] = {0x7f800000u, 0x7c00, 0x7f80};
    if (bits >= infinity[source])
        return false;
    *largest = source == LORA_SOURCE_F32   ? float_of(bits)
               : source == LORA_SOURCE_F16 ? lora_f32_from_f16((uint16_t)bits)
                                           : float_of(bits << 16);
    return true;
}

bool lora_largest_portable(float *largest, const void *src, int32_t source, size_t n)
{
    return finish_largest(largest, largest_bits(src, source, n), source);
}

void lora_convert_rows_portable(void *dst, int32_t type, int32_t padded, const void *src,
                                int32_t source, int32_t rows, int32_t cols, float factor)
{
    const unsigned char *from = src;
    unsigned char *to = dst;
    for (int32_t r = 0; r < rows; r++) {
        for (int32_t c = 0; c < padded; c++)
            store1(to, type, (size_t)c, c < cols ? factor * load1(from, source, (size_t)c) : 0.0f);
        from += (size_t)cols * source_size(source);
        to += (size_t)padded * type_size(type);
    }
}

void lora_convert_transposed_portable(void *dst, int32_t type, int32_t padded, const void *src,
                                      int32_t source, int32_t n_out, int32_t rank, int32_t head_dim,
                                      float factor)
{
    for (int32_t o = 0; o < padded; o++) {
        const unsigned char *row = src;
        if (o < n_out)
            row += (size_t)lora_source_row(o, head_dim) * (size_t)rank * source_size(source);
        for (int32_t r = 0; r < rank; r++) {
            float value = o < n_out ? factor * load1(row, source, (size_t)r) : 0.0f;
            store1(dst, type, (size_t)r * (size_t)padded + (size_t)o, value);
        }
    }
}

/* ---------------------------------------------------------------- AVX2 and F16C */

#if defined(__x86_64__)

#define AVX2 __attribute__((target("avx2,f16c")))
#define AVX2_INLINE AVX2 __attribute__((always_inline)) static inline

AVX2_INLINE __m256 load8(const unsigned char *src, int32_t source)
{
    if (source == LORA_SOURCE_F32)
        return _mm256_loadu_ps((const float *)(const void *)src);
    __m128i half = _mm_loadu_si128((const __m128i *)(const void *)src);
    if (source == LORA_SOURCE_F16)
        return _mm256_cvtph_ps(half);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

/* n (< 8) elements, the rest zero. */
AVX2_INLINE __m256 load_part(const unsigned char *src, int32_t source, int32_t n)
{
    unsigned char part[8 * sizeof(float)] = {0};
    memcpy(part, src, (size_t)n * source_size(source));
    return load8(part, source);
}

AVX2_INLINE void store8(unsigned char *dst, int32_t type, __m256 v)
{
    if (type == LORA_F32) {
        _mm256_storeu_ps((float *)(void *)dst, v);
    } else {
        __m128i half = _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT);
        _mm_storeu_si128((__m128i *)(void *)dst, half);
    }
}

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
    largest = largest_bits(src + 4 * i, LORA_SOURCE_F32, n - i);
    for (int k = 0; k < 8; k++)
        largest = lanes[k] > largest ? lanes[k] : largest;
    return largest;
}

AVX2 static uint32_t largest_half(const unsigned char *src, int32_t source, size_t n)
{
    const __m256i mask = _mm256_set1_epi16(0x7fff);
    __m256i x = _mm256_setzero_si256();
    uint16_t lanes[16];
    uint32_t largest = 0;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const __m256i *at = (const __m256i *)(const void *)(src + 2 * i);
        x = _mm256_max_epu16(x, _mm256_and_si256(_mm256_loadu_si256(at), mask));
    }
    _mm256_storeu_si256((__m256i *)(void *)lanes, x);
    largest = largest_bits(src + 2 * i, source, n - i);
    for (int k = 0; k < 16; k++)
        largest = lanes[k] > largest ? lanes[k] : largest;
    return largest;
}

AVX2_INLINE void rows_avx2(unsigned char *dst, int32_t type, int32_t padded,
                           const unsigned char *src, int32_t source, int32_t rows, int32_t cols,
                           float factor)
{
    const __m256 by = _mm256_set1_ps(factor);
    const size_t in = source_size(source), out = type_size(type);
    for (int32_t r = 0; r < rows; r++) {
        int32_t c = 0;
        for (; c + 8 <= cols; c += 8) {
            store8(dst + (size_t)c * out, type,
                   _mm256_mul_ps(by, load8(src + (size_t)c * in, source)));
        }
        for (; c < padded; c += 8) {
            int32_t left = cols > c ? cols - c : 0;
            store8(dst + (size_t)c * out, type,
                   _mm256_mul_ps(by, load_part(src + (size_t)c * in, source, left)));
        }
        src += (size_t)cols * in;
        dst += (size_t)padded * out;
    }
}

/* v[i][j] <-> v[j][i] */
AVX2_INLINE void transpose8(__m256 v[8])
{
    __m256 t[8], u[8];
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_ps(v[2 * i], v[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(v[2 * i], v[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        u[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        u[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
        u[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        u[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        v[i] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x20);
        v[i + 4] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x31);
    }
}

/* Columns r .. r + n (n <= 8) of the eight source rows to dst (rank, padded), rows r .., column o.
 * A row that is NULL counts as zeros. */
AVX2_INLINE void transpose_block(unsigned char *dst, int32_t type, int32_t padded,
                                 const unsigned char *const rows[8], int32_t source, int32_t o,
                                 int32_t r, int32_t n, __m256 by)
{
    __m256 v[8];
    for (int i = 0; i < 8; i++) {
        const unsigned char *at = rows[i] ? rows[i] + (size_t)r * source_size(source) : NULL;
        v[i] = !at ? _mm256_setzero_ps() : n == 8 ? load8(at, source) : load_part(at, source, n);
        v[i] = _mm256_mul_ps(by, v[i]);
    }
    transpose8(v);
    for (int i = 0; i < n; i++) {
        size_t at = (size_t)(r + i) * (size_t)padded + (size_t)o;
        store8(dst + at * type_size(type), type, v[i]);
    }
}

AVX2_INLINE void transposed_avx2(unsigned char *dst, int32_t type, int32_t padded,
                                 const unsigned char *src, int32_t source, int32_t n_out,
                                 int32_t rank, int32_t head_dim, float factor)
{
    const __m256 by = _mm256_set1_ps(factor);
    const size_t row_size = (size_t)rank * source_size(source);
    for (int32_t o = 0; o < padded; o += 8) {
        const unsigned char *rows[8] = {NULL};
        for (int32_t i = 0; i < 8 && o + i < n_out; i++)
            rows[i] = src + (size_t)lora_source_row(o + i, head_dim) * row_size;
        int32_t r = 0;
        for (; r + 8 <= rank; r += 8)
            transpose_block(dst, type, padded, rows, source, o, r, 8, by);
        if (r < rank)
            transpose_block(dst, type, padded, rows, source, o, r, rank - r, by);
    }
}

/* One copy of the code for each pair of types. */
#define FOR_EACH_PAIR(X)                                                                           \
    X(f32_f32, LORA_SOURCE_F32, LORA_F32)                                                          \
    X(f32_f16, LORA_SOURCE_F32, LORA_F16)                                                          \
    X(f16_f32, LORA_SOURCE_F16, LORA_F32)                                                          \
    X(f16_f16, LORA_SOURCE_F16, LORA_F16)                                                          \
    X(bf16_f32, LORA_SOURCE_BF16, LORA_F32)                                                        \
    X(bf16_f16, LORA_SOURCE_BF16, LORA_F16)

#define DEFINE_PAIR(name, source, type)                                                            \
    AVX2 static void rows_##name(void *dst, int32_t padded, const void *src, int32_t rows,         \
                                 int32_t cols, float factor)                                       \
    {                                                                                              \
        rows_avx2(dst, type, padded, src, source, rows, cols, factor);                             \
    }                                                                                              \
    AVX2 static void transposed_##name(void *dst, int32_t padded, const void *src, int32_t n_out,  \
                                       int32_t rank, int32_t head_dim, float factor)               \
    {                                                                                              \
        transposed_avx2(dst, type, padded, src, source, n_out, rank, head_dim, factor);            \
    }
FOR_EACH_PAIR(DEFINE_PAIR)

/* Found out once: CPUID leaves a virtual machine and costs more than a small matrix. (Not every
 * compiler's __builtin_cpu_supports knows f16c.) */
static bool has_avx2(void)
{
    static atomic_int known; /* 0: not yet; 1: no; 2: yes */
    int have = atomic_load_explicit(&known, memory_order_relaxed);
    if (have == 0) {
        unsigned a = 0, b = 0, c = 0, d = 0;
        bool f16c = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
        have = f16c && __builtin_cpu_supports("avx2") ? 2 : 1;
        atomic_store_explicit(&known, have, memory_order_relaxed);
    }
    return have == 2;
}

#endif

/* ---------------------------------------------------------------- dispatch */

bool lora_largest(float *largest, const void *src, int32_t source, size_t n)
{
#if defined(__x86_64__)
    if (has_avx2()) {
        uint32_t bits = source == LORA_SOURCE_F32 ? largest_f32(src, n)
                                                  : largest_half(src, source, n);
        return finish_largest(largest, bits, source);
    }
#endif
    return lora_largest_portable(largest, src, source, n);
}

void lora_convert_rows(void *dst, int32_t type, int32_t padded, const void *src, int32_t source,
                       int32_t rows, int32_t cols, float factor)
{
#if defined(__x86_64__)
#define TRY_ROWS(name, from, to)                                                                   \
    if (source == (from) && type == (to)) {                                                        \
        rows_##name(dst, padded, src, rows, cols, factor);                                         \
        return;                                                                                    \
    }
    if (has_avx2())
        FOR_EACH_PAIR(TRY_ROWS)
#endif
    lora_convert_rows_portable(dst, type, padded, src, source, rows, cols, factor);
}

void lora_convert_transposed(void *dst, int32_t type, int32_t padded, const void *src,
                             int32_t source, int32_t n_out, int32_t rank, int32_t head_dim,
                             float factor)
{
#if defined(__x86_64__)
#define TRY_TRANSPOSED(name, from, to)                                                             \
    if (source == (from) && type == (to)) {                                                        \
        transposed_##name(dst, padded, src, n_out, rank, head_dim, factor);                        \
        return;                                                                                    \
    }
    if (has_avx2())
        FOR_EACH_PAIR(TRY_TRANSPOSED)
#endif
    lora_convert_transposed_portable(dst, type, padded, src, source, n_out, rank, head_dim, factor);
}
