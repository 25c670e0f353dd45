/*
 * lookup: drafts of what comes next in a text of tokens: what followed when its last tokens stood
 * there before, in the text itself or in a reference text. It knows no model: its drafts are guesses,
 * and it counts how often they came true.
 *
 * The longest suffix wins (of those that were looked at, the last few with the same last tokens), of equal
 * ones the most recent. A token costs a few steps to add and at most some hundred to look up, however long
 * the text is; memory is about 16 bytes a token.
 *
 * Threads: made on a preparation thread, then its sequence's worker's.
 */
#ifndef INF_LOCAL_LOOKUP_H
#define INF_LOCAL_LOOKUP_H

#include <stdbool.h>
#include <stdint.h>

struct lookup;

/* The reference is copied; n may be 0. NULL when out of memory. */
struct lookup *lookup_create(const int32_t *reference, int32_t n);
void lookup_free(struct lookup *l); /* NULL is ignored */

/* The text goes on with a token, at least 0. Generated: what would have been drafted is counted as right or
 * wrong. false when out of memory: then it is of no further use. */
bool lookup_add(struct lookup *l, int32_t token, bool generated);

/* Up to `most` tokens that may come next. Returns how many, 0 when nothing is known. */
int32_t lookup_draft(struct lookup *l, int32_t *out, int32_t most);
/* Of the last draft: how likely its token number i comes true when those before it did, by what was
 * counted of matches as long. */
double lookup_chance(const struct lookup *l, int32_t i);

#endif
