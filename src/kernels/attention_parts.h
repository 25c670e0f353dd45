/* attention_parts: what the implementations of attention share. */
#ifndef INF_KERNELS_ATTENTION_PARTS_H
#define INF_KERNELS_ATTENTION_PARTS_H

#include "kernels/attention.h"

#include "kernels/blocks.h"

enum { TILE = 32, HALF_MINUS_INFINITY = 0xfc00 };

/* exp(x) for x <= 0: 2^n times a polynomial in what is left. Below EXP_LEAST it is 0. */
#define EXP_LEAST (-87.0f)
#define EXP_LOG2E 1.44269504f
#define EXP_LN2_HIGH 0.693359375f
#define EXP_LN2_LOW (-2.12194440e-4f)
static const float exp_terms[] = {1.0f / 5040, 1.0f / 720, 1.0f / 120, 1.0f / 24,
                                  1.0f / 6,    0.5f,       1.0f,       1.0f};
enum { EXP_TERMS = sizeof exp_terms / sizeof *exp_terms };

float attention_exp(float x); /* one number, in portable C */

void attention_add_portable(const struct attention_cells *cells, int32_t first, int32_t end,
                            const struct attention_scores *scores,
                            const struct attention_query *queries, int32_t n);
#if INF_KERNELS_X86
void attention_add_avx2(const struct attention_cells *cells, int32_t first, int32_t end,
                        const struct attention_scores *scores,
                        const struct attention_query *queries, int32_t n);
#elif INF_KERNELS_ARM
void attention_add_neon(const struct attention_cells *cells, int32_t first, int32_t end,
                        const struct attention_scores *scores,
                        const struct attention_query *queries, int32_t n);
#endif

#endif
