/* utf8: code points and their bytes. Pure functions. */
#ifndef INF_CORE_UTF8_H
#define INF_CORE_UTF8_H

#include "core/buffer.h"

#include <stdint.h>

#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD, for what is none */

enum utf8_piece {
    UTF8_WHOLE, /* a code point */
    UTF8_CUT,   /* all n bytes, and more could make them one */
    UTF8_BAD    /* none: what U+FFFD stands for */
};

/* What is at s (n bytes left, at least 1), and how many bytes of it. */
enum utf8_piece utf8_next(const char *s, size_t n, size_t *len);
/* The length of the well-formed sequence at s (n bytes left, at least 1), or 0. */
size_t utf8_sequence(const char *s, size_t n);
bool utf8_valid(const char *s, size_t n);

/* Appends bytes as well-formed text. *cut: how many at the end are the beginning of a code point, and
 * are left out; NULL: U+FFFD stands for those too. false: out of memory. */
bool utf8_append(struct buffer *out, const char *s, size_t n, size_t *cut);

/* The code point that a well-formed sequence means. */
uint32_t utf8_decode(const char *s, size_t n);
/* Its bytes, 1 to 4; half of a surrogate pair gives the three that it would be. */
size_t utf8_encode(char out[4], uint32_t code);

#endif
