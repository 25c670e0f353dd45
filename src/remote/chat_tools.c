/* chat_tools: see the header. */
#include "remote/chat_tools.h"

#include "core/clock.h"
#include "core/growing.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

enum { NO_INDEX = -1, OLD_FORM = -2 }; /* the second: of the call that came as "function_call" */

static int32_t broken(inf_error *err)
{
    return error_set(err, INF_ERROR_PROTOCOL,
                     "the server's answer breaks the protocol: a tool call of an unknown form");
}

static void call_init(struct tool_call *call, int64_t index)
{
    *call = (struct tool_call){.index = index, .shown = -1};
    buffer_init(&call->id, TOOL_CALL_BYTES_MAX);
    buffer_init(&call->name, TOOL_CALL_BYTES_MAX);
    tool_arguments_init(&call->arguments);
}

static void call_free(struct tool_call *call)
{
    buffer_free(&call->id);
    buffer_free(&call->name);
    tool_arguments_free(&call->arguments);
}

void tool_calls_free(struct tool_calls *t)
{
    for (size_t i = 0; i < t->n; i++)
        call_free(&t->items[i]);
    mem_free(t->items);
    *t = (struct tool_calls){0};
}

/* ------------------------------------------------------------------ what a piece says */

/* A call, or a piece of one. */
struct piece {
    int64_t index;
    struct json_span id, name;
    struct buffer arguments; /* its owner frees them */
    bool named, whole;       /* whole: the arguments are one value */
};

/* Text whose code points a piece may have cut is put together at the end, in tool_calls_json. */
static int32_t append(struct buffer *out, struct json_span value, inf_error *err)
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

static bool says_something(struct json_span text)
{
    return scan_is_string(text) && text.len > 2;
}

static bool is_text(struct json_span value)
{
    return scan_is_none(value) || scan_is_string(value);
}

/* Arguments that are an object and not the text of one are taken as they are. */
static int32_t read_arguments(struct piece *p, struct json_span value, inf_error *err)
{
    int32_t code = INF_OK;

    buffer_init(&p->arguments, TOOL_CALL_BYTES_MAX);
    if (!is_text(p->id) || !is_text(p->name))
        return broken(err);
    if (!scan_is_object(value) && !scan_is_array(value))
        code = append(&p->arguments, value, err);
    else if (!buffer_append(&p->arguments, value.data, value.len))
        code = error_no_memory(err);
    p->named = says_something(p->name);
    p->whole = tool_arguments_is_whole(p->arguments.data, p->arguments.len);
    return code;
}

static bool is_same(struct json_span text, const struct buffer *so_far)
{
    return so_far->len && scan_equals(text, so_far->data);
}

static bool begins_a_value(const struct piece *p)
{
    return p->arguments.len && (*p->arguments.data == '{' || *p->arguments.data == '[');
}

/* ------------------------------------------------------------------ which call a piece is of */

/* Not more of that call, although it has its name once more, and arguments from their beginning, behind
 * arguments that are whole. */
static int32_t says_another(bool *another, const struct tool_calls *t, const struct piece *p,
                            const struct tool_call *call, inf_error *err)
{
    bool same = false;
    bool identified = call->id.len && p->index != NO_INDEX;
    int32_t code = tool_arguments_are(&same, &call->arguments, p->arguments.data, p->arguments.len,
                                      err);

    if (is_same(p->id, &call->id))
        *another = p->whole && !same && call->list == t->lists;
    else if (call->list == t->lists || p->index == NO_INDEX)
        *another = true; /* no list holds a call twice */
    else
        *another = !identified && !same && !tool_arguments_say_nothing(&call->arguments) &&
                   !tool_arguments_is_nothing(p->arguments.data, p->arguments.len);
    return code;
}

static int32_t begins_another(bool *another, const struct tool_calls *t, const struct piece *p,
                              const struct tool_call *call, inf_error *err)
{
    bool empty = call->arguments.text.len == 0;

    *another = false;
    if (says_something(p->id) && call->id.len && !is_same(p->id, &call->id)) {
        /* Some make a new id for every piece: a call begins with its name. */
        *another = p->named || p->arguments.len == 0 || call->arguments.whole;
        return INF_OK;
    }
    if (!p->named || empty)
        return INF_OK;
    *another = !is_same(p->name, &call->name);
    if (*another || p->index == OLD_FORM || !begins_a_value(p) || !call->arguments.whole)
        return INF_OK;
    return says_another(another, t, p, call, err);
}

/* The last call of that index, or that id under the index. */
static struct tool_call *by_index(const struct tool_calls *t, const struct piece *p)
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
    return last;
}

static struct tool_call *by_id(const struct tool_calls *t, const struct piece *p)
{
    for (size_t i = t->n; i-- > 0;)
        if (is_same(p->id, &t->items[i].id) && t->items[i].index != OLD_FORM)
            return &t->items[i];
    return NULL;
}

/* A piece that says no number, or the first that says one: of the call with its id, or of the last one
 * that has no number either. */
static struct tool_call *by_order(const struct tool_calls *t, const struct piece *p)
{
    struct tool_call *call = by_id(t, p);
    size_t at = t->recent;

    if (p->index >= 0 && call && call->index != NO_INDEX)
        call = NULL;
    if (call || t->n == 0)
        return call;
    if (p->index >= 0 && (uint64_t)p->index < t->n && t->items[p->index].index == NO_INDEX)
        at = (size_t)p->index;
    call = &t->items[at];
    return call->index == OLD_FORM || (p->index >= 0 && call->index != NO_INDEX) ? NULL : call;
}

/* The call that it goes on with, or NULL. */
static int32_t find_call(struct tool_call **out, const struct tool_calls *t, const struct piece *p,
                         inf_error *err)
{
    struct tool_call *call = p->index == NO_INDEX ? NULL : by_index(t, p);
    bool another = false;
    int32_t code = INF_OK;

    if (!call && p->index != OLD_FORM)
        call = by_order(t, p);
    if (call)
        code = begins_another(&another, t, p, call, err);
    *out = another ? NULL : call;
    return code;
}

/* The call that a whole one says again, or NULL: it has its id; or, when one of them has none, its name
 * and arguments. A list holds no call twice. */
static int32_t find_again(struct tool_call **out, const struct tool_calls *t, const struct piece *p,
                          bool native, inf_error *err)
{
    int32_t code = INF_OK;

    *out = NULL;
    for (size_t i = 0; i < t->n && code == INF_OK && !*out; i++) {
        struct tool_call *call = &t->items[i];
        bool identified = is_same(p->id, &call->id);
        bool open = !native && (!says_something(p->id) || !call->id.len);
        bool same = false;

        if (call->list == t->lists || !is_same(p->name, &call->name) || (!identified && !open))
            continue;
        code = tool_arguments_are(&same, &call->arguments, p->arguments.data, p->arguments.len,
                                  err);
        if (same || (identified && !native))
            *out = call;
    }
    return code;
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

/* As /v1 makes one for a call of the native route: whoever sends the call's result back must be able
 * to name it. Not used twice in a conversation, whichever process began it. */
static bool make_id(struct buffer *out)
{
    static _Atomic uint64_t n;
    uint64_t x = (uint64_t)clock_us() * UINT64_C(0x9e3779b97f4a7c15) +
                 atomic_fetch_add_explicit(&n, 1, memory_order_relaxed);

    return buffer_printf(out, "call_%016" PRIx64, x);
}

/* ------------------------------------------------------------------ in */

/* A name comes once, or again in every piece, or in pieces, or ever more of it. */
static int32_t add_name(struct buffer *name, struct json_span piece, inf_error *err)
{
    size_t before = name->len;
    int32_t code = append(name, piece, err);
    size_t len = name->len - before;

    if (code != INF_OK || before == 0 || len < before ||
        memcmp(name->data, name->data + before, before) != 0)
        return code;
    memmove(name->data, name->data + before, len);
    name->len = len;
    name->data[len] = '\0';
    return INF_OK;
}

static int32_t add_to(struct tool_calls *t, struct tool_call *call, const struct piece *p,
                      enum tool_form form, inf_error *err)
{
    int32_t code = INF_OK;

    if (call->id.len == 0)
        code = append(&call->id, p->id, err);
    if (code == INF_OK)
        code = add_name(&call->name, p->name, err);
    if (code == INF_OK)
        code = tool_arguments_add(&call->arguments, p->arguments.data, p->arguments.len, err);
    if (code == INF_OK && form == TOOL_NATIVE && call->id.len == 0 && !make_id(&call->id))
        code = error_no_memory(err);
    if (call->index == NO_INDEX)
        call->index = p->index;
    if (form == TOOL_NATIVE) /* whole */
        tool_arguments_settled(&call->arguments, true);
    call->list = t->lists;
    t->recent = (size_t)(call - t->items);
    return code;
}

static int32_t add_piece(struct tool_calls *t, const struct piece *p, enum tool_form form,
                         inf_error *err)
{
    bool alone = form != TOOL_PIECES && p->named && p->index == NO_INDEX &&
                 (p->whole || p->arguments.len == 0);
    struct tool_call *call = NULL;
    int32_t code = INF_OK;

    if (!p->named && !says_something(p->id) && p->arguments.len == 0)
        return INF_OK;
    code = alone || form == TOOL_NATIVE ? find_again(&call, t, p, form == TOOL_NATIVE, err)
                                        : find_call(&call, t, p, err);
    if (code == INF_OK && !call)
        code = new_call(&call, t, p->index, err);
    return code == INF_OK ? add_to(t, call, p, form, err) : code;
}

static int32_t add_one(struct tool_calls *t, struct json_span item, enum tool_form form,
                       inf_error *err)
{
    struct json_span function = scan_member(item, "function");
    struct json_span index = scan_member(item, "index");
    struct piece p = {
        .index = NO_INDEX, .id = scan_member(item, "id"), .name = scan_member(function, "name")};
    int32_t code = INF_OK;

    if (scan_is_none(item))
        return INF_OK;
    if (!scan_is_object(item) || (!scan_is_none(function) && !scan_is_object(function)))
        return broken(err);
    if (form != TOOL_NATIVE && !scan_is_none(index) &&
        (!scan_integer(index, &p.index) || p.index < 0))
        return broken(err);
    code = read_arguments(&p, scan_member(function, "arguments"), err);
    if (code == INF_OK)
        code = add_piece(t, &p, form, err);
    buffer_free(&p.arguments);
    return code;
}

int32_t tool_calls_add(struct tool_calls *t, struct json_span calls, enum tool_form form,
                       inf_error *err)
{
    struct json_span piece;
    struct json_walk w;
    int32_t code = INF_OK;

    if (!scan_array(&w, calls))
        return broken(err);
    t->lists++;
    while (code == INF_OK && scan_next_item(&w, &piece))
        code = add_one(t, piece, form, err);
    return code;
}

int32_t tool_calls_add_function(struct tool_calls *t, struct json_span function, inf_error *err)
{
    struct piece p = {.index = OLD_FORM, .name = scan_member(function, "name")};
    int32_t code = INF_OK;

    if (!scan_is_object(function))
        return broken(err);
    t->lists++;
    code = read_arguments(&p, scan_member(function, "arguments"), err);
    if (code == INF_OK)
        code = add_piece(t, &p, TOOL_PIECES, err);
    buffer_free(&p.arguments);
    return code;
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

static bool write_arguments(struct buffer *out, const struct tool_arguments *arguments)
{
    struct buffer text;
    bool ok = true;

    buffer_init(&text, BUFFER_NO_LIMIT);
    ok = tool_arguments_append(&text, arguments) &&
         write_text(out, text.data ? text.data : "", text.len);
    buffer_free(&text);
    return ok;
}

static bool write_call(struct buffer *out, struct tool_call *call)
{
    return (call->id.len || make_id(&call->id)) && buffer_append_str(out, "{\"id\":") &&
           write_text(out, call->id.data, call->id.len) &&
           buffer_append_str(out, ",\"type\":\"function\",\"function\":{\"name\":") &&
           write_text(out, call->name.data, call->name.len) &&
           buffer_append_str(out, ",\"arguments\":") && write_arguments(out, &call->arguments) &&
           buffer_append_str(out, "}}");
}

static bool is_same_text(const struct buffer *a, const struct buffer *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

/* The older form of a call that came in the newer one too. */
static int32_t is_said_twice(bool *twice, const struct tool_calls *t, const struct tool_call *call,
                             inf_error *err)
{
    const struct buffer *text = &call->arguments.text;
    int32_t code = INF_OK;

    *twice = false;
    for (size_t i = 0; i < t->n && code == INF_OK && call->index == OLD_FORM && !*twice; i++)
        if (t->items[i].index != OLD_FORM && is_same_text(&t->items[i].name, &call->name))
            code = tool_arguments_are(twice, &t->items[i].arguments, text->data, text->len, err);
    return code;
}

/* Whether it is a call at all. */
static int32_t is_call(bool *is, const struct tool_calls *t, const struct tool_call *call,
                       inf_error *err)
{
    bool twice = false;
    int32_t code = INF_OK;

    *is = call->name.len || call->arguments.text.len;
    if (*is)
        code = is_said_twice(&twice, t, call, err);
    *is = *is && !twice;
    return code;
}

/* ------------------------------------------------------------------ out, in pieces */

/* Appends what is new of a text, whole code points. */
static bool take_new(struct buffer *out, struct text_join *join, const char *text, size_t to,
                     size_t *shown, bool end)
{
    bool ok = to <= *shown || text_join_push(join, text + *shown, to - *shown, out);

    *shown = to > *shown ? to : *shown;
    return ok && (!end || text_join_end(join, out));
}

/* All of the arguments, where nothing follows them. */
static bool take_arguments(struct buffer *out, struct tool_call *call, bool ended, bool end)
{
    struct buffer all;
    size_t settled = tool_arguments_settled(&call->arguments, ended);
    bool ok = true;

    if (!end)
        return take_new(out, &call->join, call->arguments.text.data, settled,
                        &call->arguments_shown, false);
    buffer_init(&all, BUFFER_NO_LIMIT);
    ok = tool_arguments_append(&all, &call->arguments) &&
         take_new(out, &call->join, all.data, all.len, &call->arguments_shown, true);
    buffer_free(&all);
    return ok;
}

/* out: empty, for the texts. */
static bool make_piece(inf_tool_call_delta *piece, struct buffer *out, struct tool_call *call,
                       bool ended, bool end)
{
    size_t id = 0, name = 0;

    if (end && !call->id.len && !make_id(&call->id))
        return false;
    if (!take_new(out, &call->id_join, call->id.data, call->id.len, &call->id_shown, end))
        return false;
    id = out->len;
    if (!take_new(out, &call->name_join, call->name.data, call->name.len, &call->name_shown, end))
        return false;
    name = out->len;
    if (!take_arguments(out, call, ended, end))
        return false;
    if (out->len == 0)
        return true;
    *piece = (inf_tool_call_delta){.index = (int32_t)call->shown,
                                   .id = {out->data, id},
                                   .name = {out->data + id, name - id},
                                   .arguments = {out->data + name, out->len - name}};
    return true;
}

static int32_t give_call(struct tool_calls *t, struct tool_call *call, bool ended, bool end,
                         tool_piece_fn give, void *owner, inf_error *err)
{
    inf_tool_call_delta piece = {.index = 0};
    struct buffer text;
    int32_t code = INF_OK;

    buffer_init(&text, BUFFER_NO_LIMIT);
    if (call->shown < 0)
        call->shown = t->n_shown++;
    if (!make_piece(&piece, &text, call, ended, end))
        code = error_no_memory(err);
    if (code == INF_OK && text.len)
        code = give(owner, &piece, err);
    buffer_free(&text);
    return code;
}

/* Its arguments have begun, and its name stands before them. */
static bool has_begun(struct tool_call *call)
{
    return call->shown >= 0 ||
           (call->name.len && tool_arguments_settled(&call->arguments, false) > 0);
}

int32_t tool_calls_give(struct tool_calls *t, bool end, tool_piece_fn give, void *owner,
                        inf_error *err)
{
    size_t begun = 0; /* calls before it, which the first piece of another one opens and ends */
    int32_t code = INF_OK;

    for (size_t i = 0; i < t->n; i++)
        if (t->items[i].index != OLD_FORM && has_begun(&t->items[i]))
            begun = i + 1;
    for (size_t i = 0; i < t->n && code == INF_OK; i++) {
        struct tool_call *call = &t->items[i];
        bool is = i < begun && call->index != OLD_FORM && call->name.len;

        if (end)
            code = is_call(&is, t, call, err);
        if (code == INF_OK && is)
            code = give_call(t, call, i + 1 < begun, end, give, owner, err);
    }
    return code;
}

/* ------------------------------------------------------------------ out, whole */

/* The calls as they were given out, then the others; each with a comma before it. */
static int32_t write_calls(struct buffer *out, struct tool_calls *t, inf_error *err)
{
    int32_t code = INF_OK;

    for (int64_t at = 0; at <= t->n_shown; at++)
        for (size_t i = 0; i < t->n && code == INF_OK; i++) {
            struct tool_call *call = &t->items[i];
            bool is = false;

            if (call->shown != (at < t->n_shown ? at : -1))
                continue;
            code = is_call(&is, t, call, err);
            if (code == INF_OK && is && !(buffer_append_str(out, ",") && write_call(out, call)))
                code = error_no_memory(err);
        }
    return code;
}

int32_t tool_calls_json(char **out, struct tool_calls *t, inf_error *err)
{
    struct buffer text;
    int32_t code = INF_OK;

    *out = NULL;
    buffer_init(&text, BUFFER_NO_LIMIT);
    code = write_calls(&text, t, err);
    if (code == INF_OK && text.len && !buffer_append_str(&text, "]"))
        code = error_no_memory(err);
    if (code != INF_OK || text.len == 0) {
        buffer_free(&text);
        return code;
    }
    text.data[0] = '[';
    *out = text.data;
    return INF_OK;
}
