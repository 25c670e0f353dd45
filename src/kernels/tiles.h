/*
 * tiles: rows of weights that are numbers times rows of activations, in registers. A vector of 16 is eight numbers
 * of one row of weights and eight of the next, so that each row has its eight sums.
 *
 * A part of one source file for each width of vectors, which includes it (vectors.h).
 */
#ifndef INF_KERNELS_TILES_H
#define INF_KERNELS_TILES_H

#include "kernels/blocks.h"
#include "kernels/vectors.h"

#include <string.h>

INLINE size_t number_bytes(const int32_t type)
{
    return type == WEIGHT_F32 ? 4 : 2;
}

INLINE __m128i eight_halves(const void *w, size_t i)
{
    return _mm_loadu_si128((const __m128i *)(const void *)((const uint16_t *)w + i));
}

/* Where the halves of eight numbers lie in a lane that has all of them. */
#define BF16_LOW -1, -1, 0, 1, -1, -1, 2, 3, -1, -1, 4, 5, -1, -1, 6, 7
#define BF16_HIGH -1, -1, 8, 9, -1, -1, 10, 11, -1, -1, 12, 13, -1, -1, 14, 15
static const int8_t bf16_places[VECTOR_BYTES]
    __attribute__((aligned(VECTOR_BYTES))) = {BF16_LOW, BF16_HIGH,
#if VECTOR_BYTES == 64
                                              BF16_LOW, BF16_HIGH
#endif
};

#if VECTOR_BYTES == 32

/* Of eight numbers that are in both lanes. One instruction, where widening and shifting are two, and one that
 * takes its table from memory: a tile leaves no register for it. */
INLINE __m256 f32_of_bf16(__m256i twice)
{
    __asm__("vpshufb %1, %0, %0" : "+x"(twice) : "m"(bf16_places));
    return _mm256_castsi256_ps(twice);
}

/* Numbers i .. i+7 of each row of weights in a vector. */
INLINE floats load_weights(const int32_t type, const char *const w[EIGHTS], size_t i)
{
    if (type == WEIGHT_F32)
        return _mm256_loadu_ps((const float *)(const void *)w[0] + i);
    if (type == WEIGHT_F16)
        return _mm256_cvtph_ps(eight_halves(w[0], i));
    return f32_of_bf16(_mm256_broadcastsi128_si256(eight_halves(w[0], i)));
}

INLINE floats load_row(const float *x)
{
    return _mm256_loadu_ps(x);
}

/* What each row of weights in a vector gives. */
INLINE void sums_of(floats v, float out[EIGHTS])
{
    out[0] = sum8(v);
}

#else

/* Both rows' numbers are in two lanes each. */
INLINE __m512 f32_of_bf16(__m128i first, __m128i second)
{
    __m512i v = _mm512_mask_broadcast_i32x4(_mm512_broadcast_i32x4(first), 0xff00, second);

    return _mm512_castsi512_ps(
        _mm512_shuffle_epi8(v, _mm512_load_si512((const void *)bf16_places)));
}

INLINE floats load_weights(const int32_t type, const char *const w[EIGHTS], size_t i)
{
    if (type == WEIGHT_F32)
        return _mm512_insertf32x8(
            _mm512_castps256_ps512(_mm256_loadu_ps((const float *)(const void *)w[0] + i)),
            _mm256_loadu_ps((const float *)(const void *)w[1] + i), 1);
    if (type == WEIGHT_F16)
        return _mm512_cvtph_ps(_mm256_inserti128_si256(
            _mm256_castsi128_si256(eight_halves(w[0], i)), eight_halves(w[1], i), 1));
    return f32_of_bf16(eight_halves(w[0], i), eight_halves(w[1], i));
}

INLINE floats load_row(const float *x)
{
    return _mm512_broadcast_f32x8(_mm256_loadu_ps(x));
}

/* As sum8, of both at once. */
INLINE void sums_of(floats v, float out[EIGHTS])
{
    v = _mm512_add_ps(v, _mm512_shuffle_f32x4(v, v, 0xb1));
    v = _mm512_add_ps(v, _mm512_shuffle_ps(v, v, 0x4e));
    v = _mm512_add_ps(v, _mm512_shuffle_ps(v, v, 0xb1));
    out[0] = _mm512_cvtss_f32(v);
    out[1] = _mm_cvtss_f32(_mm512_extractf32x4_ps(v, 2));
}

#endif

/* The last n < 8 numbers of what load_weights loads, then zeros. */
INLINE floats load_rest(const int32_t type, const char *const w[EIGHTS], size_t i, size_t n)
{
    char rest[EIGHTS][32] = {{0}};
    const char *rows[EIGHTS];

    UNROLL for (int k = 0; k < EIGHTS; k++)
    {
        memcpy(rest[k], w[k] + i * number_bytes(type), n * number_bytes(type));
        rows[k] = rest[k];
    }
    return load_weights(type, rows, 0);
}

INLINE floats load_rest_of_row(const float *x, size_t n)
{
    float rest[8] = {0};

    memcpy(rest, x, n * sizeof *x);
    return load_row(rest);
}

/* The numbers i .. i+7 of n_w vectors' rows of weights and n of activations: sums, weights and a row of activations
 * are as many as there are registers, and one sum in memory would be what all wait for. */
INLINE void multiply_eight(const int32_t type, const char *const w[], const float *const x[],
                           size_t i, const int n, const int n_w, floats y[])
{
    const int at_once = n == 1 ? 1 : n_w;

    UNROLL for (int from = 0; from < n_w; from += at_once)
    {
        floats v[8];

        UNROLL for (int k = 0; k < at_once; k++)
            v[k] = load_weights(type, w + (from + k) * EIGHTS, i);
        UNROLL for (int c = 0; c < n; c++)
        {
            floats numbers = load_row(x[c] + i);

            UNROLL for (int k = 0; k < at_once; k++)
                y[c * n_w + from + k] = add_product(v[k], numbers, y[c * n_w + from + k]);
        }
    }
}

INLINE void multiply_rest(const int32_t type, const char *const w[], const float *const x[],
                          size_t i, size_t rest, const int n, const int n_w, floats y[])
{
    floats v[8];

    UNROLL for (int k = 0; k < n_w; k++) v[k] = load_rest(type, w + k * EIGHTS, i, rest);
    UNROLL for (int c = 0; c < n; c++)
    {
        floats numbers = load_rest_of_row(x[c] + i, rest);

        UNROLL for (int k = 0; k < n_w; k++)
            y[c * n_w + k] = add_product(v[k], numbers, y[c * n_w + k]);
    }
}

/* n_w vectors' rows of weights, those before `end`, times n rows of activations. */
INLINE void tile(const int32_t type, const struct matmul *m, int32_t row, int32_t column,
                 int32_t end, const int n, const int n_w)
{
    const int n_rows = n_w * EIGHTS;
    const char *next = row == 0 ? matmul_next(m, column + n_rows, end) : NULL; /* else there */
    size_t i = 0;
    size_t n8 = (size_t)m->n_in & ~(size_t)7;
    const float *x[ROWS_TOGETHER];
    const char *w[8 * EIGHTS];
    floats y[24];

    UNROLL for (int c = 0; c < n; c++) x[c] = matmul_x(m, row + c);
    UNROLL for (int k = 0; k < n_rows; k++)
    {
        int32_t at = EIGHTS == 1 || column + k < end ? column + k : end - 1;

        w[k] = (const char *)m->w + (size_t)at * m->w_stride;
    }
    UNROLL for (int k = 0; k < n; k++)
    {
        UNROLL for (int j = 0; j < n_w; j++) y[k * n_w + j] = floats_zero();
    }
    for (; i + 32 <= n8; i += 32) {
        UNROLL for (int k = 0; next && k < n_rows; k++) ask_for(
            next, (size_t)k * m->w_stride + i * number_bytes(type), 32 * number_bytes(type));
        ROLLED for (size_t j = i; j < i + 32; j += 8)
        {
            multiply_eight(type, w, x, j, n, n_w, y);
        }
    }
    for (; i < n8; i += 8)
        multiply_eight(type, w, x, i, n, n_w, y);
    if (n8 < (size_t)m->n_in)
        multiply_rest(type, w, x, n8, (size_t)m->n_in - n8, n, n_w, y);
    UNROLL for (int c = 0; c < n; c++)
    {
        float *out = matmul_y(m, row + c) + column;

        UNROLL for (int k = 0; k < n_rows; k += EIGHTS)
        {
            float sums[EIGHTS];

            sums_of(y[c * n_w + k / EIGHTS], sums);
            UNROLL for (int j = 0; j < EIGHTS; j++)
            {
                if (EIGHTS == 1 || column + k + j < end)
                    out[k + j] = sums[j];
            }
        }
    }
}

INLINE void strip(const int32_t type, const struct matmul *m, int32_t row, int32_t column,
                  int32_t end, const int n, const int n_w)
{
    for (; column + n_w * EIGHTS <= end; column += n_w * EIGHTS)
        tile(type, m, row, column, end, n, n_w);
    for (; column < end; column += EIGHTS)
        tile(type, m, row, column, end, n, 1);
}

typedef void strip_rows(const struct matmul *m, int32_t row, int32_t column, int32_t end);

#define FOR_NUMBERS(x) x(F32) x(F16) x(BF16)
#define STRIP_N(type, n, n_w)                                                                      \
    INSTANCE void strip_##type##_##n(const struct matmul *m, int32_t row, int32_t column,          \
                                     int32_t end)                                                  \
    {                                                                                              \
        strip(WEIGHT_##type, m, row, column, end, n, n_w);                                         \
    }
#if VECTOR_BYTES == 32
#define STRIP(type) STRIP_N(type, 1, 8) STRIP_N(type, 2, 4) STRIP_N(type, 3, 3) STRIP_N(type, 4, 3)
#define STRIP_OF(type)                                                                             \
    AT(WEIGHT_##type){strip_##type##_1, strip_##type##_2, strip_##type##_3, strip_##type##_4},
#else
#define STRIP(type)                                                                                \
    STRIP_N(type, 1, 4)                                                                            \
    STRIP_N(type, 2, 4)                                                                            \
    STRIP_N(type, 3, 4)                                                                            \
    STRIP_N(type, 4, 4)                                                                            \
    STRIP_N(type, 5, 4) STRIP_N(type, 6, 4) STRIP_N(type, 7, 3) STRIP_N(type, 8, 3)
#define STRIP_OF(type)                                                                             \
    AT(WEIGHT_##type){strip_##type##_1, strip_##type##_2, strip_##type##_3, strip_##type##_4,      \
                      strip_##type##_5, strip_##type##_6, strip_##type##_7, strip_##type##_8},
#endif
FOR_NUMBERS(STRIP)

static strip_rows *const strip_of[WEIGHT_TYPES][ROWS_TOGETHER] = {FOR_NUMBERS(STRIP_OF)};

/* Rows of weights that all rows of activations pass over while they are in a near cache. */
enum { WEIGHTS_AT_ONCE = 24, NUMBERS_AT_ONCE = 32 };

static void numbers(const struct matmul *m, int32_t from, int32_t n_rows, int32_t first, int32_t n)
{
    struct matmul part = *m;

    for (int32_t c = first; c < first + n; c += WEIGHTS_AT_ONCE) {
        int32_t end = c + WEIGHTS_AT_ONCE < first + n ? c + WEIGHTS_AT_ONCE : first + n;
        int32_t rows = 0;

        part.after = matmul_next(m, end, first + n);
        for (int32_t r = 0; r < n_rows; r += rows) {
            rows = together(n_rows - r);
            strip_of[m->type][rows - 1](&part, from + r, c, end);
        }
    }
}

static void tiles(const struct matmul *m, int32_t first, int32_t n)
{
    for (int32_t row = 0; row < m->n_rows; row += NUMBERS_AT_ONCE)
        numbers(m, row, m->n_rows - row < NUMBERS_AT_ONCE ? m->n_rows - row : NUMBERS_AT_ONCE,
                first, n);
}

#endif
