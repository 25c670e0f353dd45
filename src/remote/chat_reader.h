/*
 * chat_reader: the body of a chat answer, in whichever framing and whichever pieces its bytes come,
 * made the events of a chat_stream. Pure functions over bytes; one owner. It must not be moved.
 *
 * What proxies make of a content type is not believed: the first byte tells an object, which is the
 * whole answer or in Ollama's dialect a line, from server-sent events. A type that is no stream's is an
 * error only when the body begins like none.
 */
#ifndef INF_REMOTE_CHAT_READER_H
#define INF_REMOTE_CHAT_READER_H

#include "http/sse.h"
#include "remote/chat_stream.h"

enum chat_framing { FRAMING_UNKNOWN, FRAMING_EVENTS, FRAMING_LINES, FRAMING_WHOLE };

struct chat_reader {
    struct chat_stream stream;
    char type[64];
    enum chat_framing framing; /* unknown until the first byte that is not blank */
    struct sse sse;
    struct lines lines;
    struct buffer whole;
};

void chat_reader_init(struct chat_reader *r, int32_t dialect);
void chat_reader_free(struct chat_reader *r);
/* A body of this type (lower case, no parameters) begins. */
void chat_reader_head(struct chat_reader *r, const char *content_type);
/* Errors of these two: those of chat_stream_event, PROTOCOL for what is no chat answer and for more
 * than CHAT_EVENT_MAX bytes of one. */
int32_t chat_reader_feed(struct chat_reader *r, const char *data, size_t len, inf_error *err);
/* The body has ended well. */
int32_t chat_reader_end(struct chat_reader *r, inf_error *err);

#endif
