/*
 * kernels: y += gain · scale · B (A x) for rows of activations, in two passes that several threads may
 * share: shrink, h = gain · scale · A x, then expand, y += B h.
 *
 * Each number is computed by the same sequence of operations whatever rows, ranks and columns are
 * computed with it, so that a row's result depends neither on its neighbours nor on who computes what.
 * AVX-512 VL or AVX2 with F16C where the CPU has them, of the same bits, else portable C. Pure functions; any thread.
 */
#ifndef INF_LORA_KERNELS_H
#define INF_LORA_KERNELS_H

#include "lora/weights.h"

/* n rows of floats, `stride` floats apart. */
struct lora_rows {
    float *data;
    size_t stride;
    int32_t n;
};

static inline float *lora_row(const struct lora_rows *rows, int32_t row)
{
    return rows->data + (size_t)row * rows->stride;
}

/* h (x->n, rank), of it the ranks first .. first+n-1, from x (x->n, n_in), which is only read. scale
 * multiplies the module's own gain. */
void lora_shrink(const struct lora_module *module, float scale, const struct lora_rows *x,
                 int32_t first, int32_t n, const struct lora_rows *h);

/* Adds to y (h->n, n_out), to its columns first .. first+n-1. first is a multiple of LORA_COLUMNS, and
 * n too, but where the columns end. */
#define LORA_COLUMNS 16
void lora_expand(const struct lora_module *module, const struct lora_rows *h, int32_t first,
                 int32_t n, const struct lora_rows *y);

/* Asks the CPU for what lora_expand will read for these columns. */
void lora_ask_for(const struct lora_module *module, int32_t first, int32_t n);

#if defined(__x86_64__) && defined(__GNUC__)
/* The same bits with AVX2 alone, for tests: where the CPU has AVX-512 too, more is computed at once. */
void lora_shrink_avx2(const struct lora_module *module, float scale, const struct lora_rows *x,
                      int32_t first, int32_t n, const struct lora_rows *h);
#endif

/* The same in portable C, whatever the CPU: the reference of the tests. */
void lora_shrink_portable(const struct lora_module *module, float scale, const struct lora_rows *x,
                          int32_t first, int32_t n, const struct lora_rows *h);
void lora_expand_portable(const struct lora_module *module, const struct lora_rows *h,
                          int32_t first, int32_t n, const struct lora_rows *y);

#endif
