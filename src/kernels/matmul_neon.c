/*
 * matmul with the first NEON: which way to multiply.
 */
#include "kernels/blocks.h"

#if INF_KERNELS_ARM

#define VECTOR_DOTS 0
#include "kernels/neon_blocks.h"
#include "kernels/tiles.h"

void matmul_columns_neon(const struct matmul *m, int32_t first, int32_t n)
{
    if (weight_is_quantised(m->type))
        strips(m, blocks_of[m->type], BLOCK_ROWS, ROWS_AT_ONCE, first, n);
    else
        strips(m, strip_of[m->type], ROWS_TOGETHER, TILED_ROWS, first, n);
}

#endif
