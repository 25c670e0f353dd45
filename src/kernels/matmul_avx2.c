/*
 * matmul with AVX2, FMA and F16C: which way to multiply.
 */
#include "kernels/parts_avx2.h"

#include "kernels/blocks.h"

#if INF_KERNELS_X86

void matmul_columns_avx2(const struct matmul *m, int32_t first, int32_t n)
{
    if (!weight_is_quantised(m->type))
        tiles_avx2(m, first, n);
    else if (!lying_avx2(m, first, n))
        panels_avx2(m, first, n);
}

#endif
