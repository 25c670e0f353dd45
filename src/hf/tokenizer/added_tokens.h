/*
 * added_tokens: the tokens that stand beside the model's vocabulary: found in a text before anything
 * else happens to it, special ones left out of what is decoded. Built while a tokenizer is read, then
 * only read: any thread.
 */
#ifndef INF_HF_TOKENIZER_ADDED_TOKENS_H
#define INF_HF_TOKENIZER_ADDED_TOKENS_H

#include "core/buffer.h"
#include "core/error.h"
#include "hf/tokenizer/token_trie.h"
#include "hf/tokenizer/vocab.h"

struct normalizer;

enum { ADDED_TOKEN_LONGEST = 256 }; /* bytes: they bound the steps at each place of a text */

struct added_token {
    char *content;
    size_t len;
    char *normal; /* what the normalizer makes of it, where that is something else; or NULL */
    size_t normal_len;
    int32_t id;
    bool single_word, lstrip, rstrip, normalized, special;
    bool hidden; /* its content is that of a special token */
};

struct added_tokens {
    struct added_token *tokens; /* an id has one */
    size_t n, cap;
    struct vocab contents; /* content -> index in tokens, also of those that were replaced */
    int32_t *of_id;        /* index by id, -1: none */
    size_t n_of_id, of_id_cap;
    struct token_trie plain, normal; /* values are ids */
    uint32_t next_id;
};

void added_tokens_init(struct added_tokens *a);
void added_tokens_free(struct added_tokens *a);

/* The next tokens without an id get one behind the model's and those that were added. */
void added_tokens_begin(struct added_tokens *a, const struct vocab *model);
/* Adds a token, whose strings are copied; its id is the one its content has already, or a new one.
 * An empty one is ignored. NO_MEMORY, BAD_FORMAT. */
int32_t added_tokens_add(struct added_tokens *a, const struct vocab *model,
                         const struct normalizer *normalizer, const struct added_token *token,
                         inf_error *err);
/* Once all are there. false: out of memory. */
bool added_tokens_finish(struct added_tokens *a);

/* NULL: none has this id. */
const struct added_token *added_token_of(const struct added_tokens *a, int32_t id);
/* -1: no added token has this content. */
int32_t added_token_id(const struct added_tokens *a, const char *content, size_t len);

/* What stands next in a text from *at on: a token (its id), or text up to the next one (-1). *at is
 * behind it. false: the text is over. specials: also special tokens. */
struct added_search {
    const struct added_tokens *tokens;
    const struct token_trie *trie;
    const char *s;
    size_t n;
    size_t at;   /* the text up to here is told */
    size_t seen; /* and was looked at up to here */
    int32_t id;  /* of the token that follows the text just told; -1: none is known */
    size_t id_end;
    bool specials;
};

struct added_piece {
    const char *s;
    size_t n;
    int32_t id; /* -1: text */
};

void added_search_init(struct added_search *search, const struct added_tokens *tokens,
                       bool normalized, const char *s, size_t n, bool specials);
bool added_search_next(struct added_search *search, struct added_piece *out);

#endif
