/*
 * vllm_generate: a request to vLLM, from its start to op_finish. One attempt at a time; an attempt that
 * gave nothing to the operation may be followed by another: on another replica when one is dead or
 * busy, without max_tokens when only its default was too large, after loading an adapter again that
 * the server lost.
 *
 * An adapter is used on a server only when it was seen there in the server's present life
 * (replicas.h); else a look comes first.
 *
 * A replica that takes connections and never answers is found out so: a request that has waited for
 * the first byte as long as connecting may take, or ended by a timeout without one, makes it suspect.
 * A suspect is asked for its list of models; if it does not give that within the same time it is
 * dead, and the requests that still wait for its first byte go elsewhere. One that gives it is merely
 * slow, and keeps them.
 */
#include "remote/vllm_state.h"

#include "core/clock.h"
#include "core/memory.h"
#include "http/url.h"
#include "remote/chat_body.h"
#include "remote/server_error.h"

#include <stdio.h>

enum { LOOKS_MAX = 4 };

static struct server *server_of(struct request *r)
{
    return &r->vllm->replicas.items[r->replica].server;
}

/* What goes as "model": the adapter's name on the servers, else the model. */
static inf_text model_of(const struct request *r)
{
    const inf_request *asked = op_request(r->op);

    if (r->generation)
        return inf_str(r->generation->name);
    return asked->adapter_id.data ? asked->adapter_id : asked->model;
}

/* ------------------------------------------------------------------ requests in flight */

/* The lock is held. A single server has nobody to be compared with. */
static void list_sending(struct request *r)
{
    struct vllm *v = r->vllm;

    if (v->replicas.n == 1)
        return;
    r->previous_sending = NULL;
    r->next_sending = v->sending;
    if (v->sending)
        v->sending->previous_sending = r;
    v->sending = r;
    if (control_start(v, NULL) == INF_OK)
        control_watch(v);
}

static void unlist_sending(struct request *r)
{
    if (r->vllm->replicas.n == 1)
        return;
    if (r->previous_sending)
        r->previous_sending->next_sending = r->next_sending;
    else
        r->vllm->sending = r->next_sending;
    if (r->next_sending)
        r->next_sending->previous_sending = r->previous_sending;
}

/* Has a replica asked whether it is there. The lock is held. */
static void suspect(struct vllm *v, size_t i)
{
    struct replica *one = &v->replicas.items[i];
    struct task *t = NULL;

    if (v->replicas.n == 1 || one->dead || one->suspect)
        return;
    t = control_start(v, NULL) == INF_OK ? task_make(v, TASK_PROBE) : NULL;
    if (!t)
        return; /* the next request tries once more */
    one->suspect = true;
    t->replica = i;
    control_add(v, t);
}

bool vllm_watch(struct vllm *v)
{
    int64_t now = clock_us();

    for (const struct request *r = v->sending; r; r = r->next_sending) {
        const struct replica *one = &v->replicas.items[r->replica];
        int64_t since = r->sent_us > one->asked_us ? r->sent_us : one->asked_us;

        if (!r->call.answered && now - since >= v->times.connect_ms * 1000)
            suspect(v, r->replica);
    }
    return v->sending != NULL;
}

void vllm_move_requests(struct vllm *v, size_t replica)
{
    for (struct request *r = v->sending; r; r = r->next_sending) {
        if (r->replica != replica || r->call.answered || r->moved)
            continue;
        r->moved = true;
        http_cancel(r->call.exchange);
    }
}

/* ------------------------------------------------------------------ an attempt */

/* The lock is held; r->replica is chosen and not yet counted as busy. */
static int32_t send_locked(struct request *r, struct buffer *body, inf_error *err)
{
    struct vllm *v = r->vllm;
    struct server *server = server_of(r);
    char *url = url_join(server->base, "/chat/completions");
    struct chat_request c = {.client = v->client,
                             .url = url,
                             .headers = r->headers ? r->headers : server->headers,
                             .times = v->times,
                             .dialect = CHAT_COMPLETIONS};
    int32_t code = INF_OK;

    if (!url)
        return error_no_memory(err);
    /* While another replica could take it, that comes before trying this one again. */
    if (replicas_more(&v->replicas, r->tried))
        c.times.max_retries = 0;
    r->sent_us = clock_us();
    r->call.answered = false;
    code = chat_call_start(&r->call, &c, body, err);
    mem_free(url);
    if (code != INF_OK)
        return code;
    r->sending = true;
    r->moved = false;
    r->life = replicas_life(&v->replicas, r->replica, r->sent_us);
    v->replicas.items[r->replica].busy++;
    list_sending(r);
    if (op_stop_code(r->op) != INF_OK)
        http_cancel(r->call.exchange);
    return INF_OK;
}

/* Lets a dead replica be tried whose time has come. The lock is held. */
static void revive_due(struct vllm *v)
{
    size_t i = v->replicas.n > 1 ? replicas_due(&v->replicas, clock_us()) : REPLICA_NONE;
    struct task *t = NULL;

    if (i == REPLICA_NONE)
        return;
    t = control_start(v, NULL) == INF_OK ? task_make(v, TASK_REVIVE) : NULL;
    if (!t) {
        v->replicas.items[i].reviving = false; /* the next request tries once more */
        return;
    }
    t->replica = i;
    control_add(v, t);
}

static int32_t write_body(struct buffer *body, const struct request *r, inf_error *err)
{
    buffer_init(body, CHAT_BODY_MAX);
    if (chat_body_write(body, CHAT_BODY_VLLM, op_request(r->op), model_of(r),
                        !r->without_max_tokens, err) == INF_OK)
        return INF_OK;
    buffer_free(body);
    return err->code;
}

/* Its adapter may not be there, or be another's. The lock is held. */
static bool must_look(struct request *r)
{
    struct vllm *v = r->vllm;

    return r->generation && op_stop_code(r->op) == INF_OK &&
           r->generation->life[r->replica] != replicas_life(&v->replicas, r->replica, clock_us());
}

/* The lock is held. */
static int32_t make_look(struct request *r, struct task **out, inf_error *err)
{
    struct vllm *v = r->vllm;
    int32_t code = control_start(v, err);

    if (code != INF_OK)
        return code;
    *out = task_make(v, TASK_LOOK);
    if (*out)
        (*out)->id = vllm_look_key(r->generation, r->replica);
    if (!*out || !(*out)->id) {
        task_free(*out);
        return error_no_memory(err);
    }
    (*out)->generation = r->generation;
    (*out)->key = (*out)->id;
    (*out)->replica = r->replica;
    r->generation->pins++;
    v->replicas.items[r->replica].n_asking++;
    control_add(v, *out);
    return INF_OK;
}

/* A task that makes sure of the adapter, for this request too. The lock is held. */
static int32_t wait_for_look(struct request *r, inf_error *err)
{
    struct vllm *v = r->vllm;
    struct task *t = v->tasks;
    int32_t code = INF_OK;

    while (t &&
           (t->kind != TASK_LOOK || t->generation != r->generation || t->replica != r->replica))
        t = t->next;
    if (op_stop_code(r->op) != INF_OK)
        code = op_stop_error(r->op, err);
    else if (r->n_looked++ == LOOKS_MAX)
        code = error_set(err, INF_ERROR_CONNECTION,
                         "%s keeps losing its connections; is the server being started again and "
                         "again?",
                         server_of(r)->shown);
    else if (!t)
        code = make_look(r, &t, err);
    if (code == INF_OK && t) {
        r->next_waiting = t->waiting;
        t->waiting = r;
    }
    return code;
}

/* On r->replica, after a look if there must be one. The lock is held. */
static int32_t go(struct request *r, struct buffer *body, inf_error *err)
{
    return must_look(r) ? wait_for_look(r, err) : send_locked(r, body, err);
}

/* Another attempt: on r->replica, or with `elsewhere` on one that was not tried. An error: there
 * is none. */
static int32_t send_again(struct request *r, bool elsewhere, inf_error *err)
{
    struct vllm *v = r->vllm;
    struct buffer body;
    int32_t code = write_body(&body, r, err);

    if (code != INF_OK)
        return code;
    pthread_mutex_lock(&v->lock);
    if (elsewhere) {
        size_t i = replicas_pick(&v->replicas, r->generation, r->tried);

        if (i == REPLICA_NONE)
            code = INF_ERROR_CONNECTION;
        else
            r->replica = i;
    }
    if (code == INF_OK)
        code = op_stop_code(r->op) == INF_OK ? go(r, &body, err) : op_stop_code(r->op);
    pthread_mutex_unlock(&v->lock);
    buffer_free(&body);
    return code;
}

/* ------------------------------------------------------------------ the end */

static void request_free(struct request *r)
{
    chat_call_free(&r->call);
    http_headers_unref(r->headers);
    mem_free(r);
}

/* What the operation says of the model and the adapter, whatever the end. */
static bool name_output(struct request *r)
{
    const inf_request *asked = op_request(r->op);
    struct op_output *out = op_output(r->op);

    out->model = mem_strndup(asked->model.data ? asked->model.data : "", asked->model.len);
    if (asked->adapter_id.data)
        out->adapter_id = mem_strndup(asked->adapter_id.data, asked->adapter_id.len);
    if (r->generation)
        out->adapter_generation = r->generation->number;
    return out->model && (out->adapter_id || !asked->adapter_id.data);
}

/* Nothing of it is in flight any more, and no lock is held. */
static void finish(struct request *r, const struct http_outcome *outcome, inf_error *err)
{
    struct vllm *v = r->vllm;
    inf_op *op = r->op;
    inf_error stopped;

    if (err->code == INF_ERROR_CANCELLED && op_stop_error(op, &stopped) != INF_OK)
        *err = stopped;
    chat_call_fill(&r->call, outcome, err);
    if (!name_output(r) && err->code == INF_OK)
        error_no_memory(err);
    pthread_mutex_lock(&v->lock);
    if (r->generation)
        vllm_unpin(v, r->generation);
    pthread_mutex_unlock(&v->lock);
    op_set_canceller(op, NULL, NULL);
    request_free(r);
    op_finish(op, err); /* last: the provider may be gone after it */
}

/* ------------------------------------------------------------------ what follows an attempt */

static struct server_answer answer_of(struct request *r, const struct http_outcome *outcome)
{
    return (struct server_answer){.provider = INF_PROVIDER_VLLM,
                                  .route = ROUTE_CHAT,
                                  .status = outcome->head.status,
                                  .url = server_of(r)->shown,
                                  .name = model_of(r).data,
                                  .body = outcome->body,
                                  .body_len = outcome->body_len};
}

/* The replica gave no answer at all. A timeout is one of its own only when connecting took as long as
 * it may: a user's short one says nothing. */
static bool is_unreachable(const struct request *r, const struct http_outcome *outcome)
{
    return r->moved || outcome->error->code == INF_ERROR_CONNECTION ||
           (outcome->error->code == INF_ERROR_TIMEOUT && !outcome->sent &&
            clock_us() - r->sent_us >= r->vllm->times.connect_ms * 1000);
}

/* It may be there and silent: it is asked. */
static bool is_suspicious(const struct request *r, const struct http_outcome *outcome)
{
    return outcome->error->code == INF_ERROR_TIMEOUT ||
           (!r->call.answered && op_stop_code(r->op) == INF_ERROR_TIMEOUT);
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
    replicas_reborn(&v->replicas, r->replica, r->life);
    code = wait_for_look(r, err);
    pthread_mutex_unlock(&v->lock);
    return code;
}

/* INF_OK when another attempt is under way; *err is how the request ends otherwise. */
static int32_t try_further(struct request *r, const struct http_outcome *outcome, inf_error *err)
{
    struct server_answer a = answer_of(r, outcome);
    inf_error why = *err;
    bool many = r->vllm->replicas.n > 1;

    if (many && (is_unreachable(r, outcome) || is_busy_answer(outcome))) {
        r->tried |= UINT64_C(1) << r->replica;
        if (send_again(r, true, &why) == INF_OK)
            return INF_OK;
    } else if (r->generation && !r->loaded_again && server_error_is_unknown_model(&a)) {
        return load_again(r, err);
    } else if (!op_request(r->op)->max_tokens.is_set && !r->without_max_tokens &&
               server_error_is_max_tokens(&a)) {
        r->without_max_tokens = true;
        if (send_again(r, false, &why) == INF_OK)
            return INF_OK;
        *err = why;
        return why.code;
    }
    if (outcome->error->code == INF_ERROR_HTTP_STATUS && outcome->head.status >= 400)
        return server_error(&a, err);
    return err->code;
}

/* What the attempt says of its replica. The lock is held. */
static void note_attempt(struct request *r, const struct http_outcome *outcome)
{
    struct vllm *v = r->vllm;
    int64_t now = clock_us();

    v->replicas.items[r->replica].busy--;
    if (is_unreachable(r, outcome))
        replicas_failed(&v->replicas, r->replica, r->life, now);
    else if (is_suspicious(r, outcome))
        suspect(v, r->replica);
    else if (outcome->attempts > 1) /* a connection may have failed on the way */
        replicas_reborn(&v->replicas, r->replica, r->life);
    if (outcome->head.status != 0 && outcome->error->code != INF_ERROR_CONNECTION)
        replicas_heard(&v->replicas, r->replica, now);
}

static void attempt_done(struct chat_call *call, const struct http_outcome *outcome,
                         const inf_error *how)
{
    struct request *r = (struct request *)(void *)((char *)call - offsetof(struct request, call));
    struct vllm *v = r->vllm;
    inf_error err = *how;

    pthread_mutex_lock(&v->lock);
    r->sending = false;
    unlist_sending(r);
    note_attempt(r, outcome);
    pthread_mutex_unlock(&v->lock);
    if (err.code != INF_OK && (err.code != INF_ERROR_CANCELLED || r->moved) &&
        !outcome->delivered && op_stop_code(r->op) == INF_OK &&
        try_further(r, outcome, &err) == INF_OK)
        return;
    if (r->moved && err.code == INF_ERROR_CANCELLED && op_stop_code(r->op) == INF_OK)
        error_set(&err, INF_ERROR_CONNECTION, "%s does not answer, and there is no other server",
                  server_of(r)->shown);
    finish(r, outcome, &err);
}

void vllm_request_continue(struct request *r, const inf_error *err)
{
    inf_error mine = *err;
    bool stopped = op_stop_code(r->op) != INF_OK;

    if (mine.code == INF_OK && !stopped && send_again(r, false, &mine) == INF_OK)
        return;
    if (err->code != INF_OK && !stopped && r->vllm->replicas.n > 1) {
        inf_error other = {0};

        r->tried |= UINT64_C(1) << r->replica; /* another may have it */
        if (send_again(r, true, &other) == INF_OK)
            return;
    }
    if (op_stop_code(r->op) != INF_OK)
        op_stop_error(r->op, &mine);
    finish(r, NULL, &mine);
}

/* ------------------------------------------------------------------ cancel and timeout */

static void finish_stopped(struct job *job)
{
    struct request *r = (struct request *)(void *)((char *)job -
                                                   offsetof(struct request, finish_job));
    inf_error err;

    op_stop_error(r->op, &err);
    finish(r, NULL, &err);
}

/* Takes r out of the task it waits in. The lock is held. */
static bool leave_list(struct task *t, const struct request *r)
{
    for (struct request **at = t ? &t->waiting : NULL; at && *at; at = &(*at)->next_waiting) {
        if (*at == r) {
            *at = r->next_waiting;
            return true;
        }
    }
    return false;
}

static void cancel(void *owner, inf_op *op)
{
    struct request *r = owner;
    struct vllm *v = r->vllm;
    bool waited = false;

    (void)op;
    pthread_mutex_lock(&v->lock);
    if (r->sending) {
        http_cancel(r->call.exchange);
    } else {
        for (struct task *t = v->running; t && !waited; t = t->next)
            waited = leave_list(t, r);
        for (struct task *t = v->tasks; t && !waited; t = t->next)
            waited = leave_list(t, r);
    }
    if (waited) {
        r->finish_job.run = finish_stopped;
        context_submit(v->context, &r->finish_job);
    }
    pthread_mutex_unlock(&v->lock);
}

/* ------------------------------------------------------------------ the start */

/* An id that is not tracked, but the name on the servers of something of ours. */
static int32_t check_name(const struct vllm *v, inf_text id, inf_error *err)
{
    char name[NAME_MAX_LEN + 1];
    const struct generation *g = NULL;

    if (id.len > NAME_MAX_LEN)
        return INF_OK;
    snprintf(name, sizeof name, "%.*s", (int)id.len, id.data);
    g = adapter_names_by_name(&v->names, name);
    if (g)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "adapter '%s' is not loaded; on the servers this is the name of one load "
                         "of adapter '%s': ask for '%s'",
                         name, g->id, g->id);
    if (adapter_names_placed(&v->names, name))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "adapter '%s' is not loaded; on the servers this is the name of a load by "
                         "this provider that is not finished, or of an adapter that it unloads",
                         name);
    return INF_OK;
}

/* Finds what the adapter id means now, and pins it. The lock is held. */
static int32_t pin_adapter(struct request *r, inf_error *err)
{
    struct vllm *v = r->vllm;
    inf_text id = op_request(r->op)->adapter_id;

    if (!id.data)
        return INF_OK;
    r->generation = adapter_names_find(&v->names, id.data, id.len);
    if (r->generation) {
        r->generation->pins++;
        return INF_OK;
    }
    if (adapter_names_is_going(&v->names, id.data, id.len))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "adapter '%.*s' is being unloaded; load it again to use it", (int)id.len,
                         id.data);
    return check_name(v, id, err); /* sent as it is: the server may have it from somewhere else */
}

int32_t vllm_generate(void *impl, inf_op *op, inf_error *err)
{
    struct vllm *v = impl;
    struct request *r = mem_calloc(1, sizeof *r);
    struct buffer body;
    inf_error mine = {0};
    int32_t code = INF_OK;

    if (!r)
        return error_no_memory(err);
    r->vllm = v;
    r->op = op;
    chat_call_init(&r->call, op, attempt_done);
    buffer_init(&body, CHAT_BODY_MAX);
    if (op_request(op)->extra_headers.len)
        code = server_headers(&r->headers, server_of(r), op_request(op)->extra_headers, &mine);
    pthread_mutex_lock(&v->lock);
    if (code == INF_OK)
        code = pin_adapter(r, &mine);
    pthread_mutex_unlock(&v->lock);
    if (code == INF_OK)
        code = write_body(&body, r, &mine);
    if (code == INF_OK) {
        op_set_canceller(op, cancel, r);
        pthread_mutex_lock(&v->lock);
        revive_due(v);
        r->replica = replicas_pick(&v->replicas, r->generation, 0);
        code = go(r, &body, &mine);
        pthread_mutex_unlock(&v->lock);
        buffer_free(&body); /* nothing is left in it when it was sent */
        if (code == INF_OK)
            return INF_OK;
        op_set_canceller(op, NULL, NULL);
    }
    buffer_free(&body);
    pthread_mutex_lock(&v->lock);
    if (r->generation)
        vllm_unpin(v, r->generation);
    pthread_mutex_unlock(&v->lock);
    request_free(r);
    if (err)
        *err = mine;
    return code;
}
