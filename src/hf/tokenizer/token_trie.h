/*
 * token_trie: which of a set of texts stands where in another: the leftmost, of those the longest.
 * Built once, then only read: any thread.
 */
#ifndef INF_HF_TOKENIZER_TOKEN_TRIE_H
#define INF_HF_TOKENIZER_TOKEN_TRIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trie_node {
    uint32_t child, sibling; /* 0: none */
    int32_t value;           /* -1: no text ends here */
    uint8_t byte;
};

struct token_trie {
    struct trie_node *nodes; /* [0] is the root */
    size_t n, cap;
    uint32_t roots[256]; /* the root's children by their byte, 0: none */
};

/* A text that is there already gets the new value. false: out of memory. */
bool token_trie_add(struct token_trie *t, const char *text, size_t len, int32_t value);
void token_trie_free(struct token_trie *t);
/* The first at or behind `from`; false: none. */
bool token_trie_find(const struct token_trie *t, const char *s, size_t n, size_t from,
                     size_t *begin, size_t *end, int32_t *value);

#endif
