/*
 * http gate: how many exchanges run with a server at once. The rest wait in order, without their time
 * running, and can be cancelled meanwhile.
 */
#include "http_calls.h"
#include "http_server.h"

#include "core/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

enum { MANY = 40 };

struct bench {
    inf_context *ctx;
    struct http_client *client;
    struct http_server *server;
    atomic_int now, most; /* requests that the server is at */
    atomic_bool locked;   /* while it is, no answer comes */
    int order[MANY];      /* the paths' numbers as they came */
    atomic_int n_logged;  /* lines that say that the gate binds */
    atomic_int n_warned;  /* of these, warnings */
};

static bool answer(struct server_conn *conn, const struct server_request *r, void *arg)
{
    struct bench *b = arg;
    int now = atomic_fetch_add(&b->now, 1) + 1;
    int most = atomic_load(&b->most);

    while (now > most && !atomic_compare_exchange_weak(&b->most, &most, now))
        ;
    if (r->number <= MANY)
        b->order[r->number - 1] = (int)strtol(r->path + 1, NULL, 10);
    sleep_ms(5);
    while (atomic_load(&b->locked))
        sleep_ms(1);
    atomic_fetch_sub(&b->now, 1);
    conn_answer(conn, 200, "", "hello");
    return true;
}

static void on_log(void *arg, int32_t level, const char *line)
{
    struct bench *b = arg;

    if (!strstr(line, "run at once"))
        return;
    atomic_fetch_add(&b->n_logged, 1);
    atomic_fetch_add(&b->n_warned, level == INF_LOG_WARNING);
}

static void open_bench(struct bench *b)
{
    inf_context_options options;

    memset(b, 0, sizeof *b);
    inf_context_options_default(&options, sizeof options);
    options.log = on_log;
    options.log_level = INF_LOG_INFO;
    options.log_user_data = b;
    assert_int_equal(inf_context_create(&b->ctx, &options, NULL), INF_OK);
    assert_int_equal(http_client_get(&b->client, b->ctx, NULL), INF_OK);
    b->server = server_start(answer, b);
}

static void close_bench(struct bench *b)
{
    http_client_release(b->client);
    assert_int_equal(inf_context_close(b->ctx, NULL), INF_OK);
    server_stop(b->server);
    assert_int_equal(mem_live(), 0);
}

static void start(struct bench *b, struct call *call, int number, struct http_gate *gate)
{
    char url[64];

    snprintf(url, sizeof url, "http://127.0.0.1:%d/%d", server_port(b->server), number);
    call_init(call, url, false);
    call->request.gate = gate;
    call_start(call, b->client);
}

/* Starts MANY at once; all must end well. Gives the gate back. */
static void run_through(struct bench *b, struct http_gate *gate)
{
    static struct call calls[MANY];

    for (int i = 0; i < MANY; i++)
        start(b, &calls[i], i, gate);
    http_gate_release(gate); /* the exchanges keep it */
    for (int i = 0; i < MANY; i++) {
        call_wait(&calls[i]);
        assert_int_equal(calls[i].error.code, INF_OK);
        call_free(&calls[i]);
    }
    assert_int_equal(server_requests(b->server), MANY);
}

static void run_many(struct bench *b, int32_t max)
{
    struct http_gate *gate = NULL;

    assert_int_equal(http_gate_create(&gate, max, NULL), INF_OK);
    run_through(b, gate);
}

static void test_gate__more_than_it_lets_in__the_rest_wait(void **state)
{
    struct bench b;

    (void)state;
    open_bench(&b);
    run_many(&b, 4);
    assert_true(atomic_load(&b.most) <= 4);
    assert_true(server_connections(b.server) <= 4);
    assert_int_equal(b.n_logged, 1);
    assert_int_equal(b.n_warned, 0);
    close_bench(&b);
}

static void test_gate__wide_enough__nobody_waits_and_nothing_is_said(void **state)
{
    struct bench b;

    (void)state;
    open_bench(&b);
    run_many(&b, MANY);
    assert_int_equal(b.n_logged, 0);
    close_bench(&b);
}

static void test_gate__one_at_a_time__in_order(void **state)
{
    struct bench b;

    (void)state;
    open_bench(&b);
    run_many(&b, 1);
    assert_int_equal(b.most, 1);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(b.order[i], i);
    close_bench(&b);
}

static void test_gate__cancelled_while_waiting__ends_at_once_and_was_never_sent(void **state)
{
    struct http_gate *gate = NULL;
    struct bench b;
    struct call calls[3];

    (void)state;
    open_bench(&b);
    atomic_store(&b.locked, true);
    assert_int_equal(http_gate_create(&gate, 1, NULL), INF_OK);
    for (int i = 0; i < 3; i++)
        start(&b, &calls[i], i, gate);
    http_cancel(calls[1].exchange);
    call_wait(&calls[1]);
    assert_int_equal(calls[1].error.code, INF_ERROR_CANCELLED);
    assert_int_equal(calls[1].attempts, 0);
    assert_false(calls[1].sent);
    assert_false(atomic_load(&calls[1].begun));
    assert_false(atomic_load(&calls[2].begun));
    atomic_store(&b.locked, false);
    call_wait(&calls[0]);
    call_wait(&calls[2]);
    assert_int_equal(calls[0].error.code, INF_OK);
    assert_int_equal(calls[2].error.code, INF_OK);
    assert_true(atomic_load(&calls[2].begun));
    assert_int_equal(server_requests(b.server), 2);
    for (int i = 0; i < 3; i++)
        call_free(&calls[i]);
    http_gate_release(gate);
    close_bench(&b);
}

static void test_gate__its_time__runs_from_its_turn_on(void **state)
{
    struct http_gate *gate = NULL;
    struct bench b;
    struct call first, second;

    (void)state;
    open_bench(&b);
    atomic_store(&b.locked, true);
    assert_int_equal(http_gate_create(&gate, 1, NULL), INF_OK);
    start(&b, &first, 0, gate);
    call_init(&second, server_url(b.server, "/1"), false);
    second.request.gate = gate;
    second.request.total_ms = 300;
    call_start(&second, b.client);
    sleep_ms(500);
    assert_false(atomic_load(&second.begun));
    atomic_store(&b.locked, false);
    call_wait(&first);
    call_wait(&second);
    assert_int_equal(second.error.code, INF_OK);
    call_free(&first);
    call_free(&second);
    http_gate_release(gate);
    close_bench(&b);
}

static void test_gate__one_that_fails__lets_the_next_in(void **state)
{
    struct http_gate *gate = NULL;
    struct bench b;
    struct call calls[MANY];

    (void)state;
    open_bench(&b);
    assert_int_equal(http_gate_create(&gate, 1, NULL), INF_OK);
    for (int i = 0; i < MANY; i++) {
        call_init(&calls[i], "http://127.0.0.1:1/", false); /* nobody listens */
        calls[i].request.gate = gate;
        calls[i].request.max_retries = 0;
        call_start(&calls[i], b.client);
    }
    for (int i = 0; i < MANY; i++) {
        call_wait(&calls[i]);
        assert_int_equal(calls[i].error.code, INF_ERROR_CONNECTION);
        call_free(&calls[i]);
    }
    http_gate_release(gate);
    close_bench(&b);
}

static void test_gate__client_closed_with_some_waiting__all_end(void **state)
{
    struct http_gate *gate = NULL;
    struct bench b;
    struct call calls[3];

    (void)state;
    open_bench(&b);
    atomic_store(&b.locked, true);
    assert_int_equal(http_gate_create(&gate, 1, NULL), INF_OK);
    for (int i = 0; i < 3; i++)
        start(&b, &calls[i], i, gate);
    while (atomic_load(&b.now) == 0)
        sleep_ms(1);
    http_client_release(b.client);
    assert_int_equal(inf_context_close(b.ctx, NULL), INF_OK);
    for (int i = 0; i < 3; i++) {
        call_wait(&calls[i]);
        assert_int_equal(calls[i].error.code, INF_ERROR_CANCELLED);
        call_free(&calls[i]);
    }
    http_gate_release(gate);
    atomic_store(&b.locked, false);
    server_stop(b.server);
    assert_int_equal(mem_live(), 0);
}

static void test_gate__few_descriptors__is_narrower_and_says_so(void **state)
{
    struct rlimit before, few;
    struct http_gate *gate = NULL;
    struct bench b;

    (void)state;
    open_bench(&b);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 60; /* half of it is kept for everything else */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_int_equal(http_gate_create(&gate, 65536, NULL), INF_OK);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0); /* the server is in this process */
    run_through(&b, gate);
    assert_true(atomic_load(&b.most) <= 30);
    assert_int_equal(b.n_logged, 1);
    assert_int_equal(b.n_warned, 1);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate__more_than_it_lets_in__the_rest_wait),
        cmocka_unit_test(test_gate__wide_enough__nobody_waits_and_nothing_is_said),
        cmocka_unit_test(test_gate__one_at_a_time__in_order),
        cmocka_unit_test(test_gate__cancelled_while_waiting__ends_at_once_and_was_never_sent),
        cmocka_unit_test(test_gate__its_time__runs_from_its_turn_on),
        cmocka_unit_test(test_gate__one_that_fails__lets_the_next_in),
        cmocka_unit_test(test_gate__client_closed_with_some_waiting__all_end),
        cmocka_unit_test(test_gate__few_descriptors__is_narrower_and_says_so),
    };

    return cmocka_run_group_tests_name("http: gate", tests, NULL, NULL);
}
