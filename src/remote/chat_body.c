/* chat_body: see the header. The native route's own form is in chat_body_ollama.c. */
#include "remote/chat_body.h"

#include "remote/chat_body_ollama.h"

#include <inttypes.h>
#include <string.h>

static int32_t unsupported(inf_error *err, enum chat_body_kind kind, const char *field)
{
    return error_set(err, INF_ERROR_UNSUPPORTED, "%s: %s; leave it unset", field,
                     kind == CHAT_BODY_VLLM    ? "vLLM cannot do that"
                     : kind == CHAT_BODY_PLAIN ? "this server's /v1 would ignore it in silence (it "
                                                 "is no Ollama, whose own route takes it)"
                                               : "Ollama cannot do that");
}

/* ------------------------------------------------------------------ what is refused */

static int32_t check_fields(enum chat_body_kind kind, const inf_request *r, inf_error *err)
{
    bool scaled = r->adapter_scale.is_set && !(r->adapter_scale.value == 1.0f);
    const struct {
        const char *field;
        bool set, vllm, plain, ollama; /* which kinds take it */
    } fields[] = {
        {"adapter_scale", scaled, false, false, false},
        {"template_variables", r->template_variables.data != NULL, true, false, false},
        {"top_k", r->top_k.is_set, true, false, true},
        {"min_p", r->min_p.is_set, true, false, true},
        {"repetition_penalty", r->repetition_penalty.is_set, true, false, true},
        {"stop_token_ids", r->n_stop_token_ids > 0, true, false, false},
        {"ignore_eos", r->ignore_eos, true, false, false},
        {"grammar", r->grammar.data != NULL, true, false, false},
    };

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        bool taken = kind == CHAT_BODY_VLLM    ? fields[i].vllm
                     : kind == CHAT_BODY_PLAIN ? fields[i].plain
                                               : fields[i].ollama;

        if (fields[i].set && !taken)
            return unsupported(err, kind, fields[i].field);
    }
    /* Ollama makes 32 bits of a seed, and the last of these means "any". */
    if (kind != CHAT_BODY_VLLM && r->seed.is_set && r->seed.value > INT32_MAX)
        return error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, INT32_MAX,
                                "seed: Ollama takes 0 to %d", INT32_MAX);
    if (r->seed.is_set && r->seed.value > INT64_MAX)
        return error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, INT64_MAX,
                                "seed: the server takes 0 to %" PRId64, INT64_MAX);
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

/* What asks for a form of output, by any of the names it has had. */
static bool constrains(struct json_span key)
{
    static const char *const names[] = {"response_format", "structured_outputs", "guided_json",
                                        "guided_grammar",  "guided_regex",       "guided_choice",
                                        "format"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (scan_equals(key, names[i]))
            return true;
    return false;
}

static int32_t check_extra(enum chat_body_kind kind, struct json_span extra, const inf_request *r,
                           inf_error *err)
{
    static const char *const dropped[] = {"num_ctx", "keep_alive", "options", "truncate", "shift"};
    struct json_span key, value, other, ignored;
    struct json_walk w, rest;
    int32_t code = INF_OK;

    scan_object(&w, extra);
    while (scan_next_member(&w, &key, &value)) {
        code = chat_body_check_key(key, err);
        if (code != INF_OK)
            return code;
        if (constrains(key) && (r->json_schema.data || r->grammar.data))
            return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                             "extra_json: %.*s contradicts json_schema or grammar", (int)key.len,
                             key.data);
        for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++)
            if (kind == CHAT_BODY_PLAIN && scan_equals(key, dropped[i]))
                return unsupported(err, kind, dropped[i]);
        for (rest = w; scan_next_member(&rest, &other, &ignored);)
            if (other.len == key.len && memcmp(other.data, key.data, key.len) == 0)
                return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                                 "extra_json: %.*s stands there twice", (int)key.len, key.data);
    }
    return INF_OK;
}

/* Ollama takes any role and makes something of it. */
static int32_t check_role(enum chat_body_kind kind, inf_text role, inf_error *err)
{
    static const char *const known[] = {"system", "user", "assistant", "tool"};

    if (kind == CHAT_BODY_VLLM)
        return INF_OK; /* its chat template says what it knows */
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (role.len == strlen(known[i]) && memcmp(role.data, known[i], role.len) == 0)
            return INF_OK;
    return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                     "messages: Ollama would take the role '%.*s' in silence; roles are system, "
                     "user, assistant and tool",
                     (int)(role.len < 64 ? role.len : 64), role.data);
}

static int32_t check_json_role(enum chat_body_kind kind, struct json_span role, inf_error *err)
{
    return check_role(kind, (inf_text){role.data + 1, role.len - 2}, err);
}

static int32_t check_messages(enum chat_body_kind kind, const inf_request *r, struct json_span *out,
                              inf_error *err)
{
    struct json_span message;
    struct json_walk w;
    size_t n = 0;
    int32_t code = INF_OK;

    *out = (struct json_span){NULL, 0};
    for (size_t i = 0; i < r->n_messages && code == INF_OK; i++)
        code = check_role(kind, r->messages[i].role, err);
    if (!r->messages_json.data || code != INF_OK)
        return code;
    if (!scan_json(out, r->messages_json.data, r->messages_json.len) || !scan_array(&w, *out))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "messages_json: is not a JSON array");
    for (; scan_next_item(&w, &message); n++) {
        if (!scan_is_object(message) || !scan_is_string(scan_member(message, "role")))
            return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                             "messages_json: message %zu is no object with a \"role\"", n + 1);
        code = check_json_role(kind, scan_member(message, "role"), err);
        if (code != INF_OK)
            return code;
    }
    if (n == 0)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "messages_json: holds no message");
    return INF_OK;
}

/* ------------------------------------------------------------------ writing */

static bool write_vllm_only(struct buffer *out, const inf_request *r,
                            const struct chat_body_parts *p)
{
    bool ok = !r->top_k.is_set ||
              chat_body_i64(out, ",\"top_k\":", r->top_k.value == 0 ? -1 : r->top_k.value);

    ok = ok && chat_body_float(out, ",\"min_p\":", r->min_p) &&
         chat_body_float(out, ",\"repetition_penalty\":", r->repetition_penalty);
    for (size_t i = 0; i < r->n_stop_token_ids && ok; i++)
        ok = chat_body_i64(out, i ? "," : ",\"stop_token_ids\":[", r->stop_token_ids[i]);
    if (ok && r->n_stop_token_ids)
        ok = buffer_append(out, "]", 1);
    if (ok && r->ignore_eos)
        ok = buffer_append_str(out, ",\"ignore_eos\":true");
    if (ok && r->grammar.data)
        ok = chat_body_text(out, ",\"structured_outputs\":{\"grammar\":", r->grammar) &&
             buffer_append(out, "}", 1);
    if (ok && p->variables.data)
        ok = buffer_append_str(out, ",\"chat_template_kwargs\":") &&
             buffer_append(out, p->variables.data, p->variables.len);
    return ok;
}

static bool write_schema(struct buffer *out, const struct chat_body_parts *p)
{
    return !p->schema.data ||
           (buffer_append_str(out, ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":"
                                   "{\"name\":\"output\",\"schema\":") &&
            buffer_append(out, p->schema.data, p->schema.len) && buffer_append_str(out, "}}"));
}

static bool write_extra(struct buffer *out, struct json_span extra)
{
    struct json_span key, value;
    struct json_walk w;
    bool ok = true;

    scan_object(&w, extra);
    while (ok && scan_next_member(&w, &key, &value))
        ok = buffer_append(out, ",", 1) && buffer_append(out, key.data, key.len) &&
             buffer_append(out, ":", 1) && buffer_append(out, value.data, value.len);
    return ok;
}

static bool write_completions(struct buffer *out, enum chat_body_kind kind, const inf_request *r,
                              const struct chat_body_parts *p)
{
    bool vllm = kind == CHAT_BODY_VLLM;
    bool ok = chat_body_text(out, "{\"model\":", p->model) &&
              buffer_append_str(out, ",\"messages\":[") && chat_body_messages(out, r, p) &&
              buffer_append_str(out,
                                "],\"stream\":true,\"stream_options\":{\"include_usage\":true") &&
              /* so that a request that is cut short knows its counts */
              buffer_append_str(out, vllm ? ",\"continuous_usage_stats\":true}" : "}");

    if (ok && p->with_max_tokens)
        ok = chat_body_i64(out, ",\"max_tokens\":", r->max_tokens.value);
    ok = ok && chat_body_float(out, ",\"temperature\":", r->temperature) &&
         chat_body_float(out, ",\"top_p\":", r->top_p) &&
         chat_body_float(out, ",\"frequency_penalty\":", r->frequency_penalty) &&
         chat_body_float(out, ",\"presence_penalty\":", r->presence_penalty);
    if (ok && r->seed.is_set)
        ok = chat_body_i64(out, ",\"seed\":", (int64_t)r->seed.value);
    if (ok && r->logprobs.is_set)
        ok = chat_body_i64(out, ",\"logprobs\":true,\"top_logprobs\":", r->logprobs.value);
    ok = ok && chat_body_stops(out, r) && write_schema(out, p);
    if (ok && vllm)
        ok = write_vllm_only(out, r, p);
    return ok && write_extra(out, p->extra) && buffer_append(out, "}", 1);
}

int32_t chat_body_write(struct buffer *out, enum chat_body_kind kind, const inf_request *request,
                        inf_text model, bool with_max_tokens, inf_error *err)
{
    struct chat_body_parts p = {.model = model.data ? model : inf_str(""),
                                .with_max_tokens = with_max_tokens};
    int32_t code = check_fields(kind, request, err);

    if (code == INF_OK)
        code = check_messages(kind, request, &p.messages, err);
    if (code == INF_OK)
        code = check_object(request->extra_json, "extra_json", &p.extra, err);
    if (code == INF_OK)
        code = check_object(request->json_schema, "json_schema", &p.schema, err);
    if (code == INF_OK)
        code = check_object(request->template_variables, "template_variables", &p.variables, err);
    if (code == INF_OK)
        code = check_extra(kind, p.extra, request, err);
    if (code != INF_OK)
        return code;
    if (kind == CHAT_BODY_OLLAMA)
        return chat_body_write_ollama(out, request, &p, err);
    return write_completions(out, kind, request, &p) ? INF_OK : error_no_memory(err);
}
