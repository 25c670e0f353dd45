/* http_calls: see the header. */
#include "http_calls.h"

#include "core/clock.h"
#include "core/memory.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static int32_t on_head(void *owner, const struct http_head *head, inf_error *err)
{
    struct call *call = owner;

    (void)err;
    pthread_mutex_lock(&call->lock);
    call->heads++;
    call->head = *head;
    snprintf(call->head_type, sizeof call->head_type, "%s", head->content_type);
    pthread_mutex_unlock(&call->lock);
    return call->answer_head;
}

static int32_t on_data(void *owner, const char *data, size_t len, inf_error *err)
{
    struct call *call = owner;
    int32_t answer = call->answer_data;

    pthread_mutex_lock(&call->lock);
    call->datas++;
    call->data = realloc(call->data, call->data_len + len + 1);
    memcpy(call->data + call->data_len, data, len);
    call->data_len += len;
    call->data[call->data_len] = '\0';
    pthread_cond_broadcast(&call->changed);
    pthread_mutex_unlock(&call->lock);
    if (answer > 0)
        error_set(err, answer, "the owner says no");
    return answer;
}

static void on_begin(void *owner)
{
    struct call *call = owner;

    atomic_store(&call->begun, true);
}

static void on_done(void *owner, const struct http_outcome *outcome)
{
    struct call *call = owner;

    pthread_mutex_lock(&call->lock);
    call->dones++;
    call->error = *outcome->error;
    call->status = outcome->head.status;
    snprintf(call->type, sizeof call->type, "%s", outcome->head.content_type);
    call->body = malloc(outcome->body_len + 1);
    memcpy(call->body, outcome->body, outcome->body_len + 1);
    call->body_len = outcome->body_len;
    call->sent = outcome->sent;
    call->delivered = outcome->delivered;
    call->attempts = outcome->attempts;
    call->done_us = clock_us();
    pthread_cond_broadcast(&call->changed);
    pthread_mutex_unlock(&call->lock);
}

const struct http_callbacks stream_callbacks = {on_begin, on_head, on_data, on_done};
const struct http_callbacks whole_callbacks = {on_begin, NULL, NULL, on_done};

void call_init(struct call *call, const char *url, bool stream)
{
    memset(call, 0, sizeof *call);
    http_request_default(&call->request);
    call->request.method = "GET";
    call->request.url = url;
    call->request.max_retries = 0;
    call->request.retry = HTTP_RETRY_GENERATION;
    call->request.callbacks = stream ? &stream_callbacks : &whole_callbacks;
    call->request.owner = call;
    pthread_mutex_init(&call->lock, NULL);
    pthread_cond_init(&call->changed, NULL);
}

void call_set_body(struct call *call, const char *body)
{
    call->request.method = "POST";
    call->request.body = mem_strdup(body);
    call->request.body_len = strlen(body);
}

void call_start(struct call *call, struct http_client *client)
{
    inf_error err = {0};
    int32_t code = http_start(&call->exchange, client, &call->request, &err);

    if (code != INF_OK)
        fail_msg("http_start: %s", err.message);
}

static void wait_for(struct call *call, bool (*ready)(const struct call *, size_t), size_t n)
{
    struct timespec until;
    bool there = false;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    pthread_mutex_lock(&call->lock);
    while (!ready(call, n) && pthread_cond_timedwait(&call->changed, &call->lock, &until) == 0)
        ;
    there = ready(call, n);
    pthread_mutex_unlock(&call->lock);
    if (!there)
        fail_msg("nothing happened for 60 s");
}

static bool is_done(const struct call *call, size_t n)
{
    (void)n;
    return call->dones > 0;
}

static bool has_data(const struct call *call, size_t n)
{
    return call->data_len >= n || call->dones > 0;
}

void call_wait(struct call *call)
{
    wait_for(call, is_done, 0);
}

void call_wait_data(struct call *call, size_t bytes)
{
    wait_for(call, has_data, bytes);
}

void call_free(struct call *call)
{
    http_exchange_release(call->exchange);
    free(call->data);
    free(call->body);
    pthread_mutex_destroy(&call->lock);
    pthread_cond_destroy(&call->changed);
}

void call_run(struct call *call, struct http_client *client)
{
    call_start(call, client);
    call_wait(call);
}
