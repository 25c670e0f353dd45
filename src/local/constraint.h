/*
 * constraint: a GBNF grammar as a constraint on sampling: which tokens of the model may come next.
 * text/constraint/gbnf.h reads grammars, grammar_matcher.h beside it follows texts; here are the tokens.
 * Threads: created on a preparation thread, then used by the worker alone.
 */
#ifndef INF_LOCAL_CONSTRAINT_H
#define INF_LOCAL_CONSTRAINT_H

#include "local/sampling.h"
#include "local/token_texts.h"

/* texts: the tokenizer's, which must outlive the constraint. INVALID_ARGUMENT (says what is wrong with
 * the grammar), NO_MEMORY. */
int32_t constraint_create(struct sampling_constraint *out, const struct tokenizer *tokenizer,
                          const struct token_texts *texts, inf_text grammar, inf_error *err);

#endif
