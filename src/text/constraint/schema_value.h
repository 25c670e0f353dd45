/*
 * schema_value: whether a value that is there obeys a JSON schema. For fixed values (const, enum) and names,
 * beside which every keyword can stand.
 */
#ifndef INF_TEXT_CONSTRAINT_SCHEMA_VALUE_H
#define INF_TEXT_CONSTRAINT_SCHEMA_VALUE_H

#include "text/constraint/schema_compiler.h"

enum schema_verdict { SCHEMA_OBEYS, SCHEMA_DISOBEYS, SCHEMA_UNSURE };

/* UNSURE also when the error is set. */
enum schema_verdict schema_judge(struct schema_compiler *c, json_t *schema, json_t *value);
/* All of the claims. */
enum schema_verdict schema_judge_claims(struct schema_compiler *c,
                                        const struct schema_claims *claims, json_t *value);

/* As JSON Schema has it: 1 is 1.0. */
bool schema_same_value(const json_t *a, const json_t *b);

#endif
