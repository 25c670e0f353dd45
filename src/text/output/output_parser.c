/*
 * output_parser: see the header. A machine whose steps each take something off the beginning of what waits.
 */
#include "text/output/output_channels.h"

#include "core/json.h"
#include "core/memory.h"

#include <string.h>

#define MAX_HELD ((size_t)8 << 20)
#define MAX_WORK ((size_t)64 << 20)

/* ------------------------------------------------------------------ life */

struct output_parser *output_parser_create(const struct output_parser_options *options,
                                           struct output_tools *tools)
{
    struct output_parser *p = mem_calloc(1, sizeof *p);

    if (!p) {
        output_tools_free(tools);
        return NULL;
    }
    p->format = *options->format;
    p->tools = *tools;
    *tools = (struct output_tools){0};
    p->calls_wanted = options->calls && p->format.shape != OUTPUT_PLAIN;
    p->opened = options->in_reasoning && p->format.think_open;
    p->mode = options->in_reasoning && !p->opened ? MODE_THINK : MODE_START;
    p->from = MODE_TEXT;
    buffer_init(&p->held, BUFFER_NO_LIMIT);
    buffer_init(&p->text, BUFFER_NO_LIMIT);
    buffer_init(&p->reasoning, BUFFER_NO_LIMIT);
    output_calls_init(&p->calls, &p->tools, options->seed);
    p->calls.short_ids = p->format.shape == OUTPUT_BRACKETS;
    return p;
}

void output_parser_free(struct output_parser *p)
{
    if (!p)
        return;
    output_tools_free(&p->tools);
    output_calls_free(&p->calls);
    buffer_free(&p->held);
    buffer_free(&p->text);
    buffer_free(&p->reasoning);
    mem_free(p);
}

/* ------------------------------------------------------------------ what waits */

static void emit(struct output_parser *p, size_t n)
{
    output_emit(p, n, p->mode == MODE_THINK);
}

/* ------------------------------------------------------------------ looking for a marker */

enum word { WORD_NONE, WORD_CALL, WORD_THINK, WORD_CLOSE };

struct found {
    enum word word;
    size_t at, len; /* at: where it begins, or may begin; the text's length: nowhere */
    bool whole;     /* else its rest may come */
};

static void try_word(struct found *f, const char *s, size_t n, size_t at, const char *text,
                     enum word word)
{
    int matches = text && !f->whole ? output_match(s, n, at, text) : -1;

    if (matches < 0)
        return;
    *f = (struct found){word, at, strlen(text), matches == 1};
}

/* Which marker begins at `at`. A whole one before one that is still to come. */
static struct found word_at(const struct output_parser *p, const char *s, size_t n, size_t at)
{
    const struct output_format *f = &p->format;
    struct found found = {WORD_NONE, n, 0, false};

    if (p->mode == MODE_THINK)
        try_word(&found, s, n, at, f->think_close, WORD_CLOSE);
    else if (f->think_anywhere)
        try_word(&found, s, n, at, f->think_open, WORD_THINK);
    for (size_t i = 0; p->calls_wanted && i < sizeof f->openers / sizeof *f->openers; i++)
        try_word(&found, s, n, at, f->openers[i], WORD_CALL);
    return found;
}

static struct found find_word(const struct output_parser *p, const char *s, size_t n)
{
    struct found found = {WORD_NONE, n, 0, false};

    for (size_t at = 0; at < n && found.word == WORD_NONE; at++)
        if (s[at] == '<' || s[at] == '[')
            found = word_at(p, s, n, at);
    return found;
}

static size_t before_space(const char *s, size_t at)
{
    while (at && scan_is_space(s[at - 1]))
        at--;
    return at;
}

static void begin_call(struct output_parser *p, size_t glue)
{
    p->from = p->mode == MODE_THINK ? MODE_THINK : MODE_TEXT;
    p->mode = MODE_CALL;
    p->glue = glue;
    p->scan = (struct output_scan){0};
}

/* ------------------------------------------------------------------ steps */

/* Text or reasoning. */
static bool step_through(struct output_parser *p, bool end)
{
    size_t n = 0;
    const char *s = output_waiting(p, &n);
    struct found f = find_word(p, s, n);
    /* white space between a text and a call goes with the call */
    size_t shown = p->calls_wanted && p->mode == MODE_TEXT ? before_space(s, f.at) : f.at;

    if (end && !f.whole)
        shown = n;
    if (shown) {
        emit(p, shown);
        return true;
    }
    if (!f.whole)
        return false;
    if (f.word == WORD_CALL) {
        begin_call(p, f.at);
        return true;
    }
    emit(p, f.at);
    output_drop(p, f.len);
    p->thought = true;
    p->mode = f.word == WORD_THINK ? MODE_THINK : MODE_START;
    return true;
}

/* What an answer that is nothing but calls begins with; -1: that cannot be told so. */
static int begin_of(enum output_shape shape)
{
    return shape == OUTPUT_BARE ? '{' : shape == OUTPUT_PYTHON ? '[' : -1;
}

static bool step_start(struct output_parser *p, bool end)
{
    size_t n = 0;
    const char *s = output_waiting(p, &n);
    size_t at = output_skip_space(s, n, 0);
    int thinks = -1;

    if (at == n && !end)
        return false;
    if (p->format.think_open && !p->thought)
        thinks = output_match(s, n, at, p->format.think_open);
    if (thinks == 0 && !end)
        return false;
    if (thinks == 1) {
        output_drop(p, at + strlen(p->format.think_open));
        p->thought = true;
        p->mode = MODE_THINK;
    } else if (p->opened && !p->thought) {
        p->thought = true;
        p->mode = MODE_THINK;
    } else if (p->calls_wanted && at < n && s[at] == begin_of(p->format.shape)) {
        begin_call(p, at);
    } else {
        p->mode = MODE_TEXT;
    }
    return true;
}

/* A call, or what there is of one, and what goes on behind it. */
static bool leave_call(struct output_parser *p, size_t used)
{
    p->failed = p->failed || p->calls.failed;
    output_drop(p, p->glue + used);
    p->mode = MODE_AFTER;
    return !p->failed;
}

/* What looked like a call was none. */
static bool give_back(struct output_parser *p, size_t n)
{
    p->work += n;
    if (p->work > MAX_WORK || n > MAX_HELD)
        p->calls_wanted = false;
    p->mode = p->from;
    emit(p, p->glue + 1);
    return true;
}

static bool step_call(struct output_parser *p, bool end)
{
    size_t n = 0;
    const char *s = output_waiting(p, &n);
    size_t used = 0;

    switch (
        output_read_call(&p->format, &p->scan, s + p->glue, n - p->glue, end, &used, &p->calls)) {
    case READ_CALL:
        return leave_call(p, used);
    case READ_MORE:
        p->failed = p->failed || p->calls.failed;
        if (n <= MAX_HELD || p->failed)
            return false;
        return output_read_stop(&p->scan, &used, &p->calls) ? leave_call(p, used) : give_back(p, n);
    default:
        p->failed = p->failed || p->calls.failed;
        return p->failed ? false : give_back(p, n);
    }
}

/* What closes a call, or a list of them. */
static struct found closer_at(const struct output_parser *p, const char *s, size_t n, size_t at)
{
    const struct output_format *f = &p->format;
    struct found found = {WORD_NONE, n, 0, false};

    if (f->shape == OUTPUT_JSON || f->shape == OUTPUT_XML || f->shape == OUTPUT_PAIRS)
        try_word(&found, s, n, at, "</tool_call>", WORD_CLOSE);
    if (f->shape == OUTPUT_PYTHON)
        try_word(&found, s, n, at, f->markers[0], WORD_CLOSE);
    if (f->shape == OUTPUT_TOKENS) {
        try_word(&found, s, n, at, "```", WORD_CLOSE);
        try_word(&found, s, n, at, f->markers[1], WORD_CLOSE);
        try_word(&found, s, n, at, f->markers[2], WORD_CLOSE);
    }
    return found;
}

/* {"name": ...}; {"name": ...} */
static bool another_bare(struct output_parser *p, const char *s, size_t n, size_t at, bool *wait)
{
    if (p->format.shape != OUTPUT_BARE || at == n)
        return false;
    if (s[at] == ';')
        at = output_skip_space(s, n, at + 1);
    *wait = at == n;
    if (at == n || s[at] != '{')
        return false;
    p->mode = MODE_TEXT;
    begin_call(p, at);
    return true;
}

static bool step_after(struct output_parser *p, bool end)
{
    size_t n = 0;
    const char *s = output_waiting(p, &n);
    size_t at = output_skip_space(s, n, 0);
    struct found closer = closer_at(p, s, n, at);
    struct found opener = word_at(p, s, n, at);
    bool wait = false;

    if (at == n) {
        if (end)
            output_drop(p, n);
        return false;
    }
    if (closer.whole) {
        output_drop(p, at + closer.len);
        return true;
    }
    if (opener.whole && opener.word == WORD_CALL) {
        p->mode = MODE_TEXT;
        begin_call(p, at);
        return true;
    }
    if (another_bare(p, s, n, at, &wait))
        return true;
    if (!end && (wait || closer.word != WORD_NONE || (opener.word != WORD_NONE && !opener.whole)))
        return false;
    if (!p->wrote)
        output_drop(p, at);
    p->mode = MODE_TEXT;
    return true;
}

static bool step(struct output_parser *p, bool end)
{
    if (p->failed)
        return false;
    if (p->format.shape == OUTPUT_CHANNELS)
        return output_channels_step(p, end);
    switch (p->mode) {
    case MODE_START:
        return step_start(p, end);
    case MODE_CALL:
        return step_call(p, end);
    case MODE_AFTER:
        return step_after(p, end);
    default:
        return step_through(p, end);
    }
}

/* ------------------------------------------------------------------ the calls */

static bool run(struct output_parser *p, bool end)
{
    output_calls_clear_pieces(&p->calls);
    while (step(p, end))
        ;
    output_calls_settle_pieces(&p->calls);
    if (p->begin == p->held.len) {
        buffer_clear(&p->held);
        p->begin = 0;
    } else if (p->begin > p->held.len / 2) {
        memmove(p->held.data, p->held.data + p->begin, p->held.len - p->begin);
        p->held.len -= p->begin;
        p->begin = 0;
    }
    return !p->failed;
}

bool output_parser_push(struct output_parser *p, const char *text, size_t n)
{
    buffer_clear(&p->text);
    buffer_clear(&p->reasoning);
    if (n && !buffer_append(&p->held, text, n))
        p->failed = true;
    return run(p, false);
}

bool output_parser_finish(struct output_parser *p)
{
    buffer_clear(&p->text);
    buffer_clear(&p->reasoning);
    return run(p, true);
}

static inf_text text_of(const struct buffer *b)
{
    return (inf_text){b->data ? b->data : "", b->len};
}

inf_text output_parser_text(const struct output_parser *p)
{
    return text_of(&p->text);
}

inf_text output_parser_reasoning(const struct output_parser *p)
{
    return text_of(&p->reasoning);
}

const inf_tool_call_delta *output_parser_call_pieces(const struct output_parser *p, size_t *n)
{
    *n = p->calls.n_pieces;
    return p->calls.pieces;
}

bool output_parser_calls(struct output_parser *p, char **out)
{
    *out = output_calls_json(&p->calls);
    return !p->calls.failed;
}

bool output_parser_wants(const struct output_parser *p, const char *text, size_t n)
{
    const struct output_format *f = &p->format;

    if (!p->calls_wanted && f->shape != OUTPUT_CHANNELS)
        return (f->think_open && strlen(f->think_open) == n &&
                memcmp(f->think_open, text, n) == 0) ||
               (f->think_close && strlen(f->think_close) == n &&
                memcmp(f->think_close, text, n) == 0);
    return output_format_has_marker(f, text, n);
}
