/*
 * op: the life of an operation as inference.h promises it. Callbacks record, the test asserts.
 */
#include "fake_backend.h"

#include "core/clock.h"
#include "core/memory.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct bench {
    inf_context *ctx;
    inf_provider *p;
    struct record record;
    inf_callbacks callbacks;
};

static void open_bench(struct bench *b, struct fake_plan plan)
{
    b->ctx = open_context(INF_DELIVERY_CALLBACKS);
    b->p = open_fake(b->ctx, &fake_ops);
    fake_plan(b->p, plan);
    record_init(&b->record);
    b->callbacks = record_callbacks(&b->record);
}

static void close_bench(struct bench *b)
{
    if (b->ctx)
        close_all(b->ctx, b->p);
    record_free(&b->record);
    assert_int_equal(fake_alive(), 0);
    assert_int_equal(fake_in_flight(), 0);
    assert_int_equal(mem_live(), 0);
}

static void until_done(const struct record *r)
{
    while (!atomic_load(&r->done_returned))
        nap();
}

static const struct fake_plan now = {.how = FAKE_NOW, .piece = "piece ", .n_pieces = 3};
static const struct fake_plan later = {.how = FAKE_LATER, .piece = "piece ", .n_pieces = 3};
static const struct fake_plan hold = {.how = FAKE_HOLD};

/* ------------------------------------------------------------------ starting and ending */

static void a_start_that_fails_calls_nothing_back(void **state)
{
    inf_request request = fake_request("hello");
    inf_op *op = (inf_op *)(void *)&request;
    struct bench b;
    inf_error err;

    (void)state;
    open_bench(&b, (struct fake_plan){.how = FAKE_REFUSE, .code = INF_ERROR_LIMIT});
    assert_int_equal(inf_generate_start(&op, b.p, &request, &b.callbacks, &err), INF_ERROR_LIMIT);
    assert_null(op);
    assert_string_equal(err.message, "the plan refuses");
    assert_int_equal(inf_generate(&op, b.p, &request, NULL), INF_ERROR_LIMIT);
    assert_null(op);
    close_all(b.ctx, b.p);
    b.ctx = NULL;
    assert_int_equal(b.record.n_done, 0);
    assert_int_equal(b.record.n_tokens, 0);
    close_bench(&b);
}

static void check_done_once_and_last(struct fake_plan plan, int32_t expected)
{
    struct bench b;
    inf_op *op = NULL;

    open_bench(&b, plan);
    op = start(b.p, &b.callbacks);
    assert_int_equal(inf_op_wait(op, -1, NULL), expected);
    assert_true(b.record.done_returned);
    assert_int_equal(b.record.n_done, 1);
    assert_int_equal(b.record.code, expected);
    inf_op_release(op);
    close_all(b.ctx, b.p);
    b.ctx = NULL;
    assert_int_equal(b.record.n_done, 1);
    assert_int_equal(b.record.n_after_done, 0);
    close_bench(&b);
}

static void on_done_comes_once_and_last(void **state)
{
    struct fake_plan failing = later;

    (void)state;
    failing.code = INF_ERROR_BACKEND;
    check_done_once_and_last(now, INF_OK);
    check_done_once_and_last(later, INF_OK);
    check_done_once_and_last(failing, INF_ERROR_BACKEND);
}

static void an_operation_without_callbacks_is_waited_for(void **state)
{
    struct bench b;
    inf_op *op = NULL;
    inf_result result;

    (void)state;
    open_bench(&b, later);
    op = start(b.p, NULL);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    assert_int_equal(inf_op_result(op, &result, sizeof result), INF_OK);
    assert_int_equal(result.text.len, 18);
    assert_memory_equal(result.text.data, "piece piece piece ", 18);
    assert_int_equal(result.token_count, 4);
    assert_int_equal(result.completion_tokens, 3);
    assert_int_equal(result.finish, INF_FINISH_STOP);
    assert_memory_equal(result.model.data, "fake", 4);
    assert_null(result.adapter_id.data);
    inf_op_release(op);
    close_bench(&b);
}

static void an_error_keeps_the_text_so_far(void **state)
{
    struct fake_plan failing = later;
    struct bench b;
    inf_op *op = NULL;
    inf_result result;
    inf_error err;

    (void)state;
    failing.code = INF_ERROR_NOT_FINITE;
    open_bench(&b, failing);
    op = start(b.p, NULL);
    assert_int_equal(inf_op_wait(op, -1, &err), INF_ERROR_NOT_FINITE);
    assert_string_equal(err.message, "the plan says so");
    assert_int_equal(inf_op_error(op, &err), INF_ERROR_NOT_FINITE);
    assert_string_equal(err.message, "the plan says so");
    assert_int_equal(inf_op_result(op, &result, sizeof result), INF_OK);
    assert_int_equal(result.text.len, 18);
    assert_int_equal(result.completion_tokens, 3);
    inf_op_release(op);
    close_bench(&b);
}

/* The code is the owner's to choose, and travels unchanged, with its message. */
static void every_code_an_owner_ends_with_arrives(void **state)
{
    struct bench b;

    (void)state;
    open_bench(&b, hold);
    for (int32_t code = INF_OK; code <= INF_ERROR_BACKEND; code++) {
        inf_op *op = start(b.p, NULL);
        inf_error err;

        finish(fake_take(b.p), code);
        assert_int_equal(inf_op_wait(op, -1, &err), code);
        assert_int_equal(err.code, code);
        inf_op_release(op);
    }
    close_bench(&b);
}

static void the_failed_http_body_stays(void **state)
{
    struct bench b;
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, hold);
    op = start(b.p, NULL);
    assert_null(inf_op_error_body(op).data);
    assert_ptr_equal(fake_take(b.p), op);
    op_output(op)->error_body = mem_strdup("{\"error\": 1}");
    op_output(op)->error_body_len = 12;
    finish(op, INF_ERROR_HTTP_STATUS);
    assert_int_equal(inf_op_error_body(op).len, 12);
    assert_null(inf_op_error_body(NULL).data);
    inf_op_release(op);
    close_bench(&b);
}

/* ------------------------------------------------------------------ waiting */

static void a_wait_that_runs_out_leaves_the_operation_alone(void **state)
{
    static const int64_t timeouts[] = {0, 1, 30};
    struct bench b;
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, hold);
    op = start(b.p, &b.callbacks);
    for (size_t i = 0; i < 3; i++) {
        int64_t before = clock_us();
        inf_error err;

        assert_int_equal(inf_op_wait(op, timeouts[i], &err), INF_ERROR_TIMEOUT);
        assert_int_equal(err.detail, INF_WAIT_EXPIRED);
        assert_true(clock_us() - before >= timeouts[i] * 1000);
        assert_false(inf_op_poll(op));
    }
    finish(fake_take(b.p), INF_OK);
    assert_int_equal(inf_op_wait(op, INT64_MAX, NULL), INF_OK);
    assert_int_equal(inf_op_wait(op, INT64_MIN, NULL), INF_OK);
    assert_int_equal(inf_op_wait(op, 0, NULL), INF_OK);
    inf_op_release(op);
    close_bench(&b);
}

static void nothing_is_told_while_in_flight(void **state)
{
    struct bench b;
    inf_op *op = NULL;
    inf_result result;

    (void)state;
    open_bench(&b, hold);
    op = start(b.p, NULL);
    assert_false(inf_op_poll(op));
    assert_int_equal(inf_op_error(op, NULL), INF_ERROR_STATE);
    assert_int_equal(inf_op_result(op, &result, sizeof result), INF_ERROR_STATE);
    finish(fake_take(b.p), INF_OK);
    assert_true(inf_op_poll(op));
    assert_int_equal(inf_op_error(op, NULL), INF_OK);
    assert_int_equal(inf_op_result(op, &result, sizeof result), INF_OK);
    inf_op_release(op);
    assert_false(inf_op_poll(NULL));
    assert_int_equal(inf_op_wait(NULL, 0, NULL), INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_op_error(NULL, NULL), INF_ERROR_INVALID_ARGUMENT);
    close_bench(&b);
}

struct waiter {
    pthread_t thread;
    inf_op *op;
    const struct record *record;
    int32_t code;
    bool after_done; /* on_done had returned when the wait did */
};

static void *wait_for_op(void *arg)
{
    struct waiter *w = arg;

    w->code = inf_op_wait(w->op, -1, NULL);
    w->after_done = atomic_load(&w->record->done_returned);
    return NULL;
}

static void many_threads_wait_and_return_after_on_done(void **state)
{
    struct waiter waiters[16];
    struct bench b;
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, hold);
    b.record.slow_us = 20000;
    op = start(b.p, &b.callbacks);
    for (size_t i = 0; i < 16; i++) {
        waiters[i] = (struct waiter){.op = op, .record = &b.record};
        assert_int_equal(pthread_create(&waiters[i].thread, NULL, wait_for_op, &waiters[i]), 0);
    }
    nap();
    finish(fake_take(b.p), INF_ERROR_BACKEND);
    for (size_t i = 0; i < 16; i++) {
        pthread_join(waiters[i].thread, NULL);
        assert_int_equal(waiters[i].code, INF_ERROR_BACKEND);
        assert_true(waiters[i].after_done);
    }
    inf_op_release(op);
    close_bench(&b);
}

/* ------------------------------------------------------------------ cancelling */

static void cancel_ends_an_operation_in_flight(void **state)
{
    struct bench b;
    inf_op *op = NULL;
    inf_result result;
    inf_error err;

    (void)state;
    open_bench(&b, hold);
    op = start(b.p, &b.callbacks);
    assert_int_equal(op_emit(op, "so far", 6, 2, NULL), INF_OK);
    inf_op_cancel(op);
    inf_op_cancel(op); /* twice is once */
    assert_int_equal(inf_op_wait(op, -1, &err), INF_ERROR_CANCELLED);
    assert_int_equal(b.record.n_done, 1);
    assert_int_equal(inf_op_result(op, &result, sizeof result), INF_OK);
    assert_int_equal(result.text.len, 6);
    assert_int_equal(result.finish, INF_FINISH_NONE);
    assert_null(result.finish_reason.data);
    inf_op_release(op);
    inf_op_cancel(NULL);
    close_bench(&b);
}

static void cancel_reaches_an_owner_that_only_looks_now_and_then(void **state)
{
    struct bench b;
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, (struct fake_plan){
                       .how = FAKE_LATER, .piece = "x", .n_pieces = 1000000, .pause_us = 1000});
    op = start(b.p, &b.callbacks);
    while (atomic_load(&b.record.n_tokens) == 0)
        nap();
    inf_op_cancel(op);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_ERROR_CANCELLED);
    inf_op_release(op);
    close_bench(&b);
}

static void a_late_cancel_changes_nothing(void **state)
{
    struct bench b;
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, now);
    op = start(b.p, &b.callbacks);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    inf_op_cancel(op);
    assert_int_equal(inf_op_error(op, NULL), INF_OK);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    inf_op_release(op);
    close_bench(&b);
}

/* The owner had decided already when the cancel came: its word counts. */
static void the_owner_writes_the_status(void **state)
{
    struct bench b;
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, hold);
    op = start(b.p, NULL);
    assert_ptr_equal(fake_take(b.p), op);
    inf_op_cancel(op);
    assert_int_equal(op_stop_code(op), INF_ERROR_CANCELLED);
    finish(op, INF_OK);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    inf_op_release(op);
    close_bench(&b);
}

static void cancel_in_done(struct record *r, inf_op *op)
{
    (void)r;
    inf_op_cancel(op);
}

static void cancel_inside_on_done_changes_nothing(void **state)
{
    struct bench b;
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, later);
    b.record.in_done = cancel_in_done;
    op = start(b.p, &b.callbacks);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    inf_op_release(op);
    close_bench(&b);
}

/* A stop that was requested before the owner set its canceller is not lost. */
static _Atomic int32_t n_cancelled;

static void count_cancel(void *owner, inf_op *op)
{
    (void)owner;
    (void)op;
    atomic_fetch_add(&n_cancelled, 1);
}

static void a_canceller_set_late_is_called_at_once_and_never_twice(void **state)
{
    struct bench b;
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, hold);
    op = start(b.p, NULL);
    assert_ptr_equal(fake_take(b.p), op);
    op_set_canceller(op, NULL, NULL);
    inf_op_cancel(op);
    assert_int_equal(atomic_load(&n_cancelled), 0);
    op_set_canceller(op, count_cancel, NULL);
    assert_int_equal(atomic_load(&n_cancelled), 1);
    inf_op_cancel(op);
    assert_int_equal(atomic_load(&n_cancelled), 1);
    finish(op, INF_ERROR_CANCELLED);
    inf_op_release(op);
    close_bench(&b);
}

/* ------------------------------------------------------------------ the operation's timeout */

static void an_operation_ends_at_its_timeout(void **state)
{
    struct bench b;
    inf_request request = fake_request("hello");
    inf_op *op = NULL;
    inf_error err;
    int64_t before = clock_us();

    (void)state;
    open_bench(&b, hold);
    request.timeout_ms = 20;
    assert_int_equal(inf_generate_start(&op, b.p, &request, &b.callbacks, NULL), INF_OK);
    assert_int_equal(inf_op_wait(op, -1, &err), INF_ERROR_TIMEOUT);
    assert_true(clock_us() - before >= 20000);
    assert_int_equal(err.detail, 0); /* not a wait that ran out */
    assert_non_null(strstr(err.message, "timeout_ms"));
    assert_int_equal(b.record.n_done, 1);
    inf_op_release(op);
    close_bench(&b);
}

/* Waiting and work have bounds of their own. */
static void waiting_is_not_counted_as_work(void **state)
{
    struct bench b;
    inf_request request = fake_request("hello");
    inf_op *op = NULL;
    inf_op *held = NULL;
    inf_error err;

    (void)state;
    open_bench(&b, (struct fake_plan){.how = FAKE_WAIT});
    request.timeout_ms = 20;
    assert_int_equal(inf_generate_start(&op, b.p, &request, &b.callbacks, NULL), INF_OK);
    assert_int_equal(inf_op_wait(op, 60, &err), INF_ERROR_TIMEOUT);
    assert_int_equal(err.detail, INF_WAIT_EXPIRED); /* three times its bound, and it still waits */
    assert_int_equal(op_work_began_us(op), 0);
    op_begin_work(op);
    op_begin_work(op); /* only the first counts */
    assert_int_equal(inf_op_wait(op, -1, &err), INF_ERROR_TIMEOUT);
    assert_true(clock_us() - op_work_began_us(op) >= 20000);
    assert_non_null(strstr(err.message, "within timeout_ms, 20 ms"));
    inf_op_release(op);
    request.timeout_ms = -1; /* no limit at all */
    assert_int_equal(inf_generate_start(&op, b.p, &request, NULL, NULL), INF_OK);
    op_begin_work(op);
    assert_int_equal(inf_op_wait(op, 30, &err), INF_ERROR_TIMEOUT);
    held = fake_take(b.p);
    finish(held, INF_OK);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    inf_op_release(op);
    close_bench(&b);
}

static void waiting_may_have_a_bound_of_its_own(void **state)
{
    struct bench b;
    inf_request request = fake_request("hello");
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    open_bench(&b, (struct fake_plan){.how = FAKE_WAIT});
    request.queue_timeout_ms = 20;
    assert_int_equal(inf_generate_start(&op, b.p, &request, NULL, NULL), INF_OK);
    assert_int_equal(inf_op_wait(op, -1, &err), INF_ERROR_TIMEOUT);
    assert_non_null(strstr(err.message, "within queue_timeout_ms, 20 ms"));
    inf_op_release(op);
    fake_plan(b.p, hold); /* its work begins at once: the bound of waiting is gone */
    assert_int_equal(inf_generate_start(&op, b.p, &request, NULL, NULL), INF_OK);
    assert_int_equal(inf_op_wait(op, 60, &err), INF_ERROR_TIMEOUT);
    assert_int_equal(err.detail, INF_WAIT_EXPIRED);
    inf_op_release(op);
    close_bench(&b);
}

static void many_timeouts_are_kept_apart(void **state)
{
    enum { N = 60 };
    static const int64_t spread = 3;
    struct bench b;
    inf_op *ops[N];
    inf_request request = fake_request("hello");

    (void)state;
    open_bench(&b, hold);
    for (int i = 0; i < N; i++) {
        request.timeout_ms = 50 + (i * 37 % N) * spread;
        assert_int_equal(inf_generate_start(&ops[i], b.p, &request, NULL, NULL), INF_OK);
    }
    /* Some go before their time: out of the middle of the heap. */
    for (int i = 0; i < N; i += 3)
        inf_op_cancel(ops[i]);
    for (int i = 0; i < N; i++) {
        int32_t code = inf_op_wait(ops[i], -1, NULL);

        assert_true(code == INF_ERROR_TIMEOUT || (i % 3 == 0 && code == INF_ERROR_CANCELLED));
        inf_op_release(ops[i]);
    }
    close_bench(&b);
}

static void a_timeout_after_the_end_changes_nothing(void **state)
{
    struct bench b;
    inf_request request = fake_request("hello");
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, now);
    request.timeout_ms = 100;
    assert_int_equal(inf_generate_start(&op, b.p, &request, NULL, NULL), INF_OK);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    for (int i = 0; i < 120; i++)
        nap();
    assert_int_equal(inf_op_error(op, NULL), INF_OK);
    assert_int_equal(op_stop_code(op), INF_OK);
    inf_op_release(op);
    close_bench(&b);
}

/* ------------------------------------------------------------------ references */

static void release_in_flight_cancels_and_on_done_still_comes(void **state)
{
    struct bench b;

    (void)state;
    open_bench(&b, hold);
    inf_op_release(start(b.p, &b.callbacks));
    until_done(&b.record);
    assert_int_equal(b.record.code, INF_ERROR_CANCELLED);
    assert_int_equal(b.record.n_done, 1);
    inf_op_release(NULL);
    assert_null(inf_op_retain(NULL));
    close_bench(&b);
}

static void a_retained_operation_is_not_cancelled_by_one_release(void **state)
{
    struct bench b;
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, hold);
    op = start(b.p, &b.callbacks);
    assert_ptr_equal(inf_op_retain(op), op);
    inf_op_release(op);
    assert_int_equal(op_stop_code(op), INF_OK);
    finish(fake_take(b.p), INF_OK);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    inf_op_release(op);
    close_bench(&b);
}

static void release_in_done(struct record *r, inf_op *op)
{
    (void)r;
    inf_op_release(op);
}

static void an_operation_may_be_released_inside_its_on_done(void **state)
{
    struct bench b;

    (void)state;
    open_bench(&b, later);
    b.record.in_done = release_in_done;
    start(b.p, &b.callbacks);
    until_done(&b.record);
    close_bench(&b);
}

static void keep_in_done(struct record *r, inf_op *op)
{
    r->arg = inf_op_retain(op);
}

/* All of the user's references are gone; the callback takes one again. */
static void an_operation_may_be_kept_by_its_on_done(void **state)
{
    struct bench b;
    inf_result result;

    (void)state;
    open_bench(&b, hold);
    b.record.in_done = keep_in_done;
    inf_op_release(start(b.p, &b.callbacks));
    until_done(&b.record);
    assert_int_equal(inf_op_wait(b.record.arg, -1, NULL), INF_ERROR_CANCELLED);
    assert_int_equal(inf_op_result(b.record.arg, &result, sizeof result), INF_OK);
    inf_op_release(b.record.arg);
    close_bench(&b);
}

/* ------------------------------------------------------------------ inside a callback */

static const int32_t a_token_id = 65;

struct tried {
    struct bench *bench;
    int32_t codes[15];
};

static void try_everything_that_blocks(struct record *r, inf_op *op)
{
    struct tried *t = r->arg;
    inf_request request = fake_request("again");
    inf_op *out = op;
    int n = 0;

    t->codes[n++] = inf_op_wait(op, -1, NULL);
    t->codes[n++] = inf_op_wait(op, 0, NULL);
    t->codes[n++] = inf_context_close(t->bench->ctx, NULL);
    t->codes[n++] = inf_generate(&out, t->bench->p, &request, NULL);
    t->codes[n++] = out ? INF_OK : INF_ERROR_STATE;
    t->codes[n++] = inf_provider_load(t->bench->p, NULL);
    t->codes[n++] = inf_provider_unload(t->bench->p, NULL);
    t->codes[n++] = inf_adapter_load(t->bench->p, "a", "path", NULL, NULL);
    t->codes[n++] = inf_adapter_unload(t->bench->p, "a", NULL);
    t->codes[n++] = inf_tokenize(&out, t->bench->p, inf_str("a"), true, NULL);
    t->codes[n++] = inf_detokenize(&out, t->bench->p, &a_token_id, 1, true, NULL);
    t->codes[n++] = inf_render(&out, t->bench->p, inf_str("[]"), true, NULL);
    t->codes[n++] = inf_logits(&out, t->bench->p, NULL, NULL);
    t->codes[n++] = inf_inspect(&out, t->bench->ctx, "path", NULL, NULL);
    t->codes[n++] = inf_server_adapters(&out, t->bench->p, NULL);
}

static void what_blocks_is_a_state_error_inside_a_callback(void **state)
{
    struct tried tried = {.codes = {0}};
    struct bench b;
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, later);
    tried.bench = &b;
    b.record.arg = &tried;
    b.record.in_done = try_everything_that_blocks;
    op = start(b.p, &b.callbacks);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    for (size_t i = 0; i < sizeof tried.codes / sizeof *tried.codes; i++)
        assert_int_equal(tried.codes[i], INF_ERROR_STATE);
    inf_op_release(op);
    close_bench(&b);
}

/* Each gives the operation for its result, and waits for it. */
static void every_start_has_a_form_that_waits(void **state)
{
    inf_logits_request request;
    inf_logits_result logits;
    const int32_t *ids = NULL;
    inf_text text;
    size_t n = 0;
    struct bench b;
    inf_op *op = NULL;
    int32_t code = INF_OK;

    (void)state;
    open_bench(&b, now);
    assert_int_equal(inf_tokenize(&op, b.p, inf_str("AB"), true, NULL), INF_OK);
    assert_int_equal(inf_op_tokens(op, &ids, &n), INF_OK);
    assert_int_equal(n, 2);
    inf_op_release(op);
    assert_int_equal(inf_detokenize(&op, b.p, &a_token_id, 1, true, NULL), INF_OK);
    assert_int_equal(inf_op_text(op, &text), INF_OK);
    inf_op_release(op);
    assert_int_equal(inf_render(&op, b.p, inf_str("[]"), true, NULL), INF_OK);
    assert_int_equal(inf_op_text(op, &text), INF_OK);
    inf_op_release(op);
    inf_logits_request_default(&request, sizeof request);
    request.token_ids = &a_token_id;
    request.n_token_ids = 1;
    assert_int_equal(inf_logits(&op, b.p, &request, NULL), INF_OK);
    assert_int_equal(inf_op_logits(op, &logits, sizeof logits), INF_OK);
    inf_op_release(op);
    code = inf_inspect(&op, b.ctx, "/nowhere", NULL, NULL); /* after a failure, too */
    assert_int_equal(inf_op_error(op, NULL), code);
    assert_int_equal(inf_op_text(op, &text), INF_OK);
    inf_op_release(op);
    assert_int_equal(inf_tokenize(&op, NULL, inf_str("AB"), true, NULL),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_null(op);
    assert_int_equal(inf_inspect(NULL, b.ctx, "path", NULL, NULL), INF_ERROR_INVALID_ARGUMENT);
    close_bench(&b);
}

/* ------------------------------------------------------------------ closing without blocking */

static void count_closed(void *user_data)
{
    struct record *r = user_data;

    /* Everything else has been told before. */
    if (atomic_load(&r->done_returned) &&
        inf_context_next(NULL, NULL, sizeof(inf_event), 0, NULL, 0, NULL) != INF_OK)
        atomic_fetch_add(&r->n_after_done, 1);
}

static void until_closed(struct record *r)
{
    while (atomic_load(&r->n_after_done) == 0)
        nap();
}

static void on_closed_comes_once_after_the_last_on_done(void **state)
{
    struct bench b;
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    open_bench(&b, hold);
    b.record.slow_us = 2000;
    op = start(b.p, &b.callbacks);
    assert_int_equal(inf_context_close_start(b.ctx, count_closed, &b.record, NULL), INF_OK);
    assert_int_equal(inf_context_close_start(b.ctx, NULL, NULL, &err), INF_ERROR_STATE);
    until_closed(&b.record);
    assert_int_equal(inf_op_error(op, NULL), INF_ERROR_CANCELLED);
    assert_int_equal(fake_alive(), 0);
    inf_op_release(op);
    inf_provider_release(b.p);
    b.p = NULL;
    assert_int_equal(inf_context_close(b.ctx, NULL), INF_OK);
    assert_int_equal(atomic_load(&b.record.n_after_done), 1);
    b.record.n_after_done = 0;
    record_free(&b.record);
    assert_int_equal(inf_context_close_start(NULL, NULL, NULL, NULL), INF_ERROR_INVALID_ARGUMENT);
}

static void close_in_done(struct record *r, inf_op *op)
{
    (void)op;
    inf_context_close_start(r->arg, count_closed, r, NULL);
}

static void a_close_may_be_started_in_a_callback(void **state)
{
    struct bench b;
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, later);
    b.record.arg = b.ctx;
    b.record.in_done = close_in_done;
    op = start(b.p, &b.callbacks);
    until_closed(&b.record);
    assert_int_equal(inf_op_error(op, NULL), INF_OK);
    b.record.n_after_done = 0;
    inf_op_release(op);
    close_bench(&b);
}

struct chain {
    struct bench *bench;
    struct record *records;
    int left;
};

static void start_the_next(struct record *r, inf_op *op)
{
    struct chain *c = r->arg;
    inf_request request = fake_request("again");
    struct record *next = r + 1;
    inf_callbacks callbacks = record_callbacks(next);
    inf_op *out = NULL;

    inf_op_release(op);
    if (--c->left == 0)
        return;
    next->arg = c;
    next->in_done = start_the_next;
    inf_generate_start(&out, c->bench->p, &request, &callbacks, NULL);
}

static void operations_may_be_started_inside_a_callback(void **state)
{
    enum { N = 50 };
    struct record records[N];
    struct bench b;
    struct chain chain = {&b, records, N};
    inf_callbacks callbacks;

    (void)state;
    open_bench(&b, now);
    for (int i = 0; i < N; i++)
        record_init(&records[i]);
    records[0].arg = &chain;
    records[0].in_done = start_the_next;
    callbacks = record_callbacks(&records[0]);
    start(b.p, &callbacks);
    until_done(&records[N - 1]);
    for (int i = 0; i < N; i++) {
        assert_int_equal(records[i].n_done, 1);
        record_free(&records[i]);
    }
    close_bench(&b);
}

/* ------------------------------------------------------------------ what comes out */

static void a_slow_consumer_gets_bigger_chunks_and_all_of_the_text(void **state)
{
    enum { PIECES = 2000 };
    struct bench b;
    inf_op *op = NULL;
    inf_result result;

    (void)state;
    open_bench(&b,
               (struct fake_plan){.how = FAKE_LATER, .piece = "\xe2\x82\xac", .n_pieces = PIECES});
    b.record.slow_us = 5000;
    op = start(b.p, &b.callbacks);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    assert_in_range(b.record.n_tokens, 1, PIECES / 10);
    assert_int_equal(b.record.chunk_tokens, PIECES);
    assert_int_equal(inf_op_result(op, &result, sizeof result), INF_OK);
    assert_int_equal(result.text.len, 3 * PIECES);
    assert_int_equal(b.record.text.len, result.text.len);
    assert_memory_equal(b.record.text.data, result.text.data, result.text.len);
    inf_op_release(op);
    close_bench(&b);
}

static void decoding_does_not_wait_for_a_callback(void **state)
{
    struct bench b;
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, hold);
    atomic_store(&b.record.gate, true);
    op = start(b.p, &b.callbacks);
    assert_ptr_equal(fake_take(b.p), op);
    assert_int_equal(op_emit(op, "x", 1, 1, NULL), INF_OK);
    while (atomic_load(&b.record.n_tokens) == 0) /* it is in the callback now, and stays */
        nap();
    for (int64_t i = 2; i < 1000; i++)
        assert_int_equal(op_emit(op, "x", 1, i, NULL), INF_OK);
    assert_int_equal(b.record.n_tokens, 1);
    finish(op, INF_OK);
    assert_int_equal(inf_op_wait(op, 0, NULL), INF_ERROR_TIMEOUT);
    atomic_store(&b.record.gate, false);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    assert_int_equal(b.record.n_tokens, 2);
    assert_int_equal(b.record.text.len, 999);
    inf_op_release(op);
    close_bench(&b);
}

static void reasoning_is_a_text_of_its_own(void **state)
{
    struct bench b;
    inf_op *op = NULL;
    inf_result result;

    (void)state;
    open_bench(&b, hold);
    op = start(b.p, &b.callbacks);
    assert_ptr_equal(fake_take(b.p), op);
    assert_int_equal(op_emit_reasoning(op, "hm, ", 4, NULL), INF_OK);
    assert_int_equal(op_emit(op, "42", 2, 1, NULL), INF_OK);
    assert_int_equal(op_emit_reasoning(op, "yes", 3, NULL), INF_OK);
    finish(op, INF_OK);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    assert_int_equal(inf_op_result(op, &result, sizeof result), INF_OK);
    assert_memory_equal(result.text.data, "42", 3);
    assert_memory_equal(result.reasoning.data, "hm, yes", 8);
    assert_string_equal(b.record.text.data, "42");
    assert_string_equal(b.record.reasoning.data, "hm, yes");
    inf_op_release(op);
    close_bench(&b);
}

/* Memory for the chunk was short at the last moment: the chunks still make the whole text. */
static void the_last_chunk_needs_no_memory(void **state)
{
    struct bench b;
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, hold);
    op = start(b.p, &b.callbacks);
    assert_ptr_equal(fake_take(b.p), op);
    mem_fail_nth(2); /* the first is op's own buffer, the second the copy for the chunk */
    assert_int_equal(op_emit(op, "kept", 4, 1, NULL), INF_OK);
    for (int i = 0; i < 20; i++)
        nap();
    mem_fail_nth(0);
    finish(op, INF_OK);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    assert_int_equal(b.record.n_tokens, 1);
    assert_string_equal(b.record.text.data, "kept");
    inf_op_release(op);
    close_bench(&b);
}

struct call_text {
    char text[256];
    _Atomic int32_t n;
};

/* "index id name arguments;" of each piece */
static void write_pieces(void *user_data, inf_op *op, const inf_chunk *chunk)
{
    struct call_text *c = user_data;
    size_t len = strlen(c->text);

    (void)op;
    for (size_t i = 0; i < chunk->n_tool_calls; i++) {
        const inf_tool_call_delta *d = &chunk->tool_calls[i];

        len += (size_t)snprintf(c->text + len, sizeof c->text - len, "%d %.*s %.*s %.*s;", d->index,
                                (int)d->id.len, d->id.data, (int)d->name.len, d->name.data,
                                (int)d->arguments.len, d->arguments.data);
    }
    atomic_fetch_add(&c->n, 1);
}

static void emit_call(inf_op *op, int32_t index, const char *id, const char *name,
                      const char *arguments)
{
    inf_tool_call_delta piece = {
        .index = index, .id = inf_str(id), .name = inf_str(name), .arguments = inf_str(arguments)};

    assert_int_equal(op_emit_tool_call(op, &piece, NULL), INF_OK);
}

/* The first piece is delivered alone, the others whenever there is time. */
static void pieces_of_calls_reach_the_callback(void **state)
{
    struct call_text heard = {.text = ""};
    struct bench b;
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, hold);
    b.callbacks.on_token = write_pieces;
    b.callbacks.on_progress = NULL;
    b.callbacks.on_done = NULL;
    b.callbacks.user_data = &heard;
    op = start(b.p, &b.callbacks);
    assert_ptr_equal(fake_take(b.p), op);
    emit_call(op, 0, "a", "f", "{");
    while (!atomic_load(&heard.n))
        nap();
    assert_string_equal(heard.text, "0 a f {;");
    emit_call(op, 0, "", "", "}");
    emit_call(op, 1, "b", "g", "{}");
    finish(op, INF_OK);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    assert_string_equal(heard.text, "0 a f {;0   };1 b g {};");
    inf_op_release(op);
    close_bench(&b);
}

static void progress_rises_from_0_to_1(void **state)
{
    static const float given[] = {-0.5f, 0, 0.25f, 0.2f, 0.25f, 0.5f, 1.5f, 1, 1};
    struct bench b;
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, hold);
    op = start(b.p, &b.callbacks);
    assert_ptr_equal(fake_take(b.p), op);
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        op_progress(op, given[i]);
    finish(op, INF_OK);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    assert_in_range(b.record.n_progress, 1, 4);
    assert_true(b.record.rising);
    assert_true(b.record.fraction >= 1 && b.record.fraction <= 1);
    inf_op_release(op);
    close_bench(&b);
}

/* ------------------------------------------------------------------ races */

/* Finish, cancel, timeout, retain and release of one operation, all at once. */
struct race {
    pthread_barrier_t go;
    _Atomic(inf_op *) op;
    int alone; /* 1: only the owner plays, 2: only who cancels; set between two barriers */
    inf_provider *p;
    int32_t role;
    pthread_t thread;
    struct race *shared;
    bool stop;
};

static void play(struct race *r, inf_op *op)
{
    inf_op *taken = NULL;

    /* Now and then one side has the field to itself, so that each wins however threads are run. */
    if ((r->shared->alone == 1 && r->role != 0) || (r->shared->alone == 2 && r->role != 1)) {
        inf_op_release(op);
        return;
    }
    switch (r->role) {
    case 0:
        taken = fake_take(r->shared->p);
        if (taken) {
            op_emit(taken, "x", 1, 1, NULL);
            finish(taken, INF_OK);
        }
        break;
    case 1:
        inf_op_cancel(op);
        break;
    case 2:
        inf_op_retain(op);
        inf_op_poll(op);
        inf_op_release(op);
        break;
    default:
        inf_op_wait(op, 1, NULL);
        inf_op_cancel(op);
        break;
    }
    inf_op_release(op);
}

static void *racer(void *arg)
{
    struct race *r = arg;

    for (;;) {
        pthread_barrier_wait(&r->shared->go);
        if (r->shared->stop)
            return NULL;
        play(r, atomic_load(&r->shared->op));
        pthread_barrier_wait(&r->shared->go);
    }
}

static void check_one_race(struct bench *b, struct race *shared, int i, int32_t *counts)
{
    inf_request request = fake_request("hello");
    struct record record;
    inf_callbacks callbacks;
    inf_op *op = NULL;
    int32_t code = INF_OK;

    record_init(&record);
    callbacks = record_callbacks(&record);
    request.timeout_ms = 1 + i % 3;
    assert_int_equal(inf_generate_start(&op, b->p, &request, &callbacks, NULL), INF_OK);
    for (int n = 0; n < 4; n++)
        inf_op_retain(op); /* one for each racer */
    if (i % 2)
        nap(); /* so that the timeout has its turn */
    shared->alone = i % 8 == 0 ? 1 : i % 8 == 2 ? 2 : 0;
    atomic_store(&shared->op, op);
    pthread_barrier_wait(&shared->go);
    code = inf_op_wait(op, -1, NULL);
    pthread_barrier_wait(&shared->go);
    assert_int_equal(record.n_done, 1);
    assert_int_equal(record.n_after_done, 0);
    assert_int_equal(record.code, code);
    assert_int_equal(inf_op_error(op, NULL), code);
    assert_true(code == INF_OK || code == INF_ERROR_CANCELLED || code == INF_ERROR_TIMEOUT);
    counts[code == INF_OK ? 0 : code == INF_ERROR_CANCELLED ? 1 : 2]++;
    inf_op_release(op);
    record_free(&record);
}

static void the_status_is_written_once_whoever_wins(void **state)
{
    struct race roles[4];
    struct race shared = {.stop = false};
    int32_t counts[3] = {0};
    struct bench b;

    (void)state;
    open_bench(&b, hold);
    pthread_barrier_init(&shared.go, NULL, 5);
    shared.p = b.p;
    for (int32_t i = 0; i < 4; i++) {
        roles[i] = (struct race){.role = i, .shared = &shared};
        assert_int_equal(pthread_create(&roles[i].thread, NULL, racer, &roles[i]), 0);
    }
    for (int i = 0; i < 4000 / SLOW; i++)
        check_one_race(&b, &shared, i, counts);
    shared.stop = true;
    pthread_barrier_wait(&shared.go);
    for (int i = 0; i < 4; i++)
        pthread_join(roles[i].thread, NULL);
    pthread_barrier_destroy(&shared.go);
    assert_true(counts[0] > 0 && counts[1] > 0); /* it was a race */
    close_bench(&b);
}

/* An owner that streams and ends while the dispatch thread is handing out, and a user who lets go
 * at once: nobody touches what is gone. Meant for the sanitizers. */
static void streams_end_while_they_are_delivered(void **state)
{
    struct fake_plan plan = {.how = FAKE_LATER, .piece = "x", .n_pieces = 20};
    struct bench b;

    (void)state;
    open_bench(&b, plan);
    for (int i = 0; i < 3000 / SLOW; i++) {
        struct record record;
        inf_callbacks callbacks;
        inf_op *op = NULL;

        record_init(&record);
        callbacks = record_callbacks(&record);
        op = start(b.p, &callbacks);
        assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
        inf_op_release(op);
        assert_int_equal(record.text.len, 20);
        assert_int_equal(record.n_done, 1);
        record_free(&record);
    }
    close_bench(&b);
}

/* ------------------------------------------------------------------ closing */

static void close_cancels_everything_and_returns_after_the_last_on_done(void **state)
{
    enum { N = 200 };
    struct record *records = calloc(N, sizeof *records);
    inf_op *ops[N];
    struct bench b;

    (void)state;
    open_bench(&b, hold);
    for (int i = 0; i < N; i++) {
        inf_callbacks callbacks;

        record_init(&records[i]);
        callbacks = record_callbacks(&records[i]);
        ops[i] = start(b.p, i % 10 ? &callbacks : NULL);
    }
    close_all(b.ctx, b.p);
    b.ctx = NULL;
    for (int i = 0; i < N; i++) {
        assert_int_equal(records[i].n_done, i % 10 ? 1 : 0);
        assert_true(inf_op_poll(ops[i]));
        assert_int_equal(inf_op_error(ops[i], NULL), INF_ERROR_CANCELLED);
        inf_op_release(ops[i]);
        record_free(&records[i]);
    }
    free(records);
    close_bench(&b);
}

static void results_stay_valid_after_close(void **state)
{
    struct bench b;
    inf_op *op = NULL;
    inf_result result;

    (void)state;
    open_bench(&b, now);
    op = start(b.p, NULL);
    close_all(b.ctx, b.p);
    b.ctx = NULL;
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    assert_int_equal(inf_op_result(op, &result, sizeof result), INF_OK);
    assert_int_equal(result.text.len, 18);
    inf_op_cancel(op);
    inf_op_retain(op);
    inf_op_release(op);
    inf_op_release(op);
    close_bench(&b);
}

static void start_after_close_is_a_state_error(void **state)
{
    static const int32_t ids[] = {1};
    struct bench b;
    inf_request request = fake_request("hello");
    inf_adapter_list *list = NULL;
    inf_provider_stats stats;
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, now);
    assert_int_equal(inf_context_close(b.ctx, NULL), INF_OK);
    assert_int_equal(fake_alive(), 0); /* the handle is ours, what is inside is gone */
    assert_int_equal(inf_generate_start(&op, b.p, &request, &b.callbacks, NULL), INF_ERROR_STATE);
    assert_int_equal(inf_generate(&op, b.p, &request, NULL), INF_ERROR_STATE);
    assert_int_equal(inf_provider_load(b.p, NULL), INF_ERROR_STATE);
    assert_int_equal(inf_provider_unload(b.p, NULL), INF_ERROR_STATE);
    assert_int_equal(inf_adapter_load(b.p, "a", "p", NULL, NULL), INF_ERROR_STATE);
    assert_int_equal(inf_adapter_unload(b.p, "a", NULL), INF_ERROR_STATE);
    assert_int_equal(inf_tokenize_start(&op, b.p, inf_str("x"), true, NULL, NULL), INF_ERROR_STATE);
    assert_int_equal(inf_detokenize_start(&op, b.p, ids, 1, true, NULL, NULL), INF_ERROR_STATE);
    assert_int_equal(inf_adapters(&list, b.p, NULL), INF_ERROR_STATE);
    assert_int_equal(inf_provider_get_stats(b.p, &stats, sizeof stats, NULL), INF_ERROR_STATE);
    assert_null(op);
    assert_null(list);
    assert_int_equal(b.record.n_done, 0);
    assert_string_equal(inf_provider_base_url(b.p), "fake");
    inf_provider_release(b.p);
    b.ctx = NULL;
    close_bench(&b);
}

struct starter {
    pthread_t thread;
    inf_provider *p;
    int32_t last;
    int32_t started, done;
    _Atomic int32_t n_done;
};

static void count_done(void *user_data, inf_op *op)
{
    struct starter *s = user_data;

    (void)op;
    atomic_fetch_add(&s->n_done, 1);
}

/* Starts until it is told that the context is closed. */
static void *keep_starting(void *arg)
{
    struct starter *s = arg;
    inf_callbacks callbacks;

    inf_callbacks_default(&callbacks, sizeof callbacks);
    callbacks.on_done = count_done;
    callbacks.user_data = s;
    do {
        inf_request request = fake_request("hello");
        inf_op *op = NULL;
        inf_adapter_list *list = NULL;

        s->last = inf_generate_start(&op, s->p, &request, &callbacks, NULL);
        s->started += s->last == INF_OK;
        inf_op_release(op);
        inf_adapters(&list, s->p, NULL);
        inf_adapter_list_free(list);
    } while (s->last == INF_OK);
    return NULL;
}

static void starting_races_with_closing(void **state)
{
    (void)state;
    for (int round = 0; round < 40 / SLOW + 1; round++) {
        struct starter starters[3];
        struct bench b;

        open_bench(&b, round % 2 ? hold : later);
        for (int i = 0; i < 3; i++) {
            memset(&starters[i], 0, sizeof starters[i]);
            starters[i].p = b.p;
            pthread_create(&starters[i].thread, NULL, keep_starting, &starters[i]);
        }
        nap();
        assert_int_equal(inf_context_close(b.ctx, NULL), INF_OK);
        for (int i = 0; i < 3; i++) {
            pthread_join(starters[i].thread, NULL);
            assert_int_equal(starters[i].last, INF_ERROR_STATE);
            assert_int_equal(starters[i].n_done, starters[i].started);
        }
        inf_provider_release(b.p);
        b.ctx = NULL;
        close_bench(&b);
    }
}

static void closing_nothing_is_fine(void **state)
{
    (void)state;
    assert_int_equal(inf_context_close(NULL, NULL), INF_OK);
}

static void options_of_a_context_are_checked(void **state)
{
    inf_context_options options;
    inf_context *ctx = NULL;
    inf_error err;

    (void)state;
    assert_int_equal(inf_context_create(NULL, NULL, NULL), INF_ERROR_INVALID_ARGUMENT);
    inf_context_options_default(&options, sizeof options);
    options.delivery = 2;
    assert_int_equal(inf_context_create(&ctx, &options, &err), INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "delivery"));
    options.delivery = 0;
    options.preparation_threads = 65;
    assert_int_equal(inf_context_create(&ctx, &options, &err), INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "preparation_threads"));
    options.preparation_threads = 0;
    assert_int_equal(inf_context_create(&ctx, &options, NULL), INF_ERROR_INVALID_ARGUMENT);
    options.preparation_threads = 1;
    options.log_level = 4;
    assert_int_equal(inf_context_create(&ctx, &options, &err), INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "log_level"));
    assert_null(ctx);
}

/* ------------------------------------------------------------------ log, threads, fork */

struct log {
    int32_t n, level;
    char line[64];
};

static void keep_line(void *user_data, int32_t level, const char *line)
{
    struct log *log = user_data;

    log->n++;
    log->level = level;
    snprintf(log->line, sizeof log->line, "%s", line);
}

static void the_log_gets_lines_of_its_level_and_above(void **state)
{
    struct log log = {0};
    inf_context_options options;
    inf_context *ctx = NULL;

    (void)state;
    inf_context_options_default(&options, sizeof options);
    options.log = keep_line;
    options.log_user_data = &log;
    assert_int_equal(inf_context_create(&ctx, &options, NULL), INF_OK);
    context_log(ctx, INF_LOG_DEBUG, "no");
    context_log(ctx, INF_LOG_INFO, "no");
    assert_int_equal(log.n, 0);
    context_log(ctx, INF_LOG_WARNING, "adapter %d", 7);
    assert_int_equal(log.n, 1);
    assert_int_equal(log.level, INF_LOG_WARNING);
    assert_string_equal(log.line, "adapter 7");
    inf_context_close(ctx, NULL);
}

/* Whether this thread blocks every signal that can be blocked by a program. */
static int32_t blocks_signals(void)
{
    sigset_t set;

    pthread_sigmask(SIG_BLOCK, NULL, &set);
    for (int s = 1; s < 32; s++)
        if (s != SIGKILL && s != SIGSTOP && !sigismember(&set, s))
            return 0;
    return 1;
}

static _Atomic int32_t blocked_on[3]; /* the dispatch, preparation and clock thread; 1 yes, -1 no */

static void note(int which)
{
    atomic_store(&blocked_on[which], blocks_signals() ? 1 : -1);
}

static void note_dispatch(struct record *r, inf_op *op)
{
    (void)r;
    (void)op;
    note(0);
}

static void note_preparation(struct job *job)
{
    (void)job;
    note(1);
}

static void note_clock(void *owner, inf_op *op)
{
    (void)owner;
    note(2);
    op_finish_later(op);
}

static void library_threads_block_all_signals(void **state)
{
    struct job job = {.run = note_preparation};
    inf_request request = fake_request("hello");
    struct bench b;
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, hold);
    b.record.in_done = note_dispatch;
    context_submit(b.ctx, &job);
    request.timeout_ms = 100;
    assert_int_equal(inf_generate_start(&op, b.p, &request, &b.callbacks, NULL), INF_OK);
    assert_ptr_equal(fake_take(b.p), op);
    op_set_canceller(op, note_clock, NULL);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_ERROR_TIMEOUT);
    for (int i = 0; i < 3; i++)
        assert_int_equal(blocked_on[i], 1);
    assert_int_equal(blocks_signals(), 0); /* ours are as they were */
    inf_op_release(op);
    close_bench(&b);
}

static _Atomic int32_t n_jobs_run;

static void count_job(struct job *job)
{
    (void)job;
    atomic_fetch_add(&n_jobs_run, 1);
}

static void wait_for_gate(struct job *job)
{
    (void)job;
    while (atomic_load(&n_jobs_run) == 0)
        nap();
}

static void a_job_that_has_not_started_can_be_taken_back(void **state)
{
    struct job gate = {.run = wait_for_gate};
    struct job jobs[3] = {{.run = count_job}, {.run = count_job}, {.run = count_job}};
    inf_context *ctx = open_context(INF_DELIVERY_CALLBACKS);

    (void)state;
    atomic_store(&n_jobs_run, 0);
    context_submit(ctx, &gate);
    for (int i = 0; i < 3; i++)
        context_submit(ctx, &jobs[i]);
    assert_true(context_withdraw(ctx, &jobs[1]));
    assert_false(context_withdraw(ctx, &jobs[1]));
    assert_true(context_withdraw(ctx, &jobs[2])); /* the last one: the queue's end moves */
    context_submit(ctx, &jobs[2]);
    atomic_store(&n_jobs_run, 1);
    inf_context_close(ctx, NULL); /* runs what is queued */
    assert_int_equal(n_jobs_run, 3);
}

#define EXPECT(n, condition)                                                                       \
    if (!(condition))                                                                              \
    _exit(n)

/* In the child: every call is refused, freeing ones do no harm. Exits with the number of the first
 * expectation that fails. */
static void in_the_child(struct bench *b, inf_op *done, inf_op *running)
{
    static const int32_t ids[] = {1};
    inf_request request = fake_request("hello");
    inf_provider *p = NULL;
    inf_adapter_list *list = NULL;
    inf_provider_stats stats;
    inf_result result;
    inf_op *op = NULL;
    inf_text text;

    EXPECT(1, inf_generate_start(&op, b->p, &request, NULL, NULL) == INF_ERROR_STATE);
    EXPECT(2, inf_generate(&op, b->p, &request, NULL) == INF_ERROR_STATE);
    EXPECT(3, inf_op_wait(running, -1, NULL) == INF_ERROR_STATE);
    EXPECT(4, inf_op_error(done, NULL) == INF_ERROR_STATE);
    EXPECT(5, inf_op_result(done, &result, sizeof result) == INF_ERROR_STATE);
    EXPECT(6, inf_provider_get(&p, b->ctx, "llamacpp", "x", NULL, NULL) == INF_ERROR_STATE);
    EXPECT(7, inf_provider_get_for_step(&p, b->ctx, inf_str("{}"), NULL) == INF_ERROR_STATE);
    EXPECT(8, inf_provider_evict(b->p, NULL) == INF_ERROR_STATE);
    EXPECT(9, inf_provider_load(b->p, NULL) == INF_ERROR_STATE);
    EXPECT(10, inf_adapter_load(b->p, "a", "p", NULL, NULL) == INF_ERROR_STATE);
    EXPECT(11, inf_adapter_unload(b->p, "a", NULL) == INF_ERROR_STATE);
    EXPECT(12, inf_adapters(&list, b->p, NULL) == INF_ERROR_STATE);
    EXPECT(13, inf_provider_get_stats(b->p, &stats, sizeof stats, NULL) == INF_ERROR_STATE);
    EXPECT(14, inf_detokenize_start(&op, b->p, ids, 1, true, NULL, NULL) == INF_ERROR_STATE);
    EXPECT(15, inf_inspect_start(&op, b->ctx, "x", NULL, NULL, NULL) == INF_ERROR_STATE);
    EXPECT(16, inf_op_text(done, &text) != INF_OK);
    inf_op_cancel(running);
    inf_op_release(running);
    inf_op_release(done);
    inf_provider_release(b->p);
    EXPECT(17, inf_context_close(b->ctx, NULL) == INF_OK);
#if !WATCHED /* the thread sanitizer does not allow threads in a child */
    EXPECT(18, inf_context_create(&b->ctx, NULL, NULL) == INF_OK);
    b->p = open_fake(b->ctx, &fake_ops);
    EXPECT(19, inf_generate(&op, b->p, &request, NULL) == INF_OK);
    inf_op_release(op);
    inf_provider_release(b->p);
    EXPECT(20, inf_context_close(b->ctx, NULL) == INF_OK);
#endif
    _exit(0);
}

static void a_forked_child_may_only_free(void **state)
{
    struct bench b;
    inf_op *done = NULL;
    inf_op *running = NULL;
    pid_t child = -1;
    int status = 0;

    (void)state;
    open_bench(&b, now);
    done = start(b.p, NULL);
    fake_plan(b.p, hold);
    running = start(b.p, &b.callbacks);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        in_the_child(&b, done, running);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    /* The parent goes on as if nothing had been. */
    inf_op_cancel(running);
    assert_int_equal(inf_op_wait(running, -1, NULL), INF_ERROR_CANCELLED);
    inf_op_release(running);
    inf_op_release(done);
    close_bench(&b);
}

/* ------------------------------------------------------------------ adapters through operations */

static void loading_and_unloading_reports(void **state)
{
    struct bench b;
    inf_adapter_source source;
    inf_adapter_report report;
    inf_op *failed = NULL;
    inf_provider_stats stats;
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, hold);
    inf_adapter_source_default(&source, sizeof source);
    source.path = "a path";
    assert_int_equal(inf_adapter_load_start(&op, b.p, "pirate", &source, &b.callbacks, NULL), 0);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    assert_int_equal(inf_op_adapter_report(op, &report, sizeof report), INF_OK);
    assert_int_equal(report.generation, 1);
    assert_int_equal(report.bytes, 6);
    assert_int_equal(report.replaced, 0);
    assert_memory_equal(report.id.data, "pirate", 7);
    assert_null(report.evicted.data);
    inf_op_release(op);
    report.struct_size = sizeof report;
    assert_int_equal(inf_adapter_load(b.p, "pirate", "missing", &report, NULL), INF_ERROR_IO);
    inf_adapter_source_default(&source, sizeof source);
    source.path = "missing";
    assert_int_equal(inf_adapter_load_start(&failed, b.p, "pirate", &source, NULL, NULL), INF_OK);
    inf_op_wait(failed, -1, NULL);
    assert_int_equal(inf_op_adapter_report(failed, &report, sizeof report), INF_ERROR_IO);
    inf_op_release(failed);
    assert_int_equal(inf_adapter_load(b.p, "pirate", "another", &report, NULL), INF_OK);
    assert_int_equal(report.generation, 2);
    assert_int_equal(report.replaced, 1);
    assert_null(report.id.data);
    assert_int_equal(inf_provider_get_stats(b.p, &stats, sizeof stats, NULL), INF_OK);
    assert_int_equal(stats.adapters, 1);
    assert_int_equal(stats.adapter_bytes, 7);
    assert_int_equal(inf_adapter_unload(b.p, "pirate", NULL), INF_OK);
    assert_int_equal(inf_adapter_unload(b.p, "pirate", NULL), INF_ERROR_NOT_FOUND);
    close_bench(&b);
}

/* Every way an operation ends gives its pin back, and only then is the adapter unloaded. */
static void unload_waits_for_requests_in_flight(void **state)
{
    static const int32_t endings[] = {INF_OK, INF_ERROR_BACKEND, INF_ERROR_CANCELLED};
    inf_request request = fake_request("hello");
    struct bench b;

    (void)state;
    open_bench(&b, hold);
    request.adapter_id = inf_str("pirate");
    for (size_t i = 0; i < 3; i++) {
        inf_op *op = NULL;
        inf_op *unload = NULL;

        assert_int_equal(inf_adapter_load(b.p, "pirate", "path", NULL, NULL), INF_OK);
        assert_int_equal(inf_generate_start(&op, b.p, &request, NULL, NULL), INF_OK);
        assert_int_equal(inf_adapter_unload_start(&unload, b.p, "pirate", NULL, NULL), INF_OK);
        assert_false(inf_op_poll(unload));
        if (endings[i] == INF_ERROR_CANCELLED)
            inf_op_cancel(op);
        else
            finish(fake_take(b.p), endings[i]);
        assert_int_equal(inf_op_wait(unload, -1, NULL), INF_OK);
        assert_int_equal(inf_op_wait(op, -1, NULL), endings[i]);
        inf_op_release(op);
        inf_op_release(unload);
    }
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_that_fails_calls_nothing_back),
        cmocka_unit_test(on_done_comes_once_and_last),
        cmocka_unit_test(an_operation_without_callbacks_is_waited_for),
        cmocka_unit_test(an_error_keeps_the_text_so_far),
        cmocka_unit_test(every_code_an_owner_ends_with_arrives),
        cmocka_unit_test(the_failed_http_body_stays),
        cmocka_unit_test(a_wait_that_runs_out_leaves_the_operation_alone),
        cmocka_unit_test(nothing_is_told_while_in_flight),
        cmocka_unit_test(many_threads_wait_and_return_after_on_done),
        cmocka_unit_test(cancel_ends_an_operation_in_flight),
        cmocka_unit_test(cancel_reaches_an_owner_that_only_looks_now_and_then),
        cmocka_unit_test(a_late_cancel_changes_nothing),
        cmocka_unit_test(the_owner_writes_the_status),
        cmocka_unit_test(cancel_inside_on_done_changes_nothing),
        cmocka_unit_test(a_canceller_set_late_is_called_at_once_and_never_twice),
        cmocka_unit_test(an_operation_ends_at_its_timeout),
        cmocka_unit_test(waiting_is_not_counted_as_work),
        cmocka_unit_test(waiting_may_have_a_bound_of_its_own),
        cmocka_unit_test(many_timeouts_are_kept_apart),
        cmocka_unit_test(a_timeout_after_the_end_changes_nothing),
        cmocka_unit_test(release_in_flight_cancels_and_on_done_still_comes),
        cmocka_unit_test(a_retained_operation_is_not_cancelled_by_one_release),
        cmocka_unit_test(an_operation_may_be_released_inside_its_on_done),
        cmocka_unit_test(an_operation_may_be_kept_by_its_on_done),
        cmocka_unit_test(what_blocks_is_a_state_error_inside_a_callback),
        cmocka_unit_test(every_start_has_a_form_that_waits),
        cmocka_unit_test(on_closed_comes_once_after_the_last_on_done),
        cmocka_unit_test(a_close_may_be_started_in_a_callback),
        cmocka_unit_test(operations_may_be_started_inside_a_callback),
        cmocka_unit_test(a_slow_consumer_gets_bigger_chunks_and_all_of_the_text),
        cmocka_unit_test(decoding_does_not_wait_for_a_callback),
        cmocka_unit_test(reasoning_is_a_text_of_its_own),
        cmocka_unit_test(the_last_chunk_needs_no_memory),
        cmocka_unit_test(pieces_of_calls_reach_the_callback),
        cmocka_unit_test(progress_rises_from_0_to_1),
        cmocka_unit_test(the_status_is_written_once_whoever_wins),
        cmocka_unit_test(streams_end_while_they_are_delivered),
        cmocka_unit_test(close_cancels_everything_and_returns_after_the_last_on_done),
        cmocka_unit_test(results_stay_valid_after_close),
        cmocka_unit_test(start_after_close_is_a_state_error),
        cmocka_unit_test(starting_races_with_closing),
        cmocka_unit_test(closing_nothing_is_fine),
        cmocka_unit_test(options_of_a_context_are_checked),
        cmocka_unit_test(the_log_gets_lines_of_its_level_and_above),
        cmocka_unit_test(library_threads_block_all_signals),
        cmocka_unit_test(a_job_that_has_not_started_can_be_taken_back),
        cmocka_unit_test(a_forked_child_may_only_free),
        cmocka_unit_test(loading_and_unloading_reports),
        cmocka_unit_test(unload_waits_for_requests_in_flight),
    };

    return cmocka_run_group_tests_name("core: operations", tests, NULL, NULL);
}
