/* vllm_generate: see the header. */
#include "remote/vllm_generate.h"

#include "core/clock.h"
#include "core/memory.h"
#include "remote/remote.h"
#include "remote/vllm_look.h"
#include "remote/vllm_watch.h"

enum { LOOKS_MAX = 4 };

struct request {
    struct chat_call call;
    struct vllm *vllm;
    struct generation *generation; /* pinned; NULL: no adapter, or one that is not tracked */
    struct flight flight;          /* its replica is the one of the last attempt */
    struct look_waiter waiter;
    uint32_t life;    /* of that replica, when it was sent */
    uint64_t tried;   /* mask: replicas that failed it */
    int32_t n_looked; /* times it waited for a look at what the replica has */
    bool without_max_tokens, loaded_again;
};

const struct chat_form vllm_form = {
    .write = chat_body_write_v1,
    .takes = ~UINT32_C(0),
    .why_not = "vLLM cannot do that",
    .seed_max = INT64_MAX,
    .any_role = true, /* its chat template says what it knows */
    /* counts all along, so that a request that is cut short knows them */
    .stream_options = "{\"include_usage\":true,\"continuous_usage_stats\":true}"};

/* What goes as "model": the adapter's name on the servers, else the model. */
static inf_text model_of(const struct request *r)
{
    const inf_request *asked = op_request(r->call.op);

    if (r->generation)
        return inf_str(r->generation->name);
    return asked->adapter_id.data ? asked->adapter_id : asked->model;
}

/* Without the lock. */
static void unpin(struct request *r)
{
    if (!r->generation)
        return;
    pthread_mutex_lock(&r->vllm->lock);
    vllm_unpin(r->vllm, r->generation);
    pthread_mutex_unlock(&r->vllm->lock);
}

/* ------------------------------------------------------------------ an attempt */

static int32_t write_body(struct buffer *body, const struct request *r, inf_error *err)
{
    buffer_init(body, CHAT_BODY_MAX);
    return chat_body_write(body, &vllm_form, op_request(r->call.op), model_of(r),
                           !r->without_max_tokens, err);
}

/* The lock is held; the replica is chosen and not yet counted as busy. */
static int32_t send_locked(struct request *r, struct buffer *body, inf_error *err)
{
    struct vllm *v = r->vllm;
    struct flight *f = &r->flight;
    struct replica *one = &v->replicas.items[f->replica];
    /* While another replica could take it, that comes before trying this one again. */
    bool again = !replicas_more(&v->replicas, r->tried);
    int32_t code = INF_OK;

    f->moved = false;
    code = chat_call_start(&r->call, v->client, &one->server, again, CHAT_COMPLETIONS, body, err);
    if (code != INF_OK)
        return code;
    r->life = replicas_life(&v->replicas, f->replica, clock_us());
    one->busy++;
    vllm_watch_add(v, f);
    return INF_OK;
}

/* Has somebody make sure of the adapter, for this request too. The lock is held. */
static int32_t wait_for_look(struct request *r, inf_error *err)
{
    struct vllm *v = r->vllm;

    if (op_stop_code(r->call.op) != INF_OK)
        return op_stop_error(r->call.op, err);
    if (r->n_looked++ == LOOKS_MAX)
        return error_set(err, INF_ERROR_CONNECTION,
                         "%s keeps losing its connections; is the server being started again and "
                         "again?",
                         vllm_url(v, r->flight.replica));
    return vllm_look(v, r->generation, r->flight.replica, &r->waiter, err);
}

/* Its adapter may not be there, or be another's. The lock is held. */
static bool must_look(const struct request *r)
{
    size_t i = r->flight.replica;

    return r->generation && op_stop_code(r->call.op) == INF_OK &&
           !generation_was_seen(r->generation, i, replicas_life(&r->vllm->replicas, i, clock_us()));
}

/* On the replica, after a look if there must be one. The lock is held. */
static int32_t go(struct request *r, struct buffer *body, inf_error *err)
{
    return must_look(r) ? wait_for_look(r, err) : send_locked(r, body, err);
}

/* One that was not tried. The lock is held. */
static bool pick(struct request *r)
{
    uint64_t having = r->generation ? r->generation->where : UINT64_MAX;
    size_t i = replicas_pick(&r->vllm->replicas, having, r->tried);

    if (i != REPLICA_NONE)
        r->flight.replica = i;
    return i != REPLICA_NONE;
}

/* Another attempt: on the same replica, or with `elsewhere` on one that was not tried. An error: there
 * is none. */
static int32_t send_again(struct request *r, bool elsewhere, inf_error *err)
{
    struct vllm *v = r->vllm;
    struct buffer body;
    int32_t code = write_body(&body, r, err);

    pthread_mutex_lock(&v->lock);
    if (code == INF_OK)
        code = op_stop_code(r->call.op);
    if (code == INF_OK && elsewhere && !pick(r))
        code = INF_ERROR_CONNECTION;
    if (code == INF_OK)
        code = go(r, &body, err);
    pthread_mutex_unlock(&v->lock);
    buffer_free(&body);
    return code;
}

static int32_t send_elsewhere(struct request *r)
{
    inf_error ignored = {0};

    r->tried |= replica_bit(r->flight.replica);
    return send_again(r, true, &ignored);
}

/* ------------------------------------------------------------------ the end */

/* Nothing of it is in flight any more, and no lock is held. */
static void finish(struct request *r, const struct http_outcome *outcome, inf_error *err)
{
    inf_text adapter = op_request(r->call.op)->adapter_id;
    struct op_output *out = op_output(r->call.op);

    out->adapter_id = adapter.data ? mem_strndup(adapter.data, adapter.len) : NULL;
    if (adapter.data && !out->adapter_id && err->code == INF_OK)
        error_no_memory(err);
    if (r->generation)
        out->adapter_generation = r->generation->report.generation;
    unpin(r);
    chat_call_end(&r->call, outcome, err);
}

/* ------------------------------------------------------------------ what follows an attempt */

static bool connecting_took_its_time(const struct request *r)
{
    int64_t begun_us = r->call.begun_us;

    return begun_us && clock_us() - begun_us >= vllm_patience_ms(r->vllm) * 1000;
}

/* The replica gave no answer at all. A timeout is one of its own only when connecting took as long as
 * it may: a user's short one says nothing. */
static bool is_unreachable(const struct request *r, const struct http_outcome *outcome)
{
    return r->flight.moved || outcome->error->code == INF_ERROR_CONNECTION ||
           (outcome->error->code == INF_ERROR_TIMEOUT && !outcome->sent &&
            connecting_took_its_time(r));
}

/* It may be there and silent: it is asked. */
static bool is_suspicious(const struct request *r, const struct http_outcome *outcome)
{
    return outcome->error->code == INF_ERROR_TIMEOUT ||
           (!r->call.answered && op_stop_code(r->call.op) == INF_ERROR_TIMEOUT);
}

static bool is_busy_answer(const struct http_outcome *outcome)
{
    int32_t status = outcome->head.status;

    return outcome->error->code == INF_ERROR_HTTP_STATUS &&
           (status == 408 || status == 409 || status == 429 || status >= 500);
}

/* The server says that it does not know the adapter: it has another life. */
static int32_t load_again(struct request *r, inf_error *err)
{
    struct vllm *v = r->vllm;
    int32_t code = INF_OK;

    r->loaded_again = true;
    pthread_mutex_lock(&v->lock);
    replicas_reborn(&v->replicas, r->flight.replica, r->life);
    code = wait_for_look(r, err);
    pthread_mutex_unlock(&v->lock);
    return code;
}

/* INF_OK when another attempt is under way; *err is how the request ends otherwise. */
static int32_t try_further(struct request *r, const struct http_outcome *outcome, inf_error *err)
{
    struct server_answer a = server_answer_of(r->call.server, ROUTE_CHAT, model_of(r).data,
                                              outcome);

    if (r->vllm->replicas.n > 1 && (is_unreachable(r, outcome) || is_busy_answer(outcome))) {
        if (send_elsewhere(r) == INF_OK)
            return INF_OK;
    } else if (r->generation && !r->loaded_again && server_error_is_unknown_model(&a)) {
        return load_again(r, err);
    } else if (!op_request(r->call.op)->max_tokens.is_set && !r->without_max_tokens &&
               server_error_is_max_tokens(&a)) {
        r->without_max_tokens = true;
        return send_again(r, false, err);
    }
    return server_refusal(&a, err);
}

/* What the attempt says of its replica. The lock is held. */
static void note_attempt(struct request *r, const struct http_outcome *outcome)
{
    struct replicas *all = &r->vllm->replicas;
    size_t i = r->flight.replica;
    int64_t now = clock_us();

    all->items[i].busy--;
    if (is_unreachable(r, outcome))
        replicas_failed(all, i, r->life, now);
    else if (is_suspicious(r, outcome))
        vllm_suspect(r->vllm, i);
    else if (outcome->attempts > 1) /* a connection may have failed on the way */
        replicas_reborn(all, i, r->life);
    if (outcome->head.status != 0 && outcome->error->code != INF_ERROR_CONNECTION)
        replicas_heard(all, i, now);
}

static void attempt_done(struct chat_call *call, const struct http_outcome *outcome,
                         const inf_error *how)
{
    struct request *r = (struct request *)call;
    struct vllm *v = r->vllm;
    bool stopped = op_stop_code(call->op) != INF_OK;
    inf_error err = *how;

    if (!outcome) { /* it has waited in vain */
        finish(r, NULL, &err);
        return;
    }
    pthread_mutex_lock(&v->lock);
    call->sending = false;
    vllm_watch_remove(v, &r->flight);
    note_attempt(r, outcome);
    pthread_mutex_unlock(&v->lock);
    if (err.code == INF_ERROR_CANCELLED && r->flight.moved && !stopped)
        error_set(&err, INF_ERROR_CONNECTION, "%s does not answer, and there is no other server",
                  call->server->shown);
    if (err.code != INF_OK && err.code != INF_ERROR_CANCELLED && !outcome->delivered && !stopped &&
        try_further(r, outcome, &err) == INF_OK)
        return;
    /* A refusal that would have been followed by another attempt, had there been time, is not how the
     * request ended. */
    if (err.code == INF_ERROR_HTTP_STATUS && !outcome->delivered && stopped)
        op_stop_error(call->op, &err);
    finish(r, outcome, &err);
}

static void look_done(struct look_waiter *w, const inf_error *how)
{
    struct request *r = (struct request *)(void *)((char *)w - offsetof(struct request, waiter));
    inf_error err = *how;

    if (op_stop_code(r->call.op) == INF_OK) {
        if (err.code == INF_OK && send_again(r, false, &err) == INF_OK)
            return;
        if (how->code != INF_OK && r->vllm->replicas.n > 1 && send_elsewhere(r) == INF_OK)
            return; /* another may have it */
    }
    if (op_stop_code(r->call.op) != INF_OK)
        op_stop_error(r->call.op, &err);
    finish(r, NULL, &err);
}

static void cancel(void *owner, inf_op *op)
{
    struct request *r = owner;

    (void)op;
    pthread_mutex_lock(&r->vllm->lock);
    chat_call_cancel(&r->call, vllm_look_leave(&r->waiter));
    pthread_mutex_unlock(&r->vllm->lock);
}

/* ------------------------------------------------------------------ the start */

/* An id that is not tracked, but the name on the servers of something of ours. */
static int32_t check_name(const struct vllm *v, const char *id, inf_error *err)
{
    const struct generation *g = adapter_names_find(&v->names, id);

    if (g && generation_serves(g))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "adapter '%s' is not loaded; on the servers this is the name of one load "
                         "of adapter '%s': ask for '%s'",
                         id, g->id, g->id);
    if (g)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "adapter '%s' is not loaded; on the servers this is the name of a load by "
                         "this provider that is not finished, or of an adapter that it unloads",
                         id);
    return INF_OK;
}

/* Finds what the adapter id means now, and pins it. The lock is held. */
static int32_t pin_adapter(struct request *r, inf_error *err)
{
    const struct adapter_names *names = &r->vllm->names;
    inf_text id = op_request(r->call.op)->adapter_id;

    if (!id.data)
        return INF_OK;
    r->generation = adapter_names_current(names, id.data, id.len);
    if (r->generation) {
        generation_pin(r->generation);
        return INF_OK;
    }
    if (adapter_names_is_going(names, id.data, id.len))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "adapter '%s' is being unloaded; load it again to use it", id.data);
    return check_name(r->vllm, id.data, err); /* sent as it is: the server may have it from
                                                 somewhere else */
}

static int32_t start(struct request *r, inf_error *err)
{
    struct vllm *v = r->vllm;
    struct buffer body;
    int32_t code = INF_OK;

    pthread_mutex_lock(&v->lock);
    code = pin_adapter(r, err);
    pthread_mutex_unlock(&v->lock);
    if (code != INF_OK)
        return code;
    code = write_body(&body, r, err);
    if (code == INF_OK) {
        op_set_canceller(r->call.op, cancel, r);
        pthread_mutex_lock(&v->lock);
        vllm_revive_due(v);
        pick(r);
        code = go(r, &body, err);
        pthread_mutex_unlock(&v->lock);
        if (code != INF_OK)
            op_set_canceller(r->call.op, NULL, NULL);
    }
    buffer_free(&body); /* nothing is left in it when it was sent */
    return code;
}

int32_t vllm_generate(void *impl, inf_op *op, inf_error *err)
{
    struct vllm *v = impl;
    struct request *r = NULL;
    int32_t code = chat_call_make((void **)&r, sizeof *r, op, &v->replicas.items[0].server,
                                  attempt_done, err);

    if (code != INF_OK)
        return code;
    r->vllm = v;
    r->flight.call = &r->call;
    r->waiter.done = look_done;
    code = start(r, err);
    if (code == INF_OK)
        return INF_OK;
    unpin(r);
    chat_call_free(&r->call);
    return code;
}
