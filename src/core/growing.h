/* growing: arrays that grow by doubling. */
#ifndef INF_CORE_GROWING_H
#define INF_CORE_GROWING_H

#include "core/memory.h"

#include <stdbool.h>

/* Room for one more element of `size` bytes behind the n that *array holds. false: out of memory, and
 * everything is as before. */
static inline bool grow(void **array, size_t n, size_t *cap, size_t size)
{
    size_t wanted = *cap ? *cap * 2 : 64;
    void *grown = NULL;

    if (n < *cap)
        return true;
    grown = mem_realloc(*array, wanted * size);
    if (!grown)
        return false;
    *array = grown;
    *cap = wanted;
    return true;
}

#endif
