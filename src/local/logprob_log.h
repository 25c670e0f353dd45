/*
 * logprob_log: the log-probabilities a request asked for, gathered token by token and handed over
 * as the operation's result in one block. Owned by its sequence's worker.
 */
#ifndef INF_LOCAL_LOGPROB_LOG_H
#define INF_LOCAL_LOGPROB_LOG_H

#include "core/logprob_list.h"
#include "local/tokenizer.h"

struct logprob_log;

/* n_top alternatives a token. NULL when out of memory. */
struct logprob_log *logprob_log_create(int32_t n_top);
void logprob_log_free(struct logprob_log *log);
/* false when out of memory. */
bool logprob_log_add(struct logprob_log *log, const struct tokenizer *t, const float *logits,
                     int32_t token);
/* Fills output->logprobs, n_logprobs and logprobs_block. false when out of memory. */
bool logprob_log_finish(const struct logprob_log *log, struct op_output *output);

#endif
