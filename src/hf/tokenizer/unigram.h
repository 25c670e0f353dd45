/*
 * unigram: the pieces whose scores add up to the most, as the tokenizers library finds them. The
 * model is immutable: any thread; its scratch memory belongs to one text at a time.
 */
#ifndef INF_HF_TOKENIZER_UNIGRAM_H
#define INF_HF_TOKENIZER_UNIGRAM_H

#include "hf/tokenizer/id_list.h"
#include "hf/tokenizer/token_trie.h"
#include "hf/tokenizer/vocab.h"

enum {
    UNIGRAM_LONGEST = 1024
}; /* bytes of a token: they bound the steps at each place of a text */

struct unigram {
    const struct vocab *vocab;
    double *scores; /* by id */
    size_t n_scores, scores_cap;
    double unknown; /* the score of a character that is no piece */
    int32_t unk;    /* -1: none */
    bool byte_fallback;
    int32_t byte_ids[256];
    struct token_trie pieces; /* the vocabulary's texts */
};

struct unigram_work {
    struct unigram_node *nodes; /* by place in the piece */
    size_t cap;
    struct id_list path;
};

/* Once vocabulary and scores are there. NO_MEMORY; TOO_LONG: a token is. */
enum model_done unigram_finish(struct unigram *m);
void unigram_free(struct unigram *m);
void unigram_work_free(struct unigram_work *w);
/* Appends the ids of a piece (well-formed UTF-8). */
enum model_done unigram_encode(const struct unigram *m, struct unigram_work *w, const char *piece,
                               size_t n, struct id_list *out);

#endif
