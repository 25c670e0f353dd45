/*
 * arena: memory for many small things that go together. Not thread-safe: one owner.
 */
#ifndef INF_TEXT_CONSTRAINT_ARENA_H
#define INF_TEXT_CONSTRAINT_ARENA_H

#include <stdbool.h>
#include <stddef.h>

/* Begins with zeros. */
struct arena {
    struct arena_block *last;
    size_t used; /* of the last */
    bool failed; /* something could not be had: for who looks once, behind many */
};

void *arena_alloc(struct arena *a, size_t size); /* zeros; NULL: out of memory */
void arena_free(struct arena *a);

#endif
