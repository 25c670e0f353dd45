/*
 * token_texts: the texts of a model's tokens, sorted, so that whoever looks which of them may follow
 * tries each common beginning once. Immutable; any thread.
 */
#ifndef INF_LOCAL_TOKEN_TEXTS_H
#define INF_LOCAL_TOKEN_TEXTS_H

#include "local/tokenizer.h"

struct token_text {
    const char *text;
    int32_t id;
    uint16_t len;
};

struct token_texts {
    int32_t n_vocab;
    uint8_t *kinds;            /* (n_vocab) enum token_kind */
    struct token_text *by_id;  /* (n_vocab) of length 0 unless its kind is TOKEN_TEXT */
    struct token_text *sorted; /* (n_sorted) those that have a length, by text */
    size_t n_sorted;
    struct buffer bytes; /* the texts themselves */
};

/* NULL: out of memory. A token of more than 512 bytes counts as hidden. */
struct token_texts *token_texts_create(const struct tokenizer *tokenizer);
void token_texts_free(struct token_texts *t); /* NULL is ignored */

#endif
