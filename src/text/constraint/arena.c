/*
 * arena: see the header.
 */
#include "text/constraint/arena.h"

#include "core/memory.h"

#include <stdint.h>

#define BLOCK ((size_t)16 * 1024)

struct arena_block {
    struct arena_block *before;
    size_t size;
    _Alignas(max_align_t) unsigned char bytes[];
};

static bool add_block(struct arena *a, size_t size)
{
    struct arena_block *block = NULL;

    if (size < BLOCK)
        size = BLOCK;
    block = mem_calloc(1, sizeof *block + size);
    if (!block)
        return false;
    block->before = a->last;
    block->size = size;
    a->last = block;
    a->used = 0;
    return true;
}

void *arena_alloc(struct arena *a, size_t size)
{
    size_t align = _Alignof(max_align_t);
    size_t rounded = (size + align - 1) / align * align;
    void *p = NULL;

    if (rounded < size || (!a->last && !add_block(a, rounded)) ||
        (a->last->size - a->used < rounded && !add_block(a, rounded))) {
        a->failed = true;
        return NULL;
    }
    p = a->last->bytes + a->used;
    a->used += rounded;
    return p;
}

void arena_free(struct arena *a)
{
    while (a->last) {
        struct arena_block *block = a->last;

        a->last = block->before;
        mem_free(block);
    }
    *a = (struct arena){0};
}
