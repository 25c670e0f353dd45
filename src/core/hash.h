/* hash: of bytes, for tables. Pure, but for the seed. */
#ifndef INF_CORE_HASH_H
#define INF_CORE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_FNV_BEGIN UINT64_C(0xcbf29ce484222325) /* of nothing */

/* FNV-1a, for tables whose keys nobody chooses to make them slow: of what was hashed so far and then of these. */
static inline uint64_t hash_fnv_on(uint64_t hash, const char *data, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ (unsigned char)data[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static inline uint64_t hash_fnv(const char *data, size_t n)
{
    return hash_fnv_on(HASH_FNV_BEGIN, data, n);
}

/* One that nobody outside can foresee: no file can be made to collide. */
uint64_t hash_bytes(uint64_t seed, const char *data, size_t n);
uint64_t hash_seed(void); /* from an address where the system has no random bytes */

#endif
