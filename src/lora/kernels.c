/*
 * kernels: see the header. Blocks of up to four rows: every weight is converted to f32 once for the rows
 * of a block. A sum has one order, whatever block its row and column are in.
 */
#include "lora/kernels.h"

#include "core/cpu_features.h"
#include "lora/vectors.h"

enum { CACHE_LINE = 64 };

/* ------------------------------------------------------------------ portable */

void lora_shrink_portable(const struct lora_module *m, float scale, const struct lora_rows *x,
                          int32_t first, int32_t n, const struct lora_rows *h)
{
    for (int32_t r = 0; r < x->n; r++) {
        for (int32_t j = first; j < first + n; j++) {
            size_t row = (size_t)j * (size_t)m->padded_in;
            float sum = 0;

            for (int32_t i = 0; i < m->n_in; i++)
                sum += number_at(m->a, m->type, row + (size_t)i) * lora_row(x, r)[i];
            lora_row(h, r)[j] = sum * m->gain * scale;
        }
    }
}

void lora_expand_portable(const struct lora_module *m, const struct lora_rows *h, int32_t first,
                          int32_t n, const struct lora_rows *y)
{
    for (int32_t r = 0; r < h->n; r++) {
        for (int32_t o = first; o < first + n; o++) {
            float sum = 0;

            for (int32_t j = 0; j < m->rank; j++)
                sum += number_at(m->bt, m->type, (size_t)j * (size_t)m->padded_out + (size_t)o) *
                       lora_row(h, r)[j];
            lora_row(y, r)[o] += sum;
        }
    }
}

void lora_ask_for(const struct lora_module *m, int32_t first, int32_t n)
{
    size_t size = number_size(m->type);
    const char *row = (const char *)m->bt + (size_t)first * size;

    for (int32_t j = 0; j < m->rank; j++, row += (size_t)m->padded_out * size)
        for (size_t i = 0; i < (size_t)n * size; i += CACHE_LINE)
            __builtin_prefetch(row + i, 0, 2);
}

/* ------------------------------------------------------------------ AVX2, FMA, F16C */

#if INF_LORA_X86

#define AVX512VL __attribute__((target("avx2,fma,f16c,avx512f,avx512vl")))

/* n_rows rows from `from` on, n_j ranks from j on: n_rows * n_j accumulators in registers. */
INLINE void shrink_block(const struct lora_module *m, int32_t type, float factor,
                         const struct lora_rows *x, const struct lora_rows *h, int32_t from,
                         int32_t j, const int32_t n_rows, const int32_t n_j)
{
    __m256 acc[16];
    const float *in = lora_row(x, from);
    size_t n8 = (size_t)m->n_in & ~(size_t)7;
    size_t row = (size_t)j * (size_t)m->padded_in;

    for (int32_t k = 0; k < n_rows * n_j; k++)
        acc[k] = _mm256_setzero_ps();
    for (size_t i = 0; i < n8; i += 8) {
        for (int32_t k = 0; k < n_j; k++) {
            __m256 w = load8(m->a, type, row + (size_t)k * (size_t)m->padded_in + i);

            for (int32_t r = 0; r < n_rows; r++)
                acc[r * n_j + k] = _mm256_fmadd_ps(
                    w, _mm256_loadu_ps(in + (size_t)r * x->stride + i), acc[r * n_j + k]);
        }
    }
    for (int32_t r = 0; r < n_rows; r++) {
        for (int32_t k = 0; k < n_j; k++) {
            float sum = sum8(acc[r * n_j + k]);

            for (size_t i = n8; i < (size_t)m->n_in; i++)
                sum += number_at(m->a, type, row + (size_t)k * (size_t)m->padded_in + i) *
                       in[(size_t)r * x->stride + i];
            lora_row(h, from + r)[j + k] = sum * factor;
        }
    }
}

/* n_j: as many ranks at once as there are registers for. */
INLINE void shrink_rows(const struct lora_module *m, int32_t type, float factor,
                        const struct lora_rows *x, const struct lora_rows *h, int32_t from,
                        int32_t j, int32_t end, const int32_t n_rows, const int32_t n_j)
{
    for (; j + n_j <= end; j += n_j)
        shrink_block(m, type, factor, x, h, from, j, n_rows, n_j);
    for (; n_j > 4 && j + 4 <= end; j += 4)
        shrink_block(m, type, factor, x, h, from, j, n_rows, 4);
    for (; j < end; j++)
        shrink_block(m, type, factor, x, h, from, j, n_rows, 1);
}

/* wide: there are 32 registers. */
INLINE void shrink(const struct lora_module *m, int32_t type, const bool wide, float scale,
                   const struct lora_rows *x, int32_t first, int32_t n, const struct lora_rows *h)
{
    float factor = m->gain * scale;
    int32_t r = 0;

    for (; r + 4 <= x->n; r += 4)
        shrink_rows(m, type, factor, x, h, r, first, first + n, 4, wide ? 4 : 2);
    if (r + 2 <= x->n) {
        shrink_rows(m, type, factor, x, h, r, first, first + n, 2, 4);
        r += 2;
    }
    if (r < x->n)
        shrink_rows(m, type, factor, x, h, r, first, first + n, 1, 8);
}

INLINE void expand_block(const struct lora_module *m, int32_t type, const struct lora_rows *h,
                         const struct lora_rows *y, int32_t from, size_t o, const int32_t n_rows,
                         const int32_t n_o)
{
    __m256 acc[8];
    const float *in = lora_row(h, from);

    for (int32_t k = 0; k < n_rows * n_o; k++)
        acc[k] = _mm256_setzero_ps();
    for (int32_t j = 0; j < m->rank; j++) {
        for (int32_t k = 0; k < n_o; k++) {
            __m256 w = load8(m->bt, type, (size_t)j * (size_t)m->padded_out + o + (size_t)k * 8);

            for (int32_t r = 0; r < n_rows; r++)
                acc[r * n_o + k] = _mm256_fmadd_ps(
                    w, _mm256_broadcast_ss(in + (size_t)r * h->stride + j), acc[r * n_o + k]);
        }
    }
    for (int32_t r = 0; r < n_rows; r++) {
        for (int32_t k = 0; k < n_o; k++) {
            float *p = lora_row(y, from + r) + o + (size_t)k * 8;

            _mm256_storeu_ps(p, _mm256_add_ps(_mm256_loadu_ps(p), acc[r * n_o + k]));
        }
    }
}

INLINE void expand_rows(const struct lora_module *m, int32_t type, const struct lora_rows *h,
                        const struct lora_rows *y, int32_t from, size_t o, size_t end,
                        const int32_t n_rows, const int32_t n_o)
{
    for (; o + (size_t)n_o * 8 <= end; o += (size_t)n_o * 8)
        expand_block(m, type, h, y, from, o, n_rows, n_o);
    for (; o + 8 <= end; o += 8)
        expand_block(m, type, h, y, from, o, n_rows, 1);
    for (; o < end; o++) {
        for (int32_t r = from; r < from + n_rows; r++) {
            float sum = 0;

            for (int32_t j = 0; j < m->rank; j++)
                sum += number_at(m->bt, type, (size_t)j * (size_t)m->padded_out + o) *
                       lora_row(h, r)[j];
            lora_row(y, r)[o] += sum;
        }
    }
}

INLINE void expand(const struct lora_module *m, int32_t type, const struct lora_rows *h,
                   int32_t first, int32_t n, const struct lora_rows *y)
{
    size_t o = (size_t)first;
    size_t end = o + (size_t)n;
    int32_t r = 0;

    for (; r + 4 <= h->n; r += 4)
        expand_rows(m, type, h, y, r, o, end, 4, 2);
    if (r + 2 <= h->n) {
        expand_rows(m, type, h, y, r, o, end, 2, 4);
        r += 2;
    }
    if (r < h->n)
        expand_rows(m, type, h, y, r, o, end, 1, 8);
}

/* A copy for each type, in which it is a constant; of the shrink for each number of registers too (the expansion gains
 * nothing by more). */
INLINE void shrink_of(const bool wide, const struct lora_module *m, float scale,
                      const struct lora_rows *x, int32_t first, int32_t n,
                      const struct lora_rows *h)
{
    if (m->type == NUMBER_F16)
        shrink(m, NUMBER_F16, wide, scale, x, first, n, h);
    else if (m->type == NUMBER_BF16)
        shrink(m, NUMBER_BF16, wide, scale, x, first, n, h);
    else
        shrink(m, NUMBER_F32, wide, scale, x, first, n, h);
}

AVX2 void lora_shrink_avx2(const struct lora_module *m, float scale, const struct lora_rows *x,
                           int32_t first, int32_t n, const struct lora_rows *h)
{
    shrink_of(false, m, scale, x, first, n, h);
}

AVX512VL static void shrink_avx512vl(const struct lora_module *m, float scale,
                                     const struct lora_rows *x, int32_t first, int32_t n,
                                     const struct lora_rows *h)
{
    shrink_of(true, m, scale, x, first, n, h);
}

AVX2 static void expand_avx2(const struct lora_module *m, const struct lora_rows *h, int32_t first,
                             int32_t n, const struct lora_rows *y)
{
    if (m->type == NUMBER_F16)
        expand(m, NUMBER_F16, h, first, n, y);
    else if (m->type == NUMBER_BF16)
        expand(m, NUMBER_BF16, h, first, n, y);
    else
        expand(m, NUMBER_F32, h, first, n, y);
}

#endif

/* ------------------------------------------------------------------ dispatch */

void lora_shrink(const struct lora_module *m, float scale, const struct lora_rows *x, int32_t first,
                 int32_t n, const struct lora_rows *h)
{
#if INF_LORA_X86
    if (cpu_has_avx512vl()) {
        shrink_avx512vl(m, scale, x, first, n, h);
        return;
    }
    if (cpu_has_avx2()) {
        lora_shrink_avx2(m, scale, x, first, n, h);
        return;
    }
#endif
    lora_shrink_portable(m, scale, x, first, n, h);
}

void lora_expand(const struct lora_module *m, const struct lora_rows *h, int32_t first, int32_t n,
                 const struct lora_rows *y)
{
#if INF_LORA_X86
    if (cpu_has_avx2()) {
        expand_avx2(m, h, first, n, y);
        return;
    }
#endif
    lora_expand_portable(m, h, first, n, y);
}
