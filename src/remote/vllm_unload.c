/* vllm_unload: see the header. */
#include "remote/vllm_unload.h"

#include "core/memory.h"
#include "remote/server_error.h"

#include <string.h>

enum { UNLOAD_MS = 60000, DEAD_MS = 2000 };

struct unload {
    struct task task;              /* its key: the id */
    struct generation *generation; /* NULL: the id is not tracked */
    const char *name;
    const char *path;       /* from where it was loaded; NULL: not by us */
    uint64_t done, missing; /* masks: it is gone; the server did not know it */
    inf_error why;          /* the first failure, INF_OK: none */
    inf_error unknown;      /* what a server says that did not know it */
    uint64_t gone;          /* one of several that is not there */
    inf_error absent;       /* why not */
};

/* ------------------------------------------------------------------ what the servers say */

/* No answer came, or one from between us and the server, and its list lacks it: the deed was done. */
static bool is_done(struct unload *u, size_t i)
{
    const struct call *call = &u->task.calls.items[i];
    enum listed listed = LISTED_UNKNOWN;

    if (call_result(call) == CALL_UNKNOWN || call->status == 502 || call->status == 504)
        listed = vllm_is_listed(&u->task, i, u->name, u->path);
    return call_result(call) == CALL_OK || listed == LISTED_NOT || listed == LISTED_FOREIGN;
}

/* What became of the call to replica i. dead: it is taken for that. */
static void judge(struct unload *u, size_t i, bool dead)
{
    const struct call *call = &u->task.calls.items[i];
    bool gone = call_result(call) == CALL_GONE && vllm_of(&u->task)->replicas.n > 1;
    inf_error why = {0};

    if (dead ? call_result(call) == CALL_OK || call->status == 404 : is_done(u, i)) {
        u->done |= replica_bit(i);
        return;
    }
    vllm_refusal(&u->task, call, i, ROUTE_UNLOAD, u->name, NULL, &why);
    if (dead || gone) {
        u->gone |= replica_bit(i);
        u->absent = why;
    } else if (call->status == 404) {
        u->missing |= replica_bit(i);
        u->unknown = why;
    } else if (u->why.code == INF_OK) {
        u->why = why;
    }
}

static int64_t time_for(const struct task *t)
{
    if (t->waited_for)
        return UNLOAD_MS; /* once nobody waits, CLEAN_UP_MS more */
    return t->control->stop ? CLOSING_MS : CLEAN_UP_MS;
}

/* Those taken for dead are asked for a moment only: one lost connection is enough for that. */
static int32_t ask(struct unload *u, uint64_t mask, bool dead, inf_error *err)
{
    struct task *t = &u->task;
    int32_t code = INF_OK;

    if (mask)
        code = vllm_post(t, &t->calls, mask, u->name, NULL, dead ? DEAD_MS : time_for(t), err);
    for (size_t i = 0; code == INF_OK && i < REPLICAS_MAX; i++)
        if (replica_in(mask, i))
            judge(u, i, dead);
    vllm_removed(vllm_of(t), u->name, u->done | u->missing);
    return code;
}

/* One of several that is not there has most likely lost its adapters; if not, it is told when it comes
 * back, by this provider. It is no failure once another did it. */
static void settle_gone(struct unload *u)
{
    struct vllm *v = vllm_of(&u->task);

    if (u->gone && !u->done && !u->missing && u->why.code == INF_OK)
        u->why = u->absent;
    for (size_t i = 0; i < v->replicas.n; i++)
        if (replica_in(u->gone, i))
            context_log(v->context, INF_LOG_WARNING,
                        "%s is not there and may still have adapter '%s' when it comes back: %s",
                        vllm_url(v, i), u->name, u->absent.message);
}

/* ------------------------------------------------------------------ an id that is not tracked */

/* NOT_FOUND: that name on the servers is one that a load of another id has, or an adapter in use. The lock
 * is held. */
static int32_t check_unknown(const struct vllm *v, const char *id, inf_error *err)
{
    const struct generation *g = adapter_names_find(&v->names, id);
    bool loading = g && g->state == GENERATION_LOADING && strcmp(g->id, id) != 0;

    if (loading || (g && generation_serves(g)))
        return error_set(err, INF_ERROR_NOT_FOUND,
                         "adapter '%s' is not loaded: the server's '%s' is one that this provider "
                         "still uses",
                         id, id);
    return INF_OK;
}

/* Whoever loaded it, the servers are asked. */
static int32_t unload_unknown(struct unload *u, inf_error *err)
{
    struct vllm *v = vllm_of(&u->task);
    int32_t code = INF_OK;

    u->name = u->task.key;
    pthread_mutex_lock(&v->lock);
    code = check_unknown(v, u->task.key, err); /* it may have become one of ours */
    pthread_mutex_unlock(&v->lock);
    if (code == INF_OK)
        code = ask(u, vllm_live(v), false, err);
    if (code != INF_OK)
        return code;
    settle_gone(u);
    if (u->done) { /* it was there, so its name is used up */
        pthread_mutex_lock(&v->lock);
        name_set_add(&v->names.used, u->task.key);
        pthread_mutex_unlock(&v->lock);
    }
    if (u->why.code != INF_OK || !u->done)
        *err = u->why.code != INF_OK ? u->why : u->unknown;
    return err->code;
}

/* ------------------------------------------------------------------ a tracked one */

/* The replicas that have it and can be asked. *doubtful: those that may have been started anew since it
 * was last seen there. *dead: those that have it and are taken for dead. */
static uint64_t holders(struct vllm *v, const struct generation *g, uint64_t *doubtful,
                        uint64_t *dead)
{
    uint64_t mask = 0;
    uint32_t lives[REPLICAS_MAX];

    vllm_lives(v, lives);
    pthread_mutex_lock(&v->lock);
    for (size_t i = 0; i < v->replicas.n; i++) {
        const struct replica *one = &v->replicas.items[i];

        if (!generation_may_be_on(g, i))
            continue;
        if (one->dead && !one->reviving)
            *dead |= replica_bit(i);
        else
            mask |= replica_bit(i);
        if (replica_in(mask, i) && !generation_was_seen(g, i, lives[i]))
            *doubtful |= replica_bit(i);
    }
    pthread_mutex_unlock(&v->lock);
    return mask;
}

/* Takes those out of the mask that have another's adapter under the name; *why says so. Where there
 * is no list to be had, the unload itself tells what is wrong. */
static void spare_others(struct unload *u, uint64_t doubtful, uint64_t *mask, inf_error *why)
{
    struct vllm *v = vllm_of(&u->task);
    const struct generation *g = u->generation;
    struct model_list lists[REPLICAS_MAX] = {{NULL, 0, 0}};

    vllm_ask_models(&u->task, &u->task.aside, &doubtful, lists, why);
    error_none(why);
    for (size_t i = 0; i < v->replicas.n; i++) {
        const struct model_entry *e = model_list_find(&lists[i], g->name);

        if (!e || model_entry_is_from(e, g->path))
            continue;
        *mask &= ~replica_bit(i);
        vllm_removed(v, g->name, replica_bit(i));
        error_set(why, INF_ERROR_STATE,
                  "the server at %s lost adapter '%s'; what it has now under the name '%s' was "
                  "loaded by another program (from %s), and was left there",
                  vllm_url(v, i), g->id, g->name, e->root ? e->root : "elsewhere");
    }
    vllm_free_lists(lists);
}

/* What is left of it. A failure leaves it as it was, so that it can be tried again; that a server did
 * not know it is no failure to unload. */
static void let_go(struct unload *u, bool failed)
{
    struct vllm *v = vllm_of(&u->task);
    struct generation *g = u->generation;

    pthread_mutex_lock(&v->lock);
    if (!u->task.op || !failed || !adapter_names_restore(&v->names, g))
        adapter_names_leave(&v->names, g);
    u->generation = NULL;
    pthread_mutex_unlock(&v->lock);
}

static int32_t unload_tracked(struct unload *u, inf_error *err)
{
    struct vllm *v = vllm_of(&u->task);
    uint64_t doubtful = 0;
    uint64_t dead = 0;
    uint64_t mask = holders(v, u->generation, &doubtful, &dead);
    inf_error spared = {0};
    int32_t code = INF_OK;

    u->name = u->generation->name;
    u->path = u->generation->path;
    if (doubtful)
        spare_others(u, doubtful, &mask, &spared);
    code = ask(u, mask, false, err);
    if (code == INF_OK)
        code = ask(u, dead, true, err);
    if (code == INF_OK)
        settle_gone(u);
    if (code == INF_OK && u->why.code != INF_OK)
        *err = u->why;
    else if (code == INF_OK && spared.code != INF_OK)
        *err = spared;
    else if (code == INF_OK && u->missing)
        *err = u->unknown;
    if ((!u->task.waited_for || u->task.left) && err->code != INF_OK)
        context_log(v->context, INF_LOG_WARNING, "an adapter that was replaced or unloaded: %s",
                    err->message);
    let_go(u, code != INF_OK || u->why.code != INF_OK);
    return err->code;
}

void vllm_unload_leftovers(struct task *t, size_t i, const struct model_list *list)
{
    struct vllm *v = vllm_of(t);

    for (size_t k = 0; k < list->n; k++) {
        const struct model_entry *e = &list->items[k];
        const struct generation *g = NULL;
        char *path = NULL;

        if (!e->parent)
            continue;
        pthread_mutex_lock(&v->lock);
        g = adapter_names_find(&v->names, e->id);
        if (g && g->state == GENERATION_LEFT && generation_may_be_on(g, i))
            path = mem_strdup(g->path);
        pthread_mutex_unlock(&v->lock);
        if (path && model_entry_is_from(e, path))
            vllm_take_back(t, replica_bit(i), e->id);
        else if (path) /* it was never ours, or is not any more */
            vllm_removed(v, e->id, replica_bit(i));
        mem_free(path);
    }
}

/* ------------------------------------------------------------------ the task */

/* Hides the generation that the unload is about. true: it can begin; else the last request's end
 * queues it. The lock is held. */
static bool hide(struct unload *u, struct generation *g)
{
    u->generation = g;
    u->task.goes_on = true;
    return generation_hide(g, &u->task);
}

/* An id that was not tracked yet when its unload was asked for: its load was under way. The unload may
 * have to wait for the last request. */
static bool is_postponed(struct unload *u)
{
    struct task *t = &u->task;
    struct vllm *v = vllm_of(t);
    struct generation *g = NULL;
    bool postponed = false;

    pthread_mutex_lock(&v->lock);
    if (!u->generation && (!t->op || op_stop_code(t->op) == INF_OK))
        g = adapter_names_current(&v->names, u->task.key, strlen(u->task.key));
    postponed = g && !hide(u, g);
    if (postponed)
        control_postpone(t->control, t);
    pthread_mutex_unlock(&v->lock);
    return postponed;
}

static int32_t run(struct task *t, inf_error *err)
{
    struct unload *u = (struct unload *)t;

    if (is_postponed(u))
        return TASK_POSTPONED;
    return u->generation ? unload_tracked(u, err) : unload_unknown(u, err);
}

static const struct task_kind unload_kind = {run, NULL, true};

static struct unload *make(struct vllm *v, const char *id)
{
    struct unload *u = task_make(&v->control, &unload_kind, sizeof *u);

    if (!u)
        return NULL;
    u->task.key = mem_strdup(id);
    if (u->task.key)
        return u;
    task_free(&u->task);
    return NULL;
}

void vllm_retire(struct vllm *v, struct generation *g)
{
    struct unload *u = make(v, g->id);

    if (!u) {
        context_log(v->context, INF_LOG_WARNING, "out of memory: adapter '%s' stays loaded as '%s'",
                    g->id, g->name);
        return;
    }
    pthread_mutex_lock(&v->lock);
    if (hide(u, g))
        control_add(&v->control, &u->task);
    pthread_mutex_unlock(&v->lock);
}

int32_t vllm_adapter_unload(void *impl, inf_op *op, const char *id, inf_error *err)
{
    struct vllm *v = impl;
    struct unload *u = make(v, id);
    struct generation *g = NULL;
    int32_t code = INF_OK;

    if (!u)
        return error_no_memory(err);
    task_attach(&u->task, op);
    pthread_mutex_lock(&v->lock);
    g = adapter_names_current(&v->names, id, strlen(id));
    code = control_start(&v->control, err);
    if (code == INF_OK && !g)
        code = check_unknown(v, id, err);
    if (code == INF_OK && (!g || hide(u, g)))
        control_add(&v->control, &u->task);
    pthread_mutex_unlock(&v->lock);
    if (code != INF_OK) {
        task_detach(&u->task);
        task_free(&u->task);
    }
    return code;
}
