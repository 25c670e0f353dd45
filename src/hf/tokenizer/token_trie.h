/*
 * token_trie: a set of texts by their beginnings: which stands where in another text (the leftmost, of
 * those the longest), and all that begin at a place. Built once, then only read: any thread.
 */
#ifndef INF_HF_TOKENIZER_TOKEN_TRIE_H
#define INF_HF_TOKENIZER_TOKEN_TRIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From a node by a byte to another; child 0: free. */
struct trie_edge {
    uint64_t from; /* node << 8 | byte */
    uint32_t child;
};

struct token_trie {
    int32_t *values; /* of a node: of the text that ends there, or -1; [0] is the root */
    size_t n, cap;
    struct trie_edge *edges; /* a hash table */
    size_t n_slots;          /* a power of two, or 0 */
    uint64_t seed;
    uint32_t roots[256]; /* the root's children by their byte, 0: none */
};

/* A text that is there already keeps its value. false: out of memory. */
bool token_trie_add(struct token_trie *t, const char *text, size_t len, int32_t value);
void token_trie_free(struct token_trie *t);
/* The first at or behind `from`; false: none. */
bool token_trie_find(const struct token_trie *t, const char *s, size_t n, size_t from,
                     size_t *begin, size_t *end, int32_t *value);
/* From a node (0 at first) by a byte to the next; 0: no text goes on so. */
uint32_t token_trie_next(const struct token_trie *t, uint32_t node, uint8_t byte);

#endif
