/*
 * quantised: what a type of quantised weights is, in functions in which the type is a constant, and where rows of them
 * lie.
 *
 * A part of one source file for each kind of vectors, which includes it (vectors.h, or neon.h).
 */
#ifndef INF_KERNELS_QUANTISED_H
#define INF_KERNELS_QUANTISED_H

#include "kernels/blocks.h"

#define FOR_QUANTISED(x) x(Q8_0) x(Q4_0) x(Q4_1) x(Q5_0) x(Q4_K) x(Q5_K) x(Q6_K)

INLINE bool has_min(const int32_t type)
{
    return type == WEIGHT_Q4_1 || type == WEIGHT_Q4_K || type == WEIGHT_Q5_K;
}

/* Of a block of weights: a constant where the type is. */
INLINE int32_t weight_bytes(const int32_t type)
{
    switch (type) {
    case WEIGHT_Q8_0:
        return sizeof(struct block_q8_0);
    case WEIGHT_Q4_0:
        return sizeof(struct block_q4_0);
    case WEIGHT_Q4_1:
        return sizeof(struct block_q4_1);
    case WEIGHT_Q5_0:
        return sizeof(struct block_q5_0);
    case WEIGHT_Q4_K:
        return sizeof(struct block_q4_k);
    case WEIGHT_Q5_K:
        return sizeof(struct block_q5_k);
    default:
        return sizeof(struct block_q6_k);
    }
}

INLINE size_t chunk_bytes(const int32_t type)
{
    return (size_t)(type < WEIGHT_Q4_K ? CHUNK_BLOCKS : 1) * (size_t)weight_bytes(type);
}

/* n_p rows of weights from `column` on; behind n of them the last one again. */
INLINE void find_rows(const struct matmul *m, int32_t column, int32_t n, const uint8_t *p[],
                      const int32_t n_p)
{
    for (int32_t i = 0; i < n_p; i++)
        p[i] = (const uint8_t *)m->w + (size_t)(column + (i < n ? i : n - 1)) * m->w_stride;
}

#endif
