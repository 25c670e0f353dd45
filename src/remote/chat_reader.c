/* chat_reader: see the header. */
#include "remote/chat_reader.h"

#include "core/ascii.h"
#include "remote/chat_words.h"
#include "remote/server_error.h"

#include <stdio.h>
#include <string.h>

void chat_reader_init(struct chat_reader *r, int32_t dialect)
{
    *r = (struct chat_reader){.framing = FRAMING_UNKNOWN};
    chat_stream_init(&r->stream, dialect);
}

static void end_framing(struct chat_reader *r)
{
    if (r->framing == FRAMING_EVENTS)
        sse_free(&r->sse);
    if (r->framing == FRAMING_LINES)
        lines_free(&r->lines);
    buffer_free(&r->whole);
    r->framing = FRAMING_UNKNOWN;
}

void chat_reader_free(struct chat_reader *r)
{
    end_framing(r);
    chat_stream_free(&r->stream);
}

/* ------------------------------------------------------------------ events and lines */

/* The data of an event, or a line. */
static int32_t take_data(void *owner, const char *data, size_t len, inf_error *err)
{
    struct chat_reader *r = owner;

    /* What stands behind the end in the same bytes is nobody's. */
    return r->stream.done ? INF_OK : chat_stream_event(&r->stream, data, len, err);
}

/* A line of its own, or, as proxies make them, one of events: a comment, a field that matters to nobody,
 * or data. */
static int32_t take_line(void *owner, const char *line, size_t len, inf_error *err)
{
    if (text_begins(line, len, ":") || text_begins(line, len, "event:") ||
        text_begins(line, len, "id:") || text_begins(line, len, "retry:"))
        return INF_OK;
    if (text_begins(line, len, "data:")) {
        line += strlen("data:");
        len -= strlen("data:");
    }
    return take_data(owner, line, len, err);
}

static bool is_json(const char *data, size_t len)
{
    struct json_span value;

    return scan_json(&value, data, len);
}

/* The type says that it is an error, and it holds no chunk. */
static bool is_error(const struct sse_event *event)
{
    struct json_span value;

    return event->type_len == 5 && memcmp(event->type, "error", 5) == 0 && event->data_len &&
           (!scan_json(&value, event->data, event->data_len) ||
            scan_is_none(scan_member(value, "choices")));
}

/* Several events whose empty lines somebody took away: each line of data is one. */
static int32_t take_lines(struct chat_reader *r, const char *data, size_t len, inf_error *err)
{
    struct lines lines;
    int32_t code = INF_OK;

    lines_init(&lines, CHAT_EVENT_MAX, take_data, r);
    code = lines_feed(&lines, data, len, err);
    if (code == INF_OK)
        code = lines_end(&lines, err);
    lines_free(&lines);
    return code;
}

/* What the end of the stream cut is left out; that it came too early is for others to say. */
static size_t without_cut_line(const char *data, size_t len)
{
    const char *end = memrchr(data, '\n', len);
    size_t begin = end ? (size_t)(end - data) + 1 : 0;
    bool is_whole = is_json(data, len) || is_json(data + begin, len - begin) ||
                    words_end(data + begin, len - begin);

    return is_whole ? len : begin;
}

static int32_t take_event(void *owner, const struct sse_event *event, inf_error *err)
{
    struct chat_reader *r = owner;
    const char *data = event->data;
    size_t len = event->data_len;

    if (event->cut)
        len = without_cut_line(data, len);
    if (!r->stream.done && is_error(event))
        return server_error_event(data, len, err);
    if (len && memchr(data, '\n', len) && !is_json(data, len))
        return take_lines(r, data, len, err);
    return take_data(r, data, len, err);
}

/* A line among the events that is none of theirs: some servers write the error of a stream so. */
static int32_t take_stray(void *owner, const char *line, size_t len, inf_error *err)
{
    struct json_span value;

    if (!scan_json(&value, line, len) || scan_is_none(scan_member(value, "error")))
        return INF_OK;
    return take_data(owner, line, len, err);
}

/* ------------------------------------------------------------------ the framing */

void chat_reader_head(struct chat_reader *r, const char *content_type)
{
    end_framing(r);
    snprintf(r->type, sizeof r->type, "%s", content_type);
}

static bool is_type(const struct chat_reader *r, const char *type)
{
    return strcmp(r->type, type) == 0;
}

static bool is_type_of_lines(const struct chat_reader *r)
{
    return is_type(r, "application/x-ndjson") || is_type(r, "application/jsonl");
}

static bool is_type_of_answer(const struct chat_reader *r)
{
    return is_type(r, "text/event-stream") || is_type(r, "application/json") || is_type_of_lines(r);
}

static int32_t no_stream(const struct chat_reader *r, inf_error *err)
{
    return error_set(err, INF_ERROR_PROTOCOL,
                     "the server answered with %s and not with a stream; is the base URL right?",
                     *r->type ? r->type : "bytes of no type");
}

/* Told by the first byte that is not blank. */
static enum chat_framing framing_of(const struct chat_reader *r, char first)
{
    bool object = first == '{';
    bool field = first && strchr(":deir", first); /* ":", "data", "event", "id", "retry" */

    if (r->stream.dialect == CHAT_OLLAMA)
        return object || field || is_type_of_answer(r) ? FRAMING_LINES : FRAMING_UNKNOWN;
    if (is_type_of_lines(r) && !field)
        return FRAMING_LINES;
    if (object)
        return FRAMING_WHOLE; /* a server that does not stream, or an error */
    if (is_type(r, "text/event-stream") || field)
        return FRAMING_EVENTS;
    return is_type_of_answer(r) ? FRAMING_WHOLE : FRAMING_UNKNOWN;
}

static int32_t begin(struct chat_reader *r, char first, inf_error *err)
{
    r->framing = framing_of(r, first);
    r->stream.whole = r->framing == FRAMING_WHOLE;
    switch (r->framing) {
    case FRAMING_EVENTS:
        sse_init(&r->sse, CHAT_EVENT_MAX, take_event, r);
        r->sse.stray = take_stray;
        return INF_OK;
    case FRAMING_LINES:
        lines_init(&r->lines, CHAT_EVENT_MAX, take_line, r);
        return INF_OK;
    case FRAMING_WHOLE:
        buffer_init(&r->whole, CHAT_EVENT_MAX);
        return INF_OK;
    default:
        return no_stream(r, err);
    }
}

/* Blanks and a byte order mark. */
static size_t count_blanks(const char *data, size_t len)
{
    size_t n = 0;

    while (n < len && data[n] && strchr(" \t\r\n\xef\xbb\xbf", data[n]))
        n++;
    return n;
}

int32_t chat_reader_feed(struct chat_reader *r, const char *data, size_t len, inf_error *err)
{
    size_t blanks = r->framing == FRAMING_UNKNOWN ? count_blanks(data, len) : 0;

    data += blanks;
    len -= blanks;
    if (len == 0)
        return INF_OK;
    if (r->framing == FRAMING_UNKNOWN && begin(r, *data, err) != INF_OK)
        return INF_ERROR_PROTOCOL;
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

/* One object; or, what nothing but its end tells, chunks that are each a line. */
static int32_t take_whole(struct chat_reader *r, inf_error *err)
{
    const char *data = r->whole.data;
    size_t len = r->whole.len;
    const char *end = memchr(data, '\n', len);

    if (!end || is_json(data, len) || !is_json(data, (size_t)(end - data)))
        return take_data(r, data, len, err);
    r->stream.whole = false;
    return take_lines(r, data, len, err);
}

int32_t chat_reader_end(struct chat_reader *r, inf_error *err)
{
    int32_t code = INF_OK;

    if (r->framing == FRAMING_UNKNOWN && !is_type_of_answer(r))
        code = no_stream(r, err);
    if (r->framing == FRAMING_LINES)
        code = lines_end(&r->lines, err);
    if (r->framing == FRAMING_EVENTS)
        code = sse_end(&r->sse, err);
    if (r->framing == FRAMING_WHOLE)
        code = take_whole(r, err);
    return code == INF_OK ? chat_stream_end(&r->stream, err) : code;
}
