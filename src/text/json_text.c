/*
 * json_text: see the header.
 */
#include "text/json_text.h"

struct scan {
    size_t depth;
    size_t deepest;
    size_t nodes;
    bool in_string;
    bool escaped;
};

static void scan_string(struct scan *s, char c)
{
    if (s->escaped)
        s->escaped = false;
    else if (c == '\\')
        s->escaped = true;
    else if (c == '"')
        s->in_string = false;
}

/* Every value but the first of a list follows a comma, a colon or an opening bracket. */
static void scan_byte(struct scan *s, char c)
{
    if (s->in_string) {
        scan_string(s, c);
        return;
    }
    s->in_string = c == '"';
    if (c == '[' || c == '{')
        s->depth++;
    if ((c == ']' || c == '}') && s->depth > 0)
        s->depth--;
    if (c == ',' || c == ':' || c == '[' || c == '{')
        s->nodes++;
    if (s->depth > s->deepest)
        s->deepest = s->depth;
}

static int32_t check_bounds(inf_text text, const char *what, const struct json_limits *limits,
                            inf_error *err)
{
    struct scan s = {0};

    if (text.len > limits->bytes)
        return error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, (int64_t)text.len,
                                "%s: longer than %zu bytes", what, limits->bytes);
    for (size_t i = 0; i < text.len; i++) {
        scan_byte(&s, text.data[i]);
        if (s.deepest > limits->depth)
            return error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, (int64_t)i,
                                    "%s: nested deeper than %zu at byte %zu", what, limits->depth,
                                    i);
    }
    if (s.nodes > limits->nodes)
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
