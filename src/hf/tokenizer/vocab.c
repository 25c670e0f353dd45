/* vocab: see the header. Open addressing with linear steps. */
#include "hf/tokenizer/vocab.h"

#include "core/growing.h"
#include "core/hash.h"
#include "core/memory.h"

#include <string.h>

enum { FEWEST_SLOTS = 64 };

#define HOLE UINT32_MAX

void vocab_init(struct vocab *v)
{
    memset(v, 0, sizeof *v);
    v->seed = hash_seed();
}

void vocab_free(struct vocab *v)
{
    mem_free(v->bytes);
    mem_free(v->places);
    mem_free(v->slots);
    memset(v, 0, sizeof *v);
}

static void put(struct vocab *v, uint64_t hash, uint32_t id)
{
    size_t at = hash & (v->n_slots - 1);

    while (v->slots[at])
        at = (at + 1) & (v->n_slots - 1);
    v->slots[at] = (hash & UINT64_C(0xffffffff00000000)) | (id + 1u);
}

static bool set_slots(struct vocab *v, size_t n)
{
    uint64_t *slots = mem_calloc(n, sizeof *slots);

    if (!slots)
        return false;
    mem_free(v->slots);
    v->slots = slots;
    v->n_slots = n;
    for (uint32_t id = 0; id < v->n_ids; id++)
        if (v->places[id].length != HOLE)
            put(v, hash_bytes(v->seed, v->bytes + v->places[id].begin, v->places[id].length), id);
    return true;
}

/* Room for one more text: at most half of the slots are taken. */
static bool grow_slots(struct vocab *v)
{
    if ((size_t)v->n * 2 < v->n_slots)
        return true;
    return set_slots(v, v->n_slots ? v->n_slots * 2 : FEWEST_SLOTS);
}

bool vocab_reserve(struct vocab *v, size_t n_ids, size_t n_bytes)
{
    size_t slots = FEWEST_SLOTS;

    if (n_ids > VOCAB_MAX_IDS)
        n_ids = VOCAB_MAX_IDS;
    if (n_bytes > UINT32_MAX)
        n_bytes = UINT32_MAX;
    while (slots < 2 * n_ids + 2)
        slots *= 2;
    return GROW(v->places, v->places_cap, n_ids + 1) && GROW(v->bytes, v->bytes_cap, n_bytes + 1) &&
           (slots <= v->n_slots || set_slots(v, slots));
}

static bool reach(struct vocab *v, uint32_t id)
{
    if (!GROW(v->places, v->places_cap, (size_t)id + 1))
        return false;
    for (; v->n_ids <= id; v->n_ids++)
        v->places[v->n_ids].length = HOLE;
    return true;
}

static int32_t find(const struct vocab *v, const char *text, size_t len, uint64_t hash)
{
    for (size_t at = hash & (v->n_slots - 1); v->slots[at]; at = (at + 1) & (v->n_slots - 1)) {
        uint32_t id = (uint32_t)v->slots[at] - 1;

        if (v->slots[at] >> 32 == hash >> 32 && v->places[id].length == len &&
            memcmp(v->bytes + v->places[id].begin, text, len) == 0)
            return (int32_t)id;
    }
    return -1;
}

enum vocab_added vocab_add(struct vocab *v, const char *text, size_t len, uint32_t id)
{
    uint64_t hash = hash_bytes(v->seed, text, len);

    if (id >= VOCAB_MAX_IDS)
        return VOCAB_ID_LARGE;
    if (v->n_slots > 0 && find(v, text, len, hash) >= 0)
        return VOCAB_TEXT_TWICE;
    if (id < v->n_ids && v->places[id].length != HOLE)
        return VOCAB_ID_TWICE;
    if (v->n_bytes + len >= UINT32_MAX || !grow_slots(v) || !reach(v, id) ||
        !GROW(v->bytes, v->bytes_cap, v->n_bytes + len + 1))
        return VOCAB_NO_MEMORY;
    memcpy(v->bytes + v->n_bytes, text, len);
    v->places[id] = (struct vocab_place){(uint32_t)v->n_bytes, (uint32_t)len};
    v->n_bytes += len;
    v->n++;
    put(v, hash, id);
    return VOCAB_ADDED;
}

int32_t vocab_find(const struct vocab *v, const char *text, size_t len)
{
    return v->n_slots == 0 ? -1 : find(v, text, len, hash_bytes(v->seed, text, len));
}

int32_t vocab_find_byte(const struct vocab *v, int byte)
{
    static const char digits[] = "0123456789ABCDEF";
    char name[] = "<0x00>";

    name[3] = digits[byte >> 4];
    name[4] = digits[byte & 15];
    return vocab_find(v, name, sizeof name - 1);
}

void vocab_find_batch(const struct vocab *v, struct vocab_query *queries, size_t n)
{
    for (size_t i = 0; i < n && v->n_slots > 0; i++) {
        queries[i].hash = hash_bytes(v->seed, queries[i].text, queries[i].len);
        __builtin_prefetch(v->slots + (queries[i].hash & (v->n_slots - 1)));
    }
    for (size_t i = 0; i < n && v->n_slots > 0; i++) {
        uint64_t slot = v->slots[queries[i].hash & (v->n_slots - 1)];

        if (slot)
            __builtin_prefetch(v->places + ((uint32_t)slot - 1));
    }
    for (size_t i = 0; i < n && v->n_slots > 0; i++) {
        uint64_t slot = v->slots[queries[i].hash & (v->n_slots - 1)];

        if (slot)
            __builtin_prefetch(v->bytes + v->places[(uint32_t)slot - 1].begin);
    }
    for (size_t i = 0; i < n; i++)
        queries[i].id = v->n_slots == 0 ? -1
                                        : find(v, queries[i].text, queries[i].len, queries[i].hash);
}

const char *vocab_text(const struct vocab *v, uint32_t id, size_t *len)
{
    if (id >= v->n_ids || v->places[id].length == HOLE)
        return NULL;
    *len = v->places[id].length;
    return v->bytes + v->places[id].begin;
}
