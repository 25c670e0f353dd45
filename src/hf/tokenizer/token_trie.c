/* token_trie: see the header. */
#include "hf/tokenizer/token_trie.h"

#include "core/growing.h"
#include "core/hash.h"
#include "core/memory.h"

#include <string.h>

enum { FEWEST_SLOTS = 64 };

static size_t slot_of(const struct token_trie *t, uint64_t from)
{
    uint64_t h = (from ^ t->seed) * UINT64_C(0x9e3779b97f4a7c15);
    size_t at = (h ^ h >> 32) & (t->n_slots - 1);

    while (t->edges[at].child && t->edges[at].from != from)
        at = (at + 1) & (t->n_slots - 1);
    return at;
}

uint32_t token_trie_next(const struct token_trie *t, uint32_t node, uint8_t byte)
{
    if (node == 0)
        return t->roots[byte];
    return t->n_slots ? t->edges[slot_of(t, (uint64_t)node << 8 | byte)].child : 0;
}

/* Room for one more edge: at most half of the slots are taken. */
static bool grow_edges(struct token_trie *t)
{
    struct trie_edge *old = t->edges;
    size_t n_old = t->n_slots;

    if (t->n * 2 < n_old)
        return true;
    if (n_old == 0)
        t->seed = hash_seed();
    t->n_slots = n_old ? n_old * 2 : FEWEST_SLOTS;
    t->edges = mem_calloc(t->n_slots, sizeof *t->edges);
    if (!t->edges) {
        t->edges = old;
        t->n_slots = n_old;
        return false;
    }
    for (size_t i = 0; i < n_old; i++)
        if (old[i].child)
            t->edges[slot_of(t, old[i].from)] = old[i];
    mem_free(old);
    return true;
}

/* 0: out of memory. */
static uint32_t add_node(struct token_trie *t, uint32_t parent, uint8_t byte)
{
    uint64_t from = (uint64_t)parent << 8 | byte;
    uint32_t child = 0;

    if (t->n >= UINT32_MAX - 2 || !GROW(t->values, t->cap, t->n + 2) || !grow_edges(t))
        return 0;
    if (t->n == 0)
        t->values[t->n++] = -1;
    child = (uint32_t)t->n;
    t->values[t->n++] = -1;
    if (parent == 0)
        t->roots[byte] = child;
    else
        t->edges[slot_of(t, from)] = (struct trie_edge){from, child};
    return child;
}

bool token_trie_add(struct token_trie *t, const char *text, size_t len, int32_t value)
{
    uint32_t at = 0;

    for (size_t i = 0; i < len; i++) {
        uint32_t next = token_trie_next(t, at, (uint8_t)text[i]);

        at = next ? next : add_node(t, at, (uint8_t)text[i]);
        if (!at)
            return false;
    }
    if (at && t->values[at] < 0)
        t->values[at] = value;
    return true;
}

void token_trie_free(struct token_trie *t)
{
    mem_free(t->values);
    mem_free(t->edges);
    memset(t, 0, sizeof *t);
}

/* The longest text that begins at `from`; 0: none does. */
static size_t longest_at(const struct token_trie *t, const char *s, size_t n, size_t from,
                         int32_t *value)
{
    uint32_t at = t->roots[(uint8_t)s[from]];
    size_t longest = 0;

    for (size_t i = from + 1; at; i++) {
        if (t->values[at] >= 0) {
            *value = t->values[at];
            longest = i - from;
        }
        at = i < n ? token_trie_next(t, at, (uint8_t)s[i]) : 0;
    }
    return longest;
}

bool token_trie_find(const struct token_trie *t, const char *s, size_t n, size_t from,
                     size_t *begin, size_t *end, int32_t *value)
{
    for (size_t i = from; t->n > 0 && i < n; i++) {
        size_t len = t->roots[(uint8_t)s[i]] ? longest_at(t, s, n, i, value) : 0;

        if (len > 0) {
            *begin = i;
            *end = i + len;
            return true;
        }
    }
    return false;
}
