/* calls: see the header. */
#include "remote/calls.h"

#include "core/clock.h"
#include "core/memory.h"
#include "http/url.h"

#include <stdio.h>
#include <string.h>

enum call_result call_result(const struct call *call)
{
    if (!call->started)
        return CALL_NONE;
    if (call->error.code == INF_OK)
        return CALL_OK;
    if (call->error.code == INF_ERROR_HTTP_STATUS)
        return CALL_REFUSED;
    return call->sent ? CALL_UNKNOWN : CALL_GONE;
}

int32_t calls_init(struct calls *c, size_t n, inf_error *err)
{
    *c = (struct calls){.n = n, .give_up_us = INT64_MAX};
    c->items = mem_calloc(n, sizeof *c->items);
    if (!c->items)
        return error_no_memory(err);
    pthread_mutex_init(&c->lock, NULL);
    monotonic_cond_init(&c->changed);
    return INF_OK;
}

void calls_reset(struct calls *c)
{
    pthread_mutex_lock(&c->lock); /* calls_cancel may be looking */
    for (size_t i = 0; i < c->n; i++) {
        http_exchange_release(c->items[i].exchange);
        mem_free(c->items[i].body);
        c->items[i] = (struct call){.calls = c};
    }
    pthread_mutex_unlock(&c->lock);
}

void calls_free(struct calls *c)
{
    if (!c->items)
        return;
    calls_reset(c);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->changed);
    mem_free(c->items);
    c->items = NULL;
}

/* On the I/O thread. */
static void call_done(void *owner, const struct http_outcome *outcome)
{
    struct call *call = owner;
    struct calls *c = call->calls;

    pthread_mutex_lock(&c->lock);
    call->error = *outcome->error;
    call->status = outcome->head.status;
    call->sent = outcome->sent;
    snprintf(call->proxy, sizeof call->proxy, "%s", outcome->proxy ? outcome->proxy : "");
    if (outcome->body) {
        call->body = mem_strndup(outcome->body, outcome->body_len);
        call->body_len = call->body ? outcome->body_len : 0;
    }
    if (outcome->body && !call->body)
        error_no_memory(&call->error);
    call->done = true;
    c->n_running--;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static const struct http_callbacks callbacks = {.on_done = call_done};

void calls_start(struct calls *c, size_t i, struct http_client *client, const struct server *s,
                 const char *path, const char *body, int64_t total_ms)
{
    struct call *call = &c->items[i];
    struct http_request r;
    char *url = url_join(s->base, path);
    char *copy = body ? mem_strdup(body) : NULL;
    int32_t code = INF_OK;

    server_request(&r, s);
    r.method = body ? "POST" : "GET";
    r.url = url;
    r.body = copy;
    r.body_len = copy ? strlen(copy) : 0;
    r.total_ms = total_ms;
    r.retry = HTTP_RETRY_UNSENT;
    r.callbacks = &callbacks;
    r.owner = call;
    pthread_mutex_lock(&c->lock);
    call->calls = c;
    call->started = true;
    if (!url || (body && !copy))
        code = error_no_memory(&call->error);
    else
        code = http_start(&call->exchange, client, &r, &call->error);
    call->done = code != INF_OK;
    c->n_running += code == INF_OK;
    if (code == INF_OK && c->cancelled)
        http_cancel(call->exchange);
    pthread_mutex_unlock(&c->lock);
    if (code != INF_OK)
        mem_free(copy);
    mem_free(url);
}

/* The lock is held. */
static void cancel(struct calls *c)
{
    c->cancelled = true;
    for (size_t i = 0; i < c->n; i++)
        if (c->items[i].started && !c->items[i].done)
            http_cancel(c->items[i].exchange);
}

void calls_wait(struct calls *c)
{
    pthread_mutex_lock(&c->lock);
    while (c->n_running > 0) {
        if (!c->cancelled && clock_us() >= c->give_up_us)
            cancel(c);
        cond_wait_until_us(&c->changed, &c->lock, c->cancelled ? INT64_MAX : c->give_up_us);
    }
    pthread_mutex_unlock(&c->lock);
}

void calls_cancel(struct calls *c)
{
    pthread_mutex_lock(&c->lock);
    cancel(c);
    pthread_mutex_unlock(&c->lock);
}

void calls_give_up_at(struct calls *c, int64_t us)
{
    pthread_mutex_lock(&c->lock);
    if (us < c->give_up_us)
        c->give_up_us = us;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}
