/*
 * logprob_log: the log-probabilities that a request asked for, token by token.
 */
#ifndef INF_LOCAL_LOGPROB_LOG_H
#define INF_LOCAL_LOGPROB_LOG_H

#include "core/logprob_list.h"
#include "local/tokenizer.h"

/* The token's, and those of the n_top most probable ones, at the list's end. false when out of memory. */
bool logprob_log_add(struct logprob_list *l, const struct tokenizer *t, const float *logits,
                     int32_t token, int32_t n_top);

#endif
