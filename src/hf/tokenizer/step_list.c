/* step_list: see the header. */
#include "hf/tokenizer/step_list.h"

enum { DEEPEST = 16 };

static int32_t read_step(const struct step_list *l, void *owner, struct json_span json, int depth,
                         inf_error *err);

static int32_t read_sequence(const struct step_list *l, void *owner, struct json_span json,
                             int depth, inf_error *err)
{
    struct json_span step;
    struct json_walk w;
    int32_t code = INF_OK;

    if (!scan_array(&w, scan_member(json, l->steps)))
        return error_set(err, INF_ERROR_BAD_FORMAT, "%s: Sequence has no %s", l->part, l->steps);
    if (depth == DEEPEST)
        return error_set(err, INF_ERROR_UNSUPPORTED, "%s: nested too deeply", l->part);
    while (code == INF_OK && scan_next_item(&w, &step))
        code = read_step(l, owner, step, depth + 1, err);
    return code;
}

static int32_t read_step(const struct step_list *l, void *owner, struct json_span json, int depth,
                         inf_error *err)
{
    struct json_span type = scan_member(json, "type");

    if (!scan_is_object(json) || !scan_is_string(type))
        return error_set(err, INF_ERROR_BAD_FORMAT, "%s: an object with a type is expected",
                         l->part);
    if (scan_equals(type, "Sequence"))
        return read_sequence(l, owner, json, depth, err);
    for (size_t i = 0; i < l->n; i++)
        if (l->types[i] && scan_equals(type, l->types[i]))
            return l->add(owner, json, i, err);
    return error_set(err, INF_ERROR_UNSUPPORTED, "%s: the type %.*s is not known", l->part,
                     (int)(type.len < 60 ? type.len : 60), type.data);
}

int32_t step_list_read(const struct step_list *l, void *owner, struct json_span json,
                       inf_error *err)
{
    return read_step(l, owner, json, 0, err);
}

int32_t step_list_string(struct buffer *out, const char *part, struct json_span step,
                         const char *type, const char *name, inf_error *err)
{
    struct json_span value = scan_member(step, name);

    if (!scan_is_string(value))
        return error_set(err, INF_ERROR_BAD_FORMAT, "%s: %s has no %s", part, type, name);
    /* NUL-terminated also when it is empty */
    return scan_unescape(out, value) && buffer_append(out, "", 0) ? INF_OK : error_no_memory(err);
}

bool step_list_flag(struct json_span step, const char *name, bool otherwise)
{
    struct json_span value = scan_member(step, name);

    return scan_is_none(value) ? otherwise : scan_is_true(value);
}
