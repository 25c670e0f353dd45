/* vllm_load: see the header. */
#include "remote/vllm_load.h"

#include "core/clock.h"
#include "core/memory.h"
#include "remote/adapter_check.h"
#include "remote/server_error.h"
#include "remote/vllm_unload.h"

#include <string.h>

enum { NAMES_TRIED = 8 };

struct load {
    struct task task; /* its key: the id */
    char *path;       /* as given, then as the servers get it */
    struct files_digest digest;
    inf_adapter_report report;
    struct model_list lists[REPLICAS_MAX];

    struct generation *generation; /* under the name that is being tried */
    uint64_t asked;                /* masks: it was sent to these */
    uint64_t loaded;               /* these have it */
    uint64_t unsure;               /* these may have it, or get it yet */
    bool taken;                    /* a server has an adapter of that name that is not ours */
    uint32_t life[REPLICAS_MAX];   /* in which they were asked */
    inf_error why;                 /* the first thing that went wrong, INF_OK: nothing */
};

/* ------------------------------------------------------------------ before anything is sent */

/* Somebody else's adapter, or a base model, has the id as its name. */
static int32_t check_name(const struct load *l, size_t i, inf_error *err)
{
    struct vllm *v = vllm_of(&l->task);
    const struct model_entry *e = model_list_find(&l->lists[i], l->task.key);
    const struct generation *g = NULL;
    char *path = NULL;
    bool ours = false;

    if (!e)
        return INF_OK;
    if (!e->parent)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "adapter id '%s' is the name of a base model at %s; choose another id",
                         l->task.key, vllm_url(v, i));
    pthread_mutex_lock(&v->lock);
    g = adapter_names_find(&v->names, l->task.key);
    if (g && generation_may_be_on(g, i))
        path = mem_strdup(g->path);
    pthread_mutex_unlock(&v->lock);
    ours = path && model_entry_is_from(e, path);
    mem_free(path);
    if (ours)
        return INF_OK;
    return error_set(err, INF_ERROR_STATE,
                     "the server at %s has an adapter named '%s' that this program did not load; "
                     "unload it with 'inference adapters unload -p vllm -u %s %s', or choose "
                     "another id",
                     vllm_url(v, i), l->task.key, vllm_url(v, i), l->task.key);
}

static bool must_check(const struct vllm *v)
{
    bool check = v->adapter_check == INF_ADAPTER_CHECK_ALWAYS;

    for (size_t i = 0; v->adapter_check == INF_ADAPTER_CHECK_AUTO && i < v->replicas.n; i++)
        check = check || v->replicas.items[i].server.loopback;
    return check;
}

/* The base model's directory as the first server names it, or NULL. */
static const char *base_dir(const struct load *l)
{
    for (size_t i = 0; i < REPLICAS_MAX; i++) {
        const struct model_entry *base = model_list_base(&l->lists[i]);

        if (base && base->root)
            return base->root;
    }
    return NULL;
}

/* The adapter's files, checked as far as this machine can. */
static int32_t prepare(struct load *l, inf_error *err)
{
    char *given = l->path;
    int32_t code = adapter_files_path(&l->path, given, err);

    mem_free(given);
    if (code == INF_OK && must_check(vllm_of(&l->task)) && adapter_files_readable(l->path))
        code = adapter_check(l->path, base_dir(l), &l->report, err);
    if (code == INF_OK)
        adapter_files_digest(&l->digest, l->path);
    return code;
}

/* ------------------------------------------------------------------ what the servers say */

static void note(struct load *l, const inf_error *why)
{
    if (l->why.code == INF_OK)
        l->why = *why;
}

/* No answer came, or one from between us and the server: its list says whether it happened. */
static void settle(struct load *l, size_t i)
{
    const struct call *call = &l->task.calls.items[i];
    const struct generation *g = l->generation;
    enum listed listed = vllm_is_listed(&l->task, i, g->name, g->path);
    inf_error why = {0};

    if (listed == LISTED_OURS) {
        l->loaded |= replica_bit(i);
        return;
    }
    l->taken = l->taken || listed == LISTED_FOREIGN;
    /* It may still be at it, unless the connection broke on its side. */
    if (listed == LISTED_UNKNOWN || call->error.code != INF_ERROR_CONNECTION)
        l->unsure |= replica_bit(i);
    vllm_refusal(&l->task, call, i, ROUTE_LOAD, g->name, g->path, &why);
    error_prefix(&why, "adapter '%s' was not loaded", g->id);
    note(l, &why);
}

/* What became of the call to replica i. */
static void judge(struct load *l, size_t i)
{
    const struct generation *g = l->generation;
    const struct call *call = &l->task.calls.items[i];
    enum call_result result = call_result(call);
    inf_error why = {0};

    if (result == CALL_OK) {
        l->loaded |= replica_bit(i);
    } else if (result == CALL_UNKNOWN || call->status == 502 || call->status == 504) {
        settle(l, i);
    } else if (result == CALL_REFUSED) {
        l->taken = l->taken || server_error_is_name_taken(call->status, call->body, call->body_len);
        vllm_refusal(&l->task, call, i, ROUTE_LOAD, g->name, g->path, &why);
        note(l, &why);
    } else if (result == CALL_GONE &&
               (vllm_of(&l->task)->replicas.n == 1 || call->error.code == INF_ERROR_CANCELLED)) {
        note(l, &call->error); /* else another replica serves */
    }
}

/* ------------------------------------------------------------------ the load itself */

/* The name counts as used from before it is sent until it is refused. */
static int32_t claim(struct load *l, inf_error *err)
{
    struct vllm *v = vllm_of(&l->task);
    struct generation *g = NULL;

    l->loaded = l->unsure = 0;
    l->taken = false;
    l->why = (inf_error){0};
    pthread_mutex_lock(&v->lock);
    g = adapter_names_add(&v->names, l->task.key, l->path);
    if (g) {
        g->digest = l->digest;
        g->report = l->report;
    }
    pthread_mutex_unlock(&v->lock);
    l->generation = g;
    return g ? INF_OK : error_no_memory(err);
}

/* Sends it to these, under the generation's name. An error: one refused, or none has it. */
static int32_t load_on(struct load *l, uint64_t mask, inf_error *err)
{
    struct task *t = &l->task;
    struct vllm *v = vllm_of(t);
    struct generation *g = l->generation;
    bool left = false;
    int32_t code = INF_OK;

    pthread_mutex_lock(&v->lock);
    left = t->left;
    t->goes_on = true;
    if (!left)
        g->where |= mask;
    pthread_mutex_unlock(&v->lock);
    if (left)
        return error_set(err, INF_ERROR_CANCELLED, "the load was cancelled");
    code = vllm_post(t, &t->calls, mask, g->name, g->path, LOAD_MS, err);
    if (code != INF_OK)
        return code;
    for (size_t i = 0; i < v->replicas.n; i++)
        judge(l, i);
    for (size_t i = 0; l->loaded == 0 && i < v->replicas.n; i++)
        if (replica_in(mask, i)) /* all of them went away */
            note(l, &t->calls.items[i].error);
    vllm_removed(v, g->name, mask & ~(l->loaded | l->unsure));
    return error_copy(err, &l->why);
}

/* ------------------------------------------------------------------ and when it failed */

/* Replicas kept what they were asked to take back: the first one's name comes first, since a message
 * has an end. */
static void note_left(struct load *l, uint64_t left)
{
    struct vllm *v = vllm_of(&l->task);
    const char *first = NULL;
    int more = 0;

    for (size_t i = 0; i < v->replicas.n; i++) {
        if (!replica_in(left, i))
            continue;
        context_log(v->context, INF_LOG_WARNING,
                    "%s did not take back adapter '%s', which may stay loaded there as '%s'",
                    vllm_url(v, i), l->task.key, l->generation->name);
        more += first != NULL;
        first = first ? first : vllm_url(v, i);
    }
    if (first && more)
        error_prefix(&l->why, "%s and %d more did not take it back", first, more);
    else if (first)
        error_prefix(&l->why, "%s did not take it back", first);
}

/* Takes back what was loaded. What may still come of it stays ours for as long. */
static void undo(struct load *l, inf_error *err)
{
    struct vllm *v = vllm_of(&l->task);
    struct generation *g = l->generation;
    uint64_t left = l->loaded;

    note(l, err);
    if (l->loaded)
        left &= ~vllm_take_back(&l->task, l->loaded, g->name);
    /* One that may still be at it is looked at again at the next contact. */
    note_left(l, left | (l->task.left ? l->unsure : 0));
    *err = l->why;
    pthread_mutex_lock(&v->lock);
    g->until_us = l->unsure ? clock_deadline_us(LOAD_MS) : 0;
    if (l->loaded == 0 && l->unsure == 0 && !l->taken) /* no server has ever had it */
        name_set_remove(&v->names.used, g->name);
    adapter_names_leave(&v->names, g);
    pthread_mutex_unlock(&v->lock);
    l->generation = NULL;
}

static int32_t load_under_a_name(struct load *l, inf_error *err)
{
    bool again = true;
    int32_t code = INF_OK;

    for (int k = 0; k < NAMES_TRIED && again; k++) {
        code = claim(l, err);
        if (code != INF_OK)
            return code;
        code = load_on(l, l->asked, err);
        if (code == INF_OK)
            return INF_OK;
        /* A fresh name that somebody took meanwhile: the next one. The id itself is another's. */
        again = l->taken && strcmp(l->generation->name, l->task.key) != 0;
        undo(l, err);
    }
    return err->code;
}

/* ------------------------------------------------------------------ until all have it */

/* Replicas that came back while it was being loaded. The lock is held. */
static uint64_t newcomers(const struct load *l)
{
    const struct replicas *r = &vllm_of(&l->task)->replicas;
    uint64_t mask = 0;

    for (size_t i = 0; i < r->n; i++)
        if (!r->items[i].dead && !replica_in(l->asked, i))
            mask |= replica_bit(i);
    return mask;
}

/* The generation serves from now on. *more: not yet, these replicas must have it too. */
static int32_t commit(struct load *l, uint64_t *more, inf_error *err)
{
    struct task *t = &l->task;
    struct vllm *v = vllm_of(t);
    struct generation *g = l->generation;
    struct generation *old = NULL;
    int32_t code = INF_OK;

    t->report_id = t->report_id ? t->report_id : mem_strdup(g->id);
    if (!t->report_id)
        return error_no_memory(err);
    pthread_mutex_lock(&v->lock);
    *more = newcomers(l);
    if (t->left) {
        code = error_set(err, INF_ERROR_CANCELLED, "the load was cancelled");
    } else if (*more == 0) {
        for (size_t i = 0; i < v->replicas.n; i++)
            g->life[i] = replica_in(l->loaded, i) ? l->life[i] : 0;
        old = adapter_names_commit(&v->names, g);
        t->report = g->report;
        t->committed = true;
    }
    pthread_mutex_unlock(&v->lock);
    if (old)
        vllm_retire(v, old);
    return code;
}

static int32_t load_on_newcomers(struct load *l, uint64_t more, inf_error *err)
{
    struct vllm *v = vllm_of(&l->task);
    const struct generation *g = l->generation;
    uint64_t mask = more;
    uint32_t lives[REPLICAS_MAX];
    int32_t code = INF_OK;

    vllm_lives(v, lives);
    for (size_t i = 0; i < v->replicas.n; i++) {
        if (!replica_in(more, i))
            continue;
        l->life[i] = lives[i];
        model_list_free(&l->lists[i]);
    }
    code = vllm_ask_models(&l->task, &l->task.calls, &mask, l->lists, err);
    if (code == INF_ERROR_CONNECTION || code == INF_ERROR_TIMEOUT)
        return INF_OK; /* they went away again */
    l->asked |= mask;
    for (size_t i = 0; code == INF_OK && i < v->replicas.n; i++) {
        const struct model_entry *e = replica_in(mask, i) ? model_list_find(&l->lists[i], g->name)
                                                          : NULL;

        if (e)
            code = vllm_not_ours(v, i, g, e->root, err);
    }
    return code == INF_OK ? load_on(l, mask, err) : code;
}

static int32_t load_everywhere(struct load *l, inf_error *err)
{
    uint64_t more = 0;
    int32_t code = load_under_a_name(l, err);

    if (code != INF_OK)
        return code;
    do {
        code = commit(l, &more, err);
        if (code == INF_OK && more != 0)
            code = load_on_newcomers(l, more, err);
    } while (code == INF_OK && more != 0);
    if (code != INF_OK)
        undo(l, err);
    return code;
}

/* ------------------------------------------------------------------ the task */

/* Whether somebody is finding out what the replicas have: their lives go on meanwhile. */
static void count_asking(struct vllm *v, int32_t by)
{
    pthread_mutex_lock(&v->lock);
    for (size_t i = 0; i < v->replicas.n; i++)
        v->replicas.items[i].n_asking += by;
    pthread_mutex_unlock(&v->lock);
}

static int32_t run(struct task *t, inf_error *err)
{
    struct load *l = (struct load *)t;
    struct vllm *v = vllm_of(t);
    int32_t code = INF_OK;

    l->asked = vllm_live(v);
    vllm_lives(v, l->life);
    count_asking(v, 1);
    code = vllm_ask_models(t, &t->calls, &l->asked, l->lists, err);
    for (size_t i = 0; code == INF_OK && i < v->replicas.n; i++) {
        vllm_unload_leftovers(t, i, &l->lists[i]);
        code = check_name(l, i, err);
    }
    if (code == INF_OK)
        code = prepare(l, err);
    if (code == INF_OK)
        code = load_everywhere(l, err);
    for (size_t i = 0; code == INF_OK && i < v->replicas.n; i++)
        if (!replica_in(l->asked, i))
            context_log(
                v->context, INF_LOG_WARNING,
                "%s is not there: it gets adapter '%s' from this program when it comes back",
                vllm_url(v, i), l->task.key);
    count_asking(v, -1);
    return code;
}

static void free_load(struct task *t)
{
    struct load *l = (struct load *)t;

    vllm_free_lists(l->lists);
    mem_free(l->path);
}

static const struct task_kind load_kind = {run, free_load, true};

int32_t vllm_adapter_load(void *impl, inf_op *op, const char *id,
                          const struct adapter_source *source, inf_error *err)
{
    struct vllm *v = impl;
    struct load *l = NULL;
    int32_t code = INF_OK;

    if (!source->path)
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         "a vLLM server loads adapters from a path that it can read, not from "
                         "memory; write the adapter to a directory");
    l = task_make(&v->control, &load_kind, sizeof *l);
    if (!l)
        return error_no_memory(err);
    l->task.key = mem_strdup(id);
    l->path = mem_strdup(source->path);
    code = l->task.key && l->path ? task_start(&l->task, op, err) : error_no_memory(err);
    if (code != INF_OK)
        task_free(&l->task);
    return code;
}
