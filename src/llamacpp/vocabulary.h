/*
 * vocabulary: a GGUF file's vocabulary as a tokenizer of our own (hf/tokenizer), for the kinds of
 * vocabulary of which it gives the ids that the model was trained on: see splitters.c's table. The
 * others are llama.cpp's, whose tables take many times as long to make.
 *
 * Immutable once made; any thread.
 */
#ifndef INF_LLAMACPP_VOCABULARY_H
#define INF_LLAMACPP_VOCABULARY_H

#include "gguf/file.h"
#include "local/tokenizer.h"

struct vocabulary;

/* How many tokens it would have; 0: it is llama.cpp's, as is known without reading it. Of a file that
 * gguf_model_check has passed, here and below. */
int32_t vocabulary_count(const struct gguf_file *file);
/* *out NULL: it is to be llama.cpp's. NO_MEMORY. */
int32_t vocabulary_read(struct vocabulary **out, const struct gguf_file *file, inf_error *err);
void vocabulary_free(struct vocabulary *v); /* NULL is ignored */

/* Borrows v. */
void vocabulary_describe(struct vocabulary *v, struct tokenizer *out);

#endif
