/*
 * schema_kinds: the kinds of values that JSON Schema tells apart, as bits. Pure functions.
 */
#ifndef INF_TEXT_CONSTRAINT_SCHEMA_KINDS_H
#define INF_TEXT_CONSTRAINT_SCHEMA_KINDS_H

#include "text/constraint/schema_keys.h"

enum {
    KIND_NULL = 1,
    KIND_FALSE = 2,
    KIND_TRUE = 4,
    KIND_INTEGER = 8,   /* 1.0 is one too */
    KIND_FRACTION = 16, /* numbers that are none */
    KIND_STRING = 32,
    KIND_ARRAY = 64,
    KIND_OBJECT = 128,
    KIND_NUMBER = KIND_INTEGER | KIND_FRACTION,
    KIND_ALL = 255
};

unsigned schema_kind_of(const json_t *value);
unsigned schema_kinds_of_values(const json_t *list);
/* Of what stands under "type". */
unsigned schema_kinds_of_type(const json_t *type);
/* What values a keyword says something about; 0: all, or none. */
unsigned schema_kinds_spoken_of(enum schema_key key);

#endif
