/*
 * chat_messages: a request's list of messages as the JSON that templates and servers take.
 */
#include "text/chat_template.h"

#include "core/utf8.h"

static bool append_escaped(struct buffer *out, unsigned char c)
{
    char text[2] = {'\\', (char)c};

    switch (c) {
    case '"':
    case '\\':
        return buffer_append(out, text, 2);
    case '\n':
        return buffer_append_str(out, "\\n");
    default:
        return buffer_printf(out, "\\u%04x", c);
    }
}

/* A JSON string: runs of plain bytes are copied in one piece. */
static bool append_string(struct buffer *out, inf_text text)
{
    size_t plain = 0;
    bool ok = buffer_append_str(out, "\"");

    for (size_t i = 0; ok && i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        ok = buffer_append(out, text.data + plain, i - plain) && append_escaped(out, c);
        plain = i + 1;
    }
    if (ok && text.len > plain)
        ok = buffer_append(out, text.data + plain, text.len - plain);
    return ok && buffer_append_str(out, "\"");
}

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
                 append_string(&json, messages[i].role) &&
                 buffer_append_str(&json, ",\"content\":") &&
                 append_string(&json, messages[i].content) && buffer_append_str(&json, "}");
    }
    ok = ok && buffer_append_str(&json, "]");
    if (code == INF_OK && (!ok || !buffer_append(out, json.data, json.len)))
        code = error_no_memory(err);
    buffer_free(&json);
    return code;
}
