/*
 * pull: delivery by a queue to pull from, by whoever calls inf_context_next or inf_queue_next, one thread
 * at a time.
 */
#include "core/delivery.h"

#include "core/clock.h"
#include "core/context_state.h"
#include "core/growing.h"
#include "core/op_state.h"
#include "core/queue.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

enum { MAX_EVENT = 65536 }; /* no version's event ever */

/* ------------------------------------------------------------------ reading */

static void forget_given(inf_queue *q)
{
    for (size_t i = 0; i < q->n_given; i++)
        op_unref(q->given[i]);
    q->n_given = 0;
    news_copy_clear(&q->copy);
}

/* Up to three events of one operation; texts are set afterwards, when the buffer stands still. */
static size_t add_events(inf_op *op, const struct news *news, inf_event *events)
{
    inf_event event = {.op = op, .user_data = op->callbacks.user_data};
    size_t n = 0;

    if (news->progress) {
        event.kind = INF_EVENT_PROGRESS;
        event.progress = news->fraction;
        events[n++] = event;
    }
    if (news->token) {
        event.kind = INF_EVENT_TOKEN;
        event.progress = 0;
        /* offsets for now */
        event.chunk.text = (inf_text){(const char *)(uintptr_t)news->text_at, news->text_len};
        event.chunk.reasoning = (inf_text){(const char *)(uintptr_t)news->reasoning_at,
                                           news->reasoning_len};
        event.chunk.n_tokens = news->n_tokens;
        event.chunk.tool_calls = (const inf_tool_call_delta *)(uintptr_t)news->calls_at;
        event.chunk.n_tool_calls = news->n_calls;
        events[n++] = event;
    }
    if (news->done) {
        event.kind = INF_EVENT_DONE;
        event.chunk = (inf_chunk){0};
        events[n++] = event;
    }
    return n;
}

static inf_text resolve(const inf_queue *q, inf_text offset)
{
    return news_text(&q->copy.text, (size_t)(uintptr_t)offset.data, offset.len);
}

/* Texts and pieces of calls in the place of where they lie. */
static void resolve_chunk(const inf_queue *q, inf_chunk *chunk)
{
    size_t calls = (size_t)(uintptr_t)chunk->tool_calls;

    chunk->text = resolve(q, chunk->text);
    chunk->reasoning = resolve(q, chunk->reasoning);
    chunk->tool_calls = chunk->n_tool_calls ? q->copy.calls + calls : NULL;
}

static size_t add_closed(inf_queue *q, inf_event *event)
{
    bool due = queue_take_closed(q);

    if (due)
        *event = (inf_event){.kind = INF_EVENT_CLOSED, .user_data = q->closed_user_data};
    return due;
}

/* The caller's array has the distances of the header that it was built with. */
static void hand_out(void *to, size_t event_size, const inf_event *events, size_t n)
{
    size_t known = event_size < sizeof *events ? event_size : sizeof *events;

    for (size_t i = 0; i < n; i++) {
        char *event = (char *)to + i * event_size;

        memcpy(event, &events[i], known);
        memset(event + known, 0, event_size - known);
    }
}

/* *starved: memory was short; what could not be delivered stays in the queue. */
static size_t pull(inf_queue *q, inf_event *events, size_t capacity, bool *starved)
{
    size_t n = 0;

    /* An operation may turn out to have nothing to say, so there is a second limit. */
    while (n < capacity && q->n_given < q->capacity && !*starved) {
        bool finished = false;
        inf_op *op = queue_take(q, &finished);
        struct news news;

        if (!op)
            break;
        news = news_take(op, &q->copy, capacity - n, finished);
        *starved = news.starved;
        if (news.more)
            queue_push(q, op, finished);
        n += add_events(op, &news, events + n);
        q->given[q->n_given++] = op;
    }
    if (n < capacity)
        n += add_closed(q, &events[n]);
    news_settle_calls(&q->copy);
    for (size_t i = 0; i < n; i++)
        if (events[i].kind == INF_EVENT_TOKEN)
            resolve_chunk(q, &events[i].chunk);
    return n;
}

/* Into the queue's own events: *n_out of them. */
static int32_t pull_some(inf_queue *q, size_t capacity, size_t *n_out, int64_t timeout_ms,
                         inf_error *err)
{
    int64_t end = clock_deadline_us(timeout_ms);
    size_t room = q->n_pulled;
    bool starved = false;

    if (!GROW(q->pulled, room, capacity))
        return error_no_memory(err);
    q->n_pulled = room;

    do {
        forget_given(q);
        if (!GROW(q->given, q->capacity, capacity + 1))
            return error_no_memory(err);
        if (!queue_wait(q, end))
            break;
        *n_out = pull(q, q->pulled, capacity, &starved);
    } while (*n_out == 0 && !starved);
    return *n_out == 0 && starved ? error_no_memory(err) : INF_OK;
}

/* Every version's event has at least these members, and whole words. */
static int32_t check_event_size(size_t size, inf_error *err)
{
    if (size >= offsetof(inf_event, chunk) && size % sizeof size == 0 && size <= MAX_EVENT)
        return INF_OK;
    return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                     "event_size: %zu is not the size of an inf_event; give sizeof(inf_event)",
                     size);
}

int32_t inf_queue_next(inf_queue *q, inf_event *events, size_t event_size, size_t capacity,
                       size_t *n_out, int64_t timeout_ms, inf_error *err)
{
    int32_t code = INF_OK;

    if (!q || !events || !capacity || !n_out)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "queue, events or n_out is NULL, or no room");
    *n_out = 0;
    code = check_event_size(event_size, err);
    if (code == INF_OK)
        code = context_check(q->context, true, err);
    if (code == INF_OK)
        code = queue_begin_pull(q, err);
    if (code != INF_OK)
        return code;
    code = pull_some(q, capacity, n_out, timeout_ms, err);
    hand_out(events, event_size, q->pulled, *n_out);
    if (queue_end_pull(q)) {
        *n_out = 0;
        return error_set(err, INF_ERROR_STATE, "the context is closed");
    }
    return code == INF_OK ? error_none(err) : code;
}

int32_t inf_context_next(inf_context *ctx, inf_event *events, size_t event_size, size_t capacity,
                         size_t *n_out, int64_t timeout_ms, inf_error *err)
{
    int32_t code = INF_OK;

    if (!ctx || !events || !capacity || !n_out)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "ctx, events or n_out is NULL, or no room");
    *n_out = 0;
    code = context_check(ctx, true, err);
    if (code != INF_OK)
        return code;
    if (!ctx->queue)
        return error_set(err, INF_ERROR_STATE, "this context delivers by callbacks");
    return inf_queue_next(ctx->queue, events, event_size, capacity, n_out, timeout_ms, err);
}

int inf_context_event_fd(const inf_context *ctx)
{
    return ctx ? inf_queue_fd(ctx->queue) : -1;
}

int inf_queue_fd(const inf_queue *q)
{
    return q ? q->fd : -1;
}

/* ------------------------------------------------------------------ life */

static int32_t enlist(inf_queue *q, inf_context *ctx, inf_error *err)
{
    bool closing = false;

    pthread_mutex_lock(&ctx->lock);
    closing = ctx->closing;
    if (!closing) {
        q->next = ctx->queues;
        q->back = &ctx->queues;
        if (q->next)
            q->next->back = &q->next;
        ctx->queues = q;
    }
    pthread_mutex_unlock(&ctx->lock);
    return closing ? error_set(err, INF_ERROR_STATE, "the context is closed") : INF_OK;
}

int32_t inf_queue_create(inf_queue **out, inf_context *ctx, inf_error *err)
{
    inf_queue *q = NULL;
    int32_t code = INF_OK;

    if (!out || !ctx)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "out or ctx is NULL");
    *out = NULL;
    code = context_check(ctx, false, err);
    if (code == INF_OK)
        code = queue_new(&q, ctx, err);
    if (code != INF_OK)
        return code;
    code = enlist(q, ctx, err);
    if (code != INF_OK) {
        queue_unref(q);
        return code;
    }
    context_ref(ctx);
    *out = q;
    return error_none(err);
}

static void drop(inf_queue *q)
{
    bool finished = false;
    inf_op *op = NULL;

    forget_given(q);
    while ((op = queue_take(q, &finished)))
        op_unref(op);
}

void inf_queue_release(inf_queue *q)
{
    inf_context *ctx = q ? q->context : NULL;

    if (!q)
        return;
    if (context_forked(ctx)) { /* its locks may be held by threads that are not here */
        close(q->fd);
        return;
    }
    pthread_mutex_lock(&ctx->lock);
    *q->back = q->next;
    if (q->next)
        q->next->back = q->back;
    pthread_mutex_unlock(&ctx->lock);
    pthread_mutex_lock(&q->lock);
    q->released = true;
    pthread_mutex_unlock(&q->lock);
    queue_end(q, true);
    drop(q);
    queue_unref(q);
    context_unref(ctx);
}

int32_t pull_start(inf_context *ctx, inf_error *err)
{
    return queue_new(&ctx->queue, ctx, err);
}

void pull_abandon(inf_context *ctx)
{
    if (ctx->queue)
        queue_end(ctx->queue, true);
    pthread_mutex_lock(&ctx->lock);
    for (inf_queue *q = ctx->queues; q; q = q->next)
        queue_end(q, false);
    pthread_mutex_unlock(&ctx->lock);
}

void pull_drop(inf_context *ctx)
{
    if (ctx->queue)
        drop(ctx->queue);
}
