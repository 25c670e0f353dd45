/*
 * constraint: a grammar as a constraint on sampling: which tokens of the model may come next. text/constraint
 * makes grammars and follows texts; here are the tokens.
 * Threads: created on a preparation thread, then used by the worker alone.
 */
#ifndef INF_LOCAL_CONSTRAINT_H
#define INF_LOCAL_CONSTRAINT_H

#include "local/sampling.h"
#include "local/token_texts.h"
#include "text/constraint/grammar.h"
#include "text/output/call_grammar.h"

/* A GBNF grammar, in which <names> are tokens. INVALID_ARGUMENT (says what is wrong with it),
 * NO_MEMORY. */
int32_t constraint_read_gbnf(struct grammar **out, const struct tokenizer *tokenizer, inf_text text,
                             inf_error *err);

/* Tool calls (call_grammar_make): the options' find_token and arg are set here. Its errors. */
int32_t constraint_read_calls(struct grammar **out, const struct tokenizer *tokenizer,
                              struct call_grammar_options *options, inf_error *err);

/* texts: the tokenizer's, which must outlive the constraint. grammar: taken over, on failure too.
 * INVALID_ARGUMENT (nothing can follow it), NO_MEMORY. */
int32_t constraint_create(struct sampling_constraint *out, const struct token_texts *texts,
                          struct grammar *grammar, inf_error *err);

#endif
