/*
 * dispatch: delivery by callbacks, on one thread with no lock held.
 */
#include "core/delivery.h"

#include "core/clock.h"
#include "core/context_state.h"
#include "core/events.h"
#include "core/news.h"
#include "core/op_state.h"

/* Chunks that come faster than that collect for a nap, and for longer ones while several operations
 * have news in each; below what anybody sees. */
#define BUSY_US 200
#define NAP_US 500
#define NAP_MAX_US 2000

static void call_back(inf_op *op, struct news_copy *copy, bool finished)
{
    const inf_callbacks *c = &op->callbacks;
    const struct buffer *text = finished ? &op->text : &copy->text;
    const struct buffer *reasoning = finished ? &op->reasoning : &copy->text;
    struct news news;
    inf_chunk chunk;

    news_copy_clear(copy);
    /* Short of memory, text stays for the next time; the last time copies nothing. */
    news = news_take(op, finished ? NULL : copy, 3, finished);
    news_settle_calls(copy);
    chunk = (inf_chunk){.text = news_text(text, news.text_at, news.text_len),
                        .reasoning = news_text(reasoning, news.reasoning_at, news.reasoning_len),
                        .n_tokens = news.n_tokens,
                        .tool_calls = finished ? op->deltas : copy->calls,
                        .n_tool_calls = news.n_calls};
    context_set_in_callback(op->context);
    if (news.progress && c->on_progress)
        c->on_progress(c->user_data, op, news.fraction);
    if (news.token && c->on_token)
        c->on_token(c->user_data, op, &chunk);
    if (news.done && c->on_done)
        c->on_done(c->user_data, op);
    context_set_in_callback(NULL);
    if (news.done)
        op_set_done(op);
    op_unref(op);
}

static void call_closed(inf_context *ctx)
{
    context_set_in_callback(ctx);
    if (ctx->closer.on_closed)
        ctx->closer.on_closed(ctx->closer.user_data);
    context_set_in_callback(NULL);
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
        ctx->events.naps = true;
        cond_wait_until_us(&ctx->events.changed, &ctx->lock, from + *nap_us);
        if (!ctx->events.first || !ctx->events.first->next_event)
            *nap_us = 0;
        else if (*nap_us < NAP_MAX_US)
            *nap_us *= 2;
    } else {
        pthread_cond_wait(&ctx->events.changed, &ctx->lock);
        *nap_us = clock_us() - from < BUSY_US ? NAP_US : 0;
    }
    ctx->events.naps = false;
}

static void *dispatch_thread(void *arg)
{
    inf_context *ctx = arg;
    struct news_copy copy;
    int64_t nap_us = 0;

    news_copy_init(&copy);
    pthread_mutex_lock(&ctx->lock);
    for (;;) {
        bool finished = false;
        inf_op *op = events_take(ctx, &finished);

        if (op) {
            pthread_mutex_unlock(&ctx->lock);
            call_back(op, &copy, finished);
            pthread_mutex_lock(&ctx->lock);
        } else if (events_take_closed(ctx)) {
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
    news_copy_free(&copy);
    return NULL;
}

int32_t dispatch_start(inf_context *ctx, inf_error *err)
{
    return context_start_thread(ctx, "inf-dispatch", dispatch_thread, err);
}
