/*
 * kernels: see the header. Two passes for up to four rows at a time: shrink (dot products of
 * x with the rows of A, into scratch), then expand (a sum of the rows of B transposed, added to y).
 * Every weight is converted to f32 once for the rows of a block.
 */
#include "lora/kernels.h"

#include <stdint.h>
#include <string.h>

#define BLOCK_ROWS LORA_SCRATCH_ROWS

/* ------------------------------------------------------------------ portable */

static void apply_row_portable(const struct lora_module *m, float scale, const float *x, float *y,
                               float *h)
{
    for (int32_t j = 0; j < m->rank; j++) {
        size_t row = (size_t)j * (size_t)m->padded_in;
        float sum = 0;

        for (int32_t i = 0; i < m->n_in; i++)
            sum += number_at(m->a, m->type, row + (size_t)i) * x[i];
        h[j] = sum * m->gain * scale;
    }
    for (int32_t o = 0; o < m->n_out; o++) {
        float sum = 0;

        for (int32_t j = 0; j < m->rank; j++)
            sum += number_at(m->bt, m->type, (size_t)j * (size_t)m->padded_out + (size_t)o) * h[j];
        y[o] += sum;
    }
}

void lora_apply_portable(const struct lora_module *m, float scale, const float *x, size_t x_stride,
                         float *y, size_t y_stride, int32_t n_rows, float *scratch)
{
    for (int32_t r = 0; r < n_rows; r++)
        apply_row_portable(m, scale, x + (size_t)r * x_stride, y + (size_t)r * y_stride, scratch);
}

/* ------------------------------------------------------------------ AVX2, FMA, F16C */

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define INLINE AVX2 static inline __attribute__((always_inline))

INLINE __m256 load8(const void *w, int32_t type, size_t i)
{
    return type == NUMBER_F32
               ? _mm256_loadu_ps((const float *)w + i)
               : _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)((const uint16_t *)w + i)));
}

INLINE float sum8(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

/* h[r * rank + j .. j+n_j) = factor * A[j ..] x[r]: n_rows * n_j accumulators in registers. */
INLINE void shrink_block(const struct lora_module *m, int32_t type, float factor, const float *x,
                         size_t x_stride, float *h, int32_t j, const int32_t n_rows,
                         const int32_t n_j)
{
    __m256 acc[8];
    size_t n8 = (size_t)m->n_in & ~(size_t)7;
    size_t row = (size_t)j * (size_t)m->padded_in;

    for (int32_t k = 0; k < n_rows * n_j; k++)
        acc[k] = _mm256_setzero_ps();
    for (size_t i = 0; i < n8; i += 8) {
        for (int32_t k = 0; k < n_j; k++) {
            __m256 w = load8(m->a, type, row + (size_t)k * (size_t)m->padded_in + i);

            for (int32_t r = 0; r < n_rows; r++)
                acc[r * n_j + k] = _mm256_fmadd_ps(w, _mm256_loadu_ps(x + (size_t)r * x_stride + i),
                                                   acc[r * n_j + k]);
        }
    }
    for (int32_t r = 0; r < n_rows; r++) {
        for (int32_t k = 0; k < n_j; k++) {
            float sum = sum8(acc[r * n_j + k]);

            for (size_t i = n8; i < (size_t)m->n_in; i++)
                sum += number_at(m->a, type, row + (size_t)k * (size_t)m->padded_in + i) *
                       x[(size_t)r * x_stride + i];
            h[r * m->rank + j + k] = sum * factor;
        }
    }
}

INLINE void shrink(const struct lora_module *m, int32_t type, float factor, const float *x,
                   size_t x_stride, float *h, const int32_t n_rows)
{
    const int32_t n_j = n_rows == 1 ? 8 : n_rows == 2 ? 4 : 2;
    int32_t j = 0;

    for (; j + n_j <= m->rank; j += n_j)
        shrink_block(m, type, factor, x, x_stride, h, j, n_rows, n_j);
    for (; j < m->rank; j++)
        shrink_block(m, type, factor, x, x_stride, h, j, n_rows, 1);
}

INLINE void expand_block(const struct lora_module *m, int32_t type, const float *h, float *y,
                         size_t y_stride, size_t o, const int32_t n_rows, const int32_t n_o)
{
    __m256 acc[8];

    for (int32_t k = 0; k < n_rows * n_o; k++)
        acc[k] = _mm256_setzero_ps();
    for (int32_t j = 0; j < m->rank; j++) {
        for (int32_t k = 0; k < n_o; k++) {
            __m256 w = load8(m->bt, type, (size_t)j * (size_t)m->padded_out + o + (size_t)k * 8);

            for (int32_t r = 0; r < n_rows; r++)
                acc[r * n_o + k] = _mm256_fmadd_ps(w, _mm256_broadcast_ss(h + r * m->rank + j),
                                                   acc[r * n_o + k]);
        }
    }
    for (int32_t r = 0; r < n_rows; r++) {
        for (int32_t k = 0; k < n_o; k++) {
            float *p = y + (size_t)r * y_stride + o + (size_t)k * 8;

            _mm256_storeu_ps(p, _mm256_add_ps(_mm256_loadu_ps(p), acc[r * n_o + k]));
        }
    }
}

INLINE void expand(const struct lora_module *m, int32_t type, const float *h, float *y,
                   size_t y_stride, const int32_t n_rows)
{
    const int32_t n_o = n_rows == 1 ? 8 : n_rows == 2 ? 4 : 2;
    size_t o = 0;
    size_t n_out = (size_t)m->n_out;

    for (; o + (size_t)n_o * 8 <= n_out; o += (size_t)n_o * 8)
        expand_block(m, type, h, y, y_stride, o, n_rows, n_o);
    for (; o + 8 <= n_out; o += 8)
        expand_block(m, type, h, y, y_stride, o, n_rows, 1);
    for (; o < n_out; o++) {
        for (int32_t r = 0; r < n_rows; r++) {
            float sum = 0;

            for (int32_t j = 0; j < m->rank; j++)
                sum += number_at(m->bt, type, (size_t)j * (size_t)m->padded_out + o) *
                       h[r * m->rank + j];
            y[(size_t)r * y_stride + o] += sum;
        }
    }
}

INLINE void apply_rows(const struct lora_module *m, int32_t type, float scale, const float *x,
                       size_t x_stride, float *y, size_t y_stride, float *h, const int32_t n_rows)
{
    shrink(m, type, m->gain * scale, x, x_stride, h, n_rows);
    expand(m, type, h, y, y_stride, n_rows);
}

INLINE void apply_all(const struct lora_module *m, int32_t type, float scale, const float *x,
                      size_t x_stride, float *y, size_t y_stride, int32_t n_rows, float *h)
{
    int32_t r = 0;

    for (; r + 4 <= n_rows; r += 4)
        apply_rows(m, type, scale, x + (size_t)r * x_stride, x_stride, y + (size_t)r * y_stride,
                   y_stride, h, 4);
    if (r + 2 <= n_rows) {
        apply_rows(m, type, scale, x + (size_t)r * x_stride, x_stride, y + (size_t)r * y_stride,
                   y_stride, h, 2);
        r += 2;
    }
    if (r < n_rows)
        apply_rows(m, type, scale, x + (size_t)r * x_stride, x_stride, y + (size_t)r * y_stride,
                   y_stride, h, 1);
}

AVX2 static void apply_f16_avx2(const struct lora_module *m, float scale, const float *x,
                                size_t x_stride, float *y, size_t y_stride, int32_t n_rows,
                                float *h)
{
    apply_all(m, NUMBER_F16, scale, x, x_stride, y, y_stride, n_rows, h);
}

AVX2 static void apply_f32_avx2(const struct lora_module *m, float scale, const float *x,
                                size_t x_stride, float *y, size_t y_stride, int32_t n_rows,
                                float *h)
{
    apply_all(m, NUMBER_F32, scale, x, x_stride, y, y_stride, n_rows, h);
}

void lora_apply(const struct lora_module *m, float scale, const float *x, size_t x_stride, float *y,
                size_t y_stride, int32_t n_rows, float *scratch)
{
    if (!cpu_has_avx2())
        lora_apply_portable(m, scale, x, x_stride, y, y_stride, n_rows, scratch);
    else if (m->type == NUMBER_F16)
        apply_f16_avx2(m, scale, x, x_stride, y, y_stride, n_rows, scratch);
    else
        apply_f32_avx2(m, scale, x, x_stride, y, y_stride, n_rows, scratch);
}

#else

void lora_apply(const struct lora_module *m, float scale, const float *x, size_t x_stride, float *y,
                size_t y_stride, int32_t n_rows, float *scratch)
{
    lora_apply_portable(m, scale, x, x_stride, y, y_stride, n_rows, scratch);
}

#endif
