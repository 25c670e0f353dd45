/*
 * wordpiece: the longest piece first, as BERT does; and word level, where a piece is a token or
 * unknown. The model is immutable: any thread.
 */
#ifndef INF_HF_TOKENIZER_WORDPIECE_H
#define INF_HF_TOKENIZER_WORDPIECE_H

#include "hf/tokenizer/id_list.h"
#include "hf/tokenizer/token_trie.h"
#include "hf/tokenizer/vocab.h"

struct wordpiece {
    const struct vocab *vocab;
    int32_t unk;              /* -1: not in the vocabulary */
    char *prefix;             /* of what does not begin a piece */
    uint32_t chars;           /* a longer piece is unknown */
    struct token_trie pieces; /* the vocabulary's texts, unless it is for word level */
};

enum {
    WORDPIECE_LONGEST = 1024
}; /* bytes of a token: they bound the steps at each place of a text */

/* Once the vocabulary is there, for word pieces. NO_MEMORY; TOO_LONG: a token is. */
enum model_done wordpiece_finish(struct wordpiece *m);
void wordpiece_free(struct wordpiece *m);
/* Appends the ids of a piece (well-formed UTF-8). */
enum model_done wordpiece_encode(const struct wordpiece *m, const char *piece, size_t n,
                                 struct id_list *out);
enum model_done wordlevel_encode(const struct wordpiece *m, const char *piece, size_t n,
                                 struct id_list *out);

#endif
