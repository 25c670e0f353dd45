/* chat_tools: see the header. */
#include "remote/chat_tools.h"

#include "core/clock.h"
#include "core/growing.h"
#include "remote/text_join.h"

#include <inttypes.h>
#include <stdatomic.h>

#define OLD_FORM (-1) /* the index of the call that came as "function_call" */

static int32_t broken(inf_error *err)
{
    return error_set(err, INF_ERROR_PROTOCOL,
                     "the server's answer breaks the protocol: a tool call of an unknown form");
}

static void call_init(struct tool_call *call, int64_t index)
{
    *call = (struct tool_call){.index = index};
    buffer_init(&call->id, TOOL_CALL_BYTES_MAX);
    buffer_init(&call->name, TOOL_CALL_BYTES_MAX);
    buffer_init(&call->arguments, TOOL_CALL_BYTES_MAX);
}

static void call_free(struct tool_call *call)
{
    buffer_free(&call->id);
    buffer_free(&call->name);
    buffer_free(&call->arguments);
}

void tool_calls_free(struct tool_calls *t)
{
    for (size_t i = 0; i < t->n; i++)
        call_free(&t->items[i]);
    mem_free(t->items);
    *t = (struct tool_calls){NULL, 0, 0};
}

/* The call of that index, a new one when there is none. */
static int32_t find_call(struct tool_call **out, struct tool_calls *t, int64_t index,
                         inf_error *err)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->items[i].index == index) {
            *out = &t->items[i];
            return INF_OK;
        }
    }
    if (t->n == TOOL_CALLS_MAX)
        return error_set_detail(err, INF_ERROR_LIMIT, TOOL_CALLS_MAX,
                                "the server sent more than %d tool calls", TOOL_CALLS_MAX);
    if (!grow((void **)&t->items, t->n, &t->capacity, sizeof *t->items))
        return error_no_memory(err);
    *out = &t->items[t->n++];
    call_init(*out, index);
    return INF_OK;
}

/* Text whose code points a piece may have cut is put together at the end, in tool_calls_json. */
static int32_t append_string(struct buffer *out, struct json_span value, inf_error *err)
{
    if (scan_is_none(value))
        return INF_OK;
    if (!scan_is_string(value))
        return broken(err);
    if (value.len > TOOL_CALL_BYTES_MAX - out->len)
        return error_set_detail(err, INF_ERROR_LIMIT, TOOL_CALL_BYTES_MAX,
                                "a tool call is longer than %d bytes", TOOL_CALL_BYTES_MAX);
    return scan_unescape(out, value) ? INF_OK : error_no_memory(err);
}

static int32_t append_arguments(struct buffer *out, struct json_span value, inf_error *err)
{
    if (!scan_is_object(value) && !scan_is_array(value))
        return append_string(out, value, err);
    if (value.len > TOOL_CALL_BYTES_MAX - out->len)
        return error_set_detail(err, INF_ERROR_LIMIT, TOOL_CALL_BYTES_MAX,
                                "a tool call is longer than %d bytes", TOOL_CALL_BYTES_MAX);
    return buffer_append(out, value.data, value.len) ? INF_OK : error_no_memory(err);
}

static int32_t add_one(struct tool_calls *t, struct json_span piece, bool whole, inf_error *err)
{
    struct json_span function = scan_member(piece, "function");
    struct json_span id = scan_member(piece, "id");
    struct json_span place = scan_member(piece, "index");
    struct tool_call *call = NULL;
    int64_t index = (int64_t)t->n;
    int32_t code = INF_OK;

    if (!scan_is_object(piece) || (!scan_is_none(function) && !scan_is_object(function)))
        return broken(err);
    /* Native calls come whole: each is one of its own, whatever number it has. */
    if (!whole && !scan_is_none(place) && (!scan_integer(place, &index) || index < 0))
        return broken(err);
    code = find_call(&call, t, index, err);
    if (code == INF_OK && call->id.len == 0)
        code = append_string(&call->id, id, err);
    if (code == INF_OK)
        code = append_string(&call->name, scan_member(function, "name"), err);
    if (code == INF_OK)
        code = append_arguments(&call->arguments, scan_member(function, "arguments"), err);
    return code;
}

int32_t tool_calls_add(struct tool_calls *t, struct json_span calls, bool whole, inf_error *err)
{
    struct json_span piece;
    struct json_walk w;
    int32_t code = INF_OK;

    if (!scan_array(&w, calls))
        return broken(err);
    while (code == INF_OK && scan_next_item(&w, &piece))
        code = add_one(t, piece, whole, err);
    return code;
}

int32_t tool_calls_add_function(struct tool_calls *t, struct json_span function, inf_error *err)
{
    struct tool_call *call = NULL;
    int32_t code = INF_OK;

    if (!scan_is_object(function))
        return broken(err);
    code = find_call(&call, t, OLD_FORM, err);
    if (code == INF_OK)
        code = append_string(&call->name, scan_member(function, "name"), err);
    if (code == INF_OK)
        code = append_arguments(&call->arguments, scan_member(function, "arguments"), err);
    return code;
}

/* ------------------------------------------------------------------ out */

static bool write_text(struct buffer *out, const struct buffer *text)
{
    struct buffer whole;
    bool ok = true;

    buffer_init(&whole, BUFFER_NO_LIMIT);
    ok = text_join_all(&whole, text->data ? text->data : "", text->len) &&
         write_json_string(out, whole.data ? whole.data : "", whole.len);
    buffer_free(&whole);
    return ok;
}

/* As /v1 makes one for a call of the native route: whoever sends the call's result back must be able
 * to name it. Not used twice in a conversation, whichever process began it. */
static bool write_new_id(struct buffer *out)
{
    static _Atomic uint64_t n;
    uint64_t x = (uint64_t)clock_us() * UINT64_C(0x9e3779b97f4a7c15) +
                 atomic_fetch_add_explicit(&n, 1, memory_order_relaxed);

    return buffer_printf(out, "\"call_%016" PRIx64 "\"", x);
}

static bool write_call(struct buffer *out, const struct tool_call *call)
{
    return buffer_append_str(out, "{\"id\":") &&
           (call->id.len ? write_text(out, &call->id) : write_new_id(out)) &&
           buffer_append_str(out, ",\"type\":\"function\",\"function\":{\"name\":") &&
           write_text(out, &call->name) && buffer_append_str(out, ",\"arguments\":") &&
           write_text(out, &call->arguments) && buffer_append_str(out, "}}");
}

int32_t tool_calls_json(char **out, const struct tool_calls *t, inf_error *err)
{
    struct buffer text;
    bool ok = true;

    *out = NULL;
    if (t->n == 0)
        return INF_OK;
    buffer_init(&text, BUFFER_NO_LIMIT);
    for (size_t i = 0; i < t->n && ok; i++)
        ok = buffer_append_str(&text, i ? "," : "[") && write_call(&text, &t->items[i]);
    if (!ok || !buffer_append_str(&text, "]")) {
        buffer_free(&text);
        return error_no_memory(err);
    }
    *out = text.data;
    return INF_OK;
}
