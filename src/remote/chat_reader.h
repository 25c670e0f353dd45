/*
 * chat_reader: the body of a chat answer, in whichever framing and whichever pieces its bytes come,
 * made the events of a chat_stream. Pure functions over bytes; one owner. It must not be moved.
 */
#ifndef INF_REMOTE_CHAT_READER_H
#define INF_REMOTE_CHAT_READER_H

#include "http/sse.h"
#include "remote/chat_stream.h"

enum chat_framing { FRAMING_NONE, FRAMING_EVENTS, FRAMING_LINES, FRAMING_WHOLE };

struct chat_reader {
    struct chat_stream stream;
    enum chat_framing framing;
    bool begun; /* a byte of the body told that it is what its type says */
    struct sse sse;
    struct lines lines;
    struct buffer whole;
};

void chat_reader_init(struct chat_reader *r, int32_t dialect);
void chat_reader_free(struct chat_reader *r);
/* A body of this type (lower case, no parameters) begins. PROTOCOL: it is no chat answer. */
int32_t chat_reader_head(struct chat_reader *r, const char *content_type, inf_error *err);
/* Errors of these two: those of chat_stream_event, PROTOCOL beyond CHAT_EVENT_MAX. */
int32_t chat_reader_feed(struct chat_reader *r, const char *data, size_t len, inf_error *err);
/* The body has ended well. */
int32_t chat_reader_end(struct chat_reader *r, inf_error *err);

#endif
