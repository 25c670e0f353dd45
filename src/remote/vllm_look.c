/* vllm_look: see the header. */
#include "remote/vllm_look.h"

#include "core/clock.h"
#include "core/memory.h"
#include "remote/server_error.h"
#include "remote/vllm_unload.h"

#include <string.h>

struct look {
    struct task task;
    struct generation *generation; /* pinned */
    size_t replica;
    struct look_waiter *waiting;
};

struct revival {
    struct task task;
    size_t replica;
};

/* The task's key, from mem_*; NULL: out of memory. */
static char *key_of(const struct generation *g, size_t i)
{
    struct buffer key;

    buffer_init(&key, BUFFER_NO_LIMIT);
    if (!buffer_printf(&key, "look %zu %s", i, g->name))
        buffer_free(&key);
    return key.data;
}

/* ------------------------------------------------------------------ one adapter on one replica */

/* The generation's bytes are still there as far as can be told; STATE when they have changed. */
static int32_t check_bytes(const struct generation *g, inf_error *err)
{
    struct files_digest now;

    if (!g->digest.known)
        return INF_OK; /* only the server sees it */
    adapter_files_digest(&now, g->path);
    if (!now.known)
        return error_set(
            err, INF_ERROR_STATE,
            "the server lost adapter '%s', and %s, from where it was loaded, cannot be "
            "read any more; load it again",
            g->id, g->path);
    if (memcmp(now.words, g->digest.words, sizeof now.words) != 0)
        return error_set(err, INF_ERROR_STATE,
                         "the server lost adapter '%s', and the files in %s have changed since it "
                         "was loaded; load it again to use the new ones",
                         g->id, g->path);
    return INF_OK;
}

/* The name was taken while we were about to give it. */
static int32_t settle_taken(struct task *t, size_t i, const struct generation *g, inf_error *err)
{
    const struct vllm *v = vllm_of(t);

    switch (vllm_is_listed(t, i, g->name, g->path)) {
    case LISTED_OURS:
        return INF_OK;
    case LISTED_FOREIGN:
        return vllm_not_ours(v, i, g, NULL, err);
    default:
        return error_set(err, INF_ERROR_STATE,
                         "the server at %s does not know adapter '%s' but says that its name '%s' "
                         "is taken, and does not list whose it is; with several API servers behind "
                         "one address run one (--api-server-count 1), else unload '%s' there",
                         vllm_url(v, i), g->id, g->name, g->name);
    }
}

/* Loads a tracked generation under the name it has. */
static int32_t load_again(struct task *t, size_t i, struct generation *g, inf_error *err)
{
    struct vllm *v = vllm_of(t);
    const struct call *call = &t->calls.items[i];
    enum listed listed = LISTED_NOT;
    bool had_it = false;
    int32_t code = check_bytes(g, err);

    if (code != INF_OK)
        return code;
    pthread_mutex_lock(&v->lock);
    had_it = generation_may_be_on(g, i);
    g->where |= replica_bit(i);
    pthread_mutex_unlock(&v->lock);
    code = vllm_post(t, &t->calls, replica_bit(i), g->name, g->path, LOAD_MS, err);
    if (code != INF_OK || call_result(call) == CALL_OK)
        return code;
    if (call_result(call) == CALL_UNKNOWN)
        listed = vllm_is_listed(t, i, g->name, g->path);
    else if (!had_it)
        vllm_removed(v, g->name, replica_bit(i));
    if (listed == LISTED_OURS)
        return INF_OK;
    if (listed == LISTED_FOREIGN ||
        server_error_is_name_taken(call->status, call->body, call->body_len))
        return settle_taken(t, i, g, err);
    vllm_refusal(t, call, i, ROUTE_LOAD, g->name, g->path, err);
    return error_prefix(err, "the server lost adapter '%s' and did not load it again", g->id);
}

/* Makes sure that replica i has the generation, ours. The generation is pinned, and the task has the
 * key of the look. */
static int32_t make_sure(struct task *t, size_t i, struct generation *g,
                         const struct model_list *list, uint32_t life, inf_error *err)
{
    struct vllm *v = vllm_of(t);
    const struct model_entry *e = model_list_find(list, g->name);
    int32_t code = INF_OK;

    if (e && !model_entry_is_from(e, g->path))
        return vllm_not_ours(v, i, g, e->root, err);
    if (!e)
        code = load_again(t, i, g, err);
    if (code != INF_OK)
        return code;
    pthread_mutex_lock(&v->lock);
    generation_saw(g, i, life);
    pthread_mutex_unlock(&v->lock);
    return INF_OK;
}

/* Every other one that is listed as ours needs no look of its own. */
static void mark_listed(struct vllm *v, size_t i, const struct model_list *list, uint32_t life)
{
    pthread_mutex_lock(&v->lock);
    for (size_t k = 0; k < list->n; k++) {
        const struct model_entry *e = &list->items[k];
        struct generation *g = e->parent ? adapter_names_find(&v->names, e->id) : NULL;

        if (g && generation_serves(g) && generation_may_be_on(g, i) &&
            model_entry_names(e, g->path))
            generation_saw(g, i, life);
    }
    pthread_mutex_unlock(&v->lock);
}

static int32_t look(struct look *l, inf_error *err)
{
    struct vllm *v = vllm_of(&l->task);
    struct generation *g = l->generation;
    size_t i = l->replica;
    struct model_list list;
    uint32_t life = 0;
    bool seen = false;
    int32_t code = INF_OK;

    pthread_mutex_lock(&v->lock);
    life = v->replicas.items[i].life;
    seen = generation_was_seen(g, i, life); /* another's look has shown it */
    pthread_mutex_unlock(&v->lock);
    if (seen)
        return INF_OK;
    code = vllm_ask_one(&l->task, &l->task.calls, i, &list, err);
    if (code == INF_OK) {
        mark_listed(v, i, &list, life);
        code = make_sure(&l->task, i, g, &list, life, err);
    }
    if (code == INF_OK && !model_list_find(&list, g->name))
        context_log(v->context, INF_LOG_INFO, "loaded adapter '%s' again at %s, which had lost it",
                    g->id, vllm_url(v, i));
    model_list_free(&list);
    return code;
}

static int32_t run_look(struct task *t, inf_error *err)
{
    struct look *l = (struct look *)t;
    struct vllm *v = vllm_of(t);
    struct look_waiter *waiting = NULL;

    if (look(l, err) == INF_OK)
        error_none(err);
    pthread_mutex_lock(&v->lock);
    waiting = l->waiting;
    l->waiting = NULL;
    for (struct look_waiter *w = waiting; w; w = w->next)
        w->look = NULL;
    v->replicas.items[l->replica].n_asking--;
    vllm_unpin(v, l->generation); /* those who wait have pins of their own */
    pthread_mutex_unlock(&v->lock);
    while (waiting) {
        struct look_waiter *w = waiting;

        waiting = w->next;
        w->done(w, err);
    }
    return INF_OK;
}

static const struct task_kind look_kind = {run_look, NULL, false};

/* ------------------------------------------------------------------ who waits */

/* Queues it. It takes the key over, when it succeeds. */
static int32_t make_look(struct look **out, struct vllm *v, struct generation *g, size_t i,
                         char *key, inf_error *err)
{
    struct look *l = NULL;
    int32_t code = control_start(&v->control, err);

    if (code != INF_OK)
        return code;
    l = task_make(&v->control, &look_kind, sizeof *l);
    if (!l)
        return error_no_memory(err);
    l->task.key = key;
    l->generation = g;
    l->replica = i;
    generation_pin(g);
    v->replicas.items[i].n_asking++;
    control_add(&v->control, &l->task);
    *out = l;
    return INF_OK;
}

int32_t vllm_look(struct vllm *v, struct generation *g, size_t i, struct look_waiter *w,
                  inf_error *err)
{
    char *key = key_of(g, i);
    struct look *l = NULL;
    int32_t code = INF_OK;

    if (!key)
        return error_no_memory(err);
    l = (struct look *)control_find(&v->control, &look_kind, key); /* one that has not begun */
    if (!l)
        code = make_look(&l, v, g, i, key, err);
    if (!l || l->task.key != key)
        mem_free(key);
    if (code != INF_OK)
        return code;
    w->look = l;
    w->next = l->waiting;
    l->waiting = w;
    return INF_OK;
}

bool vllm_look_leave(struct look_waiter *w)
{
    struct look_waiter **at = w->look ? &w->look->waiting : NULL;

    if (!at)
        return false;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    w->look = NULL;
    return true;
}

/* ------------------------------------------------------------------ a dead replica */

/* A tracked generation that was not seen there in that life. The lock is held. */
static struct generation *next_missing(const struct vllm *v, size_t i, uint32_t life)
{
    for (size_t k = 0; k < v->names.n; k++) {
        struct generation *g = v->names.items[k];

        if ((g->state == GENERATION_CURRENT || g->pins > 0) && !generation_was_seen(g, i, life))
            return g;
    }
    return NULL;
}

/* One after another, each pinned, so that nobody unloads it meanwhile. Once there is none left the
 * replica serves: a load that ends later looks for it itself. The lock is held. */
static int32_t load_missing(struct revival *r, const struct model_list *list, uint32_t life,
                            inf_error *err)
{
    struct task *t = &r->task;
    struct vllm *v = vllm_of(t);
    struct generation *g = NULL;
    int32_t code = INF_OK;

    while (code == INF_OK && (g = next_missing(v, r->replica, life)) != NULL) {
        char *key = key_of(g, r->replica);

        if (!key)
            return error_no_memory(err);
        generation_pin(g);
        control_take_key(t->control, t, key);
        if (!generation_was_seen(g, r->replica, life)) {
            pthread_mutex_unlock(&v->lock);
            code = make_sure(t, r->replica, g, list, life, err);
            pthread_mutex_lock(&v->lock);
        }
        control_give_key(t->control, t);
        vllm_unpin(v, g);
    }
    return code;
}

static int32_t run_revival(struct task *t, inf_error *err)
{
    struct revival *r = (struct revival *)t;
    struct vllm *v = vllm_of(t);
    struct replica *one = &v->replicas.items[r->replica];
    struct model_list list;
    uint32_t life = 0;
    int32_t code = INF_OK;

    pthread_mutex_lock(&v->lock);
    one->n_asking++;
    replicas_reborn(&v->replicas, r->replica, one->life);
    life = one->life;
    pthread_mutex_unlock(&v->lock);
    code = vllm_ask_one(t, &t->calls, r->replica, &list, err);
    if (code == INF_OK)
        vllm_unload_leftovers(t, r->replica, &list);
    pthread_mutex_lock(&v->lock);
    if (code == INF_OK)
        code = load_missing(r, &list, life, err);
    one->n_asking--;
    one->reviving = false;
    if (code == INF_OK && one->life == life)
        replicas_alive(&v->replicas, r->replica);
    else
        replicas_failed(&v->replicas, r->replica, life,
                        clock_us()); /* if it was not noted before */
    pthread_mutex_unlock(&v->lock);
    if (code != INF_OK)
        context_log(v->context, INF_LOG_WARNING, "%s is left out for now: %s",
                    vllm_url(v, r->replica), err->message);
    model_list_free(&list);
    return code;
}

static const struct task_kind revival_kind = {run_revival, NULL, false};

void vllm_revive_due(struct vllm *v)
{
    size_t i = v->replicas.n > 1 ? replicas_due(&v->replicas, clock_us()) : REPLICA_NONE;
    struct revival *r = NULL;

    if (i == REPLICA_NONE)
        return;
    if (control_start(&v->control, NULL) == INF_OK)
        r = task_make(&v->control, &revival_kind, sizeof *r);
    if (!r) {
        v->replicas.items[i].reviving = false; /* the next request tries once more */
        return;
    }
    r->replica = i;
    control_add(&v->control, &r->task);
}
