/*
 * json_schema: a JSON schema as a grammar of the JSON texts that obey it. Every text that the grammar takes
 * is JSON that obeys the schema; not every such text is taken (docs/backends.md has the rules). What cannot
 * be enforced is refused by its name and place.
 *
 * Bounded in size, nesting and work, whatever the schema.
 * Threads: any.
 */
#ifndef INF_TEXT_CONSTRAINT_JSON_SCHEMA_H
#define INF_TEXT_CONSTRAINT_JSON_SCHEMA_H

#include "core/error.h"
#include "text/constraint/grammar.h"

#include <jansson.h>

/* INVALID_ARGUMENT says what of the schema cannot be used and where, NO_MEMORY. Freed with
 * grammar_free. */
int32_t json_schema_compile(struct grammar **out, inf_text schema, inf_error *err);

/* The same of a document that is parsed, and of a schema within it: what obeys `part`. Its $refs lead about in
 * the document. */
int32_t json_schema_compile_part(struct grammar **out, json_t *document, json_t *part,
                                 inf_error *err);

#endif
