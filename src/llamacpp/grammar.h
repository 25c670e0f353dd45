/*
 * grammar: a GBNF grammar as a constraint on sampling, through llama.cpp's own matcher. Grammars
 * are checked (gbnf_check.h) before llama.cpp sees them; exceptions end here.
 * Threads: created on a preparation thread, then used by the worker alone.
 */
#ifndef INF_LLAMACPP_GRAMMAR_H
#define INF_LLAMACPP_GRAMMAR_H

#include "local/sampling.h"

#ifdef __cplusplus
extern "C" {
#endif

/* vocab: the model's (struct llama_vocab), which must outlive the constraint. INVALID_ARGUMENT
 * (says what is wrong with the grammar), NO_MEMORY. */
int32_t grammar_constraint_create(struct sampling_constraint *out, void *vocab, inf_text grammar,
                                  inf_error *err);

#ifdef __cplusplus
}
#endif

#endif
