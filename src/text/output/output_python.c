/*
 * output_python: see the header. A call is looked for by its brackets and quotes, and read once its last bracket is
 * there.
 */
#include "text/output/output_python.h"

#include "core/ascii.h"
#include "core/utf8.h"

#include <string.h>

#define MAX_DEPTH 64

/* ------------------------------------------------------------------ a literal as JSON */

struct literal {
    const char *s;
    size_t at, n;
    struct buffer *out;
    bool no_memory;
};

static bool put(struct literal *l, const char *text, size_t n)
{
    l->no_memory = l->no_memory || !buffer_append(l->out, text, n);
    return !l->no_memory;
}

static bool put_str(struct literal *l, const char *text)
{
    return put(l, text, strlen(text));
}

static void skip_space(struct literal *l)
{
    l->at = output_skip_space(l->s, l->n, l->at);
}

/* The next character but white space; 0: the end. */
static char peek(struct literal *l)
{
    skip_space(l);
    return l->at < l->n ? l->s[l->at] : '\0';
}

static bool take(struct literal *l, char c)
{
    bool is = peek(l) == c;

    l->at += is;
    return is;
}

static bool begins_name(char c)
{
    return is_letter(c) || c == '_' || ((unsigned char)c & 0x80);
}

/* A name, perhaps with dots; empty: there is none. */
static inf_text take_name(struct literal *l, bool dots)
{
    size_t from = 0;

    skip_space(l);
    from = l->at;
    while (l->at < l->n && (begins_name(l->s[l->at]) || (l->at > from && is_digit(l->s[l->at])) ||
                            (dots && l->at > from && strchr(".-", l->s[l->at]))))
        l->at++;
    return (inf_text){l->s + from, l->at - from};
}

static bool take_digits(struct literal *l, size_t digits, uint32_t *code)
{
    if (l->n - l->at < digits || !read_hex_digits(l->s + l->at, digits, code))
        return false;
    l->at += digits;
    return *code <= 0x10FFFF;
}

/* The digits of \xHH, \uHHHH and \UHHHHHHHH; of two halves, as JSON writes them, both. */
static bool take_code(struct literal *l, size_t digits, struct buffer *text)
{
    uint32_t code = 0;
    uint32_t low = 0;
    char bytes[4];

    if (!take_digits(l, digits, &code))
        return false;
    if (utf8_is_high(code) && output_match(l->s, l->n, l->at, "\\u") == 1) {
        l->at += 2;
        if (!take_digits(l, 4, &low) || !utf8_is_low(low))
            return false;
        code = utf8_joined(code, low);
    }
    if (utf8_is_high(code) || utf8_is_low(code))
        return false;
    l->no_memory = l->no_memory || !buffer_append(text, bytes, utf8_encode(bytes, code));
    return !l->no_memory;
}

/* What stands behind a backslash, JSON's \/ too. What Python does not know stays as it is, with it. */
static bool take_escape(struct literal *l, struct buffer *text)
{
    static const char letters[] = "\\'\"/abfnrtv";
    static const char meant[] = "\\'\"/\a\b\f\n\r\t\v";
    char c = l->at < l->n ? l->s[l->at++] : '\0';
    const char *known = c ? strchr(letters, c) : NULL;

    if (c == '\0' || is_digit(c)) /* octal: nobody writes it */
        return false;
    if (c == 'x' || c == 'u' || c == 'U')
        return take_code(l, c == 'x' ? 2 : c == 'u' ? 4 : 8, text);
    if (c == '\n')
        return true;
    if (known)
        l->no_memory = l->no_memory || !buffer_append(text, &meant[known - letters], 1);
    else
        l->no_memory = l->no_memory || !buffer_append(text, "\\", 1) || !buffer_append(text, &c, 1);
    return !l->no_memory;
}

static bool take_string(struct literal *l)
{
    char quote = l->s[l->at++];
    struct buffer text;
    bool ok = true;

    buffer_init(&text, BUFFER_NO_LIMIT);
    while (ok && l->at < l->n && l->s[l->at] != quote) {
        char c = l->s[l->at++];

        if (c == '\\')
            ok = take_escape(l, &text);
        else
            l->no_memory = l->no_memory || !buffer_append(&text, &c, 1);
        ok = ok && !l->no_memory;
    }
    ok = ok && l->at < l->n && buffer_reserve(&text, 1) &&
         write_json_string(l->out, text.data, text.len);
    l->at++;
    buffer_free(&text);
    return ok;
}

/* Numbers that JSON writes alike. */
static bool take_number(struct literal *l)
{
    size_t from = l->at;
    struct json_span number = {NULL, 0};

    while (l->at < l->n && (is_digit(l->s[l->at]) || strchr("+-.eE", l->s[l->at])))
        l->at++;
    return scan_json(&number, l->s + from, l->at - from) && scan_is_number(number) &&
           put(l, number.data, number.len);
}

static bool take_word(struct literal *l)
{
    static const char *const words[][2] = {{"True", "true"}, {"False", "false"}, {"None", "null"},
                                           {"true", "true"}, {"false", "false"}, {"null", "null"}};
    inf_text name = take_name(l, false);

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i][0]) == name.len && memcmp(words[i][0], name.data, name.len) == 0)
            return put_str(l, words[i][1]);
    return false;
}

static bool take_value(struct literal *l, int depth);

/* The members of a list, a tuple (close ")") or a dict (close "}"), behind what opens it. */
static bool take_members(struct literal *l, char close, int depth)
{
    bool dict = close == '}';
    bool ok = put_str(l, dict ? "{" : "[");
    bool first = true;

    while (ok && !take(l, close)) {
        ok = (first || (take(l, ',') && put_str(l, peek(l) == close ? "" : ", ")));
        if (ok && !first && take(l, close))
            break;
        if (ok && dict)
            ok = strchr("'\"", peek(l)) && peek(l) && take_string(l) && take(l, ':') &&
                 put_str(l, ": ");
        ok = ok && take_value(l, depth + 1);
        first = false;
    }
    return ok && put_str(l, dict ? "}" : "]");
}

static bool take_value(struct literal *l, int depth)
{
    char c = peek(l);

    if (c == '\0' || depth > MAX_DEPTH)
        return false;
    if (c == '"' || c == '\'')
        return take_string(l);
    if (is_digit(c) || c == '-')
        return take_number(l);
    if (c == '[' || c == '(' || c == '{') {
        l->at++;
        return take_members(l, c == '[' ? ']' : c == '(' ? ')' : '}', depth);
    }
    return take_word(l);
}

/* key=value, ... up to the bracket. */
static bool take_arguments(struct literal *l)
{
    bool ok = put_str(l, "{");

    for (bool first = true; ok && !take(l, ')'); first = false) {
        inf_text key = {NULL, 0};

        ok = first || take(l, ',');
        if (ok && !first && take(l, ')'))
            break;
        key = take_name(l, false);
        ok = ok && key.len && put_str(l, first ? "" : ", ") &&
             write_json_string(l->out, key.data, key.len) && take(l, '=') && put_str(l, ": ") &&
             take_value(l, 0);
    }
    return ok && put_str(l, "}");
}

/* ------------------------------------------------------------------ a call */

/* Behind the bracket that ends the call whose brackets are looked at from v->at on; 0: it is not there yet. */
static size_t call_end(struct output_json *v, const char *s, size_t n)
{
    for (; v->at < n && !v->end; v->at++) {
        char c = s[v->at];

        if (v->quote) {
            if (!v->place.escaped && c == v->quote)
                v->quote = '\0';
            v->place.escaped = !v->place.escaped && c == '\\';
        } else if (c == '"' || c == '\'') {
            v->quote = c;
        } else if (strchr("([{", c) && c) {
            v->place.depth++;
        } else if (strchr(")]}", c) && c && --v->place.depth == 0) {
            v->end = v->at + 1;
        }
    }
    return v->end;
}

/* s[at..to): NAME(...). */
static bool add_call(struct output_calls *calls, inf_text name, const char *s, size_t at, size_t to)
{
    struct buffer arguments;
    struct literal l = {s, at, to, &arguments, false};
    bool ok = true;

    buffer_init(&arguments, BUFFER_NO_LIMIT);
    ok = take_arguments(&l) && l.at == to;
    ok = ok && output_calls_add(calls, (inf_text){NULL, 0}, name,
                                (inf_text){arguments.data, arguments.len});
    calls->failed = calls->failed || l.no_memory;
    buffer_free(&arguments);
    return ok;
}

/* The call that begins at `at`. */
static enum output_read read_call(struct output_scan *scan, const char *s, size_t n, size_t at,
                                  size_t *used, struct output_calls *calls)
{
    struct literal l = {s, at, n, NULL, false};
    inf_text name = take_name(&l, true);

    if (name.len > OUTPUT_MAX_NAME || (l.at < n && (name.len == 0 || s[l.at] != '(')))
        return READ_NONE;
    if (l.at == n)
        return READ_MORE;
    if (!output_tools_find(calls->tools, name.data, name.len))
        return READ_NONE;
    if (scan->value.at < l.at)
        scan->value = (struct output_json){.at = l.at};
    *used = call_end(&scan->value, s, n);
    if (*used == 0)
        return READ_MORE;
    return output_added(add_call(calls, name, s, l.at + 1, *used));
}

enum output_read output_read_python(struct output_scan *scan, const char *s, size_t n, size_t at,
                                    size_t *used, struct output_calls *calls)
{
    if (!scan->item)
        scan->item = at + 1;
    for (;;) {
        enum output_read how = READ_NONE;
        bool comma = false;

        at = output_skip_space(s, n, scan->item);
        comma = scan->items && at < n && s[at] == ',';
        at = comma ? output_skip_space(s, n, at + 1) : at;
        if (at == n)
            return READ_MORE;
        if (scan->items && s[at] == ']') {
            *used = at + 1;
            return READ_CALL;
        }
        if (scan->items && !comma)
            return READ_NONE;
        how = read_call(scan, s, n, at, used, calls);
        if (how != READ_CALL)
            return how;
        *scan = (struct output_scan){.item = *used, .shown = *used, .items = true};
    }
}
