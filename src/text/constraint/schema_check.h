/*
 * schema_check: whether a JSON schema is one: every keyword is known, what stands under it has the right
 * form, every $ref leads somewhere. Knows nothing of what can be enforced.
 */
#ifndef INF_TEXT_CONSTRAINT_SCHEMA_CHECK_H
#define INF_TEXT_CONSTRAINT_SCHEMA_CHECK_H

#include "text/constraint/schema_compiler.h"

/* All of the document, and wherever a $ref leads. false: the error is set. */
bool schema_check(struct schema_compiler *c);

#endif
