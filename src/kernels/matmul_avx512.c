/*
 * matmul with AVX-512: which way to multiply. All give the same bits. For few rows weights that are numbers are
 * multiplied in vectors of eight, which put less together.
 */
#include "kernels/blocks.h"

#if INF_KERNELS_X86

#define VECTOR_BYTES 64
#define VECTOR_DOTS 0
#include "kernels/few_rows.h"
#include "kernels/loads.h"
#include "kernels/panels.h"
#include "kernels/tiles.h"

void matmul_columns_avx512(const struct matmul *m, int32_t first, int32_t n)
{
    if (!weight_is_quantised(m->type) && m->n_rows <= 4)
        matmul_columns_avx2(m, first, n);
    else if (!weight_is_quantised(m->type))
        strips(m, strip_of[m->type], ROWS_TOGETHER, TILED_ROWS, first, n);
    else if (!few_rows(m, first, n))
        panels(m, first, n);
}

#endif
