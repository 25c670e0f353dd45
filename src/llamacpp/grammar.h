/*
 * grammar: a GBNF grammar as a constraint on sampling: which tokens of the model's vocabulary may come
 * next. text/constraint/gbnf.h reads grammars, grammar_matcher.h beside it follows texts; here are the tokens.
 * Threads: created on a preparation thread, then used by the worker alone.
 */
#ifndef INF_LLAMACPP_GRAMMAR_H
#define INF_LLAMACPP_GRAMMAR_H

#include "local/sampling.h"

/* vocab: the model's (struct llama_vocab), which must outlive the constraint. INVALID_ARGUMENT
 * (says what is wrong with the grammar), NO_MEMORY. */
int32_t grammar_constraint_create(struct sampling_constraint *out, void *vocab, inf_text grammar,
                                  inf_error *err);

#endif
