/*
 * lifetime: a context from its creation to its end: which threads it has, and in which order what stands
 * on it goes. Knows every file of core that does; none knows it.
 */
#include "core/context_state.h"
#include "core/deadlines.h"
#include "core/delivery.h"
#include "core/events.h"
#include "core/op_state.h"
#include "core/provider_state.h"
#include "core/queue.h"
#include "core/structs.h"

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

static void expire(inf_op *op)
{
    op_request_stop(op, INF_ERROR_TIMEOUT);
    op_unref(op);
}

static int32_t start_threads(inf_context *ctx, inf_error *err)
{
    int32_t code = jobs_start(ctx, err);

    if (code == INF_OK)
        code = deadlines_start(ctx, expire, err);
    if (code != INF_OK)
        return code;
    return ctx->options.delivery == INF_DELIVERY_QUEUE ? pull_start(ctx, err)
                                                       : dispatch_start(ctx, err);
}

int32_t inf_context_create(inf_context **out, const inf_context_options *options, inf_error *err)
{
    inf_context_options read;
    inf_context *ctx = NULL;
    int32_t code = INF_OK;

    if (!out)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "out is NULL");
    *out = NULL;
    code = read_options(&read, options, err);
    if (code != INF_OK)
        return code;
    ctx = context_new(&read);
    if (!ctx)
        return error_no_memory(err);
    code = start_threads(ctx, err);
    if (code != INF_OK) {
        context_join_threads(ctx);
        context_unref(ctx);
        return code;
    }
    *out = ctx;
    return error_none(err);
}

/* ------------------------------------------------------------------ closing */

/* Asks every operation to end, and waits until they have; ones started before `closing` was set may
 * still be on their way in, so it looks until none is left that was not asked. */
static void end_operations(inf_context *ctx)
{
    pthread_mutex_lock(&ctx->lock);
    ctx->closing = true;
    for (inf_op *op = ctx->in_flight.first; op;) {
        if (op->close_seen) {
            op = op->next;
            continue;
        }
        op->close_seen = true;
        op_hold(op);
        pthread_mutex_unlock(&ctx->lock);
        op_request_stop(op, INF_ERROR_CANCELLED);
        op_unref(op);
        pthread_mutex_lock(&ctx->lock);
        op = ctx->in_flight.first;
    }
    while (ctx->in_flight.n > 0)
        pthread_cond_wait(&ctx->idle, &ctx->lock);
    pthread_mutex_unlock(&ctx->lock);
}

static void end_everything(inf_context *ctx)
{
    end_operations(ctx);
    providers_close(ctx);
    extras_close(ctx);
}

static void tell_closed(inf_context *ctx)
{
    if (ctx->queue)
        queue_push_closed(ctx->queue, ctx->closer.user_data);
    else
        events_queue_closed(ctx);
}

static void *closer_thread(void *arg)
{
    end_everything(arg);
    tell_closed(arg);
    return NULL;
}

static int32_t start_closing(inf_context *ctx, inf_closed_fn on_closed, void *user_data,
                             inf_error *err)
{
    bool closing = false;
    int32_t code = INF_OK;

    pthread_mutex_lock(&ctx->lock);
    closing = ctx->closer.has_thread;
    if (!closing) {
        ctx->closer.has_thread = true;
        ctx->closer.on_closed = on_closed;
        ctx->closer.user_data = user_data;
    }
    pthread_mutex_unlock(&ctx->lock);
    if (closing)
        return error_set(err, INF_ERROR_STATE, "the context is being closed already");
    code = thread_error(thread_start(&ctx->closer.thread, "inf-close", closer_thread, ctx), err);
    pthread_mutex_lock(&ctx->lock);
    ctx->closer.has_thread = code == INF_OK;
    ctx->closing = ctx->closing || ctx->closer.has_thread;
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
    pull_abandon(ctx);
    if (ctx->closer.has_thread)
        pthread_join(ctx->closer.thread, NULL);
    else
        end_everything(ctx);
    context_join_threads(ctx);
    pull_drop(ctx);
    context_unref(ctx);
    return error_none(err);
}
