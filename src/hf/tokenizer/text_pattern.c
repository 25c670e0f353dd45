/* text_pattern: see the header. */
#include "hf/tokenizer/text_pattern.h"

#include "core/clock.h"
#include "core/memory.h"
#include "core/utf8.h"
#include "hf/tokenizer/char_kind.h"
#include "hf/tokenizer/regex_syntax.h"
#include "hf/tokenizer/split_scan.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <string.h>

enum {
    MATCH_LIMIT = 5 * 1000 * 1000, /* steps of one search */
    HEAP_LIMIT = 64 * 1024,        /* KiB, without JIT */
    STACK_FIRST = 32 * 1024,
    STACK_MOST = 4 * 1024 * 1024,
    CLOCK_EVERY = 256,        /* matches */
    TIME_LEAST = 2000 * 1000, /* us for a text, and */
    US_A_BYTE = 1
};

struct text_pattern {
    char *string; /* NULL: a regular expression */
    size_t len;
    pcre2_code *code;
    text_scanner *scanner;
};

struct text_pattern_work {
    pcre2_match_data *match;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

static void *take_memory(PCRE2_SIZE size, void *data)
{
    (void)data;
    return mem_alloc(size);
}

static void give_memory(void *p, void *data)
{
    (void)data;
    mem_free(p);
}

/* PCRE2's objects copy it. NULL: out of memory. */
static pcre2_general_context *heap_create(void)
{
    return pcre2_general_context_create(take_memory, give_memory, NULL);
}

static int32_t new_pattern(struct text_pattern **out, size_t n, inf_error *err)
{
    *out = NULL;
    if (n > TEXT_PATTERN_LONGEST)
        return error_set(err, INF_ERROR_UNSUPPORTED, "a pattern of %zu bytes is too long", n);
    *out = mem_calloc(1, sizeof **out);
    return *out ? INF_OK : error_no_memory(err);
}

static int32_t string_pattern(struct text_pattern **out, const char *s, size_t n, inf_error *err)
{
    int32_t code = new_pattern(out, n, err);

    if (code != INF_OK)
        return code;
    (*out)->string = mem_alloc(n + 1);
    (*out)->len = n;
    if (!(*out)->string) {
        text_pattern_free(*out);
        *out = NULL;
        return error_no_memory(err);
    }
    memcpy((*out)->string, s, n);
    return INF_OK;
}

static int32_t compile(struct text_pattern *p, const struct buffer *pattern, inf_error *err)
{
    pcre2_general_context *heap = heap_create();
    pcre2_compile_context *context = heap ? pcre2_compile_context_create(heap) : NULL;
    int problem = 0;
    PCRE2_SIZE where = 0;
    PCRE2_UCHAR message[128] = "";

    pcre2_general_context_free(heap);
    if (!context)
        return error_no_memory(err);
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    p->code = pcre2_compile((PCRE2_SPTR)(pattern->data ? pattern->data : ""), pattern->len,
                            PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                            &problem, &where, context);
    pcre2_compile_context_free(context);
    if (!p->code && problem == PCRE2_ERROR_HEAP_FAILED)
        return error_no_memory(err);
    if (!p->code) {
        pcre2_get_error_message(problem, message, sizeof message);
        return error_set(err, INF_ERROR_BAD_FORMAT, "not a regular expression: %s (in %.60s)",
                         (const char *)message, pattern->data ? pattern->data : "");
    }
    pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE); /* without it, it is slower */
    return INF_OK;
}

int32_t text_pattern_regex(struct text_pattern **out, const char *s, size_t n, inf_error *err)
{
    struct buffer pattern;
    int32_t code = new_pattern(out, n, err);

    if (code != INF_OK)
        return code;
    char_kinds_init();
    (*out)->scanner = split_scanner(s, n);
    buffer_init(&pattern, BUFFER_NO_LIMIT);
    code = regex_syntax_write(&pattern, s, n, err);
    if (code == INF_OK)
        code = compile(*out, &pattern, err);
    buffer_free(&pattern);
    if (code != INF_OK) {
        text_pattern_free(*out);
        *out = NULL;
    }
    return code;
}

int32_t text_pattern_read(struct text_pattern **out, struct json_span json, inf_error *err)
{
    struct json_span string = scan_member(json, "String"), regex = scan_member(json, "Regex");
    struct buffer text;
    int32_t code = INF_OK;

    *out = NULL;
    if (!scan_is_string(string) && !scan_is_string(regex))
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         "a pattern {\"String\": ...} or {\"Regex\": ...} "
                         "is expected");
    buffer_init(&text, BUFFER_NO_LIMIT);
    if (!scan_unescape(&text, scan_is_string(string) ? string : regex))
        code = error_no_memory(err);
    else if (scan_is_string(string))
        code = string_pattern(out, text.data ? text.data : "", text.len, err);
    else
        code = text_pattern_regex(out, text.data ? text.data : "", text.len, err);
    buffer_free(&text);
    return code;
}

void text_pattern_free(struct text_pattern *p)
{
    if (!p)
        return;
    pcre2_code_free(p->code);
    mem_free(p->string);
    mem_free(p);
}

text_scanner *text_pattern_scanner(const struct text_pattern *p)
{
    return p->scanner;
}

/* ------------------------------------------------------------------ searching */

struct text_pattern_work *text_pattern_work_create(void)
{
    pcre2_general_context *heap = heap_create();
    struct text_pattern_work *w = heap ? mem_calloc(1, sizeof *w) : NULL;

    if (w) {
        w->match = pcre2_match_data_create(16, heap);
        w->context = pcre2_match_context_create(heap);
        w->stack = pcre2_jit_stack_create(STACK_FIRST, STACK_MOST, heap);
    }
    pcre2_general_context_free(heap);
    if (!w || !w->match || !w->context) {
        text_pattern_work_free(w);
        return NULL;
    }
    pcre2_set_match_limit(w->context, MATCH_LIMIT);
    pcre2_set_heap_limit(w->context, HEAP_LIMIT);
    if (w->stack)
        pcre2_jit_stack_assign(w->context, NULL, w->stack);
    return w;
}

void text_pattern_work_free(struct text_pattern_work *w)
{
    if (!w)
        return;
    pcre2_match_data_free(w->match);
    pcre2_match_context_free(w->context);
    pcre2_jit_stack_free(w->stack);
    mem_free(w);
}

static bool too_long(int32_t *code, inf_error *err)
{
    *code = error_set(err, INF_ERROR_UNSUPPORTED,
                      "a regular expression of the tokenizer goes back and forth too long on this "
                      "text");
    return false;
}

/* A hostile pattern may take long for each of many matches. */
static bool in_time(struct text_matches *m)
{
    int64_t now = 0;

    if (++m->n_searches % CLOCK_EVERY != 0)
        return true;
    now = clock_us();
    if (m->deadline == 0)
        m->deadline = now + TIME_LEAST + (int64_t)(m->n * US_A_BYTE);
    return now <= m->deadline;
}

static bool search(struct text_matches *m, int32_t *code, inf_error *err)
{
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(m->work->match);
    int found = 0;

    if (!in_time(m))
        return too_long(code, err);
    found = pcre2_match(m->pattern->code, (PCRE2_SPTR)m->s, m->n, m->at, PCRE2_NO_UTF_CHECK,
                        m->work->match, m->work->context);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT)
        found = pcre2_match(m->pattern->code, (PCRE2_SPTR)m->s, m->n, m->at,
                            PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, m->work->match, m->work->context);
    if (found == PCRE2_ERROR_NOMATCH)
        return false;
    if (found < 0 || ends[0] > ends[1]) {
        if (found == PCRE2_ERROR_NOMEMORY)
            *code = error_no_memory(err);
        else
            too_long(code, err);
        return false;
    }
    m->begin = ends[0];
    m->end = ends[1];
    return true;
}

static bool find_string(struct text_matches *m)
{
    const char *at = m->at <= m->n
                         ? memmem(m->s + m->at, m->n - m->at, m->pattern->string, m->pattern->len)
                         : NULL;

    if (!at)
        return false;
    m->begin = (size_t)(at - m->s);
    m->end = m->begin + m->pattern->len;
    return true;
}

/* An empty match where the last one ended is none: the search goes on a character behind it. */
bool text_matches_next(struct text_matches *m, int32_t *code, inf_error *err)
{
    size_t last = m->end;

    if (m->n == 0)
        return false;
    while (m->at <= m->n) {
        if (m->pattern->string ? !find_string(m) : !search(m, code, err))
            return false;
        if (m->begin < m->end || !m->matched || m->begin != last) {
            m->matched = true;
            m->at = m->end;
            return true;
        }
        m->at += m->at < m->n ? utf8_width(m->s[m->at]) : 1;
    }
    return false;
}
