/*
 * text_map: see text_map.h. Open addressing with linear probing at a load of at most one half; a
 * slot keeps the hash, so that a probe reads the text itself only when it is most likely the one.
 */
#include "gguf/text_map.h"

#include <string.h>

#include "core/hash.h"
#include "core/memory.h"

#define BLOCK 64u

static uint32_t hash_text(const struct text_map *m, inf_text text)
{
    return (uint32_t)hash_bytes(m->seed, text.data, text.len);
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
    m->seed = hash_seed();
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
    return find_slot(m, text, hash_text(m, text))->index;
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
    return add_hashed(m, text, hash_text(m, text), index);
}

/* The table is larger than the caches: all slots of a block are asked for before any is read. */
uint32_t text_map_add_all(struct text_map *m, const inf_text *texts, uint32_t n, uint32_t *other)
{
    uint32_t hashes[BLOCK];

    for (uint32_t first = 0; first < n; first += BLOCK) {
        uint32_t count = n - first < BLOCK ? n - first : BLOCK;

        for (uint32_t i = 0; i < count; i++) {
            hashes[i] = hash_text(m, texts[first + i]);
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
