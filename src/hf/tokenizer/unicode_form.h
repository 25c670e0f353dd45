/*
 * unicode_form: Unicode normalization forms, by utf8proc, with a fast way past what has nothing to
 * change. Characters that the library's older Unicode does not know are left alone. Pure functions,
 * after char_kinds_init.
 */
#ifndef INF_HF_TOKENIZER_UNICODE_FORM_H
#define INF_HF_TOKENIZER_UNICODE_FORM_H

#include "core/buffer.h"

enum unicode_form { FORM_NFC, FORM_NFD, FORM_NFKC, FORM_NFKD };

/* Where the first character is that may have to change; n: none. */
size_t unicode_form_first(enum unicode_form form, const char *s, size_t n);
/* Appends the text (well-formed UTF-8) in a form. false: out of memory. */
bool unicode_form_append(enum unicode_form form, const char *s, size_t n, struct buffer *out);

#endif
