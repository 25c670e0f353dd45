/*
 * exchange: one request, its attempts and its timeouts. http_start, http_cancel and the references run
 * on any thread; all else on the I/O thread. What the server answers is read in answer.c.
 */
#include "http/internal.h"

#include "core/memory.h"

#include <string.h>

#define BACKOFF_MS 500
#define BACKOFF_MAX_MS 8000
#define RETRY_AFTER_MAX_MS 60000
#define DRAIN_MS 1000
#define DRAINING_MAX 64

/* ------------------------------------------------------------------ starting, on any thread */

void http_request_default(struct http_request *r)
{
    *r = (struct http_request){.connect_ms = 5000,
                               .silence_ms = 60000,
                               .total_ms = 600000,
                               .retry = HTTP_RETRY_UNSENT,
                               .max_retries = 2,
                               .body_max = (size_t)16 << 20};
}

static bool is_bound(int64_t ms)
{
    return ms >= 1 || ms == -1;
}

static int32_t check_request(const struct http_request *r, inf_error *err)
{
    if (!r->method || !http_is_token(r->method))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "method: not an HTTP method");
    if (!is_bound(r->connect_ms) || !is_bound(r->silence_ms) || !is_bound(r->total_ms))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "a timeout must be at least 1 ms, or -1 for no limit");
    if (r->retry != HTTP_RETRY_UNSENT && r->retry != HTTP_RETRY_GENERATION)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "retry: %d is no http_retry", r->retry);
    if (r->max_retries < 0)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "max_retries: %d is negative",
                         r->max_retries);
    return INF_OK;
}

static void free_exchange(struct http_exchange *x)
{
    struct http_client *c = x->client;

    http_headers_unref(x->asked.headers);
    http_gate_release(x->asked.gate);
    mem_free(x->asked.body);
    mem_free(x->location);
    mem_free(x->resolved[0].data);
    mem_free(x->resolved[1].data);
    buffer_free(&x->answer);
    mem_free(x);
    client_unref_block(c);
}

void exchange_unref(struct http_exchange *x)
{
    if (atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) == 1)
        free_exchange(x);
}

static int32_t make_exchange(struct http_exchange **out, struct http_client *c,
                             const struct http_request *r, inf_error *err)
{
    const struct proxy *proxy = &no_proxy_at_all;
    struct url parsed;
    int32_t code = url_parse(&parsed, r->url, err);
    size_t method = strlen(r->method) + 1;
    size_t url = code == INF_OK ? strlen(r->url) + 1 : 0;
    struct http_exchange *x = NULL;

    if (code == INF_OK && !r->direct)
        code = environment_proxy(&proxy, &c->environment, &parsed, err);
    if (code != INF_OK)
        return code;
    x = mem_calloc(1, sizeof *x + method + url);
    if (!x)
        return error_no_memory(err);
    atomic_init(&x->refs, 1);
    memcpy(x->text, r->method, method);
    memcpy(x->text + method, r->url, url);
    x->client = c;
    x->asked = *r;
    x->asked.method = x->text;
    x->asked.url = x->text + method;
    x->asked.headers = r->headers ? http_headers_ref(r->headers) : NULL;
    x->asked.gate = gate_ref(r->gate);
    x->asked.body = NULL; /* taken over when it starts */
    url_parse(&x->url, x->asked.url, NULL);
    x->proxy = proxy;
    x->deadline = (struct heap_node){.at = SIZE_MAX, .owner = x};
    x->retry_after_ms = -1;
    buffer_init(&x->answer, r->body_max > HTTP_ERROR_BODY_MAX ? r->body_max : HTTP_ERROR_BODY_MAX);
    atomic_fetch_add_explicit(&c->blocks, 1, memory_order_relaxed);
    *out = x;
    return INF_OK;
}

int32_t http_start(struct http_exchange **out, struct http_client *c, const struct http_request *r,
                   inf_error *err)
{
    struct http_exchange *x = NULL;
    int32_t code = check_request(r, err);

    if (out)
        *out = NULL;
    if (code == INF_OK)
        code = make_exchange(&x, c, r, err);
    if (code != INF_OK)
        return code;
    x->asked.body = r->body;
    if (atomic_load_explicit(&c->stopping, memory_order_acquire) ||
        !client_signal(x, SIGNAL_START)) {
        x->asked.body = NULL;
        exchange_unref(x);
        return error_set(err, INF_ERROR_STATE, "the context is closed");
    }
    if (out)
        *out = x;
    else
        exchange_unref(x);
    return INF_OK;
}

void http_cancel(struct http_exchange *x)
{
    if (x)
        client_signal(x, SIGNAL_CANCEL);
}

void http_exchange_release(struct http_exchange *x)
{
    if (x)
        exchange_unref(x);
}

/* ------------------------------------------------------------------ ending */

static void forget_addresses(struct http_exchange *x)
{
    for (size_t i = 0; i < 2; i++) {
        mem_free(x->resolved[i].data);
        x->resolved[i] = (struct curl_slist){0};
    }
}

/* Out of whatever it is in. */
static void leave(struct http_exchange *x)
{
    if (x->transfer)
        transfer_end(x);
    resolver_leave(x);
    forget_addresses(x);
}

static void unlink_exchange(struct http_exchange *x)
{
    struct http_client *c = x->client;

    heap_remove(&c->deadlines, &x->deadline);
    if (x->previous)
        x->previous->next = x->next;
    else
        c->exchanges = x->next;
    if (x->next)
        x->next->previous = x->previous;
}

/* on_done, once. */
static void tell(struct http_exchange *x, const inf_error *err)
{
    char proxy[110];
    struct http_outcome outcome = {
        .error = err,
        .proxy = x->proxy->url ? url_display(proxy, sizeof proxy, x->proxy->url) : NULL,
        .head = {.status = x->status, .content_type = x->content_type},
        .body = x->answer.data ? x->answer.data : "",
        .body_len = x->answer.len,
        .sent = x->sent,
        .delivered = x->delivered,
        .attempts = x->attempts,
    };

    x->told = true;
    x->asked.callbacks->on_done(x->asked.owner, &outcome);
}

static void finish(struct http_exchange *x, const inf_error *err)
{
    leave(x);
    gate_leave(x);
    unlink_exchange(x);
    if (x->phase == PHASE_DRAIN)
        x->client->n_draining--;
    x->phase = PHASE_DONE;
    if (!x->told)
        tell(x, err);
    mem_free(x->asked.body);
    x->asked.body = NULL;
    buffer_free(&x->answer);
    exchange_unref(x); /* the client's */
}

/*
 * The owner is told at once. What the server has yet to send is read away, so that the connection can
 * be used again: for a while, and only so many at a time; otherwise the connection is closed.
 */
static void end_early(struct http_exchange *x)
{
    struct http_client *c = x->client;
    const inf_error none = {0};

    if (x->phase == PHASE_DONE)
        return;
    if (c->n_draining >= DRAINING_MAX) {
        finish(x, &none);
        return;
    }
    c->n_draining++;
    x->phase = PHASE_DRAIN;
    heap_set(&c->deadlines, &x->deadline, uv_now(&c->loop) + DRAIN_MS);
    x->sent = true;
    tell(x, &none);
}

bool exchanges_tell_enough(struct http_client *c)
{
    struct http_exchange *x = c->enough;
    bool any = false;

    c->enough = NULL;
    while (x) {
        struct http_exchange *next = x->next_enough;

        any = any || x->phase != PHASE_DONE;
        end_early(x);
        exchange_unref(x);
        x = next;
    }
    return any;
}

void exchange_cancelled(struct http_exchange *x)
{
    inf_error err = {0};
    char what[FAILURE_WHAT];

    if (x->phase == PHASE_DONE || (x->told && !x->client->stopped))
        return;
    error_set(&err, INF_ERROR_CANCELLED, "%s: cancelled", failure_what(what, sizeof what, x));
    finish(x, &err);
}

/* ------------------------------------------------------------------ attempts */

static bool worth_repeating(const struct http_exchange *x, const inf_error *err)
{
    if (x->asked.retry == HTTP_RETRY_UNSENT)
        return !x->sent && (err->code == INF_ERROR_CONNECTION || err->code == INF_ERROR_TIMEOUT);
    if (err->code == INF_ERROR_HTTP_STATUS)
        return x->status == 408 || x->status == 409 || x->status == 429 || x->status >= 500;
    return err->code == INF_ERROR_CONNECTION || err->code == INF_ERROR_TIMEOUT ||
           (err->code == INF_ERROR_PROTOCOL && !x->head_done);
}

static uint64_t backoff_ms(struct http_exchange *x)
{
    uint64_t ms = BACKOFF_MAX_MS;

    if (x->retry_after_ms >= 0 && x->retry_after_ms <= RETRY_AFTER_MAX_MS)
        return (uint64_t)x->retry_after_ms;
    if (x->attempts <= 4)
        ms = (uint64_t)BACKOFF_MS << (x->attempts - 1);
    return ms - client_random(x->client) % (ms / 4 + 1);
}

/* This attempt is over with an error: another one later, or the end. */
static void failed(struct http_exchange *x, const inf_error *err)
{
    struct http_client *c = x->client;
    uint64_t wait = 0;

    leave(x);
    if (x->delivered || x->attempts > x->asked.max_retries || !worth_repeating(x, err)) {
        finish(x, err);
        return;
    }
    wait = backoff_ms(x);
    if (uv_now(&c->loop) + wait >= x->total_due) {
        finish(x, err);
        return;
    }
    context_log(c->ctx, INF_LOG_INFO, "%s; trying again in %llu ms (%d of %d)", err->message,
                (unsigned long long)wait, x->attempts, x->asked.max_retries);
    x->phase = PHASE_BACKOFF;
    heap_set(&c->deadlines, &x->deadline, uv_now(&c->loop) + wait);
}

static uint64_t from_now(const struct http_exchange *x, int64_t ms)
{
    return http_after(uv_now(&x->client->loop), ms);
}

static int32_t add_addresses(struct http_exchange *x, const char *host, size_t n, uint16_t port,
                             const char *addresses, inf_error *err)
{
    struct curl_slist *at = &x->resolved[0];
    struct buffer text;

    buffer_init(&text, BUFFER_NO_LIMIT);
    if (!buffer_printf(&text, "%.*s:%u:%s", (int)n, host, (unsigned)port, addresses)) {
        buffer_free(&text);
        return error_no_memory(err);
    }
    if (at->data) {
        at->next = &x->resolved[1];
        at = at->next;
    }
    at->data = text.data;
    return INF_OK;
}

/* One host that libcurl will connect to, or ask the proxy for. *waits: told later. */
static int32_t need_host(struct http_exchange *x, const char *host, size_t n, uint16_t port,
                         bool *waits, inf_error *err)
{
    const char *addresses = NULL;
    int32_t code = resolver_find(&addresses, x, host, n, err);

    if (code != INF_OK)
        return code;
    *waits = !addresses;
    return *waits ? INF_OK : add_addresses(x, host, n, port, addresses, err);
}

static int32_t find_hosts(struct http_exchange *x, bool *waits, inf_error *err)
{
    const struct url *u = &x->url;
    const struct proxy *p = x->proxy;
    bool named = !u->literal && !url_is_local_name(u->host, u->host_len);
    int32_t code = INF_OK;

    *waits = false;
    x->has_literal = !named || (p->url && !p->host[0]);
    if (p->host[0])
        code = need_host(x, p->host, strlen(p->host), p->port, waits, err);
    if (code == INF_OK && !*waits && named && (!p->url || p->local_lookup))
        code = need_host(x, u->host, u->host_len, u->port, waits, err);
    return code;
}

static void look_up_and_go(struct http_exchange *x)
{
    inf_error err = {0};
    bool waits = false;
    int32_t code = INF_OK;

    forget_addresses(x);
    code = find_hosts(x, &waits, &err);
    if (code == INF_OK && waits) {
        x->phase = PHASE_LOOKUP;
        heap_set(&x->client->deadlines, &x->deadline, http_earlier(x->total_due, x->connect_due));
        return;
    }
    x->phase = PHASE_TRANSFER;
    x->proxy_due = x->proxy->self && !x->url.tls ? x->connect_due : HTTP_NEVER;
    heap_set(&x->client->deadlines, &x->deadline, http_earlier(x->total_due, x->proxy_due));
    if (code == INF_OK)
        code = transfer_start(x, &err);
    if (code != INF_OK)
        failed(x, &err);
}

static void attempt(struct http_exchange *x)
{
    x->attempts++;
    exchange_forget_answer(x);
    x->connect_due = from_now(x, x->asked.connect_ms);
    look_up_and_go(x);
}

void exchange_resolved(struct http_exchange *x, const inf_error *err)
{
    inf_error prefixed = *err;

    if (err->code == INF_OK) {
        look_up_and_go(x);
        return;
    }
    failure_of_lookup(&prefixed, x);
    failed(x, &prefixed);
}

void exchange_let_in(struct http_exchange *x)
{
    x->total_due = from_now(x, x->asked.total_ms);
    if (x->asked.callbacks->on_begin)
        x->asked.callbacks->on_begin(x->asked.owner);
    attempt(x);
}

void exchange_begin(struct http_exchange *x)
{
    struct http_client *c = x->client;
    inf_error err = {0};

    atomic_fetch_add_explicit(&x->refs, 1, memory_order_relaxed);
    x->next = c->exchanges;
    if (x->next)
        x->next->previous = x;
    c->exchanges = x;
    x->total_due = x->deadline.due = HTTP_NEVER;
    if (!c->stopped && !heap_add(&c->deadlines, &x->deadline))
        error_no_memory(&err);
    if (err.code != INF_OK)
        finish(x, &err);
    else if (c->stopped)
        exchange_cancelled(x);
    else if (gate_enter(x))
        exchange_let_in(x);
    else
        x->phase = PHASE_QUEUED;
}

/* ------------------------------------------------------------------ time */

static void timed_out(struct http_exchange *x)
{
    inf_error err = {0};
    char what[FAILURE_WHAT];

    failure_what(what, sizeof what, x);
    if (uv_now(&x->client->loop) >= x->total_due)
        error_set_detail(&err, INF_ERROR_TIMEOUT, x->asked.total_ms,
                         "%s: not done within %lld ms of getting its connection", what,
                         (long long)x->asked.total_ms);
    else
        error_set_detail(&err, INF_ERROR_TIMEOUT, x->asked.silence_ms,
                         "%s: the server sent nothing for %lld ms in the middle of its answer; "
                         "silence_timeout_ms raises it",
                         what, (long long)x->asked.silence_ms);
    finish(x, &err);
}

void exchange_of_proxy(struct http_exchange *x, bool silent, uint64_t again)
{
    inf_error err = {0};

    if (silent) {
        failure_of_silent_proxy(&err, x);
        finish(x, &err);
        return;
    }
    x->proxy_due = again;
    heap_set(&x->client->deadlines, &x->deadline, http_earlier(x->total_due, again));
}

static void lookup_timed_out(struct http_exchange *x)
{
    const char *proxy = x->resolved[0].data ? "" : x->proxy->host; /* it is found first */
    inf_error err = {0};

    error_set_detail(&err, INF_ERROR_TIMEOUT, x->asked.connect_ms,
                     "the %shost '%.*s' was not found within %lld ms; connect_timeout_ms raises it",
                     *proxy ? "proxy's " : "", *proxy ? (int)strlen(proxy) : (int)x->url.host_len,
                     *proxy ? proxy : x->url.host, (long long)x->asked.connect_ms);
    failed(x, &err);
}

void exchange_due(struct http_exchange *x)
{
    struct http_client *c = x->client;
    uint64_t now = uv_now(&c->loop);
    inf_error err = {0};

    if (x->phase == PHASE_DRAIN) {
        finish(x, &err);
    } else if (x->error.code != INF_OK) {
        err = x->error;
        finish(x, &err);
    } else if (now >= x->total_due) { /* NOLINT(bugprone-branch-clone): the order is the meaning */
        timed_out(x);
    } else if (x->phase == PHASE_BACKOFF) {
        attempt(x);
    } else if (x->phase == PHASE_LOOKUP) {
        lookup_timed_out(x);
    } else if (x->phase == PHASE_BODY && now >= http_after(x->last_byte, x->asked.silence_ms)) {
        timed_out(x);
    } else if (x->phase == PHASE_BODY) {
        heap_set(&c->deadlines, &x->deadline,
                 http_earlier(x->total_due, http_after(x->last_byte, x->asked.silence_ms)));
    } else {
        if (x->phase == PHASE_TRANSFER && now >= x->proxy_due && x->head_bytes == 0)
            c->events->ask_proxy(x);
        heap_set(&c->deadlines, &x->deadline, x->total_due);
    }
}

void exchange_over(struct http_exchange *x, CURLcode result)
{
    inf_error err = {0};

    if (x->enough)
        error_none(&err);
    else if (x->error.code != INF_OK)
        err = x->error;
    else if (x->head_done && !exchange_is_good(x))
        failure_of_status(&err, x);
    else if (result != CURLE_OK)
        failure_of_transfer(&err, x, result);
    else if (!x->head_done)
        failure_of_transfer(&err, x, CURLE_WEIRD_SERVER_REPLY);
    if (err.code == INF_OK)
        finish(x, &err);
    else
        failed(x, &err);
}
