/*
 * text_map: a hash table from borrowed text to an index, filled once, for keys, tensor names and
 * vocabularies of files nobody trusts: the hash is seeded, so that no file can be made to collide.
 * Not thread-safe while it is filled; read-only afterwards, then any thread.
 */
#ifndef INF_GGUF_TEXT_MAP_H
#define INF_GGUF_TEXT_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <inference/inference.h>

#define TEXT_MAP_NONE UINT32_MAX

struct text_map_slot {
    uint32_t hash;
    uint32_t index; /* TEXT_MAP_NONE: the slot is free */
};

/* The text of an index, as it was added. */
typedef inf_text (*text_map_text_fn)(const void *owner, uint32_t index);

struct text_map {
    struct text_map_slot *slots; /* (mask + 1) */
    size_t mask;
    uint64_t seed;
    text_map_text_fn text_of;
    const void *owner;
};

/* Room for `count` texts (below 2^31). false: out of memory, and the map is empty and unusable. */
bool text_map_init(struct text_map *m, size_t count, text_map_text_fn text_of, const void *owner);
void text_map_free(struct text_map *m);

/* The index of a text, or TEXT_MAP_NONE. */
uint32_t text_map_find(const struct text_map *m, inf_text text);
/* Adds a text under an index, at most `count` times. Returns TEXT_MAP_NONE, or the index that has
 * the same text already (nothing is added then). text_of must answer for every index added. */
uint32_t text_map_add(struct text_map *m, inf_text text, uint32_t index);
/* Adds texts[0, n) under their indexes, many at a time, which for a whole vocabulary is several
 * times faster; empty ones are left out. Returns TEXT_MAP_NONE, or the index of the first text that
 * is there already, with the index of its like in *other. */
uint32_t text_map_add_all(struct text_map *m, const inf_text *texts, uint32_t n, uint32_t *other);

#endif
