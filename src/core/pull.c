/*
 * pull: delivery by a queue to pull from, by whoever calls inf_context_next, one thread at a time.
 */
#include "core/delivery.h"

#include "core/clock.h"
#include "core/context_state.h"
#include "core/events.h"
#include "core/growing.h"
#include "core/op_state.h"

#include <errno.h>
#include <sys/eventfd.h>

static void forget_delivered(inf_context *ctx)
{
    for (size_t i = 0; i < ctx->pull.n; i++)
        op_unref(ctx->pull.given[i]);
    ctx->pull.n = 0;
    buffer_clear(&ctx->pull.text);
}

/* Whether there is an event before `end`, and somebody to read it. */
static bool wait_for_event(inf_context *ctx, int64_t end)
{
    bool there = false;

    pthread_mutex_lock(&ctx->lock);
    while (!events_any(ctx) && !ctx->pull.abandoned && clock_us() < end)
        cond_wait_until_us(&ctx->events.changed, &ctx->lock, end);
    there = events_any(ctx) && !ctx->pull.abandoned;
    pthread_mutex_unlock(&ctx->lock);
    return there;
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
        events[n++] = event;
    }
    if (news->done) {
        event.kind = INF_EVENT_DONE;
        event.chunk = (inf_chunk){0};
        events[n++] = event;
    }
    return n;
}

static inf_text resolve(const inf_context *ctx, inf_text offset)
{
    return news_text(&ctx->pull.text, (size_t)(uintptr_t)offset.data, offset.len);
}

static size_t add_closed(inf_context *ctx, inf_event *event)
{
    bool due = false;

    pthread_mutex_lock(&ctx->lock);
    due = events_take_closed(ctx);
    pthread_mutex_unlock(&ctx->lock);
    if (due)
        *event = (inf_event){.kind = INF_EVENT_CLOSED, .user_data = ctx->closer.user_data};
    return due;
}

/* *starved: memory was short; what could not be delivered stays in the queue. */
static size_t pull(inf_context *ctx, inf_event *events, size_t capacity, bool *starved)
{
    size_t n = 0;

    /* An operation may turn out to have nothing to say, so there is a second limit. */
    while (n < capacity && ctx->pull.n < ctx->pull.capacity && !*starved) {
        bool finished = false;
        inf_op *op = NULL;
        struct news news;

        pthread_mutex_lock(&ctx->lock);
        op = events_take(ctx, &finished);
        pthread_mutex_unlock(&ctx->lock);
        if (!op)
            break;
        news = news_take(op, &ctx->pull.text, capacity - n, finished);
        *starved = news.starved;
        if (news.more)
            events_queue(ctx, op, finished);
        n += add_events(op, &news, events + n);
        ctx->pull.given[ctx->pull.n++] = op;
    }
    if (n < capacity)
        n += add_closed(ctx, &events[n]);
    for (size_t i = 0; i < n; i++) {
        if (events[i].kind == INF_EVENT_TOKEN) {
            events[i].chunk.text = resolve(ctx, events[i].chunk.text);
            events[i].chunk.reasoning = resolve(ctx, events[i].chunk.reasoning);
        }
    }
    return n;
}

static int32_t begin_pull(inf_context *ctx, inf_error *err)
{
    bool busy = false;
    bool over = false;

    pthread_mutex_lock(&ctx->lock);
    busy = ctx->pull.busy;
    over = ctx->pull.abandoned || ctx->events.closed == CLOSED_TOLD;
    if (!over)
        ctx->pull.busy = true;
    pthread_mutex_unlock(&ctx->lock);
    if (over)
        return error_set(err, INF_ERROR_STATE, "the context is closed");
    if (busy)
        return error_set(err, INF_ERROR_STATE, "another thread is pulling events already");
    return INF_OK;
}

/* Whether inf_context_close was called; the context must not be touched afterwards. */
static bool end_pull(inf_context *ctx)
{
    bool abandoned = false;

    pthread_mutex_lock(&ctx->lock);
    ctx->pull.busy = false;
    events_drain_fd(ctx);
    if (events_any(ctx))
        events_signal_fd(ctx);
    abandoned = ctx->pull.abandoned;
    if (abandoned)
        pthread_cond_broadcast(&ctx->idle);
    pthread_mutex_unlock(&ctx->lock);
    return abandoned;
}

static int32_t pull_some(inf_context *ctx, inf_event *events, size_t capacity, size_t *n_out,
                         int64_t timeout_ms, inf_error *err)
{
    int64_t end = clock_deadline_us(timeout_ms);
    bool starved = false;

    do {
        forget_delivered(ctx);
        if (!GROW(ctx->pull.given, ctx->pull.capacity, capacity + 1))
            return error_no_memory(err);
        if (!wait_for_event(ctx, end))
            break;
        *n_out = pull(ctx, events, capacity, &starved);
    } while (*n_out == 0 && !starved);
    return *n_out == 0 && starved ? error_no_memory(err) : INF_OK;
}

int32_t inf_context_next(inf_context *ctx, inf_event *events, size_t capacity, size_t *n_out,
                         int64_t timeout_ms, inf_error *err)
{
    int32_t code = INF_OK;

    if (!ctx || !events || !capacity || !n_out)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "ctx, events or n_out is NULL, or no room");
    *n_out = 0;
    code = context_check(ctx, true, err);
    if (code != INF_OK)
        return code;
    if (ctx->options.delivery != INF_DELIVERY_QUEUE)
        return error_set(err, INF_ERROR_STATE, "this context delivers by callbacks");
    code = begin_pull(ctx, err);
    if (code != INF_OK)
        return code;
    code = pull_some(ctx, events, capacity, n_out, timeout_ms, err);
    if (end_pull(ctx)) {
        *n_out = 0;
        return error_set(err, INF_ERROR_STATE, "the context is closed");
    }
    return code == INF_OK ? error_none(err) : code;
}

int inf_context_event_fd(const inf_context *ctx)
{
    return ctx ? ctx->events.fd : -1;
}

int32_t pull_start(inf_context *ctx, inf_error *err)
{
    ctx->events.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return ctx->events.fd >= 0 ? INF_OK : error_set_errno(err, errno, "make", "an eventfd");
}

void pull_abandon(inf_context *ctx)
{
    pthread_mutex_lock(&ctx->lock);
    ctx->pull.abandoned = true;
    pthread_cond_broadcast(&ctx->events.changed);
    while (ctx->pull.busy)
        pthread_cond_wait(&ctx->idle, &ctx->lock);
    pthread_mutex_unlock(&ctx->lock);
}

void pull_drop(inf_context *ctx)
{
    bool finished = false;
    inf_op *op = NULL;

    forget_delivered(ctx);
    pthread_mutex_lock(&ctx->lock);
    while ((op = events_take(ctx, &finished))) {
        pthread_mutex_unlock(&ctx->lock);
        op_unref(op);
        pthread_mutex_lock(&ctx->lock);
    }
    pthread_mutex_unlock(&ctx->lock);
}
