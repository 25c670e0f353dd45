/*
 * gguf_mutate: damages a good GGUF file in every way that came to mind, by a seeded generator: bytes
 * of the header, values, types, names, arrays, shapes and tensors, also so that the file stays well
 * formed (counts, offsets and padding made right again) and only its content makes no sense.
 */
#ifndef TEST_GGUF_MUTATE_H
#define TEST_GGUF_MUTATE_H

#include "gguf_edit.h"

struct rng {
    uint64_t state;
};
uint64_t rng_next(struct rng *r);
uint32_t rng_below(struct rng *r, uint32_t n); /* [0, n); 0 for n 0 */

/* A damaged copy of a good file, to be freed with free(). `what` (200 bytes) says what was done. */
struct bytes gguf_mutate(const uint8_t *good, size_t size, struct rng *r, char what[200]);

/* A copy of a good file, taken apart and put together again: must be the file itself. */
struct bytes gguf_rebuild(const uint8_t *good, size_t size);

#endif
