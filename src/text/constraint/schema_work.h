/*
 * schema_work: how much llama.cpp's converter has to do for a JSON schema. Knows what the converter
 * writes out, nothing of what a schema means.
 *
 * A $ref becomes the name of a rule, but one in an allOf is replaced by all that it leads to, each
 * time it is met: a page of text can stand for more rules than there is memory for, or for endlessly
 * many. And an object's optional properties are combined two by two. The converter cannot be stopped;
 * what is too much for it is not given to it.
 * Threads: any.
 */
#ifndef INF_TEXT_CONSTRAINT_SCHEMA_WORK_H
#define INF_TEXT_CONSTRAINT_SCHEMA_WORK_H

#include "text/constraint/schema_refs.h"

/* Whether the conversion takes less than about a second. schema is well formed, targets are those
 * of all its $ref. */
bool schema_work_fits(json_t *schema, const struct schema_list *targets);

#endif
