/* chat_body_parts: see the header. */
#include "remote/chat_body_parts.h"

#include "core/ascii.h"

#include <inttypes.h>

/* Fields that extra_json may not hold, with what to use instead. */
static const struct {
    const char *key, *instead;
} owned[] = {
    {"model", "model"},
    {"messages", "messages_json"},
    {"stream", NULL},
    {"stream_options", NULL},
    {"n", NULL},
    {"max_tokens", "max_tokens"},
    {"max_completion_tokens", "max_tokens"},
    {"temperature", "temperature"},
    {"top_p", "top_p"},
    {"top_k", "top_k"},
    {"min_p", "min_p"},
    {"repetition_penalty", "repetition_penalty"},
    {"repeat_penalty", "repetition_penalty"},
    {"frequency_penalty", "frequency_penalty"},
    {"presence_penalty", "presence_penalty"},
    {"seed", "seed"},
    {"stop", "stop"},
    {"stop_token_ids", "stop_token_ids"},
    {"ignore_eos", "ignore_eos"},
    {"logprobs", "logprobs"},
    {"top_logprobs", "logprobs"},
    {"chat_template_kwargs", "template_variables"},
    {"num_predict", "max_tokens"},
};

bool chat_body_is_one_of(struct json_span key, const char *const *names)
{
    while (*names && !scan_equals(key, *names))
        names++;
    return *names != NULL;
}

int32_t chat_body_check_key(struct json_span key, inf_error *err)
{
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) {
        if (!scan_equals(key, owned[i].key))
            continue;
        if (owned[i].instead)
            return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                             "extra_json: \"%s\" is a field of the request: set %s", owned[i].key,
                             owned[i].instead);
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "extra_json: \"%s\" is set by the library", owned[i].key);
    }
    return INF_OK;
}

/* ------------------------------------------------------------------ writing */

void chat_body_span(struct buffer *out, const char *key, struct json_span value)
{
    buffer_append_str(out, key);
    buffer_append(out, value.data, value.len);
}

void chat_body_member(struct buffer *out, struct json_span key, struct json_span value)
{
    chat_body_span(out, ",", key);
    chat_body_span(out, ":", value);
}

void chat_body_text(struct buffer *out, const char *key, inf_text text)
{
    buffer_append_str(out, key);
    write_json_string(out, text.data, text.len);
}

void chat_body_i64(struct buffer *out, const char *key, int64_t value)
{
    buffer_printf(out, "%s%" PRId64, key, value);
}

void chat_body_float(struct buffer *out, const char *key, inf_maybe_f32 value)
{
    if (!value.is_set)
        return;
    buffer_append_str(out, key);
    write_json_float(out, value.value);
}

void chat_body_stops(struct buffer *out, const inf_request *r)
{
    for (size_t i = 0; i < r->n_stop; i++)
        chat_body_text(out, i ? "," : ",\"stop\":[", r->stop[i]);
    if (r->n_stop)
        buffer_append_str(out, "]");
}

bool chat_body_has_choice(const inf_request *r)
{
    return r->tool_choice.data && !text_equals(r->tool_choice.data, r->tool_choice.len, "auto");
}

/* A function's name becomes the object that servers take. */
static void write_choice(struct buffer *out, inf_text choice)
{
    bool is_named = !text_equals(choice.data, choice.len, "auto") &&
                    !text_equals(choice.data, choice.len, "none") &&
                    !text_equals(choice.data, choice.len, "required");

    if (choice.len && choice.data[0] == '{') {
        chat_body_span(out, ",\"tool_choice\":", (struct json_span){choice.data, choice.len});
        return;
    }
    chat_body_text(out,
                   is_named ? ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":"
                            : ",\"tool_choice\":",
                   choice);
    buffer_append_str(out, is_named ? "}}" : "");
}

void chat_body_tools(struct buffer *out, const inf_request *r, const struct chat_body_parts *p)
{
    if (p->tools.data)
        chat_body_span(out, ",\"tools\":", p->tools);
    if (r->tool_choice.data)
        write_choice(out, r->tool_choice);
}

static void write_message(struct buffer *out, inf_text role, inf_text content, bool first)
{
    chat_body_text(out, first ? "{\"role\":" : ",{\"role\":", role);
    chat_body_text(out, ",\"content\":", content);
    buffer_append_str(out, "}");
}

void chat_body_messages(struct buffer *out, const inf_request *r, const struct chat_body_parts *p)
{
    bool first = !r->system_prompt.data;

    if (!first)
        write_message(out, inf_str("system"), r->system_prompt, true);
    if (r->prompt.data)
        write_message(out, inf_str("user"), r->prompt, first);
    for (size_t i = 0; i < r->n_messages; i++)
        write_message(out, r->messages[i].role, r->messages[i].content, first && i == 0);
    if (p->messages.data) {
        buffer_append_str(out, first ? "" : ",");
        buffer_append(out, p->messages.data + 1, p->messages.len - 2);
    }
}
