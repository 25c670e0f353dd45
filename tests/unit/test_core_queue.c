/*
 * queue: delivery by queue, for event loops and language bindings. No library thread calls into the
 * program; it pulls, and a descriptor says when.
 */
#include "fake_backend.h"

#include "core/clock.h"
#include "core/context_state.h"
#include "core/memory.h"
#include "core/queue.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct fake_plan now = {.how = FAKE_NOW, .piece = "piece ", .n_pieces = 3};
static const struct fake_plan hold = {.how = FAKE_HOLD};

struct bench {
    inf_context *ctx;
    inf_provider *p;
    inf_callbacks callbacks;
};

static void open_bench(struct bench *b, struct fake_plan plan)
{
    b->ctx = open_context(INF_DELIVERY_QUEUE);
    b->p = open_fake(b->ctx, &fake_ops);
    fake_plan(b->p, plan);
    inf_callbacks_default(&b->callbacks, sizeof b->callbacks);
    b->callbacks.user_data = b;
}

static void close_bench(struct bench *b)
{
    close_all(b->ctx, b->p);
    assert_int_equal(fake_alive(), 0);
    assert_int_equal(mem_live(), 0);
}

static bool readable(const struct bench *b)
{
    struct pollfd fd = {.fd = inf_context_event_fd(b->ctx), .events = POLLIN};

    return poll(&fd, 1, 0) == 1;
}

static inf_event next(struct bench *b)
{
    inf_event event;
    size_t n = 0;

    assert_int_equal(inf_context_next(b->ctx, &event, sizeof(inf_event), 1, &n, -1, NULL), INF_OK);
    assert_int_equal(n, 1);
    return event;
}

static size_t nothing_left(struct bench *b)
{
    inf_event events[4];
    size_t n = 99;

    assert_int_equal(inf_context_next(b->ctx, events, sizeof(inf_event), 4, &n, 0, NULL), INF_OK);
    return n;
}

/* ------------------------------------------------------------------ order and content */

static void events_come_in_order_and_done_comes_last(void **state)
{
    struct bench b;
    inf_event events[8];
    inf_op *op = NULL;
    size_t n = 0;

    (void)state;
    open_bench(&b, hold);
    op = start(b.p, &b.callbacks);
    assert_ptr_equal(fake_take(b.p), op);
    op_progress(op, 0.5f);
    op_emit(op, "hello ", 6, 1, NULL);
    op_emit_reasoning(op, "hm", 2, NULL);
    op_emit(op, "world", 5, 2, NULL);
    finish(op, INF_OK);
    assert_int_equal(inf_context_next(b.ctx, events, sizeof(inf_event), 8, &n, -1, NULL), INF_OK);
    assert_int_equal(n, 3);
    assert_int_equal(events[0].kind, INF_EVENT_PROGRESS);
    assert_true(events[0].progress > 0.4f && events[0].progress < 0.6f);
    assert_int_equal(events[1].kind, INF_EVENT_TOKEN);
    assert_int_equal(events[1].chunk.text.len, 11);
    assert_memory_equal(events[1].chunk.text.data, "hello world", 11);
    assert_memory_equal(events[1].chunk.reasoning.data, "hm", 2);
    assert_int_equal(events[1].chunk.n_tokens, 2);
    assert_int_equal(events[2].kind, INF_EVENT_DONE);
    for (size_t i = 0; i < n; i++) {
        assert_ptr_equal(events[i].op, op);
        assert_ptr_equal(events[i].user_data, &b);
    }
    assert_int_equal(nothing_left(&b), 0);
    inf_op_release(op);
    close_bench(&b);
}

static void emit_call(inf_op *op, int32_t index, const char *id, const char *name,
                      const char *arguments)
{
    inf_tool_call_delta piece = {
        .index = index, .id = inf_str(id), .name = inf_str(name), .arguments = inf_str(arguments)};

    assert_int_equal(op_emit_tool_call(op, &piece, NULL), INF_OK);
}

static void assert_delta(const inf_tool_call_delta *d, int32_t index, const char *id,
                         const char *name, const char *arguments)
{
    assert_int_equal(d->index, index);
    assert_int_equal(d->id.len, strlen(id));
    assert_memory_equal(d->id.data, id, strlen(id));
    assert_int_equal(d->name.len, strlen(name));
    assert_memory_equal(d->name.data, name, strlen(name));
    assert_int_equal(d->arguments.len, strlen(arguments));
    assert_memory_equal(d->arguments.data, arguments, strlen(arguments));
}

/* What came meanwhile of one call is one piece; operations beside it have theirs. */
static void pieces_of_calls_come_once_and_by_their_index(void **state)
{
    struct bench b;
    inf_event events[8];
    inf_op *op = NULL;
    inf_op *other = NULL;
    size_t n = 0;

    (void)state;
    open_bench(&b, hold);
    op = start(b.p, &b.callbacks);
    other = start(b.p, &b.callbacks);
    assert_ptr_equal(fake_take(b.p), op);
    assert_ptr_equal(fake_take(b.p), other);
    emit_call(op, 0, "a", "f", "");
    emit_call(other, 0, "c", "h", "{}");
    op_emit(op, "hello", 5, 1, NULL);
    emit_call(op, 0, "", "", "{\"x\":");
    emit_call(op, 1, "b", "g", "{");
    assert_int_equal(inf_context_next(b.ctx, events, sizeof(inf_event), 8, &n, -1, NULL), INF_OK);
    assert_int_equal(n, 2);
    assert_memory_equal(events[0].chunk.text.data, "hello", 5);
    assert_int_equal(events[0].chunk.n_tool_calls, 2);
    assert_delta(&events[0].chunk.tool_calls[0], 0, "a", "f", "{\"x\":");
    assert_delta(&events[0].chunk.tool_calls[1], 1, "b", "g", "{");
    assert_int_equal(events[1].chunk.n_tool_calls, 1);
    assert_delta(&events[1].chunk.tool_calls[0], 0, "c", "h", "{}");
    emit_call(op, 1, "", "", "}");
    finish(op, INF_OK);
    finish(other, INF_OK);
    assert_int_equal(inf_context_next(b.ctx, events, sizeof(inf_event), 8, &n, -1, NULL), INF_OK);
    assert_int_equal(n, 3);
    assert_int_equal(events[0].chunk.n_tool_calls, 1);
    assert_delta(&events[0].chunk.tool_calls[0], 1, "", "", "}");
    assert_int_equal(events[1].kind, INF_EVENT_DONE);
    assert_int_equal(events[1].chunk.n_tool_calls, 0);
    assert_int_equal(events[2].kind, INF_EVENT_DONE);
    inf_op_release(op);
    inf_op_release(other);
    close_bench(&b);
}

/* A program that was built before chunks had pieces of calls: it gets the members that it knows. */
static void an_event_without_calls_is_still_one(void **state)
{
    enum { OLD = offsetof(inf_event, chunk.tool_calls) };
    struct bench b;
    unsigned char events[3][OLD];
    inf_event first = {.kind = 0};
    inf_op *op = NULL;
    size_t n = 0;

    (void)state;
    open_bench(&b, hold);
    op = start(b.p, &b.callbacks);
    assert_ptr_equal(fake_take(b.p), op);
    op_emit(op, "hi", 2, 1, NULL);
    emit_call(op, 0, "a", "f", "{}");
    memset(events, 0xee, sizeof events);
    assert_int_equal(inf_context_next(b.ctx, (inf_event *)(void *)events, OLD, 2, &n, -1, NULL),
                     INF_OK);
    assert_int_equal(n, 1);
    memcpy(&first, events[0], OLD);
    assert_int_equal(first.kind, INF_EVENT_TOKEN);
    assert_memory_equal(first.chunk.text.data, "hi", 2);
    assert_int_equal(events[1][0], 0xee);
    finish(op, INF_OK);
    assert_int_equal(next(&b).kind, INF_EVENT_DONE);
    inf_op_release(op);
    close_bench(&b);
}

/* Room for one event at a time: nothing is lost, nothing waits for a later emit. */
static void one_at_a_time_gives_the_same(void **state)
{
    struct bench b;
    inf_op *op = NULL;
    inf_event event;

    (void)state;
    open_bench(&b, hold);
    op = start(b.p, &b.callbacks);
    assert_ptr_equal(fake_take(b.p), op);
    op_progress(op, 0.5f);
    op_emit(op, "hello", 5, 1, NULL);
    assert_int_equal(next(&b).kind, INF_EVENT_PROGRESS);
    event = next(&b); /* the operation is still in flight */
    assert_int_equal(event.kind, INF_EVENT_TOKEN);
    assert_memory_equal(event.chunk.text.data, "hello", 5);
    assert_int_equal(nothing_left(&b), 0);
    op_progress(op, 1);
    op_emit(op, "!", 1, 2, NULL);
    finish(op, INF_ERROR_BACKEND);
    assert_int_equal(next(&b).kind, INF_EVENT_PROGRESS);
    event = next(&b);
    assert_int_equal(event.kind, INF_EVENT_TOKEN);
    assert_int_equal(event.chunk.text.len, 1);
    assert_int_equal(next(&b).kind, INF_EVENT_DONE);
    assert_int_equal(nothing_left(&b), 0);
    assert_int_equal(inf_op_error(op, NULL), INF_ERROR_BACKEND);
    inf_op_release(op);
    close_bench(&b);
}

static void who_pulled_done_finds_it_done(void **state)
{
    struct bench b;

    (void)state;
    open_bench(&b, (struct fake_plan){.how = FAKE_LATER});
    for (int i = 0; i < 1000 / SLOW; i++) {
        inf_op *op = start(b.p, &b.callbacks);
        inf_event event = next(&b);

        assert_int_equal(event.kind, INF_EVENT_DONE);
        assert_true(inf_op_poll(op));
        assert_int_equal(inf_op_wait(op, 0, NULL), INF_OK);
        inf_op_release(op);
    }
    close_bench(&b);
}

/* A wait does not need somebody to pull: done is done. */
static void waiting_works_without_pulling(void **state)
{
    struct bench b;
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, now);
    op = start(b.p, &b.callbacks);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    inf_op_release(op);
    close_bench(&b);
}

static void operations_without_callbacks_make_no_events(void **state)
{
    struct bench b;
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, now);
    op = start(b.p, NULL);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    assert_false(readable(&b));
    assert_int_equal(nothing_left(&b), 0);
    inf_op_release(op);
    close_bench(&b);
}

/* The operation is the queue's as long as its event is: released, it is still there to look at. */
static void an_event_keeps_its_operation(void **state)
{
    struct bench b;
    inf_event event;
    inf_result result;
    inf_op *kept = NULL;

    (void)state;
    open_bench(&b, hold);
    inf_op_release(start(b.p, &b.callbacks));
    event = next(&b);
    assert_int_equal(event.kind, INF_EVENT_DONE);
    assert_int_equal(inf_op_error(event.op, NULL), INF_ERROR_CANCELLED);
    kept = inf_op_retain(event.op);
    assert_int_equal(nothing_left(&b), 0);
    assert_int_equal(inf_op_result(kept, &result, sizeof result), INF_OK);
    inf_op_release(kept);
    close_bench(&b);
}

/* ------------------------------------------------------------------ waiting and the descriptor */

static void a_pull_waits_as_long_as_it_is_told(void **state)
{
    static const int64_t timeouts[] = {0, 1, 30};
    struct bench b;

    (void)state;
    open_bench(&b, now);
    for (size_t i = 0; i < 3; i++) {
        int64_t before = clock_us();
        inf_event event;
        size_t n = 7;

        assert_int_equal(
            inf_context_next(b.ctx, &event, sizeof(inf_event), 1, &n, timeouts[i], NULL), INF_OK);
        assert_int_equal(n, 0);
        assert_true(clock_us() - before >= timeouts[i] * 1000);
    }
    close_bench(&b);
}

static void a_pull_with_an_absurd_timeout_waits_for_the_event(void **state)
{
    struct bench b;
    inf_event event;
    inf_op *op = NULL;
    size_t n = 0;

    (void)state;
    open_bench(&b,
               (struct fake_plan){.how = FAKE_LATER, .pause_us = 3000, .piece = "", .n_pieces = 3});
    op = start(b.p, &b.callbacks);
    assert_int_equal(inf_context_next(b.ctx, &event, sizeof(inf_event), 1, &n, INT64_MAX, NULL),
                     INF_OK);
    assert_int_equal(n, 1);
    assert_int_equal(event.kind, INF_EVENT_DONE);
    inf_op_release(op);
    close_bench(&b);
}

static void the_descriptor_is_readable_while_events_wait(void **state)
{
    struct bench b;
    inf_op *a = NULL;
    inf_op *c = NULL;

    (void)state;
    open_bench(&b, hold);
    assert_true(inf_context_event_fd(b.ctx) >= 0);
    assert_false(readable(&b));
    a = start(b.p, &b.callbacks);
    c = start(b.p, &b.callbacks);
    assert_false(readable(&b));
    assert_ptr_equal(fake_take(b.p), a);
    assert_ptr_equal(fake_take(b.p), c);
    op_emit(a, "x", 1, 1, NULL);
    assert_true(readable(&b));
    assert_true(readable(&b));
    next(&b);
    assert_false(readable(&b));
    op_emit(a, "y", 1, 2, NULL);
    finish(c, INF_OK);
    next(&b);
    assert_true(readable(&b)); /* one is left */
    next(&b);
    assert_false(readable(&b));
    finish(a, INF_OK);
    assert_true(readable(&b));
    next(&b);
    assert_false(readable(&b));
    inf_op_release(a);
    inf_op_release(c);
    close_bench(&b);
}

/* A pull that waits without limit never comes back empty, however the stream and it interleave. */
static void a_pull_without_limit_brings_something(void **state)
{
    struct bench b;

    (void)state;
    open_bench(&b, (struct fake_plan){.how = FAKE_LATER, .piece = "x", .n_pieces = 20000 / SLOW});
    for (int round = 0; round < 5; round++) {
        inf_op *op = start(b.p, &b.callbacks);
        inf_event event;
        size_t len = 0;

        do {
            event = next(&b);
            len += event.chunk.text.len;
        } while (event.kind != INF_EVENT_DONE);
        assert_int_equal(len, 20000 / SLOW);
        inf_op_release(op);
    }
    close_bench(&b);
}

/* ------------------------------------------------------------------ many at once */

struct stream {
    inf_op *op;
    struct buffer text;
    int32_t n_done;
};

static size_t take(struct stream *streams, size_t n_streams, const inf_event *e)
{
    struct stream *s = e->user_data;

    assert_true(s >= streams && s < streams + n_streams);
    assert_ptr_equal(e->op, s->op);
    assert_int_equal(s->n_done, 0); /* DONE is last */
    if (e->kind == INF_EVENT_TOKEN)
        buffer_append(&s->text, e->chunk.text.data, e->chunk.text.len);
    s->n_done += e->kind == INF_EVENT_DONE;
    return e->kind == INF_EVENT_DONE;
}

static void check_many(size_t capacity)
{
    enum { N = 100 };
    struct stream *streams = calloc(N, sizeof *streams);
    inf_event *events = calloc(capacity, sizeof *events);
    struct bench b;
    size_t done = 0;

    open_bench(&b, (struct fake_plan){.how = FAKE_LATER, .piece = "\xc3\xa9", .n_pieces = 50});
    for (int i = 0; i < N; i++) {
        buffer_init(&streams[i].text, BUFFER_NO_LIMIT);
        b.callbacks.user_data = &streams[i];
        streams[i].op = start(b.p, &b.callbacks);
    }
    while (done < N) {
        size_t n = 0;

        assert_int_equal(inf_context_next(b.ctx, events, sizeof(inf_event), capacity, &n, -1, NULL),
                         INF_OK);
        assert_in_range(n, 1, capacity);
        for (size_t i = 0; i < n; i++)
            done += take(streams, N, &events[i]);
    }
    assert_int_equal(nothing_left(&b), 0);
    for (int i = 0; i < N; i++) {
        inf_result r;

        assert_int_equal(inf_op_result(streams[i].op, &r, sizeof r), INF_OK);
        assert_int_equal(r.text.len, 100);
        assert_int_equal(streams[i].text.len, 100);
        assert_memory_equal(streams[i].text.data, r.text.data, 100);
        inf_op_release(streams[i].op);
        buffer_free(&streams[i].text);
    }
    free(streams);
    free(events);
    close_bench(&b);
}

static void many_operations_one_event_at_a_time(void **state)
{
    (void)state;
    check_many(1);
}

static void many_operations_in_batches(void **state)
{
    (void)state;
    check_many(2);
    check_many(7);
    check_many(1000);
}

/* ------------------------------------------------------------------ refusals */

struct puller {
    inf_queue *queue;
    pthread_t thread;
    inf_context *ctx;
    int32_t code;
    size_t n;
};

static void *pull_one(void *arg)
{
    struct puller *p = arg;
    inf_event event;

    p->code = inf_context_next(p->ctx, &event, sizeof(inf_event), 1, &p->n, -1, NULL);
    return NULL;
}

static bool is_pulled(inf_queue *q)
{
    bool pulling = false;

    pthread_mutex_lock(&q->lock);
    pulling = q->pulling;
    pthread_mutex_unlock(&q->lock);
    return pulling;
}

static bool somebody_pulls(inf_context *ctx)
{
    return is_pulled(ctx->queue);
}

static void start_puller(struct puller *p, struct bench *b)
{
    memset(p, 0, sizeof *p);
    p->ctx = b->ctx;
    pthread_create(&p->thread, NULL, pull_one, p);
    while (!somebody_pulls(b->ctx))
        nap();
}

static void a_second_thread_that_pulls_is_refused(void **state)
{
    struct bench b;
    struct puller puller;
    inf_event event;
    inf_op *op = NULL;
    size_t n = 7;

    (void)state;
    open_bench(&b, hold);
    op = start(b.p, &b.callbacks);
    start_puller(&puller, &b);
    assert_int_equal(inf_context_next(b.ctx, &event, sizeof(inf_event), 1, &n, -1, NULL),
                     INF_ERROR_STATE);
    assert_int_equal(n, 0);
    finish(fake_take(b.p), INF_OK);
    pthread_join(puller.thread, NULL);
    assert_int_equal(puller.code, INF_OK);
    assert_int_equal(puller.n, 1);
    assert_int_equal(nothing_left(&b), 0); /* the refused one left nothing behind */
    inf_op_release(op);
    close_bench(&b);
}

static void wrong_arguments_are_refused(void **state)
{
    struct bench b;
    inf_event event;
    size_t n = 0;

    (void)state;
    open_bench(&b, now);
    assert_int_equal(inf_context_next(NULL, &event, sizeof(inf_event), 1, &n, 0, NULL),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_context_next(b.ctx, NULL, sizeof(inf_event), 1, &n, 0, NULL),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_context_next(b.ctx, &event, sizeof(inf_event), 0, &n, 0, NULL),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_context_next(b.ctx, &event, sizeof(inf_event), 1, NULL, 0, NULL),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_context_event_fd(NULL), -1);
    close_bench(&b);
}

static void a_context_of_callbacks_has_no_queue(void **state)
{
    inf_context *ctx = open_context(INF_DELIVERY_CALLBACKS);
    inf_event event;
    size_t n = 0;

    (void)state;
    assert_int_equal(inf_context_next(ctx, &event, sizeof(inf_event), 1, &n, 0, NULL),
                     INF_ERROR_STATE);
    assert_int_equal(inf_context_event_fd(ctx), -1);
    inf_context_close(ctx, NULL);
}

static void out_of_memory_loses_no_event(void **state)
{
    struct bench b;
    inf_op *op = NULL;
    inf_event event;
    size_t n = 0;

    (void)state;
    open_bench(&b, now);
    op = start(b.p, &b.callbacks);
    for (int64_t nth = 1; nth <= 2; nth++) { /* first room for the events, then for their text */
        mem_fail_nth(nth);
        assert_int_equal(inf_context_next(b.ctx, &event, sizeof(inf_event), 1, &n, -1, NULL),
                         INF_ERROR_NO_MEMORY);
        assert_int_equal(n, 0);
        mem_fail_nth(0);
        assert_true(readable(&b));
    }
    event = next(&b);
    assert_int_equal(event.kind, INF_EVENT_TOKEN);
    assert_int_equal(event.chunk.text.len, 18);
    assert_int_equal(next(&b).kind, INF_EVENT_DONE);
    inf_op_release(op);
    close_bench(&b);
}

/* ------------------------------------------------------------------ closing */

static void close_drops_what_nobody_pulled(void **state)
{
    struct bench b;

    (void)state;
    open_bench(&b, now);
    for (int i = 0; i < 20; i++)
        inf_op_release(start(b.p, &b.callbacks));
    next(&b); /* some given out, most not */
    fake_plan(b.p, hold);
    inf_op_release(start(b.p, &b.callbacks));
    close_bench(&b);
}

static void close_ends_a_pull_that_waits(void **state)
{
    (void)state;
    for (int i = 0; i < 200 / SLOW; i++) {
        struct bench b;
        struct puller puller;

        open_bench(&b, hold);
        start_puller(&puller, &b);
        close_bench(&b);
        pthread_join(puller.thread, NULL);
        assert_int_equal(puller.code, INF_ERROR_STATE);
        assert_int_equal(puller.n, 0);
    }
}

/* ------------------------------------------------------------------ functions, and none */

static void a_token(void *arg, inf_op *op, const inf_chunk *chunk)
{
    (void)arg;
    (void)op;
    (void)chunk;
    fail();
}

static void a_progress(void *arg, inf_op *op, float fraction)
{
    (void)arg;
    (void)op;
    (void)fraction;
    fail();
}

static void a_done(void *arg, inf_op *op)
{
    (void)arg;
    (void)op;
    fail();
}

static void on_closed(void *arg)
{
    (void)arg;
    fail();
}

static void refuse_functions(struct bench *b, inf_callbacks c, const char *field)
{
    inf_request request = fake_request("x");
    inf_op *op = NULL;
    inf_error err;

    assert_int_equal(inf_generate_start(&op, b->p, &request, &c, &err), INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, field));
    assert_null(op);
}

static void functions_that_would_never_be_called_are_refused(void **state)
{
    struct bench b;
    inf_callbacks c;
    inf_error err;

    (void)state;
    open_bench(&b, now);
    c = b.callbacks;
    c.on_token = a_token;
    refuse_functions(&b, c, "on_token");
    c = b.callbacks;
    c.on_progress = a_progress;
    refuse_functions(&b, c, "on_progress");
    c = b.callbacks;
    c.on_done = a_done;
    refuse_functions(&b, c, "on_done");
    assert_int_equal(inf_context_close_start(b.ctx, on_closed, NULL, &err),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "on_closed"));
    inf_op_release(start(b.p, NULL)); /* nothing has happened */
    close_bench(&b);
}

/* ------------------------------------------------------------------ only the end */

static void only_done_makes_one_event(void **state)
{
    struct bench b;
    inf_event event;
    inf_result result;
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, now);
    b.callbacks.only_done = true;
    op = start(b.p, &b.callbacks);
    event = next(&b);
    assert_int_equal(event.kind, INF_EVENT_DONE);
    assert_ptr_equal(event.op, op);
    assert_int_equal(inf_op_result(op, &result, sizeof result), INF_OK);
    assert_int_equal(result.text.len, strlen("piece piece piece "));
    assert_int_equal(nothing_left(&b), 0);
    inf_op_release(op);
    op = NULL;
    assert_int_equal(inf_provider_load_start(&op, b.p, &b.callbacks, NULL), INF_OK);
    assert_int_equal(next(&b).kind, INF_EVENT_DONE); /* no progress before it */
    inf_op_release(op);
    close_bench(&b);
}

static void only_done_does_not_go_with_pieces(void **state)
{
    struct bench b;
    inf_callbacks c;

    (void)state;
    open_bench(&b, now);
    inf_callbacks_default(&c, sizeof c);
    c.only_done = true;
    c.on_token = a_token;
    refuse_functions(&b, c, "only_done");
    c.on_token = NULL;
    c.on_progress = a_progress;
    refuse_functions(&b, c, "only_done");
    c.on_progress = NULL;
    c.reserved[6] = 1;
    refuse_functions(&b, c, "reserved");
    close_bench(&b);
}

/* ------------------------------------------------------------------ further queues */

static inf_queue *open_queue(inf_context *ctx)
{
    inf_queue *q = NULL;

    assert_int_equal(inf_queue_create(&q, ctx, NULL), INF_OK);
    return q;
}

static bool queue_readable(const inf_queue *q)
{
    struct pollfd fd = {.fd = inf_queue_fd(q), .events = POLLIN};

    return poll(&fd, 1, 0) == 1;
}

static size_t pull_all(inf_queue *q, inf_event *events, size_t capacity)
{
    size_t n = 0;

    assert_int_equal(inf_queue_next(q, events, sizeof(inf_event), capacity, &n, 0, NULL), INF_OK);
    return n;
}

static void each_queue_gets_its_own(void **state)
{
    for (int32_t delivery = INF_DELIVERY_CALLBACKS; delivery <= INF_DELIVERY_QUEUE; delivery++) {
        inf_context *ctx = open_context(delivery);
        inf_provider *p = open_fake(ctx, &fake_ops);
        inf_queue *queues[2] = {open_queue(ctx), open_queue(ctx)};
        inf_op *ops[2] = {NULL, NULL};
        inf_callbacks c;
        inf_event events[8];

        (void)state;
        fake_plan(p, hold);
        inf_callbacks_default(&c, sizeof c);
        c.only_done = true;
        for (int i = 0; i < 2; i++) {
            c.queue = queues[i];
            c.user_data = &ops[i];
            ops[i] = start(p, &c);
        }
        assert_false(queue_readable(queues[0]));
        finish(fake_take(p), INF_OK);
        assert_int_equal(inf_op_wait(ops[0], -1, NULL), INF_OK);
        assert_true(queue_readable(queues[0]));
        assert_false(queue_readable(queues[1]));
        assert_int_equal(pull_all(queues[1], events, 8), 0);
        assert_int_equal(pull_all(queues[0], events, 8), 1);
        assert_int_equal(events[0].kind, INF_EVENT_DONE);
        assert_ptr_equal(events[0].user_data, &ops[0]);
        assert_false(queue_readable(queues[0]));
        finish(fake_take(p), INF_OK);
        assert_int_equal(inf_op_wait(ops[1], -1, NULL), INF_OK);
        assert_int_equal(pull_all(queues[1], events, 8), 1);
        assert_ptr_equal(events[0].user_data, &ops[1]);
        inf_op_release(ops[0]);
        inf_op_release(ops[1]);
        inf_queue_release(queues[1]);
        close_all(ctx, p);
        assert_int_equal(
            inf_queue_next(queues[0], events, sizeof(inf_event), 8, &(size_t){0}, -1, NULL),
            INF_ERROR_STATE);
        inf_queue_release(queues[0]); /* after its context */
        assert_int_equal(mem_live(), 0);
    }
}

static void a_queue_with_events_left_stays_readable(void **state)
{
    struct bench b;
    inf_queue *q = NULL;
    inf_op *ops[3];
    inf_event event;

    (void)state;
    open_bench(&b, now);
    q = open_queue(b.ctx);
    b.callbacks.queue = q;
    b.callbacks.only_done = true;
    for (int i = 0; i < 3; i++) {
        ops[i] = start(b.p, &b.callbacks);
        assert_int_equal(inf_op_wait(ops[i], -1, NULL), INF_OK);
    }
    for (int i = 0; i < 3; i++) {
        assert_true(queue_readable(q));
        assert_int_equal(pull_all(q, &event, 1), 1);
        inf_op_release(ops[i]);
    }
    assert_false(queue_readable(q));
    inf_queue_release(q);
    close_bench(&b);
}

static void operations_outlive_their_queue(void **state)
{
    struct bench b;
    inf_op *op = NULL;
    inf_result result;

    (void)state;
    open_bench(&b, hold);
    b.callbacks.queue = open_queue(b.ctx);
    op = start(b.p, &b.callbacks);
    inf_queue_release(b.callbacks.queue);
    finish(fake_take(b.p), INF_OK);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    assert_int_equal(inf_op_result(op, &result, sizeof result), INF_OK);
    assert_int_equal(nothing_left(&b), 0);
    inf_op_release(op);
    close_bench(&b);
}

static void *pull_queue(void *arg)
{
    struct puller *p = arg;
    inf_event event;

    p->code = inf_queue_next(p->queue, &event, sizeof(inf_event), 1, &p->n, -1, NULL);
    return NULL;
}

static void who_waits_on_a_queue_leaves_when_it_ends(void **state)
{
    for (int by_context = 0; by_context < 2; by_context++) {
        struct bench b;
        struct puller p = {0};
        inf_queue *q = NULL;

        (void)state;
        open_bench(&b, now);
        q = p.queue = open_queue(b.ctx);
        pthread_create(&p.thread, NULL, pull_queue, &p);
        while (!is_pulled(q))
            nap();
        if (by_context)
            close_all(b.ctx, b.p);
        else
            inf_queue_release(q);
        pthread_join(p.thread, NULL);
        assert_int_equal(p.code, INF_ERROR_STATE);
        if (by_context)
            inf_queue_release(q);
        else
            close_all(b.ctx, b.p);
        assert_int_equal(mem_live(), 0);
    }
}

static void a_queue_is_refused(void **state)
{
    struct bench b;
    struct bench other;
    inf_queue *q = NULL;
    inf_callbacks c;
    inf_event event;
    size_t n = 0;

    (void)state;
    open_bench(&b, now);
    open_bench(&other, now);
    c = b.callbacks;
    c.queue = open_queue(other.ctx);
    refuse_functions(&b, c, "queue");
    inf_queue_release(c.queue);
    assert_int_equal(inf_context_close(other.ctx, NULL), INF_OK);
    inf_provider_release(other.p);
    c.queue = open_queue(b.ctx);
    c.on_done = a_done;
    refuse_functions(&b, c, "on_done");
    inf_queue_release(c.queue);
    assert_int_equal(inf_queue_create(NULL, b.ctx, NULL), INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_queue_create(&q, NULL, NULL), INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_queue_next(NULL, &event, sizeof(inf_event), 1, &n, 0, NULL),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_queue_fd(NULL), -1);
    inf_queue_release(NULL);
    assert_int_equal(inf_context_close_start(b.ctx, NULL, NULL, NULL), INF_OK);
    assert_int_equal(inf_queue_create(&q, b.ctx, NULL), INF_ERROR_STATE);
    assert_null(q);
    close_bench(&b);
}

/* ------------------------------------------------------------------ closing without blocking */

static void closed_is_the_last_event(void **state)
{
    struct bench b;
    inf_event event;
    inf_op *op = NULL;
    inf_op *late = NULL;
    inf_request request = fake_request("x");
    size_t n = 0;
    inf_error err;

    (void)state;
    open_bench(&b, hold);
    op = start(b.p, &b.callbacks);
    assert_int_equal(inf_context_close_start(b.ctx, NULL, &n, NULL), INF_OK);
    assert_int_equal(inf_generate_start(&late, b.p, &request, NULL, NULL), INF_ERROR_STATE);
    assert_int_equal(inf_context_close_start(b.ctx, NULL, NULL, &err), INF_ERROR_STATE);
    event = next(&b);
    assert_int_equal(event.kind, INF_EVENT_DONE);
    assert_ptr_equal(event.op, op);
    assert_ptr_equal(event.user_data, &b);
    assert_int_equal(inf_op_error(op, NULL), INF_ERROR_CANCELLED);
    event = next(&b);
    assert_int_equal(event.kind, INF_EVENT_CLOSED);
    assert_null(event.op);
    assert_ptr_equal(event.user_data, &n);
    assert_int_equal(fake_alive(), 0); /* what was inside the provider is gone already */
    assert_int_equal(inf_context_next(b.ctx, &event, sizeof(inf_event), 1, &n, -1, NULL),
                     INF_ERROR_STATE);
    inf_op_release(op);
    close_bench(&b);
}

static void closing_wakes_who_waits_for_events(void **state)
{
    struct bench b;

    (void)state;
    open_bench(&b, hold);
    assert_int_equal(inf_context_close_start(b.ctx, NULL, NULL, NULL), INF_OK);
    assert_int_equal(next(&b).kind, INF_EVENT_CLOSED);
    close_bench(&b);
    open_bench(&b, hold);
    assert_int_equal(inf_context_close_start(b.ctx, NULL, NULL, NULL), INF_OK);
    while (!readable(&b))
        nap();
    assert_int_equal(next(&b).kind, INF_EVENT_CLOSED);
    assert_false(readable(&b));
    close_bench(&b);
}

static void a_close_that_was_started_may_be_waited_for(void **state)
{
    struct bench b;
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, hold);
    op = start(b.p, &b.callbacks);
    assert_int_equal(inf_context_close_start(b.ctx, NULL, NULL, NULL), INF_OK);
    inf_op_release(op);
    close_bench(&b); /* DONE and CLOSED were never pulled */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_in_order_and_done_comes_last),
        cmocka_unit_test(pieces_of_calls_come_once_and_by_their_index),
        cmocka_unit_test(an_event_without_calls_is_still_one),
        cmocka_unit_test(one_at_a_time_gives_the_same),
        cmocka_unit_test(who_pulled_done_finds_it_done),
        cmocka_unit_test(waiting_works_without_pulling),
        cmocka_unit_test(operations_without_callbacks_make_no_events),
        cmocka_unit_test(an_event_keeps_its_operation),
        cmocka_unit_test(a_pull_waits_as_long_as_it_is_told),
        cmocka_unit_test(a_pull_with_an_absurd_timeout_waits_for_the_event),
        cmocka_unit_test(the_descriptor_is_readable_while_events_wait),
        cmocka_unit_test(a_pull_without_limit_brings_something),
        cmocka_unit_test(many_operations_one_event_at_a_time),
        cmocka_unit_test(many_operations_in_batches),
        cmocka_unit_test(a_second_thread_that_pulls_is_refused),
        cmocka_unit_test(wrong_arguments_are_refused),
        cmocka_unit_test(a_context_of_callbacks_has_no_queue),
        cmocka_unit_test(out_of_memory_loses_no_event),
        cmocka_unit_test(close_drops_what_nobody_pulled),
        cmocka_unit_test(close_ends_a_pull_that_waits),
        cmocka_unit_test(functions_that_would_never_be_called_are_refused),
        cmocka_unit_test(only_done_makes_one_event),
        cmocka_unit_test(only_done_does_not_go_with_pieces),
        cmocka_unit_test(each_queue_gets_its_own),
        cmocka_unit_test(a_queue_with_events_left_stays_readable),
        cmocka_unit_test(operations_outlive_their_queue),
        cmocka_unit_test(who_waits_on_a_queue_leaves_when_it_ends),
        cmocka_unit_test(a_queue_is_refused),
        cmocka_unit_test(closed_is_the_last_event),
        cmocka_unit_test(closing_wakes_who_waits_for_events),
        cmocka_unit_test(a_close_that_was_started_may_be_waited_for),
    };

    return cmocka_run_group_tests_name("core: queue", tests, NULL, NULL);
}
