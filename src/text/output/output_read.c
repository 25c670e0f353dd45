/*
 * output_read: see the header.
 */
#include "text/output/output_read.h"

#include "text/output/output_values.h"

#include <string.h>

#define MAX_NAME 256
#define MAX_FENCE 512 /* between DeepSeek's separator and the arguments */

/* ------------------------------------------------------------------ words */

int output_match(const char *s, size_t n, size_t at, const char *word)
{
    size_t len = strlen(word);
    size_t there = at < n ? n - at : 0;

    if (there >= len)
        return memcmp(s + at, word, len) == 0 ? 1 : -1;
    return there == 0 || memcmp(s + at, word, there) == 0 ? 0 : -1;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

size_t output_skip_space(const char *s, size_t n, size_t at)
{
    while (at < n && is_space(s[at]))
        at++;
    return at;
}

size_t output_find(const char *s, size_t n, size_t at, const char *word)
{
    size_t len = strlen(word);

    while (at < n && n - at >= len) {
        const char *found = memchr(s + at, word[0], n - at - len + 1);

        if (!found)
            return n;
        at = (size_t)(found - s);
        if (memcmp(found, word, len) == 0)
            return at;
        at++;
    }
    return n;
}

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
    while (from < to && is_space(s[from]))
        from++;
    while (to > from && is_space(s[to - 1]))
        to--;
    return (inf_text){s + from, to - from};
}

/* ------------------------------------------------------------------ JSON values */

/* Outside of strings. */
static bool in_json(char c)
{
    return c != '\0' && strchr("{}[],: \t\r\n0123456789+-.eEtrufalsn\"", c);
}

size_t output_json_end(struct output_scan *scan, const char *s, size_t n, bool *broken)
{
    if (scan->at < scan->begin)
        *scan = (struct output_scan){.at = scan->begin, .begin = scan->begin};
    for (; scan->at < n; scan->at++) {
        char c = s[scan->at];

        if (scan->in_string) {
            scan->in_string = scan->escaped || c != '"';
            scan->escaped = !scan->escaped && c == '\\';
            continue;
        }
        if (!in_json(c) || (scan->depth == 0 && c != '{' && c != '[')) {
            *broken = true;
            return 0;
        }
        scan->in_string = c == '"';
        if (c == '{' || c == '[')
            scan->depth++;
        else if ((c == '}' || c == ']') && --scan->depth == 0)
            return scan->at + 1;
    }
    return 0;
}

/* The value that begins at `at`. READ_CALL: *out is valid JSON, up to *to. */
static enum output_read read_json(struct output_scan *scan, const char *s, size_t n, size_t at,
                                  struct json_span *out, size_t *to)
{
    bool broken = false;

    scan->begin = at;
    *to = output_json_end(scan, s, n, &broken);
    if (*to == 0)
        return broken ? READ_NONE : READ_MORE;
    return scan_json(out, s + at, *to - at) ? READ_CALL : READ_NONE;
}

static enum output_read added(bool ok)
{
    return ok ? READ_CALL : READ_NONE;
}

/* ------------------------------------------------------------------ an object with name and arguments */

static enum output_read read_object(struct output_scan *scan, const char *s, size_t n, size_t at,
                                    size_t *used, struct output_calls *calls)
{
    struct json_span object = {NULL, 0};
    enum output_read how = read_json(scan, s, n, at, &object, used);

    return how == READ_CALL ? added(output_calls_add_object(calls, object)) : how;
}

/* ------------------------------------------------------------------ <function=...> */

/* s[at] begins a parameter that the tool has. */
static bool begins_parameter(const char *s, size_t n, size_t at, json_t *parameters)
{
    size_t angle = output_find(s, n, at, ">");
    inf_text name = piece(s, at + strlen("<parameter="), angle);

    return angle < n &&
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

    while (to > from && is_space(s[to - 1]))
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
    size_t name = at + strlen("<function=");
    size_t angle = name_end(s, n, name);
    int ends = -1;

    if (angle == n && n - name <= MAX_NAME)
        return READ_MORE;
    if (angle == n || s[angle] != '>' || angle == name || angle - name > MAX_NAME)
        return READ_NONE;
    if (scan->at < angle)
        scan->at = angle;
    for (;; scan->at++) {
        scan->at = output_find(s, n, scan->at, close);
        if (scan->at < n)
            ends = is_closed(s, angle + 1, scan->at)
                       ? 1
                       : is_behind_function(s, n, scan->at + sizeof close - 1, end);
        if (scan->at == n || ends >= 0)
            break;
    }
    if (ends != 1) { /* the word may begin in what is there */
        scan->at = n - angle < sizeof close ? angle : ends == 0 ? scan->at : n - sizeof close + 1;
        return READ_MORE;
    }
    *used = scan->at + sizeof close - 1;
    return add_function(calls, (inf_text){s + name, angle - name}, s, angle + 1, scan->at);
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
    *used = output_find(s, n, scan->at > at ? scan->at : at, close);
    scan->at = n - at > sizeof close ? n - sizeof close + 1 : at;
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

/* ------------------------------------------------------------------ <tool_call> */

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
        return read_object(scan, s, n, at, used, calls);
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

/* Any JSON may begin like that: it is a call when it names a tool. */
static enum output_read read_bare(struct output_scan *scan, const char *s, size_t n, size_t *used,
                                  struct output_calls *calls)
{
    struct json_span object = {NULL, 0};
    enum output_read how = READ_NONE;
    size_t at = s[0] == '{' ? 0 : output_skip_space(s, n, strlen("<|python_tag|>"));
    int begins = 0;

    if (at == n)
        return READ_MORE;
    if (s[at] != '{')
        return READ_NONE;
    begins = begins_call(s, n, at);
    if (begins != 1)
        return begins == 0 ? READ_MORE : READ_NONE;
    how = read_json(scan, s, n, at, &object, used);
    if (how == READ_CALL && !names_tool(calls, object))
        return READ_NONE;
    return how == READ_CALL ? added(output_calls_add_object(calls, object)) : how;
}

/* ------------------------------------------------------------------ Mistral */

static enum output_read read_list(struct output_scan *scan, const char *s, size_t n, size_t at,
                                  size_t *used, struct output_calls *calls)
{
    struct json_span list = {NULL, 0};
    struct json_span item = {NULL, 0};
    struct json_walk w;
    enum output_read how = read_json(scan, s, n, at, &list, used);
    size_t before = calls->json.len;
    size_t n_before = calls->n;

    if (how != READ_CALL)
        return how;
    how = READ_NONE;
    for (scan_array(&w, list); scan_next_item(&w, &item);) {
        how = added(output_calls_add_object(calls, item));
        if (how == READ_NONE)
            break;
    }
    if (how == READ_NONE) { /* all or nothing */
        calls->json.len = before;
        calls->n = n_before;
    }
    return how;
}

/* NAME, perhaps [CALL_ID]ID, perhaps [ARGS], then the object of arguments. */
static enum output_read read_named(struct output_scan *scan, const char *s, size_t n, size_t at,
                                   size_t *used, struct output_calls *calls)
{
    size_t to = name_end(s, n, at);
    inf_text name = {s + at, to - at};
    inf_text id = {NULL, 0};
    struct json_span object = {NULL, 0};
    enum output_read how = READ_MORE;

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
    if (s[to] != '{')
        return READ_NONE;
    how = read_json(scan, s, n, to, &object, used);
    return how == READ_CALL
               ? added(output_calls_add(calls, id, name, (inf_text){object.data, object.len}))
               : how;
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
        return read_object(scan, s, n, at, used, calls);
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
    struct json_span object = {NULL, 0};
    enum output_read how = READ_MORE;
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
    how = read_json(scan, s, n, at, &object, used);
    return how == READ_CALL ? added(output_calls_add(calls, (inf_text){NULL, 0}, name,
                                                     (inf_text){object.data, object.len}))
                            : how;
}

/* ------------------------------------------------------------------ by shape */

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
    case OUTPUT_BRACKETS:
        how = read_bracketed(scan, s, n, used, calls);
        break;
    case OUTPUT_TOKENS:
        how = read_separated(f, scan, s, n, used, calls);
        break;
    default:
        break;
    }
    return how == READ_MORE && end ? READ_NONE : how;
}
