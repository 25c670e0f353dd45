/* blocks: see the header. */
#include "kernels/blocks.h"

const struct weight_facts weight_facts[WEIGHT_TYPES] = {
    [WEIGHT_F32] = {1, 4, 0, 0, false},
    [WEIGHT_F16] = {1, 2, 0, 0, false},
    [WEIGHT_BF16] = {1, 2, 0, 0, false},
    [WEIGHT_BF16_ROUNDED] = {1, 2, 0, 0, false},
    [WEIGHT_Q8_0] = {BLOCK, sizeof(struct block_q8_0), Q8_0_LEAST, BLOCK, false},
    [WEIGHT_Q4_0] = {BLOCK, sizeof(struct block_q4_0), 8, BLOCK, false},
    [WEIGHT_Q4_1] = {BLOCK, sizeof(struct block_q4_1), 0, BLOCK, true},
    [WEIGHT_Q5_0] = {BLOCK, sizeof(struct block_q5_0), 16, BLOCK, false},
    [WEIGHT_Q4_K] = {CHUNK, sizeof(struct block_q4_k), 0, BLOCK, true},
    [WEIGHT_Q5_K] = {CHUNK, sizeof(struct block_q5_k), 0, BLOCK, true},
    [WEIGHT_Q6_K] = {CHUNK, sizeof(struct block_q6_k), 32, 16, false},
};
