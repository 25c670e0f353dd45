/* ascii: kinds of characters, and words in bytes, whatever the locale. */
#ifndef INF_CORE_ASCII_H
#define INF_CORE_ASCII_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Whether the bytes are that word. */
static inline bool text_equals(const char *text, size_t len, const char *word)
{
    return len == strlen(word) && memcmp(text, word, len) == 0;
}

static inline bool text_begins(const char *text, size_t len, const char *word)
{
    size_t n = strlen(word);

    return len >= n && memcmp(text, word, n) == 0;
}

static inline bool text_ends(const char *text, size_t len, const char *word)
{
    size_t n = strlen(word);

    return len >= n && memcmp(text + len - n, word, n) == 0;
}

/* Whether that is the last of the parts between dots, or the whole. */
static inline bool is_last_part(const char *text, size_t len, const char *word)
{
    size_t n = strlen(word);

    return text_ends(text, len, word) && (len == n || text[len - n - 1] == '.');
}

static inline bool text_has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

/* n (up to 8) hexadecimal digits; false when one is none. */
static inline bool read_hex_digits(const char *s, size_t n, uint32_t *out)
{
    *out = 0;
    for (size_t i = 0; i < n; i++) {
        char low = (char)(s[i] | 0x20);

        if (!is_digit(s[i]) && (low < 'a' || low > 'f'))
            return false;
        *out = *out << 4 | (uint32_t)(is_digit(s[i]) ? s[i] - '0' : low - 'a' + 10);
    }
    return true;
}

#endif
