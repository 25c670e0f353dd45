/*
 * member_sets: sets of small numbers, each once and by a number of its own, so that two that are equal are the
 * same number. They are taken back in the order in which they were made. Not thread-safe: one owner.
 */
#ifndef INF_TEXT_CONSTRAINT_MEMBER_SETS_H
#define INF_TEXT_CONSTRAINT_MEMBER_SETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The newest of a bucket comes first. Begins with zeros. */
struct member_sets {
    uint64_t *bits; /* (n_words) a set */
    int32_t *older; /* of its bucket */
    int32_t *buckets;
    size_t n, bits_cap, older_cap, n_buckets, n_words;
};

/* For members below n_members; set 0 is empty. false: out of memory. */
bool member_sets_start(struct member_sets *t, size_t n_members);
void member_sets_free(struct member_sets *t);
/* Those from number n on are no more. */
void member_sets_cut(struct member_sets *t, size_t n);

bool member_sets_has(const struct member_sets *t, int32_t set, int32_t member);
int32_t member_sets_count(const struct member_sets *t, int32_t set);
/* *set becomes the one with the member too. false: out of memory, or there are too many. */
bool member_sets_add(struct member_sets *t, int32_t *set, int32_t member);

#endif
