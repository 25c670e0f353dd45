/*
 * dispatch: getting events to the user, by callbacks on one thread or by a queue to pull from.
 *
 * An operation stands in the context's event list at most once, however much it has to say: text
 * that came meanwhile makes the next chunk bigger. Text is copied out under op->lock, so that the
 * owner may go on appending while the user reads.
 */
#include "core/context_state.h"

#include "core/clock.h"
#include "core/growing.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Chunks that come faster than that collect for a nap, and for longer ones while several operations
 * have news in each; below what anybody sees. */
#define BUSY_US 200
#define NAP_US 500
#define NAP_MAX_US 2000

void *dispatch_thread(void *arg);

static _Thread_local inf_context *in_callback;

inf_context *context_in_callback(void)
{
    return in_callback;
}

static void signal_fd(inf_context *ctx)
{
    uint64_t one = 1;

    while (write(ctx->event_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

/* Whether an event that was queued just now must wake somebody; first: it is alone in the queue. */
static bool must_wake(const inf_context *ctx, bool first, bool finished)
{
    if (ctx->dispatcher == DISPATCHER_NAPS)
        return finished;
    return first;
}

static void queue_event(inf_context *ctx, inf_op *op, bool finished)
{
    bool first = false;

    pthread_mutex_lock(&ctx->lock);
    op->finished_pending |= finished;
    if (!op->queued) {
        op->queued = true;
        op->next_event = NULL;
        first = !ctx->events;
        *ctx->events_end = op;
        ctx->events_end = &op->next_event;
        op_ref(op);
    }
    if (must_wake(ctx, first, finished))
        pthread_cond_signal(&ctx->events_changed);
    if (first && ctx->event_fd >= 0)
        signal_fd(ctx);
    pthread_mutex_unlock(&ctx->lock);
}

void context_queue_event(inf_context *ctx, inf_op *op)
{
    queue_event(ctx, op, false);
}

void context_queue_done(inf_context *ctx, inf_op *op)
{
    queue_event(ctx, op, true);
}

void context_queue_closed(inf_context *ctx)
{
    pthread_mutex_lock(&ctx->lock);
    ctx->closed = CLOSED_TO_TELL;
    pthread_cond_signal(&ctx->events_changed);
    if (ctx->event_fd >= 0)
        signal_fd(ctx);
    pthread_mutex_unlock(&ctx->lock);
}

/* Whether the last thing of all is to be told now; the lock is held. */
static bool take_closed(inf_context *ctx)
{
    bool due = !ctx->events && ctx->closed == CLOSED_TO_TELL;

    if (due)
        ctx->closed = CLOSED_TOLD;
    return due;
}

/* The first operation with something to say, with the queue's reference; the lock is held.
 * *finished: DONE is to be delivered, and its owner appends nothing any more. */
static inf_op *take_event(inf_context *ctx, bool *finished)
{
    inf_op *op = ctx->events;

    if (op) {
        ctx->events = op->next_event;
        if (!ctx->events)
            ctx->events_end = &ctx->events;
        op->queued = false;
        *finished = op->finished_pending;
        op->finished_pending = false;
    }
    return op;
}

/* What an operation has to say now. Its text lies in a scratch buffer, or in the operation's own
 * buffers when it was not copied. */
struct news {
    bool progress, token, done;
    bool more;    /* something had to stay: no room, or no memory */
    bool starved; /* no memory */
    float fraction;
    size_t text_at, text_len, reasoning_at, reasoning_len;
    int64_t n_tokens;
};

/* The undelivered text; how much of it there is, and where it starts. */
static size_t take_text(const struct buffer *from, size_t *delivered, struct buffer *scratch,
                        size_t *at, bool *starved)
{
    size_t n = from->len - *delivered;

    *at = scratch ? scratch->len : *delivered;
    if (n && scratch && !buffer_append(scratch, from->data + *delivered, n)) {
        *starved = true;
        return 0;
    }
    *delivered += n;
    return n;
}

/* At most `room` (1 or more) pieces of news, in order. scratch NULL: text is not copied, which only
 * a finished operation allows. */
static struct news take_news(inf_op *op, struct buffer *scratch, size_t room, bool finished)
{
    struct news news = {0};

    pthread_mutex_lock(&op->lock);
    news.progress = op->progress_pending;
    news.fraction = op->progress;
    op->progress_pending = false;
    room -= news.progress;
    if (room > 0) {
        news.text_len = take_text(&op->text, &op->text_delivered, scratch, &news.text_at,
                                  &news.starved);
        news.reasoning_len = take_text(&op->reasoning, &op->reasoning_delivered, scratch,
                                       &news.reasoning_at, &news.starved);
        news.token = news.text_len || news.reasoning_len;
        news.n_tokens = op->n_tokens;
        room -= news.token;
    }
    news.more = op->text_delivered < op->text.len || op->reasoning_delivered < op->reasoning.len;
    news.done = finished && room > 0 && !news.more;
    news.more |= finished && !news.done;
    pthread_mutex_unlock(&op->lock);
    return news;
}

static inf_text piece(const struct buffer *b, size_t at, size_t len)
{
    return (inf_text){len ? b->data + at : "", len};
}

/* ------------------------------------------------------------------ by callbacks */

static void call_back(inf_op *op, struct buffer *scratch, bool finished)
{
    const inf_callbacks *c = &op->callbacks;
    const struct buffer *text = finished ? &op->text : scratch;
    const struct buffer *reasoning = finished ? &op->reasoning : scratch;
    struct news news;
    inf_chunk chunk;

    buffer_clear(scratch);
    /* Short of memory, text stays for the next time; the last time copies nothing. */
    news = take_news(op, finished ? NULL : scratch, 3, finished);
    chunk = (inf_chunk){.text = piece(text, news.text_at, news.text_len),
                        .reasoning = piece(reasoning, news.reasoning_at, news.reasoning_len),
                        .n_tokens = news.n_tokens};
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

static void call_closed(inf_context *ctx)
{
    in_callback = ctx;
    if (ctx->on_closed)
        ctx->on_closed(ctx->closed_user_data);
    in_callback = NULL;
}

/*
 * Waits until there is something to do; the lock is held. Waking a thread costs several times what
 * handing a chunk over does, so where chunks come so fast that the last wait was a short one, the
 * thread naps instead (*nap_us: for how long; 0: it does not): text collects meanwhile without waking
 * it, an operation's end does wake it. It goes on napping while more than one operation has news.
 */
static void wait_for_work(inf_context *ctx, int64_t *nap_us)
{
    int64_t from = clock_us();

    if (*nap_us) {
        ctx->dispatcher = DISPATCHER_NAPS;
        cond_wait_until_us(&ctx->events_changed, &ctx->lock, from + *nap_us);
        if (!ctx->events || !ctx->events->next_event)
            *nap_us = 0;
        else if (*nap_us < NAP_MAX_US)
            *nap_us *= 2;
    } else {
        pthread_cond_wait(&ctx->events_changed, &ctx->lock);
        *nap_us = clock_us() - from < BUSY_US ? NAP_US : 0;
    }
    ctx->dispatcher = DISPATCHER_WAKEFUL;
}

void *dispatch_thread(void *arg)
{
    inf_context *ctx = arg;
    struct buffer scratch;
    int64_t nap_us = 0;

    buffer_init(&scratch, BUFFER_NO_LIMIT);
    pthread_mutex_lock(&ctx->lock);
    for (;;) {
        bool finished = false;
        inf_op *op = take_event(ctx, &finished);

        if (op) {
            pthread_mutex_unlock(&ctx->lock);
            call_back(op, &scratch, finished);
            pthread_mutex_lock(&ctx->lock);
        } else if (take_closed(ctx)) {
            pthread_mutex_unlock(&ctx->lock);
            call_closed(ctx);
            pthread_mutex_lock(&ctx->lock);
        } else if (ctx->stop) {
            break;
        } else {
            wait_for_work(ctx, &nap_us);
        }
    }
    pthread_mutex_unlock(&ctx->lock);
    buffer_free(&scratch);
    return NULL;
}

/* ------------------------------------------------------------------ by queue */

static void forget_delivered(inf_context *ctx)
{
    for (size_t i = 0; i < ctx->n_delivered; i++)
        op_unref(ctx->delivered[i]);
    ctx->n_delivered = 0;
    buffer_clear(&ctx->delivered_text);
}

static bool has_news(const inf_context *ctx)
{
    return ctx->events || ctx->closed == CLOSED_TO_TELL;
}

/* Whether there is an event before `end`, and somebody to read it. */
static bool wait_for_event(inf_context *ctx, int64_t end)
{
    bool there = false;

    pthread_mutex_lock(&ctx->lock);
    while (!has_news(ctx) && !ctx->abandoned && clock_us() < end)
        cond_wait_until_us(&ctx->events_changed, &ctx->lock, end);
    there = has_news(ctx) && !ctx->abandoned;
    pthread_mutex_unlock(&ctx->lock);
    return there;
}

static void drain_fd(inf_context *ctx)
{
    uint64_t count = 0;

    while (read(ctx->event_fd, &count, sizeof count) < 0 && errno == EINTR)
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
    return piece(&ctx->delivered_text, (size_t)(uintptr_t)offset.data, offset.len);
}

static size_t add_closed(inf_context *ctx, inf_event *event)
{
    bool due = false;

    pthread_mutex_lock(&ctx->lock);
    due = take_closed(ctx);
    pthread_mutex_unlock(&ctx->lock);
    if (due)
        *event = (inf_event){.kind = INF_EVENT_CLOSED, .user_data = ctx->closed_user_data};
    return due;
}

/* *starved: memory was short; what could not be delivered stays in the queue. */
static size_t pull(inf_context *ctx, inf_event *events, size_t capacity, bool *starved)
{
    size_t n = 0;

    /* An operation may turn out to have nothing to say, so there is a second limit. */
    while (n < capacity && ctx->n_delivered < ctx->delivered_capacity && !*starved) {
        bool finished = false;
        inf_op *op = NULL;
        struct news news;

        pthread_mutex_lock(&ctx->lock);
        op = take_event(ctx, &finished);
        pthread_mutex_unlock(&ctx->lock);
        if (!op)
            break;
        news = take_news(op, &ctx->delivered_text, capacity - n, finished);
        *starved = news.starved;
        if (news.more)
            queue_event(ctx, op, finished);
        n += add_events(op, &news, events + n);
        ctx->delivered[ctx->n_delivered++] = op;
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
    busy = ctx->pulling;
    over = ctx->abandoned || ctx->closed == CLOSED_TOLD;
    if (!over)
        ctx->pulling = true;
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
    ctx->pulling = false;
    drain_fd(ctx);
    if (has_news(ctx))
        signal_fd(ctx);
    abandoned = ctx->abandoned;
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
        if (!GROW(ctx->delivered, ctx->delivered_capacity, capacity + 1))
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
    return ctx ? ctx->event_fd : -1;
}
