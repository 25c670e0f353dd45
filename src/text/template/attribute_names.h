/*
 * attribute_names: names that Python's objects have and the sandbox refuses, by type.
 */
#ifndef INF_TEXT_TEMPLATE_ATTRIBUTE_NAMES_H
#define INF_TEXT_TEMPLATE_ATTRIBUTE_NAMES_H

#include <stddef.h>
#include <stdint.h>

struct refused_attribute {
    const char *name;
    uint64_t types; /* a bit for each of REFUSING_TYPES */
};

extern const char *const REFUSING_TYPES[];
extern const size_t N_REFUSING_TYPES;
extern const struct refused_attribute REFUSED_ATTRIBUTES[]; /* sorted by name */
extern const size_t N_REFUSED_ATTRIBUTES;

#endif
