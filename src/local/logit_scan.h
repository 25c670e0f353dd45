/*
 * logit_scan: passes over all logits of a row.
 *
 * A vocabulary has 50,000 to 260,000 entries and a step a few milliseconds, so that passes are kept few and
 * simple enough for the compiler to vectorise: one for the check and the maximum of each block, after which
 * only blocks that can hold a candidate are looked into. Pure functions.
 */
#ifndef INF_LOCAL_LOGIT_SCAN_H
#define INF_LOCAL_LOGIT_SCAN_H

#include <stdbool.h>
#include <stdint.h>

/* True when every logit is finite or -inf, at least one finite. */
bool logits_are_usable(const float *logits, int32_t n_vocab);
/* The first largest logit; -1: they are not usable. */
int32_t logits_arg_max(const float *logits, int32_t n);
/* log(sum(exp(scale (x - max)))) + scale max over all. */
double logits_log_sum_exp(const float *logits, int32_t n, float max, float scale);

/* The n largest so far as a heap, the least of them on top; of equal ones the higher id is less, or,
 * with high_first, the lower. */
struct logits_top {
    int32_t *ids;
    float *values;
    int32_t n, capacity;
    bool high_first;
};

/* Fills an empty `top` from logits, which are usable, and sorts it, largest first. */
void logits_select(struct logits_top *t, const float *logits, int32_t n);

/* Natural log-probability of `token`, and the n most probable tokens with theirs, from raw logits.
 * ids and logprobs hold n. */
float logits_logprob(const float *logits, int32_t n_vocab, int32_t token);
void logits_top_logprobs(const float *logits, int32_t n_vocab, int32_t n, int32_t *ids,
                         float *logprobs);

#endif
