/*
 * http client: exchanges against a scripted server: what is sent, what comes back, reuse, cancel,
 * retries, timeouts, closing. The faults of a hostile server are in test_http_faults.c.
 */
#include "http_calls.h"
#include "http_server.h"

#include "core/clock.h"
#include "core/memory.h"

#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct bench {
    inf_context *ctx;
    struct http_client *client;
    struct http_server *server;
};

static void open_bench(struct bench *b, server_handler handler, void *arg)
{
    assert_int_equal(inf_context_create(&b->ctx, NULL, NULL), INF_OK);
    assert_int_equal(http_client_get(&b->client, b->ctx, NULL), INF_OK);
    b->server = handler ? server_start(handler, arg) : NULL;
}

static void close_client(struct bench *b)
{
    http_client_release(b->client);
    assert_int_equal(inf_context_close(b->ctx, NULL), INF_OK);
}

static void close_bench(struct bench *b)
{
    close_client(b);
    if (b->server)
        server_stop(b->server);
    assert_int_equal(mem_live(), 0);
}

/* ------------------------------------------------------------------ requests and answers */

struct heard {
    char head[4096];
    char body[4096];
};

static bool hello(struct server_conn *conn, const struct server_request *r, void *arg)
{
    struct heard *heard = arg;

    if (heard) {
        snprintf(heard->head, sizeof heard->head, "%s", r->head);
        snprintf(heard->body, sizeof heard->body, "%s", r->body);
    }
    conn_answer(conn, 200, "Content-Type: Text/Plain; charset=x\r\n", "hello");
    return true;
}

static void test_http__get_whole__body_head_and_type(void **state)
{
    struct bench b;
    struct heard heard;
    struct call call;

    (void)state;
    open_bench(&b, hello, &heard);
    call_init(&call, server_url(b.server, "/x?y=1"), false);
    call_run(&call, b.client);
    assert_int_equal(call.error.code, INF_OK);
    assert_int_equal(call.status, 200);
    assert_string_equal(call.type, "text/plain");
    assert_string_equal(call.body, "hello");
    assert_int_equal(call.attempts, 1);
    assert_true(call.sent);
    assert_non_null(strstr(heard.head, "GET /x?y=1 HTTP/1.1\r\n"));
    call_free(&call);
    close_bench(&b);
}

static void test_http__post__body_and_headers_as_given(void **state)
{
    struct bench b;
    struct heard heard;
    struct call call;
    struct http_headers *headers = NULL;
    struct http_headers *more = NULL;

    (void)state;
    open_bench(&b, hello, &heard);
    http_headers_create(&headers, NULL);
    assert_int_equal(http_headers_add(headers, "Authorization", "Bearer old", NULL), INF_OK);
    assert_int_equal(http_headers_add(headers, "X-Empty", "", NULL), INF_OK);
    http_headers_create(&more, NULL);
    assert_int_equal(http_headers_add_all(more, headers, NULL), INF_OK);
    assert_int_equal(http_headers_add(more, "authorization", "Bearer new", NULL), INF_OK);
    assert_int_equal(http_headers_add(more, "Content-Type", "application/json", NULL), INF_OK);
    call_init(&call, server_url(b.server, "/v1"), false);
    call_set_body(&call, "{\"a\":1}");
    call.request.headers = more;
    http_headers_unref(headers);
    call_start(&call, b.client);
    http_headers_unref(more);
    call_wait(&call);
    assert_int_equal(call.error.code, INF_OK);
    assert_string_equal(heard.body, "{\"a\":1}");
    assert_non_null(strstr(heard.head, "POST /v1 HTTP/1.1\r\n"));
    assert_non_null(strstr(heard.head, "authorization: Bearer new\r\n"));
    assert_null(strstr(heard.head, "Bearer old"));
    assert_non_null(strstr(heard.head, "X-Empty:"));
    assert_non_null(strstr(heard.head, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(heard.head, "Content-Length: 7\r\n"));
    assert_null(strstr(heard.head, "Expect"));
    assert_null(strstr(heard.head, "urlencoded"));
    call_free(&call);
    close_bench(&b);
}

static void test_http__large_body__sent_whole_without_expect(void **state)
{
    struct bench b;
    struct heard heard;
    struct call call;
    size_t n = 3 << 20;
    char *body = malloc(n + 1);

    (void)state;
    memset(body, 'x', n);
    body[n] = '\0';
    open_bench(&b, hello, &heard);
    call_init(&call, server_url(b.server, "/v1"), false);
    call_set_body(&call, body);
    call_run(&call, b.client);
    assert_int_equal(call.error.code, INF_OK);
    assert_null(strstr(heard.head, "Expect"));
    assert_non_null(strstr(heard.head, "Content-Length: 3145728\r\n"));
    call_free(&call);
    free(body);
    close_bench(&b);
}

static void test_http__headers__what_would_break_a_request_is_refused(void **state)
{
    struct http_headers *h = NULL;
    inf_error err = {0};

    (void)state;
    http_headers_create(&h, NULL);
    assert_int_equal(http_headers_add(h, "X", "a\r\nY: b", &err), INF_ERROR_INVALID_ARGUMENT);
    assert_null(strstr(err.message, "Y: b"));
    assert_int_equal(http_headers_add(h, "X Y", "a", NULL), INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(http_headers_add(h, "", "a", NULL), INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(http_headers_add(h, "Host", "a", NULL), INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(http_headers_add(h, "content-LENGTH", "1", NULL), INF_ERROR_INVALID_ARGUMENT);
    http_headers_unref(h);
    assert_int_equal(mem_live(), 0);
}

static void test_http__bad_request__refused_at_the_start(void **state)
{
    struct bench b;
    struct call call;
    inf_error err = {0};

    (void)state;
    open_bench(&b, NULL, NULL);
    call_init(&call, "ftp://host/", false);
    call_set_body(&call, "x");
    assert_int_equal(http_start(NULL, b.client, &call.request, &err), INF_ERROR_INVALID_ARGUMENT);
    call.request.url = "http://127.0.0.1/";
    call.request.method = "GET /";
    assert_int_equal(http_start(NULL, b.client, &call.request, &err), INF_ERROR_INVALID_ARGUMENT);
    call.request.method = "GET";
    call.request.total_ms = 0;
    assert_int_equal(http_start(NULL, b.client, &call.request, &err), INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(call.dones, 0);
    mem_free(call.request.body); /* still ours */
    call_free(&call);
    close_bench(&b);
}

static bool stream_three(struct server_conn *conn, const struct server_request *r, void *arg)
{
    (void)r;
    (void)arg;
    conn_begin_stream(conn);
    conn_chunk(conn, "one ");
    conn_chunk(conn, "two ");
    conn_chunk(conn, "three");
    conn_end_stream(conn);
    return true;
}

static void test_http__stream__head_then_bytes_then_done(void **state)
{
    struct bench b;
    struct call call;

    (void)state;
    open_bench(&b, stream_three, NULL);
    call_init(&call, server_url(b.server, "/"), true);
    call_run(&call, b.client);
    assert_int_equal(call.error.code, INF_OK);
    assert_int_equal(call.heads, 1);
    assert_int_equal(call.head.status, 200);
    assert_string_equal(call.head_type, "text/event-stream");
    assert_string_equal(call.data, "one two three");
    assert_int_equal(call.body_len, 0);
    assert_true(call.delivered);
    assert_int_equal(call.dones, 1);
    call_free(&call);
    close_bench(&b);
}

static void test_http__owner_stops__its_error_ends_the_exchange(void **state)
{
    struct bench b;
    struct call call;

    (void)state;
    open_bench(&b, stream_three, NULL);
    call_init(&call, server_url(b.server, "/"), true);
    call.answer_data = INF_ERROR_PROTOCOL;
    call.request.max_retries = 2;
    call_run(&call, b.client);
    assert_int_equal(call.error.code, INF_ERROR_PROTOCOL);
    assert_string_equal(call.error.message, "the owner says no");
    assert_int_equal(call.datas, 1);
    call_free(&call);
    call_init(&call, server_url(b.server, "/"), true);
    call.answer_head = INF_ERROR_BACKEND;
    call_run(&call, b.client);
    assert_int_equal(call.error.code, INF_ERROR_BACKEND);
    assert_int_equal(call.datas, 0);
    call_free(&call);
    close_bench(&b);
}

static bool endless(struct server_conn *conn, const struct server_request *r, void *arg)
{
    (void)r;
    (void)arg;
    conn_begin_stream(conn);
    conn_chunk(conn, "enough");
    conn_wait_closed(conn, 10000);
    return false;
}

static void run_until_enough(struct bench *b)
{
    struct call call;

    call_init(&call, server_url(b->server, "/"), true);
    call.answer_data = HTTP_ENOUGH;
    call_run(&call, b->client);
    assert_int_equal(call.error.code, INF_OK);
    assert_int_equal(call.datas, 1);
    assert_int_equal(call.dones, 1);
    assert_true(call.sent && call.delivered);
    http_cancel(call.exchange); /* too late to mean anything */
    call_free(&call);
}

static void test_http__enough_and_the_server_lingers__the_connection_is_closed_later(void **state)
{
    struct bench b;

    (void)state;
    open_bench(&b, endless, NULL);
    run_until_enough(&b);
    assert_true(server_wait_closed(b.server, 1));
    close_bench(&b);
}

static void test_http__enough_and_the_client_closes__the_rest_is_given_up(void **state)
{
    struct bench b;

    (void)state;
    open_bench(&b, endless, NULL);
    for (int i = 0; i < 80; i++) /* more than are read away at once */
        run_until_enough(&b);
    close_client(&b);
    server_stop(b.server);
    assert_int_equal(mem_live(), 0);
}

struct lingering {
    sem_t told, ended;
};

/* Ends its first answer only when the client's owner has been told that it is over. */
static bool end_once_told(struct server_conn *conn, const struct server_request *r, void *arg)
{
    struct lingering *l = arg;

    if (r->number > 1) {
        conn_answer(conn, 200, "", "next");
        return true;
    }
    conn_begin_stream(conn);
    conn_chunk(conn, "enough");
    sem_wait(&l->told);
    conn_chunk(conn, "more that nobody wants");
    conn_end_stream(conn);
    sem_post(&l->ended);
    return true;
}

static void test_http__enough__told_at_once_and_the_rest_is_read_away(void **state)
{
    struct lingering l;
    struct bench b;
    struct call call;

    (void)state;
    sem_init(&l.told, 0, 0);
    sem_init(&l.ended, 0, 0);
    open_bench(&b, end_once_told, &l);
    call_init(&call, server_url(b.server, "/"), true);
    call.answer_data = HTTP_ENOUGH;
    call_run(&call, b.client);
    assert_int_equal(call.error.code, INF_OK);
    sem_post(&l.told);
    sem_wait(&l.ended);
    assert_int_equal(call.datas, 1);
    call_free(&call);
    sleep_ms(500); /* its end is to arrive */
    call_init(&call, server_url(b.server, "/"), false);
    call_run(&call, b.client);
    assert_string_equal(call.body, "next");
    call_free(&call);
    assert_int_equal(server_connections(b.server), 1); /* still there: it was told before its end */
    close_bench(&b);
    sem_destroy(&l.told);
    sem_destroy(&l.ended);
}

static void test_http__enough_and_the_answer_ends__connection_reused(void **state)
{
    struct bench b;

    (void)state;
    open_bench(&b, stream_three, NULL);
    for (int i = 0; i < 20; i++) {
        run_until_enough(&b);
        sleep_ms(10); /* for the rest, mostly; a request that comes before it takes another one */
    }
    assert_true(server_connections(b.server) < 10);
    close_bench(&b);
}

/* ------------------------------------------------------------------ connections */

static void test_http__requests_in_turn__one_connection(void **state)
{
    struct bench b;

    (void)state;
    open_bench(&b, hello, NULL);
    for (int i = 0; i < 20; i++) {
        struct call call;

        call_init(&call, server_url(b.server, "/"), i % 2);
        if (i % 3 == 0)
            call_set_body(&call, "x");
        call_run(&call, b.client);
        assert_int_equal(call.error.code, INF_OK);
        call_free(&call);
    }
    assert_int_equal(server_connections(b.server), 1);
    assert_int_equal(server_requests(b.server), 20);
    close_bench(&b);
}

static bool one_each(struct server_conn *conn, const struct server_request *r, void *arg)
{
    hello(conn, r, arg);
    return false; /* although nothing said so */
}

static void test_http__kept_connection_was_closed__asked_again_on_a_new_one(void **state)
{
    struct bench b;

    (void)state;
    open_bench(&b, one_each, NULL);
    for (int i = 0; i < 5; i++) {
        struct call call;

        call_init(&call, server_url(b.server, "/"), true);
        call_set_body(&call, "x");
        call_run(&call, b.client);
        assert_int_equal(call.error.code, INF_OK);
        call_free(&call);
    }
    assert_int_equal(server_requests(b.server), 5);
    close_bench(&b);
}

static bool close_second(struct server_conn *conn, const struct server_request *r, void *arg)
{
    if (r->on_connection > 1)
        return false; /* read, and no word */
    return hello(conn, r, arg);
}

static void test_http__only_unsent__not_repeated_by_anyone_once_it_was_sent(void **state)
{
    struct bench b;
    struct call first;
    struct call call;

    (void)state;
    open_bench(&b, close_second, NULL);
    call_init(&first, server_url(b.server, "/"), false);
    call_run(&first, b.client);
    call_free(&first);
    /* On a kept connection libcurl would send it again: so it gets a new one. */
    for (int i = 0; i < 3; i++) {
        call_init(&call, server_url(b.server, "/"), false);
        call_set_body(&call, "load");
        call.request.retry = HTTP_RETRY_UNSENT;
        call.request.max_retries = 2;
        call_run(&call, b.client);
        assert_int_equal(call.error.code, INF_OK);
        assert_int_equal(call.attempts, 1);
        call_free(&call);
    }
    assert_int_equal(server_requests(b.server), 4);
    assert_int_equal(server_connections(b.server), 4);
    close_bench(&b);
}

static bool no_word(struct server_conn *conn, const struct server_request *r, void *arg)
{
    (void)conn;
    (void)r;
    (void)arg;
    return false;
}

static void test_http__only_unsent_and_no_answer__error_that_says_it_was_sent(void **state)
{
    struct bench b;
    struct call call;

    (void)state;
    open_bench(&b, no_word, NULL);
    call_init(&call, server_url(b.server, "/"), false);
    call_set_body(&call, "load");
    call.request.retry = HTTP_RETRY_UNSENT;
    call.request.max_retries = 2;
    call_run(&call, b.client);
    assert_int_equal(call.error.code, INF_ERROR_CONNECTION);
    assert_true(call.sent);
    assert_int_equal(call.attempts, 1);
    assert_int_equal(server_requests(b.server), 1);
    call_free(&call);
    close_bench(&b);
}

/* A port that nobody listens on. */
static int free_port(void)
{
    struct http_server *s = server_start(hello, NULL);
    int port = server_port(s);

    server_stop(s);
    return port;
}

static void test_http__refused__connection_error_with_errno_and_nothing_sent(void **state)
{
    struct bench b;
    struct call call;
    char url[64];

    (void)state;
    open_bench(&b, NULL, NULL);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1", free_port());
    call_init(&call, url, true);
    call_set_body(&call, "x");
    call_run(&call, b.client);
    assert_int_equal(call.error.code, INF_ERROR_CONNECTION);
    assert_int_equal(call.error.detail, ECONNREFUSED);
    assert_non_null(strstr(call.error.message, url));
    assert_non_null(strstr(call.error.message, "refused"));
    assert_false(call.sent);
    assert_int_equal(call.status, 0);
    call_free(&call);
    close_bench(&b);
}

static void test_http__refused_and_only_unsent__tried_again(void **state)
{
    struct bench b;
    struct call call;
    char url[64];

    (void)state;
    open_bench(&b, NULL, NULL);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1", free_port());
    call_init(&call, url, false);
    call_set_body(&call, "load");
    call.request.retry = HTTP_RETRY_UNSENT;
    call.request.max_retries = 1;
    call_run(&call, b.client);
    assert_int_equal(call.error.code, INF_ERROR_CONNECTION);
    assert_int_equal(call.attempts, 2);
    assert_false(call.sent);
    call_free(&call);
    close_bench(&b);
}

/* ------------------------------------------------------------------ names */

static void test_http__localhost__needs_no_lookup(void **state)
{
    struct bench b;
    struct call call;
    char url[64];

    (void)state;
    open_bench(&b, hello, NULL);
    snprintf(url, sizeof url, "http://LocalHost:%d/", server_port(b.server));
    call_init(&call, url, false);
    call_run(&call, b.client);
    assert_int_equal(call.error.code, INF_OK);
    call_free(&call);
    close_bench(&b);
}

static void test_http__unknown_host__connection_error_that_names_it(void **state)
{
    /* A label longer than 63 bytes: no name server is asked. */
    static const char host[] =
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.invalid";
    struct bench b;
    struct call call;
    char url[128];

    (void)state;
    open_bench(&b, NULL, NULL);
    snprintf(url, sizeof url, "http://%s/v1", host);
    for (int i = 0; i < 2; i++) {
        call_init(&call, url, false);
        call.request.max_retries = i;
        call_run(&call, b.client);
        assert_int_equal(call.error.code, INF_ERROR_CONNECTION);
        assert_non_null(strstr(call.error.message, host));
        assert_int_equal(call.attempts, 1 + i);
        assert_false(call.sent);
        call_free(&call);
    }
    close_bench(&b);
}

static int count_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    int n = 0;

    while (tasks && readdir(tasks))
        n++;
    if (tasks)
        closedir(tasks);
    return n;
}

/* A name of this machine that has 127.0.0.0/8 among its addresses, and needs a lookup. */
static bool local_name(char *name, size_t size)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    bool found = false;

    if (gethostname(name, size) != 0 || getaddrinfo(name, NULL, &hints, &list) != 0)
        return false;
    found = strspn(name, "0123456789.") < strlen(name);
    freeaddrinfo(list);
    return found;
}

enum { MANY = 200 };

static void test_http__many_to_a_name__one_lookup_and_no_thread_each(void **state)
{
    struct bench b;
    struct call *calls = calloc(MANY, sizeof *calls);
    char name[128];
    char url[256];
    int before = 0;

    (void)state;
    if (!local_name(name, sizeof name)) {
        free(calls);
        skip(); /* which does not return */
        return;
    }
    open_bench(&b, NULL, NULL);
    /* Port 1: what matters is that the name was found, and by whom. */
    snprintf(url, sizeof url, "http://%s:1/", name);
    call_init(&calls[0], url, false);
    call_run(&calls[0], b.client);
    assert_int_equal(calls[0].error.detail, ECONNREFUSED);
    call_free(&calls[0]);
    before = count_threads();
    for (int i = 0; i < MANY; i++) {
        call_init(&calls[i], url, false);
        call_start(&calls[i], b.client);
    }
    assert_true(count_threads() <= before + 4);
    for (int i = 0; i < MANY; i++) {
        call_wait(&calls[i]);
        assert_int_equal(calls[i].error.detail, ECONNREFUSED);
        call_free(&calls[i]);
    }
    assert_true(count_threads() <= before + 4);
    free(calls);
    close_bench(&b);
}

/* ------------------------------------------------------------------ cancel and close */

static bool until_closed(struct server_conn *conn, const struct server_request *r, void *arg)
{
    atomic_int *closed = arg;

    (void)r;
    conn_begin_stream(conn);
    conn_chunk(conn, "first");
    if (conn_wait_closed(conn, 10000))
        atomic_fetch_add(closed, 1);
    return false;
}

static void test_http__cancel_a_stream__done_once_and_the_server_sees_it(void **state)
{
    struct bench b;
    struct call call;
    atomic_int closed = 0;

    (void)state;
    open_bench(&b, until_closed, &closed);
    call_init(&call, server_url(b.server, "/"), true);
    call_start(&call, b.client);
    call_wait_data(&call, 5);
    http_cancel(call.exchange);
    http_cancel(call.exchange);
    call_wait(&call);
    assert_int_equal(call.error.code, INF_ERROR_CANCELLED);
    assert_int_equal(call.dones, 1);
    assert_true(call.sent);
    assert_true(server_wait_closed(b.server, 1));
    assert_int_equal(atomic_load(&closed), 1);
    http_cancel(call.exchange);
    assert_int_equal(call.dones, 1);
    call_free(&call);
    close_bench(&b);
}

static bool stream_or_hello(struct server_conn *conn, const struct server_request *r, void *arg)
{
    return strcmp(r->path, "/stream") == 0 ? until_closed(conn, r, arg) : hello(conn, r, NULL);
}

static void test_http__cancel_one__its_neighbour_goes_on(void **state)
{
    struct bench b;
    struct call doomed, other;
    atomic_int closed = 0;

    (void)state;
    open_bench(&b, stream_or_hello, &closed);
    call_init(&doomed, server_url(b.server, "/stream"), true);
    call_init(&other, server_url(b.server, "/stream"), true);
    call_start(&doomed, b.client);
    call_start(&other, b.client);
    call_wait_data(&doomed, 5);
    call_wait_data(&other, 5);
    http_cancel(doomed.exchange);
    call_wait(&doomed);
    assert_true(server_wait_closed(b.server, 1));
    assert_int_equal(other.dones, 0);
    http_cancel(other.exchange);
    call_wait(&other);
    call_free(&doomed);
    call_free(&other);
    close_bench(&b);
}

static void test_http__cancel_at_every_moment__done_exactly_once(void **state)
{
    struct bench b;

    (void)state;
    open_bench(&b, stream_three, NULL);
    for (int i = 0; i < 200; i++) {
        struct call call;

        call_init(&call, server_url(b.server, "/"), i % 2);
        call_start(&call, b.client);
        for (volatile int spin = 0; spin < i * 200; spin++)
            ;
        http_cancel(call.exchange);
        call_wait(&call);
        assert_int_equal(call.dones, 1);
        assert_true(call.error.code == INF_OK || call.error.code == INF_ERROR_CANCELLED);
        call_free(&call);
    }
    close_bench(&b);
}

static void test_http__cancel_while_it_waits_to_retry__ends_at_once(void **state)
{
    struct bench b;
    struct call call;
    char url[64];

    (void)state;
    open_bench(&b, NULL, NULL);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1", free_port());
    call_init(&call, url, true);
    call.request.max_retries = 100;
    call_start(&call, b.client);
    sleep_ms(50);
    http_cancel(call.exchange);
    call_wait(&call);
    assert_int_equal(call.error.code, INF_ERROR_CANCELLED);
    assert_int_equal(call.attempts, 1);
    call_free(&call);
    close_bench(&b);
}

static void test_http__handle_released_in_flight__done_still_comes(void **state)
{
    struct bench b;
    struct call call;

    (void)state;
    open_bench(&b, hello, NULL);
    call_init(&call, server_url(b.server, "/"), false);
    call_start(&call, b.client);
    http_exchange_release(call.exchange);
    call.exchange = NULL;
    call_wait(&call);
    assert_int_equal(call.error.code, INF_OK);
    call_free(&call);
    close_bench(&b);
}

static void test_http__closing_with_exchanges_in_flight__each_ends_cancelled(void **state)
{
    enum { N = 20 };
    struct bench b;
    struct call calls[N];
    atomic_int closed = 0;

    (void)state;
    open_bench(&b, until_closed, &closed);
    for (int i = 0; i < N; i++) {
        call_init(&calls[i], server_url(b.server, "/"), true);
        call_start(&calls[i], b.client);
    }
    for (int i = 0; i < N / 2; i++)
        call_wait_data(&calls[i], 5);
    close_client(&b);
    for (int i = 0; i < N; i++) {
        assert_int_equal(calls[i].dones, 1);
        assert_int_equal(calls[i].error.code, INF_ERROR_CANCELLED);
        http_cancel(calls[i].exchange); /* late, and harmless */
        call_free(&calls[i]);
    }
    server_stop(b.server);
    assert_int_equal(mem_live(), 0);
}

/* A callback that starts the next one. */
struct chain {
    struct call last;
    struct http_client *client;
    struct http_request next;
    int left;
    int32_t refused;
};

static void chain_done(void *owner, const struct http_outcome *outcome)
{
    struct chain *chain = owner;

    (void)outcome;
    if (chain->left-- > 0) {
        chain->refused = http_start(NULL, chain->client, &chain->next, NULL);
        return;
    }
    pthread_mutex_lock(&chain->last.lock);
    chain->last.dones = 1;
    pthread_cond_broadcast(&chain->last.changed);
    pthread_mutex_unlock(&chain->last.lock);
}

static void test_http__started_in_a_callback__runs(void **state)
{
    static const struct http_callbacks callbacks = {.on_done = chain_done};
    struct bench b;
    struct chain chain = {.left = 50};

    (void)state;
    open_bench(&b, hello, NULL);
    call_init(&chain.last, server_url(b.server, "/"), false);
    chain.next = chain.last.request;
    chain.next.callbacks = &callbacks;
    chain.next.owner = &chain;
    chain.client = b.client;
    assert_int_equal(http_start(NULL, b.client, &chain.next, NULL), INF_OK);
    call_wait(&chain.last);
    assert_int_equal(server_requests(b.server), 51);
    assert_int_equal(server_connections(b.server), 1);
    call_free(&chain.last);
    close_bench(&b);
}

static void test_http__one_client_a_context__shared_and_refused_after_close(void **state)
{
    inf_context *ctx = NULL;
    struct http_client *one = NULL;
    struct http_client *two = NULL;

    (void)state;
    assert_int_equal(inf_context_create(&ctx, NULL, NULL), INF_OK);
    assert_int_equal(http_client_get(&one, ctx, NULL), INF_OK);
    assert_int_equal(http_client_get(&two, ctx, NULL), INF_OK);
    assert_ptr_equal(one, two);
    http_client_release(one);
    http_client_release(two);
    assert_int_equal(inf_context_close(ctx, NULL), INF_OK);
    assert_int_equal(mem_live(), 0);
}

static bool signal_seen(const char *task)
{
    char path[320];
    char line[256];
    char name[64] = "";
    unsigned long long blocked = 0;
    FILE *file = NULL;

    snprintf(path, sizeof path, "/proc/self/task/%s/status", task);
    file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        sscanf(line, "Name: %63s", name);
        sscanf(line, "SigBlk: %llx", &blocked);
    }
    if (file)
        fclose(file);
    return strcmp(name, "inf-http") == 0 && !(blocked & (1ull << (SIGTERM - 1)));
}

static void test_http__io_thread__blocks_signals(void **state)
{
    struct bench b;
    struct call call;
    DIR *tasks = NULL;
    struct dirent *entry = NULL;

    (void)state;
    open_bench(&b, hello, NULL);
    call_init(&call, server_url(b.server, "/"), false);
    call_run(&call, b.client);
    tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    while ((entry = readdir(tasks)))
        assert_false(signal_seen(entry->d_name));
    closedir(tasks);
    call_free(&call);
    close_bench(&b);
}

static void test_http__out_of_memory_anywhere__an_error_and_no_leak(void **state)
{
    int64_t nth = 1;
    bool failed = true;

    (void)state;
    for (; failed; nth++) {
        struct bench b = {0};
        struct call call;
        inf_error err = {0};
        int32_t code = INF_OK;

        assert_true(nth < 60);
        b.server = server_start(hello, NULL);
        call_init(&call, server_url(b.server, "/"), false);
        call_set_body(&call, "x");
        mem_fail_nth(nth);
        code = inf_context_create(&b.ctx, NULL, &err);
        if (code == INF_OK)
            code = http_client_get(&b.client, b.ctx, &err);
        if (code == INF_OK)
            code = http_start(&call.exchange, b.client, &call.request, &err);
        if (code == INF_OK) {
            call_wait(&call);
            code = call.error.code;
        } else {
            mem_free(call.request.body);
        }
        failed = code != INF_OK;
        mem_fail_nth(0);
        if (failed)
            assert_int_equal(code, INF_ERROR_NO_MEMORY);
        call_free(&call);
        close_bench(&b);
    }
    assert_true(nth > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http__get_whole__body_head_and_type),
        cmocka_unit_test(test_http__post__body_and_headers_as_given),
        cmocka_unit_test(test_http__large_body__sent_whole_without_expect),
        cmocka_unit_test(test_http__headers__what_would_break_a_request_is_refused),
        cmocka_unit_test(test_http__bad_request__refused_at_the_start),
        cmocka_unit_test(test_http__stream__head_then_bytes_then_done),
        cmocka_unit_test(test_http__owner_stops__its_error_ends_the_exchange),
        cmocka_unit_test(test_http__enough_and_the_server_lingers__the_connection_is_closed_later),
        cmocka_unit_test(test_http__enough_and_the_client_closes__the_rest_is_given_up),
        cmocka_unit_test(test_http__enough__told_at_once_and_the_rest_is_read_away),
        cmocka_unit_test(test_http__enough_and_the_answer_ends__connection_reused),
        cmocka_unit_test(test_http__requests_in_turn__one_connection),
        cmocka_unit_test(test_http__kept_connection_was_closed__asked_again_on_a_new_one),
        cmocka_unit_test(test_http__only_unsent__not_repeated_by_anyone_once_it_was_sent),
        cmocka_unit_test(test_http__only_unsent_and_no_answer__error_that_says_it_was_sent),
        cmocka_unit_test(test_http__refused__connection_error_with_errno_and_nothing_sent),
        cmocka_unit_test(test_http__refused_and_only_unsent__tried_again),
        cmocka_unit_test(test_http__localhost__needs_no_lookup),
        cmocka_unit_test(test_http__unknown_host__connection_error_that_names_it),
        cmocka_unit_test(test_http__many_to_a_name__one_lookup_and_no_thread_each),
        cmocka_unit_test(test_http__cancel_a_stream__done_once_and_the_server_sees_it),
        cmocka_unit_test(test_http__cancel_one__its_neighbour_goes_on),
        cmocka_unit_test(test_http__cancel_at_every_moment__done_exactly_once),
        cmocka_unit_test(test_http__cancel_while_it_waits_to_retry__ends_at_once),
        cmocka_unit_test(test_http__handle_released_in_flight__done_still_comes),
        cmocka_unit_test(test_http__closing_with_exchanges_in_flight__each_ends_cancelled),
        cmocka_unit_test(test_http__started_in_a_callback__runs),
        cmocka_unit_test(test_http__one_client_a_context__shared_and_refused_after_close),
        cmocka_unit_test(test_http__io_thread__blocks_signals),
        cmocka_unit_test(test_http__out_of_memory_anywhere__an_error_and_no_leak),
    };

    setenv("no_proxy", "*", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
