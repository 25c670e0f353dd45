/*
 * schema_rewrite: a checked JSON schema in the form that llama.cpp's converter turns into the
 * grammar it means. Knows what schema_check accepts and where the converter goes wrong with it.
 *
 * The converter names a grammar's rules after the properties, takes a definition's rule by its name
 * though another may have it, loses digits of an integer's only bound, and reads patterns loosely.
 * Here every schema that a $ref leads to, and the root, is a definition with a name that no other
 * rule can get; integers have both bounds; patterns are explicit; annotations are gone.
 * Threads: any.
 */
#ifndef INF_TEXT_CONSTRAINT_SCHEMA_REWRITE_H
#define INF_TEXT_CONSTRAINT_SCHEMA_REWRITE_H

#include <jansson.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A new document; NULL when out of memory. schema has passed schema_check. */
json_t *schema_rewrite(json_t *schema);

/* The integers that the bounds of a schema leave, as the converter writes them: at most 15 digits.
 * false: none. */
bool schema_integer_bounds(const json_t *schema, json_int_t *low, json_int_t *high);

#ifdef __cplusplus
}
#endif

#endif
