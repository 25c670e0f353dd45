/* hash: of bytes, for tables whose keys nobody chooses to make them slow. Pure. */
#ifndef INF_CORE_HASH_H
#define INF_CORE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* FNV-1a. */
static inline uint64_t hash_fnv(const char *data, size_t n)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < n; i++)
        hash = (hash ^ (unsigned char)data[i]) * UINT64_C(0x100000001b3);
    return hash;
}

#endif
