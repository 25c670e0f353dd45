/*
 * transfer: libcurl's handles under libuv's loop. Easy handles are kept for the next exchange, multi handles are
 * shards, whose timers are libuv's. I/O thread only.
 *
 * Inside libcurl's callbacks nothing may call back into its multi handles: exchanges only note what
 * is to be done, and client_events.settle does it.
 */
#include "http/internal.h"

#include "core/growing.h"

#include <stdio.h>
#include <string.h>

#define SHARD_TRANSFERS 256
#define SPARE_MAX 256
#define STREAM_BUFFER 4096L /* tokens come in small pieces, and streams are many */
#define BODY_BUFFER 16384L

/* ------------------------------------------------------------------ shards */

static void kick(struct shard *s)
{
    if (s->kicked)
        return;
    s->kicked = true;
    s->next_kicked = s->client->kicked;
    s->client->kicked = s;
}

static void on_timer(uv_timer_t *timer)
{
    struct shard *s = timer->data;

    kick(s);
    s->client->events->settle(s->client);
}

static int timer_wanted(CURLM *multi, long ms, void *arg)
{
    struct shard *s = arg;

    (void)multi;
    if (ms > 0) {
        uv_timer_start(&s->timer, on_timer, (uint64_t)ms, 0);
        return 0;
    }
    uv_timer_stop(&s->timer);
    if (ms == 0)
        kick(s);
    return 0;
}

bool shards_run(struct http_client *c)
{
    struct shard *kicked = c->kicked;
    bool any = kicked != NULL;

    /* Those kicked meanwhile come in the next round: a transfer that always has more to read must
     * not keep the thread. */
    c->kicked = NULL;
    while (kicked) {
        struct shard *s = kicked;
        int running = 0;

        kicked = s->next_kicked;
        s->kicked = false;
        if (!s->multi)
            continue;
        curl_multi_socket_action(s->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        socket_messages(s);
    }
    return any;
}

static bool open_shard(struct shard *s)
{
    CURLM *multi = s->multi ? s->multi : curl_multi_init();

    if (s->multi || !multi)
        return s->multi != NULL;
    s->multi = multi;
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, s);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, s);
    curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    curl_multi_setopt(multi, CURLMOPT_MAX_CONCURRENT_STREAMS, (long)SHARD_TRANSFERS);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)SHARD_TRANSFERS);
    return true;
}

static struct shard *find_shard(struct http_client *c)
{
    struct shard *s = NULL;

    for (size_t i = 0; i < c->n_shards; i++)
        if (c->shards[i]->active < SHARD_TRANSFERS)
            return open_shard(c->shards[i]) ? c->shards[i] : NULL;
    s = GROW(c->shards, c->shards_cap, c->n_shards + 1) ? mem_calloc(1, sizeof *s) : NULL;
    if (!s)
        return NULL;
    s->client = c;
    uv_timer_init(&c->loop, &s->timer);
    s->timer.data = s;
    c->shards[c->n_shards++] = s;
    return open_shard(s) ? s : NULL;
}

static void close_shard(struct shard *s)
{
    if (s->multi)
        curl_multi_cleanup(s->multi);
    s->multi = NULL;
    uv_timer_stop(&s->timer);
}

static void close_idle(struct http_client *c)
{
    uint64_t now = uv_now(&c->loop);
    bool open = false;

    for (size_t i = 0; i < c->n_shards; i++) {
        struct shard *s = c->shards[i];

        if (!s->multi || s->active > 0)
            continue;
        if (now >= s->idle_since + c->idle_ms)
            close_shard(s);
        else
            open = true;
    }
    if (!open)
        uv_timer_stop(&c->idle_timer);
}

static void on_idle_timer(uv_timer_t *timer)
{
    close_idle(timer->data);
}

static void free_shard(uv_handle_t *handle)
{
    mem_free(handle->data);
}

/* Every transfer has ended. Descriptors of the last connections are closed here. */
void shards_close(struct http_client *c)
{
    for (size_t i = 0; i < c->n_shards; i++) {
        close_shard(c->shards[i]);
        uv_close((uv_handle_t *)&c->shards[i]->timer, free_shard);
    }
    mem_free(c->shards);
    c->shards = NULL;
    c->n_shards = 0;
    c->kicked = NULL;
    sockets_close(c);
}

/* ------------------------------------------------------------------ easy handles */

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;

    return exchange_header(t->exchange, line, n * size) ? n * size : 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;

    return exchange_body(t->exchange, data, n * size) ? n * size : 0;
}

/* libcurl is about to find a host's address itself, with a thread if it is no literal: an error. */
static int on_resolve(void *resolver, void *reserved, void *arg)
{
    struct transfer *t = arg;

    (void)resolver;
    (void)reserved;
    return t->may_resolve ? 0 : 1;
}

static struct transfer *make_transfer(struct http_client *c)
{
    struct transfer *t = mem_calloc(1, sizeof *t);
    CURL *easy = t ? curl_easy_init() : NULL;
    bool ok = easy != NULL;
    char agent[64];

    if (!ok) {
        mem_free(t);
        return NULL;
    }
    t->easy = easy;
    snprintf(agent, sizeof agent, "inference/%s", inf_version_string());
#define SET(option, value) ok = ok && curl_easy_setopt(easy, option, value) == CURLE_OK
    SET(CURLOPT_PRIVATE, t);
    SET(CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
#else
    SET(CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    SET(CURLOPT_USERAGENT, agent);
    SET(CURLOPT_ERRORBUFFER, t->error);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, t);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_OPENSOCKETFUNCTION, socket_open);
    SET(CURLOPT_OPENSOCKETDATA, t);
    SET(CURLOPT_CLOSESOCKETFUNCTION, socket_close);
    SET(CURLOPT_CLOSESOCKETDATA, c);
    SET(CURLOPT_RESOLVER_START_FUNCTION, on_resolve);
    SET(CURLOPT_RESOLVER_START_DATA, t);
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_NOPROXY, "");
    if (c->environment.ca_file)
        SET(CURLOPT_CAINFO, c->environment.ca_file);
    if (c->environment.ca_folder)
        SET(CURLOPT_CAPATH, c->environment.ca_folder);
    if (!ok) {
        curl_easy_cleanup(easy);
        mem_free(t);
        return NULL;
    }
    return t;
}

static bool set_method(CURL *easy, const struct http_exchange *x)
{
    bool post = strcmp(x->asked.method, "POST") == 0;
    bool ok = true;

    if (post || x->asked.body) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)x->asked.body_len);
        SET(CURLOPT_POSTFIELDS, x->asked.body ? x->asked.body : "");
    } else if (strcmp(x->asked.method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
    } else {
        SET(CURLOPT_HTTPGET, 1L);
    }
    SET(CURLOPT_CUSTOMREQUEST,
        post || strcmp(x->asked.method, "GET") == 0 || strcmp(x->asked.method, "HEAD") == 0
            ? NULL
            : x->asked.method);
    return ok;
}

static bool set_up(struct transfer *t, struct http_exchange *x, uint64_t now)
{
    CURL *easy = t->easy;
    struct http_client *c = x->client;
    bool fresh = x->asked.retry == HTTP_RETRY_UNSENT;
    uint64_t connect_ms = x->connect_due > now ? x->connect_due - now : 1;
    bool ok = set_method(easy, x);

    SET(CURLOPT_URL, x->asked.url);
    SET(CURLOPT_HTTPHEADER, headers_list(x->asked.headers ? x->asked.headers : c->no_headers));
    SET(CURLOPT_PROXY, x->proxy->url ? x->proxy->url : "");
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(connect_ms < 1000000000 ? connect_ms : 1000000000));
    /* Refused by a handle that still has a buffer, as some HTTP/2 streams leave it: it serves. */
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE,
                     x->asked.callbacks->on_data ? STREAM_BUFFER : BODY_BUFFER);
    SET(CURLOPT_FRESH_CONNECT, fresh ? 1L : 0L);
    /* HTTP/2 only where TLS tells that the server has it; then requests wait for the connection
     * that they can share instead of opening one each. */
    SET(CURLOPT_HTTP_VERSION, (long)(x->url.tls ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    SET(CURLOPT_PIPEWAIT, x->url.tls && !fresh ? 1L : 0L);
    SET(CURLOPT_RESOLVE, x->resolved[0].data ? &x->resolved[0] : NULL);
    return ok;
}
#undef SET

static void keep_transfer(struct http_client *c, struct transfer *t)
{
    t->exchange = NULL;
    t->shard = NULL;
    if (c->n_spare >= SPARE_MAX) {
        curl_easy_cleanup(t->easy);
        mem_free(t);
        return;
    }
    t->next = c->spare;
    c->spare = t;
    c->n_spare++;
}

void transfers_free(struct http_client *c)
{
    while (c->spare) {
        struct transfer *t = c->spare;

        c->spare = t->next;
        curl_easy_cleanup(t->easy);
        mem_free(t);
    }
    c->n_spare = 0;
}

int32_t transfer_start(struct http_exchange *x, inf_error *err)
{
    struct http_client *c = x->client;
    struct shard *s = find_shard(c);
    struct transfer *t = s ? c->spare : NULL;

    if (t) {
        c->spare = t->next;
        c->n_spare--;
    } else if (s) {
        t = make_transfer(c);
    }
    if (!t)
        return error_no_memory(err);
    t->exchange = x;
    t->shard = s;
    t->open_error = 0;
    t->error[0] = '\0';
    t->may_resolve = x->has_literal;
    if (!set_up(t, x, uv_now(&c->loop)) || curl_multi_add_handle(s->multi, t->easy) != CURLM_OK) {
        keep_transfer(c, t);
        return error_no_memory(err);
    }
    x->transfer = t;
    s->active++;
    kick(s);
    return INF_OK;
}

void transfer_end(struct http_exchange *x)
{
    struct transfer *t = x->transfer;
    struct shard *s = t->shard;
    struct http_client *c = x->client;
    long sent = 0;

    curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &sent);
    x->sent = x->sent || sent > 0;
    curl_multi_remove_handle(s->multi, t->easy);
    x->transfer = NULL;
    if (--s->active == 0) {
        s->idle_since = uv_now(&c->loop);
        if (!uv_is_active((uv_handle_t *)&c->idle_timer))
            uv_timer_start(&c->idle_timer, on_idle_timer, c->idle_ms, c->idle_ms / 3 + 1);
    }
    keep_transfer(c, t);
}
