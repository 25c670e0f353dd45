/*
 * gbnf: a GBNF grammar, compiled to a graph (grammar.h). Knows the grammar's syntax, nothing of how
 * texts are matched (grammar_matcher.h) nor of any model's tokens but their numbers.
 *
 * Rules are called, groups and repetitions are written out in place. Any context-free grammar will do,
 * left-recursive and ambiguous ones too.
 *
 * Threads: any.
 */
#ifndef INF_TEXT_CONSTRAINT_GBNF_H
#define INF_TEXT_CONSTRAINT_GBNF_H

#include "core/error.h"
#include "text/constraint/grammar.h"

/* The number of a token by its text, angle brackets included; -1: no single token. */
typedef int32_t (*gbnf_token_fn)(void *arg, const char *text, size_t len);

/* find_token NULL: no token has a name. INVALID_ARGUMENT (says where and why), NO_MEMORY. The start
 * symbol is "root". Freed with grammar_free. */
int32_t gbnf_compile(struct grammar **out, inf_text grammar, gbnf_token_fn find_token, void *arg,
                     inf_error *err);

#endif
