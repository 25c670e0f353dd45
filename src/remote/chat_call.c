/* chat_call: see the header. */
#include "remote/chat_call.h"

#include "core/clock.h"
#include "core/memory.h"

#include <string.h>

/* ------------------------------------------------------------------ into the operation */

/* What one read brought, in how many events ever: a lock, a look at the clock and a word to whoever
 * waits for each of them would cost more than reading them. Returns code, or how this failed. */
static int32_t hand_over(struct chat_call *call, int32_t code, inf_error *err)
{
    struct chat_stream *s = &call->reader.stream;
    struct buffer *r = &s->reasoning, *t = &s->text;
    inf_error mine = {0};

    if (r->len == 0 && t->len == 0)
        return code;
    call->last_us = clock_us();
    if (!call->first_us)
        call->first_us = call->last_us;
    if (r->len)
        op_emit_reasoning(call->op, r->data, r->len, &mine);
    if (t->len && mine.code == INF_OK)
        op_emit(call->op, t->data, t->len, s->completion_tokens > 0 ? s->completion_tokens : 0,
                &mine);
    buffer_clear(r);
    buffer_clear(t);
    if (mine.code == INF_OK || code != INF_OK)
        return code;
    if (err)
        *err = mine;
    return mine.code;
}

/* ------------------------------------------------------------------ the exchange */

static int32_t on_head(void *owner, const struct http_head *head, inf_error *err)
{
    struct chat_call *call = owner;

    call->answered = true;
    return chat_reader_head(&call->reader, head->content_type, err);
}

static int32_t on_data(void *owner, const char *data, size_t len, inf_error *err)
{
    struct chat_call *call = owner;
    int32_t code = hand_over(call, chat_reader_feed(&call->reader, data, len, err), err);

    return code == INF_OK && call->reader.stream.done ? HTTP_ENOUGH : code;
}

static void on_done(void *owner, const struct http_outcome *outcome)
{
    struct chat_call *call = owner;
    inf_error err = *outcome->error;
    inf_error ignored;

    if (err.code == INF_OK)
        chat_reader_end(&call->reader, &err);
    else
        chat_stream_end(&call->reader.stream, &ignored); /* what is held of a code point goes out */
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
    chat_reader_init(&call->reader, CHAT_COMPLETIONS);
}

void chat_call_free(struct chat_call *call)
{
    http_exchange_release(call->exchange);
    call->exchange = NULL;
    chat_reader_free(&call->reader);
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
    chat_reader_free(&call->reader);
    chat_reader_init(&call->reader, r->dialect);
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
        chat_stream_fill(&call->reader.stream, out, r->logprobs.is_set, &mine);
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
            out->completion_tokens = call->reader.stream.text_chunks;
    }
}
