/* replace: see the header. */
#include "lora/replace.h"

#include "core/cpu_features.h"
#include "lora/dora.h"
#include "lora/vectors.h"

#include <math.h>

void lora_add_bias(const struct lora_module *m, float scale, int32_t first, int32_t n,
                   const struct lora_rows *y)
{
    float factor = m->scale * scale;

    for (int32_t r = 0; r < y->n; r++)
        for (int32_t o = first; o < first + n; o++)
            lora_row(y, r)[o] += factor * m->bias[o];
}

/* ------------------------------------------------------------------ products of rows */

/* y = the product of row `row` of the matrix with each x. */
typedef void multiply(const void *matrix, int32_t type, size_t row, int32_t n_in,
                      const struct lora_rows *x, const struct lora_rows *y, int32_t column);

static void multiply_portable(const void *matrix, int32_t type, size_t row, int32_t n_in,
                              const struct lora_rows *x, const struct lora_rows *y, int32_t column)
{
    for (int32_t r = 0; r < x->n; r++) {
        const float *in = lora_row(x, r);
        float sum = 0;

        for (int32_t i = 0; i < n_in; i++)
            sum += number_at(matrix, type, row * (size_t)n_in + (size_t)i) * in[i];
        lora_row(y, r)[column] = sum;
    }
}

#if INF_LORA_X86

/* n rows of x from `from` on, four sums each. */
INLINE void multiply_block(const void *matrix, int32_t type, size_t at, size_t n_in,
                           const struct lora_rows *x, const struct lora_rows *y, int32_t column,
                           int32_t from, const int32_t n)
{
    __m256 acc[4][2];
    size_t n16 = n_in & ~(size_t)15;

    for (int32_t r = 0; r < n; r++)
        acc[r][0] = acc[r][1] = _mm256_setzero_ps();
    for (size_t i = 0; i < n16; i += 16) {
        __m256 w0 = load8(matrix, type, at + i);
        __m256 w1 = load8(matrix, type, at + i + 8);

        for (int32_t r = 0; r < n; r++) {
            const float *in = lora_row(x, from + r) + i;

            acc[r][0] = _mm256_fmadd_ps(w0, _mm256_loadu_ps(in), acc[r][0]);
            acc[r][1] = _mm256_fmadd_ps(w1, _mm256_loadu_ps(in + 8), acc[r][1]);
        }
    }
    for (int32_t r = 0; r < n; r++) {
        float sum = sum8(_mm256_add_ps(acc[r][0], acc[r][1]));

        for (size_t i = n16; i < n_in; i++)
            sum = fmaf(number_at(matrix, type, at + i), lora_row(x, from + r)[i], sum);
        lora_row(y, from + r)[column] = sum;
    }
}

INLINE void multiply_type(const void *matrix, int32_t type, size_t row, int32_t n_in,
                          const struct lora_rows *x, const struct lora_rows *y, int32_t column)
{
    size_t at = row * (size_t)n_in;
    int32_t r = 0;

    for (; r + 4 <= x->n; r += 4)
        multiply_block(matrix, type, at, (size_t)n_in, x, y, column, r, 4);
    for (; r < x->n; r++)
        multiply_block(matrix, type, at, (size_t)n_in, x, y, column, r, 1);
}

AVX2 static void multiply_avx2(const void *matrix, int32_t type, size_t row, int32_t n_in,
                               const struct lora_rows *x, const struct lora_rows *y, int32_t column)
{
    if (type == NUMBER_BF16)
        multiply_type(matrix, NUMBER_BF16, row, n_in, x, y, column);
    else if (type == NUMBER_F16)
        multiply_type(matrix, NUMBER_F16, row, n_in, x, y, column);
    else
        multiply_type(matrix, NUMBER_F32, row, n_in, x, y, column);
}

#endif

static multiply *choose(void)
{
#if INF_LORA_X86
    if (cpu_has_avx2())
        return multiply_avx2;
#endif
    return multiply_portable;
}

static void multiply_columns(multiply *product, const struct lora_module *m,
                             const struct lora_rows *x, int32_t first, int32_t n,
                             const struct lora_rows *y)
{
    for (int32_t o = first; o < first + n; o++)
        product(m->whole, m->whole_type, (size_t)o, m->n_in, x, y, o);
}

void lora_multiply_whole(const struct lora_module *m, const struct lora_rows *x, int32_t first,
                         int32_t n, const struct lora_rows *y)
{
    multiply_columns(choose(), m, x, first, n, y);
}

void lora_multiply_whole_portable(const struct lora_module *m, const struct lora_rows *x,
                                  int32_t first, int32_t n, const struct lora_rows *y)
{
    multiply_columns(multiply_portable, m, x, first, n, y);
}

void lora_multiply_rows(const struct lora_module *m, const struct lora_rows *x, int32_t first,
                        int32_t n, const struct lora_rows *y)
{
    multiply *product = choose();

    for (int32_t i = 0; i < m->n_rows; i++)
        if (m->rows[i] >= first && m->rows[i] < first + n)
            product(m->whole, m->whole_type, (size_t)i, m->n_in, x, y, m->rows[i]);
}

/* ------------------------------------------------------------------ embeddings */

/* Which of the module's rows is the token's, or -1. */
static int32_t find_row(const struct lora_module *m, int32_t token)
{
    int32_t first = 0, end = m->n_rows;

    if (m->kind == LORA_WHOLE_LOOKUP)
        return token;
    while (first < end) {
        int32_t middle = first + (end - first) / 2;

        if (m->rows[middle] < token)
            first = middle + 1;
        else
            end = middle;
    }
    return first < m->n_rows && m->rows[first] == token ? first : -1;
}

static void add_delta(const struct lora_module *m, float scale, int32_t token, float *y)
{
    for (int32_t r = 0; r < m->rank; r++) {
        size_t at = (size_t)r * (size_t)m->padded_in + (size_t)token;
        float h = m->gain * scale * number_at(m->a, m->type, at);

        for (int32_t o = 0; o < m->n_out; o++)
            y[o] += h * number_at(m->bt, m->type, (size_t)r * (size_t)m->padded_out + (size_t)o);
    }
}

void lora_look_up(const struct lora_module *m, float scale, int32_t token, float *y)
{
    struct lora_rows one = {y, 0, 1};
    int32_t row = 0;

    if (m->kind == LORA_LOOKUP) {
        add_delta(m, scale, token, y);
        if (m->magnitude)
            dora_apply(m, scale, 0, m->n_out, &one);
        return;
    }
    row = find_row(m, token);
    for (int32_t o = 0; row >= 0 && o < m->n_out; o++)
        y[o] = number_at(m->whole, m->whole_type, (size_t)row * (size_t)m->n_out + (size_t)o);
}
