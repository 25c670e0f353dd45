/*
 * match_grammar: a grammar or a JSON schema compiled over the vocabulary of a fixture in which every byte
 * is a token, and a text matched against it. For fuzz targets.
 */
#ifndef FUZZ_MATCH_GRAMMAR_H
#define FUZZ_MATCH_GRAMMAR_H

#include "core/error.h"

/* INF_OK, or what is wrong with the grammar. *whole: it takes the text. */
int32_t match_grammar(inf_text grammar, inf_text text, bool *whole, inf_error *err);
int32_t match_schema(inf_text schema, inf_text text, bool *whole, inf_error *err);

#endif
