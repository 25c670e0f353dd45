/*
 * parts_avx2: what matmul_avx2 is made of: three ways to multiply, which give the same bits.
 */
#ifndef INF_KERNELS_PARTS_AVX2_H
#define INF_KERNELS_PARTS_AVX2_H

#include "kernels/matmul.h"

/* Quantised weights, unpacked into panels that all rows of activations pass over. */
void panels_avx2(const struct matmul *m, int32_t first, int32_t n);
/* Quantised weights as they lie, for few rows; false: for so many of that type panels are faster. */
bool lying_avx2(const struct matmul *m, int32_t first, int32_t n);
/* Weights that are numbers, in tiles. */
void tiles_avx2(const struct matmul *m, int32_t first, int32_t n);

/* How many of `left` rows are computed together: at most four, and not three times four and one. */
static inline int32_t together(int32_t left)
{
    int32_t passes = (left + 3) / 4;

    return (left + passes - 1) / passes;
}

#endif
