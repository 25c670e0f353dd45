/*
 * wordwrap: Python's textwrap.wrap as the filter wordwrap calls it.
 */
#include "text/template/engine.h"
#include "text/template/unicode.h"

#include <string.h>

struct wrapper {
    struct vm *vm;
    const struct text *line;
    uint32_t *chars; /* of the line */
    size_t n;
    int64_t width;
    bool break_long;
    bool hyphens;
    struct list *chunks; /* texts */
};

/* ------------------------------------------------------------------ characters */

static bool is_blank(uint32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_word(uint32_t c)
{
    return c == '_' || (unicode_flags(c) & U_ALNUM);
}

static bool is_letter(uint32_t c)
{
    return is_word(c) && !(unicode_flags(c) & U_DECIMAL);
}

static bool is_word_or_mark(uint32_t c)
{
    return is_word(c) || (c < 0x80 && c && strchr("!\"'&.,?", (int)c));
}

static bool letter_at(const struct wrapper *w, size_t i)
{
    return i < w->n && is_letter(w->chars[i]);
}

/* "--" or more at i, and a word behind: where they end; 0: no. */
static size_t dash(const struct wrapper *w, size_t i)
{
    size_t end = i;

    while (end < w->n && w->chars[end] == '-')
        end++;
    return end - i >= 2 && end < w->n && is_word(w->chars[end]) ? end : 0;
}

/* A hyphen at i where a word may be cut behind it. */
static bool is_cut(const struct wrapper *w, size_t i)
{
    bool before;

    if (w->chars[i] != '-')
        return false;
    before = (i >= 2 && letter_at(w, i - 1) && letter_at(w, i - 2)) ||
             (i >= 3 && letter_at(w, i - 1) && w->chars[i - 2] == '-' && letter_at(w, i - 3));
    if (!before || !letter_at(w, i + 1))
        return false;
    return letter_at(w, i + 2) || (i + 2 < w->n && w->chars[i + 2] == '-' && letter_at(w, i + 3));
}

/* ------------------------------------------------------------------ chunks */

static size_t blanks_end(const struct wrapper *w, size_t i)
{
    while (i < w->n && is_blank(w->chars[i]))
        i++;
    return i;
}

static size_t word_end(const struct wrapper *w, size_t i)
{
    size_t end;

    if (!w->hyphens) {
        while (i < w->n && !is_blank(w->chars[i]))
            i++;
        return i;
    }
    end = i && is_word_or_mark(w->chars[i - 1]) ? dash(w, i) : 0;
    if (end)
        return end;
    for (end = i + 1; end < w->n && !is_blank(w->chars[end]); end++) {
        if (is_cut(w, end))
            return end + 1;
        if (is_word_or_mark(w->chars[end - 1]) && dash(w, end))
            return end;
    }
    return end;
}

static void cut_chunks(struct wrapper *w)
{
    size_t at = 0;

    w->chunks = list_new(w->vm, 0);
    while (at < w->n) {
        size_t end = is_blank(w->chars[at]) ? blanks_end(w, at) : word_end(w, at);

        list_add(w->vm, w->chunks, v_str(text_slice(w->vm, w->line, at, end)));
        at = end;
    }
}

/* ------------------------------------------------------------------ lines */

static bool all_blank(struct vm *vm, const struct text *s)
{
    return text_strip(vm, s, NULL, true, true)->len == 0;
}

/* How much of a chunk that is longer than a line goes into the room left. */
static size_t long_word_cut(const struct wrapper *w, const struct text *chunk, int64_t room)
{
    size_t at = 0;
    size_t hyphen = 0;
    bool other = false;

    if (!w->hyphens || (int64_t)chunk->count <= room)
        return (int64_t)chunk->count < room ? chunk->count : (size_t)room;
    for (size_t i = 0; (int64_t)i < room; i++) {
        uint32_t c = utf8_step(chunk->data, &at);

        if (c == '-' && other)
            hyphen = i;
        other = other || c != '-';
    }
    return hyphen ? hyphen + 1 : (size_t)room;
}

struct line {
    struct list *parts;
    int64_t len;
};

static void add_part(struct wrapper *w, struct line *line, const struct text *s)
{
    list_add(w->vm, line->parts, v_str(s));
    line->len += (int64_t)s->count;
}

static void add_long_word(struct wrapper *w, struct line *line, size_t *at)
{
    struct text *chunk = w->chunks->items[*at].s;
    size_t end;

    if (w->break_long) {
        end = long_word_cut(w, chunk, w->width < 1 ? 1 : w->width - line->len);
        add_part(w, line, text_slice(w->vm, chunk, 0, end));
        w->chunks->items[*at] = v_str(text_slice(w->vm, chunk, end, chunk->count));
    } else if (!line->parts->len) {
        add_part(w, line, chunk);
        ++*at;
    }
}

static void wrap_line(struct wrapper *w, struct builder *out, const struct text *separator)
{
    size_t at = 0;
    bool any = false;

    while (at < w->chunks->len) {
        struct line line = {.parts = list_new(w->vm, 0), .len = 0};
        size_t n;

        if (any && all_blank(w->vm, w->chunks->items[at].s))
            at++;
        while (at < w->chunks->len && line.len + (int64_t)w->chunks->items[at].s->count <= w->width)
            add_part(w, &line, w->chunks->items[at++].s);
        if (at < w->chunks->len && (int64_t)w->chunks->items[at].s->count > w->width)
            add_long_word(w, &line, &at);
        n = line.parts->len;
        if (n && all_blank(w->vm, line.parts->items[n - 1].s))
            n--;
        if (n && any)
            build_text(out, separator);
        for (size_t i = 0; i < n; i++)
            build_text(out, line.parts->items[i].s);
        any = any || n;
    }
}

static void read_chars(struct wrapper *w)
{
    size_t at = 0;

    w->chars = VM_ARRAY(w->vm, uint32_t, w->line->count);
    w->n = w->line->count;
    for (size_t i = 0; i < w->n; i++)
        w->chars[i] = utf8_step(w->line->data, &at);
}

struct text *text_wordwrap(struct vm *vm, const struct text *s, int64_t width, bool break_long,
                           const struct text *wrap, bool hyphens)
{
    struct wrapper w = {.vm = vm, .width = width, .break_long = break_long, .hyphens = hyphens};
    const struct list *lines = text_splitlines(vm, s, false);
    struct builder b;

    build_init(&b, vm);
    for (size_t i = 0; i < lines->len; i++) {
        if (width <= 0)
            vm_throw(vm, E_VALUE, "invalid width %lld (must be > 0)", (long long)width);
        w.line = lines->items[i].s;
        read_chars(&w);
        cut_chunks(&w);
        vm_step(vm, w.n);
        if (i)
            build_text(&b, wrap);
        wrap_line(&w, &b, wrap);
    }
    return build_done(&b);
}
