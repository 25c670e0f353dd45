/*
 * match_grammar: a grammar compiled over the vocabulary of a fixture in which every byte is a
 * token, and a text matched against it. For fuzz targets.
 */
#ifndef FUZZ_MATCH_GRAMMAR_H
#define FUZZ_MATCH_GRAMMAR_H

#include "core/error.h"

/* The code of constraint_create. *whole: the grammar takes the text. */
int32_t match_grammar(inf_text grammar, inf_text text, bool *whole, inf_error *err);

#endif
