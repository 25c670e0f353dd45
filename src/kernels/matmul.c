/* matmul: see the header. Which implementation. */
#include "kernels/matmul.h"

#include "kernels/blocks.h"
#include "kernels/path.h"

int32_t matmul_block(int32_t type)
{
    return weight_facts[type].block;
}

size_t matmul_prepared_bytes(int32_t type, int32_t n_in)
{
    return weight_is_quantised(type) ? (size_t)chunk_count(n_in) * sizeof(struct activations) : 0;
}

void matmul_prepare(int32_t type, int32_t n_in, const float *x, void *out)
{
#if INF_KERNELS_X86
    if (kernel_path() == KERNELS_AVX2) {
        matmul_prepare_avx2(type, n_in, x, out);
        return;
    }
#endif
    matmul_prepare_portable(type, n_in, x, out);
}

void matmul_columns(const struct matmul *m, int32_t first, int32_t n)
{
#if INF_KERNELS_X86
    if (kernel_path() == KERNELS_AVX2) {
        matmul_columns_avx2(m, first, n);
        return;
    }
#endif
    matmul_columns_portable(m, first, n);
}
