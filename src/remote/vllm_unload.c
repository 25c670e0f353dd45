/*
 * vllm_unload: unloading on the servers, once the last request on the adapter has ended. On the
 * control thread. See vllm_state.h.
 */
#include "remote/vllm_state.h"

#include "remote/server_error.h"

#include <string.h>

enum { CLOSING_MS = 2000 };

static const char unload_route[] = "/unload_lora_adapter";

struct unload {
    struct task *task;
    const char *name;
    uint64_t done, missing; /* masks: it is gone; the server did not know it */
    inf_error why;          /* the first failure, INF_OK: none */
    inf_error unknown;      /* what a server says that did not know it */
};

static void judge(struct unload *u, size_t i)
{
    struct vllm *v = u->task->vllm;
    const struct call *call = &u->task->calls.items[i];
    enum call_result result = vllm_call_result(call);
    inf_error why = {0};

    if (result == CALL_NONE)
        return;
    if (result == CALL_UNKNOWN && vllm_is_listed(v, i, u->name) == CALL_SAID)
        result = CALL_OK; /* the answer was lost, not the deed */
    if (result == CALL_OK) {
        u->done |= UINT64_C(1) << i;
        return;
    }
    vllm_refusal(v, call, i, ROUTE_UNLOAD, u->name, NULL, u->task->op, &why);
    if (call->status == 404) {
        u->missing |= UINT64_C(1) << i;
        u->unknown = why;
    } else if (u->why.code == INF_OK) {
        u->why = why;
    }
}

static int64_t time_for(const struct task *t)
{
    bool closing = false;

    if (t->op)
        return UNLOAD_MS;
    pthread_mutex_lock(&t->vllm->lock);
    closing = t->vllm->stop;
    pthread_mutex_unlock(&t->vllm->lock);
    return closing ? CLOSING_MS : CLEAN_UP_MS;
}

static int32_t ask(struct unload *u, uint64_t mask, inf_error *err)
{
    struct vllm *v = u->task->vllm;
    int32_t code = vllm_post(v, &u->task->calls, mask, unload_route, u->name, NULL,
                             time_for(u->task), err);

    for (size_t i = 0; code == INF_OK && i < v->replicas.n; i++)
        judge(u, i);
    return code;
}

/* An id that is not tracked: whoever loaded it, the servers are asked. */
static int32_t unload_unknown(struct task *t, inf_error *err)
{
    struct vllm *v = t->vllm;
    struct unload u = {.task = t, .name = t->id};
    int32_t code = ask(&u, vllm_live(v), err);

    if (code != INF_OK)
        return code;
    if (u.done) { /* it was there, so its name is used up */
        pthread_mutex_lock(&v->lock);
        name_set_add(&v->names.used, t->id);
        pthread_mutex_unlock(&v->lock);
    }
    if (u.why.code != INF_OK || !u.done)
        *err = u.why.code != INF_OK ? u.why : u.unknown;
    return err->code;
}

/* The replicas that have it and can be asked. A dead one is told when it comes back. */
static uint64_t holders(struct vllm *v, const struct generation *g)
{
    uint64_t mask = 0;

    pthread_mutex_lock(&v->lock);
    for (size_t i = 0; i < v->replicas.n; i++) {
        if (g->loaded[i] && !v->replicas.items[i].dead)
            mask |= UINT64_C(1) << i;
    }
    pthread_mutex_unlock(&v->lock);
    return mask;
}

static int32_t unload_tracked(struct task *t, inf_error *err)
{
    struct vllm *v = t->vllm;
    struct generation *g = t->generation;
    struct unload u = {.task = t, .name = g->name};
    uint64_t mask = holders(v, g);
    int32_t code = mask ? ask(&u, mask, err) : INF_OK;
    bool again = false;

    if (code == INF_OK && u.why.code != INF_OK)
        *err = u.why;
    else if (code == INF_OK && u.missing)
        *err = u.unknown;
    pthread_mutex_lock(&v->lock);
    for (size_t i = 0; i < v->replicas.n; i++) {
        if ((u.done | u.missing) >> i & 1)
            g->loaded[i] = false;
    }
    /* A failure leaves it as it was, so that it can be tried again; a 404 is no failure to unload. */
    again = t->op && (code != INF_OK || u.why.code != INF_OK) &&
            !adapter_names_find(&v->names, g->id, strlen(g->id));
    if (again)
        g->current = true;
    else
        adapter_names_drop(&v->names, g);
    pthread_mutex_unlock(&v->lock);
    if (!t->op && err->code != INF_OK)
        context_log(v->context, INF_LOG_WARNING, "an adapter that was replaced or unloaded: %s",
                    err->message);
    return err->code;
}

int32_t vllm_run_unload(struct task *t, inf_error *err)
{
    return t->generation ? unload_tracked(t, err) : unload_unknown(t, err);
}

void vllm_retire(struct vllm *v, struct generation *g)
{
    struct task *t = task_make(v, TASK_UNLOAD);

    if (!t) {
        context_log(v->context, INF_LOG_WARNING, "out of memory: adapter '%s' stays loaded as '%s'",
                    g->id, g->name);
        return;
    }
    t->generation = g;
    pthread_mutex_lock(&v->lock);
    if (g->pins > 0)
        g->waiting = t;
    else
        control_add(v, t);
    pthread_mutex_unlock(&v->lock);
}
