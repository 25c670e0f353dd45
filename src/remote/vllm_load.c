/*
 * vllm_load: loading on the servers, all of the live ones or none. On a control thread. See
 * vllm_state.h.
 */
#include "remote/vllm_state.h"

#include "core/clock.h"
#include "core/memory.h"
#include "remote/adapter_files.h"
#include "remote/server_error.h"

#include <stdio.h>
#include <string.h>

enum { NAMES_TRIED = 8 };

static const char load_route[] = "/load_lora_adapter";

/* ------------------------------------------------------------------ before anything is sent */

/* Somebody else's adapter, or a base model, has the id as its name. */
static int32_t check_name(struct vllm *v, const struct model_list *list, size_t i, const char *id,
                          inf_error *err)
{
    const struct model_entry *e = model_list_find(list, id);
    const char *url = v->replicas.items[i].server.shown;
    const struct placed *p = NULL;
    const struct generation *g = NULL;
    char *path = NULL;
    bool ours = false;

    if (!e)
        return INF_OK;
    if (!e->parent)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "adapter id '%s' is the name of a base model at %s; choose another id", id,
                         url);
    pthread_mutex_lock(&v->lock);
    p = adapter_names_placed(&v->names, id);
    g = adapter_names_by_name(&v->names, id);
    if (p && p->where >> i & 1)
        path = mem_strdup(p->path);
    else if (g && g->loaded[i]) /* a list has missed it once */
        path = mem_strdup(g->path);
    pthread_mutex_unlock(&v->lock);
    ours = path && vllm_whose(e, path) == WHOSE_OURS;
    mem_free(path);
    if (ours)
        return INF_OK;
    return error_set(err, INF_ERROR_STATE,
                     "the server at %s has an adapter named '%s' that this program did not load; "
                     "unload it with 'inference adapters unload -p vllm -u %s %s', or choose "
                     "another id",
                     url, id, url, id);
}

static bool must_check(const struct vllm *v)
{
    if (v->adapter_check != INF_ADAPTER_CHECK_AUTO)
        return v->adapter_check == INF_ADAPTER_CHECK_ALWAYS;
    for (size_t i = 0; i < v->replicas.n; i++)
        if (v->replicas.items[i].server.loopback)
            return true;
    return false;
}

/* The base model's directory as the first server names it. */
static const char *base_dir(const struct vllm *v, const struct model_list *lists)
{
    for (size_t i = 0; i < v->replicas.n; i++) {
        const struct model_entry *base = model_list_base(&lists[i]);

        if (base && base->root)
            return base->root;
    }
    return NULL;
}

/* A generation of the task's adapter, checked as far as this machine can; without a name. */
static int32_t prepare(struct task *t, const struct model_list *lists, struct generation **out,
                       inf_error *err)
{
    struct vllm *v = t->vllm;
    char *path = NULL;
    int32_t code = adapter_files_path(&path, t->source.path, err);

    if (code != INF_OK)
        return code;
    *out = generation_make(t->id, t->id, path);
    if (!*out)
        code = error_no_memory(err);
    if (code == INF_OK && must_check(v) && adapter_files_readable(path))
        code = adapter_files_check(path, base_dir(v, lists), &(*out)->report, err);
    if (code == INF_OK)
        adapter_files_digest(&(*out)->digest, path);
    mem_free(path);
    return code;
}

/* ------------------------------------------------------------------ the load itself */

struct load {
    struct task *task;
    struct generation *generation;
    struct model_list *lists;
    uint64_t asked;              /* masks: it was sent to these */
    uint64_t loaded;             /* these have it */
    uint64_t unsure;             /* these may have it, or get it yet */
    bool taken;                  /* a server has an adapter of that name that is not ours */
    uint32_t life[REPLICAS_MAX]; /* in which they were asked */
    inf_error why;               /* the first thing that went wrong, INF_OK: nothing */
};

static void note(struct load *l, const inf_error *why)
{
    if (l->why.code == INF_OK)
        l->why = *why;
}

/* No answer came, or one from between us and the server: its list says whether it happened. */
static void settle(struct load *l, size_t i)
{
    const struct call *call = &l->task->calls.items[i];
    const struct generation *g = l->generation;
    uint64_t bit = UINT64_C(1) << i;
    bool anothers = false;
    inf_error why = {0};

    switch (vllm_is_listed(l->task, i, g->name, g->path, &anothers)) {
    case CALL_OK:
        l->loaded |= bit;
        return;
    case CALL_SAID:
        l->taken = l->taken || anothers;
        /* It may still be at it, unless the connection broke on its side. */
        if (call->error.code != INF_ERROR_CONNECTION)
            l->unsure |= bit;
        break;
    default:
        l->unsure |= bit;
    }
    if (call->status != 0)
        vllm_refusal(l->task, call, i, ROUTE_LOAD, g->name, g->path, &why);
    else
        why = call->error;
    error_prefix(&why, "adapter '%s' was not loaded", g->id);
    note(l, &why);
}

static bool is_from_between(const struct call *call)
{
    return call->status == 502 || call->status == 504;
}

/* What became of the call to replica i. */
static void judge(struct load *l, size_t i, bool several)
{
    const struct generation *g = l->generation;
    const struct call *call = &l->task->calls.items[i];
    struct server_answer a = {
        .status = call->status, .body = call->body, .body_len = call->body_len};
    inf_error why = {0};

    switch (vllm_call_result(call)) {
    case CALL_NONE:
        break;
    case CALL_OK:
        l->loaded |= UINT64_C(1) << i;
        break;
    case CALL_SAID:
        if (is_from_between(call)) {
            settle(l, i);
            break;
        }
        l->taken = l->taken || server_error_is_name_taken(&a);
        vllm_refusal(l->task, call, i, ROUTE_LOAD, g->name, g->path, &why);
        note(l, &why);
        break;
    case CALL_GONE: /* another replica serves */
        if (!several || call->error.code == INF_ERROR_CANCELLED)
            note(l, &call->error);
        break;
    case CALL_UNKNOWN:
        settle(l, i);
        break;
    }
}

/* Replicas kept what they were asked to take back: their names come first, since a message has an
 * end. */
static void note_left(struct load *l, uint64_t left)
{
    struct vllm *v = l->task->vllm;
    const struct generation *g = l->generation;
    char urls[300] = "";
    size_t at = 0;
    int more = 0;

    for (size_t i = 0; i < v->replicas.n; i++) {
        const char *url = v->replicas.items[i].server.shown;

        if (!(left >> i & 1))
            continue;
        context_log(v->context, INF_LOG_WARNING,
                    "%s did not take back adapter '%s', which may stay loaded there as '%s'", url,
                    g->id, g->name);
        if (at == 0 || at + strlen(url) + 2 < sizeof urls)
            at += (size_t)snprintf(urls + at, sizeof urls - at, "%s%s", at ? ", " : "", url);
        else
            more++;
    }
    if (at && more)
        error_prefix(&l->why, "%s and %d more did not take it back", urls, more);
    else if (at)
        error_prefix(&l->why, "%s did not take it back", urls);
}

/* Takes back what was loaded when not all of it could be. */
static void roll_back(struct load *l)
{
    uint64_t left = l->loaded;

    if (l->loaded)
        left &= ~vllm_take_back(l->task, l->loaded, l->generation->name);
    /* One that may still be at it is looked at again at the next contact. */
    note_left(l, left | (vllm_is_left(l->task) ? l->unsure : 0));
}

/* Sends it to these, under the generation's name. An error: one refused, or none has it. */
static int32_t load_on(struct load *l, uint64_t mask, inf_error *err)
{
    struct vllm *v = l->task->vllm;
    struct generation *g = l->generation;
    int32_t code = INF_OK;

    pthread_mutex_lock(&v->lock);
    l->task->sent = true;
    if (vllm_is_left(l->task))
        code = error_set(err, INF_ERROR_CANCELLED, "the load was cancelled");
    else if (!adapter_names_place(&v->names, g->name, g->path, mask))
        code = error_no_memory(err);
    pthread_mutex_unlock(&v->lock);
    if (code == INF_OK)
        code = vllm_post(l->task, &l->task->calls, mask, load_route, g->name, g->path, LOAD_MS,
                         err);
    if (code != INF_OK)
        return code;
    for (size_t i = 0; i < v->replicas.n; i++)
        if (mask >> i & 1)
            judge(l, i, v->replicas.n > 1);
    for (size_t i = 0; l->loaded == 0 && i < v->replicas.n; i++)
        if (mask >> i & 1) /* all of them went away */
            note(l, &l->task->calls.items[i].error);
    vllm_removed(v, g->name, mask & ~(l->loaded | l->unsure));
    if (err)
        *err = l->why;
    return l->why.code;
}

/* The name counts as used from before it is sent until it is refused. */
static int32_t claim(struct load *l, inf_error *err)
{
    struct vllm *v = l->task->vllm;
    struct generation *g = l->generation;
    char name[NAME_MAX_LEN + 1];
    struct placed *p = NULL;
    char *copy = NULL;

    pthread_mutex_lock(&v->lock);
    adapter_names_choose(name, &v->names, l->task->id);
    copy = mem_strdup(name);
    if (copy && name_set_add(&v->names.used, name)) {
        p = adapter_names_place(&v->names, name, g->path, 0);
        if (!p)
            name_set_remove(&v->names.used, name);
    }
    if (p) {
        p->loading = true;
        mem_free(g->name);
        g->name = copy;
    }
    pthread_mutex_unlock(&v->lock);
    if (!p)
        mem_free(copy);
    return p ? INF_OK : error_no_memory(err);
}

/* The load has ended, well or not: what may still come of it stays ours for as long. The lock is
 * held. */
static void disclaim(struct load *l)
{
    struct vllm *v = l->task->vllm;
    const char *name = l->generation->name;
    struct placed *p = adapter_names_placed(&v->names, name);

    if (p) {
        p->loading = false;
        p->until_us = l->unsure ? clock_deadline_us(LOAD_MS) : 0;
    }
    adapter_names_removed(&v->names, name, 0);
}

static void undo(struct load *l)
{
    struct vllm *v = l->task->vllm;

    roll_back(l);
    pthread_mutex_lock(&v->lock);
    disclaim(l);
    if (l->loaded == 0 && l->unsure == 0 && !l->taken) /* no server has ever had it */
        name_set_remove(&v->names.used, l->generation->name);
    pthread_mutex_unlock(&v->lock);
}

static int32_t load_under_a_name(struct load *l, inf_error *err)
{
    int32_t code = INF_OK;

    for (int k = 0; k < NAMES_TRIED; k++) {
        l->loaded = l->unsure = 0;
        l->taken = false;
        l->why = (inf_error){0};
        code = claim(l, err);
        if (code != INF_OK)
            return code;
        code = load_on(l, l->asked, err);
        if (code == INF_OK)
            return INF_OK;
        if (l->why.code == INF_OK)
            l->why = *err;
        undo(l);
        *err = l->why;
        /* A fresh name that somebody took meanwhile: the next one. The id itself is another's. */
        if (!l->taken || strcmp(l->generation->name, l->task->id) == 0)
            return code;
    }
    return code;
}

/* Replicas that came back while it was being loaded. The lock is held. */
static uint64_t newcomers(const struct load *l)
{
    const struct replicas *r = &l->task->vllm->replicas;
    uint64_t mask = 0;

    for (size_t i = 0; i < r->n; i++)
        if (!r->items[i].dead && !(l->asked >> i & 1))
            mask |= UINT64_C(1) << i;
    return mask;
}

/* The generation serves from now on. *more: not yet, these replicas must have it too. */
static int32_t commit(struct load *l, uint64_t *more, inf_error *err)
{
    struct task *t = l->task;
    struct vllm *v = t->vllm;
    struct generation *g = l->generation;
    struct generation *old = NULL;
    int32_t code = INF_OK;

    t->report_id = t->report_id ? t->report_id : mem_strdup(g->id);
    if (!t->report_id)
        return error_no_memory(err);
    pthread_mutex_lock(&v->lock);
    *more = newcomers(l);
    if (vllm_is_left(t)) {
        code = error_set(err, INF_ERROR_CANCELLED, "the load was cancelled");
    } else if (*more == 0) {
        disclaim(l);
        for (size_t i = 0; i < v->replicas.n; i++) {
            g->loaded[i] = l->loaded >> i & 1;
            g->life[i] = g->loaded[i] ? l->life[i] : 0;
        }
        adapter_names_commit(&v->names, g, &old);
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
    struct vllm *v = l->task->vllm;
    uint64_t mask = more;
    uint32_t lives[REPLICAS_MAX];
    int32_t code = INF_OK;

    vllm_lives(v, lives);
    for (size_t i = 0; i < v->replicas.n; i++) {
        if (!(more >> i & 1))
            continue;
        l->life[i] = lives[i];
        model_list_free(&l->lists[i]);
    }
    code = vllm_ask_models(l->task, &l->task->calls, &mask, l->lists, err);
    if (code == INF_ERROR_CONNECTION || code == INF_ERROR_TIMEOUT)
        return INF_OK; /* they went away again */
    l->asked |= mask;
    for (size_t i = 0; code == INF_OK && i < v->replicas.n; i++) {
        const struct model_entry *e = mask >> i & 1
                                          ? model_list_find(&l->lists[i], l->generation->name)
                                          : NULL;

        if (e)
            code = vllm_not_ours(v, i, l->generation, e->root, err);
    }
    return code == INF_OK ? load_on(l, mask, err) : code;
}

static int32_t load_everywhere(struct load *l, inf_error *err)
{
    uint64_t more = 0;
    int32_t code = load_under_a_name(l, err);

    if (code != INF_OK)
        return code;
    for (;;) {
        code = commit(l, &more, err);
        if (code == INF_OK && more != 0)
            code = load_on_newcomers(l, more, err);
        if (code != INF_OK)
            break;
        if (more == 0)
            return INF_OK;
    }
    if (l->why.code == INF_OK)
        l->why = *err;
    undo(l);
    *err = l->why;
    return code;
}

void vllm_unload_leftovers(struct task *t, size_t i, const struct model_list *list)
{
    struct vllm *v = t->vllm;

    for (size_t k = 0; k < list->n; k++) {
        const struct model_entry *e = &list->items[k];
        const struct placed *p = NULL;
        char *path = NULL;

        if (!e->parent)
            continue;
        pthread_mutex_lock(&v->lock);
        p = adapter_names_placed(&v->names, e->id);
        if (p && p->where >> i & 1 && !p->held && !p->loading)
            path = mem_strdup(p->path);
        pthread_mutex_unlock(&v->lock);
        /* Under a name of ours from another path: it was never ours, or is not any more. */
        if (path && vllm_whose(e, path) == WHOSE_ANOTHERS)
            vllm_removed(v, e->id, UINT64_C(1) << i);
        else if (path)
            vllm_take_back(t, UINT64_C(1) << i, e->id);
        mem_free(path);
    }
}

static void count_asking(struct load *l, uint64_t mask, int32_t by)
{
    struct vllm *v = l->task->vllm;

    pthread_mutex_lock(&v->lock);
    for (size_t i = 0; i < v->replicas.n; i++)
        if (mask >> i & 1)
            v->replicas.items[i].n_asking += by;
    pthread_mutex_unlock(&v->lock);
}

int32_t vllm_run_load(struct task *t, inf_error *err)
{
    struct vllm *v = t->vllm;
    struct load l = {.task = t, .asked = vllm_live(v)};
    uint64_t all = vllm_all(v);
    int32_t code = INF_OK;

    l.lists = mem_calloc(v->replicas.n, sizeof *l.lists);
    if (!l.lists)
        return error_no_memory(err);
    vllm_lives(v, l.life);
    count_asking(&l, all, 1);
    code = vllm_ask_models(t, &t->calls, &l.asked, l.lists, err);
    for (size_t i = 0; code == INF_OK && i < v->replicas.n; i++) {
        vllm_unload_leftovers(t, i, &l.lists[i]);
        code = check_name(v, &l.lists[i], i, t->id, err);
    }
    if (code == INF_OK)
        code = prepare(t, l.lists, &l.generation, err);
    if (code == INF_OK)
        code = load_everywhere(&l, err);
    for (size_t i = 0; code == INF_OK && i < v->replicas.n; i++)
        if (!(l.asked >> i & 1))
            context_log(
                v->context, INF_LOG_WARNING,
                "%s is not there: it gets adapter '%s' from this program when it comes back",
                v->replicas.items[i].server.shown, t->id);
    if (code != INF_OK)
        generation_free(l.generation);
    count_asking(&l, all, -1);
    vllm_free_lists(v, l.lists);
    return code;
}
