/*
 * schema_lookahead: a pattern that begins with look-ahead, ^(?!A)(?=B)C, as the patterns that say the same together:
 * not ^A, ^B, ^C. Knows where groups end, nothing else of regular expressions.
 * Threads: any.
 */
#ifndef INF_TEXT_CONSTRAINT_SCHEMA_LOOKAHEAD_H
#define INF_TEXT_CONSTRAINT_SCHEMA_LOOKAHEAD_H

#include "text/constraint/schema_compiler.h"

enum { LOOKAHEAD_PARTS = 9 };

struct pattern_part {
    const char *source; /* of the compiler's arena */
    bool negated;
};

/* How many parts there are; 0: it does not begin so, has too many, or the error is set. */
size_t schema_look_ahead(struct schema_compiler *c, const char *source,
                         struct pattern_part parts[LOOKAHEAD_PARTS]);

#endif
