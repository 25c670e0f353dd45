/*
 * op: the operation's life; see the header for who completes it and which lock is held when.
 */
#include "core/op_state.h"

#include "core/clock.h"
#include "core/context_state.h"
#include "core/deadlines.h"
#include "core/events.h"
#include "core/growing.h"
#include "core/in_flight.h"
#include "core/memory.h"
#include "core/provider_state.h"
#include "core/queue.h"
#include "core/structs.h"

/* ------------------------------------------------------------------ life */

void inf_callbacks_default(inf_callbacks *callbacks, size_t size)
{
    inf_callbacks defaults = {.struct_size = sizeof defaults};

    struct_write(callbacks, size, &defaults, sizeof defaults);
}

static void init_op_locks(inf_op *op)
{
    pthread_mutex_init(&op->lock, NULL);
    pthread_mutex_init(&op->cancel_lock, NULL);
    monotonic_cond_init(&op->done);
}

static void free_output(struct op_output *o)
{
    mem_free(o->model);
    mem_free(o->adapter_id);
    mem_free(o->adapters);
    mem_free(o->finish_reason);
    mem_free(o->reasoning);
    mem_free(o->tool_calls);
    mem_free(o->token_ids);
    mem_free(o->logprobs);
    mem_free(o->logprobs_block);
    mem_free(o->report_id);
    mem_free(o->report_evicted);
    buffer_free(&o->text);
    mem_free(o->top_ids);
    mem_free(o->top);
    mem_free(o->probe);
    mem_free(o->all);
    mem_free(o->error_body);
}

static void free_pieces(struct call_pieces *c)
{
    buffer_free(&c->id);
    buffer_free(&c->name);
    buffer_free(&c->arguments);
}

static void op_free(inf_op *op)
{
    provider_unref(op->provider);
    free_output(&op->output);
    mem_free(op->request);
    buffer_free(&op->text);
    buffer_free(&op->reasoning);
    for (size_t i = 0; i < op->n_calls; i++)
        free_pieces(&op->calls[i]);
    mem_free(op->calls);
    mem_free(op->deltas);
    pthread_cond_destroy(&op->done);
    pthread_mutex_destroy(&op->cancel_lock);
    pthread_mutex_destroy(&op->lock);
    queue_unref(op->queue);
    context_unref(op->context);
    mem_free(op);
}

/* In delivery by queue they would never be called. */
static int32_t refuse_functions(const inf_callbacks *c, inf_error *err)
{
    const char *field = c->on_token      ? "on_token"
                        : c->on_progress ? "on_progress"
                        : c->on_done     ? "on_done"
                                         : NULL;

    return field ? error_set(err, INF_ERROR_INVALID_ARGUMENT,
                             "%s: a queue gets the events and nothing is called; leave it NULL and "
                             "pull events with inf_context_next or inf_queue_next",
                             field)
                 : INF_OK;
}

static int32_t check_callbacks(const inf_callbacks *c, const inf_context *ctx, inf_error *err)
{
    for (size_t i = 0; i < sizeof c->reserved; i++)
        if (c->reserved[i])
            return error_set(err, INF_ERROR_INVALID_ARGUMENT, "callbacks: reserved is not 0");
    if (c->only_done && (c->on_token || c->on_progress))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "only_done: does not go with an on_token or on_progress");
    if (c->queue && c->queue->context != ctx)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "queue: belongs to another context");
    return c->queue || ctx->queue ? refuse_functions(c, err) : INF_OK;
}

int32_t op_create(inf_op **out, inf_context *ctx, inf_provider *provider, enum op_kind kind,
                  const inf_callbacks *callbacks, const struct op_times *times, inf_error *err)
{
    inf_op *op = NULL;
    inf_callbacks read = {.struct_size = sizeof read};
    int32_t code = struct_read(&read, sizeof read, callbacks, "inf_callbacks", err);

    *out = NULL;
    if (code == INF_OK)
        code = check_callbacks(&read, ctx, err);
    if (code != INF_OK)
        return code;
    op = mem_calloc(1, sizeof *op);
    if (!op)
        return error_no_memory(err);
    init_op_locks(op);
    atomic_init(&op->refs, 2);
    atomic_init(&op->user_refs, 1);
    op->context = ctx;
    context_ref(ctx);
    op->provider = provider ? provider_ref(provider) : NULL;
    op->kind = kind;
    op->callbacks = read;
    op->has_callbacks = callbacks != NULL;
    if (op->has_callbacks && (read.queue || ctx->queue))
        op->queue = queue_ref(read.queue ? read.queue : ctx->queue);
    op->started_us = clock_us();
    op->times = times ? *times : (struct op_times){-1, -1};
    op->deadline.at = SIZE_MAX;
    op->progress = -1;
    buffer_init(&op->text, BUFFER_NO_LIMIT);
    buffer_init(&op->reasoning, BUFFER_NO_LIMIT);
    buffer_init(&op->output.text, BUFFER_NO_LIMIT);
    code = in_flight_add(ctx, op, err);
    if (code != INF_OK) {
        op_free(op);
        return code;
    }
    *out = op;
    return INF_OK;
}

inf_op *op_ref(inf_op *op)
{
    op_hold(op);
    return op;
}

void op_unref(inf_op *op)
{
    if (atomic_fetch_sub_explicit(&op->refs, 1, memory_order_acq_rel) == 1)
        op_free(op);
}

/* ------------------------------------------------------------------ for the owner */

enum op_kind op_kind(const inf_op *op)
{
    return op->kind;
}

inf_context *op_context(const inf_op *op)
{
    return op->context;
}

const inf_request *op_request(const inf_op *op)
{
    return op->request;
}

void op_set_request(inf_op *op, inf_request *owned)
{
    op->request = owned;
}

struct op_output *op_output(inf_op *op)
{
    return &op->output;
}

int64_t op_started_us(const inf_op *op)
{
    return op->started_us;
}

void op_begin_work(inf_op *op)
{
    deadlines_begin_work(op->context, op);
}

int64_t op_work_began_us(const inf_op *op)
{
    return atomic_load_explicit(&op->work_began_us, memory_order_acquire);
}

int32_t op_stop_code(const inf_op *op)
{
    return atomic_load_explicit(&op->stop_code, memory_order_acquire);
}

int32_t op_stop_error(const inf_op *op, inf_error *err)
{
    switch (op_stop_code(op)) {
    case INF_ERROR_CANCELLED:
        return error_set(err, INF_ERROR_CANCELLED, "the operation was cancelled");
    case INF_ERROR_TIMEOUT:
        return op_work_began_us(op)
                   ? error_set(
                         err, INF_ERROR_TIMEOUT,
                         "not done within timeout_ms, %lld ms from its slot or connection; raise "
                         "it (-1: no limit)",
                         (long long)op->times.work_ms)
                   : error_set(
                         err, INF_ERROR_TIMEOUT,
                         "no slot or connection within queue_timeout_ms, %lld ms; raise it (-1: "
                         "no limit)",
                         (long long)op->times.queue_ms);
    default:
        return error_none(err);
    }
}

void op_set_canceller(inf_op *op, op_canceller fn, void *owner)
{
    pthread_mutex_lock(&op->cancel_lock);
    op->canceller = fn;
    op->canceller_owner = owner;
    if (fn && op_stop_code(op) != INF_OK) {
        op->canceller = NULL;
        fn(owner, op);
    }
    pthread_mutex_unlock(&op->cancel_lock);
}

void op_request_stop(inf_op *op, int32_t code)
{
    int32_t none = INF_OK;
    op_canceller fn = NULL;

    if (atomic_load(&op->state) != OP_RUNNING ||
        !atomic_compare_exchange_strong(&op->stop_code, &none, code))
        return;
    pthread_mutex_lock(&op->cancel_lock);
    fn = op->canceller;
    op->canceller = NULL;
    if (fn)
        fn(op->canceller_owner, op);
    pthread_mutex_unlock(&op->cancel_lock);
}

static void tell(inf_op *op, bool finished)
{
    if (op->queue)
        queue_push(op->queue, op, finished);
    else
        events_queue(op->context, op, finished);
}

/* Whether pieces are events of a queue. */
static bool queues_pieces(const inf_op *op)
{
    return op->queue && !op->callbacks.only_done;
}

static bool wants_tokens(const inf_op *op)
{
    return queues_pieces(op) || op->callbacks.on_token;
}

/* n_tokens -1: as many as there were. */
static int32_t emit(inf_op *op, struct buffer *to, const char *text, size_t len, int64_t n_tokens,
                    inf_error *err)
{
    bool ok = false;

    pthread_mutex_lock(&op->lock);
    ok = buffer_append(to, text, len);
    if (n_tokens >= 0)
        op->n_tokens = n_tokens;
    pthread_mutex_unlock(&op->lock);
    if (!ok)
        return error_no_memory(err);
    if (len && wants_tokens(op))
        tell(op, false);
    return INF_OK;
}

int32_t op_emit(inf_op *op, const char *text, size_t len, int64_t n_tokens, inf_error *err)
{
    return emit(op, &op->text, text, len, n_tokens, err);
}

int32_t op_emit_reasoning(inf_op *op, const char *text, size_t len, inf_error *err)
{
    return emit(op, &op->reasoning, text, len, -1, err);
}

/* op->lock is held. */
static bool make_room_for_call(inf_op *op, size_t n)
{
    size_t room = op->call_room;

    if (!GROW(op->deltas, room, n))
        return false;
    room = op->call_room;
    if (!GROW(op->calls, room, n))
        return false;
    op->call_room = room;
    for (; op->n_calls < n; op->n_calls++) {
        struct call_pieces *c = &op->calls[op->n_calls];

        buffer_init(&c->id, BUFFER_NO_LIMIT);
        buffer_init(&c->name, BUFFER_NO_LIMIT);
        buffer_init(&c->arguments, BUFFER_NO_LIMIT);
    }
    return true;
}

static bool add_piece(inf_op *op, const inf_tool_call_delta *piece)
{
    size_t index = (size_t)piece->index;
    struct call_pieces *c = NULL;

    if (!make_room_for_call(op, index + 1))
        return false;
    c = &op->calls[index];
    op->call_news = true;
    return buffer_append(&c->id, piece->id.data, piece->id.len) &&
           buffer_append(&c->name, piece->name.data, piece->name.len) &&
           buffer_append(&c->arguments, piece->arguments.data, piece->arguments.len);
}

int32_t op_emit_tool_call(inf_op *op, const inf_tool_call_delta *piece, inf_error *err)
{
    bool ok = false;

    if (!wants_tokens(op))
        return INF_OK;
    pthread_mutex_lock(&op->lock);
    ok = add_piece(op, piece);
    pthread_mutex_unlock(&op->lock);
    if (!ok)
        return error_no_memory(err);
    tell(op, false);
    return INF_OK;
}

void op_progress(inf_op *op, float fraction)
{
    bool news = false;

    pthread_mutex_lock(&op->lock);
    if (fraction >= 0 && fraction > op->progress && fraction <= 1.0f) {
        op->progress = fraction;
        op->progress_pending = news = queues_pieces(op) || op->callbacks.on_progress != NULL;
    }
    pthread_mutex_unlock(&op->lock);
    if (news)
        tell(op, false);
}

/* The in-flight reference goes, and then the context counts one less: once closing has seen the last one
 * go, nothing of it is left to be freed. */
static void retire(inf_op *op)
{
    inf_context *ctx = op->context;

    in_flight_remove(ctx, op);
    op_unref(op);
    in_flight_count_down(ctx);
}

void op_abandon(inf_op *op)
{
    deadlines_remove(op->context, op);
    op_unref(op); /* the clock may still hold a reference; the last one frees */
    retire(op);
}

/* Whoever waits goes on. */
static void mark_done(inf_op *op)
{
    pthread_mutex_lock(&op->lock);
    atomic_store(&op->state, OP_DONE);
    pthread_cond_broadcast(&op->done);
    pthread_mutex_unlock(&op->lock);
}

void op_set_done(inf_op *op)
{
    mark_done(op);
    retire(op);
}

/* What the result lists, of an adapter that it names alone. */
static void list_adapter(inf_op *op)
{
    struct op_output *o = &op->output;
    const inf_request *r = op->request;

    o->single = (inf_result_adapter){.id = inf_str(o->adapter_id),
                                     .generation = o->adapter_generation,
                                     .scale = r && r->n_adapters == 1 ? r->adapters[0].scale.value
                                                                      : 1.0f};
}

void op_finish(inf_op *op, const inf_error *err)
{
    inf_provider *provider = op->provider;
    bool dispatched = op->has_callbacks && !op->queue;

    pthread_mutex_lock(&op->cancel_lock);
    op->canceller = NULL;
    pthread_mutex_unlock(&op->cancel_lock);
    deadlines_remove(op->context, op);
    list_adapter(op);
    pthread_mutex_lock(&op->lock);
    if (err)
        op->error = *err;
    op->provider = NULL;
    atomic_store(&op->state, OP_FINISHED);
    pthread_mutex_unlock(&op->lock);
    provider_unref(provider);
    if (dispatched) {
        /* From here on it is the dispatch thread's, which retires it. */
        tell(op, true);
        return;
    }
    mark_done(op); /* before the event: who pulled DONE finds it done */
    if (op->queue)
        tell(op, true);
    retire(op);
}

static void finish_stopped(struct job *job)
{
    inf_op *op = (inf_op *)(void *)((char *)job - offsetof(inf_op, finish_job));
    inf_error err;

    op_stop_error(op, &err);
    op_finish(op, &err);
}

void op_finish_later(inf_op *op)
{
    op->finish_job.run = finish_stopped;
    context_submit(op->context, &op->finish_job);
}

/* ------------------------------------------------------------------ for the user */

inf_op *inf_op_retain(inf_op *op)
{
    /* All of the user's references together hold one of `refs`; a callback may get an operation
     * whose user references are all gone. */
    if (op && atomic_fetch_add(&op->user_refs, 1) == 0)
        op_ref(op);
    return op;
}

void inf_op_release(inf_op *op)
{
    bool forked = op && context_forked(op->context);

    if (!op || atomic_fetch_sub(&op->user_refs, 1) != 1)
        return;
    if (forked && atomic_load(&op->state) != OP_DONE)
        return; /* its locks may be held by threads that do not exist here */
    if (!forked)
        op_request_stop(op, INF_ERROR_CANCELLED);
    op_unref(op);
}

void inf_op_cancel(inf_op *op)
{
    if (op && !context_forked(op->context))
        op_request_stop(op, INF_ERROR_CANCELLED);
}

bool inf_op_poll(const inf_op *op)
{
    return op && atomic_load_explicit(&op->state, memory_order_acquire) == OP_DONE;
}

static bool wait_done(inf_op *op, int64_t timeout_ms)
{
    int64_t end = clock_deadline_us(timeout_ms);
    bool done = false;

    pthread_mutex_lock(&op->lock);
    while (!(done = atomic_load(&op->state) == OP_DONE) && clock_us() < end)
        cond_wait_until_us(&op->done, &op->lock, end);
    pthread_mutex_unlock(&op->lock);
    return done;
}

int32_t inf_op_wait(inf_op *op, int64_t timeout_ms, inf_error *err)
{
    int32_t code = INF_OK;

    if (!op)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "op is NULL");
    code = context_check(op->context, true, err);
    if (code != INF_OK)
        return code;
    if (!wait_done(op, timeout_ms))
        return error_set_detail(err, INF_ERROR_TIMEOUT, INF_WAIT_EXPIRED,
                                "the wait is over; the operation goes on");
    return inf_op_error(op, err);
}

int32_t inf_op_error(const inf_op *op, inf_error *err)
{
    if (!op)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "op is NULL");
    if (context_check(op->context, false, err) != INF_OK)
        return INF_ERROR_STATE;
    /* In its own on_done an operation counts as ended. */
    if (atomic_load_explicit(&op->state, memory_order_acquire) == OP_RUNNING)
        return error_set(err, INF_ERROR_STATE, "the operation is still in flight");
    if (err)
        *err = op->error;
    return op->error.code;
}

inf_text inf_op_error_body(const inf_op *op)
{
    if (!op || atomic_load_explicit(&op->state, memory_order_acquire) == OP_RUNNING)
        return (inf_text){NULL, 0};
    return (inf_text){op->output.error_body, op->output.error_body_len};
}
