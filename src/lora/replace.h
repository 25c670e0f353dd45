/*
 * replace: what an adapter computes instead of the base model, and what it does beside LoRA's sums: rows
 * of activations under one adapter, of which the caller shares the columns out among threads.
 *
 * Each number has one order of operations, whatever is computed with it. AVX2 with FMA and F16C where
 * the CPU has it, else portable C. Pure functions; any thread.
 */
#ifndef INF_LORA_REPLACE_H
#define INF_LORA_REPLACE_H

#include "lora/kernels.h"

/* y += scale · the module's own scale · bias, in the columns first .. first+n-1. */
void lora_add_bias(const struct lora_module *module, float scale, int32_t first, int32_t n,
                   const struct lora_rows *y);

/* WHOLE: y = W x, in the columns first .. first+n-1. */
void lora_multiply_whole(const struct lora_module *module, const struct lora_rows *x, int32_t first,
                         int32_t n, const struct lora_rows *y);
/* ROWS: the same for those of these columns that it has rows for. */
void lora_multiply_rows(const struct lora_module *module, const struct lora_rows *x, int32_t first,
                        int32_t n, const struct lora_rows *y);

/* The three kinds of LOOKUP: y (n_out) as looked up for that token, changed or replaced. */
void lora_look_up(const struct lora_module *module, float scale, int32_t token, float *y);

/* The same in portable C, whatever the CPU: the reference of the tests. */
void lora_multiply_whole_portable(const struct lora_module *module, const struct lora_rows *x,
                                  int32_t first, int32_t n, const struct lora_rows *y);

#endif
