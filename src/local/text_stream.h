/*
 * text_stream: token bytes in, text out: whole code points only, stop strings withheld.
 *
 * Bytes that can never become a code point leave as U+FFFD (one for each maximal ill-formed
 * subpart, as Unicode recommends). Text that may be the beginning of a stop string waits until it
 * is not. When several stop strings end at the same push the one that begins first wins.
 * Knows nothing of tokens or models. Not thread-safe: its sequence's worker owns it.
 */
#ifndef INF_LOCAL_TEXT_STREAM_H
#define INF_LOCAL_TEXT_STREAM_H

#include "core/buffer.h"

#include <inference/inference.h>

struct text_stream;

/* Stop strings are copied; n_stop may be 0. NULL when out of memory. */
struct text_stream *text_stream_create(const inf_text *stop, size_t n_stop);
void text_stream_free(struct text_stream *s);

/*
 * Appends `n` bytes and puts what may be shown now at the end of `out`. *stopped: a stop string is
 * complete; nothing from its first byte on is ever shown, and later pushes add nothing.
 * false when out of memory.
 */
bool text_stream_push(struct text_stream *s, const char *bytes, size_t n, struct buffer *out,
                      bool *stopped);
/* The end: puts what was withheld into `out` (a pending incomplete code point as U+FFFD). */
bool text_stream_finish(struct text_stream *s, struct buffer *out);

#endif
