/*
 * context: what every provider shares: the log, threads, jobs, extras; and the memory of a context. Calls
 * nothing of the files that stand on it; lifetime.c knows them all.
 */
#include "core/context_state.h"

#include "core/blocks.h"
#include "core/clock.h"
#include "core/memory.h"
#include "core/queue.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#define OTHER_THREADS 2 /* clock and dispatch */

/* ------------------------------------------------------------------ fork and callbacks */

static _Atomic int32_t fork_generation;

static _Thread_local inf_context *in_callback;

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

inf_context *context_in_callback(void)
{
    return in_callback;
}

void context_set_in_callback(inf_context *ctx)
{
    in_callback = ctx;
}

int32_t context_check(const inf_context *ctx, bool blocking, inf_error *err)
{
    if (context_forked(ctx))
        return error_set(err, INF_ERROR_STATE,
                         "this process was forked; make a new context in the child");
    if (blocking && in_callback)
        return error_set(err, INF_ERROR_STATE, "this call blocks and is not allowed in a callback");
    return INF_OK;
}

/* ------------------------------------------------------------------ log and threads */

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

int32_t thread_error(int number, inf_error *err)
{
    if (number == 0)
        return INF_OK;
    if (number == ENOMEM)
        return error_no_memory(err);
    return error_set_detail(err, INF_ERROR_STATE, number,
                            "the system refuses another thread; raise the limit of processes "
                            "(ulimit -u), or of memory (ulimit -v)");
}

int32_t context_start_thread(inf_context *ctx, const char *name, void *(*fn)(void *),
                             inf_error *err)
{
    int32_t code = thread_error(thread_start(&ctx->threads[ctx->n_threads], name, fn, ctx), err);

    ctx->n_threads += code == INF_OK;
    return code;
}

void context_join_threads(inf_context *ctx)
{
    pthread_mutex_lock(&ctx->lock);
    ctx->stop = true;
    pthread_cond_broadcast(&ctx->jobs.changed);
    pthread_cond_broadcast(&ctx->events.changed);
    pthread_cond_broadcast(&ctx->deadlines.changed);
    pthread_mutex_unlock(&ctx->lock);
    for (int32_t i = 0; i < ctx->n_threads; i++)
        pthread_join(ctx->threads[i], NULL);
}

/* ------------------------------------------------------------------ jobs */

void context_submit(inf_context *ctx, struct job *job)
{
    pthread_mutex_lock(&ctx->lock);
    job->next = NULL;
    job->queued = true;
    *ctx->jobs.end = job;
    ctx->jobs.end = &job->next;
    pthread_cond_signal(&ctx->jobs.changed);
    pthread_mutex_unlock(&ctx->lock);
}

bool context_withdraw(inf_context *ctx, struct job *job)
{
    bool found = false;

    pthread_mutex_lock(&ctx->lock);
    for (struct job **at = &ctx->jobs.first; job->queued && *at; at = &(*at)->next) {
        if (*at != job)
            continue;
        *at = job->next;
        if (!*at)
            ctx->jobs.end = at;
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
        struct job *job = ctx->jobs.first;

        if (!job) {
            if (ctx->stop)
                break;
            pthread_cond_wait(&ctx->jobs.changed, &ctx->lock);
            continue;
        }
        ctx->jobs.first = job->next;
        if (!ctx->jobs.first)
            ctx->jobs.end = &ctx->jobs.first;
        job->queued = false;
        pthread_mutex_unlock(&ctx->lock);
        job->run(job);
        pthread_mutex_lock(&ctx->lock);
    }
    pthread_mutex_unlock(&ctx->lock);
    return NULL;
}

int32_t jobs_start(inf_context *ctx, inf_error *err)
{
    int32_t code = INF_OK;

    for (int32_t i = 0; code == INF_OK && i < ctx->options.preparation_threads; i++)
        code = context_start_thread(ctx, "inf-prepare", preparation_thread, err);
    return code;
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

void extras_close(inf_context *ctx)
{
    pthread_mutex_lock(&ctx->extras_lock);
    ctx->extras_closed = true;
    pthread_mutex_unlock(&ctx->extras_lock);
    for (size_t i = 0; i < CONTEXT_EXTRAS && ctx->extras[i].kind; i++)
        ctx->extras[i].kind->release(ctx->extras[i].object);
}

/* ------------------------------------------------------------------ memory */

inf_context *context_new(const inf_context_options *options)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    size_t n = (size_t)options->preparation_threads + OTHER_THREADS;
    inf_context *ctx = mem_calloc(1, sizeof *ctx);

    pthread_once(&once, watch_forks);
    if (ctx)
        ctx->threads = mem_calloc(n, sizeof *ctx->threads);
    if (!ctx || !ctx->threads) {
        mem_free(ctx);
        return NULL;
    }
    atomic_init(&ctx->refs, 1);
    ctx->fork_generation = atomic_load(&fork_generation);
    ctx->options = *options;
    pthread_mutex_init(&ctx->lock, NULL);
    pthread_mutex_init(&ctx->extras_lock, NULL);
    monotonic_cond_init(&ctx->idle);
    monotonic_cond_init(&ctx->jobs.changed);
    monotonic_cond_init(&ctx->events.changed);
    monotonic_cond_init(&ctx->deadlines.changed);
    ctx->jobs.end = &ctx->jobs.first;
    ctx->events.end = &ctx->events.first;
    return ctx;
}

void context_ref(inf_context *ctx)
{
    atomic_fetch_add_explicit(&ctx->refs, 1, memory_order_relaxed);
}

void context_unref(inf_context *ctx)
{
    if (atomic_fetch_sub_explicit(&ctx->refs, 1, memory_order_acq_rel) != 1)
        return;
    queue_unref(ctx->queue);
    pthread_cond_destroy(&ctx->idle);
    pthread_cond_destroy(&ctx->jobs.changed);
    pthread_cond_destroy(&ctx->events.changed);
    pthread_cond_destroy(&ctx->deadlines.changed);
    pthread_mutex_destroy(&ctx->lock);
    pthread_mutex_destroy(&ctx->extras_lock);
    heap_free(&ctx->deadlines.heap);
    mem_free(ctx->threads);
    mem_free(ctx);
    blocks_trim();
}
