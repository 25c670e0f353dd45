/*
 * prefill: how a prompt is cut into calls, so that a step takes about a tenth of a second and the cut
 * changes no bit of the result.
 *
 * ggml's attention computes a sequence of 64 rows and more in another way than a shorter one, and some
 * recurrent layers go by pieces of 64 rows. So a prompt goes in whole blocks of 64 tokens, the rest with
 * the last of them; one that is shorter than a block goes whole. Then every token is computed in the same
 * way, whatever the pace was and whoever ran beside it.
 *
 * Knows no clock and no engine. Threads: the caller's alone.
 */
#ifndef INF_LOCAL_PREFILL_H
#define INF_LOCAL_PREFILL_H

#include <stdbool.h>
#include <stdint.h>

enum { PREFILL_BLOCK = 64, PREFILL_STEP_US = 100000 };

/* How long a token takes, of late. */
struct prefill_pace {
    bool is_known;
    double token_us;
};

/* A call of n tokens took so long; calls of less than a block say little and are not counted. */
void prefill_pace_measured(struct prefill_pace *p, int32_t n_tokens, int64_t us);

/* The tokens that a step has time for: whole blocks, at most `most`, but at least one; one as long as
 * nothing was measured. */
int32_t prefill_pace_tokens(const struct prefill_pace *p, int32_t most);

/* How many tokens of a prompt of which so many are left the next call computes: about `budget`, but
 * less than two blocks are not cut. */
int32_t prefill_share(int32_t remaining, int32_t budget);

/* Whether n tokens may be the share of a prompt of which so many are left. */
bool prefill_may_share(int32_t remaining, int32_t n);

#endif
