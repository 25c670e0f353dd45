/* matmul: see the header. Which implementation. */
#include "kernels/matmul.h"

#include "core/touch.h"
#include "kernels/blocks.h"
#include "kernels/path.h"

/* Of rows that are rounded, and weights times those, there is one that is not portable. */
struct way {
    void (*prepare)(int32_t type, int32_t n_in, const float *x, struct activations *out);
    void (*multiply)(const struct matmul *m, int32_t first, int32_t n);
    void (*round)(int32_t n_in, const float *x, uint16_t *out);
    void (*multiply_rounded)(const struct matmul *m, int32_t first, int32_t n);
};

#define ROUNDED_PORTABLE matmul_round_portable, matmul_columns_portable
#define PORTABLE {matmul_prepare_portable, matmul_columns_portable, ROUNDED_PORTABLE}
static const struct way ways[KERNEL_PATHS] = {
    [KERNELS_NONE] = PORTABLE,
    [KERNELS_PORTABLE] = PORTABLE,
#if INF_KERNELS_X86
    [KERNELS_AVX2] = {matmul_prepare_avx2, matmul_columns_avx2, ROUNDED_PORTABLE},
    [KERNELS_AVX512] = {matmul_prepare_avx2, matmul_columns_avx512, ROUNDED_PORTABLE},
    [KERNELS_AVX512VNNI] = {matmul_prepare_avx2, matmul_columns_avx512vnni, ROUNDED_PORTABLE},
    [KERNELS_AVX512BF16] = {matmul_prepare_avx2, matmul_columns_avx512vnni, matmul_round_avx512bf16,
                            matmul_columns_avx512bf16},
#elif INF_KERNELS_ARM
    [KERNELS_NEON] = {matmul_prepare_neon, matmul_columns_neon, ROUNDED_PORTABLE},
    [KERNELS_NEONDOT] = {matmul_prepare_neon, matmul_columns_neondot, ROUNDED_PORTABLE},
#endif
};

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
    const struct way *way = &ways[kernel_path()];

    touch_read(x, (size_t)n_in * sizeof *x);
    touch_write(out, matmul_prepared_bytes(type, n_in));
    if (type == WEIGHT_BF16_ROUNDED)
        way->round(n_in, x, out);
    else
        way->prepare(type, n_in, x, out);
}

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

void matmul_columns(const struct matmul *m, int32_t first, int32_t n)
{
    const struct way *way = &ways[kernel_path()];

    touch_operands(m, first, n);
    if (m->type == WEIGHT_BF16_ROUNDED)
        way->multiply_rounded(m, first, n);
    else
        way->multiply(m, first, n);
}
