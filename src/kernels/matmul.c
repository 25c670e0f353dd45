/* matmul: see the header. Which implementation. */
#include "kernels/matmul.h"

#include "core/touch.h"
#include "kernels/blocks.h"
#include "kernels/path.h"

int32_t matmul_block(int32_t type)
{
    return weight_facts[type].block;
}

bool matmul_rounds_bf16(void)
{
    return kernel_path() == KERNELS_AVX512BF16;
}

size_t matmul_prepared_bytes(int32_t type, int32_t n_in)
{
    if (type == WEIGHT_BF16_ROUNDED)
        return (size_t)rounded_numbers(n_in) * sizeof(uint16_t);
    return weight_is_quantised(type) ? (size_t)chunk_count(n_in) * sizeof(struct activations) : 0;
}

void matmul_prepare(int32_t type, int32_t n_in, const float *x, void *out)
{
#if INF_KERNELS_X86
    if (kernel_path() >= KERNELS_AVX2) {
        touch_read(x, (size_t)n_in * sizeof *x);
        touch_write(out, matmul_prepared_bytes(type, n_in));
        if (type != WEIGHT_BF16_ROUNDED)
            matmul_prepare_avx2(type, n_in, x, out);
        else if (matmul_rounds_bf16())
            matmul_round_avx512bf16(n_in, x, out);
        else
            matmul_round_portable(n_in, x, out);
        return;
    }
#endif
    if (type == WEIGHT_BF16_ROUNDED)
        matmul_round_portable(n_in, x, out);
    else
        matmul_prepare_portable(type, n_in, x, out);
}

#if INF_KERNELS_X86
/* Not the weights, which nobody writes while somebody computes. */
static void touch_operands(const struct matmul *m, int32_t first, int32_t n)
{
    size_t prepared = matmul_prepared_bytes(m->type, m->n_in);
    size_t x_bytes = prepared ? prepared : (size_t)m->n_in * sizeof(float);

    for (int32_t r = 0; r < m->n_rows; r++) {
        struct matmul_row row = m->rows ? m->rows[r] : (struct matmul_row){r, r};

        touch_read((const char *)m->x + (size_t)row.x * m->x_stride, x_bytes);
        touch_write(m->y + (size_t)row.y * m->y_stride + first, (size_t)n * sizeof *m->y);
    }
}
#endif

void matmul_columns(const struct matmul *m, int32_t first, int32_t n)
{
#if INF_KERNELS_X86
    int32_t path = kernel_path();

    if (path >= KERNELS_AVX2) {
        touch_operands(m, first, n);
        if (m->type == WEIGHT_BF16_ROUNDED && !matmul_rounds_bf16())
            matmul_columns_portable(m, first, n);
        else if (m->type == WEIGHT_BF16_ROUNDED)
            matmul_columns_avx512bf16(m, first, n);
        else if (path >= KERNELS_AVX512VNNI)
            matmul_columns_avx512vnni(m, first, n);
        else if (path == KERNELS_AVX512)
            matmul_columns_avx512(m, first, n);
        else
            matmul_columns_avx2(m, first, n);
        return;
    }
#endif
    matmul_columns_portable(m, first, n);
}
