/*
 * schema_formats: the "format" of a JSON schema as regular expressions. What is taken is of the format;
 * not all that is of it is taken (docs/backends.md).
 * Threads: any.
 */
#ifndef INF_TEXT_CONSTRAINT_SCHEMA_FORMATS_H
#define INF_TEXT_CONSTRAINT_SCHEMA_FORMATS_H

#include <stddef.h>

struct schema_format {
    const char *name;
    const char *pattern;  /* what texts of it match; NULL: any text is of it, or it is of numbers */
    const char *not_this; /* and what they do not match; NULL: nothing */
    const char *minimum, *maximum; /* of whole numbers of it; NULL: none */
};

/* NULL: unknown. */
const struct schema_format *schema_format_of(const char *name);

#endif
