/*
 * http faults: what a broken, slow or hostile server does to an exchange. Each ends in the right
 * error, in time, and the client serves the next one.
 */
#include "http_calls.h"
#include "http_server.h"

#include "core/clock.h"
#include "core/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

struct bench {
    inf_context *ctx;
    struct http_client *client;
    struct http_server *server;
};

static bool misbehave(struct server_conn *conn, const struct server_request *r, void *arg);

static int open_bench(void **state)
{
    struct bench *b = calloc(1, sizeof *b);

    assert_int_equal(inf_context_create(&b->ctx, NULL, NULL), INF_OK);
    assert_int_equal(http_client_get(&b->client, b->ctx, NULL), INF_OK);
    b->server = server_start(misbehave, NULL);
    *state = b;
    return 0;
}

static int close_bench(void **state)
{
    struct bench *b = *state;

    http_client_release(b->client);
    assert_int_equal(inf_context_close(b->ctx, NULL), INF_OK);
    server_stop(b->server);
    free(b);
    assert_int_equal(mem_live(), 0);
    return 0;
}

/* ------------------------------------------------------------------ the server's repertoire */

static void many_bytes(struct server_conn *conn, size_t n)
{
    static char block[65536];

    memset(block, 'x', sizeof block);
    for (size_t sent = 0; sent < n; sent += sizeof block)
        conn_send(conn, block, sizeof block);
}

/* The nth request of a path, from 1. */
static int count(const char *path)
{
    static struct {
        char path[256];
        int n;
    } seen[64];
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    int n = 0;

    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < 64 && !n; i++) {
        if (!seen[i].path[0])
            snprintf(seen[i].path, sizeof seen[i].path, "%s", path);
        if (strcmp(seen[i].path, path) == 0)
            n = ++seen[i].n;
    }
    pthread_mutex_unlock(&lock);
    return n;
}

static bool answer_late(struct server_conn *conn, const char *path)
{
    if (strcmp(path, "/silent-head") == 0) {
        conn_wait_closed(conn, 10000);
    } else if (strcmp(path, "/silent-body") == 0) {
        conn_begin_stream(conn);
        conn_chunk(conn, "then nothing");
        conn_wait_closed(conn, 10000);
    } else if (strcmp(path, "/late-body") == 0) {
        conn_begin_stream(conn);
        sleep_ms(400);
        conn_chunk(conn, "late");
        conn_end_stream(conn);
        return true;
    } else if (strcmp(path, "/drip") == 0) {
        conn_begin_stream(conn);
        for (int i = 0; i < 100 && !conn_wait_closed(conn, 50); i++)
            conn_chunk(conn, "x");
    }
    return false;
}

static bool break_head(struct server_conn *conn, const char *path)
{
    if (strcmp(path, "/no-answer") == 0) {
        return false;
    } else if (strcmp(path, "/reset-at-once") == 0) {
        conn_reset(conn);
    } else if (strcmp(path, "/reset-mid-header") == 0) {
        conn_say(conn, "HTTP/1.1 200 OK\r\nContent-Type: te");
        sleep_ms(20);
        conn_reset(conn);
    } else if (strcmp(path, "/cut-header") == 0) {
        conn_say(conn, "HTTP/1.1 200 OK\r\nContent-Type: te");
    } else if (strcmp(path, "/garbage") == 0) {
        conn_say(conn, "SSH-2.0-OpenSSH_9.2\r\n\r\n");
    } else if (strcmp(path, "/http09") == 0) {
        conn_say(conn, "<html>hello</html>");
    } else if (strcmp(path, "/endless-head") == 0) {
        conn_say(conn, "HTTP/1.1 200 OK\r\n");
        for (int i = 0; i < 5000 && !conn_wait_closed(conn, 0); i++)
            conn_say(conn, "X-Number-%d: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
                     i);
    } else if (strcmp(path, "/long-header") == 0) {
        conn_say(conn, "HTTP/1.1 200 OK\r\nX: ");
        many_bytes(conn, 1 << 20);
    } else if (strcmp(path, "/gzip") == 0) {
        conn_answer(conn, 200, "Content-Encoding: gzip\r\n", "\x1f\x8b");
    }
    return false;
}

static bool break_body(struct server_conn *conn, const char *path)
{
    if (strcmp(path, "/reset-mid-stream") == 0) {
        conn_begin_stream(conn);
        conn_chunk(conn, "some");
        sleep_ms(20);
        conn_reset(conn);
    } else if (strcmp(path, "/end-mid-stream") == 0) {
        conn_begin_stream(conn);
        conn_chunk(conn, "some");
    } else if (strcmp(path, "/short") == 0) {
        conn_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
    } else if (strcmp(path, "/long") == 0) {
        conn_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nthisand more");
        sleep_ms(20);
    } else if (strcmp(path, "/bad-chunk") == 0) {
        conn_say(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nthis\r\n");
    } else if (strcmp(path, "/huge") == 0) {
        conn_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n");
        many_bytes(conn, 10 << 20);
    } else if (strcmp(path, "/huge-error") == 0) {
        conn_say(conn, "HTTP/1.1 500 No\r\nContent-Type: text/html\r\n\r\n");
        many_bytes(conn, 10 << 20);
    } else if (strcmp(path, "/cut-error") == 0) {
        conn_say(conn, "HTTP/1.1 400 No\r\nContent-Length: 100\r\n\r\n{\"error\":");
    } else if (strcmp(path, "/until-close") == 0) {
        conn_say(conn, "HTTP/1.0 200 OK\r\n\r\nall of it");
    }
    return false;
}

/* "/status/503", "/flaky/503": that status for the first two requests, then hello. */
static bool answer_status(struct server_conn *conn, const struct server_request *r)
{
    const char *slash = strrchr(r->path, '/');
    bool flaky = strncmp(r->path, "/flaky", 6) == 0;
    const char *headers = strstr(r->path, "after-ms") ? "Retry-After: 40\r\nRetry-After-Ms: 10\r\n"
                          : strstr(r->path, "after")  ? "Retry-After: 1\r\n"
                          : strstr(r->path, "date")
                              ? "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n"
                              : "Content-Type: application/json\r\n";

    if (flaky && count(r->path) > 2)
        conn_answer(conn, 200, "", "hello");
    else
        conn_answer(conn, atoi(slash + 1), headers, "{\"error\":\"no\"}");
    return true;
}

static bool misbehave(struct server_conn *conn, const struct server_request *r, void *arg)
{
    (void)arg;
    if (strncmp(r->path, "/status", 7) == 0 || strncmp(r->path, "/flaky", 6) == 0)
        return answer_status(conn, r);
    if (strcmp(r->path, "/hello") == 0) {
        conn_answer(conn, 200, "", "hello");
        return true;
    }
    if (strcmp(r->path, "/redirect") == 0) {
        conn_answer(conn, 307, "Location: https://me:pw@other.example/v1?key=secret\r\n", "");
        return true;
    }
    if (strcmp(r->path, "/continue") == 0) {
        conn_say(conn, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
        conn_answer(conn, 200, "", "hello");
        return true;
    }
    break_head(conn, r->path);
    break_body(conn, r->path);
    return answer_late(conn, r->path);
}

/* ------------------------------------------------------------------ helpers */

static void still_serves(struct bench *b)
{
    struct call call;

    call_init(&call, server_url(b->server, "/hello"), false);
    call_run(&call, b->client);
    assert_int_equal(call.error.code, INF_OK);
    assert_string_equal(call.body, "hello");
    call_free(&call);
}

/* A stream from `path` ends with this error, having delivered this; no retries. */
static void expect_stream(struct bench *b, const char *path, int32_t code, const char *data)
{
    struct call call;

    call_init(&call, server_url(b->server, path), true);
    call_run(&call, b->client);
    if (call.error.code != code)
        fail_msg("%s: %d %s", path, call.error.code, call.error.message);
    assert_string_equal(call.data ? call.data : "", data);
    assert_int_equal(call.dones, 1);
    if (code != INF_OK)
        assert_non_null(strstr(call.error.message, path));
    call_free(&call);
    still_serves(b);
}

/* ------------------------------------------------------------------ heads and bodies */

static void test_fault__no_answer_or_reset__connection_error(void **state)
{
    expect_stream(*state, "/no-answer", INF_ERROR_CONNECTION, "");
    expect_stream(*state, "/reset-at-once", INF_ERROR_CONNECTION, "");
    expect_stream(*state, "/reset-mid-header", INF_ERROR_CONNECTION, "");
}

static void test_fault__stream_breaks__what_came_was_delivered_then_an_error(void **state)
{
    expect_stream(*state, "/reset-mid-stream", INF_ERROR_CONNECTION, "some");
    expect_stream(*state, "/end-mid-stream", INF_ERROR_PROTOCOL, "some");
    expect_stream(*state, "/short", INF_ERROR_PROTOCOL, "only this");
}

static void test_fault__no_http__protocol_error(void **state)
{
    expect_stream(*state, "/garbage", INF_ERROR_PROTOCOL, "");
    expect_stream(*state, "/http09", INF_ERROR_PROTOCOL, "");
}

static void test_fault__head_without_end__protocol_error_in_bounded_memory(void **state)
{
    expect_stream(*state, "/endless-head", INF_ERROR_PROTOCOL, "");
}

static void test_fault__header_of_a_megabyte__an_error(void **state)
{
    struct bench *b = *state;
    struct call call;

    call_init(&call, server_url(b->server, "/long-header"), true);
    call_run(&call, b->client);
    assert_true(call.error.code == INF_ERROR_PROTOCOL || call.error.code == INF_ERROR_NO_MEMORY);
    call_free(&call);
    still_serves(b);
}

static void test_fault__cut_in_the_head__an_error(void **state)
{
    struct bench *b = *state;
    struct call call;

    call_init(&call, server_url(b->server, "/cut-header"), true);
    call_run(&call, b->client);
    assert_int_not_equal(call.error.code, INF_OK);
    assert_int_equal(call.heads, 0);
    call_free(&call);
    still_serves(b);
}

static void test_fault__wrong_chunks__an_error_and_nothing_delivered(void **state)
{
    struct bench *b = *state;
    struct call call;

    call_init(&call, server_url(b->server, "/bad-chunk"), true);
    call_run(&call, b->client);
    assert_int_not_equal(call.error.code, INF_OK);
    assert_int_equal(call.data_len, 0);
    call_free(&call);
    still_serves(b);
}

static void test_fault__more_than_content_length__the_rest_is_not_the_next_answer(void **state)
{
    expect_stream(*state, "/long", INF_OK, "this");
}

static void test_fault__compressed_unasked__protocol_error(void **state)
{
    struct bench *b = *state;
    struct call call;

    call_init(&call, server_url(b->server, "/gzip"), true);
    call_run(&call, b->client);
    assert_int_equal(call.error.code, INF_ERROR_PROTOCOL);
    assert_non_null(strstr(call.error.message, "gzip"));
    call_free(&call);
    still_serves(b);
}

static void test_fault__answer_until_close__is_an_answer(void **state)
{
    expect_stream(*state, "/until-close", INF_OK, "all of it");
}

static void test_fault__interim_answer__skipped(void **state)
{
    struct bench *b = *state;
    struct call call;

    call_init(&call, server_url(b->server, "/continue"), true);
    call_run(&call, b->client);
    assert_int_equal(call.error.code, INF_OK);
    assert_int_equal(call.heads, 1);
    assert_int_equal(call.head.status, 200);
    assert_string_equal(call.data, "hello");
    call_free(&call);
}

/* ------------------------------------------------------------------ sizes */

static void test_fault__whole_body_beyond_the_cap__limit(void **state)
{
    struct bench *b = *state;
    struct call call;

    call_init(&call, server_url(b->server, "/huge"), false);
    call.request.body_max = 1 << 20;
    call_run(&call, b->client);
    assert_int_equal(call.error.code, INF_ERROR_LIMIT);
    assert_int_equal(call.error.detail, 1 << 20);
    assert_true(call.body_len <= 1 << 20);
    call_free(&call);
    call_init(&call, server_url(b->server, "/huge"), false);
    call_run(&call, b->client);
    assert_int_equal(call.error.code, INF_OK);
    assert_int_equal(call.body_len, 10 << 20);
    call_free(&call);
    still_serves(b);
}

static void test_fault__error_body_of_megabytes__cut_and_not_waited_for(void **state)
{
    struct bench *b = *state;
    struct call call;

    call_init(&call, server_url(b->server, "/huge-error"), true);
    call_run(&call, b->client);
    assert_int_equal(call.error.code, INF_ERROR_HTTP_STATUS);
    assert_int_equal(call.error.http_status, 500);
    assert_int_equal(call.body_len, HTTP_ERROR_BODY_MAX);
    call_free(&call);
    still_serves(b);
}

/* ------------------------------------------------------------------ statuses */

static void test_fault__error_status__its_number_words_and_body(void **state)
{
    static const struct {
        const char *path, *words;
        int32_t status;
    } cases[] = {{"/status/400", "400 Bad Request", 400}, {"/status/401", "401 Unauthorized", 401},
                 {"/status/404", "404 Not Found", 404},   {"/status/422", "422", 422},
                 {"/status/429", "429 Too Many", 429},    {"/status/500", "500 Internal", 500},
                 {"/status/503", "503 Service", 503},     {"/status/599", "599", 599}};
    struct bench *b = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct call call;

        call_init(&call, server_url(b->server, cases[i].path), i % 2);
        call_run(&call, b->client);
        assert_int_equal(call.error.code, INF_ERROR_HTTP_STATUS);
        assert_int_equal(call.error.http_status, cases[i].status);
        assert_non_null(strstr(call.error.message, cases[i].words));
        assert_string_equal(call.body, "{\"error\":\"no\"}");
        assert_string_equal(call.type, "application/json");
        assert_int_equal(call.datas, 0);
        assert_int_equal(call.heads, 0);
        call_free(&call);
    }
}

static void test_fault__error_body_cut_short__still_the_status(void **state)
{
    struct bench *b = *state;
    struct call call;

    call_init(&call, server_url(b->server, "/cut-error"), true);
    call_run(&call, b->client);
    assert_int_equal(call.error.code, INF_ERROR_HTTP_STATUS);
    assert_int_equal(call.error.http_status, 400);
    assert_string_equal(call.body, "{\"error\":");
    call_free(&call);
}

static void test_fault__redirect__not_followed_and_named_without_secrets(void **state)
{
    struct bench *b = *state;
    struct call call;

    call_init(&call, server_url(b->server, "/redirect"), true);
    call_run(&call, b->client);
    assert_int_equal(call.error.code, INF_ERROR_HTTP_STATUS);
    assert_int_equal(call.error.http_status, 307);
    assert_non_null(strstr(call.error.message, "https://other.example/v1"));
    assert_null(strstr(call.error.message, "secret"));
    assert_null(strstr(call.error.message, "pw"));
    call_free(&call);
}

static void test_fault__password_in_the_url__sent_and_in_no_message(void **state)
{
    struct bench *b = *state;
    struct call call;
    char url[128];

    snprintf(url, sizeof url, "http://me:geheim@127.0.0.1:%d/status/404?token=geheim",
             server_port(b->server));
    call_init(&call, url, true);
    call_run(&call, b->client);
    assert_int_equal(call.error.code, INF_ERROR_HTTP_STATUS);
    assert_null(strstr(call.error.message, "geheim"));
    call_free(&call);
}

/* ------------------------------------------------------------------ retries */

static void expect_after_retries(struct bench *b, const char *path)
{
    struct call call;

    call_init(&call, server_url(b->server, path), true);
    call_set_body(&call, "x");
    call.request.max_retries = 2;
    call_run(&call, b->client);
    if (call.error.code != INF_OK)
        fail_msg("%s: %s", path, call.error.message);
    assert_int_equal(call.attempts, 3);
    assert_string_equal(call.data, "hello");
    call_free(&call);
}

static void test_retry__busy_or_broken_server__asked_again_and_answers(void **state)
{
    struct bench *b = *state;
    static const char *const paths[] = {"/flaky/after-ms/408", "/flaky/after-ms/409",
                                        "/flaky/after-ms/429", "/flaky/after-ms/500",
                                        "/flaky/after-ms/503"};

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        expect_after_retries(b, paths[i]);
}

static void test_retry__without_retry_after__waits_half_a_second_then_one(void **state)
{
    struct bench *b = *state;
    int64_t start = clock_us();

    expect_after_retries(b, "/flaky/date/503"); /* a date that is past: no help */
    /* 0.5 and 1 s, each less a quarter at most; nothing is said of how much longer. */
    assert_true(clock_us() - start >= 1100000);
}

static void test_retry__retry_after__waited_for(void **state)
{
    struct bench *b = *state;
    struct call call;
    int64_t start = clock_us();

    call_init(&call, server_url(b->server, "/status/after/503"), true);
    call.request.max_retries = 1;
    call_run(&call, b->client);
    assert_int_equal(call.attempts, 2);
    assert_int_equal(call.error.http_status, 503);
    assert_true(clock_us() - start >= 990000);
    call_free(&call);
}

static void test_retry__wait_beyond_the_timeout__the_error_comes_now(void **state)
{
    struct bench *b = *state;
    struct call call;

    call_init(&call, server_url(b->server, "/status/after/503"), true);
    call.request.max_retries = 2;
    call.request.total_ms = 800;
    call_run(&call, b->client);
    assert_int_equal(call.attempts, 1);
    assert_int_equal(call.error.http_status, 503);
    call_free(&call);
}

static void test_retry__client_errors__not_repeated(void **state)
{
    struct bench *b = *state;
    static const char *const paths[] = {"/status/400", "/status/401", "/status/404", "/status/422"};

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct call call;

        call_init(&call, server_url(b->server, paths[i]), true);
        call.request.max_retries = 2;
        call_run(&call, b->client);
        assert_int_equal(call.attempts, 1);
        call_free(&call);
    }
}

static void test_retry__load__no_status_repeats_it(void **state)
{
    struct bench *b = *state;
    struct call call;

    call_init(&call, server_url(b->server, "/status/503"), false);
    call_set_body(&call, "load");
    call.request.retry = HTTP_RETRY_UNSENT;
    call.request.max_retries = 2;
    call_run(&call, b->client);
    assert_int_equal(call.attempts, 1);
    assert_true(call.sent);
    call_free(&call);
}

static void test_retry__a_byte_was_delivered__never(void **state)
{
    struct bench *b = *state;
    static const char *const paths[] = {"/reset-mid-stream", "/end-mid-stream"};

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct call call;

        call_init(&call, server_url(b->server, paths[i]), true);
        call.request.max_retries = 2;
        call_run(&call, b->client);
        assert_int_equal(call.attempts, 1);
        assert_true(call.delivered);
        assert_string_equal(call.data, "some");
        call_free(&call);
    }
}

static void test_retry__lost_connection_before_any_byte__asked_again(void **state)
{
    struct bench *b = *state;
    struct call call;

    call_init(&call, server_url(b->server, "/no-answer"), true);
    call.request.max_retries = 1;
    call_run(&call, b->client);
    assert_int_equal(call.attempts, 2);
    assert_int_equal(call.error.code, INF_ERROR_CONNECTION);
    call_free(&call);
}

/* ------------------------------------------------------------------ time */

static void expect_timeout(struct call *call, struct bench *b, const char *words, int64_t detail)
{
    call_run(call, b->client);
    if (call->error.code != INF_ERROR_TIMEOUT)
        fail_msg("%d %s", call->error.code, call->error.message);
    assert_non_null(strstr(call->error.message, words));
    assert_int_equal(call->error.detail, detail);
    call_free(call);
    still_serves(b);
}

static void test_timeout__no_answer_within_the_whole_time__says_so(void **state)
{
    struct bench *b = *state;
    struct call call;

    call_init(&call, server_url(b->server, "/silent-head"), true);
    call.request.total_ms = 200;
    expect_timeout(&call, b, "within 200 ms", 200);
}

static void test_timeout__silence_in_the_body__what_came_was_delivered(void **state)
{
    struct bench *b = *state;
    struct call call;

    call_init(&call, server_url(b->server, "/silent-body"), true);
    call.request.silence_ms = 150;
    call.request.max_retries = 2;
    call_start(&call, b->client);
    call_wait_data(&call, 12);
    call_wait(&call);
    assert_string_equal(call.data, "then nothing");
    assert_int_equal(call.attempts, 1);
    assert_int_equal(call.error.code, INF_ERROR_TIMEOUT);
    assert_int_equal(call.error.detail, 150);
    assert_non_null(strstr(call.error.message, "nothing for 150 ms"));
    call_free(&call);
    still_serves(b);
}

static void test_timeout__silence_before_the_body__not_counted(void **state)
{
    struct bench *b = *state;
    struct call call;

    call_init(&call, server_url(b->server, "/late-body"), true);
    call.request.silence_ms = 150;
    call_run(&call, b->client);
    assert_int_equal(call.error.code, INF_OK);
    assert_string_equal(call.data, "late");
    call_free(&call);
}

static void test_timeout__a_byte_at_a_time__the_whole_time_ends_it(void **state)
{
    struct bench *b = *state;
    struct call call;

    call_init(&call, server_url(b->server, "/drip"), true);
    call.request.silence_ms = 3000;
    call.request.total_ms = 400;
    expect_timeout(&call, b, "within 400 ms", 400);
}

static void test_timeout__connecting__named_and_repeated(void **state)
{
    struct bench *b = *state;
    struct call call;

    /* TEST-NET-1: nobody answers; a network that says "unreachable" at once is fine too. */
    call_init(&call, "http://192.0.2.1:9/v1", true);
    call.request.connect_ms = 150;
    call.request.max_retries = 1;
    call_run(&call, b->client);
    assert_true(call.error.code == INF_ERROR_TIMEOUT || call.error.code == INF_ERROR_CONNECTION);
    if (call.error.code == INF_ERROR_TIMEOUT)
        assert_int_equal(call.error.detail, 150);
    assert_int_equal(call.attempts, 2);
    assert_false(call.sent);
    call_free(&call);
    still_serves(b);
}

static void test_timeout__tls_handshake_that_never_ends__counts_as_connecting(void **state)
{
    struct bench *b = *state;
    struct call call;
    char url[64];

    snprintf(url, sizeof url, "https://127.0.0.1:%d/", server_port(b->server));
    call_init(&call, url, true);
    call.request.connect_ms = 150;
    call_run(&call, b->client);
    assert_int_equal(call.error.code, INF_ERROR_TIMEOUT);
    assert_int_equal(call.error.detail, 150);
    assert_false(call.sent);
    call_free(&call);
    still_serves(b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_bench, close_bench)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_fault__no_answer_or_reset__connection_error),
        TEST(test_fault__stream_breaks__what_came_was_delivered_then_an_error),
        TEST(test_fault__no_http__protocol_error),
        TEST(test_fault__head_without_end__protocol_error_in_bounded_memory),
        TEST(test_fault__header_of_a_megabyte__an_error),
        TEST(test_fault__cut_in_the_head__an_error),
        TEST(test_fault__wrong_chunks__an_error_and_nothing_delivered),
        TEST(test_fault__more_than_content_length__the_rest_is_not_the_next_answer),
        TEST(test_fault__compressed_unasked__protocol_error),
        TEST(test_fault__answer_until_close__is_an_answer),
        TEST(test_fault__interim_answer__skipped),
        TEST(test_fault__whole_body_beyond_the_cap__limit),
        TEST(test_fault__error_body_of_megabytes__cut_and_not_waited_for),
        TEST(test_fault__error_status__its_number_words_and_body),
        TEST(test_fault__error_body_cut_short__still_the_status),
        TEST(test_fault__redirect__not_followed_and_named_without_secrets),
        TEST(test_fault__password_in_the_url__sent_and_in_no_message),
        TEST(test_retry__busy_or_broken_server__asked_again_and_answers),
        TEST(test_retry__without_retry_after__waits_half_a_second_then_one),
        TEST(test_retry__retry_after__waited_for),
        TEST(test_retry__wait_beyond_the_timeout__the_error_comes_now),
        TEST(test_retry__client_errors__not_repeated),
        TEST(test_retry__load__no_status_repeats_it),
        TEST(test_retry__a_byte_was_delivered__never),
        TEST(test_retry__lost_connection_before_any_byte__asked_again),
        TEST(test_timeout__no_answer_within_the_whole_time__says_so),
        TEST(test_timeout__silence_in_the_body__what_came_was_delivered),
        TEST(test_timeout__silence_before_the_body__not_counted),
        TEST(test_timeout__a_byte_at_a_time__the_whole_time_ends_it),
        TEST(test_timeout__connecting__named_and_repeated),
        TEST(test_timeout__tls_handshake_that_never_ends__counts_as_connecting),
    };

    setenv("no_proxy", "*", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
