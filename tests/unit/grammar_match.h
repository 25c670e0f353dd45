/*
 * grammar_match: whether a text follows a grammar, as a constraint says. The vocabulary is that of a fixture, in which every byte is a token.
 */
#ifndef TEST_GRAMMAR_MATCH_H
#define TEST_GRAMMAR_MATCH_H

#include "core/error.h"

enum match {
    MATCH_REFUSED,    /* constraint_create failed; err says why */
    MATCH_NOT,        /* some byte of the text is not allowed */
    MATCH_UNFINISHED, /* allowed, but more has to follow */
    MATCH_WHOLE
};

/* Loads the vocabulary; for cmocka's group functions. */
int grammar_match_open(void **state);
int grammar_match_close(void **state);

/* By a GBNF grammar, and by a JSON schema. */
enum match grammar_match(inf_text grammar, inf_text text, inf_error *err);
enum match schema_match(inf_text schema, inf_text text, inf_error *err);

#endif
