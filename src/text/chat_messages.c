/*
 * chat_messages: a request's list of messages as the JSON that templates and servers take.
 */
#include "text/chat_template.h"

#include "core/json.h"
#include "core/utf8.h"

static int32_t check_text(inf_text text, size_t index, const char *field, inf_error *err)
{
    if (!text.data)
        return error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, (int64_t)index,
                                "messages[%zu] has no %s", index, field);
    if (!utf8_valid(text.data, text.len))
        return error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, (int64_t)index,
                                "messages[%zu]: the %s is not valid UTF-8", index, field);
    return INF_OK;
}

int32_t chat_messages_to_json(const inf_message *messages, size_t n, struct buffer *out,
                              inf_error *err)
{
    struct buffer json;
    bool ok = true;
    int32_t code = INF_OK;

    buffer_init(&json, BUFFER_NO_LIMIT);
    ok = buffer_append_str(&json, "[");
    for (size_t i = 0; ok && code == INF_OK && i < n; i++) {
        code = check_text(messages[i].role, i, "role", err);
        if (code == INF_OK)
            code = check_text(messages[i].content, i, "content", err);
        if (code == INF_OK)
            ok = buffer_append_str(&json, i ? ",{\"role\":" : "{\"role\":") &&
                 write_json_string(&json, messages[i].role.data, messages[i].role.len) &&
                 buffer_append_str(&json, ",\"content\":") &&
                 write_json_string(&json, messages[i].content.data, messages[i].content.len) &&
                 buffer_append_str(&json, "}");
    }
    ok = ok && buffer_append_str(&json, "]");
    if (code == INF_OK && (!ok || !buffer_append(out, json.data, json.len)))
        code = error_no_memory(err);
    buffer_free(&json);
    return code;
}
