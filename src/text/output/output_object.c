/*
 * output_object: see the header.
 */
#include "text/output/output_object.h"

#include <string.h>

#define MAX_HEAD 1024

/* Outside of strings. */
static bool in_json(char c)
{
    return c != '\0' && strchr("{}[],: \t\r\n0123456789+-.eEtrufalsn\"", c);
}

/* The end of a JSON value that begins at v->begin; 0: not there yet, or broken. */
static size_t json_end(struct output_json *v, const char *s, size_t n)
{
    if (v->at < v->begin)
        *v = (struct output_json){.at = v->begin, .begin = v->begin};
    for (; v->at < n && !v->broken && !v->end; v->at++) {
        char c = s[v->at];

        v->broken = !v->place.in_string &&
                    (!in_json(c) || (v->place.depth == 0 && c != '{' && c != '['));
        if (v->broken)
            return 0;
        json_step(&v->place, c);
        if (v->place.depth == 0)
            v->end = v->at + 1;
    }
    return v->end;
}

/* The value that begins at `at`. READ_CALL: *out is valid JSON, up to *to. */
static enum output_read read_json(struct output_json *value, const char *s, size_t n, size_t at,
                                  struct json_span *out, size_t *to)
{
    value->begin = at;
    *to = json_end(value, s, n);
    if (*to == 0)
        return value->broken ? READ_NONE : READ_MORE;
    return scan_json(out, s + at, *to - at) ? READ_CALL : READ_NONE;
}

/* ------------------------------------------------------------------ arguments as they come */

/* An object that has a member, or ends: 1; not to be told yet: 0; else -1. */
static int begins_object(const char *s, size_t n, size_t at)
{
    if (s[at] != '{')
        return -1;
    at = output_skip_space(s, n, at + 1);
    return at == n ? 0 : s[at] == '"' || s[at] == '}' ? 1 : -1;
}

/* s[at] begins the arguments of that call: an object. When it has begun like one, the call is open and has what is
 * there of it, up to `to`; *whole: its end too. false: it is none, or cannot be told yet. */
static bool stream_object(struct output_scan *scan, const char *s, size_t to, size_t at,
                          inf_text id, inf_text name, struct output_calls *calls, bool *whole)
{
    struct output_json *a = &scan->arguments;
    size_t end = 0;

    *whole = false;
    if (!calls->open) {
        if (begins_object(s, to, at) != 1 || !output_calls_begin(calls, id, name))
            return false;
        scan->shown = a->begin = at;
    }
    end = json_end(a, s, to);
    *whole = end != 0;
    end = *whole ? end : a->at;
    output_calls_more(calls, s + scan->shown, end - scan->shown);
    scan->shown = end;
    return true;
}

enum output_read output_read_arguments(struct output_scan *scan, const char *s, size_t n, size_t at,
                                       inf_text id, inf_text name, size_t *used,
                                       struct output_calls *calls)
{
    struct json_span object = {NULL, 0};
    enum output_read how = READ_MORE;
    bool whole = false;

    if (stream_object(scan, s, n, at, id, name, calls, &whole)) {
        *used = scan->shown;
        if (whole)
            return output_added(output_calls_close(calls));
        return scan->arguments.broken ? READ_NONE : READ_MORE;
    }
    how = read_json(&scan->value, s, n, at, &object, used);
    return how == READ_CALL ? output_added(output_calls_add(calls, id, name,
                                                            (inf_text){object.data, object.len}))
                            : how;
}

/* ------------------------------------------------------------------ an object with name and arguments */

/* The string that begins at s[at], a quote; data NULL: it has no end yet. */
static struct json_span string_at(const char *s, size_t n, size_t at)
{
    for (size_t to = at + 1; to < n; to += s[to] == '\\' ? 2 : 1)
        if (s[to] == '"')
            return (struct json_span){s + at, to + 1 - at};
    return (struct json_span){NULL, 0};
}

static size_t behind(const char *s, size_t n, struct json_span v)
{
    return output_skip_space(s, n, (size_t)(v.data - s) + v.len);
}

/* What stands in front of the arguments, which begin at `arguments` (0: they are not there). */
struct head {
    struct json_span id, name;
    size_t arguments;
};

/* The member that begins at *at, a string; arguments end the head. false: the head is none, or not there yet. */
static bool head_member(struct head *h, const char *s, size_t n, size_t *at)
{
    struct json_span key = s[*at] == '"' ? string_at(s, n, *at) : (struct json_span){NULL, 0};
    struct json_span value = {NULL, 0};
    struct json_span checked;
    size_t colon = key.data ? behind(s, n, key) : n;
    size_t from = colon < n && s[colon] == ':' ? output_skip_space(s, n, colon + 1) : n;

    if (from == n || !scan_json(&checked, key.data, key.len))
        return false;
    if (scan_equals(key, "arguments") || scan_equals(key, "parameters")) {
        h->arguments = h->name.len > 2 ? from : 0;
        return false;
    }
    value = s[from] == '"' ? string_at(s, n, from) : value;
    if (!value.data || !scan_json(&checked, value.data, value.len))
        return false;
    if (scan_equals(key, "name"))
        h->name = value;
    if (scan_equals(key, "id"))
        h->id = value;
    *at = behind(s, n, value);
    if (*at < n && s[*at] == ',')
        *at = output_skip_space(s, n, *at + 1);
    else
        *at = n;
    return *at < n;
}

static struct head head_of(const char *s, size_t n, size_t at)
{
    struct head h = {{NULL, 0}, {NULL, 0}, 0};

    at = output_skip_space(s, n, at + 1);
    while (at < n && head_member(&h, s, n, &at))
        ;
    return h;
}

static bool is_tool(const struct output_calls *calls, inf_text name)
{
    return output_tools_find(calls->tools, name.data, name.len) != NULL;
}

/* Opens the call whose name stands before its arguments. known: it has to be a tool. */
static void open_object(struct output_scan *scan, const char *s, size_t n, size_t at, bool known,
                        struct output_calls *calls)
{
    struct head h = head_of(s, n - at > MAX_HEAD ? at + MAX_HEAD : n, at);
    struct buffer names, ids;
    inf_text name = {NULL, 0};
    inf_text id = {NULL, 0};
    bool whole = false;

    scan->plain = h.arguments ? begins_object(s, n, h.arguments) < 0 : n - at > MAX_HEAD;
    if (scan->plain || !h.arguments)
        return;
    buffer_init(&names, BUFFER_NO_LIMIT);
    buffer_init(&ids, BUFFER_NO_LIMIT);
    name = output_calls_text(calls, &names, h.name);
    if (h.id.len > 2)
        id = output_calls_text(calls, &ids, h.id);
    scan->plain = known && !is_tool(calls, name);
    if (!calls->failed && !scan->plain)
        stream_object(scan, s, n, h.arguments, id, name, calls, &whole);
    buffer_free(&names);
    buffer_free(&ids);
}

static bool names_tool(const struct output_calls *calls, struct json_span object)
{
    struct json_span function = scan_member(object, "function");
    struct json_span from = scan_is_object(function) ? function : object;
    struct json_span name = scan_member(from, "name");

    if (!scan_is_string(name) ||
        !(scan_member(from, "arguments").data || scan_member(from, "parameters").data))
        return false;
    for (size_t i = 0; i < calls->tools->n; i++)
        if (scan_equals(name, calls->tools->items[i].name))
            return true;
    return false;
}

enum output_read output_read_object(struct output_scan *scan, const char *s, size_t n, size_t at,
                                    bool known, size_t *used, struct output_calls *calls)
{
    struct json_span object = {NULL, 0};
    enum output_read how = read_json(&scan->value, s, n, at, &object, used);
    bool whole = false;

    if (calls->open)
        stream_object(scan, s, n, 0, (inf_text){NULL, 0}, (inf_text){NULL, 0}, calls, &whole);
    else if (!scan->plain)
        open_object(scan, s, n, at, known, calls);
    if (calls->open && *used)
        return output_added(output_calls_close(calls));
    if (how == READ_CALL && known && !names_tool(calls, object))
        return READ_NONE;
    return how == READ_CALL ? output_added(output_calls_add_object(calls, object)) : how;
}
