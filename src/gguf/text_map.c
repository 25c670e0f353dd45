/*
 * text_map: see text_map.h. Open addressing with linear probing at a load of at most one half; a
 * slot keeps the hash, so that a probe reads the text itself only when it is most likely the one.
 */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE /* getentropy */
#endif
#include "gguf/text_map.h"

#include <string.h>
#include <sys/random.h>

#include "core/memory.h"

#define BLOCK 64u

/* A seed that a file cannot foresee; the address alone where the system has no random bytes. */
static uint64_t seed_new(const void *address)
{
    uint64_t seed = 0;

    if (getentropy(&seed, sizeof seed) != 0)
        seed = (uint64_t)(uintptr_t)address * UINT64_C(0x9e3779b97f4a7c15);
    return seed;
}

/* The high half folded into the low one after a multiplication: every input bit reaches every
 * output bit of the fold. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t read_tail(const char *p, size_t n)
{
    uint64_t v = 0;

    memcpy(&v, p, n);
    return v;
}

static uint32_t hash_text(uint64_t seed, inf_text text)
{
    uint64_t h = seed ^ (uint64_t)text.len;
    const char *p = text.data;
    size_t left = text.len;

    for (; left >= 8; left -= 8, p += 8)
        h = mix(h ^ read_tail(p, 8), UINT64_C(0xa0761d6478bd642f) ^ seed);
    if (left > 0)
        h = mix(h ^ read_tail(p, left), UINT64_C(0xe7037ed1a0b428db) ^ seed);
    h = mix(h, UINT64_C(0x8ebc6af09c88c6e3));
    return (uint32_t)(h ^ (h >> 32));
}

bool text_map_init(struct text_map *m, size_t count, text_map_text_fn text_of, const void *owner)
{
    size_t n = 16;

    memset(m, 0, sizeof *m);
    while (n < count * 2)
        n *= 2;
    m->slots = mem_alloc(n * sizeof *m->slots);
    if (!m->slots)
        return false;
    memset(m->slots, 0xff, n * sizeof *m->slots); /* every index TEXT_MAP_NONE */
    m->mask = n - 1;
    m->seed = seed_new(m->slots);
    m->text_of = text_of;
    m->owner = owner;
    return true;
}

void text_map_free(struct text_map *m)
{
    mem_free(m->slots);
    memset(m, 0, sizeof *m);
}

/* The slot that has the text, or the free one where it belongs. */
static struct text_map_slot *find_slot(const struct text_map *m, inf_text text, uint32_t hash)
{
    size_t at = hash & m->mask;

    for (;; at = (at + 1) & m->mask) {
        struct text_map_slot *slot = &m->slots[at];
        inf_text other = {0};

        if (slot->index == TEXT_MAP_NONE)
            return slot;
        if (slot->hash != hash)
            continue;
        other = m->text_of(m->owner, slot->index);
        if (other.len == text.len &&
            (text.len == 0 || memcmp(other.data, text.data, text.len) == 0))
            return slot;
    }
}

uint32_t text_map_find(const struct text_map *m, inf_text text)
{
    if (!m->slots)
        return TEXT_MAP_NONE;
    return find_slot(m, text, hash_text(m->seed, text))->index;
}

static uint32_t add_hashed(struct text_map *m, inf_text text, uint32_t hash, uint32_t index)
{
    struct text_map_slot *slot = find_slot(m, text, hash);

    if (slot->index != TEXT_MAP_NONE)
        return slot->index;
    slot->hash = hash;
    slot->index = index;
    return TEXT_MAP_NONE;
}

uint32_t text_map_add(struct text_map *m, inf_text text, uint32_t index)
{
    return add_hashed(m, text, hash_text(m->seed, text), index);
}

/* The table is larger than the caches: all slots of a block are asked for before any is read. */
uint32_t text_map_add_all(struct text_map *m, const inf_text *texts, uint32_t n, uint32_t *other)
{
    uint32_t hashes[BLOCK];

    for (uint32_t first = 0; first < n; first += BLOCK) {
        uint32_t count = n - first < BLOCK ? n - first : BLOCK;

        for (uint32_t i = 0; i < count; i++) {
            hashes[i] = hash_text(m->seed, texts[first + i]);
            __builtin_prefetch(&m->slots[hashes[i] & m->mask], 1);
        }
        for (uint32_t i = 0; i < count; i++) {
            inf_text text = texts[first + i];

            *other = text.len > 0 ? add_hashed(m, text, hashes[i], first + i) : TEXT_MAP_NONE;
            if (*other != TEXT_MAP_NONE)
                return first + i;
        }
    }
    return TEXT_MAP_NONE;
}
