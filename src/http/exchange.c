/*
 * exchange: one request, its attempts, its timeouts and its answer. http_start, http_cancel and the
 * references run on any thread; all else on the I/O thread.
 */
#include "http/internal.h"

#include "core/memory.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#define HEAD_MAX ((size_t)64 << 10)
#define LOCATION_MAX 1024
#define DRAIN_MS 1000
#define DRAIN_MAX ((size_t)64 << 10)
#define BACKOFF_MS 500
#define BACKOFF_MAX_MS 8000
#define RETRY_AFTER_MAX_MS 60000

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

static int32_t check_request(const struct http_request *r, inf_error *err)
{
    if (!r->method || !http_is_token(r->method))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "method: not an HTTP method");
    if (r->connect_ms <= 0 || r->silence_ms <= 0 || r->total_ms <= 0)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "a timeout must be at least 1 ms");
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

    http_headers_unref(x->headers);
    mem_free(x->body);
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
    struct url parsed;
    int32_t code = url_parse(&parsed, r->url, err);
    size_t method = strlen(r->method) + 1;
    size_t url = code == INF_OK ? strlen(r->url) + 1 : 0;
    struct http_exchange *x = NULL;
    char *text = NULL;

    if (code != INF_OK)
        return code;
    x = mem_calloc(1, sizeof *x + method + url);
    if (!x)
        return error_no_memory(err);
    atomic_init(&x->refs, 1);
    text = x->method + method;
    memcpy(x->method, r->method, method);
    memcpy(text, r->url, url);
    x->url_text = text;
    url_parse(&x->url, text, NULL);
    x->client = c;
    x->callbacks = r->callbacks;
    x->owner = r->owner;
    x->connect_ms = r->connect_ms;
    x->silence_ms = r->silence_ms;
    x->total_ms = r->total_ms;
    x->retry = r->retry;
    x->max_retries = r->max_retries;
    x->body_max = r->body_max;
    x->proxy = environment_proxy(&c->environment, &x->url);
    x->headers = r->headers ? http_headers_ref(r->headers) : NULL;
    x->heap_index = SIZE_MAX;
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
    x->body = r->body;
    x->body_len = r->body_len;
    if (atomic_load_explicit(&c->stopping, memory_order_acquire) ||
        !client_signal(x, SIGNAL_START)) {
        x->body = NULL;
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

    deadline_remove(c, x);
    if (x->previous)
        x->previous->next = x->next;
    else
        c->exchanges = x->next;
    if (x->next)
        x->next->previous = x->previous;
}

static void finish(struct http_exchange *x, const inf_error *err)
{
    struct http_outcome outcome = {
        .error = err,
        .head = {.status = x->status, .content_type = x->content_type},
        .body = x->answer.data ? x->answer.data : "",
        .body_len = x->answer.len,
        .delivered = x->delivered,
        .attempts = x->attempts,
    };

    leave(x);
    outcome.sent = x->sent;
    unlink_exchange(x);
    x->phase = PHASE_DONE;
    x->callbacks->on_done(x->owner, &outcome);
    mem_free(x->body);
    x->body = NULL;
    buffer_free(&x->answer);
    exchange_unref(x); /* the client's */
}

void exchange_cancelled(struct http_exchange *x)
{
    inf_error err = {0};
    char what[240];

    if (x->phase == PHASE_DONE)
        return;
    error_set(&err, INF_ERROR_CANCELLED, "%s: cancelled", failure_what(what, sizeof what, x));
    finish(x, &err);
}

/* ------------------------------------------------------------------ attempts */

static bool worth_repeating(const struct http_exchange *x, const inf_error *err)
{
    if (x->retry == HTTP_RETRY_UNSENT)
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
    if (x->delivered || x->attempts > x->max_retries || !worth_repeating(x, err)) {
        finish(x, err);
        return;
    }
    wait = backoff_ms(x);
    if (uv_now(&c->loop) + wait >= x->total_due) {
        finish(x, err);
        return;
    }
    context_log(c->ctx, INF_LOG_INFO, "%s; trying again in %llu ms (%d of %d)", err->message,
                (unsigned long long)wait, x->attempts, x->max_retries);
    x->phase = PHASE_BACKOFF;
    deadline_set(c, x, uv_now(&c->loop) + wait);
}

static void forget_answer(struct http_exchange *x)
{
    x->status = 0;
    x->head_done = x->body_cut = false;
    x->head_bytes = 0;
    x->retry_after_ms = -1;
    x->content_type[0] = '\0';
    x->error = (inf_error){0};
    mem_free(x->location);
    x->location = NULL;
    buffer_clear(&x->answer);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ms from now, which may be absurdly many. */
static uint64_t from_now(const struct http_exchange *x, int64_t ms)
{
    return uv_now(&x->client->loop) + earlier((uint64_t)ms, UINT64_C(1) << 60);
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
    *waits = addresses == NULL;
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
        deadline_set(x->client, x, earlier(x->total_due, x->connect_due));
        return;
    }
    x->phase = PHASE_TRANSFER;
    deadline_set(x->client, x, x->total_due);
    if (code == INF_OK)
        code = transfer_start(x, &err);
    if (code != INF_OK)
        failed(x, &err);
}

static void attempt(struct http_exchange *x)
{
    x->attempts++;
    forget_answer(x);
    x->connect_due = from_now(x, x->connect_ms);
    look_up_and_go(x);
}

void exchange_resolved(struct http_exchange *x, const inf_error *err)
{
    inf_error prefixed = *err;
    char what[240];

    if (err->code == INF_OK) {
        look_up_and_go(x);
        return;
    }
    error_prefix(&prefixed, "%s", failure_what(what, sizeof what, x));
    failed(x, &prefixed);
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
    x->total_due = from_now(x, x->total_ms);
    x->due = x->total_due;
    if (c->stopped)
        exchange_cancelled(x);
    else if (deadline_add(c, x, &err) != INF_OK)
        finish(x, &err);
    else
        attempt(x);
}

/* ------------------------------------------------------------------ time */

static void timed_out(struct http_exchange *x)
{
    inf_error err = {0};
    char what[240];

    failure_what(what, sizeof what, x);
    if (uv_now(&x->client->loop) >= x->total_due)
        error_set_detail(&err, INF_ERROR_TIMEOUT, x->total_ms, "%s: not done within %lld ms", what,
                         (long long)x->total_ms);
    else
        error_set_detail(&err, INF_ERROR_TIMEOUT, x->silence_ms,
                         "%s: the server sent nothing for %lld ms in the middle of its answer",
                         what, (long long)x->silence_ms);
    finish(x, &err);
}

void exchange_due(struct http_exchange *x)
{
    struct http_client *c = x->client;
    uint64_t now = uv_now(&c->loop);
    inf_error err = {0};

    if (x->error.code != INF_OK) {
        err = x->error;
        finish(x, &err);
    } else if (x->phase == PHASE_DRAIN) {
        finish(x, &err);
    } else if (now >= x->total_due) {
        timed_out(x);
    } else if (x->phase == PHASE_BACKOFF) {
        attempt(x);
    } else if (x->phase == PHASE_LOOKUP) {
        error_set_detail(&err, INF_ERROR_TIMEOUT, x->connect_ms,
                         "the host '%.*s' was not found within %lld ms", (int)x->url.host_len,
                         x->url.host, (long long)x->connect_ms);
        failed(x, &err);
    } else if (x->phase == PHASE_BODY && now >= x->last_byte + (uint64_t)x->silence_ms) {
        timed_out(x);
    } else if (x->phase == PHASE_BODY) {
        deadline_set(c, x, earlier(x->total_due, x->last_byte + (uint64_t)x->silence_ms));
    } else {
        deadline_set(c, x, x->total_due);
    }
}

/* ------------------------------------------------------------------ the answer */

static bool is_good(const struct http_exchange *x)
{
    return x->status >= 200 && x->status < 300;
}

/* The value of the field when the line is one of that name (in lower case); *n is its length. */
static const char *field(const char *line, size_t *n, const char *name)
{
    size_t m = strlen(name);
    size_t end = *n;

    if (end <= m || line[m] != ':' || strncasecmp(line, name, m) != 0)
        return NULL;
    for (m++; m < end && (line[m] == ' ' || line[m] == '\t'); m++)
        ;
    while (end > m && (line[end - 1] == '\r' || line[end - 1] == '\n' || line[end - 1] == ' ' ||
                       line[end - 1] == '\t'))
        end--;
    *n = end - m;
    return line + m;
}

static void note_content_type(struct http_exchange *x, const char *value, size_t n)
{
    size_t i = 0;

    for (; i < n && i + 1 < sizeof x->content_type && value[i] != ';' && value[i] != ' '; i++)
        x->content_type[i] = (char)(value[i] >= 'A' && value[i] <= 'Z' ? value[i] - 'A' + 'a'
                                                                       : value[i]);
    x->content_type[i] = '\0';
}

/* Thousandths of a decimal number like "1.5"; -1: it is none, or absurd. */
static int64_t thousandths(const char *text)
{
    int64_t value = 0;
    int64_t place = 1000;
    const char *p = text;

    for (; *p >= '0' && *p <= '9' && value < 1000000000; p++)
        value = value * 10 + (*p - '0');
    value *= 1000;
    if (p > text && *p == '.') {
        for (p++; *p >= '0' && *p <= '9' && place > 1; p++) {
            place /= 10;
            value += (*p - '0') * place;
        }
    }
    return p > text && *p == '\0' ? value : -1;
}

/* Milliseconds, or (unit 1000) seconds or a date. */
static void note_retry_after(struct http_exchange *x, const char *value, size_t n, int64_t unit)
{
    char text[64];
    int64_t number = 0;
    time_t when = 0;

    if (n == 0 || n >= sizeof text || (x->retry_after_ms >= 0 && unit == 1000))
        return;
    memcpy(text, value, n);
    text[n] = '\0';
    number = thousandths(text);
    if (number >= 0) {
        x->retry_after_ms = unit == 1000 ? number : number / 1000;
        return;
    }
    when = curl_getdate(text, NULL);
    if (when >= 0 && when >= time(NULL))
        x->retry_after_ms = (int64_t)(when - time(NULL)) * 1000;
}

static bool note_field(struct http_exchange *x, const char *line, size_t n)
{
    char what[240];
    const char *value = NULL;
    size_t length = n;

    switch (line[0] | 0x20) {
    case 'c':
        if ((value = field(line, &length, "content-type"))) {
            note_content_type(x, value, length);
        } else if ((value = field(line, &length, "content-encoding"))) {
            if (length != 0 && !(length == 8 && strncasecmp(value, "identity", 8) == 0)) {
                error_set(&x->error, INF_ERROR_PROTOCOL,
                          "%s: the answer is compressed (%.*s), which was not asked for",
                          failure_what(what, sizeof what, x), (int)(length < 40 ? length : 40),
                          value);
                return false;
            }
        }
        break;
    case 'l':
        if ((value = field(line, &length, "location")) && !x->location)
            x->location = mem_strndup(value, length < LOCATION_MAX ? length : LOCATION_MAX);
        break;
    case 'r':
        if ((value = field(line, &length, "retry-after-ms"))) {
            x->retry_after_ms = -1;
            note_retry_after(x, value, length, 1);
        } else if ((value = field(line, &length, "retry-after"))) {
            note_retry_after(x, value, length, 1000);
        }
        break;
    default:
        break;
    }
    return true;
}

/* What a callback returned, when that ends the exchange. */
static bool owner_failed(struct http_exchange *x, int32_t code)
{
    if (x->error.code == INF_OK)
        error_set(&x->error, code, "%s", inf_error_text(code));
    x->error.code = code;
    return false;
}

static bool head_complete(struct http_exchange *x)
{
    const struct http_head head = {.status = x->status, .content_type = x->content_type};
    int32_t code = INF_OK;

    if (x->status < 200)
        return true;
    x->head_done = true;
    if (is_good(x) && x->callbacks->on_head)
        code = x->callbacks->on_head(x->owner, &head, &x->error);
    return code == INF_OK || owner_failed(x, code);
}

bool exchange_header(struct http_exchange *x, const char *line, size_t n)
{
    char what[240];
    size_t at = 0;

    x->head_bytes += n;
    if (x->head_bytes > HEAD_MAX) {
        error_set_detail(&x->error, INF_ERROR_PROTOCOL, (int64_t)HEAD_MAX,
                         "%s: the head of the answer is longer than 64 KiB",
                         failure_what(what, sizeof what, x));
        return false;
    }
    if (x->head_done) /* trailers */
        return true;
    if (n > 5 && memcmp(line, "HTTP/", 5) == 0) {
        while (at < n && line[at] != ' ')
            at++;
        x->status = 0;
        for (at++; at < n && line[at] >= '0' && line[at] <= '9' && x->status < 1000; at++)
            x->status = x->status * 10 + (line[at] - '0');
        x->content_type[0] = '\0';
        return true;
    }
    if (n == 0 || line[0] == '\r' || line[0] == '\n')
        return head_complete(x);
    return note_field(x, line, n);
}

/* An error's body is kept as far as it is of use; the rest is not waited for. */
static bool error_body(struct http_exchange *x, const char *data, size_t n)
{
    size_t room = HTTP_ERROR_BODY_MAX - x->answer.len;

    x->body_cut = n > room;
    if (!buffer_append(&x->answer, data, n < room ? n : room)) {
        error_no_memory(&x->error);
        return false;
    }
    return !x->body_cut;
}

static bool whole_body(struct http_exchange *x, const char *data, size_t n)
{
    char what[240];

    if (n > x->body_max || x->answer.len > x->body_max - n) {
        error_set_detail(&x->error, INF_ERROR_LIMIT, (int64_t)x->body_max,
                         "%s: the answer is larger than %zu bytes",
                         failure_what(what, sizeof what, x), x->body_max);
        return false;
    }
    if (!buffer_append(&x->answer, data, n)) {
        error_no_memory(&x->error);
        return false;
    }
    return true;
}

static void first_byte(struct http_exchange *x)
{
    x->phase = PHASE_BODY;
    deadline_set(x->client, x,
                 earlier(x->total_due, uv_now(&x->client->loop) + (uint64_t)x->silence_ms));
}

bool exchange_body(struct http_exchange *x, const char *data, size_t n)
{
    int32_t code = INF_OK;

    if (n == 0)
        return true;
    if (!is_good(x))
        return error_body(x, data, n);
    x->last_byte = uv_now(&x->client->loop);
    if (x->enough) {
        x->drained += n;
        return x->drained <= DRAIN_MAX;
    }
    if (x->phase == PHASE_TRANSFER)
        first_byte(x);
    if (!x->callbacks->on_data)
        return whole_body(x, data, n);
    x->delivered = true;
    code = x->callbacks->on_data(x->owner, data, n, &x->error);
    if (code == HTTP_ENOUGH) {
        x->enough = true;
        x->phase = PHASE_DRAIN;
        x->error = (inf_error){0};
        deadline_set(x->client, x, earlier(x->total_due, x->last_byte + DRAIN_MS));
        return true;
    }
    return code == INF_OK || owner_failed(x, code);
}

void exchange_over(struct http_exchange *x, CURLcode result)
{
    inf_error err = {0};

    if (x->error.code != INF_OK)
        err = x->error;
    else if (x->enough)
        error_none(&err);
    else if (x->head_done && !is_good(x))
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
