/*
 * regex_syntax: Oniguruma's regular expressions (Ruby's syntax, as the tokenizers library has them)
 * written for PCRE2. Pure functions.
 */
#ifndef INF_HF_TOKENIZER_REGEX_SYNTAX_H
#define INF_HF_TOKENIZER_REGEX_SYNTAX_H

#include "core/buffer.h"
#include "core/error.h"

/* UNSUPPORTED: what the two understand differently and cannot be put over, named. NO_MEMORY. Whether
 * the rest is a regular expression at all is for PCRE2 to say. */
int32_t regex_syntax_write(struct buffer *out, const char *pattern, size_t n, inf_error *err);

#endif
