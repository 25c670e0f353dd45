/* utf8: see the header. Table 3-7 of the Unicode Standard, well-formed byte sequences: only the
 * second byte has a range that depends on the first. */
#include "core/utf8.h"

#include <string.h>

enum utf8_piece utf8_next(const char *s, size_t n, size_t *len)
{
    unsigned char c = (unsigned char)*s;
    unsigned char low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    unsigned char high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    size_t whole = utf8_width(*s);

    *len = 1;
    if (c >= 0x80 && (c < 0xc2 || c > 0xf4))
        return UTF8_BAD;
    for (; *len < whole; ++*len, low = 0x80, high = 0xbf) {
        if (*len == n)
            return UTF8_CUT;
        if ((unsigned char)s[*len] < low || (unsigned char)s[*len] > high)
            return UTF8_BAD;
    }
    return UTF8_WHOLE;
}

size_t utf8_sequence(const char *s, size_t n)
{
    size_t len = 0;

    return utf8_next(s, n, &len) == UTF8_WHOLE ? len : 0;
}

/* How many of the bytes at s are ASCII, in steps of 8. */
static size_t ascii_words(const char *s, size_t n)
{
    uint64_t word = 0;
    size_t i = 0;

    for (; i + sizeof word <= n; i += sizeof word) {
        memcpy(&word, s + i, sizeof word);
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    return i;
}

bool utf8_valid(const char *s, size_t n)
{
    size_t i = ascii_words(s, n);

    for (size_t len = 1; i < n; i += len, len = 1) {
        if ((unsigned char)s[i] < 0x80)
            continue;
        if (utf8_next(s + i, n - i, &len) != UTF8_WHOLE)
            return false;
        len += ascii_words(s + i + len, n - i - len);
    }
    return true;
}

bool utf8_append(struct buffer *out, const char *s, size_t n, size_t *cut)
{
    size_t begin = 0; /* of what is well-formed and not appended yet */
    size_t i = 0;

    for (size_t len = 0; i < n; i += len) {
        enum utf8_piece kind = utf8_next(s + i, n - i, &len);

        if (kind == UTF8_CUT && cut)
            break;
        if (kind != UTF8_WHOLE) {
            if (!buffer_append(out, s + begin, i - begin) ||
                !buffer_append(out, UTF8_REPLACEMENT, 3))
                return false;
            begin = i + len;
        }
    }
    if (cut)
        *cut = n - i;
    return buffer_append(out, s + begin, i - begin);
}

size_t utf8_count(const char *s, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += !utf8_goes_on(s[i]);
    return count;
}

size_t utf8_encode(char out[4], uint32_t code)
{
    static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

    for (size_t i = n - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(first[n] | code);
    return n;
}
