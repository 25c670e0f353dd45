/*
 * context: threads, jobs, timeouts and closing. Delivery of events lies in dispatch.c.
 */
#include "core/context_state.h"

#include "core/clock.h"
#include "core/memory.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

void *dispatch_thread(void *arg);

/* ------------------------------------------------------------------ fork */

static _Atomic int32_t fork_generation;

static void in_child(void)
{
    atomic_fetch_add(&fork_generation, 1);
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, in_child);
}

bool context_forked(const inf_context *ctx)
{
    return ctx->fork_generation != atomic_load_explicit(&fork_generation, memory_order_relaxed);
}

/* ------------------------------------------------------------------ log, threads, jobs */

void context_log(inf_context *ctx, int32_t level, const char *format, ...)
{
    char line[1024];
    va_list args;

    if (!ctx->options.log || level < ctx->options.log_level)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    ctx->options.log(ctx->options.log_user_data, level, line);
}

struct thread_name {
    void *(*fn)(void *);
    void *arg;
    char name[16];
};

static void *run_named(void *arg)
{
    struct thread_name t = *(struct thread_name *)arg;

    mem_free(arg);
    pthread_setname_np(pthread_self(), t.name);
    return t.fn(t.arg);
}

int thread_start(pthread_t *out, const char *name, void *(*fn)(void *), void *arg)
{
    struct thread_name *t = mem_calloc(1, sizeof *t);
    sigset_t all, before;
    int code = 0;

    if (!t)
        return ENOMEM;
    t->fn = fn;
    t->arg = arg;
    snprintf(t->name, sizeof t->name, "%s", name);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    code = pthread_create(out, NULL, run_named, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0)
        mem_free(t);
    return code;
}

void context_submit(inf_context *ctx, struct job *job)
{
    pthread_mutex_lock(&ctx->lock);
    job->next = NULL;
    job->queued = true;
    *ctx->jobs_end = job;
    ctx->jobs_end = &job->next;
    pthread_cond_signal(&ctx->jobs_changed);
    pthread_mutex_unlock(&ctx->lock);
}

bool context_withdraw(inf_context *ctx, struct job *job)
{
    bool found = false;

    pthread_mutex_lock(&ctx->lock);
    for (struct job **at = &ctx->jobs; job->queued && *at; at = &(*at)->next) {
        if (*at != job)
            continue;
        *at = job->next;
        if (!*at)
            ctx->jobs_end = at;
        job->queued = false;
        found = true;
        break;
    }
    pthread_mutex_unlock(&ctx->lock);
    return found;
}

static void *preparation_thread(void *arg)
{
    inf_context *ctx = arg;

    pthread_mutex_lock(&ctx->lock);
    for (;;) {
        struct job *job = ctx->jobs;

        if (!job) {
            if (ctx->stop)
                break;
            pthread_cond_wait(&ctx->jobs_changed, &ctx->lock);
            continue;
        }
        ctx->jobs = job->next;
        if (!ctx->jobs)
            ctx->jobs_end = &ctx->jobs;
        job->queued = false;
        pthread_mutex_unlock(&ctx->lock);
        job->run(job);
        pthread_mutex_lock(&ctx->lock);
    }
    pthread_mutex_unlock(&ctx->lock);
    return NULL;
}

/* ------------------------------------------------------------------ deadlines */

static bool add_deadline(inf_context *ctx, inf_op *op)
{
    if (!heap_add(&ctx->deadlines, &op->deadline))
        return false;
    if (op->deadline.at == 0)
        pthread_cond_signal(&ctx->deadlines_changed);
    return true;
}

static void *clock_thread(void *arg)
{
    inf_context *ctx = arg;

    pthread_mutex_lock(&ctx->lock);
    while (!ctx->stop) {
        struct heap_node *first = heap_first(&ctx->deadlines);
        int64_t due = first ? (int64_t)first->due : INT64_MAX;

        if (due > clock_us()) {
            cond_wait_until_us(&ctx->deadlines_changed, &ctx->lock, due);
        } else {
            inf_op *op = first->owner;

            heap_remove(&ctx->deadlines, first);
            op->expired = true;
            op_ref(op);
            pthread_mutex_unlock(&ctx->lock);
            op_request_stop(op, INF_ERROR_TIMEOUT);
            op_unref(op);
            pthread_mutex_lock(&ctx->lock);
        }
    }
    pthread_mutex_unlock(&ctx->lock);
    return NULL;
}

/* ------------------------------------------------------------------ operations */

int32_t context_add_op(inf_context *ctx, inf_op *op, inf_error *err)
{
    int32_t code = INF_OK;

    pthread_mutex_lock(&ctx->lock);
    if (ctx->closing)
        code = INF_ERROR_STATE;
    else if ((op->times.queue_ms >= 0 || op->times.work_ms >= 0) && !add_deadline(ctx, op))
        code = INF_ERROR_NO_MEMORY;
    if (code == INF_OK) {
        op->next = ctx->ops;
        if (ctx->ops)
            ctx->ops->previous = op;
        ctx->ops = op;
        ctx->n_ops++;
    }
    pthread_mutex_unlock(&ctx->lock);
    if (code == INF_ERROR_STATE)
        return error_set(err, code, "the context is closed");
    return code == INF_OK ? INF_OK : error_no_memory(err);
}

void context_remove_deadline(inf_context *ctx, inf_op *op)
{
    pthread_mutex_lock(&ctx->lock);
    heap_remove(&ctx->deadlines, &op->deadline);
    pthread_mutex_unlock(&ctx->lock);
}

/* One whose waiting has no bound stands in the heap all the same, with no deadline: adding it here could
 * fail. An operation whose waiting was too long stays one that waited. */
void context_begin_work(inf_context *ctx, inf_op *op)
{
    pthread_mutex_lock(&ctx->lock);
    if (!op->expired && op_work_began_us(op) == 0) {
        atomic_store_explicit(&op->work_began_us, clock_us(), memory_order_release);
        if (op->deadline.at != SIZE_MAX)
            heap_set(&ctx->deadlines, &op->deadline,
                     (uint64_t)clock_deadline_us(op->times.work_ms));
        if (op->deadline.at == 0)
            pthread_cond_signal(&ctx->deadlines_changed);
    }
    pthread_mutex_unlock(&ctx->lock);
}

void context_remove_op(inf_context *ctx, inf_op *op)
{
    pthread_mutex_lock(&ctx->lock);
    heap_remove(&ctx->deadlines, &op->deadline);
    if (op->previous)
        op->previous->next = op->next;
    else
        ctx->ops = op->next;
    if (op->next)
        op->next->previous = op->previous;
    op->next = op->previous = NULL;
    pthread_mutex_unlock(&ctx->lock);
}

void context_count_down(inf_context *ctx)
{
    pthread_mutex_lock(&ctx->lock);
    if (--ctx->n_ops == 0)
        pthread_cond_broadcast(&ctx->idle);
    pthread_mutex_unlock(&ctx->lock);
}

/* ------------------------------------------------------------------ extras */

int32_t context_get_extra(void **out, inf_context *ctx, const struct context_extra *kind,
                          inf_error *err)
{
    size_t i = 0;
    int32_t code = INF_OK;

    *out = NULL;
    pthread_mutex_lock(&ctx->extras_lock);
    while (i < CONTEXT_EXTRAS && ctx->extras[i].kind && ctx->extras[i].kind != kind)
        i++;
    if (ctx->extras_closed || i == CONTEXT_EXTRAS)
        code = error_set(err, INF_ERROR_STATE, "the context is closed");
    else if (!ctx->extras[i].kind)
        code = kind->create(&ctx->extras[i].object, ctx, err);
    if (code == INF_OK) {
        ctx->extras[i].kind = kind;
        *out = kind->acquire(ctx->extras[i].object);
    }
    pthread_mutex_unlock(&ctx->extras_lock);
    return code;
}

static void close_extras(inf_context *ctx)
{
    pthread_mutex_lock(&ctx->extras_lock);
    ctx->extras_closed = true;
    pthread_mutex_unlock(&ctx->extras_lock);
    for (size_t i = 0; i < CONTEXT_EXTRAS && ctx->extras[i].kind; i++)
        ctx->extras[i].kind->release(ctx->extras[i].object);
}

/* ------------------------------------------------------------------ life */

void inf_context_options_default(inf_context_options *options, size_t size)
{
    inf_context_options defaults = {.struct_size = sizeof defaults,
                                    .delivery = INF_DELIVERY_CALLBACKS,
                                    .preparation_threads = 1,
                                    .log_level = INF_LOG_WARNING};

    struct_write(options, size, &defaults, sizeof defaults);
}

static int32_t read_options(inf_context_options *out, const inf_context_options *options,
                            inf_error *err)
{
    int32_t code = INF_OK;

    inf_context_options_default(out, sizeof *out);
    code = struct_read(out, sizeof *out, options, "inf_context_options", err);
    if (code != INF_OK)
        return code;
    if (out->delivery != INF_DELIVERY_CALLBACKS && out->delivery != INF_DELIVERY_QUEUE)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "delivery: %d is no inf_delivery",
                         out->delivery);
    if (out->preparation_threads < 1 || out->preparation_threads > 64)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "preparation_threads: %d is not in 1..64",
                         out->preparation_threads);
    if (out->log_level < INF_LOG_DEBUG || out->log_level > INF_LOG_ERROR)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "log_level: %d is no inf_log_level",
                         out->log_level);
    return INF_OK;
}

static void init_locks(inf_context *ctx)
{
    pthread_mutex_init(&ctx->lock, NULL);
    pthread_mutex_init(&ctx->extras_lock, NULL);
    monotonic_cond_init(&ctx->idle);
    monotonic_cond_init(&ctx->jobs_changed);
    monotonic_cond_init(&ctx->events_changed);
    monotonic_cond_init(&ctx->deadlines_changed);
    ctx->jobs_end = &ctx->jobs;
    ctx->events_end = &ctx->events;
    buffer_init(&ctx->delivered_text, BUFFER_NO_LIMIT);
}

static void join_threads(inf_context *ctx)
{
    pthread_mutex_lock(&ctx->lock);
    ctx->stop = true;
    pthread_cond_broadcast(&ctx->jobs_changed);
    pthread_cond_broadcast(&ctx->events_changed);
    pthread_cond_broadcast(&ctx->deadlines_changed);
    pthread_mutex_unlock(&ctx->lock);
    for (int32_t i = 0; i < ctx->n_preparation; i++)
        pthread_join(ctx->preparation[i], NULL);
    if (ctx->has_dispatch)
        pthread_join(ctx->dispatch, NULL);
    if (ctx->has_clock)
        pthread_join(ctx->clock, NULL);
}

static int32_t start_one(pthread_t *out, const char *name, void *(*fn)(void *), inf_context *ctx,
                         inf_error *err)
{
    int code = thread_start(out, name, fn, ctx);

    if (code == 0)
        return INF_OK;
    return code == ENOMEM ? error_no_memory(err)
                          : error_set(err, INF_ERROR_STATE, "the system refuses another thread");
}

static int32_t start_threads(inf_context *ctx, inf_error *err)
{
    int32_t wanted = ctx->options.preparation_threads;
    int32_t code = INF_OK;

    ctx->preparation = mem_calloc((size_t)wanted, sizeof *ctx->preparation);
    if (!ctx->preparation)
        return error_no_memory(err);
    while (ctx->n_preparation < wanted) {
        code = start_one(&ctx->preparation[ctx->n_preparation], "inf-prepare", preparation_thread,
                         ctx, err);
        if (code != INF_OK)
            return code;
        ctx->n_preparation++;
    }
    code = start_one(&ctx->clock, "inf-clock", clock_thread, ctx, err);
    ctx->has_clock = code == INF_OK;
    if (!ctx->has_clock)
        return code;
    if (ctx->options.delivery == INF_DELIVERY_QUEUE) {
        ctx->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        return ctx->event_fd >= 0 ? INF_OK : error_set_errno(err, errno, "make", "an eventfd");
    }
    code = start_one(&ctx->dispatch, "inf-dispatch", dispatch_thread, ctx, err);
    ctx->has_dispatch = code == INF_OK;
    return code;
}

void context_ref(inf_context *ctx)
{
    atomic_fetch_add_explicit(&ctx->refs, 1, memory_order_relaxed);
}

void context_unref(inf_context *ctx)
{
    if (atomic_fetch_sub_explicit(&ctx->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (ctx->event_fd >= 0)
        close(ctx->event_fd);
    pthread_cond_destroy(&ctx->idle);
    pthread_cond_destroy(&ctx->jobs_changed);
    pthread_cond_destroy(&ctx->events_changed);
    pthread_cond_destroy(&ctx->deadlines_changed);
    pthread_mutex_destroy(&ctx->lock);
    pthread_mutex_destroy(&ctx->extras_lock);
    buffer_free(&ctx->delivered_text);
    mem_free(ctx->delivered);
    heap_free(&ctx->deadlines);
    mem_free(ctx->preparation);
    mem_free(ctx);
}

int32_t inf_context_create(inf_context **out, const inf_context_options *options, inf_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    inf_context_options read;
    inf_context *ctx = NULL;
    int32_t code = INF_OK;

    if (!out)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "out is NULL");
    *out = NULL;
    pthread_once(&once, watch_forks);
    code = read_options(&read, options, err);
    if (code != INF_OK)
        return code;
    ctx = mem_calloc(1, sizeof *ctx);
    if (!ctx)
        return error_no_memory(err);
    atomic_init(&ctx->refs, 1);
    ctx->fork_generation = atomic_load(&fork_generation);
    ctx->options = read;
    ctx->event_fd = -1;
    init_locks(ctx);
    code = start_threads(ctx, err);
    if (code != INF_OK) {
        join_threads(ctx);
        context_unref(ctx);
        return code;
    }
    *out = ctx;
    return error_none(err);
}

int32_t context_check(const inf_context *ctx, bool blocking, inf_error *err)
{
    if (context_forked(ctx))
        return error_set(err, INF_ERROR_STATE,
                         "this process was forked; make a new context in the child");
    if (blocking && context_in_callback())
        return error_set(err, INF_ERROR_STATE, "this call blocks and is not allowed in a callback");
    return INF_OK;
}

/* Asks every operation to end, and waits until they have; ones started before `closing` was set may
 * still be on their way in, so it looks until none is left that was not asked. */
static void end_operations(inf_context *ctx)
{
    pthread_mutex_lock(&ctx->lock);
    ctx->closing = true;
    for (inf_op *op = ctx->ops; op;) {
        if (op->close_seen) {
            op = op->next;
            continue;
        }
        op->close_seen = true;
        op_ref(op);
        pthread_mutex_unlock(&ctx->lock);
        op_request_stop(op, INF_ERROR_CANCELLED);
        op_unref(op);
        pthread_mutex_lock(&ctx->lock);
        op = ctx->ops;
    }
    while (ctx->n_ops > 0)
        pthread_cond_wait(&ctx->idle, &ctx->lock);
    pthread_mutex_unlock(&ctx->lock);
}

static void end_everything(inf_context *ctx)
{
    end_operations(ctx);
    providers_close(ctx);
    close_extras(ctx);
}

static void *closer_thread(void *arg)
{
    end_everything(arg);
    context_queue_closed(arg);
    return NULL;
}

/* Who is in inf_context_next leaves. */
static void abandon_events(inf_context *ctx)
{
    pthread_mutex_lock(&ctx->lock);
    ctx->abandoned = true;
    pthread_cond_broadcast(&ctx->events_changed);
    while (ctx->pulling)
        pthread_cond_wait(&ctx->idle, &ctx->lock);
    pthread_mutex_unlock(&ctx->lock);
}

static void drop_events(inf_context *ctx)
{
    for (size_t i = 0; i < ctx->n_delivered; i++)
        op_unref(ctx->delivered[i]);
    ctx->n_delivered = 0;
    while (ctx->events) {
        inf_op *op = ctx->events;

        ctx->events = op->next_event;
        op->queued = false;
        op_unref(op);
    }
    ctx->events_end = &ctx->events;
}

static int32_t start_closing(inf_context *ctx, inf_closed_fn on_closed, void *user_data,
                             inf_error *err)
{
    bool closing = false;
    int32_t code = INF_OK;

    pthread_mutex_lock(&ctx->lock);
    closing = ctx->has_closer;
    if (!closing) {
        ctx->has_closer = true;
        ctx->on_closed = on_closed;
        ctx->closed_user_data = user_data;
    }
    pthread_mutex_unlock(&ctx->lock);
    if (closing)
        return error_set(err, INF_ERROR_STATE, "the context is being closed already");
    code = start_one(&ctx->closer, "inf-close", closer_thread, ctx, err);
    pthread_mutex_lock(&ctx->lock);
    ctx->has_closer = code == INF_OK;
    ctx->closing = ctx->closing || ctx->has_closer;
    pthread_mutex_unlock(&ctx->lock);
    return code;
}

int32_t inf_context_close_start(inf_context *ctx, inf_closed_fn on_closed, void *user_data,
                                inf_error *err)
{
    int32_t code = INF_OK;

    if (!ctx)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "ctx is NULL");
    code = context_check(ctx, false, err);
    if (code != INF_OK)
        return code;
    if (on_closed && ctx->options.delivery == INF_DELIVERY_QUEUE)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "on_closed: this context delivers by queue and calls nothing; leave it "
                         "NULL and pull INF_EVENT_CLOSED");
    code = start_closing(ctx, on_closed, user_data, err);
    return code == INF_OK ? error_none(err) : code;
}

int32_t inf_context_close(inf_context *ctx, inf_error *err)
{
    if (!ctx || context_forked(ctx))
        return error_none(err);
    if (context_in_callback())
        return error_set(err, INF_ERROR_STATE, "a context cannot be closed in a callback");
    abandon_events(ctx);
    if (ctx->has_closer)
        pthread_join(ctx->closer, NULL);
    else
        end_everything(ctx);
    join_threads(ctx);
    drop_events(ctx);
    context_unref(ctx);
    return error_none(err);
}
