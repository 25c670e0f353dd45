/* growing: see the header. */
#include "core/growing.h"

#include <string.h>

bool grow_array(void *array, size_t *cap, size_t n, size_t size)
{
    size_t wanted = *cap < 8 ? 16 : *cap;
    size_t bytes = 0;
    void *old = NULL;

    if (n <= *cap)
        return true;
    if (!size_mul(wanted, 2, &wanted))
        return false;
    wanted = wanted < n ? n : wanted;
    memcpy(&old, array, sizeof old); /* a pointer of any type */
    old = size_mul(wanted, size, &bytes) ? mem_realloc(old, bytes) : NULL;
    if (!old)
        return false;
    memcpy(array, &old, sizeof old);
    *cap = wanted;
    return true;
}
