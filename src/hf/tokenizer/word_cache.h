/*
 * word_cache: the ids of short words that came lately. A word has two places; the older leaves. Not
 * thread-safe: its owner guards it.
 */
#ifndef INF_HF_TOKENIZER_WORD_CACHE_H
#define INF_HF_TOKENIZER_WORD_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WORD_CACHE_TEXT = 22, WORD_CACHE_IDS = 9 };

struct word_entry {
    uint8_t len; /* 0: free */
    uint8_t n;
    char text[WORD_CACHE_TEXT];
    int32_t ids[WORD_CACHE_IDS];
    uint32_t unused; /* an entry is a line of the CPU's cache */
};

struct word_cache {
    void *memory;               /* that they lie in */
    struct word_entry *entries; /* aligned to lines */
    uint64_t seed;
};

bool word_cache_init(struct word_cache *c); /* false: out of memory */
void word_cache_free(struct word_cache *c);

/* The entry of a word (1 to WORD_CACHE_TEXT bytes), or NULL; *hash is for word_cache_put. */
const struct word_entry *word_cache_find(const struct word_cache *c, const char *word, size_t len,
                                         uint64_t *hash);
/* Words with more than WORD_CACHE_IDS ids are not kept. */
void word_cache_put(struct word_cache *c, const char *word, size_t len, uint64_t hash,
                    const int32_t *ids, size_t n);

#endif
