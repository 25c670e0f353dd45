/* hash: see the header. */
#include "core/hash.h"

#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

uint64_t hash_seed(void)
{
    uint64_t seed = 0;

    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
        seed = (uint64_t)(uintptr_t)&seed * UINT64_C(0x9e3779b97f4a7c15);
    return seed;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    a *= b | 1;
    return a ^ a >> 29;
}

static uint64_t load_word(const char *s)
{
    uint64_t word = 0;

    memcpy(&word, s, sizeof word);
    return word;
}

uint64_t hash_bytes(uint64_t seed, const char *data, size_t n)
{
    uint64_t h = seed ^ n * UINT64_C(0x9e3779b97f4a7c15);
    uint64_t tail = 0;

    for (; n >= 8; n -= 8, data += 8)
        h = mix((h ^ load_word(data)) + UINT64_C(0x2545f4914f6cdd1d), h >> 32 | seed << 32);
    memcpy(&tail, data, n);
    h = mix(h ^ tail, UINT64_C(0xd6e8feb86659fd93));
    h = mix(h ^ seed >> 17, UINT64_C(0xa0761d6478bd642f));
    return h ^ h >> 32;
}
