/* regex_parts: what regex_parse.c reads a regular expression into, and regex_set.c makes an automaton
 * of. Not for others. */
#ifndef INF_TEXT_CONSTRAINT_REGEX_PARTS_H
#define INF_TEXT_CONSTRAINT_REGEX_PARTS_H

#include "text/constraint/arena.h"
#include "text/constraint/grammar_graph.h"

enum regex_kind {
    REGEX_NOTHING,
    REGEX_CLASS,
    REGEX_BOTH,   /* a, then b */
    REGEX_EITHER, /* a or b */
    REGEX_REPEAT, /* a, from min to max times; max < 0: without end */
    REGEX_START,  /* stands at the beginning of the text */
    REGEX_END
};

struct regex_part {
    enum regex_kind kind;
    int32_t min, max;
    const struct regex_part *a, *b;
    const struct code_range *ranges; /* sorted, without overlaps */
    size_t n_ranges;
};

/* NULL: *why says what cannot be used, or is NULL when out of memory. */
const struct regex_part *regex_parse(struct arena *arena, const char *s, size_t n,
                                     const char **why);
/* NULL: out of memory. */
const struct regex_part *regex_class(struct arena *arena, const struct code_range *ranges,
                                     size_t n);

#endif
