/* chat_body_ollama: see the header. */
#include "remote/chat_body_ollama.h"

#include <string.h>

/* ------------------------------------------------------------------ messages */

static int32_t bad_message(inf_error *err, size_t number, const char *why)
{
    return error_set(err, INF_ERROR_INVALID_ARGUMENT, "messages_json: message %zu: %s", number,
                     why);
}

/* The base64 of a data URL, as it stands in the JSON text; absent for anything else. */
static struct json_span image_data(struct json_span part)
{
    struct json_span url = scan_member(part, "image_url");
    const char *comma = NULL;

    if (scan_is_object(url))
        url = scan_member(url, "url");
    if (!scan_is_string(url) || url.len < 8 || memcmp(url.data, "\"data:", 6) != 0)
        return (struct json_span){NULL, 0};
    comma = memchr(url.data, ',', url.len);
    if (!comma || comma - url.data < 7 || memcmp(comma - 7, ";base64", 7) != 0)
        return (struct json_span){NULL, 0};
    return (struct json_span){comma + 1, (size_t)(url.data + url.len - 1 - (comma + 1))};
}

/* Texts of the parts put together, images in a list. */
static int32_t write_parts(struct buffer *out, struct json_span parts, size_t number,
                           inf_error *err)
{
    struct json_span part;
    struct json_walk w;
    struct buffer images;
    int32_t code = INF_OK;

    buffer_init(&images, out->limit);
    buffer_append_str(out, ",\"content\":\"");
    for (scan_array(&w, parts); code == INF_OK && scan_next_item(&w, &part);) {
        struct json_span text = scan_member(part, "text");
        struct json_span image = image_data(part);

        if (scan_equals(scan_member(part, "type"), "text") && scan_is_string(text)) {
            buffer_append(out, text.data + 1, text.len - 2);
        } else if (scan_equals(scan_member(part, "type"), "image_url") && image.data) {
            chat_body_span(&images, images.len ? ",\"" : "\"", image);
            buffer_append_str(&images, "\"");
        } else {
            code = bad_message(err, number,
                               "Ollama takes parts of text, and images as data URLs in base64");
        }
    }
    buffer_append_str(out, "\"");
    if (images.len) {
        chat_body_span(out, ",\"images\":[", (struct json_span){images.data, images.len});
        buffer_append_str(out, "]");
    }
    out->failed = out->failed || images.failed;
    buffer_free(&images);
    return code;
}

/* The arguments, an object: as they are, or read from a text that holds one. */
static int32_t write_arguments(struct buffer *out, struct json_span arguments, size_t number,
                               inf_error *err)
{
    struct buffer text;
    int32_t code = INF_OK;

    buffer_init(&text, out->limit);
    if (scan_is_string(arguments)) {
        scan_unescape(&text, arguments);
        scan_json(&arguments, text.data ? text.data : "", text.len);
    }
    if (scan_is_object(arguments))
        chat_body_span(out, ",\"arguments\":", arguments);
    else if (!text.failed)
        code = bad_message(err, number, "a tool call's arguments are no JSON object");
    out->failed = out->failed || text.failed;
    buffer_free(&text);
    return code;
}

static int32_t write_calls(struct buffer *out, struct json_span calls, size_t number,
                           inf_error *err)
{
    struct json_span call;
    struct json_walk w;
    int32_t code = INF_OK;
    bool first = true;

    if (!scan_array(&w, calls))
        return bad_message(err, number, "\"tool_calls\" is no array");
    buffer_append_str(out, ",\"tool_calls\":[");
    for (; code == INF_OK && scan_next_item(&w, &call); first = false) {
        struct json_span function = scan_member(call, "function");
        struct json_span name = scan_member(function, "name");

        if (!scan_is_string(name))
            return bad_message(err, number, "a tool call has no function name");
        chat_body_span(out, first ? "{\"function\":{\"name\":" : ",{\"function\":{\"name\":", name);
        code = write_arguments(out, scan_member(function, "arguments"), number, err);
        buffer_append_str(out, "}}");
    }
    buffer_append_str(out, "]");
    return code;
}

/* The name of the function whose call had this id, the last one before this message. */
static struct json_span name_of_call(struct json_span messages, struct json_span before,
                                     struct json_span id)
{
    struct json_span found = {NULL, 0};
    struct json_span message, call;
    struct json_walk w, calls;

    for (scan_array(&w, messages); scan_next_item(&w, &message) && message.data != before.data;) {
        scan_array(&calls, scan_member(message, "tool_calls"));
        while (scan_next_item(&calls, &call)) {
            struct json_span own = scan_member(call, "id");

            if (own.data && own.len == id.len && memcmp(own.data, id.data, id.len) == 0)
                found = scan_member(scan_member(call, "function"), "name");
        }
    }
    return found;
}

/* Unless it is absent, or null. */
static void write_key(struct buffer *out, const char *key, struct json_span value)
{
    if (!scan_is_none(value))
        chat_body_span(out, key, value);
}

static void write_tool_name(struct buffer *out, struct json_span message, struct json_span all)
{
    struct json_span id = scan_member(message, "tool_call_id");
    struct json_span name = scan_member(message, "tool_name");

    if (scan_is_none(name) && scan_equals(scan_member(message, "role"), "tool"))
        name = scan_member(message, "name");
    if (scan_is_none(name) && id.data)
        name = name_of_call(all, message, id);
    write_key(out, ",\"tool_name\":", name);
}

static int32_t check_message(struct json_span message, size_t number, inf_error *err)
{
    static const char *const known[] = {
        "role",         "content",   "name",      "tool_calls",        "images",  "thinking",
        "tool_call_id", "tool_name", "reasoning", "reasoning_content", "refusal", NULL};
    struct json_span key, value;
    struct json_walk w;

    for (scan_object(&w, message); scan_next_member(&w, &key, &value);)
        if (!scan_is_none(value) && !chat_body_is_one_of(key, known))
            return bad_message(err, number, "it holds a key that Ollama would ignore");
    return INF_OK;
}

static int32_t write_message(struct buffer *out, struct json_span message, struct json_span all,
                             size_t number, inf_error *err)
{
    struct json_span content = scan_member(message, "content");
    struct json_span calls = scan_member(message, "tool_calls");
    struct json_span thinking = scan_member(message, "thinking");
    int32_t code = check_message(message, number, err);

    chat_body_span(out, "{\"role\":", scan_member(message, "role"));
    if (code == INF_OK && scan_is_array(content))
        code = write_parts(out, content, number, err);
    else if (code == INF_OK && scan_is_string(content))
        chat_body_span(out, ",\"content\":", content);
    else if (code == INF_OK && (!scan_is_none(content) || scan_is_none(calls)))
        code = bad_message(err, number, "its \"content\" is no text");
    if (code == INF_OK && !scan_is_none(calls))
        code = write_calls(out, calls, number, err);
    if (scan_is_none(thinking))
        thinking = scan_member(message, "reasoning");
    if (scan_is_none(thinking))
        thinking = scan_member(message, "reasoning_content");
    write_key(out, ",\"thinking\":", thinking);
    write_key(out, ",\"images\":", scan_member(message, "images"));
    write_tool_name(out, message, all);
    buffer_append_str(out, "}");
    return code;
}

static int32_t write_messages(struct buffer *out, const inf_request *r,
                              const struct chat_body_parts *p, inf_error *err)
{
    struct chat_body_parts without = *p;
    struct json_span message;
    struct json_walk w;
    int32_t code = INF_OK;
    size_t n = 0;

    without.messages = (struct json_span){NULL, 0};
    buffer_append_str(out, ",\"messages\":[");
    chat_body_messages(out, r, &without);
    for (scan_array(&w, p->messages); code == INF_OK && scan_next_item(&w, &message); n++) {
        buffer_append_str(out, n || r->system_prompt.data ? "," : "");
        code = write_message(out, message, p->messages, n + 1, err);
    }
    buffer_append_str(out, "]");
    return code;
}

/* ------------------------------------------------------------------ options */

static void write_options(struct buffer *out, const inf_request *r, const struct chat_body_parts *p)
{
    inf_maybe_f32 one = {true, 1};

    chat_body_float(out,
                    ",\"options\":{\"temperature\":", r->temperature.is_set ? r->temperature : one);
    chat_body_float(out, ",\"top_p\":", r->top_p.is_set ? r->top_p : one);
    if (p->with_max_tokens)
        chat_body_i64(out, ",\"num_predict\":", r->max_tokens.value);
    if (r->top_k.is_set) /* -1 means all elsewhere, 0 does here */
        chat_body_i64(out, ",\"top_k\":", r->top_k.value < 0 ? 0 : r->top_k.value);
    chat_body_float(out, ",\"min_p\":", r->min_p);
    chat_body_float(out, ",\"repeat_penalty\":", r->repetition_penalty);
    chat_body_float(out, ",\"frequency_penalty\":", r->frequency_penalty);
    chat_body_float(out, ",\"presence_penalty\":", r->presence_penalty);
    if (r->seed.is_set)
        chat_body_i64(out, ",\"seed\":", (int64_t)r->seed.value);
    chat_body_stops(out, r);
}

/* The options that extra_json has beyond those, and the closing brace. */
static int32_t write_more_options(struct buffer *out, struct json_span options, inf_error *err)
{
    static const char *const known[] = {"num_ctx",
                                        "num_batch",
                                        "num_gpu",
                                        "main_gpu",
                                        "use_mmap",
                                        "num_thread",
                                        "num_keep",
                                        "typical_p",
                                        "repeat_last_n",
                                        "mirostat",
                                        "mirostat_tau",
                                        "mirostat_eta",
                                        "penalize_newline",
                                        "numa",
                                        "tfs_z",
                                        "draft_num_predict",
                                        NULL};
    struct json_span key, value;
    struct json_walk w;

    if (!scan_is_none(options) && !scan_is_object(options))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "extra_json: \"options\" is no object");
    for (scan_object(&w, options); scan_next_member(&w, &key, &value);) {
        if (chat_body_check_key(key, err) != INF_OK)
            return INF_ERROR_INVALID_ARGUMENT;
        if (!chat_body_is_one_of(key, known))
            return error_set(err, INF_ERROR_UNSUPPORTED,
                             "extra_json: options: Ollama would ignore %.*s", (int)key.len,
                             key.data);
        chat_body_member(out, key, value);
    }
    buffer_append_str(out, "}");
    return INF_OK;
}

/* ------------------------------------------------------------------ further keys */

/* What /v1 calls reasoning_effort is "think" here, and "none" is false. */
static void write_effort(struct buffer *out, struct json_span effort)
{
    if (scan_equals(effort, "none"))
        buffer_append_str(out, ",\"think\":false");
    else
        write_key(out, ",\"think\":", effort);
}

/* /v1's response_format: {"type":"json_object"}, or one with a schema. */
static int32_t write_format(struct buffer *out, struct json_span format, inf_error *err)
{
    struct json_span type = scan_member(format, "type");
    struct json_span schema = scan_member(scan_member(format, "json_schema"), "schema");

    if (scan_equals(type, "json_object"))
        buffer_append_str(out, ",\"format\":\"json\"");
    else if (scan_equals(type, "json_schema") && scan_is_object(schema))
        chat_body_span(out, ",\"format\":", schema);
    else if (!scan_equals(type, "text"))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "extra_json: \"response_format\" is of no type that Ollama knows");
    return INF_OK;
}

static int32_t write_extra(struct buffer *out, struct json_span extra, inf_error *err)
{
    static const char *const known[] = {
        "format", "keep_alive", "think", "tools", "truncate", "shift", "_debug_render_only", NULL};
    struct json_span key, value;
    struct json_walk w;
    int32_t code = INF_OK;

    for (scan_object(&w, extra); code == INF_OK && scan_next_member(&w, &key, &value);) {
        if (scan_equals(key, "options"))
            continue;
        if (scan_equals(key, "reasoning_effort"))
            write_effort(out, value);
        else if (scan_equals(key, "response_format"))
            code = write_format(out, value, err);
        else if (chat_body_is_one_of(key, known))
            chat_body_member(out, key, value);
        else
            code = error_set(err, INF_ERROR_UNSUPPORTED, "extra_json: Ollama would ignore %.*s",
                             (int)key.len, key.data);
    }
    return code;
}

int32_t chat_body_write_ollama(struct buffer *out, const inf_request *r,
                               const struct chat_body_parts *p, inf_error *err)
{
    int32_t code = INF_OK;

    chat_body_text(out, "{\"model\":", p->model);
    code = write_messages(out, r, p, err);
    if (code != INF_OK)
        return code;
    buffer_append_str(out, ",\"stream\":true");
    if (!scan_member(p->extra, "truncate").data)
        buffer_append_str(out, ",\"truncate\":false");
    if (!scan_member(p->extra, "shift").data)
        buffer_append_str(out, ",\"shift\":false");
    write_options(out, r, p);
    code = write_more_options(out, scan_member(p->extra, "options"), err);
    if (r->logprobs.is_set)
        chat_body_i64(out, ",\"logprobs\":true,\"top_logprobs\":", r->logprobs.value);
    write_key(out, ",\"format\":", p->schema);
    write_key(out, ",\"tools\":", p->tools);
    if (code == INF_OK)
        code = write_extra(out, p->extra, err);
    buffer_append_str(out, "}");
    return code;
}
