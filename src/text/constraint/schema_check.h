/*
 * schema_check: whether everything that a JSON schema says is something its conversion to a grammar
 * enforces. Knows JSON Schema and what llama.cpp's converter makes of it, nothing of grammars.
 *
 * The converter leaves out what it does not know without a word, and follows a $ref to itself until
 * the stack ends. Here each keyword either takes effect, or is an annotation, or is refused by its
 * name and place. oneOf is taken as anyOf: nothing is lost where its alternatives exclude each other.
 * An object with properties has no others, a pattern matches the whole text: what comes out obeys
 * the schema, though not all that obeys it can come out.
 * Threads: any.
 */
#ifndef INF_TEXT_CONSTRAINT_SCHEMA_CHECK_H
#define INF_TEXT_CONSTRAINT_SCHEMA_CHECK_H

#include "core/error.h"

#include <jansson.h>

#ifdef __cplusplus
extern "C" {
#endif

/* INVALID_ARGUMENT with the JSON pointer of what cannot be enforced; NO_MEMORY. The schema is not
 * changed. */
int32_t schema_check(json_t *schema, inf_error *err);

#ifdef __cplusplus
}
#endif

#endif
