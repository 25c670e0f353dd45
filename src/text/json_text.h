/*
 * json_text: JSON from a user, bounded before it is parsed: bytes, nesting, number of values. Knows
 * nothing of what the JSON means.
 */
#ifndef INF_TEXT_JSON_TEXT_H
#define INF_TEXT_JSON_TEXT_H

#include "core/error.h"

#include <jansson.h>

#ifdef __cplusplus
extern "C" {
#endif

struct json_limits {
    size_t bytes;
    size_t depth;
    size_t nodes;
};

/*
 * Any value; the caller releases it with json_decref. what: how messages call it.
 * Errors: INVALID_ARGUMENT (says where), NO_MEMORY. A key that comes twice is an error.
 */
int32_t json_text_parse(json_t **out, inf_text text, const char *what,
                        const struct json_limits *limits, inf_error *err);

#ifdef __cplusplus
}
#endif

#endif
