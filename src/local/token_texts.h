/*
 * token_texts: the texts of a model's tokens as a tree of their bytes, so that whoever looks which of them
 * may follow tries each common beginning once. Made once a model. Immutable; any thread.
 */
#ifndef INF_LOCAL_TOKEN_TEXTS_H
#define INF_LOCAL_TOKEN_TEXTS_H

#include "local/tokenizer.h"
#include "text/constraint/grammar_matcher.h"

struct token_text {
    const char *text;
    int32_t id;
    uint16_t len;
};

/* A byte behind those of the nodes that it stands below. A tree is a list, each node before those below
 * it. */
struct token_node {
    uint8_t byte;
    bool whole;     /* all texts of `below` are of whole characters, as JSON's strings have them */
    uint16_t depth; /* bytes before it */
    int32_t end;    /* the first node that is not below it */
    int32_t token, n_tokens; /* its tokens (in `tokens`): those that end here, then those below */
    int32_t ending;          /* how many end here */
    struct grammar_bytes below;
};

struct token_tree {
    struct token_node *nodes;
    size_t n_nodes;
    int32_t *tokens; /* as the nodes come */
    size_t n_tokens;
};

struct token_texts {
    int32_t n_vocab;
    int32_t longest;          /* of all, in bytes */
    uint8_t *kinds;           /* (n_vocab) enum token_kind */
    struct token_text *by_id; /* (n_vocab) of length 0 unless its kind is TOKEN_TEXT */
    struct token_tree all;
    /* Tokens of whole plain characters (no control, quote or backslash), as bits of their ids, what they
     * are of, and the tree of all others. */
    uint64_t *plain;
    struct grammar_bytes of_plain;
    struct token_tree others;
    struct buffer bytes; /* the texts themselves */
};

/* NULL: out of memory. A token of more than 512 bytes counts as hidden. */
struct token_texts *token_texts_create(const struct tokenizer *tokenizer);
void token_texts_free(struct token_texts *t); /* NULL is ignored */

#endif
