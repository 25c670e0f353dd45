/*
 * schema_refs: where a $ref of a JSON schema leads, within its own document. Borrows from the
 * document. Threads: any.
 */
#ifndef INF_TEXT_CONSTRAINT_SCHEMA_REFS_H
#define INF_TEXT_CONSTRAINT_SCHEMA_REFS_H

#include <jansson.h>
#include <stdbool.h>

/* What "#", "#/a/0/b" (~0 and ~1 are ~ and /, %25 is %) or "#name" of an $anchor names; the document's own
 * $id may stand before the #. NULL: nothing. */
json_t *schema_resolve(json_t *root, const json_t *ref);

/* The schema that a chain of $ref ends at; NULL: nothing, or a circle. */
json_t *schema_follow(json_t *root, json_t *schema);

#endif
