/*
 * halves: pairs of matrices of 16-bit numbers that stay what they are: copied into an adapter's memory, or,
 * where the bytes of its file are in memory of its own and lie as the kernels read them, left there, A as it
 * is and B transposed where it lies. Stateless; any thread.
 */
#ifndef INF_LORA_HALVES_H
#define INF_LORA_HALVES_H

#include "lora/weights.h"

/* Both matrices are of one type that the kernels read as it is. */
bool lora_are_halves(const struct lora_plan_module *m);
/* And lie in the plan's storage, rows aligned and without a need of padding. */
bool lora_lie_well(const struct lora_plan *plan, const struct lora_plan_module *m);

/* Copies them. *kept false: they are too large or too small, and to be converted. Errors: those of the plan's
 * read, NOT_FINITE, NO_MEMORY. */
int32_t lora_copy_halves(bool *kept, struct lora_module *out, const struct lora_plan *plan,
                         const struct lora_plan_module *m, void *scratch, inf_error *err);
/* Makes of them, where they lie, what `out` says: its a and bt are the plan's. What is too large or too small is
 * converted. scratch: room for b. NOT_FINITE, NO_MEMORY; they are then of no use any more. */
int32_t lora_place_halves(struct lora_module *out, const struct lora_plan_module *m, void *scratch,
                          inf_error *err);

#endif
