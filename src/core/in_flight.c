/*
 * in_flight: the list and the count of what is not done yet. The context's lock guards both.
 */
#include "core/in_flight.h"

#include "core/context_state.h"
#include "core/deadlines.h"
#include "core/op_state.h"

static bool is_bounded(const inf_op *op)
{
    return op->times.queue_ms >= 0 || op->times.work_ms >= 0;
}

int32_t in_flight_add(inf_context *ctx, inf_op *op, inf_error *err)
{
    int32_t code = INF_OK;

    pthread_mutex_lock(&ctx->lock);
    if (ctx->closing)
        code = INF_ERROR_STATE;
    else if (is_bounded(op) && !deadlines_add(ctx, op))
        code = INF_ERROR_NO_MEMORY;
    if (code == INF_OK) {
        op->next = ctx->in_flight.first;
        if (op->next)
            op->next->previous = op;
        ctx->in_flight.first = op;
        ctx->in_flight.n++;
    }
    pthread_mutex_unlock(&ctx->lock);
    if (code == INF_ERROR_STATE)
        return error_set(err, code, "the context is closed");
    return code == INF_OK ? INF_OK : error_no_memory(err);
}

void in_flight_remove(inf_context *ctx, inf_op *op)
{
    pthread_mutex_lock(&ctx->lock);
    if (op->previous)
        op->previous->next = op->next;
    else
        ctx->in_flight.first = op->next;
    if (op->next)
        op->next->previous = op->previous;
    op->next = op->previous = NULL;
    pthread_mutex_unlock(&ctx->lock);
}

void in_flight_count_down(inf_context *ctx)
{
    pthread_mutex_lock(&ctx->lock);
    if (--ctx->in_flight.n == 0)
        pthread_cond_broadcast(&ctx->idle);
    pthread_mutex_unlock(&ctx->lock);
}
