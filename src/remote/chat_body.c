/* chat_body: see the header. */
#include "remote/chat_body.h"

#include "core/ascii.h"

#include <inttypes.h>
#include <string.h>

/* ------------------------------------------------------------------ what is refused */

static int32_t check_fields(const struct chat_form *form, const inf_request *r, inf_error *err)
{
    const struct {
        const char *name;
        bool set;
        uint32_t field; /* 0: nobody takes it */
    } fields[] = {
        {"adapter_scale", r->adapter_scale.is_set && !(r->adapter_scale.value == 1.0f), 0},
        {"template_variables", r->template_variables.data != NULL, FIELD_TEMPLATE_VARIABLES},
        {"top_k", r->top_k.is_set, FIELD_TOP_K},
        {"min_p", r->min_p.is_set, FIELD_MIN_P},
        {"repetition_penalty", r->repetition_penalty.is_set, FIELD_REPETITION_PENALTY},
        {"stop_token_ids", r->n_stop_token_ids > 0, FIELD_STOP_TOKEN_IDS},
        {"ignore_eos", r->ignore_eos, FIELD_IGNORE_EOS},
        {"grammar", r->grammar.data != NULL, FIELD_GRAMMAR},
        {"tool_choice", chat_body_has_choice(r), FIELD_TOOL_CHOICE},
        {"continue_final_message", r->continue_final_message, FIELD_CONTINUE},
    };

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].set && !(form->takes & fields[i].field))
            return error_set(err, INF_ERROR_UNSUPPORTED, "%s: %s; leave it unset", fields[i].name,
                             form->why_not);
    if (r->seed.is_set && r->seed.value > form->seed_max)
        return error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, (int64_t)form->seed_max,
                                "seed: the server takes 0 to %" PRIu64, form->seed_max);
    return INF_OK;
}

static int32_t check_object(inf_text text, const char *field, struct json_span *out, inf_error *err)
{
    *out = (struct json_span){NULL, 0};
    if (!text.data)
        return INF_OK;
    if (!scan_json(out, text.data, text.len) || !scan_is_object(*out))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "%s: is not a JSON object", field);
    return INF_OK;
}

/* A schema: of the schemas that are no objects servers know nothing; true is {}, and nothing obeys false. */
static int32_t check_schema(inf_text text, struct json_span *out, inf_error *err)
{
    if (text.data && scan_json(out, text.data, text.len)) {
        if (scan_is_true(*out))
            return check_object(inf_str("{}"), "json_schema", out, err);
        if (scan_is_false(*out))
            return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                             "json_schema: no JSON text obeys false");
    }
    return check_object(text, "json_schema", out, err);
}

/* What asks for a form of output, by any of the names it has had. */
static const char *const forms_of_output[] = {
    "response_format", "structured_outputs", "guided_json", "guided_grammar",
    "guided_regex",    "guided_choice",      "format",      NULL};

static const char *const to_continue[] = {"continue_final_message", "add_generation_prompt", NULL};

static int32_t check_extra(const struct chat_form *form, struct json_span extra,
                           const inf_request *r, inf_error *err)
{
    struct json_span key, value, other, ignored;
    struct json_walk w, rest;

    scan_object(&w, extra);
    while (scan_next_member(&w, &key, &value)) {
        if (chat_body_check_key(key, err) != INF_OK)
            return INF_ERROR_INVALID_ARGUMENT;
        if ((r->json_schema.data || r->grammar.data) && chat_body_is_one_of(key, forms_of_output))
            return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                             "extra_json: %.*s contradicts json_schema or grammar", (int)key.len,
                             key.data);
        if ((r->tools.data && scan_equals(key, "tools")) ||
            (r->tool_choice.data && scan_equals(key, "tool_choice")) ||
            (r->continue_final_message && chat_body_is_one_of(key, to_continue)))
            return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                             "extra_json: %.*s is set by a field of the request too; give one",
                             (int)key.len, key.data);
        if (form->ignored && chat_body_is_one_of(key, form->ignored))
            return error_set(err, INF_ERROR_UNSUPPORTED, "extra_json: %.*s: %s; leave it out",
                             (int)key.len, key.data, form->why_not);
        for (rest = w; scan_next_member(&rest, &other, &ignored);)
            if (other.len == key.len && memcmp(other.data, key.data, key.len) == 0)
                return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                                 "extra_json: %.*s stands there twice", (int)key.len, key.data);
    }
    return INF_OK;
}

/* Ollama takes any role and makes something of it. */
static int32_t check_role(const struct chat_form *form, inf_text role, inf_error *err)
{
    static const char *const known[] = {"system", "user", "assistant", "tool"};

    if (form->any_role)
        return INF_OK; /* its chat template says what it knows */
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (text_equals(role.data, role.len, known[i]))
            return INF_OK;
    return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                     "messages: Ollama would take the role '%.*s' in silence; roles are system, "
                     "user, assistant and tool",
                     (int)(role.len < 64 ? role.len : 64), role.data);
}

static int32_t check_messages(const struct chat_form *form, const inf_request *r,
                              struct json_span *out, inf_error *err)
{
    struct json_span message, role;
    struct json_walk w;
    size_t n = 0;
    int32_t code = INF_OK;

    *out = (struct json_span){NULL, 0};
    for (size_t i = 0; i < r->n_messages && code == INF_OK; i++)
        code = check_role(form, r->messages[i].role, err);
    if (!r->messages_json.data || code != INF_OK)
        return code;
    if (!scan_json(out, r->messages_json.data, r->messages_json.len) || !scan_array(&w, *out))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "messages_json: is not a JSON array");
    for (; scan_next_item(&w, &message); n++) {
        if (!scan_is_object(message) || !scan_is_string(scan_member(message, "role")))
            return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                             "messages_json: message %zu is no object with a \"role\"", n + 1);
        role = scan_member(message, "role");
        code = check_role(form, (inf_text){role.data + 1, role.len - 2}, err);
        if (code != INF_OK)
            return code;
    }
    if (n == 0)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "messages_json: holds no message");
    return INF_OK;
}

static int32_t check_tools(const inf_request *r, struct json_span *out, inf_error *err)
{
    struct json_span choice;

    *out = (struct json_span){NULL, 0};
    if (r->tools.data && (!scan_json(out, r->tools.data, r->tools.len) || !scan_is_array(*out)))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "tools: is not a JSON array");
    if (r->tool_choice.len && r->tool_choice.data[0] == '{' &&
        (!scan_json(&choice, r->tool_choice.data, r->tool_choice.len) || !scan_is_object(choice)))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "tool_choice: is not a JSON object");
    if (r->tool_choice.data && r->tool_choice.len == 0)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "tool_choice: is empty");
    return INF_OK;
}

/* ------------------------------------------------------------------ writing */

/* Beyond OpenAI's own fields. */
static void write_further(struct buffer *out, const inf_request *r, const struct chat_body_parts *p)
{
    if (r->top_k.is_set)
        chat_body_i64(out, ",\"top_k\":", r->top_k.value == 0 ? -1 : r->top_k.value);
    chat_body_float(out, ",\"min_p\":", r->min_p);
    chat_body_float(out, ",\"repetition_penalty\":", r->repetition_penalty);
    for (size_t i = 0; i < r->n_stop_token_ids; i++)
        chat_body_i64(out, i ? "," : ",\"stop_token_ids\":[", r->stop_token_ids[i]);
    buffer_append_str(out, r->n_stop_token_ids ? "]" : "");
    buffer_append_str(out, r->ignore_eos ? ",\"ignore_eos\":true" : "");
    if (r->grammar.data) {
        chat_body_text(out, ",\"structured_outputs\":{\"grammar\":", r->grammar);
        buffer_append_str(out, "}");
    }
    if (p->variables.data)
        chat_body_span(out, ",\"chat_template_kwargs\":", p->variables);
    if (r->continue_final_message)
        buffer_append_str(out, ",\"add_generation_prompt\":false,\"continue_final_message\":true");
}

int32_t chat_body_write_v1(struct buffer *out, const inf_request *r,
                           const struct chat_body_parts *p, inf_error *err)
{
    struct json_span key, value;
    struct json_walk w;

    (void)err;
    chat_body_text(out, "{\"model\":", p->model);
    buffer_append_str(out, ",\"messages\":[");
    chat_body_messages(out, r, p);
    buffer_append_str(out, "],\"stream\":true,\"stream_options\":");
    buffer_append_str(out, p->stream_options);
    if (p->with_max_tokens)
        chat_body_i64(out, ",\"max_tokens\":", r->max_tokens.value);
    chat_body_float(out, ",\"temperature\":", r->temperature);
    chat_body_float(out, ",\"top_p\":", r->top_p);
    chat_body_float(out, ",\"frequency_penalty\":", r->frequency_penalty);
    chat_body_float(out, ",\"presence_penalty\":", r->presence_penalty);
    if (r->seed.is_set)
        chat_body_i64(out, ",\"seed\":", (int64_t)r->seed.value);
    if (r->logprobs.is_set)
        chat_body_i64(out, ",\"logprobs\":true,\"top_logprobs\":", r->logprobs.value);
    chat_body_stops(out, r);
    if (p->schema.data) {
        chat_body_span(out,
                       ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{"
                       "\"name\":\"output\",\"schema\":",
                       p->schema);
        buffer_append_str(out, "}}");
    }
    chat_body_tools(out, r, p);
    write_further(out, r, p);
    for (scan_object(&w, p->extra); scan_next_member(&w, &key, &value);)
        chat_body_member(out, key, value);
    buffer_append_str(out, "}");
    return INF_OK;
}

int32_t chat_body_write(struct buffer *out, const struct chat_form *form,
                        const inf_request *request, inf_text model, bool with_max_tokens,
                        inf_error *err)
{
    struct chat_body_parts p = {.model = model.data ? model : inf_str(""),
                                .with_max_tokens = with_max_tokens,
                                .stream_options = form->stream_options};
    int32_t code = check_fields(form, request, err);

    if (code == INF_OK)
        code = check_messages(form, request, &p.messages, err);
    if (code == INF_OK)
        code = check_object(request->extra_json, "extra_json", &p.extra, err);
    if (code == INF_OK)
        code = check_schema(request->json_schema, &p.schema, err);
    if (code == INF_OK)
        code = check_object(request->template_variables, "template_variables", &p.variables, err);
    if (code == INF_OK)
        code = check_tools(request, &p.tools, err);
    if (code == INF_OK)
        code = check_extra(form, p.extra, request, err);
    if (code == INF_OK)
        code = form->write(out, request, &p, err);
    return code == INF_OK && out->failed ? error_no_memory(err) : code;
}
