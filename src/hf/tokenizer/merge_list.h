/*
 * merge_list: a BPE model's merges as they are read: pairs of texts, of which the vocabulary knows the
 * parts and what they make. Looked up some at a time, so that their memory is waited for together.
 * One thread.
 */
#ifndef INF_HF_TOKENIZER_MERGE_LIST_H
#define INF_HF_TOKENIZER_MERGE_LIST_H

#include "core/buffer.h"
#include "hf/tokenizer/bpe.h"

struct merge_list {
    const struct vocab *vocab;
    size_t cut; /* bytes that the second part loses where the two are put together */
    struct vocab_query left[VOCAB_BATCH], right[VOCAB_BATCH];
    size_t n; /* of those */
    struct listed_merge *list;
    size_t n_list, cap;
    struct buffer joints;
    uint32_t guess;             /* results often come in the order of their ids */
    struct vocab_query unknown; /* after MERGE_UNKNOWN: a text that is no token, of merge n_list */
};

enum merge_done { MERGE_DONE, MERGE_NO_MEMORY, MERGE_UNKNOWN };

void merge_list_init(struct merge_list *l, const struct vocab *vocab, size_t cut);
void merge_list_free(struct merge_list *l);
/* The next merge; its texts are borrowed until merge_list_finish. */
enum merge_done merge_list_add(struct merge_list *l, inf_text left, inf_text right);
/* The last were added: the model gets them all. */
enum merge_done merge_list_finish(struct merge_list *l, struct bpe *m);

#endif
