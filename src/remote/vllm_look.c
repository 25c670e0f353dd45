/*
 * vllm_look: what servers have, and whether it is ours: before an adapter is used on one that may have
 * been started anew, when a dead one comes back, when one does not answer. On a control thread. See
 * vllm_state.h.
 *
 * A name says nothing of who loaded it: a server that was started anew may have got another program's
 * adapter under a name of ours. Its list tells the path ("root") beside the name: another path is
 * another's adapter, which is neither used nor unloaded. A list without paths is believed.
 */
#include "remote/vllm_state.h"

#include "core/clock.h"
#include "core/memory.h"
#include "remote/adapter_files.h"
#include "remote/server_error.h"

#include <string.h>

static const char load_route[] = "/load_lora_adapter";

/* ------------------------------------------------------------------ whose it is */

enum whose vllm_whose(const struct model_entry *e, const char *path)
{
    if (!e->parent)
        return WHOSE_ANOTHERS; /* a base model */
    return !e->root || !path || adapter_files_same_path(e->root, path) ? WHOSE_OURS
                                                                       : WHOSE_ANOTHERS;
}

int32_t vllm_not_ours(struct vllm *v, size_t i, const struct generation *g, const char *root,
                      inf_error *err)
{
    const char *url = v->replicas.items[i].server.shown;

    return error_set(err, INF_ERROR_STATE,
                     "the server at %s lost adapter '%s' and now has another program's adapter "
                     "under its name '%s' (from %s), which is not used; unload it with 'inference "
                     "adapters unload -p vllm -u %s %s'",
                     url, g->id, g->name, root ? root : "elsewhere", url, g->name);
}

char *vllm_look_key(const struct generation *g, size_t replica)
{
    struct buffer key;

    buffer_init(&key, BUFFER_NO_LIMIT);
    if (buffer_printf(&key, "look %zu %s", replica, g->name))
        return key.data;
    buffer_free(&key);
    return NULL;
}

/* ------------------------------------------------------------------ one adapter on one replica */

/* Loads a tracked generation under the name it has; *taken: something has that name. */
static int32_t load_again(struct task *t, size_t i, struct generation *g, bool *taken,
                          inf_error *err)
{
    struct vllm *v = t->vllm;
    const struct call *call = &t->calls.items[i];
    struct server_answer a = {0};
    bool placed = false;
    int32_t code = vllm_same_bytes(g, err);

    if (code != INF_OK)
        return code;
    pthread_mutex_lock(&v->lock);
    placed = adapter_names_place(&v->names, g->name, g->path, UINT64_C(1) << i) != NULL;
    pthread_mutex_unlock(&v->lock);
    if (!placed)
        return error_no_memory(err);
    code = vllm_post(t, &t->calls, UINT64_C(1) << i, load_route, g->name, g->path, LOAD_MS, err);
    if (code != INF_OK)
        return code;
    if (vllm_call_result(call) == CALL_OK)
        return INF_OK;
    if (vllm_call_result(call) == CALL_UNKNOWN &&
        vllm_is_listed(t, i, g->name, g->path, taken) == CALL_OK)
        return INF_OK;
    a = (struct server_answer){
        .status = call->status, .body = call->body, .body_len = call->body_len};
    *taken = *taken || server_error_is_name_taken(&a);
    if (vllm_call_result(call) != CALL_UNKNOWN || *taken)
        vllm_removed(v, g->name, UINT64_C(1) << i);
    vllm_refusal(t, call, i, ROUTE_LOAD, g->name, g->path, err);
    return error_prefix(err, "the server lost adapter '%s' and did not load it again", g->id);
}

/* The name was taken while we were about to give it. */
static int32_t settle_taken(struct task *t, size_t i, struct generation *g, inf_error *err)
{
    struct vllm *v = t->vllm;
    bool anothers = false;

    if (vllm_is_listed(t, i, g->name, g->path, &anothers) == CALL_OK)
        return INF_OK;
    if (anothers)
        return vllm_not_ours(v, i, g, NULL, err);
    return error_set(err, INF_ERROR_STATE,
                     "the server at %s does not know adapter '%s' but says that its name '%s' is "
                     "taken, and does not list whose it is; with several API servers behind one "
                     "address run one (--api-server-count 1), else unload '%s' there",
                     v->replicas.items[i].server.shown, g->id, g->name, g->name);
}

/* It was seen there in that life. */
static void mark(struct vllm *v, struct generation *g, size_t i, uint32_t life)
{
    pthread_mutex_lock(&v->lock);
    g->loaded[i] = true;
    g->life[i] = life;
    pthread_mutex_unlock(&v->lock);
}

/* Makes sure that replica i has the generation, ours; *loaded: it did not. The generation is pinned, and
 * the task has the key of the look. */
static int32_t make_sure(struct task *t, size_t i, struct generation *g,
                         const struct model_list *list, uint32_t life, bool *loaded, inf_error *err)
{
    const struct model_entry *e = model_list_find(list, g->name);
    bool taken = false;
    int32_t code = INF_OK;

    *loaded = !e;
    if (e && vllm_whose(e, g->path) == WHOSE_ANOTHERS) {
        vllm_removed(t->vllm, g->name, UINT64_C(1) << i);
        code = vllm_not_ours(t->vllm, i, g, e->root, err);
    } else if (!e) {
        code = load_again(t, i, g, &taken, err);
        if (code != INF_OK && taken)
            code = settle_taken(t, i, g, err);
    }
    if (code == INF_OK)
        mark(t->vllm, g, i, life);
    return code;
}

/* Every other one that is listed as ours needs no look of its own. */
static void mark_listed(struct vllm *v, size_t i, const struct model_list *list, uint32_t life)
{
    pthread_mutex_lock(&v->lock);
    for (size_t k = 0; k < list->n; k++) {
        const struct model_entry *e = &list->items[k];
        const struct placed *p = e->parent ? adapter_names_placed(&v->names, e->id) : NULL;
        struct generation *g = NULL;

        if (!p || !p->held || !e->root || strcmp(e->root, p->path) != 0)
            continue;
        g = adapter_names_by_name(&v->names, e->id);
        if (g && g->loaded[i])
            g->life[i] = life;
    }
    pthread_mutex_unlock(&v->lock);
}

int32_t vllm_run_look(struct task *t, inf_error *err)
{
    struct vllm *v = t->vllm;
    struct generation *g = t->generation;
    size_t i = t->replica;
    struct model_list *lists = mem_calloc(v->replicas.n, sizeof *lists);
    uint64_t mask = UINT64_C(1) << i;
    uint32_t life = 0;
    bool done = false, loaded = false;
    int32_t code = lists ? INF_OK : error_no_memory(err);

    pthread_mutex_lock(&v->lock);
    life = v->replicas.items[i].life;
    done = g->life[i] == life; /* another's look has shown it */
    pthread_mutex_unlock(&v->lock);
    if (code == INF_OK && !done)
        code = vllm_ask_models(t, &t->calls, &mask, lists, err);
    if (code == INF_OK && !done) {
        mark_listed(v, i, &lists[i], life);
        code = make_sure(t, i, g, &lists[i], life, &loaded, err);
    }
    if (code == INF_OK && loaded)
        context_log(v->context, INF_LOG_INFO, "loaded adapter '%s' again at %s, which had lost it",
                    g->id, v->replicas.items[i].server.shown);
    vllm_free_lists(v, lists);
    pthread_mutex_lock(&v->lock);
    v->replicas.items[i].n_asking--;
    pthread_mutex_unlock(&v->lock);
    return code;
}

/* ------------------------------------------------------------------ a dead replica */

/* A tracked generation that was not seen there in that life. The lock is held. */
static struct generation *next_missing(struct vllm *v, size_t i, uint32_t life)
{
    for (struct generation *g = v->names.all; g; g = g->next)
        if ((g->current || g->pins > 0) && g->life[i] != life)
            return g;
    return NULL;
}

/* One after another, each pinned, so that nobody unloads it meanwhile. Once there is none left the
 * replica serves: a load that ends later looks for it itself. The lock is held. */
static int32_t load_missing(struct task *t, const struct model_list *list, uint32_t life,
                            inf_error *err)
{
    struct vllm *v = t->vllm;
    size_t i = t->replica;
    struct generation *g = NULL;
    int32_t code = INF_OK;

    while (code == INF_OK && (g = next_missing(v, i, life)) != NULL) {
        char *key = vllm_look_key(g, i);
        bool loaded = false;

        if (!key)
            return error_no_memory(err);
        g->pins++;
        control_take_key(v, t, key);
        if (g->life[i] != life) {
            pthread_mutex_unlock(&v->lock);
            code = make_sure(t, i, g, list, life, &loaded, err);
            pthread_mutex_lock(&v->lock);
        }
        control_give_key(v, t);
        vllm_unpin(v, g);
        mem_free(key);
    }
    return code;
}

void vllm_run_revive(struct task *t)
{
    struct vllm *v = t->vllm;
    size_t i = t->replica;
    struct replica *one = &v->replicas.items[i];
    struct model_list *lists = mem_calloc(v->replicas.n, sizeof *lists);
    uint64_t mask = UINT64_C(1) << i;
    inf_error why = {0};
    uint32_t life = 0;
    int32_t code = INF_OK;

    pthread_mutex_lock(&v->lock);
    one->n_asking++;
    replicas_reborn(&v->replicas, i, one->life);
    life = one->life;
    pthread_mutex_unlock(&v->lock);
    code = lists ? vllm_ask_models(t, &t->calls, &mask, lists, &why) : error_no_memory(&why);
    if (code == INF_OK)
        vllm_unload_leftovers(t, i, &lists[i]);
    pthread_mutex_lock(&v->lock);
    if (code == INF_OK)
        code = load_missing(t, &lists[i], life, &why);
    one->n_asking--;
    one->reviving = false;
    if (code == INF_OK && one->life == life)
        replicas_alive(&v->replicas, i);
    else
        replicas_failed(&v->replicas, i, life, clock_us()); /* no news when it was noted before */
    pthread_mutex_unlock(&v->lock);
    if (code != INF_OK)
        context_log(v->context, INF_LOG_WARNING, "%s is left out for now: %s", one->server.shown,
                    why.message);
    vllm_free_lists(v, lists);
}

/* ------------------------------------------------------------------ a suspect one */

void vllm_run_probe(struct task *t)
{
    struct vllm *v = t->vllm;
    size_t i = t->replica;
    struct replica *one = &v->replicas.items[i];
    struct model_list *lists = mem_calloc(v->replicas.n, sizeof *lists);
    uint64_t mask = UINT64_C(1) << i;
    inf_error why = {0};
    bool dead = false;

    /* Whatever it answers, it answers; vllm_ask_models notes one that does not. */
    if (lists)
        vllm_ask_models(t, &t->calls, &mask, lists, &why);
    pthread_mutex_lock(&v->lock);
    one->suspect = false;
    one->asked_us = clock_us();
    dead = one->dead;
    if (dead)
        vllm_move_requests(v, i);
    pthread_mutex_unlock(&v->lock);
    if (dead)
        context_log(v->context, INF_LOG_WARNING, "%s does not answer, and is left out for now: %s",
                    one->server.shown, why.message);
    vllm_free_lists(v, lists);
}
