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

/* ------------------------------------------------------------------ in text that is known to be well-formed
 * (half of a surrogate pair may stand there as three bytes) */

/* It begins no code point. */
static inline bool utf8_goes_on(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* How many bytes the code point has that begins with this one. */
static inline size_t utf8_width(char first)
{
    unsigned char c = (unsigned char)first;

    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* The code point of these n bytes. */
static inline uint32_t utf8_decode(const char *s, size_t n)
{
    const unsigned char *u = (const unsigned char *)s;

    switch (n) {
    case 1:
        return u[0];
    case 2:
        return (u[0] & 0x1fu) << 6 | (u[1] & 0x3fu);
    case 3:
        return (u[0] & 0xfu) << 12 | (u[1] & 0x3fu) << 6 | (u[2] & 0x3fu);
    default:
        return (u[0] & 7u) << 18 | (u[1] & 0x3fu) << 12 | (u[2] & 0x3fu) << 6 | (u[3] & 0x3fu);
    }
}

/* The code point at s[*at], and *at behind it. */
static inline uint32_t utf8_step(const char *s, size_t *at)
{
    size_t n = utf8_width(s[*at]);

    *at += n;
    return utf8_decode(s + *at - n, n);
}

/* Where the code point begins that ends before `at`, which is not 0. */
static inline size_t utf8_back(const char *s, size_t at)
{
    do
        at--;
    while (at > 0 && utf8_goes_on(s[at]));
    return at;
}

size_t utf8_count(const char *s, size_t n);

/* The two halves of a surrogate pair, D800 to DBFF and DC00 to DFFF, and what they mean. */
static inline bool utf8_is_high(uint32_t code)
{
    return code >= 0xd800 && code <= 0xdbff;
}

static inline bool utf8_is_low(uint32_t code)
{
    return code >= 0xdc00 && code <= 0xdfff;
}

static inline uint32_t utf8_joined(uint32_t high, uint32_t low)
{
    return 0x10000 + ((high & 0x3ff) << 10) + (low & 0x3ff);
}

/* Its bytes, 1 to 4; half of a surrogate pair gives the three that it would be. */
size_t utf8_encode(char out[4], uint32_t code);

#endif
