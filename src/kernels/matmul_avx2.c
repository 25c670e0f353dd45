/*
 * matmul with AVX2, FMA and F16C: which way to multiply. All give the same bits.
 */
#include "kernels/blocks.h"

#if INF_KERNELS_X86

#define VECTOR_BYTES 32
#define VECTOR_DOTS 0
#include "kernels/few_rows.h"
#include "kernels/loads.h"
#include "kernels/panels.h"
#include "kernels/tiles.h"

void matmul_columns_avx2(const struct matmul *m, int32_t first, int32_t n)
{
    if (!weight_is_quantised(m->type))
        strips(m, strip_of[m->type], ROWS_TOGETHER, TILED_ROWS, first, n);
    else if (!few_rows(m, first, n))
        panels(m, first, n);
}

#endif
