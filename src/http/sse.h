/*
 * sse: an incremental parser of text/event-stream, and a splitter of lines for
 * application/x-ndjson. Pure functions over bytes: no I/O, no locks, one thread at a time each.
 *
 * Both work on the bytes where they lie: only what a feed cuts in the middle is copied, into a
 * buffer with a cap.
 */
#ifndef INF_HTTP_SSE_H
#define INF_HTTP_SSE_H

#include "core/buffer.h"
#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Borrowed during the call. */
struct sse_event {
    const char *type; /* the last "event:" field; "message" when there is none or it is empty */
    size_t type_len;
    const char *data; /* the "data:" fields, joined by LF */
    size_t data_len;
    bool cut; /* the stream ended before the empty line that ends an event */
};

/* INF_OK: go on. Anything else ends the feed, which returns it. */
typedef int32_t (*sse_fn)(void *owner, const struct sse_event *event, inf_error *err);
typedef int32_t (*line_fn)(void *owner, const char *line, size_t len, inf_error *err);

/*
 * As the HTML standard says: LF, CR and CRLF end a line; a BOM at the start is skipped; a line that
 * starts with a colon is a comment; one space after a field's colon is dropped; an empty line ends
 * the event; an event without data is none. One that the end of the stream cut, which the standard
 * drops, is given too, and marked: many servers forget the last empty line. "id" and "retry" are ignored: there is no reconnecting.
 * The bytes are not checked to be UTF-8.
 */
struct sse {
    sse_fn fn;
    line_fn stray; /* gets the lines that are no field of the standard, which drops them; or NULL */
    void *owner;
    size_t limit;       /* of a line and of an event's data together */
    struct buffer line; /* a line that a feed cut, so far */
    struct buffer data; /* the event's data so far, each field with an LF behind it */
    struct buffer type; /* the event's type */
    unsigned char bom;  /* of the BOM's bytes, how many came; 3: it is behind us */
    bool after_cr;      /* a LF that comes next belongs to the CR before it */
    bool has_data;
};

/* Without `stray`, which may be set behind it. No allocation until an event is cut by a feed. */
void sse_init(struct sse *s, size_t limit, sse_fn fn, void *owner);
/* Every event that these bytes complete. PROTOCOL: a line or event beyond the limit (detail: the
 * limit). NO_MEMORY. What fn returned. After an error only sse_free is allowed. */
int32_t sse_feed(struct sse *s, const char *bytes, size_t len, inf_error *err);
/* At the end of a stream: takes what the last line has so far, and gives the event that it left open. */
int32_t sse_end(struct sse *s, inf_error *err);
void sse_free(struct sse *s);

/* Lines that end in LF or CRLF; empty ones are skipped. */
struct lines {
    line_fn fn;
    void *owner;
    size_t limit;
    struct buffer line; /* what a feed cut, so far */
};

void lines_init(struct lines *l, size_t limit, line_fn fn, void *owner);
/* As sse_feed. */
int32_t lines_feed(struct lines *l, const char *bytes, size_t len, inf_error *err);
/* The end of the stream: gives a last line that no LF ended. */
int32_t lines_end(struct lines *l, inf_error *err);
void lines_free(struct lines *l);

#ifdef __cplusplus
}
#endif

#endif
