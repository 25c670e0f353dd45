/*
 * output_tags: see the header.
 */
#include "text/output/output_tags.h"

#include "text/output/output_values.h"

#include <string.h>

#define MAX_TAG 1024

/* ------------------------------------------------------------------ members */

static bool write_member(struct buffer *out, json_t *parameters, inf_text name, inf_text value,
                         bool whole)
{
    unsigned kinds = output_value_kinds(parameters, name.data, name.len);

    return write_json_string(out, name.data, name.len) && buffer_append_str(out, ": ") &&
           (whole ? output_value_write : output_value_begin)(out, kinds, value.data, value.len);
}

static bool add_member(struct buffer *out, json_t *parameters, inf_text name, inf_text value)
{
    return buffer_append_str(out, out->len > 1 ? ", " : "") &&
           write_member(out, parameters, name, value, true);
}

/* Gives an open call one member more; whole: its value is all there. */
static void show_member(struct output_calls *calls, json_t *parameters, inf_text name,
                        inf_text value, bool whole)
{
    size_t n = calls->arguments.len;
    struct buffer member;

    buffer_init(&member, BUFFER_NO_LIMIT);
    if (buffer_append_str(&member, n > 1 ? ", "
                                   : n   ? ""
                                         : "{") &&
        write_member(&member, parameters, name, value, whole))
        output_calls_more(calls, member.data, member.len);
    else
        calls->failed = true;
    buffer_free(&member);
}

static json_t *parameters_of(const struct output_calls *calls, inf_text name)
{
    const struct output_tool *tool = output_tools_find(calls->tools, name.data, name.len);

    return tool ? tool->parameters : NULL;
}

/* Writes the arguments that stand in s[at..n) as an object; false: it holds something else. *ok: there was memory. */
typedef bool arguments_writer(struct buffer *out, const char *s, size_t at, size_t n,
                              json_t *parameters, bool *ok);

static enum output_read add_call(struct output_calls *calls, arguments_writer *write, inf_text name,
                                 const char *s, size_t from, size_t to)
{
    struct buffer arguments;
    bool ok = true;
    enum output_read how = READ_NONE;

    buffer_init(&arguments, BUFFER_NO_LIMIT);
    if (write(&arguments, s, from, to, parameters_of(calls, name), &ok) && ok)
        how = output_added(output_calls_add(calls, (inf_text){NULL, 0}, name,
                                            (inf_text){arguments.data, arguments.len}));
    calls->failed = calls->failed || !ok;
    buffer_free(&arguments);
    return how;
}

static bool opened(struct output_calls *calls, inf_text name)
{
    return calls->open || output_calls_begin(calls, (inf_text){NULL, 0}, name);
}

/* ------------------------------------------------------------------ <function=...> */

/* s[at] begins a parameter that the tool has. */
static bool begins_parameter(const char *s, size_t n, size_t at, json_t *parameters)
{
    size_t angle = output_find(s, n - at > MAX_TAG ? at + MAX_TAG : n, at, ">");
    inf_text name = output_piece(s, at + strlen("<parameter="), angle);

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
        *ok = add_member(out, parameters, output_piece(s, name, angle),
                         value_of(s, angle + 1, end));
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
        show_member(calls, parameters, output_piece(s, at + strlen("<parameter="), angle),
                    value_of(s, angle + 1, end), true);
        scan->shown = at = next;
    }
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

enum output_read output_read_function(struct output_scan *scan, const char *s, size_t n, size_t at,
                                      bool end, size_t *used, struct output_calls *calls)
{
    static const char close[] = "</function>";
    size_t *to = &scan->value.at; /* where it ends, perhaps */
    size_t name = at + strlen("<function=");
    size_t angle = output_name_end(s, n, name);
    int ends = -1;

    if (angle == n && n - name <= OUTPUT_MAX_NAME)
        return READ_MORE;
    if (angle == n || s[angle] != '>' || angle == name || angle - name > OUTPUT_MAX_NAME)
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
    return add_call(calls, write_parameters, (inf_text){s + name, angle - name}, s, angle + 1, *to);
}

/* ------------------------------------------------------------------ a call that the end of the text cuts */

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

bool output_cut_function(struct output_scan *scan, const char *s, size_t n, size_t at,
                         struct output_calls *calls)
{
    size_t from = at + strlen("<function=");
    size_t angle = output_name_end(s, n, from);
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
            show_member(calls, parameters, output_piece(s, from, tag_end),
                        value_of(s, tag_end + 1, before_tag(s, tag_end + 1, n)), false);
            return true;
        }
        show_member(calls, parameters, output_piece(s, from, tag_end),
                    value_of(s, tag_end + 1, end), true);
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
        *ok = add_member(out, parameters, output_piece(s, key, key_end),
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
        show_member(calls, parameters_of(calls, name), output_piece(s, key, key_end),
                    (inf_text){s + value, to - value}, true);
        scan->shown = to + sizeof close - 1;
        at = output_skip_space(s, n, scan->shown);
    }
}

enum output_read output_read_pairs(struct output_scan *scan, const char *s, size_t n, size_t at,
                                   size_t *used, struct output_calls *calls)
{
    static const char close[] = "</tool_call>";
    size_t to = output_name_end(s, n, at);

    if (to == n)
        return n - at > OUTPUT_MAX_NAME ? READ_NONE : READ_MORE;
    *used = output_find(s, n, scan->value.at > at ? scan->value.at : at, close);
    scan->value.at = n - at > sizeof close ? n - sizeof close + 1 : at;
    if (to > at && to - at <= OUTPUT_MAX_NAME)
        stream_pairs(scan, s, *used, to, (inf_text){s + at, to - at}, calls);
    if (*used == n)
        return READ_MORE;
    if (to == at || to - at > OUTPUT_MAX_NAME)
        return READ_NONE;
    return add_call(calls, write_pairs, (inf_text){s + at, to - at}, s, to, *used);
}

bool output_cut_pairs(struct output_scan *scan, const char *s, size_t n, size_t at,
                      struct output_calls *calls)
{
    size_t to = output_name_end(s, n, at);
    inf_text name = {s + at, to - at};
    size_t key, key_end, value;

    if (to == n || to == at || to - at > OUTPUT_MAX_NAME)
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
    show_member(calls, parameters_of(calls, name), output_piece(s, key, key_end),
                (inf_text){s + value, to - value}, false);
    return true;
}
