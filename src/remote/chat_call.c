/* chat_call: see the header. */
#include "remote/chat_call.h"

#include "core/clock.h"
#include "core/memory.h"

#include <string.h>

/* ------------------------------------------------------------------ into the operation */

static int32_t give_text(void *owner, const char *text, size_t len, int64_t n_tokens,
                         inf_error *err)
{
    struct chat_call *call = owner;

    call->n_tokens = n_tokens;
    return buffer_append(&call->text, text, len) ? INF_OK : error_no_memory(err);
}

static int32_t give_reasoning(void *owner, const char *text, size_t len, inf_error *err)
{
    struct chat_call *call = owner;

    return buffer_append(&call->reasoning, text, len) ? INF_OK : error_no_memory(err);
}

/* What one read brought, in how many events ever: a lock, a look at the clock and a word to whoever
 * waits for each of them would cost more than reading them. Returns code, or how this failed. */
static int32_t hand_over(struct chat_call *call, int32_t code, inf_error *err)
{
    struct buffer *r = &call->reasoning, *t = &call->text;
    inf_error mine = {0};

    if (r->len == 0 && t->len == 0)
        return code;
    call->last_us = clock_us();
    if (!call->first_us)
        call->first_us = call->last_us;
    if (r->len)
        op_emit_reasoning(call->op, r->data, r->len, &mine);
    if (t->len && mine.code == INF_OK)
        op_emit(call->op, t->data, t->len, call->n_tokens, &mine);
    buffer_clear(r);
    buffer_clear(t);
    if (mine.code == INF_OK || code != INF_OK)
        return code;
    if (err)
        *err = mine;
    return mine.code;
}

static const struct chat_sink sink = {give_text, give_reasoning};

/* ------------------------------------------------------------------ the body's framing */

static int32_t take_event(void *owner, const struct sse_event *event, inf_error *err)
{
    struct chat_call *call = owner;

    /* What stands behind [DONE] in the same bytes is nobody's. */
    return call->stream.done ? INF_OK
                             : chat_stream_event(&call->stream, event->data, event->data_len, err);
}

/* A line among the events that is none of theirs: some servers write the error of a stream so. */
static int32_t take_stray(void *owner, const char *line, size_t len, inf_error *err)
{
    struct chat_call *call = owner;
    struct json_span value;

    if (call->stream.done || !scan_json(&value, line, len) ||
        scan_is_none(scan_member(value, "error")))
        return INF_OK;
    return chat_stream_event(&call->stream, line, len, err);
}

static int32_t take_line(void *owner, const char *line, size_t len, inf_error *err)
{
    struct chat_call *call = owner;

    return call->stream.done ? INF_OK : chat_stream_event(&call->stream, line, len, err);
}

static void end_framing(struct chat_call *call)
{
    if (call->framing == FRAMING_EVENTS)
        sse_free(&call->sse);
    if (call->framing == FRAMING_LINES)
        lines_free(&call->lines);
    buffer_free(&call->whole);
    call->framing = FRAMING_NONE;
}

static void begin_whole(struct chat_call *call)
{
    end_framing(call);
    call->framing = FRAMING_WHOLE;
    buffer_init(&call->whole, CHAT_EVENT_MAX);
}

/* A JSON object, an error mostly, under the type of a stream: no line of a stream begins so. */
static void look_at_the_beginning(struct chat_call *call, const char *data, size_t len)
{
    for (size_t i = 0; i < len && !call->begun; i++) {
        call->begun = !strchr(" \t\r\n", data[i]) || !data[i];
        if (data[i] == '{')
            begin_whole(call);
    }
}

static int32_t on_head(void *owner, const struct http_head *head, inf_error *err)
{
    struct chat_call *call = owner;
    const char *type = head->content_type;

    call->answered = true;
    end_framing(call);
    call->begun = false;
    if (strcmp(type, "text/event-stream") == 0) {
        call->framing = FRAMING_EVENTS;
        sse_init(&call->sse, CHAT_EVENT_MAX, take_event, call);
        call->sse.stray = take_stray;
    } else if (strcmp(type, "application/x-ndjson") == 0 ||
               strcmp(type, "application/jsonl") == 0) {
        call->framing = FRAMING_LINES;
        lines_init(&call->lines, CHAT_EVENT_MAX, take_line, call);
    } else if (strcmp(type, "application/json") == 0) {
        begin_whole(call); /* a server that does not stream */
    } else {
        return error_set(err, INF_ERROR_PROTOCOL,
                         "the server answered with %s and not with a stream; is the base URL "
                         "right?",
                         *type ? type : "bytes of no type");
    }
    return INF_OK;
}

static int32_t on_data(void *owner, const char *data, size_t len, inf_error *err)
{
    struct chat_call *call = owner;
    int32_t code = INF_OK;

    if (call->framing == FRAMING_EVENTS && !call->begun)
        look_at_the_beginning(call, data, len);
    switch (call->framing) {
    case FRAMING_EVENTS:
        code = sse_feed(&call->sse, data, len, err);
        break;
    case FRAMING_LINES:
        code = lines_feed(&call->lines, data, len, err);
        break;
    default:
        if (len > CHAT_EVENT_MAX - call->whole.len)
            return error_set_detail(err, INF_ERROR_PROTOCOL, CHAT_EVENT_MAX,
                                    "the server's answer is longer than %d bytes", CHAT_EVENT_MAX);
        if (!buffer_append(&call->whole, data, len))
            return error_no_memory(err);
    }
    code = hand_over(call, code, err);
    return code == INF_OK && call->stream.done ? HTTP_ENOUGH : code;
}

/* What is left when the body has ended well. */
static int32_t end_body(struct chat_call *call, inf_error *err)
{
    int32_t code = INF_OK;

    if (call->framing == FRAMING_LINES && !call->stream.done)
        code = lines_end(&call->lines, err);
    if (call->framing == FRAMING_EVENTS && !call->stream.done)
        code = sse_end(&call->sse, err);
    if (call->framing == FRAMING_WHOLE)
        code = chat_stream_event(&call->stream, call->whole.data ? call->whole.data : "",
                                 call->whole.len, err);
    return code == INF_OK ? chat_stream_end(&call->stream, err) : code;
}

static void on_done(void *owner, const struct http_outcome *outcome)
{
    struct chat_call *call = owner;
    inf_error err = *outcome->error;
    inf_error ignored;

    if (err.code == INF_OK)
        end_body(call, &err);
    else
        chat_stream_end(&call->stream, &ignored); /* what is held of a code point goes out */
    hand_over(call, err.code, &err);
    call->done(call, outcome, &err);
}

static const struct http_callbacks callbacks = {on_head, on_data, on_done};

/* ------------------------------------------------------------------ life */

void chat_call_init(struct chat_call *call, inf_op *op,
                    void (*done)(struct chat_call *, const struct http_outcome *,
                                 const inf_error *))
{
    *call = (struct chat_call){.op = op, .done = done};
    buffer_init(&call->text, BUFFER_NO_LIMIT);
    buffer_init(&call->reasoning, BUFFER_NO_LIMIT);
    chat_stream_init(&call->stream, CHAT_COMPLETIONS, &sink, call);
}

void chat_call_free(struct chat_call *call)
{
    http_exchange_release(call->exchange);
    call->exchange = NULL;
    end_framing(call);
    chat_stream_free(&call->stream);
    buffer_free(&call->text);
    buffer_free(&call->reasoning);
}

/* What is left of the operation's time. */
static int64_t time_left_ms(const inf_op *op)
{
    int64_t spent_ms = (clock_us() - op_started_us(op)) / 1000;
    int64_t left = op_request(op)->timeout_ms - spent_ms;

    return left > 1 ? left : 1;
}

int32_t chat_call_start(struct chat_call *call, const struct chat_request *r, struct buffer *body,
                        inf_error *err)
{
    struct http_request request;
    struct http_exchange *exchange = NULL;
    int32_t code = INF_OK;

    http_request_default(&request);
    request.method = "POST";
    request.url = r->url;
    request.headers = r->headers;
    request.body = body->data;
    request.body_len = body->len;
    request.connect_ms = r->times.connect_ms;
    request.silence_ms = r->times.silence_ms;
    request.total_ms = time_left_ms(call->op);
    request.retry = HTTP_RETRY_GENERATION;
    request.max_retries = r->times.max_retries;
    request.callbacks = &callbacks;
    request.owner = call;
    end_framing(call);
    chat_stream_free(&call->stream);
    chat_stream_init(&call->stream, r->dialect, &sink, call);
    code = http_start(&exchange, r->client, &request, err);
    if (code != INF_OK)
        return code;
    http_exchange_release(call->exchange);
    call->exchange = exchange;
    *body = (struct buffer){.limit = body->limit};
    return INF_OK;
}

/* ------------------------------------------------------------------ the result */

static void fill_timings(const struct chat_call *call, inf_timings *t)
{
    int64_t started = op_started_us(call->op);

    t->total_us = clock_us() - started;
    if (call->first_us) {
        t->first_token_us = call->first_us - started;
        t->decode_us = call->last_us - call->first_us;
    }
}

static bool keep_body(struct op_output *out, const struct http_outcome *outcome)
{
    if (!outcome || outcome->error->code != INF_ERROR_HTTP_STATUS || !outcome->body)
        return true;
    mem_free(out->error_body);
    out->error_body = mem_alloc(outcome->body_len + 1);
    out->error_body_len = 0;
    if (!out->error_body)
        return false;
    memcpy(out->error_body, outcome->body, outcome->body_len);
    out->error_body[outcome->body_len] = '\0';
    out->error_body_len = outcome->body_len;
    return true;
}

void chat_call_fill(struct chat_call *call, const struct http_outcome *outcome, inf_error *err)
{
    const inf_request *r = op_request(call->op);
    struct op_output *out = op_output(call->op);
    inf_error mine = {0};

    fill_timings(call, &out->timings);
    if (!keep_body(out, outcome))
        error_no_memory(&mine);
    if (mine.code == INF_OK)
        chat_stream_fill(&call->stream, out, r->logprobs.is_set, &mine);
    if (err->code == INF_OK)
        *err = mine;
    if (err->code != INF_OK) { /* ended by an error: no finish reason */
        mem_free(out->finish_reason);
        out->finish_reason = NULL;
        out->finish = INF_FINISH_NONE;
        /* and counts of what came, at least */
        if (out->prompt_tokens < 0)
            out->prompt_tokens = 0;
        if (out->completion_tokens < 0)
            out->completion_tokens = call->stream.text_chunks;
    }
}
