/* utf8: telling well-formed UTF-8. Pure functions. */
#ifndef INF_CORE_UTF8_H
#define INF_CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* The length of the well-formed sequence at s (n bytes left, at least 1), or 0. */
size_t utf8_sequence(const char *s, size_t n);
bool utf8_valid(const char *s, size_t n);

#endif
