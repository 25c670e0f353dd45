/* growing: arrays that grow by doubling. Pure functions. */
#ifndef INF_CORE_GROWING_H
#define INF_CORE_GROWING_H

#include "core/memory.h"

/* Room for n elements (size_t) in all in `array`, a pointer that holds `cap` (a size_t). false: out
 * of memory, and everything is as before. */
#define GROW(array, cap, n) grow_array(&(array), &(cap), (n), sizeof *(array))

bool grow_array(void *array, size_t *cap, size_t n, size_t size);

#endif
