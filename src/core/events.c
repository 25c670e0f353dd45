/*
 * events: an operation stands in the context's queue at most once, however much it has to say: text that
 * came meanwhile makes the next chunk bigger. Text is copied out under op->lock, so that the owner may go
 * on appending while the user reads. The context's lock guards the queue.
 */
#include "core/events.h"

#include "core/context_state.h"
#include "core/op_state.h"

/* Whether an event that was queued just now must wake somebody; first: it is alone in the queue. */
static bool must_wake(const inf_context *ctx, bool first, bool finished)
{
    return ctx->events.naps ? finished : first;
}

void events_queue(inf_context *ctx, inf_op *op, bool finished)
{
    bool first = false;

    pthread_mutex_lock(&ctx->lock);
    op->finished_pending |= finished;
    if (!op->queued) {
        op->queued = true;
        op->next_event = NULL;
        first = !ctx->events.first;
        *ctx->events.end = op;
        ctx->events.end = &op->next_event;
        op_hold(op);
    }
    if (must_wake(ctx, first, finished))
        pthread_cond_signal(&ctx->events.changed);
    pthread_mutex_unlock(&ctx->lock);
}

void events_queue_closed(inf_context *ctx)
{
    pthread_mutex_lock(&ctx->lock);
    ctx->events.closed_to_tell = true;
    pthread_cond_signal(&ctx->events.changed);
    pthread_mutex_unlock(&ctx->lock);
}

bool events_take_closed(inf_context *ctx)
{
    bool due = !ctx->events.first && ctx->events.closed_to_tell;

    if (due)
        ctx->events.closed_to_tell = false;
    return due;
}

inf_op *events_take(inf_context *ctx, bool *finished)
{
    inf_op *op = ctx->events.first;

    if (op) {
        ctx->events.first = op->next_event;
        if (!ctx->events.first)
            ctx->events.end = &ctx->events.first;
        op->queued = false;
        *finished = op->finished_pending;
        op->finished_pending = false;
    }
    return op;
}

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

struct news news_take(inf_op *op, struct buffer *scratch, size_t room, bool finished)
{
    struct news news = {0};

    pthread_mutex_lock(&op->lock);
    if (op->callbacks.only_done) {
        op->text_delivered = op->text.len;
        op->reasoning_delivered = op->reasoning.len;
    }
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

inf_text news_text(const struct buffer *b, size_t at, size_t len)
{
    return (inf_text){len ? b->data + at : "", len};
}
