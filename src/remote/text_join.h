/*
 * text_join: bytes that come in pieces, made whole code points. A sequence cut in two by the pieces
 * is put together; so are the halves of a surrogate pair (three bytes each, as scan_unescape
 * gives them). What never becomes a code point ends as U+FFFD, one for each maximal part of a
 * sequence. Not thread-safe: its owner guards it.
 */
#ifndef INF_REMOTE_TEXT_JOIN_H
#define INF_REMOTE_TEXT_JOIN_H

#include "core/json.h"

struct text_join {
    char held[8]; /* the beginning of a code point */
    size_t n_held;
};

/* Appends the code points that are complete now. false: out of memory, nothing has changed. */
bool text_join_push(struct text_join *j, const char *piece, size_t len, struct buffer *out);
/* Nothing follows: what is held ends as U+FFFD. */
bool text_join_end(struct text_join *j, struct buffer *out);

/* Appends all code points of a text that is whole. false: out of memory. */
bool text_join_all(struct buffer *out, const char *text, size_t len);
/* The same of what a scanned JSON string means. */
bool text_join_json(struct buffer *out, struct json_span string);

#endif
