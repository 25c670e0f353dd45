/*
 * matmul with AVX-512 and its sums of products of bytes: which way to multiply. All give the same bits. Weights that are
 * numbers have no use for those sums.
 */
#include "kernels/blocks.h"

#if INF_KERNELS_X86

#define VECTOR_BYTES 64
#define VECTOR_DOTS 1
#include "kernels/few_rows.h"
#include "kernels/panels.h"

void matmul_columns_avx512vnni(const struct matmul *m, int32_t first, int32_t n)
{
    if (!weight_is_quantised(m->type))
        matmul_columns_avx512(m, first, n);
    else if (!few_rows(m, first, n))
        panels(m, first, n);
}

#endif
