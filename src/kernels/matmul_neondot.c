/*
 * matmul with NEON's sums of four products of bytes, for which this file is built (CMakeLists.txt): which way to
 * multiply. Weights that are numbers have no use for those sums.
 */
#include "kernels/blocks.h"

#if INF_KERNELS_ARM

#define VECTOR_DOTS 1
#include "kernels/neon_blocks.h"

void matmul_columns_neondot(const struct matmul *m, int32_t first, int32_t n)
{
    if (weight_is_quantised(m->type))
        strips(m, blocks_of[m->type], BLOCK_ROWS, ROWS_AT_ONCE, first, n);
    else
        matmul_columns_neon(m, first, n);
}

#endif
