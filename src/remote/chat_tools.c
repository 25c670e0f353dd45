/* chat_tools: see the header. */
#include "remote/chat_tools.h"

#include "core/clock.h"
#include "core/growing.h"
#include "remote/text_join.h"

#include <inttypes.h>
#include <stdatomic.h>

enum { NO_INDEX = -1, OLD_FORM = -2 }; /* the second: of the call that came as "function_call" */

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

/* ------------------------------------------------------------------ which call a piece is of */

/* A piece, as far as it tells that. */
struct piece {
    int64_t index;
    struct json_span id, name, arguments;
};

static bool says_something(struct json_span text)
{
    return scan_is_string(text) && text.len > 2;
}

static bool is_same(struct json_span text, const struct buffer *so_far)
{
    return so_far->len && scan_equals(text, so_far->data);
}

/* Not more of that call, the last of its index: it has another id; or another name, and arguments have
 * come; or, where nothing numbers them, the name once more and arguments from their beginning. */
static bool begins_another(const struct piece *p, const struct tool_call *call)
{
    bool from_the_beginning = scan_is_object(p->arguments) ||
                              (says_something(p->arguments) && p->arguments.data[1] == '{');

    if (says_something(p->id) && call->id.len)
        return !is_same(p->id, &call->id);
    return says_something(p->name) && call->arguments.len &&
           (!is_same(p->name, &call->name) || (p->index == NO_INDEX && from_the_beginning));
}

/* The call that it goes on with, or NULL. */
static struct tool_call *find_call(const struct tool_calls *t, const struct piece *p)
{
    struct tool_call *last = NULL;

    for (size_t i = t->n; i-- > 0;) {
        struct tool_call *call = &t->items[i];

        if (call->index != p->index)
            continue;
        if (is_same(p->id, &call->id))
            return call;
        last = last ? last : call;
    }
    return last && !begins_another(p, last) ? last : NULL;
}

static int32_t new_call(struct tool_call **out, struct tool_calls *t, int64_t index, inf_error *err)
{
    if (t->n == TOOL_CALLS_MAX)
        return error_set_detail(err, INF_ERROR_LIMIT, TOOL_CALLS_MAX,
                                "the server sent more than %d tool calls", TOOL_CALLS_MAX);
    if (!GROW(t->items, t->capacity, t->n + 1))
        return error_no_memory(err);
    *out = &t->items[t->n++];
    call_init(*out, index);
    return INF_OK;
}

/* ------------------------------------------------------------------ what a piece says */

/* Text whose code points a piece may have cut is put together at the end, in tool_calls_json. An object
 * is taken as it is. */
static int32_t append(struct buffer *out, struct json_span value, bool object, inf_error *err)
{
    bool ok = true;

    if (scan_is_none(value))
        return INF_OK;
    if (!scan_is_string(value) && !(object && (scan_is_object(value) || scan_is_array(value))))
        return broken(err);
    if (value.len > TOOL_CALL_BYTES_MAX - out->len)
        return error_set_detail(err, INF_ERROR_LIMIT, TOOL_CALL_BYTES_MAX,
                                "a tool call is longer than %d bytes", TOOL_CALL_BYTES_MAX);
    ok = scan_is_string(value) ? scan_unescape(out, value)
                               : buffer_append(out, value.data, value.len);
    return ok ? INF_OK : error_no_memory(err);
}

/* A name comes once, or again in every piece, or in pieces. */
static int32_t add_piece(struct tool_calls *t, const struct piece *p, bool whole, inf_error *err)
{
    struct tool_call *call = whole ? NULL : find_call(t, p);
    int32_t code = call ? INF_OK : new_call(&call, t, p->index, err);
    size_t before = code == INF_OK ? call->arguments.len : 0;

    if (code == INF_OK && call->id.len == 0)
        code = append(&call->id, p->id, false, err);
    if (code == INF_OK && !is_same(p->name, &call->name))
        code = append(&call->name, p->name, false, err);
    if (code == INF_OK)
        code = append(&call->arguments, p->arguments, true, err);
    if (code == INF_OK && call->arguments.len > before)
        call->last = before;
    return code;
}

static int32_t add_one(struct tool_calls *t, struct json_span item, bool whole, inf_error *err)
{
    struct json_span function = scan_member(item, "function");
    struct json_span index = scan_member(item, "index");
    struct piece p = {NO_INDEX, scan_member(item, "id"), scan_member(function, "name"),
                      scan_member(function, "arguments")};

    if (!scan_is_object(item) || (!scan_is_none(function) && !scan_is_object(function)))
        return broken(err);
    /* Native calls come whole: each is one of its own, whatever number it has. */
    if (!whole && !scan_is_none(index) && (!scan_integer(index, &p.index) || p.index < 0))
        return broken(err);
    return add_piece(t, &p, whole, err);
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
    struct piece p = {
        OLD_FORM, {NULL, 0}, scan_member(function, "name"), scan_member(function, "arguments")};

    return scan_is_object(function) ? add_piece(t, &p, false, err) : broken(err);
}

/* ------------------------------------------------------------------ out */

static bool write_text(struct buffer *out, const char *text, size_t len)
{
    struct buffer whole;
    bool ok = true;

    buffer_init(&whole, BUFFER_NO_LIMIT);
    ok = text_join_all(&whole, text, len) &&
         write_json_string(out, whole.data ? whole.data : "", whole.len);
    buffer_free(&whole);
    return ok;
}

static bool is_whole(const char *text, size_t len)
{
    struct json_span value;

    return scan_json(&value, text, len) && scan_is_object(value);
}

/* Their pieces put together; when that is no JSON, and the last piece is, the server sent them whole
 * behind the pieces. */
static bool write_arguments(struct buffer *out, const struct tool_call *call)
{
    const struct buffer *all = &call->arguments;
    bool again = call->last && !is_whole(all->data, all->len) &&
                 is_whole(all->data + call->last, all->len - call->last);

    size_t from = again ? call->last : 0;

    return write_text(out, all->data ? all->data + from : "", all->len - from);
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
           (call->id.len ? write_text(out, call->id.data, call->id.len) : write_new_id(out)) &&
           buffer_append_str(out, ",\"type\":\"function\",\"function\":{\"name\":") &&
           write_text(out, call->name.data, call->name.len) &&
           buffer_append_str(out, ",\"arguments\":") && write_arguments(out, call) &&
           buffer_append_str(out, "}}");
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
