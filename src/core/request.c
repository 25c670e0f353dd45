/*
 * request: validating a generate request and copying it deeply, into one block of memory.
 */
#include "core/request.h"

#include "core/ascii.h"
#include "core/json_check.h"
#include "core/memory.h"
#include "core/structs.h"
#include "core/utf8.h"

#include <stddef.h>
#include <string.h>

#define DEFAULT_MAX_TOKENS 4096
#define MAX_STOPS 64
#define MAX_MESSAGES 65536
#define MAX_ADAPTERS 64

void inf_request_default(inf_request *request, size_t size)
{
    inf_request defaults = {
        .struct_size = sizeof defaults, .timeout_ms = 600000, .queue_timeout_ms = -1};

    struct_write(request, size, &defaults, sizeof defaults);
}

/* ------------------------------------------------------------------ validation */

static int32_t invalid(inf_error *err, const char *field, const char *why)
{
    return error_set(err, INF_ERROR_INVALID_ARGUMENT, "%s: %s", field, why);
}

static int32_t check_text(inf_text t, const char *field, inf_error *err)
{
    if (!t.data && t.len)
        return invalid(err, field, "has a length but no text");
    if (t.data && !utf8_valid(t.data, t.len))
        return invalid(err, field, "is not valid UTF-8");
    return INF_OK;
}

/* The texts of a request by itself. */
static const struct {
    size_t offset;
    const char *field;
    bool is_json;
} texts[] = {
#define TEXT(field, is_json) {offsetof(inf_request, field), #field, is_json}
    TEXT(prompt, false),        TEXT(messages_json, true), TEXT(template_variables, true),
    TEXT(model, false),         TEXT(adapter_id, false),   TEXT(system_prompt, false),
    TEXT(json_schema, true),    TEXT(grammar, false),      TEXT(extra_json, true),
    TEXT(extra_headers, false), TEXT(tools, true),         TEXT(tool_choice, true),
    TEXT(reference, false),
#undef TEXT
};
enum { N_TEXTS = sizeof texts / sizeof *texts };

static inf_text *text_at(const inf_request *r, size_t i)
{
    return (inf_text *)(uintptr_t)((const char *)r + texts[i].offset);
}

static int32_t check_texts(const inf_request *r, inf_error *err)
{
    int32_t code = INF_OK;

    for (size_t i = 0; i < N_TEXTS && code == INF_OK; i++) {
        code = check_text(*text_at(r, i), texts[i].field, err);
        if (code == INF_OK && texts[i].is_json)
            code = json_check(*text_at(r, i), texts[i].field, err);
    }
    for (size_t i = 0; i < r->n_messages && code == INF_OK; i++) {
        code = check_text(r->messages[i].role, "messages: role", err);
        if (code == INF_OK)
            code = check_text(r->messages[i].content, "messages: content", err);
        if (code == INF_OK && (!r->messages[i].role.data || !r->messages[i].content.data))
            code = invalid(err, "messages", "role or content is missing");
    }
    return code;
}

static int32_t check_input(const inf_request *r, inf_error *err)
{
    int given = (r->prompt.data != NULL) + (r->n_messages > 0) + (r->messages_json.data != NULL);

    if (r->n_messages && !r->messages)
        return invalid(err, "messages", "is NULL and n_messages is not 0");
    if (r->n_messages > MAX_MESSAGES)
        return invalid(err, "messages", "are more than 65,536");
    if (given != 1)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "give exactly one of prompt, messages and messages_json");
    if (r->template_variables.data && r->prompt.data)
        return invalid(err, "template_variables", "goes with messages, not with a prompt");
    return INF_OK;
}

static int32_t check_unset(const inf_request *r, inf_error *err)
{
#define MAYBE(field)                                                                               \
    {                                                                                              \
        #field, r->field.is_set, r->field.value != 0                                               \
    }
    const struct {
        const char *field;
        bool is_set, has_value;
    } fields[] = {MAYBE(max_tokens),
                  MAYBE(temperature),
                  MAYBE(top_p),
                  MAYBE(top_k),
                  MAYBE(min_p),
                  MAYBE(repetition_penalty),
                  MAYBE(frequency_penalty),
                  MAYBE(presence_penalty),
                  MAYBE(seed),
                  MAYBE(logprobs),
                  MAYBE(add_special)};
#undef MAYBE
    int32_t code = INF_OK;

    for (size_t i = 0; i < sizeof fields / sizeof *fields && code == INF_OK; i++)
        code = maybe_check(fields[i].field, fields[i].is_set, fields[i].has_value, err);
    return code;
}

static int32_t check_range(inf_maybe_f32 m, float low, float high, const char *field,
                           const char *range, inf_error *err)
{
    if (m.is_set && !(m.value >= low && m.value <= high))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "%s: %g is not %s", field,
                         (double)m.value, range);
    return INF_OK;
}

#define TINY 1.401298464e-45f /* the smallest float above 0 */
#define HUGEST 3.402823466e+38f

static int32_t check_sampling(const inf_request *r, inf_error *err)
{
    const struct {
        inf_maybe_f32 value;
        float low, high;
        const char *field, *range;
    } ranges[] = {
        {r->temperature, 0, HUGEST, "temperature", "0 or more"},
        {r->top_p, TINY, 1, "top_p", "above 0 and at most 1"},
        {r->min_p, 0, 1, "min_p", "between 0 and 1"},
        {r->repetition_penalty, TINY, HUGEST, "repetition_penalty", "above 0"},
        {r->frequency_penalty, -2, 2, "frequency_penalty", "between -2 and 2"},
        {r->presence_penalty, -2, 2, "presence_penalty", "between -2 and 2"},
    };
    int32_t code = INF_OK;

    for (size_t i = 0; i < sizeof ranges / sizeof *ranges && code == INF_OK; i++)
        code = check_range(ranges[i].value, ranges[i].low, ranges[i].high, ranges[i].field,
                           ranges[i].range, err);
    if (code == INF_OK && r->top_k.is_set && r->top_k.value < -1)
        code = error_set(err, INF_ERROR_INVALID_ARGUMENT, "top_k: %d is not -1 or more",
                         r->top_k.value);
    if (code == INF_OK && r->logprobs.is_set && (r->logprobs.value < 0 || r->logprobs.value > 20))
        code = error_set(err, INF_ERROR_INVALID_ARGUMENT, "logprobs: %d is not in 0..20",
                         r->logprobs.value);
    return code;
}

static int32_t check_adapter(inf_text id, inf_maybe_f32 scale, const char *id_field,
                             const char *scale_field, inf_error *err)
{
    int32_t code = check_text(id, id_field, err);

    if (code == INF_OK)
        code = maybe_check(scale_field, scale.is_set, scale.value != 0, err);
    return code == INF_OK ? check_range(scale, -HUGEST, HUGEST, scale_field, "finite", err) : code;
}

static int32_t check_adapter_list(const struct adapter_names *a, const struct provider_ops *ops,
                                  inf_error *err)
{
    int32_t code = INF_OK;

    if (a->id->len || a->scale->is_set)
        return invalid(err, "adapters",
                       "adapter_id and adapter_scale are their short form; give one");
    if (!*a->list)
        return invalid(err, "adapters", "is NULL and n_adapters is not 0");
    if (*a->n > MAX_ADAPTERS)
        return invalid(err, "adapters", "are more than 64");
    for (size_t i = 0; i < *a->n && code == INF_OK; i++) {
        inf_request_adapter one = (*a->list)[i];

        code = one.id.len ? check_adapter(one.id, one.scale, "adapters: id", "adapters: scale", err)
                          : invalid(err, "adapters: id", "is empty");
    }
    if (code == INF_OK && *a->n > 1 && !ops->many_adapters)
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         "adapters: the %s provider takes one a request, and %zu are given",
                         ops->name, *a->n);
    return code;
}

int32_t adapter_names_settle(const struct adapter_names *a, inf_request_adapter *single,
                             const struct provider_ops *ops, inf_error *err)
{
    int32_t code = check_adapter(*a->id, *a->scale, "adapter_id", "adapter_scale", err);

    if (code == INF_OK && *a->n)
        code = check_adapter_list(a, ops, err);
    else if (code == INF_OK && a->scale->is_set && !a->id->len)
        code = invalid(err, "adapter_scale", "there is no adapter_id whose scale it could be");
    if (code != INF_OK)
        return code;
    if (*a->n == 1) {
        *a->id = (*a->list)[0].id;
        *a->scale = (*a->list)[0].scale;
    }
    if (a->id->len) {
        *single = (inf_request_adapter){*a->id, *a->scale};
        *a->list = single;
        *a->n = 1;
    } else {
        *a->id = (inf_text){NULL, 0};
    }
    return INF_OK;
}

static int32_t check_stops(const inf_request *r, inf_error *err)
{
    int32_t code = INF_OK;

    if ((r->n_stop && !r->stop) || (r->n_stop_token_ids && !r->stop_token_ids))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "stop or stop_token_ids is NULL and its count is not 0");
    if (r->n_stop > MAX_STOPS || r->n_stop_token_ids > MAX_STOPS)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "more than %d stop strings or token ids",
                         MAX_STOPS);
    for (size_t i = 0; i < r->n_stop && code == INF_OK; i++) {
        if (!r->stop[i].data || !r->stop[i].len)
            return invalid(err, "stop", "an empty string");
        code = check_text(r->stop[i], "stop", err);
    }
    return code;
}

static int32_t check_bound(const char *field, int64_t ms, inf_error *err)
{
    return ms >= 1 || ms == -1
               ? INF_OK
               : error_set(err, INF_ERROR_INVALID_ARGUMENT,
                           "%s: %lld is neither at least 1 nor -1, no limit", field, (long long)ms);
}

/* A call that has to come leaves no room for another form of output. */
static bool wants_call(const inf_request *r)
{
    inf_text c = r->tool_choice;

    return c.data && !text_equals(c.data, c.len, "auto") && !text_equals(c.data, c.len, "none");
}

static int32_t check_chat(const inf_request *r, bool in_process, inf_error *err)
{
    if (r->tools.data && r->prompt.data && in_process)
        return invalid(err, "tools", "goes with messages, not with a prompt");
    if (r->tool_choice.data && !r->tools.data && !r->extra_json.data && !r->template_variables.data)
        return invalid(err, "tool_choice", "there are no tools to choose from");
    if (r->continue_final_message && r->prompt.data)
        return invalid(err, "continue_final_message", "goes with messages, not with a prompt");
    if (wants_call(r) && (r->json_schema.data || r->grammar.data))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "tool_choice: a call that has to come and %s contradict each other; leave "
                         "one of the two",
                         r->grammar.data ? "grammar" : "json_schema");
    return INF_OK;
}

static int32_t check_speculation(const inf_request *r, bool in_process, inf_error *err)
{
    if (r->speculate < INF_SPECULATE_AUTO || r->speculate > INF_SPECULATE_LOOKUP)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "speculate: %d is none of its values",
                         r->speculate);
    if (r->reference.data && r->speculate == INF_SPECULATE_OFF)
        return invalid(err, "reference", "speculation alone looks there, and speculate is off");
    if (in_process || (r->speculate == INF_SPECULATE_AUTO && !r->reference.data))
        return INF_OK;
    return error_set(err, INF_ERROR_UNSUPPORTED,
                     "%s: whether a server speculates is set where it is started; it is for "
                     "providers in process",
                     r->reference.data ? "reference" : "speculate");
}

static int32_t check_rest(const inf_request *r, bool in_process, inf_error *err)
{
    int32_t code = INF_OK;

    if (r->max_tokens.is_set && r->max_tokens.value <= 0)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "max_tokens: %d is not at least 1",
                         r->max_tokens.value);
    code = check_bound("timeout_ms", r->timeout_ms, err);
    if (code == INF_OK)
        code = check_bound("queue_timeout_ms", r->queue_timeout_ms, err);
    if (code != INF_OK)
        return code;
    if (r->json_schema.data && r->grammar.data)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "json_schema and grammar cannot be given together");
    for (size_t i = 0; i < sizeof r->reserved; i++)
        if (r->reserved[i])
            return invalid(err, "reserved", "is not 0");
    if (r->reserved2)
        return invalid(err, "reserved2", "is not 0");
    code = check_speculation(r, in_process, err);
    if (code != INF_OK)
        return code;
    if (r->plain_prompt && !r->prompt.data)
        return invalid(err, "plain_prompt", "goes with a prompt, not with messages");
    code = check_chat(r, in_process, err);
    if (code != INF_OK)
        return code;
    if (!in_process && (r->plain_prompt || r->add_special.is_set))
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         "%s: a server makes the tokens itself; it is for providers in process",
                         r->plain_prompt ? "plain_prompt" : "add_special");
    if (!in_process && r->plain_output)
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         "plain_output: a server takes its model's output apart itself; it is for "
                         "providers in process");
    if (in_process && (r->extra_json.data || r->extra_headers.data))
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         "extra_json and extra_headers are for servers; this provider runs in "
                         "process");
    return INF_OK;
}

static int32_t validate(const inf_request *r, bool in_process, inf_error *err)
{
    int32_t code = check_input(r, err);

    if (code == INF_OK)
        code = check_texts(r, err);
    if (code == INF_OK)
        code = check_unset(r, err);
    if (code == INF_OK)
        code = check_sampling(r, err);
    if (code == INF_OK)
        code = check_stops(r, err);
    if (code == INF_OK)
        code = check_rest(r, in_process, err);
    return code;
}

/* ------------------------------------------------------------------ the copy */

/* With data NULL it only measures. */
struct arena {
    char *data;
    size_t len;
};

static void *take(struct arena *a, const void *src, size_t n)
{
    char *at = a->data ? a->data + a->len : NULL;

    if (at && src && n)
        memcpy(at, src, n);
    a->len += (n + 15) / 16 * 16;
    return at;
}

static inf_text take_text(struct arena *a, inf_text t)
{
    char *at = NULL;

    if (!t.data)
        return t;
    at = a->data ? a->data + a->len : NULL;
    if (at) {
        memcpy(at, t.data, t.len);
        at[t.len] = '\0';
    }
    a->len += (t.len + 16) / 16 * 16;
    return (inf_text){at, t.len};
}

static void take_lists(struct arena *a, inf_request *r)
{
    inf_message *messages = take(a, r->messages, r->n_messages * sizeof *messages);
    inf_text *stop = take(a, r->stop, r->n_stop * sizeof *stop);
    inf_request_adapter *adapters = take(a, r->adapters, r->n_adapters * sizeof *adapters);

    for (size_t i = 0; i < r->n_messages; i++) {
        inf_text role = take_text(a, r->messages[i].role);
        inf_text content = take_text(a, r->messages[i].content);

        if (messages)
            messages[i] = (inf_message){role, content};
    }
    for (size_t i = 0; i < r->n_stop; i++) {
        inf_text text = take_text(a, r->stop[i]);

        if (stop)
            stop[i] = text;
    }
    for (size_t i = 0; i < r->n_adapters; i++) {
        inf_maybe_f32 scale = r->adapters[i].scale;
        inf_text id = take_text(a, r->adapters[i].id);

        if (adapters)
            adapters[i] = (inf_request_adapter){id, {true, scale.is_set ? scale.value : 1.0f}};
    }
    r->stop_token_ids = take(a, r->stop_token_ids, r->n_stop_token_ids * sizeof *r->stop_token_ids);
    r->messages = messages;
    r->stop = stop;
    r->adapters = adapters;
}

static void take_all(struct arena *a, inf_request *r)
{
    for (size_t i = 0; i < N_TEXTS; i++)
        *text_at(r, i) = take_text(a, *text_at(r, i));
    take_lists(a, r);
}

int32_t request_copy(inf_request **out, const inf_request *request, const struct provider_ops *ops,
                     inf_error *err)
{
    inf_request r;
    inf_request measured;
    const struct adapter_names names = {&r.adapter_id, &r.adapter_scale, &r.adapters,
                                        &r.n_adapters};
    inf_request_adapter single;
    struct arena arena = {0};
    int32_t code = INF_OK;

    *out = NULL;
    if (!request)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "request is NULL");
    inf_request_default(&r, sizeof r);
    code = struct_read(&r, sizeof r, request, "inf_request", err);
    if (code == INF_OK)
        code = validate(&r, ops->in_process, err);
    if (code == INF_OK)
        code = adapter_names_settle(&names, &single, ops, err);
    if (code != INF_OK)
        return code;
    if (!r.max_tokens.is_set)
        r.max_tokens.value = DEFAULT_MAX_TOKENS;
    measured = r;
    take(&arena, NULL, sizeof r);
    take_all(&arena, &measured);
    arena.data = mem_alloc(arena.len);
    if (!arena.data)
        return error_no_memory(err);
    arena.len = 0;
    *out = take(&arena, &r, sizeof r);
    take_all(&arena, *out);
    return INF_OK;
}
