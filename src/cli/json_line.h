/* json_line: JSON that a user wrote, with errors that say where. */
#ifndef INF_CLI_JSON_LINE_H
#define INF_CLI_JSON_LINE_H

#include <inference/inference.h>
#include <jansson.h>

/* Whether the value of this key may be a whole number from 2^63 on, which then comes as a string. */
typedef bool (*wide_key_fn)(inf_text key);

/* A JSON value of any kind, or NULL with INVALID_ARGUMENT: "not WHAT: why (column 7)", the place where
 * the piece that is wrong begins, counted in characters from 1. Numbers beyond 64 bits, a key that
 * stands twice and halves of surrogate pairs are errors. is_wide: of the outermost object's keys; NULL:
 * none is. */
json_t *json_line_parse(inf_text text, const char *what, wide_key_fn is_wide, inf_error *err);

#endif
