/*
 * queue: see the header. An operation stands in its queue at most once, however much it has to say:
 * text that came meanwhile makes the next chunk bigger.
 */
#include "core/queue.h"

#include "core/clock.h"
#include "core/memory.h"
#include "core/op_state.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

int32_t queue_new(inf_queue **out, inf_context *ctx, inf_error *err)
{
    inf_queue *q = mem_calloc(1, sizeof *q);

    if (!q)
        return error_no_memory(err);
    q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (q->fd < 0) {
        mem_free(q);
        return error_set_errno(err, errno, "make", "an eventfd");
    }
    atomic_init(&q->refs, 1);
    q->context = ctx;
    q->events_end = &q->events;
    pthread_mutex_init(&q->lock, NULL);
    monotonic_cond_init(&q->changed);
    news_copy_init(&q->copy);
    *out = q;
    return INF_OK;
}

inf_queue *queue_ref(inf_queue *q)
{
    atomic_fetch_add_explicit(&q->refs, 1, memory_order_relaxed);
    return q;
}

void queue_unref(inf_queue *q)
{
    if (!q || atomic_fetch_sub_explicit(&q->refs, 1, memory_order_acq_rel) != 1)
        return;
    close(q->fd);
    pthread_cond_destroy(&q->changed);
    pthread_mutex_destroy(&q->lock);
    news_copy_free(&q->copy);
    mem_free(q->given);
    mem_free(q->pulled);
    mem_free(q);
}

/* ------------------------------------------------------------------ in */

/* The lock is held, here and in the next three. */
static bool has_news(const inf_queue *q)
{
    return q->events || q->closed == QUEUE_CLOSED_TO_TELL;
}

static void signal_fd(inf_queue *q)
{
    uint64_t one = 1;

    if (q->signalled)
        return;
    while (write(q->fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    q->signalled = true;
}

static void drain_fd(inf_queue *q)
{
    uint64_t count = 0;

    if (!q->signalled)
        return;
    while (read(q->fd, &count, sizeof count) < 0 && errno == EINTR)
        ;
    q->signalled = false;
}

static void wake(inf_queue *q)
{
    pthread_cond_broadcast(&q->changed);
    if (!q->pulling)
        signal_fd(q);
}

void queue_push(inf_queue *q, inf_op *op, bool finished)
{
    pthread_mutex_lock(&q->lock);
    op->finished_pending |= finished;
    if (!op->queued && !q->released) {
        bool first = !q->events;

        op->queued = true;
        op->next_event = NULL;
        *q->events_end = op;
        q->events_end = &op->next_event;
        op_hold(op);
        if (first)
            wake(q);
    }
    pthread_mutex_unlock(&q->lock);
}

void queue_push_closed(inf_queue *q, void *user_data)
{
    pthread_mutex_lock(&q->lock);
    q->closed = QUEUE_CLOSED_TO_TELL;
    q->closed_user_data = user_data;
    wake(q);
    pthread_mutex_unlock(&q->lock);
}

void queue_end(inf_queue *q, bool wait)
{
    pthread_mutex_lock(&q->lock);
    q->over = true;
    wake(q);
    while (wait && q->pulling)
        pthread_cond_wait(&q->changed, &q->lock);
    pthread_mutex_unlock(&q->lock);
}

/* ------------------------------------------------------------------ out */

bool queue_wait(inf_queue *q, int64_t end_us)
{
    bool there = false;

    pthread_mutex_lock(&q->lock);
    while (!has_news(q) && !q->over && clock_us() < end_us)
        cond_wait_until_us(&q->changed, &q->lock, end_us);
    there = has_news(q) && !q->over;
    pthread_mutex_unlock(&q->lock);
    return there;
}

inf_op *queue_take(inf_queue *q, bool *finished)
{
    inf_op *op = NULL;

    pthread_mutex_lock(&q->lock);
    op = q->events;
    if (op) {
        q->events = op->next_event;
        if (!q->events)
            q->events_end = &q->events;
        op->queued = false;
        *finished = op->finished_pending;
        op->finished_pending = false;
    }
    pthread_mutex_unlock(&q->lock);
    return op;
}

bool queue_take_closed(inf_queue *q)
{
    bool due = false;

    pthread_mutex_lock(&q->lock);
    due = !q->events && q->closed == QUEUE_CLOSED_TO_TELL;
    if (due)
        q->closed = QUEUE_CLOSED_TOLD;
    pthread_mutex_unlock(&q->lock);
    return due;
}

int32_t queue_begin_pull(inf_queue *q, inf_error *err)
{
    bool busy = false;
    bool over = false;

    pthread_mutex_lock(&q->lock);
    busy = q->pulling;
    over = q->over || q->closed == QUEUE_CLOSED_TOLD;
    if (!over && !busy)
        q->pulling = true;
    pthread_mutex_unlock(&q->lock);
    if (over)
        return error_set(err, INF_ERROR_STATE, "the context is closed");
    if (busy)
        return error_set(err, INF_ERROR_STATE, "another thread is pulling events already");
    return INF_OK;
}

bool queue_end_pull(inf_queue *q)
{
    bool over = false;

    pthread_mutex_lock(&q->lock);
    q->pulling = false;
    if (has_news(q))
        signal_fd(q);
    else
        drain_fd(q);
    over = q->over;
    if (over)
        pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
    return over;
}
