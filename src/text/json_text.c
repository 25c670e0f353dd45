/*
 * json_text: see the header.
 */
#include "text/json_text.h"

#include "core/json.h"

#include <string.h>

static int32_t check_bounds(inf_text text, const char *what, const struct json_limits *limits,
                            inf_error *err)
{
    struct json_place at = {0};
    size_t nodes = 0; /* every value but the first follows one of these */

    if (text.len > limits->bytes)
        return error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, (int64_t)text.len,
                                "%s: longer than %zu bytes", what, limits->bytes);
    for (size_t i = 0; i < text.len; i++) {
        nodes += !at.in_string && text.data[i] && strchr(",:[{", text.data[i]);
        json_step(&at, text.data[i]);
        if (at.depth > limits->depth)
            return error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, (int64_t)i,
                                    "%s: nested deeper than %zu at byte %zu", what, limits->depth,
                                    i);
    }
    if (nodes > limits->nodes)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "%s: more than %zu values", what,
                         limits->nodes);
    return INF_OK;
}

int32_t json_text_parse(json_t **out, inf_text text, const char *what,
                        const struct json_limits *limits, inf_error *err)
{
    json_error_t why;
    int32_t code = check_bounds(text, what, limits, err);

    *out = NULL;
    if (code != INF_OK)
        return code;
    *out = json_loadb(text.data ? text.data : "", text.len,
                      JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, &why);
    if (*out)
        return INF_OK;
    if (json_error_code(&why) == json_error_out_of_memory)
        return error_no_memory(err);
    return error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, why.position,
                            "%s: not JSON, line %d column %d: %s", what, why.line, why.column,
                            why.text);
}
