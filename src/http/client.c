/*
 * client: the I/O thread, its loop, and the client's life. The context keeps one client, made when
 * the first provider asks. It stands above the other files, which reach it through client_events only.
 */
#include "http/internal.h"

#include "core/clock.h"
#include "core/memory.h"

#define SETTLE_ROUNDS 16
#define IDLE_MS 30000

static void obey(struct http_exchange *x, uint32_t signals)
{
    if (signals & SIGNAL_START)
        exchange_begin(x);
    if (signals & SIGNAL_CANCEL)
        exchange_cancelled(x);
    exchange_unref(x); /* the queue's */
}

static bool take_signals(struct http_client *c)
{
    struct http_exchange *x = signals_take(c);
    bool any = x != NULL;

    while (x) {
        struct http_exchange *next = NULL;
        uint32_t signals = 0;

        signals = signals_read(x, &next);
        obey(x, signals);
        x = next;
    }
    return any;
}

static void settle(struct http_client *c)
{
    bool more = true;

    for (int round = 0; more && round < SETTLE_ROUNDS; round++) {
        more = take_signals(c);
        more = gates_run(c) || more;
        more = shards_run(c) || more;
        more = exchanges_tell_enough(c) || more;
    }
    if (more && !c->stopped)
        uv_async_send(&c->wake);
    deadline_arm(c);
}

/* ------------------------------------------------------------------ the thread */

static void stop(struct http_client *c)
{
    c->stopped = true;
    while (c->exchanges)
        exchange_cancelled(c->exchanges);
    settle(c);
    signals_close(c);
    settle(c); /* what was signalled until then */
    resolver_close(c);
    shards_close(c);
    transfers_free(c);
    uv_close((uv_handle_t *)&c->wake, NULL);
    uv_close((uv_handle_t *)&c->clock, NULL);
    uv_close((uv_handle_t *)&c->idle_timer, NULL);
}

static void on_wake(uv_async_t *wake)
{
    struct http_client *c = wake->data;

    if (c->stopped)
        return;
    settle(c);
    if (atomic_load_explicit(&c->stopping, memory_order_acquire))
        stop(c);
}

static void *io_thread(void *arg)
{
    struct http_client *c = arg;

    signals_on_this_thread(c);
    uv_run(&c->loop, UV_RUN_DEFAULT);
    return NULL;
}

/* ------------------------------------------------------------------ life */

static void init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* No thread runs it. */
static void close_loop(struct http_client *c)
{
    uv_close((uv_handle_t *)&c->clock, NULL);
    uv_close((uv_handle_t *)&c->idle_timer, NULL);
    uv_run(&c->loop, UV_RUN_DEFAULT);
    uv_loop_close(&c->loop);
}

static int32_t init_loop(struct http_client *c, inf_error *err)
{
    int status = uv_loop_init(&c->loop);

    if (status == 0) {
        uv_timer_init(&c->loop, &c->clock);
        uv_timer_init(&c->loop, &c->idle_timer);
        c->wake.data = c->clock.data = c->idle_timer.data = c;
        status = uv_async_init(&c->loop, &c->wake, on_wake);
        if (status != 0)
            close_loop(c);
    }
    if (status == 0)
        return INF_OK;
    return status == UV_ENOMEM
               ? error_no_memory(err)
               : error_set_detail(err, INF_ERROR_STATE, status,
                                  "no event loop for the HTTP client (%s); raise the limit of open "
                                  "files (ulimit -n)",
                                  uv_strerror(status));
}

static int32_t start_thread(struct http_client *c, inf_error *err)
{
    int32_t code = init_loop(c, err);
    int number = 0;

    if (code != INF_OK)
        return code;
    c->listening = true;
    number = thread_start(&c->thread, "inf-http", io_thread, c);
    if (number == 0)
        return INF_OK;
    uv_close((uv_handle_t *)&c->wake, NULL);
    close_loop(c);
    return thread_error(number, err);
}

static const struct client_events events = {settle,      exchange_due,      exchange_let_in,
                                            probe_proxy, exchange_resolved, exchange_over};

static int32_t create(void **out, inf_context *ctx, inf_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct http_client *c = mem_calloc(1, sizeof *c);
    int32_t code = INF_OK;

    *out = NULL;
    if (!c)
        return error_no_memory(err);
    pthread_once(&once, init_curl);
    atomic_init(&c->users, 1);
    atomic_init(&c->blocks, 1);
    c->ctx = ctx;
    c->events = &events;
    c->clock_due = HTTP_NEVER;
    c->idle_ms = IDLE_MS;
    c->random = (uint64_t)clock_us() * UINT64_C(0x9e3779b97f4a7c15) | 1;
    pthread_mutex_init(&c->signal_lock, NULL);
    c->signalled_end = &c->signalled;
    code = environment_read(&c->environment, err);
    if (code == INF_OK)
        code = http_headers_create(&c->no_headers, err);
    if (code == INF_OK)
        code = start_thread(c, err);
    if (code != INF_OK) {
        client_unref_block(c);
        return code;
    }
    *out = c;
    return INF_OK;
}

static void *acquire(void *object)
{
    struct http_client *c = object;

    atomic_fetch_add_explicit(&c->users, 1, memory_order_relaxed);
    return c;
}

static void release(void *object)
{
    http_client_release(object);
}

int32_t http_client_get(struct http_client **out, inf_context *ctx, inf_error *err)
{
    static const struct context_extra kind = {create, acquire, release};
    void *c = NULL;
    int32_t code = context_get_extra(&c, ctx, &kind, err);

    *out = c;
    return code;
}

void http_client_release(struct http_client *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->users, 1, memory_order_acq_rel) != 1)
        return;
    atomic_store_explicit(&c->stopping, true, memory_order_release);
    uv_async_send(&c->wake);
    pthread_join(c->thread, NULL);
    uv_loop_close(&c->loop);
    resolver_free(c);
    client_unref_block(c);
}
