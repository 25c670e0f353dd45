/*
 * grammar: a context-free grammar as a graph over bytes, which gbnf.h and json_schema.h make and
 * grammar_matcher.h follows. Knows no syntax of grammars.
 *
 * Every character class is the bytes of its UTF-8 sequences, so that what the graph takes is valid UTF-8
 * and a token may end within a character. Rules are called. Each call of a rule has a register, zero at
 * its start: a count, or a set of members, so that "at most 10,000 characters" and "each property once"
 * need no copies of what is counted.
 *
 * Threads: any; a finished grammar is immutable.
 */
#ifndef INF_TEXT_CONSTRAINT_GRAMMAR_H
#define INF_TEXT_CONSTRAINT_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum grammar_kind {
    GRAMMAR_RANGE, /* a byte from low to high, then next */
    GRAMMAR_SET,   /* a byte of sets[value], then next */
    GRAMMAR_TOKEN, /* the token `value`, whatever its text, or with `negate` any other; then next */
    GRAMMAR_SPLIT, /* next, or value */
    GRAMMAR_JUMP,  /* next */
    GRAMMAR_CALL,  /* the rule `value`, then next */
    GRAMMAR_COUNT, /* the register's count goes up by one, to `value` at most; then next */
    GRAMMAR_CHECK, /* next, if the count (`negate`: of the set's members) is within spans[value] */
    GRAMMAR_ADD,   /* the register's set gets the member `value`; then next */
    GRAMMAR_HAS,   /* next, if the set has the member `value`, or with `negate` lacks it */
    GRAMMAR_END    /* of the rule */
};

struct grammar_node {
    uint8_t kind, low, high;
    bool negate;
    int32_t next, value;
};

/*
 * A set of bytes. `loops`: whatever byte of it was taken, and with `beyond_ascii` whatever other character
 * beyond ASCII, the text stands where it stood, as long as the count is below `most` (-1: it is not
 * counted). Whoever looks at many texts at once need not follow each of them.
 */
struct grammar_set {
    uint64_t bits[4];
    int32_t most;
    bool loops, beyond_ascii;
};

struct grammar_span {
    int32_t low, high;
};

struct grammar {
    struct grammar_node *nodes;
    size_t n_nodes;
    struct grammar_set *sets;
    size_t n_sets;
    struct grammar_span *spans;
    size_t n_spans;
    int32_t *rules; /* the first node of each */
    size_t n_rules;
    size_t n_members; /* of the registers' sets */
    int32_t root;     /* the rule that a text follows */
};

void grammar_free(struct grammar *g); /* NULL is ignored */

#endif
