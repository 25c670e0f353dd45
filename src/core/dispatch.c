/*
 * dispatch: getting events to the user, by callbacks on one thread or by a queue to pull from.
 *
 * An operation stands in the context's event list at most once, however much it has to say: text
 * that came meanwhile makes the next chunk bigger. Text is copied out under op->lock, so that the
 * owner may go on appending while the user reads.
 */
#include "core/context_state.h"

#include "core/clock.h"
#include "core/memory.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void *dispatch_thread(void *arg);

static _Thread_local inf_context *in_callback;

inf_context *context_in_callback(void)
{
    return in_callback;
}

void context_queue_event(inf_context *ctx, inf_op *op)
{
    bool first = false;

    pthread_mutex_lock(&ctx->lock);
    if (!op->queued) {
        op->queued = true;
        op->next_event = NULL;
        first = ctx->events == NULL;
        *ctx->events_end = op;
        ctx->events_end = &op->next_event;
        op_ref(op);
    }
    if (first)
        pthread_cond_signal(&ctx->events_changed);
    if (first && ctx->event_fd >= 0) {
        uint64_t one = 1;

        while (write(ctx->event_fd, &one, sizeof one) < 0 && errno == EINTR)
            ;
    }
    pthread_mutex_unlock(&ctx->lock);
}

/* The first operation with something to say, with the queue's reference; the lock is held. */
static inf_op *take_event(inf_context *ctx)
{
    inf_op *op = ctx->events;

    if (op) {
        ctx->events = op->next_event;
        if (!ctx->events)
            ctx->events_end = &ctx->events;
        op->queued = false;
    }
    return op;
}

/* What an operation has to say now; text lies in a scratch buffer. */
struct news {
    bool progress, token, done;
    float fraction;
    size_t text_at, text_len, reasoning_at, reasoning_len; /* in the scratch buffer */
    int64_t n_tokens;
};

/* Appends undelivered text; when memory is short it stays for the next time. */
static size_t take_text(struct buffer *from, size_t *delivered, struct buffer *scratch, size_t *at)
{
    size_t n = from->len - *delivered;

    *at = scratch->len;
    if (n == 0 || !buffer_append(scratch, from->data + *delivered, n))
        return 0;
    *delivered = from->len;
    return n;
}

/* At most `room` pieces of news, in order; *more: some had to stay. */
static struct news take_news(inf_op *op, struct buffer *scratch, size_t room, bool *more)
{
    struct news news = {0};

    pthread_mutex_lock(&op->lock);
    news.progress = op->progress_pending && room > 0;
    news.fraction = op->progress;
    if (news.progress) {
        op->progress_pending = false;
        room--;
    }
    if (room > 0) {
        news.text_len = take_text(&op->text, &op->text_delivered, scratch, &news.text_at);
        news.reasoning_len =
            take_text(&op->reasoning, &op->reasoning_delivered, scratch, &news.reasoning_at);
        news.token = news.text_len || news.reasoning_len;
        news.n_tokens = op->n_tokens;
        room -= news.token;
    }
    news.done = op->finished_pending && room > 0;
    *more = op->finished_pending && !news.done;
    if (news.done)
        op->finished_pending = false;
    pthread_mutex_unlock(&op->lock);
    return news;
}

static inf_chunk chunk_of(const struct news *news, const struct buffer *scratch)
{
    inf_chunk chunk = {.n_tokens = news->n_tokens};

    chunk.text = (inf_text){news->text_len ? scratch->data + news->text_at : "", news->text_len};
    chunk.reasoning =
        (inf_text){news->reasoning_len ? scratch->data + news->reasoning_at : "", news->reasoning_len};
    return chunk;
}

/* ------------------------------------------------------------------ by callbacks */

static void call_back(inf_op *op, struct buffer *scratch)
{
    const inf_callbacks *c = &op->callbacks;
    bool more = false;
    struct news news;
    inf_chunk chunk;

    buffer_clear(scratch);
    news = take_news(op, scratch, 3, &more);
    chunk = chunk_of(&news, scratch);
    in_callback = op->context;
    if (news.progress && c->on_progress)
        c->on_progress(c->user_data, op, news.fraction);
    if (news.token && c->on_token)
        c->on_token(c->user_data, op, &chunk);
    if (news.done && c->on_done)
        c->on_done(c->user_data, op);
    in_callback = NULL;
    if (news.done)
        op_set_done(op);
    op_unref(op);
}

void *dispatch_thread(void *arg)
{
    inf_context *ctx = arg;
    struct buffer scratch;

    buffer_init(&scratch, BUFFER_NO_LIMIT);
    pthread_mutex_lock(&ctx->lock);
    for (;;) {
        inf_op *op = take_event(ctx);

        if (op) {
            pthread_mutex_unlock(&ctx->lock);
            call_back(op, &scratch);
            pthread_mutex_lock(&ctx->lock);
        } else if (ctx->stop) {
            break;
        } else {
            pthread_cond_wait(&ctx->events_changed, &ctx->lock);
        }
    }
    pthread_mutex_unlock(&ctx->lock);
    buffer_free(&scratch);
    return NULL;
}

/* ------------------------------------------------------------------ by queue */

static bool reserve_delivered(inf_context *ctx, size_t n)
{
    inf_op **grown = NULL;

    if (n <= ctx->delivered_capacity)
        return true;
    grown = mem_realloc(ctx->delivered, n * sizeof(inf_op *));
    if (!grown)
        return false;
    ctx->delivered = grown;
    ctx->delivered_capacity = n;
    return true;
}

static void forget_delivered(inf_context *ctx)
{
    for (size_t i = 0; i < ctx->n_delivered; i++)
        op_unref(ctx->delivered[i]);
    ctx->n_delivered = 0;
    buffer_clear(&ctx->delivered_text);
}

/* Waits for the first event; the lock is held. */
static void wait_for_event(inf_context *ctx, int64_t timeout_ms)
{
    int64_t end = timeout_ms < 0 ? INT64_MAX : clock_us() + timeout_ms * 1000;
    struct timespec t = {.tv_sec = end / 1000000, .tv_nsec = end % 1000000 * 1000};

    while (!ctx->events && !ctx->closing && clock_us() < end) {
        if (timeout_ms < 0)
            pthread_cond_wait(&ctx->events_changed, &ctx->lock);
        else
            pthread_cond_timedwait(&ctx->events_changed, &ctx->lock, &t);
    }
}

static void drain_fd(inf_context *ctx)
{
    uint64_t count = 0;

    while (read(ctx->event_fd, &count, sizeof count) < 0 && errno == EINTR)
        ;
}

static void signal_fd(inf_context *ctx)
{
    uint64_t one = 1;

    while (write(ctx->event_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
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
        event.chunk.reasoning =
            (inf_text){(const char *)(uintptr_t)news->reasoning_at, news->reasoning_len};
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
    return (inf_text){offset.len ? ctx->delivered_text.data + (uintptr_t)offset.data : "",
                      offset.len};
}

static size_t pull(inf_context *ctx, inf_event *events, size_t capacity)
{
    size_t n = 0;

    while (n < capacity) {
        inf_op *op = NULL;
        struct news news;
        bool more = false;

        pthread_mutex_lock(&ctx->lock);
        op = take_event(ctx);
        pthread_mutex_unlock(&ctx->lock);
        if (!op)
            break;
        news = take_news(op, &ctx->delivered_text, capacity - n, &more);
        if (more)
            context_queue_event(ctx, op);
        n += add_events(op, &news, events + n);
        ctx->delivered[ctx->n_delivered++] = op; /* at most one for each event, or it had none */
        if (ctx->n_delivered == ctx->delivered_capacity)
            break;
    }
    for (size_t i = 0; i < n; i++) {
        if (events[i].kind == INF_EVENT_TOKEN) {
            events[i].chunk.text = resolve(ctx, events[i].chunk.text);
            events[i].chunk.reasoning = resolve(ctx, events[i].chunk.reasoning);
        }
    }
    return n;
}

static int32_t begin_pull(inf_context *ctx, size_t capacity, int64_t timeout_ms, inf_error *err)
{
    bool busy = false;

    pthread_mutex_lock(&ctx->lock);
    busy = ctx->pulling;
    ctx->pulling = true;
    pthread_mutex_unlock(&ctx->lock);
    if (busy)
        return error_set(err, INF_ERROR_STATE, "another thread is pulling events already");
    forget_delivered(ctx);
    if (!reserve_delivered(ctx, capacity + 1)) {
        ctx->pulling = false;
        return error_no_memory(err);
    }
    pthread_mutex_lock(&ctx->lock);
    wait_for_event(ctx, timeout_ms);
    drain_fd(ctx);
    pthread_mutex_unlock(&ctx->lock);
    return INF_OK;
}

static void end_pull(inf_context *ctx)
{
    pthread_mutex_lock(&ctx->lock);
    ctx->pulling = false;
    if (ctx->events)
        signal_fd(ctx);
    pthread_mutex_unlock(&ctx->lock);
}

int32_t inf_context_next(inf_context *ctx, inf_event *events, size_t capacity, size_t *n_out,
                         int64_t timeout_ms, inf_error *err)
{
    int32_t code = INF_OK;

    if (!ctx || !events || !capacity || !n_out)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "ctx, events or n_out is NULL, or no room");
    *n_out = 0;
    code = context_check(ctx, true, err);
    if (code != INF_OK)
        return code;
    if (ctx->options.delivery != INF_DELIVERY_QUEUE)
        return error_set(err, INF_ERROR_STATE, "this context delivers by callbacks");
    code = begin_pull(ctx, capacity, timeout_ms, err);
    if (code != INF_OK)
        return code;
    *n_out = pull(ctx, events, capacity);
    end_pull(ctx);
    return error_none(err);
}

int inf_context_event_fd(const inf_context *ctx)
{
    return ctx ? ctx->event_fd : -1;
}
