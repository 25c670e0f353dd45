/*
 * output_scan: see the header.
 */
#include "text/output/output_scan.h"

#include "core/ascii.h"
#include "core/json.h"

#include <string.h>

int output_match(const char *s, size_t n, size_t at, const char *word)
{
    size_t len = strlen(word);
    size_t there = at < n ? n - at : 0;

    if (there >= len)
        return memcmp(s + at, word, len) == 0 ? 1 : -1;
    return there == 0 || memcmp(s + at, word, there) == 0 ? 0 : -1;
}

size_t output_skip_space(const char *s, size_t n, size_t at)
{
    while (at < n && scan_is_space(s[at]))
        at++;
    return at;
}

size_t output_find(const char *s, size_t n, size_t at, const char *word)
{
    size_t len = strlen(word);

    while (at < n && n - at >= len) {
        const char *found = memchr(s + at, word[0], n - at - len + 1);

        if (!found)
            return n;
        at = (size_t)(found - s);
        if (memcmp(found, word, len) == 0)
            return at;
        at++;
    }
    return n;
}

static bool in_name(char c)
{
    return is_letter(c) || is_digit(c) || ((unsigned char)c & 0x80) || (c && strchr("_-.:/", c));
}

size_t output_name_end(const char *s, size_t n, size_t at)
{
    while (at < n && in_name(s[at]))
        at++;
    return at;
}

inf_text output_piece(const char *s, size_t from, size_t to)
{
    struct json_span bare = scan_trim(s + from, to > from ? to - from : 0);

    return (inf_text){bare.data, bare.len};
}
