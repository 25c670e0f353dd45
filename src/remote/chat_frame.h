/*
 * chat_frame: chunks like the last one. Most chunks of a stream differ in their text alone: what stood
 * around the text of the last chunk that said nothing else is its frame. A chunk with the same bytes
 * around a string without an escape is that same JSON with another text, and need not be read again.
 * Pure functions over bytes; one owner.
 */
#ifndef INF_REMOTE_CHAT_FRAME_H
#define INF_REMOTE_CHAT_FRAME_H

#include "core/json.h"

struct chat_frame {
    struct buffer around; /* empty: there is none */
    size_t before;        /* of its bytes, those before the text */
};

/* A longer frame is none: its like is read as a whole every time. */
enum { CHAT_FRAME_MAX = 2048 };

void chat_frame_init(struct chat_frame *f);
/* text: a JSON string in the chunk. */
void chat_frame_learn(struct chat_frame *f, const char *chunk, size_t len, struct json_span text);
/* *text: the content's string, quotes included. */
bool chat_frame_fits(const struct chat_frame *f, const char *chunk, size_t len,
                     struct json_span *text);

#endif
