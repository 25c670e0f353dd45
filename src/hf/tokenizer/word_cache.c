/* word_cache: see the header. */
#include "hf/tokenizer/word_cache.h"

#include "core/hash.h"
#include "core/memory.h"

#include <string.h>

enum { N_ENTRIES = 1 << 15, LINE = 64 };

bool word_cache_init(struct word_cache *c)
{
    c->seed = hash_seed();
    /* Zeros that the system gives when they are touched: most texts have few words. */
    c->memory = mem_calloc(1, N_ENTRIES * sizeof *c->entries + LINE);
    c->entries = (struct word_entry *)(((uintptr_t)c->memory + LINE - 1) / LINE * LINE);
    return c->memory != NULL;
}

void word_cache_free(struct word_cache *c)
{
    mem_free(c->memory);
    c->memory = NULL;
    c->entries = NULL;
}

static bool same(const struct word_entry *e, const char *word, size_t len)
{
    return e->len == len && memcmp(e->text, word, len) == 0;
}

const struct word_entry *word_cache_find(const struct word_cache *c, const char *word, size_t len,
                                         uint64_t *hash)
{
    const struct word_entry *pair = NULL;

    *hash = hash_bytes(c->seed, word, len);
    pair = c->entries + (*hash & (N_ENTRIES - 2));
    if (same(pair, word, len))
        return pair;
    return same(pair + 1, word, len) ? pair + 1 : NULL;
}

void word_cache_put(struct word_cache *c, const char *word, size_t len, uint64_t hash,
                    const int32_t *ids, size_t n)
{
    struct word_entry *e = c->entries + (hash & (N_ENTRIES - 2));

    if (n > WORD_CACHE_IDS)
        return;
    e[1] = e[0];
    e->len = (uint8_t)len;
    e->n = (uint8_t)n;
    memcpy(e->text, word, len);
    for (size_t i = 0; i < n; i++)
        e->ids[i] = ids[i];
}
