/*
 * output_read: see the header.
 */
#include "text/output/output_read.h"

#include "core/json.h"
#include "text/output/output_python.h"
#include "text/output/output_values.h"

#include <string.h>

#define MAX_NAME 256
#define MAX_TAG 1024
#define MAX_FENCE 512 /* between DeepSeek's separator and the arguments */

/* ------------------------------------------------------------------ names */

/* What a name is made of. */
static bool in_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == ':' || c == '/' || ((unsigned char)c & 0x80);
}

static size_t name_end(const char *s, size_t n, size_t at)
{
    while (at < n && in_name(s[at]))
        at++;
    return at;
}

static inf_text piece(const char *s, size_t from, size_t to)
{
    while (from < to && scan_is_space(s[from]))
        from++;
    while (to > from && scan_is_space(s[to - 1]))
        to--;
    return (inf_text){s + from, to - from};
}

/* ------------------------------------------------------------------ JSON values */

/* Outside of strings. */
static bool in_json(char c)
{
    return c != '\0' && strchr("{}[],: \t\r\n0123456789+-.eEtrufalsn\"", c);
}

size_t output_json_end(struct output_json *v, const char *s, size_t n)
{
    if (v->at < v->begin)
        *v = (struct output_json){.at = v->begin, .begin = v->begin};
    for (; v->at < n && !v->broken && !v->end; v->at++) {
        char c = s[v->at];

        if (v->in_string) {
            v->in_string = v->escaped || c != '"';
            v->escaped = !v->escaped && c == '\\';
            continue;
        }
        v->broken = !in_json(c) || (v->depth == 0 && c != '{' && c != '[');
        if (v->broken)
            return 0;
        v->in_string = c == '"';
        if (c == '{' || c == '[')
            v->depth++;
        else if ((c == '}' || c == ']') && --v->depth == 0)
            v->end = v->at + 1;
    }
    return v->end;
}

/* The value that begins at `at`. READ_CALL: *out is valid JSON, up to *to. */
static enum output_read read_json(struct output_json *value, const char *s, size_t n, size_t at,
                                  struct json_span *out, size_t *to)
{
    value->begin = at;
    *to = output_json_end(value, s, n);
    if (*to == 0)
        return value->broken ? READ_NONE : READ_MORE;
    return scan_json(out, s + at, *to - at) ? READ_CALL : READ_NONE;
}

static enum output_read added(bool ok)
{
    return ok ? READ_CALL : READ_NONE;
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

bool output_stream_object(struct output_scan *scan, const char *s, size_t to, size_t at,
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
    end = output_json_end(a, s, to);
    *whole = end != 0;
    end = *whole ? end : a->at;
    output_calls_more(calls, s + scan->shown, end - scan->shown);
    scan->shown = end;
    return true;
}

/* The object of arguments that begins at `at` and is all that follows of the call. */
static enum output_read read_arguments(struct output_scan *scan, const char *s, size_t n, size_t at,
                                       inf_text id, inf_text name, size_t *used,
                                       struct output_calls *calls)
{
    struct json_span object = {NULL, 0};
    enum output_read how = READ_MORE;
    bool whole = false;

    if (output_stream_object(scan, s, n, at, id, name, calls, &whole)) {
        *used = scan->shown;
        if (whole)
            return added(output_calls_close(calls));
        return scan->arguments.broken ? READ_NONE : READ_MORE;
    }
    how = read_json(&scan->value, s, n, at, &object, used);
    return how == READ_CALL
               ? added(output_calls_add(calls, id, name, (inf_text){object.data, object.len}))
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

#define MAX_HEAD 1024

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
        output_stream_object(scan, s, n, h.arguments, id, name, calls, &whole);
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

static enum output_read read_object(struct output_scan *scan, const char *s, size_t n, size_t at,
                                    bool known, size_t *used, struct output_calls *calls)
{
    struct json_span object = {NULL, 0};
    enum output_read how = read_json(&scan->value, s, n, at, &object, used);
    bool whole = false;

    if (calls->open)
        output_stream_object(scan, s, n, 0, (inf_text){NULL, 0}, (inf_text){NULL, 0}, calls,
                             &whole);
    else if (!calls->open && !scan->plain)
        open_object(scan, s, n, at, known, calls);
    if (calls->open && *used)
        return added(output_calls_close(calls));
    if (how == READ_CALL && known && !names_tool(calls, object))
        return READ_NONE;
    return how == READ_CALL ? added(output_calls_add_object(calls, object)) : how;
}

/* ------------------------------------------------------------------ <function=...> */

/* s[at] begins a parameter that the tool has. */
static bool begins_parameter(const char *s, size_t n, size_t at, json_t *parameters)
{
    size_t angle = output_find(s, n - at > MAX_TAG ? at + MAX_TAG : n, at, ">");
    inf_text name = piece(s, at + strlen("<parameter="), angle);

    return angle < n && s[angle] == '>' &&
           json_object_getn(json_object_get(parameters, "properties"), name.data, name.len) != NULL;
}

/* Where the value that begins at `at` ends: before "</parameter>", if what is behind that goes on with the call;
 * before another parameter of the tool where a model forgot to close this one. A value may hold any text. */
static size_t value_end(const char *s, size_t n, size_t at, json_t *parameters, size_t *next)
{
    static const char close[] = "</parameter>";
    static const char open[] = "\n<parameter=";
    size_t found = at;
    size_t other = at;

    while ((found = output_find(s, n, found, close)) < n) {
        *next = output_skip_space(s, n, found + sizeof close - 1);
        if (*next == n || output_match(s, n, *next, open + 1) == 1)
            break;
        found++;
    }
    while ((other = output_find(s, n, other, open)) < found &&
           !begins_parameter(s, n, other + 1, parameters))
        other++;
    if (other < found)
        *next = other + 1;
    else if (found == n)
        *next = n;
    return other < found ? other : found;
}

/* The line end behind the tag before it, and the one before the tag behind it, are the format's. */
static inf_text value_of(const char *s, size_t from, size_t to)
{
    if (from < to && s[from] == '\n')
        from++;
    if (from < to && s[to - 1] == '\n')
        to--;
    return (inf_text){s + from, to - from};
}

static bool add_member(struct buffer *out, json_t *parameters, inf_text name, inf_text value)
{
    unsigned kinds = output_value_kinds(parameters, name.data, name.len);

    return buffer_append_str(out, out->len > 1 ? ", " : "") &&
           write_json_string(out, name.data, name.len) && buffer_append_str(out, ": ") &&
           output_value_write(out, kinds, value.data, value.len);
}

static json_t *parameters_of(const struct output_calls *calls, inf_text name)
{
    const struct output_tool *tool = output_tools_find(calls->tools, name.data, name.len);

    return tool ? tool->parameters : NULL;
}

/* s[at..n): what stands between <function=NAME> and </function>. */
static bool write_parameters(struct buffer *out, const char *s, size_t at, size_t n,
                             json_t *parameters, bool *ok)
{
    *ok = buffer_append_str(out, "{");
    for (at = output_skip_space(s, n, at); at < n && *ok;) {
        size_t name = at + strlen("<parameter=");
        size_t angle = output_find(s, n, at, ">");
        size_t next = n;
        size_t end = 0;

        if (output_match(s, n, at, "<parameter=") != 1 || angle == n)
            return false;
        end = value_end(s, n, angle + 1, parameters, &next);
        *ok = add_member(out, parameters, piece(s, name, angle), value_of(s, angle + 1, end));
        at = next;
    }
    *ok = *ok && buffer_append_str(out, "}");
    return true;
}

/* Where the value that begins at `at` ends, of a text that goes on behind n; n: that cannot be told yet. *probe: as in
 * output_scan. */
static size_t value_end_so_far(const char *s, size_t n, size_t at, json_t *parameters,
                               size_t *probe, size_t *next)
{
    static const char close[] = "</parameter>";
    static const char open[] = "<parameter=";

    for (*probe = *probe < at ? at : *probe; *probe < n; ++*probe) {
        size_t c = *probe = output_find(s, n, *probe, "<");
        int closes = output_match(s, n, c, close);
        int opens = c > at && c < n && s[c - 1] == '\n' ? output_match(s, n, c, open) : -1;
        int goes_on = -1;

        *next = closes == 1 ? output_skip_space(s, n, c + sizeof close - 1) : c;
        if (c == n || closes == 0 || opens == 0 || *next == n)
            return n;
        goes_on = closes == 1 ? output_match(s, n, *next, open) : -1;
        if (goes_on == 0 || (opens == 1 && n - c <= MAX_TAG && output_find(s, n, c, ">") == n))
            return n;
        if (goes_on == 1)
            return c;
        if (opens == 1 && begins_parameter(s, n, c, parameters))
            return c - 1;
    }
    return n;
}

/* Gives an open call one member more. */
static void show_member(struct output_calls *calls, json_t *parameters, inf_text name,
                        inf_text value)
{
    struct buffer member;
    bool first = calls->arguments.len == 0;

    buffer_init(&member, BUFFER_NO_LIMIT);
    if (!buffer_append_str(&member, first ? "{" : "{ ") ||
        !add_member(&member, parameters, name, value))
        calls->failed = true;
    else if (first)
        output_calls_more(calls, member.data, member.len);
    else
        output_calls_more(calls, member.data + 2, member.len - 2);
    buffer_free(&member);
}

/* s[at..n): what stands behind <function=NAME>, so far. Parameters that are all there go into the call, which the first
 * of them opens. */
static void stream_parameters(struct output_scan *scan, const char *s, size_t n, size_t at,
                              inf_text name, struct output_calls *calls)
{
    json_t *parameters = parameters_of(calls, name);

    at = output_skip_space(s, n, scan->shown ? scan->shown : at);
    while (!calls->failed && output_match(s, n, at, "<parameter=") == 1) {
        size_t angle = output_find(s, n, at, ">");
        size_t next = n;
        size_t end = n;

        if (!calls->open && !output_calls_begin(calls, (inf_text){NULL, 0}, name))
            return;
        scan->shown = at;
        if (angle < n)
            end = value_end_so_far(s, n, angle + 1, parameters, &scan->probe, &next);
        if (end == n)
            return;
        show_member(calls, parameters, piece(s, at + strlen("<parameter="), angle),
                    value_of(s, angle + 1, end));
        scan->shown = at = next;
    }
}

static enum output_read add_function(struct output_calls *calls, inf_text name, const char *s,
                                     size_t from, size_t to)
{
    struct buffer arguments;
    bool ok = true;
    enum output_read how = READ_NONE;

    buffer_init(&arguments, BUFFER_NO_LIMIT);
    if (write_parameters(&arguments, s, from, to, parameters_of(calls, name), &ok) && ok)
        how = added(output_calls_add(calls, (inf_text){NULL, 0}, name,
                                     (inf_text){arguments.data, arguments.len}));
    calls->failed = calls->failed || !ok;
    buffer_free(&arguments);
    return how;
}

/* Whether s[from..to) holds parameters that are all closed, or none. */
static bool is_closed(const char *s, size_t from, size_t to)
{
    static const char close[] = "</parameter>";

    while (to > from && scan_is_space(s[to - 1]))
        to--;
    return to == from || (to - from >= sizeof close - 1 &&
                          memcmp(s + to - (sizeof close - 1), close, sizeof close - 1) == 0);
}

/* What is behind "</function>", for a parameter that was not closed: 1: the call has ended; 0: not to be told yet;
 * -1: that was within a value. */
static int is_behind_function(const char *s, size_t n, size_t at, bool end)
{
    static const char *const behind[] = {"</tool_call>", "<tool_call>", "<function="};
    bool perhaps = false;

    at = output_skip_space(s, n, at);
    for (size_t i = 0; i < sizeof behind / sizeof *behind; i++) {
        int matches = output_match(s, n, at, behind[i]);

        if (matches == 1)
            return 1;
        perhaps = perhaps || matches == 0;
    }
    return perhaps ? end : -1;
}

/* s[at]: "<function=". */
static enum output_read read_function(struct output_scan *scan, const char *s, size_t n, size_t at,
                                      bool end, size_t *used, struct output_calls *calls)
{
    static const char close[] = "</function>";
    size_t *to = &scan->value.at; /* where it ends, perhaps */
    size_t name = at + strlen("<function=");
    size_t angle = name_end(s, n, name);
    int ends = -1;

    if (angle == n && n - name <= MAX_NAME)
        return READ_MORE;
    if (angle == n || s[angle] != '>' || angle == name || angle - name > MAX_NAME)
        return READ_NONE;
    if (*to < angle)
        *to = angle;
    for (;; ++*to) {
        *to = output_find(s, n, *to, close);
        if (*to < n)
            ends = is_closed(s, angle + 1, *to)
                       ? 1
                       : is_behind_function(s, n, *to + sizeof close - 1, end);
        if (*to == n || ends >= 0)
            break;
    }
    stream_parameters(scan, s, *to, angle + 1, (inf_text){s + name, angle - name}, calls);
    if (ends != 1) { /* the word may begin in what is there */
        *to = n - angle < sizeof close ? angle : ends == 0 ? *to : n - sizeof close + 1;
        return READ_MORE;
    }
    *used = *to + sizeof close - 1;
    return add_function(calls, (inf_text){s + name, angle - name}, s, angle + 1, *to);
}

/* ------------------------------------------------------------------ a call that the end of the text cuts */

/* As far as it came: "{" at least, and a value that is not all there. */
static void show_beginning(struct output_calls *calls, json_t *parameters, inf_text name,
                           inf_text value)
{
    unsigned kinds = output_value_kinds(parameters, name.data, name.len);
    struct buffer member;

    buffer_init(&member, BUFFER_NO_LIMIT);
    if (buffer_append_str(&member, calls->arguments.len > 1 ? ", "
                                   : calls->arguments.len   ? ""
                                                            : "{") &&
        write_json_string(&member, name.data, name.len) && buffer_append_str(&member, ": ") &&
        output_value_begin(&member, kinds, value.data, value.len))
        output_calls_more(calls, member.data, member.len);
    else
        calls->failed = true;
    buffer_free(&member);
}

static bool opened(struct output_calls *calls, inf_text name)
{
    return calls->open || output_calls_begin(calls, (inf_text){NULL, 0}, name);
}

static bool cut_so(struct output_calls *calls, inf_text name)
{
    return opened(calls, name) && (calls->arguments.len || output_calls_more(calls, "{", 1));
}

/* Without what there is of the tag that would close it. */
static size_t before_closer(const char *s, size_t from, size_t n, const char *close)
{
    for (size_t at = n > from + strlen(close) ? n - strlen(close) : from; at < n; at++)
        if (output_match(s, n, at, close) == 0)
            return at;
    return n;
}

/* The same of a parameter's value, which the next one's tag may end, too. */
static size_t before_tag(const char *s, size_t from, size_t n)
{
    static const char open[] = "<parameter=";
    size_t at = n - from > MAX_TAG ? n - MAX_TAG : from;

    for (; (at = output_find(s, n, at, "<")) < n; at++) {
        int opens = s[at - 1] == '\n' ? output_match(s, n, at, open) : -1;

        if (opens == 0 || (opens == 1 && output_find(s, n, at, ">") == n))
            return at;
    }
    return before_closer(s, from, n, "</parameter>");
}

/* Where the value that begins at `at` ends, if it does: the text ends behind it, or within the next tag. */
static size_t last_value_end(const char *s, size_t n, size_t at, size_t *next)
{
    static const char close[] = "</parameter>";

    for (; (at = output_find(s, n, at, close)) < n; at++) {
        *next = output_skip_space(s, n, at + sizeof close - 1);
        if (*next == n || output_match(s, n, *next, "<parameter=") >= 0 ||
            output_match(s, n, *next, "</function>") == 0)
            return at;
    }
    return n;
}

/* s[at]: "<function=". false: the text does not end within its parameters' tags and values. */
static bool cut_function(struct output_scan *scan, const char *s, size_t n, size_t at,
                         struct output_calls *calls)
{
    size_t from = at + strlen("<function=");
    size_t angle = name_end(s, n, from);
    inf_text name = {s + from, angle - from};
    json_t *parameters = parameters_of(calls, name);

    if (angle == n || s[angle] != '>')
        return false;
    for (at = calls->open ? scan->shown : angle + 1; !calls->failed;) {
        size_t tag_end, end, next = n;

        at = output_skip_space(s, n, at);
        if (output_match(s, n, at, "<parameter=") != 1)
            return (output_match(s, n, at, "<parameter=") == 0 ||
                    output_match(s, n, at, "</function>") == 0) &&
                   cut_so(calls, name);
        tag_end = output_find(s, n, at, ">");
        if (tag_end == n)
            return n - at <= MAX_TAG && cut_so(calls, name);
        if (!opened(calls, name))
            return false;
        from = at + strlen("<parameter=");
        end = last_value_end(s, n, tag_end + 1, &next);
        if (end == n) {
            show_beginning(calls, parameters, piece(s, from, tag_end),
                           value_of(s, tag_end + 1, before_tag(s, tag_end + 1, n)));
            return true;
        }
        show_member(calls, parameters, piece(s, from, tag_end), value_of(s, tag_end + 1, end));
        scan->shown = at = next;
    }
    return false;
}

/* ------------------------------------------------------------------ <arg_key>...</arg_key> */

static bool write_pairs(struct buffer *out, const char *s, size_t at, size_t n, json_t *parameters,
                        bool *ok)
{
    *ok = buffer_append_str(out, "{");
    for (at = output_skip_space(s, n, at); at < n && *ok; at = output_skip_space(s, n, at)) {
        size_t key = at + strlen("<arg_key>");
        size_t key_end = output_find(s, n, at, "</arg_key>");
        size_t value = output_find(s, n, key_end, "<arg_value>");
        size_t value_to = output_find(s, n, value, "</arg_value>");

        if (output_match(s, n, at, "<arg_key>") != 1 || value_to == n)
            return false;
        value += strlen("<arg_value>");
        *ok = add_member(out, parameters, piece(s, key, key_end),
                         (inf_text){s + value, value_to - value});
        at = value_to + strlen("</arg_value>");
    }
    *ok = *ok && buffer_append_str(out, "}");
    return true;
}

/* A key that begins at `at`, and that a value follows. */
static bool has_key(const char *s, size_t n, size_t at)
{
    size_t to = output_find(s, n - at > MAX_TAG ? at + MAX_TAG : n, at, "</arg_key>");

    to = to < n ? output_skip_space(s, n, to + strlen("</arg_key>")) : n;
    return to < n && output_match(s, n, to, "<arg_value>") == 1;
}

/* s[at..n): what stands behind the name, so far, as in stream_parameters. */
static void stream_pairs(struct output_scan *scan, const char *s, size_t n, size_t at,
                         inf_text name, struct output_calls *calls)
{
    static const char close[] = "</arg_value>";

    at = output_skip_space(s, n, scan->shown ? scan->shown : at);
    while (!calls->failed && output_match(s, n, at, "<arg_key>") == 1) {
        size_t key = at + strlen("<arg_key>");
        size_t to = output_find(s, n, scan->probe > key ? scan->probe : key, close);
        size_t key_end = to < n ? output_find(s, to, key, "</arg_key>") : n;
        size_t value = to < n ? output_find(s, to, key_end, "<arg_value>") : n;

        if (!calls->open &&
            !(has_key(s, n, key) && output_calls_begin(calls, (inf_text){NULL, 0}, name)))
            return;
        scan->shown = at;
        scan->probe = to < n                  ? to + sizeof close - 1
                      : n - at < sizeof close ? at
                                              : n - sizeof close + 1;
        if (to == n)
            return;
        if (value >= to)
            continue;
        value += strlen("<arg_value>");
        show_member(calls, parameters_of(calls, name), piece(s, key, key_end),
                    (inf_text){s + value, to - value});
        scan->shown = to + sizeof close - 1;
        at = output_skip_space(s, n, scan->shown);
    }
}

static enum output_read read_pairs(struct output_scan *scan, const char *s, size_t n, size_t at,
                                   size_t *used, struct output_calls *calls)
{
    static const char close[] = "</tool_call>";
    struct buffer arguments;
    enum output_read how = READ_NONE;
    bool ok = true;
    size_t to = name_end(s, n, at);

    if (to == n)
        return n - at > MAX_NAME ? READ_NONE : READ_MORE;
    *used = output_find(s, n, scan->value.at > at ? scan->value.at : at, close);
    scan->value.at = n - at > sizeof close ? n - sizeof close + 1 : at;
    if (to > at && to - at <= MAX_NAME)
        stream_pairs(scan, s, *used, to, (inf_text){s + at, to - at}, calls);
    if (*used == n)
        return READ_MORE;
    if (to == at || to - at > MAX_NAME)
        return READ_NONE;
    buffer_init(&arguments, BUFFER_NO_LIMIT);
    if (write_pairs(&arguments, s, to, *used, parameters_of(calls, (inf_text){s + at, to - at}),
                    &ok) &&
        ok)
        how = added(output_calls_add(calls, (inf_text){NULL, 0}, (inf_text){s + at, to - at},
                                     (inf_text){arguments.data, arguments.len}));
    calls->failed = calls->failed || !ok;
    buffer_free(&arguments);
    return how;
}

/* s[at]: the name. false: the text does not end within its tags and values. */
static bool cut_pairs(struct output_scan *scan, const char *s, size_t n, size_t at,
                      struct output_calls *calls)
{
    size_t to = name_end(s, n, at);
    inf_text name = {s + at, to - at};
    size_t key, key_end, value;

    if (to == n || to == at || to - at > MAX_NAME)
        return false;
    at = output_skip_space(s, n, calls->open ? scan->shown : to);
    if (output_match(s, n, at, "<arg_key>") != 1)
        return (output_match(s, n, at, "<arg_key>") == 0 ||
                output_match(s, n, at, "</tool_call>") == 0) &&
               cut_so(calls, name);
    key = at + strlen("<arg_key>");
    key_end = output_find(s, n, key, "</arg_key>");
    if (key_end == n)
        return n - at <= MAX_TAG && cut_so(calls, name);
    value = output_skip_space(s, n, key_end + strlen("</arg_key>"));
    if (output_match(s, n, value, "<arg_value>") != 1)
        return output_match(s, n, value, "<arg_value>") == 0 && cut_so(calls, name);
    value += strlen("<arg_value>");
    if (!opened(calls, name))
        return false;
    to = before_closer(s, value, n, "</arg_value>");
    show_beginning(calls, parameters_of(calls, name), piece(s, key, key_end),
                   (inf_text){s + value, to - value});
    return true;
}

/* ------------------------------------------------------------------ <tool_call> */

/* The text ends within a call whose arguments are bare texts, and the call has what there is of them. */
static bool cut_tagged(const struct output_format *f, struct output_scan *scan, const char *s,
                       size_t n, struct output_calls *calls)
{
    size_t at = output_match(s, n, 0, "<function=") == 1
                    ? 0
                    : output_skip_space(s, n, strlen("<tool_call>"));

    if (at < n && s[at] == '{')
        return false;
    if (f->shape == OUTPUT_PAIRS)
        return at > 0 && cut_pairs(scan, s, n, at, calls);
    return output_match(s, n, at, "<function=") == 1 && cut_function(scan, s, n, at, calls);
}

static enum output_read read_tagged(const struct output_format *f, struct output_scan *scan,
                                    const char *s, size_t n, bool end, size_t *used,
                                    struct output_calls *calls)
{
    size_t at = 0;
    int is_function = 0;

    if (output_match(s, n, 0, "<function=") == 1)
        return read_function(scan, s, n, 0, end, used, calls);
    at = output_skip_space(s, n, strlen("<tool_call>"));
    if (at == n)
        return READ_MORE;
    if (s[at] == '{')
        return read_object(scan, s, n, at, false, used, calls);
    if (f->shape == OUTPUT_PAIRS)
        return read_pairs(scan, s, n, at, used, calls);
    is_function = output_match(s, n, at, "<function=");
    if (is_function == 1)
        return read_function(scan, s, n, at, end, used, calls);
    return is_function == 0 ? READ_MORE : READ_NONE;
}

/* ------------------------------------------------------------------ Llama 3 */

/* An object of something else shows it by its first name, so that an answer in JSON is not held back. */
static int begins_call(const char *s, size_t n, size_t at)
{
    static const char *const names[] = {"\"name\"",     "\"parameters\"", "\"arguments\"",
                                        "\"function\"", "\"type\"",       "\"id\""};
    int best = -1;

    at = output_skip_space(s, n, at + 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int matches = output_match(s, n, at, names[i]);

        best = matches > best ? matches : best;
    }
    return best;
}

/* Any JSON may begin like that: it is a call when it names a tool. */
static enum output_read read_bare(struct output_scan *scan, const char *s, size_t n, size_t *used,
                                  struct output_calls *calls)
{
    size_t at = s[0] == '{' ? 0 : output_skip_space(s, n, strlen("<|python_tag|>"));
    int begins = 0;

    if (at == n)
        return READ_MORE;
    if (s[at] != '{')
        return READ_NONE;
    begins = begins_call(s, n, at);
    if (begins != 1)
        return begins == 0 ? READ_MORE : READ_NONE;
    return read_object(scan, s, n, at, true, used, calls);
}

/* ------------------------------------------------------------------ Mistral */

/* The calls of a list go into it one by one. */
static enum output_read read_list(struct output_scan *scan, const char *s, size_t n, size_t at,
                                  size_t *used, struct output_calls *calls)
{
    if (!scan->item)
        scan->item = at + 1;
    for (;;) {
        enum output_read how = READ_NONE;

        at = output_skip_space(s, n, scan->item);
        if (scan->items && at < n && s[at] == ']') {
            *used = at + 1;
            return READ_CALL;
        }
        if (scan->items && at < n && s[at] != ',')
            return READ_NONE;
        at = scan->items && at < n ? output_skip_space(s, n, at + 1) : at;
        if (at == n || s[at] != '{')
            return at == n ? READ_MORE : READ_NONE;
        how = read_object(scan, s, n, at, false, used, calls);
        if (how != READ_CALL)
            return how;
        *scan = (struct output_scan){.item = *used, .shown = *used, .items = true};
    }
}

/* NAME, perhaps [CALL_ID]ID, perhaps [ARGS], then the object of arguments. */
static enum output_read read_named(struct output_scan *scan, const char *s, size_t n, size_t at,
                                   size_t *used, struct output_calls *calls)
{
    size_t to = name_end(s, n, at);
    inf_text name = {s + at, to - at};
    inf_text id = {NULL, 0};

    if (to == at || to - at > MAX_NAME)
        return READ_NONE;
    if (output_match(s, n, to, "[CALL_ID]") == 1) {
        at = to + strlen("[CALL_ID]");
        to = name_end(s, n, at);
        id = (inf_text){s + at, to - at};
    }
    if (output_match(s, n, to, "[ARGS]") == 1)
        to += strlen("[ARGS]");
    else if (to < n && s[to] == '[' && output_match(s, n, to, "[ARGS]") < 0 &&
             output_match(s, n, to, "[CALL_ID]") < 0)
        return READ_NONE;
    to = output_skip_space(s, n, to);
    if (to == n || s[to] == '[')
        return READ_MORE;
    return s[to] == '{' ? read_arguments(scan, s, n, to, id, name, used, calls) : READ_NONE;
}

static enum output_read read_bracketed(struct output_scan *scan, const char *s, size_t n,
                                       size_t *used, struct output_calls *calls)
{
    size_t at = output_skip_space(s, n, strlen("[TOOL_CALLS]"));

    if (at == n)
        return READ_MORE;
    if (s[at] == '[')
        return read_list(scan, s, n, at, used, calls);
    if (s[at] == '{')
        return read_object(scan, s, n, at, false, used, calls);
    return read_named(scan, s, n, at, used, calls);
}

/* ------------------------------------------------------------------ DeepSeek */

/* s[at]: behind the separator: NAME ```json {...}. n: there is no such beginning, so far. */
static size_t skip_fence(const char *s, size_t n, size_t at, inf_text *name)
{
    size_t most = n - at > MAX_FENCE ? at + MAX_FENCE : n;
    size_t line = output_find(s, most, at, "\n");
    size_t fence = output_find(s, most, at, "```json");

    *name = piece(s, at, line < fence ? line : fence);
    return fence == most ? n : output_skip_space(s, n, fence + strlen("```json"));
}

static enum output_read read_separated(const struct output_format *f, struct output_scan *scan,
                                       const char *s, size_t n, size_t *used,
                                       struct output_calls *calls)
{
    size_t at = 0;
    size_t separator = 0;
    inf_text name = {NULL, 0};
    int begins = 0;

    if (output_match(s, n, 0, f->openers[0]) == 1)
        at = output_skip_space(s, n, strlen(f->openers[0]));
    begins = output_match(s, n, at, f->openers[1]);
    if (begins != 1)
        return begins == 0 ? READ_MORE : READ_NONE;
    at += strlen(f->openers[1]);
    separator = output_find(s, n, at, f->markers[0]);
    if (separator == n || separator - at > MAX_NAME)
        return n - at > MAX_NAME + strlen(f->markers[0]) ? READ_NONE : READ_MORE;
    name = piece(s, at, separator);
    at = output_skip_space(s, n, separator + strlen(f->markers[0]));
    if (at < n && s[at] != '{')
        at = skip_fence(s, n, at, &name);
    if (at == n)
        return n - separator > MAX_FENCE + 64 ? READ_NONE : READ_MORE;
    if (name.len == 0 || s[at] != '{')
        return READ_NONE;
    return read_arguments(scan, s, n, at, (inf_text){NULL, 0}, name, used, calls);
}

/* ------------------------------------------------------------------ Python's */

static enum output_read read_python(struct output_scan *scan, const char *s, size_t n, size_t *used,
                                    struct output_calls *calls)
{
    size_t at = s[0] == '[' ? 0 : output_skip_space(s, n, strlen("<|python_start|>"));

    if (at == n)
        return READ_MORE;
    return s[at] == '[' ? output_read_python(scan, s, n, at, used, calls) : READ_NONE;
}

/* ------------------------------------------------------------------ by shape */

bool output_read_stop(const struct output_scan *scan, size_t *used, struct output_calls *calls)
{
    *used = scan->shown;
    return calls->open ? output_calls_close(calls) : scan->items;
}

enum output_read output_read_call(const struct output_format *f, struct output_scan *scan,
                                  const char *s, size_t n, bool end, size_t *used,
                                  struct output_calls *calls)
{
    enum output_read how = READ_NONE;

    switch (f->shape) {
    case OUTPUT_JSON:
    case OUTPUT_XML:
    case OUTPUT_PAIRS:
        how = read_tagged(f, scan, s, n, end, used, calls);
        break;
    case OUTPUT_BARE:
        how = read_bare(scan, s, n, used, calls);
        break;
    case OUTPUT_PYTHON:
        how = read_python(scan, s, n, used, calls);
        break;
    case OUTPUT_BRACKETS:
        how = read_bracketed(scan, s, n, used, calls);
        break;
    case OUTPUT_TOKENS:
        how = read_separated(f, scan, s, n, used, calls);
        break;
    default:
        break;
    }
    if (how == READ_MORE && end) {
        how = READ_NONE;
        if ((f->shape == OUTPUT_JSON || f->shape == OUTPUT_XML || f->shape == OUTPUT_PAIRS) &&
            cut_tagged(f, scan, s, n, calls))
            scan->shown = n;
    }
    if (how == READ_NONE && output_read_stop(scan, used, calls))
        how = READ_CALL;
    return how;
}
