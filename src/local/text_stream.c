/*
 * text_stream: the bytes of tokens become well-formed text, from which stop strings are withheld.
 *
 * Two stages, each with what it cannot decide yet: `partial` holds the bytes of a code point that
 * is not complete, `held` holds well-formed text that may be the beginning of a stop string.
 */
#include "local/text_stream.h"

#include "core/memory.h"
#include "core/utf8.h"

#include <string.h>

struct text_stream {
    inf_text *stop; /* (n_stop), each owned */
    size_t n_stop;
    char partial[4];
    size_t n_partial;
    struct buffer held;
    bool stopped;
};

struct text_stream *text_stream_create(const inf_text *stop, size_t n_stop)
{
    struct text_stream *s = mem_calloc(1, sizeof *s);

    if (!s)
        return NULL;
    buffer_init(&s->held, BUFFER_NO_LIMIT);
    s->stop = mem_calloc(n_stop ? n_stop : 1, sizeof *s->stop);
    if (!s->stop)
        goto no_memory;
    for (; s->n_stop < n_stop; s->n_stop++) {
        char *copy = mem_strndup(stop[s->n_stop].data, stop[s->n_stop].len);

        if (!copy)
            goto no_memory;
        s->stop[s->n_stop] = (inf_text){copy, stop[s->n_stop].len};
    }
    return s;

no_memory:
    text_stream_free(s);
    return NULL;
}

void text_stream_free(struct text_stream *s)
{
    if (!s)
        return;
    for (size_t i = 0; s->stop && i < s->n_stop; i++)
        mem_free((char *)s->stop[i].data);
    mem_free(s->stop);
    buffer_free(&s->held);
    mem_free(s);
}

/* ------------------------------------------------------------------ code points */

/* Appends the well-formed text of bytes; the last, incomplete code point becomes s->partial. */
static bool append_text(struct text_stream *s, const char *bytes, size_t n, struct buffer *text)
{
    size_t cut = 0;

    if (!utf8_append(text, bytes, n, &cut))
        return false;
    memcpy(s->partial, bytes + n - cut, cut);
    s->n_partial = cut;
    return true;
}

/* The partial code point takes bytes one at a time until it is decided, the rest goes in one go. */
static bool decode(struct text_stream *s, const char *bytes, size_t n, struct buffer *text)
{
    while (s->n_partial && n) {
        char joined[sizeof s->partial + 1];
        size_t n_joined = s->n_partial + 1;

        memcpy(joined, s->partial, s->n_partial);
        joined[s->n_partial] = *bytes;
        if (!append_text(s, joined, n_joined, text))
            return false;
        bytes++;
        n--;
    }
    return n == 0 || append_text(s, bytes, n, text);
}

/* ------------------------------------------------------------------ stop strings */

/* Where the first stop string begins, or text->len. */
static size_t find_stop(const struct text_stream *s, const struct buffer *text)
{
    size_t first = text->len;

    for (size_t i = 0; i < s->n_stop; i++) {
        const inf_text *stop = &s->stop[i];

        for (size_t at = 0; at < first && stop->len <= text->len - at; at++)
            if (memcmp(text->data + at, stop->data, stop->len) == 0)
                first = at;
    }
    return first;
}

static bool begins_a_stop(const struct text_stream *s, const char *tail, size_t n)
{
    for (size_t i = 0; i < s->n_stop; i++)
        if (n < s->stop[i].len && memcmp(tail, s->stop[i].data, n) == 0)
            return true;
    return false;
}

/* How much of the text cannot be part of a stop string any more. */
static size_t find_decided(const struct text_stream *s, const struct buffer *text)
{
    size_t at = 0;

    while (at < text->len && !begins_a_stop(s, text->data + at, text->len - at))
        at++;
    return at;
}

bool text_stream_push(struct text_stream *s, const char *bytes, size_t n, struct buffer *out,
                      bool *stopped)
{
    size_t shown = 0;

    *stopped = s->stopped;
    if (s->stopped || n == 0)
        return true;
    if (s->n_stop == 0)
        return decode(s, bytes, n, out);
    if (!decode(s, bytes, n, &s->held))
        return false;
    shown = find_stop(s, &s->held);
    s->stopped = shown < s->held.len;
    if (!s->stopped)
        shown = find_decided(s, &s->held);
    if (shown && !buffer_append(out, s->held.data, shown))
        return false;
    *stopped = s->stopped;
    if (shown)
        memmove(s->held.data, s->held.data + shown, s->held.len - shown);
    s->held.len -= shown;
    return true;
}

bool text_stream_finish(struct text_stream *s, struct buffer *out)
{
    if (s->stopped)
        return true;
    s->stopped = true;
    if (s->held.len && !buffer_append(out, s->held.data, s->held.len))
        return false;
    return s->n_partial == 0 || buffer_append_str(out, UTF8_REPLACEMENT);
}
