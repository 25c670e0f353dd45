/*
 * gbnf: a GBNF grammar, compiled to a graph over bytes. Knows the grammar's syntax, nothing of how
 * texts are matched (grammar_matcher.h) nor of any model's tokens but their numbers.
 *
 * Every character class becomes the bytes of its UTF-8 sequences, so that what the graph takes is
 * valid UTF-8 and a token may end within a character. Rules are called, groups and repetitions are
 * written out in place. Any context-free grammar will do, left-recursive and ambiguous ones too.
 *
 * Threads: any; a program is immutable.
 */
#ifndef INF_TEXT_CONSTRAINT_GBNF_H
#define INF_TEXT_CONSTRAINT_GBNF_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>

enum gbnf_kind {
    GBNF_RANGE, /* a byte from low to high, then next */
    GBNF_SET,   /* a byte of sets[value], then next */
    GBNF_TOKEN, /* the token `value`, whatever its text, or with `negate` any other; then next */
    GBNF_SPLIT, /* next, or value */
    GBNF_JUMP,  /* next */
    GBNF_CALL,  /* the rule `value`, then next */
    GBNF_END    /* of the rule */
};

struct gbnf_node {
    uint8_t kind, low, high;
    bool negate;
    int32_t next, value;
};

struct gbnf_set {
    uint64_t bits[4];
};

struct gbnf {
    struct gbnf_node *nodes;
    size_t n_nodes;
    struct gbnf_set *sets;
    size_t n_sets;
    int32_t *rules; /* the first node of each */
    size_t n_rules;
    int32_t root; /* the rule that a text follows */
};

/* The number of a token by its text, angle brackets included; -1: no single token. */
typedef int32_t (*gbnf_token_fn)(void *arg, const char *text, size_t len);

/* find_token NULL: no token has a name. INVALID_ARGUMENT (says where and why), NO_MEMORY. The start
 * symbol is "root". */
int32_t gbnf_compile(struct gbnf **out, inf_text grammar, gbnf_token_fn find_token, void *arg,
                     inf_error *err);
void gbnf_free(struct gbnf *g);

#endif
