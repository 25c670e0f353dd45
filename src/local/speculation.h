/*
 * speculation: how many tokens a sequence the next step computes: one, or one and drafts of those that may
 * follow, which the step verifies.
 *
 * A call has as many tokens for each of its sequences; those without so many drafts are filled up with tokens
 * that nobody needs. More tokens take longer: how much, by the measured times of steps. So drafts are
 * verified where the step brings more tokens a second than without, and nobody beside is held up by much.
 *
 * Knows no clock and no engine. Threads: the caller's alone.
 */
#ifndef INF_LOCAL_SPECULATION_H
#define INF_LOCAL_SPECULATION_H

#include "local/lookup.h"

/* Tokens of one call that verifies drafts, all sequences together, at most. */
enum { SPECULATION_MOST = 64, SPECULATION_SIZES = 14 };

/* What a step takes by its tokens. */
struct step_costs {
    double us;                        /* of one token; 0: not known */
    double ratio[SPECULATION_SIZES];  /* of steps of some sizes, to one of one token */
    int32_t known[SPECULATION_SIZES]; /* how often they were measured */
    int32_t measured;
    int32_t since_plain; /* steps, all with drafts */
};

void step_costs_init(struct step_costs *c);
/* A step of so many tokens took so long; drafts: it verified some. */
void step_costs_measured(struct step_costs *c, int32_t n_tokens, bool drafts, int64_t us);
/* How long one takes, in steps of one token. */
double step_costs_of(const struct step_costs *c, int32_t n_tokens);

/* A sequence of a call. */
struct speculation_row {
    const struct lookup *lookup; /* whose last draft it is; NULL: it has none */
    int32_t n_draft;
    bool always; /* its drafts are verified whether or not it pays */

    double reached, expected; /* speculation_tokens' own */
};

/* How many tokens of each of n rows the next call is to compute, 1 or more, at most `most`. */
int32_t speculation_tokens(const struct step_costs *c, struct speculation_row *rows, int32_t n,
                           int32_t most);

#endif
