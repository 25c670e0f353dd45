/* chat_call: see the header. */
#include "remote/chat_call.h"

#include "core/clock.h"
#include "core/memory.h"
#include "http/url.h"

#include <string.h>

/* ------------------------------------------------------------------ into the operation */

static void note_arrival(struct chat_call *call)
{
    call->last_us = clock_us();
    if (!call->first_us)
        call->first_us = call->last_us;
}

static int32_t give_piece(void *owner, const inf_tool_call_delta *piece, inf_error *err)
{
    struct chat_call *call = owner;

    note_arrival(call);
    return op_emit_tool_call(call->op, piece, err);
}

/* What one read brought, in how many events ever: a lock, a look at the clock and a word to whoever
 * waits for each of them would cost more than reading them. Returns code, or how this failed. */
static int32_t hand_over(struct chat_call *call, bool end, int32_t code, inf_error *err)
{
    struct chat_stream *s = &call->reader.stream;
    struct buffer *r = &s->reasoning.out, *t = &s->text.out;
    inf_error mine = {0};

    if (r->len || t->len)
        note_arrival(call);
    if (r->len)
        op_emit_reasoning(call->op, r->data, r->len, &mine);
    if (t->len && mine.code == INF_OK)
        op_emit(call->op, t->data, t->len, s->completion_tokens > 0 ? s->completion_tokens : 0,
                &mine);
    if (s->tool_calls.n && mine.code == INF_OK)
        tool_calls_give(&s->tool_calls, end, give_piece, call, &mine);
    buffer_clear(r);
    buffer_clear(t);
    return mine.code == INF_OK || code != INF_OK ? code : error_copy(err, &mine);
}

/* ------------------------------------------------------------------ the exchange */

static void on_begin(void *owner)
{
    struct chat_call *call = owner;

    call->begun_us = clock_us();
    op_begin_work(call->op);
}

static int32_t on_head(void *owner, const struct http_head *head, inf_error *err)
{
    struct chat_call *call = owner;

    (void)err;
    call->answered = true;
    chat_reader_head(&call->reader, head->content_type);
    return INF_OK;
}

static int32_t on_data(void *owner, const char *data, size_t len, inf_error *err)
{
    struct chat_call *call = owner;
    int32_t code = hand_over(call, false, chat_reader_feed(&call->reader, data, len, err), err);

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
    hand_over(call, true, err.code, &err);
    call->done(call, outcome, &err);
}

static const struct http_callbacks callbacks = {on_begin, on_head, on_data, on_done};

/* ------------------------------------------------------------------ life */

int32_t chat_call_make(void **out, size_t size, inf_op *op, const struct server *server,
                       void (*done)(struct chat_call *, const struct http_outcome *,
                                    const inf_error *),
                       inf_error *err)
{
    struct chat_call *call = mem_calloc(1, size);
    int32_t code = INF_OK;

    if (!call)
        return error_no_memory(err);
    call->op = op;
    call->done = done;
    chat_reader_init(&call->reader, CHAT_COMPLETIONS);
    code = server_headers(&call->headers, server, op_request(op)->extra_headers, err);
    if (code == INF_OK)
        *out = call;
    else
        chat_call_free(call);
    return code;
}

void chat_call_free(struct chat_call *call)
{
    http_exchange_release(call->exchange);
    http_headers_unref(call->headers);
    chat_reader_free(&call->reader);
    mem_free(call);
}

/* What is left of the operation's time, which a first attempt has all of. */
static int64_t time_left_ms(const inf_op *op)
{
    int64_t began_us = op_work_began_us(op);
    int64_t whole = op_request(op)->timeout_ms;
    int64_t left = began_us ? whole - (clock_us() - began_us) / 1000 : whole;

    return whole < 0 ? -1 : left > 1 ? left : 1;
}

int32_t chat_call_start(struct chat_call *call, struct http_client *client,
                        const struct server *server, bool again, int32_t dialect,
                        struct buffer *body, inf_error *err)
{
    struct http_request request;
    struct http_exchange *exchange = NULL;
    char *url = dialect == CHAT_OLLAMA ? url_join(server->root, "/api/chat")
                                       : url_join(server->base, "/chat/completions");
    int32_t code = INF_OK;

    if (!url)
        return error_no_memory(err);
    server_request(&request, server);
    request.method = "POST";
    request.url = url;
    request.headers = call->headers;
    request.gate = server->gate;
    request.body = body->data;
    request.body_len = body->len;
    request.total_ms = time_left_ms(call->op);
    request.retry = HTTP_RETRY_GENERATION;
    request.max_retries = again ? server->max_retries : 0;
    request.callbacks = &callbacks;
    request.owner = call;
    call->server = server;
    call->answered = false;
    call->begun_us = 0;
    chat_reader_free(&call->reader);
    chat_reader_init(&call->reader, dialect);
    code = http_start(&exchange, client, &request, err);
    mem_free(url);
    if (code != INF_OK)
        return code;
    http_exchange_release(call->exchange);
    call->exchange = exchange;
    call->sending = true;
    *body = (struct buffer){.limit = body->limit};
    if (op_stop_code(call->op) != INF_OK)
        http_cancel(exchange);
    return INF_OK;
}

/* ------------------------------------------------------------------ cancel and timeout */

static void run_end_job(struct job *job)
{
    struct chat_call *call = (struct chat_call *)(void *)((char *)job -
                                                          offsetof(struct chat_call, end_job));
    inf_error err;

    op_stop_error(call->op, &err);
    call->done(call, NULL, &err);
}

void chat_call_stop(struct chat_call *call)
{
    call->end_job.run = run_end_job;
    context_submit(op_context(call->op), &call->end_job);
}

void chat_call_cancel(struct chat_call *call, bool waited)
{
    if (call->sending)
        http_cancel(call->exchange);
    else if (waited)
        chat_call_stop(call);
}

/* ------------------------------------------------------------------ the result */

static void fill_timings(const struct chat_call *call, inf_timings *t)
{
    int64_t started = op_started_us(call->op);
    int64_t began = op_work_began_us(call->op);
    int64_t now = clock_us();

    t->total_us = now - started;
    t->queued_us = (began ? began : now) - started;
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
    out->error_body = mem_strndup(outcome->body, outcome->body_len);
    out->error_body_len = out->error_body ? outcome->body_len : 0;
    return out->error_body != NULL;
}

/* Into the operation's output: what came, the timings, a failed body. *err, when that is INF_OK, is
 * how it failed. */
static void fill(struct chat_call *call, const struct http_outcome *outcome, inf_error *err)
{
    const inf_request *r = op_request(call->op);
    struct op_output *out = op_output(call->op);
    inf_error mine = {0};

    fill_timings(call, &out->timings);
    out->model = mem_strndup(r->model.data ? r->model.data : "", r->model.len);
    if (!keep_body(out, outcome) || !out->model)
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

void chat_call_end(struct chat_call *call, const struct http_outcome *outcome, const inf_error *how)
{
    inf_op *op = call->op;
    inf_error err = *how;

    if (err.code == INF_ERROR_CANCELLED && op_stop_code(op) != INF_OK)
        op_stop_error(op, &err);
    fill(call, outcome, &err);
    op_set_canceller(op, NULL, NULL);
    chat_call_free(call);
    op_finish(op, &err); /* last: the provider may be gone after it */
}
