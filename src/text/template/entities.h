/* entities: HTML's named characters, sorted by name in bytes. */
#ifndef INF_TEXT_TEMPLATE_ENTITIES_H
#define INF_TEXT_TEMPLATE_ENTITIES_H

#include <stddef.h>

struct entity {
    const char *name; /* with its semicolon, where it has one */
    const char *text;
};

extern const struct entity ENTITIES[];
extern const size_t N_ENTITIES;

#endif
