/*
 * matrix: what is done with one matrix of a plan on its way into an adapter's memory: read, looked at for
 * NaN and infinity, put in order. Stateless; any thread.
 */
#ifndef INF_LORA_MATRIX_H
#define INF_LORA_MATRIX_H

#include "lora/weights.h"

/* Where its bytes are: in memory, or read into `scratch`. */
int32_t lora_matrix_read(const void **data, const struct lora_plan *plan,
                         const struct lora_matrix *m, void *scratch, inf_error *err);
/* Reads it; *largest: the largest magnitude in it. NOT_FINITE. */
int32_t lora_matrix_scan(const void **data, float *largest, const struct lora_plan *plan,
                         const struct lora_matrix *m, void *scratch, inf_error *err);
int32_t lora_not_finite(const struct lora_matrix *m, inf_error *err);

/* The power of two that brings the largest magnitude to [2^13, 2^14); 0 where f32 keeps all. */
int32_t lora_find_shift(float largest, int32_t type);
/* The scale, times the powers of two undone. NOT_FINITE, which names `name`. */
int32_t lora_set_gain(struct lora_module *m, int32_t shift, const char *name, inf_error *err);

/* Puts the first n numbers of each row in that order; NULL: they stay. NO_MEMORY. */
int32_t lora_reorder(const void *rows, int32_t type, int32_t rank, int32_t padded,
                     const int32_t *order, int32_t n, inf_error *err);

#endif
