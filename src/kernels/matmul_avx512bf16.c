/*
 * matmul of BF16 weights by the CPU's own sums of products of BF16. A vector has 32 neighbouring numbers of one row,
 * and a sum 16 lanes of two products each, which are added at the end in one order. Rows of activations are rounded
 * to BF16 once, and padded with zeros to whole vectors.
 */
#include "kernels/blocks.h"

#if INF_KERNELS_X86

#define VECTOR_BYTES 64
#define VECTOR_DOTS 0
#define VECTOR_BF16 1
#include "kernels/vectors.h"

#include "kernels/strips.h"

/* Numbers in a vector; bytes of rows of activations that are in a near cache. */
enum { NUMBERS = 32, ROWS_BYTES = 256 << 10 };

#if !defined(INF_KERNELS_EMULATED)
#define AS_BF16(v) ((__m512bh)(v))
#endif

TARGET void matmul_round_avx512bf16(int32_t n_in, const float *x, uint16_t *out)
{
    for (int32_t i = 0; i < n_in; i += 16) {
        __mmask16 there = (__mmask16)(n_in - i >= 16 ? 0xffff : (1 << (n_in - i)) - 1);

        _mm256_store_si256((__m256i *)(void *)(out + i),
                           (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(there, x + i)));
    }
    if ((n_in + 15) / 16 % 2)
        _mm256_store_si256((__m256i *)(void *)(out + (n_in + 15) / 16 * 16),
                           _mm256_setzero_si256());
}

INLINE __m512i load_numbers(const void *w, int32_t i, __mmask32 there)
{
    return _mm512_maskz_loadu_epi16(there, (const uint16_t *)w + i);
}

INLINE __m512 add_products(__m512 sum, __m512i a, __m512i b)
{
    return _mm512_dpbf16_ps(sum, AS_BF16(a), AS_BF16(b));
}

/* The sums of the lanes of four vectors: of each (0 + 2) + (1 + 3) in every quarter, then of the quarters. */
INLINE __m128 sums_of_four(__m512 a, __m512 b, __m512 c, __m512 d)
{
    __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    __m512 s = _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xee));

    s = _mm512_add_ps(s, _mm512_shuffle_f32x4(s, s, 0x4e));
    return _mm_add_ps(_mm512_castps512_ps128(s), _mm512_extractf32x4_ps(s, 1));
}

INLINE __m512i load_row(const void *x, int32_t i)
{
    return _mm512_load_si512((const uint16_t *)x + i);
}

/* The numbers i .. i+31 of n_w rows of weights times n of activations: those of which there are fewer are held in
 * registers. */
INLINE void multiply_step(const char *const w[], const char *const x[], int32_t i, __mmask32 there,
                          const int n, const int n_w, __m512 y[])
{
    __m512i held[8];

    if (n < n_w) {
        UNROLL for (int c = 0; c < n; c++) held[c] = load_row(x[c], i);
        UNROLL for (int k = 0; k < n_w; k++)
        {
            __m512i v = load_numbers(w[k], i, there);

            UNROLL for (int c = 0; c < n; c++)
            {
                y[c * n_w + k] = add_products(y[c * n_w + k], v, held[c]);
                KEEP(y[c * n_w + k]);
            }
        }
    } else {
        UNROLL for (int k = 0; k < n_w; k++) held[k] = load_numbers(w[k], i, there);
        UNROLL for (int c = 0; c < n; c++)
        {
            __m512i v = load_row(x[c], i);

            UNROLL for (int k = 0; k < n_w; k++)
            {
                y[c * n_w + k] = add_products(y[c * n_w + k], held[k], v);
                KEEP(y[c * n_w + k]);
            }
        }
    }
}

/* What n_w sums give, in fours. */
INLINE void store_sums(const __m512 y[], const int n_w, float *out)
{
    UNROLL for (int k = 0; k < n_w; k += 4)
    {
        const int last = n_w - 1;
        const int n = n_w - k < 4 ? n_w - k : 4;
        __m128 s = sums_of_four(y[k], y[k + 1 < n_w ? k + 1 : last], y[k + 2 < n_w ? k + 2 : last],
                                y[k + 3 < n_w ? k + 3 : last]);

        _mm_mask_storeu_ps(out + k, (__mmask8)((1 << n) - 1), s);
    }
}

INLINE void tile(const struct matmul *m, int32_t row, int32_t column, int32_t end, const int n,
                 const int n_w)
{
    const char *next = row == 0 ? matmul_next(m, column + n_w, end) : NULL; /* else there */
    const char *x[8];
    const char *w[8];
    __m512 y[24];
    int32_t i = 0;

    UNROLL for (int c = 0; c < n; c++) x[c] = matmul_x(m, row + c);
    UNROLL for (int k = 0; k < n_w; k++)
        w[k] = (const char *)m->w + (size_t)(column + k) * m->w_stride;
    UNROLL for (int c = 0; c < n; c++)
    {
        UNROLL for (int k = 0; k < n_w; k++) y[c * n_w + k] = _mm512_setzero_ps();
    }
    ROLLED for (; i + NUMBERS <= m->n_in; i += NUMBERS)
    {
        UNROLL for (int k = 0; next && k < n_w; k++)
            ask_for(next, (size_t)k * m->w_stride + (size_t)i * 2, 2 * NUMBERS);
        multiply_step(w, x, i, 0xffffffff, n, n_w, y);
    }
    if (i < m->n_in)
        multiply_step(w, x, i, (1u << (m->n_in - i)) - 1, n, n_w, y);
    UNROLL for (int c = 0; c < n; c++) store_sums(y + c * n_w, n_w, matmul_y(m, row + c) + column);
}

INLINE void strip(const struct matmul *m, int32_t row, int32_t column, int32_t end, const int n,
                  const int n_w)
{
    for (; column + n_w <= end; column += n_w)
        tile(m, row, column, end, n, n_w);
    for (; column < end; column++)
        tile(m, row, column, end, n, 1);
}

#define STRIP(n, n_w)                                                                              \
    INSTANCE void strip_##n(const struct matmul *m, int32_t row, int32_t column, int32_t end)      \
    {                                                                                              \
        strip(m, row, column, end, n, n_w);                                                        \
    }
STRIP(1, 8)
STRIP(2, 8)
STRIP(3, 8)
STRIP(4, 6)
STRIP(5, 4)
STRIP(6, 4)
STRIP(7, 3)
STRIP(8, 3)

static strip_rows *const strip_of[ROWS_TOGETHER] = {strip_1, strip_2, strip_3, strip_4,
                                                    strip_5, strip_6, strip_7, strip_8};

void matmul_columns_avx512bf16(const struct matmul *m, int32_t first, int32_t n)
{
    int32_t at_once = ROWS_BYTES / (2 * m->n_in) / ROWS_TOGETHER * ROWS_TOGETHER;

    at_once = at_once > ROWS_TOGETHER ? at_once : ROWS_TOGETHER;
    strips(m, strip_of, ROWS_TOGETHER, at_once, first, n);
}

#endif
