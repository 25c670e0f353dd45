/*
 * output_read: see the header.
 */
#include "text/output/output_read.h"

#include "text/output/output_object.h"
#include "text/output/output_python.h"
#include "text/output/output_tags.h"

#include <string.h>

#define MAX_FENCE 512 /* between DeepSeek's separator and the arguments */

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
        return at > 0 && output_cut_pairs(scan, s, n, at, calls);
    return output_match(s, n, at, "<function=") == 1 && output_cut_function(scan, s, n, at, calls);
}

static enum output_read read_tagged(const struct output_format *f, struct output_scan *scan,
                                    const char *s, size_t n, bool end, size_t *used,
                                    struct output_calls *calls)
{
    size_t at = 0;
    int is_function = 0;

    if (output_match(s, n, 0, "<function=") == 1)
        return output_read_function(scan, s, n, 0, end, used, calls);
    at = output_skip_space(s, n, strlen("<tool_call>"));
    if (at == n)
        return READ_MORE;
    if (s[at] == '{')
        return output_read_object(scan, s, n, at, false, used, calls);
    if (f->shape == OUTPUT_PAIRS)
        return output_read_pairs(scan, s, n, at, used, calls);
    is_function = output_match(s, n, at, "<function=");
    if (is_function == 1)
        return output_read_function(scan, s, n, at, end, used, calls);
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
    return output_read_object(scan, s, n, at, true, used, calls);
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
        how = output_read_object(scan, s, n, at, false, used, calls);
        if (how != READ_CALL)
            return how;
        *scan = (struct output_scan){.item = *used, .shown = *used, .items = true};
    }
}

/* NAME, perhaps [CALL_ID]ID, perhaps [ARGS], then the object of arguments. */
static enum output_read read_named(struct output_scan *scan, const char *s, size_t n, size_t at,
                                   size_t *used, struct output_calls *calls)
{
    size_t to = output_name_end(s, n, at);
    inf_text name = {s + at, to - at};
    inf_text id = {NULL, 0};

    if (to == at || to - at > OUTPUT_MAX_NAME)
        return READ_NONE;
    if (output_match(s, n, to, "[CALL_ID]") == 1) {
        at = to + strlen("[CALL_ID]");
        to = output_name_end(s, n, at);
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
    return s[to] == '{' ? output_read_arguments(scan, s, n, to, id, name, used, calls) : READ_NONE;
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
        return output_read_object(scan, s, n, at, false, used, calls);
    return read_named(scan, s, n, at, used, calls);
}

/* ------------------------------------------------------------------ DeepSeek */

/* s[at]: behind the separator: NAME ```json {...}. n: there is no such beginning, so far. */
static size_t skip_fence(const char *s, size_t n, size_t at, inf_text *name)
{
    size_t most = n - at > MAX_FENCE ? at + MAX_FENCE : n;
    size_t line = output_find(s, most, at, "\n");
    size_t fence = output_find(s, most, at, "```json");

    *name = output_piece(s, at, line < fence ? line : fence);
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
    if (separator == n || separator - at > OUTPUT_MAX_NAME)
        return n - at > OUTPUT_MAX_NAME + strlen(f->markers[0]) ? READ_NONE : READ_MORE;
    name = output_piece(s, at, separator);
    at = output_skip_space(s, n, separator + strlen(f->markers[0]));
    if (at < n && s[at] != '{')
        at = skip_fence(s, n, at, &name);
    if (at == n)
        return n - separator > MAX_FENCE + 64 ? READ_NONE : READ_MORE;
    if (name.len == 0 || s[at] != '{')
        return READ_NONE;
    return output_read_arguments(scan, s, n, at, (inf_text){NULL, 0}, name, used, calls);
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
