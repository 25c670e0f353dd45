/*
 * vllm_unload: unloading on the servers, once the last request on the adapter has ended. On a
 * control thread. See vllm_state.h.
 */
#include "remote/vllm_state.h"

#include "core/memory.h"
#include "remote/server_error.h"

#include <string.h>

enum { DEAD_MS = 2000 };

static const char unload_route[] = "/unload_lora_adapter";

struct unload {
    struct task *task;
    const char *name;
    const char *path;       /* from where it was loaded; NULL: not by us */
    uint64_t done, missing; /* masks: it is gone; the server did not know it */
    inf_error why;          /* the first failure, INF_OK: none */
    inf_error unknown;      /* what a server says that did not know it */
    uint64_t gone;          /* one of several that is not there */
    inf_error absent;       /* why not */
};

static void judge(struct unload *u, size_t i)
{
    const struct call *call = &u->task->calls.items[i];
    enum call_result result = vllm_call_result(call);
    bool anothers = false;
    inf_error why = {0};

    if (result == CALL_NONE)
        return;
    if ((result == CALL_UNKNOWN || call->status == 502 || call->status == 504) &&
        vllm_is_listed(u->task, i, u->name, u->path, &anothers) == CALL_SAID)
        result = CALL_OK; /* the answer was lost, not the deed */
    if (result == CALL_OK) {
        u->done |= UINT64_C(1) << i;
        return;
    }
    vllm_refusal(u->task, call, i, ROUTE_UNLOAD, u->name, NULL, &why);
    if (call->status == 404) {
        u->missing |= UINT64_C(1) << i;
        u->unknown = why;
    } else if (result == CALL_GONE && u->task->vllm->replicas.n > 1) {
        u->gone |= UINT64_C(1) << i;
        u->absent = why;
    } else if (u->why.code == INF_OK) {
        u->why = why;
    }
}

static int64_t time_for(const struct task *t)
{
    if (t->waited_for)
        return UNLOAD_MS; /* once nobody waits, CLEAN_UP_MS more */
    return t->vllm->stop ? CLOSING_MS : CLEAN_UP_MS;
}

/* One of several that is not there has most likely lost its adapters; if not, it is told when it comes
 * back, by this provider. It is no failure once another did it. */
static void settle_gone(struct unload *u)
{
    struct vllm *v = u->task->vllm;

    if (u->gone && !u->done && !u->missing && u->why.code == INF_OK)
        u->why = u->absent;
    for (size_t i = 0; i < v->replicas.n; i++)
        if (u->gone >> i & 1)
            context_log(v->context, INF_LOG_WARNING,
                        "%s is not there and may still have adapter '%s' when it comes back: %s",
                        v->replicas.items[i].server.shown, u->name, u->absent.message);
}

static int32_t ask(struct unload *u, uint64_t mask, inf_error *err)
{
    struct vllm *v = u->task->vllm;
    int32_t code = vllm_post(u->task, &u->task->calls, mask, unload_route, u->name, NULL,
                             time_for(u->task), err);

    for (size_t i = 0; code == INF_OK && i < v->replicas.n; i++)
        judge(u, i);
    vllm_removed(v, u->name, u->done | u->missing);
    return code;
}

/* Those taken for dead, for a moment only: one lost connection is enough for that. */
static void ask_dead(struct unload *u, uint64_t dead)
{
    struct task *t = u->task;
    struct vllm *v = t->vllm;

    if (!dead ||
        vllm_post(t, &t->calls, dead, unload_route, u->name, NULL, DEAD_MS, NULL) != INF_OK)
        return;
    for (size_t i = 0; i < v->replicas.n; i++) {
        const struct call *call = &t->calls.items[i];

        if (!(dead >> i & 1))
            continue;
        if (vllm_call_result(call) == CALL_OK || call->status == 404) {
            u->done |= UINT64_C(1) << i;
        } else {
            u->gone |= UINT64_C(1) << i;
            vllm_refusal(t, call, i, ROUTE_UNLOAD, u->name, NULL, &u->absent);
        }
    }
    vllm_removed(v, u->name, u->done);
}

/* An id that is not tracked: whoever loaded it, the servers are asked. */
static int32_t unload_unknown(struct task *t, inf_error *err)
{
    struct vllm *v = t->vllm;
    struct unload u = {.task = t, .name = t->id};
    int32_t code = INF_OK;

    pthread_mutex_lock(&v->lock);
    code = vllm_check_unknown(v, t->id, err); /* it may have become one of ours */
    pthread_mutex_unlock(&v->lock);
    if (code == INF_OK)
        code = ask(&u, vllm_live(v), err);
    if (code != INF_OK)
        return code;
    settle_gone(&u);
    if (u.done) { /* it was there, so its name is used up */
        pthread_mutex_lock(&v->lock);
        name_set_add(&v->names.used, t->id);
        pthread_mutex_unlock(&v->lock);
    }
    if (u.why.code != INF_OK || !u.done)
        *err = u.why.code != INF_OK ? u.why : u.unknown;
    return err->code;
}

/* The replicas that have it and can be asked. *doubtful: those that may have been started anew since it
 * was last seen there. *dead: those that have it and are taken for dead. */
static uint64_t holders(struct vllm *v, const struct generation *g, uint64_t *doubtful,
                        uint64_t *dead)
{
    uint64_t mask = 0;
    uint32_t lives[REPLICAS_MAX];

    vllm_lives(v, lives);
    *doubtful = 0;
    pthread_mutex_lock(&v->lock);
    for (size_t i = 0; i < v->replicas.n; i++) {
        const struct replica *one = &v->replicas.items[i];

        if (g->loaded[i] && one->dead && !one->reviving)
            *dead |= UINT64_C(1) << i;
        if (!g->loaded[i] || (one->dead && !one->reviving))
            continue;
        mask |= UINT64_C(1) << i;
        if (g->life[i] != lives[i])
            *doubtful |= UINT64_C(1) << i;
    }
    pthread_mutex_unlock(&v->lock);
    return mask;
}

/* Takes those out of the mask that have another's adapter under the name; *why says so. Where there
 * is no list to be had, the unload itself tells what is wrong. */
static void spare_others(struct task *t, const struct generation *g, uint64_t doubtful,
                         uint64_t *mask, inf_error *why)
{
    struct vllm *v = t->vllm;
    struct model_list *lists = mem_calloc(v->replicas.n, sizeof *lists);

    if (lists)
        vllm_ask_models(t, &t->aside, &doubtful, lists, why);
    error_none(why);
    for (size_t i = 0; lists && i < v->replicas.n; i++) {
        const struct model_entry *e = model_list_find(&lists[i], g->name);

        if (!e || vllm_whose(e, g->path) == WHOSE_OURS)
            continue;
        *mask &= ~(UINT64_C(1) << i);
        vllm_removed(v, g->name, UINT64_C(1) << i);
        error_set(why, INF_ERROR_STATE,
                  "the server at %s lost adapter '%s'; what it has now under the name '%s' was "
                  "loaded by another program (from %s), and was left there",
                  v->replicas.items[i].server.shown, g->id, g->name,
                  e->root ? e->root : "elsewhere");
    }
    vllm_free_lists(v, lists);
}

/* What is left of it. A failure leaves it as it was, so that it can be tried again; that a server did
 * not know it is no failure to unload. */
static void let_go(struct task *t, const struct unload *u, bool failed)
{
    struct vllm *v = t->vllm;
    struct generation *g = t->generation;

    pthread_mutex_lock(&v->lock);
    for (size_t i = 0; i < v->replicas.n; i++)
        if ((u->done | u->missing) >> i & 1)
            g->loaded[i] = false;
    if (t->op && failed && !adapter_names_find(&v->names, g->id, strlen(g->id)))
        g->current = true;
    else
        adapter_names_drop(&v->names, g);
    t->generation = NULL;
    pthread_mutex_unlock(&v->lock);
}

static int32_t unload_tracked(struct task *t, inf_error *err)
{
    struct vllm *v = t->vllm;
    struct generation *g = t->generation;
    struct unload u = {.task = t, .name = g->name, .path = g->path};
    uint64_t doubtful = 0;
    uint64_t dead = 0;
    uint64_t mask = holders(v, g, &doubtful, &dead);
    inf_error spared = {0};
    int32_t code = INF_OK;

    if (doubtful)
        spare_others(t, g, doubtful, &mask, &spared);
    if (mask)
        code = ask(&u, mask, err);
    if (code == INF_OK) {
        ask_dead(&u, dead);
        settle_gone(&u);
    }
    if (code == INF_OK && u.why.code != INF_OK)
        *err = u.why;
    else if (code == INF_OK && spared.code != INF_OK)
        *err = spared;
    else if (code == INF_OK && u.missing)
        *err = u.unknown;
    if ((!t->waited_for || vllm_is_left(t)) && err->code != INF_OK)
        context_log(v->context, INF_LOG_WARNING, "an adapter that was replaced or unloaded: %s",
                    err->message);
    let_go(t, &u, code != INF_OK || u.why.code != INF_OK);
    return err->code;
}

int32_t vllm_run_unload(struct task *t, inf_error *err)
{
    return t->generation ? unload_tracked(t, err) : unload_unknown(t, err);
}

void vllm_retire(struct vllm *v, struct generation *g)
{
    struct task *t = task_make(v, TASK_UNLOAD);

    if (t)
        t->id = mem_strdup(g->id);
    if (!t || !t->id) {
        task_free(t);
        context_log(v->context, INF_LOG_WARNING, "out of memory: adapter '%s' stays loaded as '%s'",
                    g->id, g->name);
        return;
    }
    t->generation = g;
    t->key = t->id;
    pthread_mutex_lock(&v->lock);
    if (g->pins > 0)
        g->waiting = t;
    else
        control_add(v, t);
    pthread_mutex_unlock(&v->lock);
}
