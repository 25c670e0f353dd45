/* chat_reader: see the header. */
#include "remote/chat_reader.h"

#include <string.h>

void chat_reader_init(struct chat_reader *r, int32_t dialect)
{
    *r = (struct chat_reader){.framing = FRAMING_NONE};
    chat_stream_init(&r->stream, dialect);
}

static void end_framing(struct chat_reader *r)
{
    if (r->framing == FRAMING_EVENTS)
        sse_free(&r->sse);
    if (r->framing == FRAMING_LINES)
        lines_free(&r->lines);
    buffer_free(&r->whole);
    r->framing = FRAMING_NONE;
}

void chat_reader_free(struct chat_reader *r)
{
    end_framing(r);
    chat_stream_free(&r->stream);
}

/* ------------------------------------------------------------------ events and lines */

static int32_t take_line(void *owner, const char *line, size_t len, inf_error *err)
{
    struct chat_reader *r = owner;

    /* What stands behind the end in the same bytes is nobody's. */
    return r->stream.done ? INF_OK : chat_stream_event(&r->stream, line, len, err);
}

static int32_t take_event(void *owner, const struct sse_event *event, inf_error *err)
{
    return take_line(owner, event->data, event->data_len, err);
}

/* A line among the events that is none of theirs: some servers write the error of a stream so. */
static int32_t take_stray(void *owner, const char *line, size_t len, inf_error *err)
{
    struct json_span value;

    if (!scan_json(&value, line, len) || scan_is_none(scan_member(value, "error")))
        return INF_OK;
    return take_line(owner, line, len, err);
}

/* ------------------------------------------------------------------ the framing */

static void begin_whole(struct chat_reader *r)
{
    end_framing(r);
    r->framing = FRAMING_WHOLE;
    buffer_init(&r->whole, CHAT_EVENT_MAX);
}

/* A JSON object, an error mostly, under the type of a stream: no line of a stream begins so. */
static void look_at_the_beginning(struct chat_reader *r, const char *data, size_t len)
{
    for (size_t i = 0; i < len && !r->begun; i++) {
        r->begun = !strchr(" \t\r\n", data[i]) || !data[i];
        if (data[i] == '{')
            begin_whole(r);
    }
}

int32_t chat_reader_head(struct chat_reader *r, const char *type, inf_error *err)
{
    end_framing(r);
    r->begun = false;
    if (strcmp(type, "text/event-stream") == 0) {
        r->framing = FRAMING_EVENTS;
        sse_init(&r->sse, CHAT_EVENT_MAX, take_event, r);
        r->sse.stray = take_stray;
    } else if (strcmp(type, "application/x-ndjson") == 0 ||
               strcmp(type, "application/jsonl") == 0) {
        r->framing = FRAMING_LINES;
        lines_init(&r->lines, CHAT_EVENT_MAX, take_line, r);
    } else if (strcmp(type, "application/json") == 0) {
        begin_whole(r); /* a server that does not stream */
    } else {
        return error_set(err, INF_ERROR_PROTOCOL,
                         "the server answered with %s and not with a stream; is the base URL "
                         "right?",
                         *type ? type : "bytes of no type");
    }
    return INF_OK;
}

int32_t chat_reader_feed(struct chat_reader *r, const char *data, size_t len, inf_error *err)
{
    if (r->framing == FRAMING_EVENTS && !r->begun)
        look_at_the_beginning(r, data, len);
    switch (r->framing) {
    case FRAMING_EVENTS:
        return sse_feed(&r->sse, data, len, err);
    case FRAMING_LINES:
        return lines_feed(&r->lines, data, len, err);
    default:
        if (len > CHAT_EVENT_MAX - r->whole.len)
            return error_set_detail(err, INF_ERROR_PROTOCOL, CHAT_EVENT_MAX,
                                    "the server's answer is longer than %d bytes", CHAT_EVENT_MAX);
        return buffer_append(&r->whole, data, len) ? INF_OK : error_no_memory(err);
    }
}

int32_t chat_reader_end(struct chat_reader *r, inf_error *err)
{
    int32_t code = INF_OK;

    if (r->framing == FRAMING_LINES)
        code = lines_end(&r->lines, err);
    if (r->framing == FRAMING_EVENTS)
        code = sse_end(&r->sse, err);
    if (r->framing == FRAMING_WHOLE)
        code = take_line(r, r->whole.data ? r->whole.data : "", r->whole.len, err);
    return code == INF_OK ? chat_stream_end(&r->stream, err) : code;
}
