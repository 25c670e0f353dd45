/*
 * blocks: what the implementations of matmul share: how quantised weights lie in a file, and prepared
 * activations in memory.
 */
#ifndef INF_KERNELS_BLOCKS_H
#define INF_KERNELS_BLOCKS_H

#include "kernels/matmul.h"

/* A chunk of 256 numbers is eight blocks of 32. */
enum { BLOCK = 32, CHUNK = 256, CHUNK_BLOCKS = CHUNK / BLOCK, GROUPS = CHUNK / 16 };

/*
 * 256 activations: x is about d times q, for each block. What is added to sums of q for weights that are
 * stored with an offset: sum is the offset times the sum of q, of each block, or of each 16 where
 * weights have a scale for 16. s is d times the sum of q: what a weight's minimum is multiplied by.
 */
struct activations {
    int8_t q[CHUNK];
    float d[CHUNK_BLOCKS];
    float s[CHUNK_BLOCKS];
    int32_t sum[GROUPS];
};

/* Quantised weights of all types as stored: a chunk of each. half floats are bits. */
struct block_q8_0 {
    uint16_t d;
    int8_t q[BLOCK];
};
struct block_q4_0 {
    uint16_t d;
    uint8_t q[BLOCK / 2];
};
struct block_q4_1 {
    uint16_t d, m;
    uint8_t q[BLOCK / 2];
};
struct block_q5_0 {
    uint16_t d;
    uint8_t high[BLOCK / 8]; /* a bit for each number */
    uint8_t q[BLOCK / 2];
};
struct block_q4_k {
    uint16_t d, m;
    uint8_t scales[12];
    uint8_t q[CHUNK / 2];
};
struct block_q5_k {
    uint16_t d, m;
    uint8_t scales[12];
    uint8_t high[CHUNK / 8];
    uint8_t q[CHUNK / 2];
};
struct block_q6_k {
    uint8_t low[CHUNK / 2];
    uint8_t high[CHUNK / 4];
    int8_t scales[CHUNK / 16];
    uint16_t d;
};

/* Q8_0 is stored with a sign; where bytes are multiplied without one, they are so much more. */
enum { Q8_0_LEAST = 128 };

/* What one type of weights is. */
struct weight_facts {
    int32_t block;  /* numbers */
    int32_t bytes;  /* of a block */
    int32_t offset; /* is taken off what is multiplied */
    int32_t group;  /* numbers with a scale of their own */
    bool has_min;
};
extern const struct weight_facts weight_facts[WEIGHT_TYPES];

static inline bool weight_is_quantised(int32_t type)
{
    return type >= WEIGHT_Q8_0;
}

static inline int32_t chunk_count(int32_t n_in)
{
    return (n_in + CHUNK - 1) / CHUNK;
}

/* The blocks of chunk i. */
static inline int32_t blocks_in_chunk(int32_t n_in, int32_t i)
{
    int32_t left = n_in / BLOCK - i * CHUNK_BLOCKS;

    return left < CHUNK_BLOCKS ? left : CHUNK_BLOCKS;
}

/* Beside the q of block b: what was their scale, and what follows from their sums, of 16 each. */
static inline void keep_sums(const struct weight_facts *f, struct activations *out, int32_t b,
                             float d, const int32_t sums[2])
{
    out->d[b] = d;
    out->s[b] = d * (float)(sums[0] + sums[1]);
    if (f->group == 16) {
        out->sum[2 * b] = f->offset * sums[0];
        out->sum[2 * b + 1] = f->offset * sums[1];
    } else {
        out->sum[b] = f->offset * (sums[0] + sums[1]);
    }
}

/* The 6-bit scales and minima of a block of Q4_K or Q5_K: eight of each, one behind the other. */
static inline void unpack_scales(const uint8_t packed[12], uint8_t out[16])
{
    for (int i = 0; i < 4; i++) {
        out[i] = packed[i] & 63;
        out[8 + i] = packed[4 + i] & 63;
        out[4 + i] = (uint8_t)((packed[8 + i] & 15) | (packed[i] >> 6 << 4));
        out[12 + i] = (uint8_t)((packed[8 + i] >> 4) | (packed[4 + i] >> 6 << 4));
    }
}

static inline const void *matmul_x(const struct matmul *m, int32_t row)
{
    return (const char *)m->x + (size_t)(m->rows ? m->rows[row].x : row) * m->x_stride;
}

/* Where the rows of weights lie that come after those before `column`, of columns that end at `end`. */
static inline const char *matmul_next(const struct matmul *m, int32_t column, int32_t end)
{
    return column < end ? (const char *)m->w + (size_t)column * m->w_stride : m->after;
}

static inline float *matmul_y(const struct matmul *m, int32_t row)
{
    return m->y + (size_t)(m->rows ? m->rows[row].y : row) * m->y_stride;
}

/* Numbers of a row of activations of BF16: whole vectors, of which the last ends in zeros. */
static inline int32_t rounded_numbers(int32_t n_in)
{
    return (n_in + 31) / 32 * 32;
}

void matmul_round_portable(int32_t n_in, const float *x, uint16_t *out);
void matmul_prepare_portable(int32_t type, int32_t n_in, const float *x, struct activations *out);
void matmul_columns_portable(const struct matmul *m, int32_t first, int32_t n);

#if defined(__x86_64__) && defined(__GNUC__)
#define INF_KERNELS_X86 1
void matmul_prepare_avx2(int32_t type, int32_t n_in, const float *x, struct activations *out);
void matmul_columns_avx2(const struct matmul *m, int32_t first, int32_t n);
void matmul_columns_avx512(const struct matmul *m, int32_t first, int32_t n);
void matmul_columns_avx512vnni(const struct matmul *m, int32_t first, int32_t n);
void matmul_round_avx512bf16(int32_t n_in, const float *x, uint16_t *out);
void matmul_columns_avx512bf16(const struct matmul *m, int32_t first, int32_t n);
#else
#define INF_KERNELS_X86 0
#endif

#if defined(__aarch64__) && defined(__ARM_NEON) && !defined(__AARCH64EB__)
#define INF_KERNELS_ARM 1
void matmul_prepare_neon(int32_t type, int32_t n_in, const float *x, struct activations *out);
void matmul_columns_neon(const struct matmul *m, int32_t first, int32_t n);
void matmul_columns_neondot(const struct matmul *m, int32_t first, int32_t n);
#else
#define INF_KERNELS_ARM 0
#endif

#endif
