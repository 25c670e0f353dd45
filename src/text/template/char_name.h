/*
 * char_name: the character that a name means in a string of Python's, "\N{EM DASH}": names and aliases of Unicode
 * in letters of either case, Hangul syllables and unified ideographs in capitals; no sequences. Which names
 * there are is the library's Unicode version. Pure functions.
 */
#ifndef INF_TEXT_TEMPLATE_CHAR_NAME_H
#define INF_TEXT_TEMPLATE_CHAR_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False: there is none of that name. */
bool char_by_name(uint32_t *c, const char *name, size_t len);

#endif
