/*
 * schema_disjoint: whether no value can obey two schemas, as far as types, fixed values and required
 * properties tell. Knows nothing of grammars.
 */
#ifndef INF_TEXT_CONSTRAINT_SCHEMA_DISJOINT_H
#define INF_TEXT_CONSTRAINT_SCHEMA_DISJOINT_H

#include "text/constraint/schema_compiler.h"

/* No value that a means obeys b. false: perhaps one does. What a means without a type are the kinds of
 * values that it speaks of, schema_kinds_meant; others obey it as well, but are not written for it. */
bool schema_are_disjoint(struct schema_compiler *c, json_t *a, json_t *b);
unsigned schema_kinds_meant(struct schema_compiler *c, json_t *schema);

#endif
