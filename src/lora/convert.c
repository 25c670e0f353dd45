/* convert: see the header. */
#include "lora/convert.h"

#include "core/cpu_features.h"
#include "lora/vectors.h"

#include <string.h>

static void store1(unsigned char *dst, int32_t type, size_t i, float value)
{
    if (type == NUMBER_F32) {
        memcpy(dst + 4 * i, &value, sizeof value);
    } else {
        uint16_t half = f16_of_f32(value);

        memcpy(dst + 2 * i, &half, sizeof half);
    }
}

/* ---------------------------------------------------------------- portable */

void lora_convert_rows_portable(void *dst, int32_t type, int32_t padded, const void *src,
                                int32_t source, int32_t rows, int32_t cols, float factor)
{
    const unsigned char *from = src;
    unsigned char *to = dst;

    for (int32_t r = 0; r < rows; r++) {
        for (int32_t c = 0; c < padded; c++)
            store1(to, type, (size_t)c,
                   c < cols ? factor * number_at(from, source, (size_t)c) : 0.0f);
        from += (size_t)cols * number_size(source);
        to += (size_t)padded * number_size(type);
    }
}

void lora_convert_transposed_portable(void *dst, int32_t type, int32_t padded, const void *src,
                                      int32_t source, int32_t n_out, int32_t rank, int32_t head_dim,
                                      float factor)
{
    for (int32_t o = 0; o < padded; o++) {
        const unsigned char *row = src;

        if (o < n_out)
            row += (size_t)lora_source_row(o, head_dim) * (size_t)rank * number_size(source);
        for (int32_t r = 0; r < rank; r++) {
            float value = o < n_out ? factor * number_at(row, source, (size_t)r) : 0.0f;

            store1(dst, type, (size_t)r * (size_t)padded + (size_t)o, value);
        }
    }
}

static uint32_t larger(uint32_t largest, uint16_t half)
{
    uint32_t bits = half & 0x7fffu;

    return bits > largest ? bits : largest;
}

uint32_t lora_copy_rows_portable(uint16_t *dst, int32_t padded, const void *src, int32_t rows,
                                 int32_t cols)
{
    const unsigned char *from = src;
    uint32_t largest = 0;

    for (int32_t r = 0; r < rows; r++, from += 2 * (size_t)cols)
        for (int32_t c = 0; c < padded; c++) {
            *dst = c < cols ? (uint16_t)number_bits(from, NUMBER_F16, (size_t)c) : 0;
            largest = larger(largest, *dst++);
        }
    return largest;
}

uint32_t lora_copy_transposed_portable(uint16_t *dst, int32_t padded, const void *src,
                                       int32_t n_out, int32_t rank, int32_t head_dim)
{
    uint32_t largest = 0;

    for (int32_t o = 0; o < padded; o++) {
        size_t row = o < n_out ? (size_t)lora_source_row(o, head_dim) * (size_t)rank : 0;

        for (int32_t r = 0; r < rank; r++) {
            uint16_t half = o < n_out ? (uint16_t)number_bits(src, NUMBER_F16, row + (size_t)r) : 0;

            dst[(size_t)r * (size_t)padded + (size_t)o] = half;
            largest = larger(largest, half);
        }
    }
    return largest;
}

/* ---------------------------------------------------------------- AVX2 and F16C */

#if INF_LORA_X86

/* n (< 8) elements, the rest zero. */
INLINE __m256 load_part(const unsigned char *src, int32_t source, int32_t n)
{
    unsigned char part[8 * sizeof(float)] = {0};

    memcpy(part, src, (size_t)n * number_size(source));
    return load8(part, source, 0);
}

INLINE void store8(unsigned char *dst, int32_t type, __m256 v)
{
    if (type == NUMBER_F32) {
        _mm256_storeu_ps((float *)(void *)dst, v);
    } else {
        __m128i half = _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT);

        _mm_storeu_si128((__m128i *)(void *)dst, half);
    }
}

INLINE void rows_avx2(unsigned char *dst, int32_t type, int32_t padded, const unsigned char *src,
                      int32_t source, int32_t rows, int32_t cols, float factor)
{
    const __m256 by = _mm256_set1_ps(factor);
    const size_t in = number_size(source), out = number_size(type);

    for (int32_t r = 0; r < rows; r++) {
        int32_t c = 0;

        for (; c + 8 <= cols; c += 8)
            store8(dst + (size_t)c * out, type, _mm256_mul_ps(by, load8(src, source, (size_t)c)));
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
INLINE void transpose8(__m256 v[8])
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
INLINE void transpose_block(unsigned char *dst, int32_t type, int32_t padded,
                            const unsigned char *const rows[8], int32_t source, int32_t o,
                            int32_t r, int32_t n, __m256 by)
{
    __m256 v[8];

    for (int i = 0; i < 8; i++) {
        const unsigned char *at = rows[i] ? rows[i] + (size_t)r * number_size(source) : NULL;

        v[i] = !at ? _mm256_setzero_ps() : n == 8 ? load8(at, source, 0) : load_part(at, source, n);
        v[i] = _mm256_mul_ps(by, v[i]);
    }
    transpose8(v);
    for (int i = 0; i < n; i++) {
        size_t at = (size_t)(r + i) * (size_t)padded + (size_t)o;

        store8(dst + at * number_size(type), type, v[i]);
    }
}

INLINE void transposed_avx2(unsigned char *dst, int32_t type, int32_t padded,
                            const unsigned char *src, int32_t source, int32_t n_out, int32_t rank,
                            int32_t head_dim, float factor)
{
    const __m256 by = _mm256_set1_ps(factor);
    const size_t row_size = (size_t)rank * number_size(source);

    for (int32_t o = 0; o < padded; o += 8) {
        const unsigned char *rows[8] = {NULL};
        int32_t r = 0;

        for (int32_t i = 0; i < 8 && o + i < n_out; i++)
            rows[i] = src + (size_t)lora_source_row(o + i, head_dim) * row_size;
        for (; r + 8 <= rank; r += 8)
            transpose_block(dst, type, padded, rows, source, o, r, 8, by);
        if (r < rank)
            transpose_block(dst, type, padded, rows, source, o, r, rank - r, by);
    }
}

/* One copy of the code for each pair of types. */
#define FOR_EACH_PAIR(X)                                                                           \
    X(f32_f32, NUMBER_F32, NUMBER_F32)                                                             \
    X(f32_f16, NUMBER_F32, NUMBER_F16)                                                             \
    X(f16_f32, NUMBER_F16, NUMBER_F32)                                                             \
    X(f16_f16, NUMBER_F16, NUMBER_F16)                                                             \
    X(bf16_f32, NUMBER_BF16, NUMBER_F32)                                                           \
    X(bf16_f16, NUMBER_BF16, NUMBER_F16)

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

/* ---------------------------------------------------------------- AVX2, 16 bits as they are */

/* The largest magnitude so far, of each lane. */
INLINE __m256i larger16(__m256i largest, __m256i halves)
{
    return _mm256_max_epu16(largest, _mm256_and_si256(halves, _mm256_set1_epi16(0x7fff)));
}

INLINE uint32_t largest_of(__m256i lanes)
{
    uint16_t all[16];
    uint32_t largest = 0;

    _mm256_storeu_si256((__m256i *)(void *)all, lanes);
    for (int i = 0; i < 16; i++)
        largest = larger(largest, all[i]);
    return largest;
}

/* n numbers, of which the last 16 and fewer are padded with zeros. */
INLINE __m256i copy_row(uint16_t *dst, const unsigned char *src, size_t n, __m256i largest)
{
    unsigned char last[32] = {0};
    __m256i halves;
    size_t i = 0;

    for (; i + 16 <= n; i += 16) {
        halves = _mm256_loadu_si256((const __m256i *)(const void *)(src + 2 * i));
        largest = larger16(largest, halves);
        _mm256_storeu_si256((__m256i *)(void *)(dst + i), halves);
    }
    if (i == n)
        return largest;
    memcpy(last, src + 2 * i, 2 * (n - i));
    halves = _mm256_loadu_si256((const __m256i *)(const void *)last);
    _mm256_storeu_si256((__m256i *)(void *)(dst + i), halves);
    return larger16(largest, halves);
}

AVX2 static uint32_t copy_rows_avx2(uint16_t *dst, int32_t padded, const unsigned char *src,
                                    int32_t rows, int32_t cols)
{
    __m256i largest = _mm256_setzero_si256();

    if (padded == cols) /* they lie as they are to */
        return largest_of(copy_row(dst, src, (size_t)rows * (size_t)cols, largest));
    for (int32_t r = 0; r < rows; r++)
        largest = copy_row(dst + (size_t)r * (size_t)padded, src + 2 * (size_t)r * (size_t)cols,
                           (size_t)cols, largest);
    return largest_of(largest);
}

/* n (1 to 8) numbers of a row, the rest zero; NULL: all are. */
INLINE __m128i load_halves(const unsigned char *src, int32_t n)
{
    unsigned char part[16] = {0};

    if (!src)
        return _mm_setzero_si128();
    if (n < 8) {
        memcpy(part, src, 2 * (size_t)n);
        src = part;
    }
    return _mm_loadu_si128((const __m128i *)(const void *)src);
}

/* Of both lanes: v[i][j] <-> v[j][i] */
INLINE void transpose_halves(__m256i v[8])
{
    __m256i t[8], u[8];

    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_epi16(v[2 * i], v[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_epi16(v[2 * i], v[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        u[4 * i] = _mm256_unpacklo_epi32(t[4 * i], t[4 * i + 2]);
        u[4 * i + 1] = _mm256_unpackhi_epi32(t[4 * i], t[4 * i + 2]);
        u[4 * i + 2] = _mm256_unpacklo_epi32(t[4 * i + 1], t[4 * i + 3]);
        u[4 * i + 3] = _mm256_unpackhi_epi32(t[4 * i + 1], t[4 * i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        v[2 * i] = _mm256_unpacklo_epi64(u[i], u[i + 4]);
        v[2 * i + 1] = _mm256_unpackhi_epi64(u[i], u[i + 4]);
    }
}

/* n (1 to 8) columns of sixteen source rows to as many rows of dst. */
INLINE __m256i copy_block(uint16_t *dst, int32_t padded, const unsigned char *const rows[16],
                          int32_t r, const int32_t n, __m256i largest)
{
    __m256i v[8];

    for (int i = 0; i < 8; i++) {
        const unsigned char *low = rows[i] ? rows[i] + 2 * (size_t)r : NULL;
        const unsigned char *high = rows[i + 8] ? rows[i + 8] + 2 * (size_t)r : NULL;

        v[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(load_halves(low, n)),
                                       load_halves(high, n), 1);
        largest = larger16(largest, v[i]);
    }
    transpose_halves(v);
    for (int i = 0; i < n; i++)
        _mm256_storeu_si256((__m256i *)(void *)(dst + (size_t)(r + i) * (size_t)padded), v[i]);
    return largest;
}

/* Sixteen source rows, all of them there: those of even number are `step` bytes apart, those of odd number too.
 * Eight of their columns, of which `even` and `odd` are the first, to as many rows of dst. */
INLINE __m256i copy_whole_block(uint16_t *dst, size_t padded, const unsigned char *even,
                                const unsigned char *odd, size_t step, __m256i largest)
{
    __m256i v[8];

    for (int i = 0; i < 8; i++) {
        const unsigned char *low = (i & 1 ? odd : even) + (size_t)(i / 2) * step;
        const __m128i *high = (const __m128i *)(const void *)(low + 4 * step);

        v[i] = _mm256_inserti128_si256(
            _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)low)),
            _mm_loadu_si128(high), 1);
        largest = larger16(largest, v[i]);
    }
    transpose_halves(v);
    for (int i = 0; i < 8; i++)
        _mm256_storeu_si256((__m256i *)(void *)(dst + (size_t)i * padded), v[i]);
    return largest;
}

/* Outputs o .. o+15 of as many rows, at the columns that make whole blocks; *r: behind these. */
INLINE __m256i copy_whole_blocks(uint16_t *dst, size_t padded, const unsigned char *src, int32_t o,
                                 int32_t rank, int32_t head_dim, int32_t *r, __m256i largest)
{
    size_t row = 2 * (size_t)rank, step = head_dim ? row : 2 * row;
    const unsigned char *even = src + (size_t)lora_source_row(o, head_dim) * row;
    const unsigned char *odd = even + (head_dim ? (size_t)(head_dim / 2) * row : row);

    for (; *r + 8 <= rank; *r += 8) {
        size_t at = 2 * (size_t)*r;

        largest = copy_whole_block(dst + (size_t)*r * padded, padded, even + at, odd + at, step,
                                   largest);
    }
    return largest;
}

AVX2 static uint32_t copy_transposed_avx2(uint16_t *dst, int32_t padded, const unsigned char *src,
                                          int32_t n_out, int32_t rank, int32_t head_dim)
{
    __m256i largest = _mm256_setzero_si256();
    const size_t row_size = 2 * (size_t)rank;

    for (int32_t o = 0; o < padded; o += 16) {
        const unsigned char *rows[16];
        int32_t r = 0;

        if (o + 16 <= n_out && head_dim % 16 == 0)
            largest = copy_whole_blocks(dst + o, (size_t)padded, src, o, rank, head_dim, &r,
                                        largest);
        if (r == rank)
            continue;
        for (int32_t i = 0; i < 16; i++)
            rows[i] = o + i < n_out ? src + (size_t)lora_source_row(o + i, head_dim) * row_size
                                    : NULL;
        for (; r + 8 <= rank; r += 8)
            largest = copy_block(dst + o, padded, rows, r, 8, largest);
        if (r < rank)
            largest = copy_block(dst + o, padded, rows, r, rank - r, largest);
    }
    return largest_of(largest);
}

#endif

/* ---------------------------------------------------------------- dispatch */

void lora_convert_rows(void *dst, int32_t type, int32_t padded, const void *src, int32_t source,
                       int32_t rows, int32_t cols, float factor)
{
#if INF_LORA_X86
#define TRY_ROWS(name, from, to)                                                                   \
    if (source == (from) && type == (to)) {                                                        \
        rows_##name(dst, padded, src, rows, cols, factor);                                         \
        return;                                                                                    \
    }
    if (cpu_has_avx2())
        FOR_EACH_PAIR(TRY_ROWS)
#endif
    lora_convert_rows_portable(dst, type, padded, src, source, rows, cols, factor);
}

void lora_convert_transposed(void *dst, int32_t type, int32_t padded, const void *src,
                             int32_t source, int32_t n_out, int32_t rank, int32_t head_dim,
                             float factor)
{
#if INF_LORA_X86
#define TRY_TRANSPOSED(name, from, to)                                                             \
    if (source == (from) && type == (to)) {                                                        \
        transposed_##name(dst, padded, src, n_out, rank, head_dim, factor);                        \
        return;                                                                                    \
    }
    if (cpu_has_avx2())
        FOR_EACH_PAIR(TRY_TRANSPOSED)
#endif
    lora_convert_transposed_portable(dst, type, padded, src, source, n_out, rank, head_dim, factor);
}

uint32_t lora_copy_rows(uint16_t *dst, int32_t padded, const void *src, int32_t rows, int32_t cols)
{
#if INF_LORA_X86
    if (cpu_has_avx2())
        return copy_rows_avx2(dst, padded, src, rows, cols);
#endif
    return lora_copy_rows_portable(dst, padded, src, rows, cols);
}

uint32_t lora_copy_transposed(uint16_t *dst, int32_t padded, const void *src, int32_t n_out,
                              int32_t rank, int32_t head_dim)
{
#if INF_LORA_X86
    if (cpu_has_avx2())
        return copy_transposed_avx2(dst, padded, src, n_out, rank, head_dim);
#endif
    return lora_copy_transposed_portable(dst, padded, src, n_out, rank, head_dim);
}
