/*
 * convert: the bytes of an adapter's matrices into the form the kernels read.
 *
 * AVX2 with F16C where the CPU has it, else portable C; both give the same bits.
 * Sources are of any enum number_type, aligned to nothing; what comes out is NUMBER_F32 or
 * NUMBER_F16. Pure functions; any thread.
 */
#ifndef INF_LORA_CONVERT_H
#define INF_LORA_CONVERT_H

#include "lora/plan.h"

/*
 * dst (rows, padded) of `type` = factor * src (rows, cols); the padding is written too. factor is a
 * power of two; padded is cols rounded up to a multiple of 16.
 */
void lora_convert_rows(void *dst, int32_t type, int32_t padded, const void *src, int32_t source,
                       int32_t rows, int32_t cols, float factor);

/* dst (rank, padded) of `type` = factor * the transpose of src (n_out, rank), its rows first put in
 * the order of lora_source_row. */
void lora_convert_transposed(void *dst, int32_t type, int32_t padded, const void *src,
                             int32_t source, int32_t n_out, int32_t rank, int32_t head_dim,
                             float factor);

/*
 * The two without a factor, of 16-bit numbers that stay what they are. The bits of the largest magnitude
 * among them.
 */
uint32_t lora_copy_rows(uint16_t *dst, int32_t padded, const void *src, int32_t rows, int32_t cols);
uint32_t lora_copy_transposed(uint16_t *dst, int32_t padded, const void *src, int32_t n_out,
                              int32_t rank, int32_t head_dim);

/* The same in portable C, whatever the CPU: the reference of the tests. */
void lora_convert_rows_portable(void *dst, int32_t type, int32_t padded, const void *src,
                                int32_t source, int32_t rows, int32_t cols, float factor);
void lora_convert_transposed_portable(void *dst, int32_t type, int32_t padded, const void *src,
                                      int32_t source, int32_t n_out, int32_t rank, int32_t head_dim,
                                      float factor);
uint32_t lora_copy_rows_portable(uint16_t *dst, int32_t padded, const void *src, int32_t rows,
                                 int32_t cols);
uint32_t lora_copy_transposed_portable(uint16_t *dst, int32_t padded, const void *src,
                                       int32_t n_out, int32_t rank, int32_t head_dim);

#endif
