/*
 * tiles with AVX2, FMA and F16C: rows of weights that are numbers times rows of activations, in registers.
 */
#include "kernels/parts_avx2.h"

#include "kernels/blocks.h"

#if INF_KERNELS_X86

#include "kernels/avx2.h"

#include <string.h>

INLINE float sum8(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

/* Where the halves of eight numbers lie in a lane that has all of them. */
static const int8_t bf16_places[32]
    __attribute__((aligned(32))) = {-1, -1, 0, 1, -1, -1, 2,  3,  -1, -1, 4,  5,  -1, -1, 6,  7,
                                    -1, -1, 8, 9, -1, -1, 10, 11, -1, -1, 12, 13, -1, -1, 14, 15};

/* Of eight numbers that are in both lanes. One instruction, where widening and shifting are two, and one that
 * takes its table from memory: a tile leaves no register for it. */
INLINE __m256 f32_of_bf16(__m256i twice)
{
    __asm__("vpshufb %1, %0, %0" : "+x"(twice) : "m"(bf16_places));
    return _mm256_castsi256_ps(twice);
}

INLINE __m256 load8(const int32_t type, const void *w, size_t i)
{
    if (type == WEIGHT_F32)
        return _mm256_loadu_ps((const float *)w + i);
    if (type == WEIGHT_F16)
        return _mm256_cvtph_ps(
            _mm_loadu_si128((const __m128i *)(const void *)((const uint16_t *)w + i)));
    return f32_of_bf16(_mm256_broadcastsi128_si256(
        _mm_loadu_si128((const __m128i *)(const void *)((const uint16_t *)w + i))));
}

INLINE size_t number_bytes(const int32_t type)
{
    return type == WEIGHT_F32 ? 4 : 2;
}

/* n < 8 numbers, then zeros. */
INLINE __m256 load_rest(const int32_t type, const void *w, size_t i, size_t n)
{
    uint8_t rest[32] = {0};

    memcpy(rest, (const char *)w + i * number_bytes(type), n * number_bytes(type));
    return load8(type, rest, 0);
}

/* The numbers i .. i+7 of n_w rows of weights and n of activations: sums, weights and a row of activations are
 * as many as there are registers, and one sum in memory would be what all wait for. */
INLINE void multiply_eight(const int32_t type, const char *const w[], const float *const x[],
                           size_t i, const int n, const int n_w, __m256 y[])
{
    const int at_once = n == 1 ? 1 : n_w;

    UNROLL for (int from = 0; from < n_w; from += at_once)
    {
        __m256 v[8];

        UNROLL for (int k = 0; k < at_once; k++) v[k] = load8(type, w[from + k], i);
        UNROLL for (int c = 0; c < n; c++)
        {
            __m256 numbers = _mm256_loadu_ps(x[c] + i);

            UNROLL for (int k = 0; k < at_once; k++)
                y[c * n_w + from + k] = _mm256_fmadd_ps(v[k], numbers, y[c * n_w + from + k]);
        }
    }
}

/* n_w rows of weights times n rows of activations. */
INLINE void tile(const int32_t type, const struct matmul *m, int32_t row, int32_t column,
                 const int n, const int n_w)
{
    const bool asks = row == 0; /* afterwards they are there */
    size_t i = 0;
    size_t n8 = (size_t)m->n_in & ~(size_t)7;
    size_t rest = (size_t)m->n_in - n8;
    const float *x[4];
    const char *w[8];
    __m256 y[12];
    __m256 v[8];

    UNROLL for (int c = 0; c < n; c++) x[c] = matmul_x(m, row + c);
    UNROLL for (int k = 0; k < n_w; k++)
        w[k] = (const char *)m->w + (size_t)(column + k) * m->w_stride;
    UNROLL for (int k = 0; k < n * n_w; k++) y[k] = _mm256_setzero_ps();
    for (; i + 32 <= n8; i += 32) {
        UNROLL for (int k = 0; asks && k < n_w; k++) ask_for(
            w[k] + (size_t)n_w * m->w_stride + i * number_bytes(type), 32 * number_bytes(type));
        ROLLED for (size_t j = i; j < i + 32; j += 8)
        {
            multiply_eight(type, w, x, j, n, n_w, y);
        }
    }
    for (; i < n8; i += 8)
        multiply_eight(type, w, x, i, n, n_w, y);
    if (rest > 0) {
        UNROLL for (int k = 0; k < n_w; k++) v[k] = load_rest(type, w[k], n8, rest);
        UNROLL for (int c = 0; c < n; c++)
        {
            __m256 numbers = load_rest(WEIGHT_F32, x[c], n8, rest);

            UNROLL for (int k = 0; k < n_w; k++)
                y[c * n_w + k] = _mm256_fmadd_ps(v[k], numbers, y[c * n_w + k]);
        }
    }
    UNROLL for (int c = 0; c < n; c++)
    {
        UNROLL for (int k = 0; k < n_w; k++)
            matmul_y(m, row + c)[column + k] = sum8(y[c * n_w + k]);
    }
}

INLINE void strip(const int32_t type, const struct matmul *m, int32_t row, int32_t column,
                  int32_t end, const int n, const int n_w)
{
    for (; column + n_w <= end; column += n_w)
        tile(type, m, row, column, n, n_w);
    for (; column < end; column++)
        tile(type, m, row, column, n, 1);
}

typedef void strip_rows(const struct matmul *m, int32_t row, int32_t column, int32_t end);

#define FOR_NUMBERS(x) x(F32) x(F16) x(BF16)
#define STRIP_N(type, n, n_w)                                                                      \
    INSTANCE void strip_##type##_##n(const struct matmul *m, int32_t row, int32_t column,          \
                                     int32_t end)                                                  \
    {                                                                                              \
        strip(WEIGHT_##type, m, row, column, end, n, n_w);                                         \
    }
#define STRIP(type) STRIP_N(type, 1, 8) STRIP_N(type, 2, 4) STRIP_N(type, 3, 3) STRIP_N(type, 4, 3)
FOR_NUMBERS(STRIP)

#define STRIP_OF(type)                                                                             \
    [WEIGHT_##type] = {strip_##type##_1, strip_##type##_2, strip_##type##_3, strip_##type##_4},
static strip_rows *const strip_of[WEIGHT_TYPES][4] = {FOR_NUMBERS(STRIP_OF)};

/* Rows of weights that all rows of activations pass over while they are in a near cache. */
enum { WEIGHTS_AT_ONCE = 24, NUMBERS_AT_ONCE = 32 };

static void numbers(const struct matmul *m, int32_t from, int32_t n_rows, int32_t first, int32_t n)
{
    for (int32_t c = first; c < first + n; c += WEIGHTS_AT_ONCE) {
        int32_t end = c + WEIGHTS_AT_ONCE < first + n ? c + WEIGHTS_AT_ONCE : first + n;
        int32_t rows = 0;

        for (int32_t r = 0; r < n_rows; r += rows) {
            rows = together(n_rows - r);
            strip_of[m->type][rows - 1](m, from + r, c, end);
        }
    }
}

void tiles_avx2(const struct matmul *m, int32_t first, int32_t n)
{
    for (int32_t row = 0; row < m->n_rows; row += NUMBERS_AT_ONCE)
        numbers(m, row, m->n_rows - row < NUMBERS_AT_ONCE ? m->n_rows - row : NUMBERS_AT_ONCE,
                first, n);
}

#endif
