/*
 * gbnf_check: whether a GBNF grammar is one that llama.cpp's matcher can be trusted with. Knows the
 * grammar's syntax, nothing of tokens or of llama.cpp.
 *
 * llama.cpp's parser allocates without bound for a{5,2}, recurses as deep as the brackets, visits
 * rules exponentially often while it looks for left recursion, and misses left recursion behind a
 * rule that is empty only through others; its matcher then never ends. All of that is refused here.
 * Threads: any; nothing is kept.
 */
#ifndef INF_LLAMACPP_GBNF_CHECK_H
#define INF_LLAMACPP_GBNF_CHECK_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>

/* is_token: whether the text, angle brackets included, is one token of the vocabulary; NULL: all are.
 * INVALID_ARGUMENT (says where and why), NO_MEMORY. The start symbol is "root". */
int32_t gbnf_check(inf_text grammar, bool (*is_token)(void *arg, const char *text, size_t len),
                   void *arg, inf_error *err);

#endif
