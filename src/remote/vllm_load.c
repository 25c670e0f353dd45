/*
 * vllm_load: loading on the servers, all of the live ones or none; loading again what one lost; and
 * bringing a dead replica back. On the control thread. See vllm_state.h.
 */
#include "remote/vllm_state.h"

#include "core/clock.h"
#include "core/memory.h"
#include "remote/adapter_files.h"
#include "remote/server_error.h"

#include <string.h>

enum { NAMES_TRIED = 8 };

static const char load_route[] = "/load_lora_adapter";
static const char unload_route[] = "/unload_lora_adapter";

/* ------------------------------------------------------------------ before anything is sent */

/* Somebody else's adapter, or a base model, has the id as its name. */
static int32_t check_name(struct vllm *v, const struct model_list *list, size_t i, const char *id,
                          inf_error *err)
{
    const struct model_entry *e = model_list_find(list, id);
    const char *url = v->replicas.items[i].server.shown;
    bool ours = false;

    if (!e)
        return INF_OK;
    if (!e->parent)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "adapter id '%s' is the name of a base model at %s; choose another id", id,
                         url);
    pthread_mutex_lock(&v->lock);
    ours = name_set_has(&v->names.ours, id);
    pthread_mutex_unlock(&v->lock);
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
    for (size_t i = 0; i < v->replicas.n; i++) {
        if (v->replicas.items[i].server.loopback)
            return true;
    }
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
    uint64_t asked, loaded; /* masks */
    bool taken;             /* a server has an adapter of that name */
    bool unsure;            /* one may have loaded it, and cannot be asked */
    inf_error why;          /* the first thing that went wrong, INF_OK: nothing */
};

static void note(struct load *l, const inf_error *why)
{
    if (l->why.code == INF_OK)
        l->why = *why;
}

/* What became of the call to replica i. */
static void judge(struct load *l, size_t i, bool several)
{
    struct vllm *v = l->task->vllm;
    struct generation *g = l->generation;
    const struct call *call = &l->task->calls.items[i];
    enum call_result result = vllm_call_result(call);
    inf_error why = {0};

    if (result == CALL_UNKNOWN && call->error.code != INF_ERROR_CANCELLED) {
        /* Sent, and no answer came: the list says whether it happened. */
        result = vllm_is_listed(v, i, g->name);
        l->unsure = l->unsure || result == CALL_GONE;
        if (result == CALL_SAID) {
            why = call->error;
            error_prefix(&why, "adapter '%s' was not loaded", g->id);
            note(l, &why);
        }
        if (result != CALL_GONE)
            result = result == CALL_OK ? CALL_OK : CALL_NONE;
    }
    if (result == CALL_OK || call->error.code == INF_ERROR_CANCELLED)
        l->loaded |= UINT64_C(1) << i; /* cancelled: it may have happened */
    if (result == CALL_SAID) {
        struct server_answer a = {
            .status = call->status, .body = call->body, .body_len = call->body_len};

        l->taken = l->taken || server_error_is_name_taken(&a);
        vllm_refusal(v, call, i, ROUTE_LOAD, g->name, g->path, l->task->op, &why);
        note(l, &why);
    }
    if (call->error.code == INF_ERROR_CANCELLED)
        note(l, &call->error);
    if (result == CALL_GONE) {
        pthread_mutex_lock(&v->lock);
        replicas_failed(&v->replicas, i, clock_us());
        pthread_mutex_unlock(&v->lock);
        if (!several)
            note(l, &call->error);
    }
}

/* Replica i kept what it was asked to take back. */
static void note_left(struct load *l, size_t i)
{
    const struct generation *g = l->generation;
    const char *url = l->task->vllm->replicas.items[i].server.shown;
    inf_error longer;

    context_log(l->task->vllm->context, INF_LOG_WARNING,
                "adapter '%s' stays loaded as '%s' at %s, which did not take it back", g->id,
                g->name, url);
    error_set(&longer, l->why.code, "%s; it stays loaded as '%s' at %s, which did not take it back",
              l->why.message, g->name, url);
    memcpy(l->why.message, longer.message, sizeof l->why.message);
}

/* Takes back what was loaded when not all of it could be. */
static void roll_back(struct load *l)
{
    struct vllm *v = l->task->vllm;
    struct calls calls = {0}; /* of its own: the task's may have been cancelled */

    if (l->loaded == 0)
        return;
    if (calls_init(&calls, v->replicas.n, NULL) == INF_OK)
        vllm_post(v, &calls, l->loaded, unload_route, l->generation->name, NULL, CLEAN_UP_MS, NULL);
    for (size_t i = 0; i < v->replicas.n; i++) {
        const struct call *call = calls.items ? &calls.items[i] : NULL;

        if ((l->loaded >> i & 1) &&
            (!call || (vllm_call_result(call) != CALL_OK && call->status != 404)))
            note_left(l, i);
    }
    calls_free(&calls);
}

/* One try under one name. */
static int32_t load_as(struct load *l, const char *name, inf_error *err)
{
    struct vllm *v = l->task->vllm;
    struct generation *g = l->generation;
    char *copy = mem_strdup(name);
    int32_t code = INF_OK;

    if (!copy)
        return error_no_memory(err);
    mem_free(g->name);
    g->name = copy;
    l->loaded = 0;
    l->taken = l->unsure = false;
    l->why = (inf_error){0};
    code = vllm_post(v, &l->task->calls, l->asked, load_route, name, g->path, LOAD_MS, err);
    if (code != INF_OK)
        return code;
    for (size_t i = 0; i < v->replicas.n; i++) {
        if (l->asked >> i & 1)
            judge(l, i, v->replicas.n > 1);
    }
    for (size_t i = 0; l->loaded == 0 && i < v->replicas.n; i++) {
        if (l->asked >> i & 1) /* all of them went away */
            note(l, &l->task->calls.items[i].error);
    }
    if (l->why.code == INF_OK)
        return INF_OK;
    roll_back(l);
    if (err)
        *err = l->why;
    return l->why.code;
}

/* The name counts as used from before it is sent until it is refused. */
static int32_t claim(struct load *l, char name[NAME_MAX_LEN + 1], inf_error *err)
{
    struct vllm *v = l->task->vllm;
    bool ok = false;

    pthread_mutex_lock(&v->lock);
    adapter_names_choose(name, &v->names, l->task->id);
    ok = name_set_add(&v->names.used, name) && name_set_add(&v->names.ours, name);
    if (!ok)
        name_set_remove(&v->names.used, name);
    pthread_mutex_unlock(&v->lock);
    return ok ? INF_OK : error_no_memory(err);
}

static void disclaim(struct load *l, const char *name)
{
    struct vllm *v = l->task->vllm;

    pthread_mutex_lock(&v->lock);
    if (l->loaded == 0 && !l->unsure) {
        name_set_remove(&v->names.ours, name);
        if (!l->taken) /* no server has ever had it */
            name_set_remove(&v->names.used, name);
    }
    pthread_mutex_unlock(&v->lock);
}

static int32_t load_under_a_name(struct load *l, inf_error *err)
{
    char name[NAME_MAX_LEN + 1];
    int32_t code = INF_OK;

    for (int k = 0; k < NAMES_TRIED; k++) {
        code = claim(l, name, err);
        if (code == INF_OK)
            code = load_as(l, name, err);
        if (code == INF_OK)
            return INF_OK;
        disclaim(l, name);
        /* A fresh name that somebody took meanwhile: the next one. The id itself is another's. */
        if (!l->taken || strcmp(name, l->task->id) == 0)
            return code;
    }
    return code;
}

static int32_t commit(struct load *l, inf_error *err)
{
    struct vllm *v = l->task->vllm;
    struct generation *g = l->generation;
    struct generation *old = NULL;
    struct op_output *out = op_output(l->task->op);

    out->report_id = mem_strdup(g->id);
    if (!out->report_id)
        return error_no_memory(err);
    pthread_mutex_lock(&v->lock);
    for (size_t i = 0; i < v->replicas.n; i++)
        g->loaded[i] = l->loaded >> i & 1;
    adapter_names_commit(&v->names, g, &old);
    out->report = g->report;
    pthread_mutex_unlock(&v->lock);
    if (old)
        vllm_retire(v, old);
    return INF_OK;
}

/* Names of ours that it still has and nobody needs: of a load that was cancelled while the server was
 * at it, of an unload that did not reach it. */
static void unload_leftovers(struct vllm *v, struct calls *calls, size_t i,
                             const struct model_list *list)
{
    for (size_t k = 0; k < list->n; k++) {
        const char *name = list->items[k].id;
        bool leftover = false;

        pthread_mutex_lock(&v->lock);
        leftover = name_set_has(&v->names.ours, name) && !adapter_names_by_name(&v->names, name);
        pthread_mutex_unlock(&v->lock);
        if (leftover)
            vllm_post(v, calls, UINT64_C(1) << i, unload_route, name, NULL, CLEAN_UP_MS, NULL);
    }
}

int32_t vllm_run_load(struct task *t, inf_error *err)
{
    struct vllm *v = t->vllm;
    struct load l = {.task = t, .asked = vllm_live(v)};
    struct model_list *lists = mem_calloc(v->replicas.n, sizeof *lists);
    int32_t code = lists ? INF_OK : error_no_memory(err);

    if (code == INF_OK)
        code = vllm_ask_models(v, &t->calls, &l.asked, lists, err);
    for (size_t i = 0; code == INF_OK && i < v->replicas.n; i++) {
        unload_leftovers(v, &t->calls, i, &lists[i]);
        code = check_name(v, &lists[i], i, t->id, err);
    }
    if (code == INF_OK)
        code = prepare(t, lists, &l.generation, err);
    if (code == INF_OK)
        code = load_under_a_name(&l, err);
    if (code == INF_OK) {
        code = commit(&l, err);
        if (code != INF_OK) {
            roll_back(&l);
            disclaim(&l, l.generation->name);
        }
    }
    if (code != INF_OK)
        generation_free(l.generation);
    vllm_free_lists(v, lists);
    return code;
}

/* ------------------------------------------------------------------ again */

/* Loads a tracked generation on one replica under the name it has. */
static int32_t load_on(struct vllm *v, struct calls *calls, size_t i, struct generation *g,
                       inf_error *err)
{
    const struct call *call = &calls->items[i];
    struct server_answer a = {0};
    int32_t code = vllm_same_bytes(g, err);

    if (code == INF_OK)
        code = vllm_post(v, calls, UINT64_C(1) << i, load_route, g->name, g->path, LOAD_MS, err);
    if (code != INF_OK)
        return code;
    a = (struct server_answer){
        .status = call->status, .body = call->body, .body_len = call->body_len};
    if (vllm_call_result(call) == CALL_UNKNOWN && vllm_is_listed(v, i, g->name) == CALL_OK)
        return INF_OK;
    /* Taken: it is there after all; with several API servers behind an address only one knows. */
    if (vllm_call_result(call) == CALL_OK || server_error_is_name_taken(&a))
        return INF_OK;
    vllm_refusal(v, call, i, ROUTE_LOAD, g->name, g->path, NULL, err);
    return error_prefix(err, "the server lost adapter '%s' and did not load it again", g->id);
}

static void mark_loaded(struct vllm *v, struct generation *g, size_t i)
{
    pthread_mutex_lock(&v->lock);
    g->loaded[i] = true;
    g->epoch[i]++;
    pthread_mutex_unlock(&v->lock);
}

int32_t vllm_run_load_again(struct task *t, inf_error *err)
{
    struct vllm *v = t->vllm;
    struct model_list *lists = mem_calloc(v->replicas.n, sizeof *lists);
    uint64_t mask = UINT64_C(1) << t->replica;
    bool done = false;
    int32_t code = lists ? INF_OK : error_no_memory(err);

    pthread_mutex_lock(&v->lock);
    done = t->generation->epoch[t->replica] != t->epoch;
    pthread_mutex_unlock(&v->lock);
    if (code == INF_OK && !done)
        code = vllm_ask_models(v, &t->calls, &mask, lists, err);
    if (code == INF_OK && !done)
        code = load_on(v, &t->calls, t->replica, t->generation, err);
    if (code == INF_OK && !done) {
        context_log(v->context, INF_LOG_INFO, "loaded adapter '%s' again at %s, which had lost it",
                    t->generation->id, v->replicas.items[t->replica].server.shown);
        mark_loaded(v, t->generation, t->replica);
    }
    vllm_free_lists(v, lists);
    return code;
}

/* ------------------------------------------------------------------ a dead replica */

/* Every tracked adapter it does not list. */
static int32_t load_missing(struct vllm *v, struct calls *calls, size_t i,
                            const struct model_list *list, inf_error *err)
{
    int32_t code = INF_OK;

    /* Only this thread puts generations into the list or takes them out. */
    for (struct generation *g = v->names.all; g && code == INF_OK; g = g->next) {
        bool wanted = false;

        pthread_mutex_lock(&v->lock);
        wanted = g->current || g->pins > 0;
        pthread_mutex_unlock(&v->lock);
        if (!wanted)
            continue;
        if (!model_list_find(list, g->name))
            code = load_on(v, calls, i, g, err);
        if (code == INF_OK)
            mark_loaded(v, g, i);
    }
    return code;
}

void vllm_run_revive(struct task *t)
{
    struct vllm *v = t->vllm;
    size_t i = t->replica;
    struct model_list *lists = mem_calloc(v->replicas.n, sizeof *lists);
    uint64_t mask = UINT64_C(1) << i;
    inf_error why = {0};
    int32_t code = lists ? vllm_ask_models(v, &t->calls, &mask, lists, &why)
                         : error_no_memory(&why);

    if (code == INF_OK)
        code = load_missing(v, &t->calls, i, &lists[i], &why);
    if (code == INF_OK)
        unload_leftovers(v, &t->calls, i, &lists[i]);
    pthread_mutex_lock(&v->lock);
    v->replicas.items[i].reviving = false;
    if (code == INF_OK)
        replicas_alive(&v->replicas, i);
    else
        replicas_failed(&v->replicas, i, clock_us());
    pthread_mutex_unlock(&v->lock);
    if (code != INF_OK)
        context_log(v->context, INF_LOG_WARNING, "%s is left out for now: %s",
                    v->replicas.items[i].server.shown, why.message);
    vllm_free_lists(v, lists);
}
