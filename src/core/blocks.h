/*
 * blocks: large pieces of memory whose pages stay at hand. A page that is touched for the first time costs
 * several times what it takes to write it, since the system clears it and puts it in its place; so what is
 * given back is kept, up to BLOCKS_KEPT_BYTES, for whoever wants about as much next.
 * What is in a block is whatever was there before. Threads: any; no lock, so that a forked child may give
 * blocks back.
 */
#ifndef INF_CORE_BLOCKS_H
#define INF_CORE_BLOCKS_H

#include <stddef.h>

/* At most so much is kept that nobody uses. */
#define BLOCKS_KEPT_BYTES ((size_t)64 << 20)

struct block {
    char *data;    /* aligned to 64 bytes at least */
    size_t size;   /* as it was asked for */
    size_t mapped; /* bytes of pages; 0: it is the heap's */
};

/* NULL: out of memory. */
struct block *block_take(size_t size);
void block_give(struct block *b); /* NULL is ignored */
/* Lets go of what is kept. */
void blocks_trim(void);

#endif
