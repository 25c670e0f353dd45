/*
 * deadlines: the heap of what is due, and the clock thread. The context's lock guards both.
 */
#include "core/deadlines.h"

#include "core/clock.h"
#include "core/context_state.h"
#include "core/op_state.h"

static void wake_if_first(inf_context *ctx, const inf_op *op)
{
    if (op->deadline.at == 0)
        pthread_cond_signal(&ctx->deadlines.changed);
}

bool deadlines_add(inf_context *ctx, inf_op *op)
{
    op->deadline = (struct heap_node){(uint64_t)clock_deadline_us(op->times.queue_ms), SIZE_MAX,
                                      op};
    if (!heap_add(&ctx->deadlines.heap, &op->deadline))
        return false;
    wake_if_first(ctx, op);
    return true;
}

void deadlines_remove(inf_context *ctx, inf_op *op)
{
    pthread_mutex_lock(&ctx->lock);
    heap_remove(&ctx->deadlines.heap, &op->deadline);
    pthread_mutex_unlock(&ctx->lock);
}

/* One whose waiting has no bound stands in the heap all the same, with no deadline: adding it here could
 * fail. An operation whose waiting was too long stays one that waited. */
void deadlines_begin_work(inf_context *ctx, inf_op *op)
{
    pthread_mutex_lock(&ctx->lock);
    if (!op->expired && atomic_load(&op->work_began_us) == 0) {
        atomic_store_explicit(&op->work_began_us, clock_us(), memory_order_release);
        if (op->deadline.at != SIZE_MAX)
            heap_set(&ctx->deadlines.heap, &op->deadline,
                     (uint64_t)clock_deadline_us(op->times.work_ms));
        wake_if_first(ctx, op);
    }
    pthread_mutex_unlock(&ctx->lock);
}

static void *clock_thread(void *arg)
{
    inf_context *ctx = arg;

    pthread_mutex_lock(&ctx->lock);
    while (!ctx->stop) {
        struct heap_node *first = heap_first(&ctx->deadlines.heap);
        int64_t due = first ? (int64_t)first->due : INT64_MAX;

        if (due > clock_us()) {
            cond_wait_until_us(&ctx->deadlines.changed, &ctx->lock, due);
        } else {
            inf_op *op = first->owner;

            heap_remove(&ctx->deadlines.heap, first);
            op->expired = true;
            op_hold(op);
            pthread_mutex_unlock(&ctx->lock);
            ctx->deadlines.expire(op);
            pthread_mutex_lock(&ctx->lock);
        }
    }
    pthread_mutex_unlock(&ctx->lock);
    return NULL;
}

int32_t deadlines_start(inf_context *ctx, void (*expire)(inf_op *op), inf_error *err)
{
    ctx->deadlines.expire = expire;
    return context_start_thread(ctx, "inf-clock", clock_thread, err);
}
