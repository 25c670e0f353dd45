/*
 * logprob_list: the log-probabilities of an answer, gathered token by token, and laid out in one block as an
 * operation's result in the end. One owner.
 */
#ifndef INF_CORE_LOGPROB_LIST_H
#define INF_CORE_LOGPROB_LIST_H

#include "core/op.h"

struct logprob_entry {
    int32_t token; /* -1: not known */
    float logprob;
    bool alternative;   /* to the last entry that is none */
    size_t offset, len; /* of its piece */
};

struct logprob_list {
    struct logprob_entry *items; /* each token, its alternatives behind it */
    size_t n, capacity;
    struct buffer pieces; /* their bytes */
};

/* max: bytes of all pieces. */
void logprob_list_init(struct logprob_list *l, size_t max);
void logprob_list_free(struct logprob_list *l);
/* One more; its piece is what stands in `pieces` from its offset on. false: out of memory. */
bool logprob_list_add(struct logprob_list *l, const struct logprob_entry *e);
/* Into output->logprobs, n_logprobs and logprobs_block. NO_MEMORY. */
int32_t logprob_list_fill(const struct logprob_list *l, struct op_output *out, inf_error *err);

#endif
