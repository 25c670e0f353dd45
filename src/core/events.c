/*
 * events: an operation stands in the context's queue at most once, however much it has to say: text that
 * came meanwhile makes the next chunk bigger. The context's lock guards the queue.
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
