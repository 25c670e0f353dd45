/* sse: see the header. */
#include "http/sse.h"

#include <string.h>

/* ------------------------------------------------------------------ events */

/* What the current feed has of the event: its only data field so far, where it lies in the feed.
 * Copied into s->data when a second one comes, or the feed ends first. */
struct direct {
    const char *data; /* NULL: none */
    size_t len;
};

void sse_init(struct sse *s, size_t limit, sse_fn fn, void *owner)
{
    *s = (struct sse){.fn = fn, .owner = owner, .limit = limit};
    buffer_init(&s->line, limit);
    buffer_init(&s->data, BUFFER_NO_LIMIT);
    buffer_init(&s->type, limit);
}

void sse_free(struct sse *s)
{
    buffer_free(&s->line);
    buffer_free(&s->data);
    buffer_free(&s->type);
}

static int32_t too_long(size_t limit, inf_error *err)
{
    return error_set_detail(err, INF_ERROR_PROTOCOL, (int64_t)limit,
                            "the server sent more than %zu bytes without ending a line or an event",
                            limit);
}

/* Adds n bytes to a buffer that with `others` bytes elsewhere may hold `limit`. */
static int32_t keep(struct buffer *b, const char *bytes, size_t n, size_t others, size_t limit,
                    inf_error *err)
{
    if (others > limit || b->len > limit - others || n > limit - others - b->len)
        return too_long(limit, err);
    return n == 0 || buffer_append(b, bytes, n) ? INF_OK : error_no_memory(err);
}

static int32_t add_data(struct sse *s, const char *value, size_t n, inf_error *err)
{
    int32_t code = keep(&s->data, value, n, 1, s->limit, err);

    if (code == INF_OK && !buffer_append(&s->data, "\n", 1))
        code = error_no_memory(err);
    return code;
}

static int32_t settle(struct sse *s, struct direct *direct, inf_error *err)
{
    const char *data = direct->data;

    direct->data = NULL;
    return data ? add_data(s, data, direct->len, err) : INF_OK;
}

static int32_t data_field(struct sse *s, struct direct *direct, const char *value, size_t n,
                          bool in_feed, inf_error *err)
{
    int32_t code = INF_OK;

    if (!s->has_data && in_feed) {
        *direct = (struct direct){.data = value, .len = n};
    } else {
        code = settle(s, direct, err);
        if (code == INF_OK)
            code = add_data(s, value, n, err);
    }
    s->has_data = true;
    return code;
}

static int32_t end_event(struct sse *s, struct direct *direct, bool cut, inf_error *err)
{
    struct sse_event event = {.type = s->type.len ? s->type.data : "message",
                              .type_len = s->type.len ? s->type.len : strlen("message"),
                              .cut = cut};
    int32_t code = INF_OK;

    if (s->has_data) {
        event.data = direct->data ? direct->data : s->data.data;
        event.data_len = direct->data ? direct->len : s->data.len - 1;
        s->has_data = false;
        code = s->fn(s->owner, &event, err);
    }
    direct->data = NULL;
    buffer_clear(&s->data);
    buffer_clear(&s->type);
    return code;
}

/* No comment, and no field that the standard knows. */
static bool is_stray(const char *line, size_t name)
{
    return name > 0 && !(name == 2 && memcmp(line, "id", 2) == 0) &&
           !(name == 4 && memcmp(line, "data", 4) == 0) &&
           !(name == 5 && memcmp(line, "event", 5) == 0) &&
           !(name == 5 && memcmp(line, "retry", 5) == 0);
}

/* One line without its end. in_feed: it lies in the feed and stays there until the feed's end. */
static int32_t take_line(struct sse *s, struct direct *direct, const char *line, size_t len,
                         bool in_feed, inf_error *err)
{
    const char *colon = NULL;
    const char *value = line + len;
    size_t name = len;
    size_t whole = len;

    if (len == 0)
        return end_event(s, direct, false, err);
    if (len > s->limit)
        return too_long(s->limit, err);
    colon = memchr(line, ':', len);
    if (colon) {
        name = (size_t)(colon - line);
        value = colon + 1;
        if (value < line + len && *value == ' ')
            value++;
    }
    len -= (size_t)(value - line);
    if (name == 4 && memcmp(line, "data", 4) == 0)
        return data_field(s, direct, value, len, in_feed, err);
    if (name == 5 && memcmp(line, "event", 5) == 0) {
        buffer_clear(&s->type);
        return keep(&s->type, value, len, 0, s->limit, err);
    }
    return s->stray && is_stray(line, name) ? s->stray(s->owner, line, whole, err) : INF_OK;
}

/* Bytes of a line: the end of it comes now (`ended`), or in a later feed. */
static int32_t take_piece(struct sse *s, struct direct *direct, const char *bytes, size_t n,
                          bool ended, inf_error *err)
{
    int32_t code = INF_OK;

    if (ended && s->line.len == 0)
        return take_line(s, direct, bytes, n, true, err);
    code = keep(&s->line, bytes, n, s->data.len, s->limit, err);
    if (code != INF_OK || !ended)
        return code;
    code = take_line(s, direct, s->line.data, s->line.len, false, err);
    buffer_clear(&s->line);
    return code;
}

/* Skips a BOM that the stream starts with; one that is none after all begins the first line. */
static int32_t skip_bom(struct sse *s, const char **bytes, const char *end, inf_error *err)
{
    static const char bom[3] = {'\xef', '\xbb', '\xbf'};
    size_t matched = s->bom;

    while (matched < 3 && *bytes < end && **bytes == bom[matched]) {
        matched++;
        (*bytes)++;
    }
    s->bom = (unsigned char)matched;
    if (matched == 3 || *bytes == end)
        return INF_OK;
    s->bom = 3;
    return keep(&s->line, bom, matched, 0, s->limit, err);
}

int32_t sse_feed(struct sse *s, const char *bytes, size_t len, inf_error *err)
{
    const char *p = bytes;
    const char *end = len ? bytes + len : bytes;
    const char *lf = NULL; /* the first LF at or behind p, `end` when there is none */
    struct direct direct = {0};
    int32_t code = INF_OK;

    if (s->bom < 3)
        code = skip_bom(s, &p, end, err);
    if (code == INF_OK && s->after_cr && p < end) {
        s->after_cr = false;
        p += *p == '\n';
    }
    while (code == INF_OK && p < end) {
        const char *cr = NULL;
        const char *stop = NULL;

        if (!lf || lf < p) {
            lf = memchr(p, '\n', (size_t)(end - p));
            lf = lf ? lf : end;
        }
        cr = memchr(p, '\r', (size_t)(lf - p));
        stop = cr ? cr : lf;
        code = take_piece(s, &direct, p, (size_t)(stop - p), stop < end, err);
        p = stop;
        if (p < end)
            p++;
        if (cr && p == end)
            s->after_cr = true;
        else if (cr && *p == '\n')
            p++;
    }
    return code == INF_OK ? settle(s, &direct, err) : code;
}

int32_t sse_end(struct sse *s, inf_error *err)
{
    struct direct none = {0};
    int32_t code = INF_OK;

    if (s->line.len)
        code = take_line(s, &none, s->line.data, s->line.len, false, err);
    buffer_clear(&s->line);
    return code == INF_OK ? end_event(s, &none, true, err) : code;
}

/* ------------------------------------------------------------------ lines */

void lines_init(struct lines *l, size_t limit, line_fn fn, void *owner)
{
    *l = (struct lines){.fn = fn, .owner = owner, .limit = limit};
    buffer_init(&l->line, limit);
}

void lines_free(struct lines *l)
{
    buffer_free(&l->line);
}

static int32_t give_line(struct lines *l, const char *line, size_t len, inf_error *err)
{
    if (len > l->limit)
        return too_long(l->limit, err);
    if (len > 0 && line[len - 1] == '\r')
        len--;
    return len > 0 ? l->fn(l->owner, line, len, err) : INF_OK;
}

int32_t lines_feed(struct lines *l, const char *bytes, size_t len, inf_error *err)
{
    const char *p = bytes;
    const char *end = len ? bytes + len : bytes;
    int32_t code = INF_OK;

    while (code == INF_OK && p < end) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((lf ? lf : end) - p);

        if (lf && l->line.len == 0) {
            code = give_line(l, p, n, err);
        } else {
            code = keep(&l->line, p, n, 0, l->limit, err);
            if (code == INF_OK && lf) {
                code = give_line(l, l->line.data, l->line.len, err);
                buffer_clear(&l->line);
            }
        }
        p += n + (lf != NULL);
    }
    return code;
}

int32_t lines_end(struct lines *l, inf_error *err)
{
    int32_t code = INF_OK;

    if (l->line.len > 0)
        code = give_line(l, l->line.data, l->line.len, err);
    buffer_clear(&l->line);
    return code;
}
