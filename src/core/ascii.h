/* ascii: kinds of characters, whatever the locale. */
#ifndef INF_CORE_ASCII_H
#define INF_CORE_ASCII_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
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
