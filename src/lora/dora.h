/*
 * dora: DoRA: the rows of a weight that an adapter changes, W + s·BA, brought to lengths that it was
 * trained to: y = m / |W + s·BA| · (W x + s·B (A x)), row by row.
 *
 * The lengths depend on a request's scale s. They are had for any s from three sums a row, which are
 * made once from the weight:   |W + s·BA|² = |W|² + 2s W·BA + s² |BA|²,
 * BA with the adapter's own scale in it. For an embedding the columns are what is brought to a length:
 * outputs again, and s·BA is (n_out, n_in) as for the others.
 * Each number has one order of operations, whatever is computed with it. Pure functions; any thread.
 */
#ifndef INF_LORA_DORA_H
#define INF_LORA_DORA_H

#include "lora/kernels.h"

/* What making the sums needs. NO_MEMORY. Between begin and end the weight's rows are given, all of them,
 * in their order: of a DELTA module (n_out) rows of n_in numbers, of a LOOKUP one (n_in) of n_out. */
struct dora_sums;
int32_t dora_begin(struct dora_sums **out, struct lora_module *module, inf_error *err);
void dora_rows(struct dora_sums *d, const struct lora_rows *rows);
void dora_end(struct dora_sums *d); /* the module's sums are made; NULL is ignored */

/* y (n, n_out), its columns first .. first+n-1: multiplied by magnitude over length for that scale. */
void dora_apply(const struct lora_module *module, float scale, int32_t first, int32_t n,
                const struct lora_rows *y);

#endif
