/*
 * kernels: y += gain · scale · B (A x) for rows of activations, on one thread.
 *
 * Each row is computed by the same sequence of operations whatever rows are computed with it, so
 * that a row's result never depends on its neighbours. AVX2 with F16C where the CPU has it, else
 * portable C. Pure functions; any thread.
 */
#ifndef INF_LORA_KERNELS_H
#define INF_LORA_KERNELS_H

#include "lora/weights.h"

/*
 * x: (n_rows, n_in) f32, rows x_stride floats apart; y: (n_rows, n_out) f32, y_stride apart.
 * scale multiplies the module's own gain. scratch: LORA_SCRATCH_ROWS * module->rank floats.
 */
#define LORA_SCRATCH_ROWS 4
void lora_apply(const struct lora_module *module, float scale, const float *x, size_t x_stride,
                float *y, size_t y_stride, int32_t n_rows, float *scratch);

/* The same in portable C, whatever the CPU: the reference of the tests. */
void lora_apply_portable(const struct lora_module *module, float scale, const float *x,
                         size_t x_stride, float *y, size_t y_stride, int32_t n_rows,
                         float *scratch);

#endif
