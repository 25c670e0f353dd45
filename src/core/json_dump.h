/* json_dump: a JSON value of jansson's as text. */
#ifndef INF_CORE_JSON_DUMP_H
#define INF_CORE_JSON_DUMP_H

#include "core/buffer.h"
#include "core/error.h"

#include <jansson.h>

/* Appends the value, in one line, and releases it. NO_MEMORY, also of NULL: a value that could not be made. */
int32_t json_dump(struct buffer *out, json_t *value, inf_error *err);

#endif
