/* token_trie: see the header. */
#include "hf/tokenizer/token_trie.h"

#include "core/growing.h"
#include "core/memory.h"

#include <string.h>

static uint32_t child_of(const struct token_trie *t, uint32_t at, uint8_t byte)
{
    uint32_t child = at == 0 ? t->roots[byte] : t->nodes[at].child;

    while (child && t->nodes[child].byte != byte)
        child = t->nodes[child].sibling;
    return child;
}

/* 0: out of memory. */
static uint32_t new_node(struct token_trie *t, uint8_t byte)
{
    if (t->n >= UINT32_MAX - 1 || !GROW(t->nodes, t->cap, t->n + 2))
        return 0;
    if (t->n == 0)
        t->nodes[t->n++] = (struct trie_node){0, 0, -1, 0};
    t->nodes[t->n] = (struct trie_node){0, 0, -1, byte};
    return (uint32_t)t->n++;
}

bool token_trie_add(struct token_trie *t, const char *text, size_t len, int32_t value)
{
    uint32_t at = 0;

    for (size_t i = 0; i < len; i++) {
        uint8_t byte = (uint8_t)text[i];
        uint32_t next = child_of(t, at, byte);

        if (!next) {
            next = new_node(t, byte);
            if (!next)
                return false;
            if (at == 0) {
                t->roots[byte] = next;
            } else {
                t->nodes[next].sibling = t->nodes[at].child;
                t->nodes[at].child = next;
            }
        }
        at = next;
    }
    if (at)
        t->nodes[at].value = value;
    return true;
}

void token_trie_free(struct token_trie *t)
{
    mem_free(t->nodes);
    memset(t, 0, sizeof *t);
}

/* The longest text that begins at `from`; 0: none does. */
static size_t longest_at(const struct token_trie *t, const char *s, size_t n, size_t from,
                         int32_t *value)
{
    uint32_t at = t->roots[(uint8_t)s[from]];
    size_t longest = 0;

    for (size_t i = from + 1; at; i++) {
        if (t->nodes[at].value >= 0) {
            *value = t->nodes[at].value;
            longest = i - from;
        }
        at = i < n ? child_of(t, at, (uint8_t)s[i]) : 0;
    }
    return longest;
}

bool token_trie_find(const struct token_trie *t, const char *s, size_t n, size_t from,
                     size_t *begin, size_t *end, int32_t *value)
{
    if (t->n == 0)
        return false;
    for (size_t i = from; i < n; i++) {
        size_t len = 0;

        if (!t->roots[(uint8_t)s[i]])
            continue;
        len = longest_at(t, s, n, i, value);
        if (len > 0) {
            *begin = i;
            *end = i + len;
            return true;
        }
    }
    return false;
}
