/* utf8: see the header. Table 3-7 of the Unicode Standard, well-formed byte sequences. */
#include "core/utf8.h"

static bool between(const char *s, unsigned char low, unsigned char high)
{
    return (unsigned char)*s >= low && (unsigned char)*s <= high;
}

static bool tail(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!between(s + i, 0x80, 0xbf))
            return false;
    return true;
}

size_t utf8_sequence(const char *s, size_t n)
{
    unsigned char c = (unsigned char)*s;

    if (c < 0x80)
        return 1;
    if (c >= 0xc2 && c <= 0xdf)
        return n >= 2 && tail(s + 1, 1) ? 2 : 0;
    if (c >= 0xe0 && c <= 0xef)
        return n >= 3 && between(s + 1, c == 0xe0 ? 0xa0 : 0x80, c == 0xed ? 0x9f : 0xbf) &&
                       tail(s + 2, 1)
                   ? 3
                   : 0;
    if (c >= 0xf0 && c <= 0xf4)
        return n >= 4 && between(s + 1, c == 0xf0 ? 0x90 : 0x80, c == 0xf4 ? 0x8f : 0xbf) &&
                       tail(s + 2, 2)
                   ? 4
                   : 0;
    return 0;
}

bool utf8_valid(const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t length = utf8_sequence(s + i, n - i);

        if (length == 0)
            return false;
        i += length;
    }
    return true;
}
