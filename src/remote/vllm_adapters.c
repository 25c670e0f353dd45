/*
 * vllm_adapters: the adapter slots of the vLLM provider: each makes a task for a control thread, or
 * looks at what is tracked. vllm_tasks.c does the work.
 */
#include "remote/vllm_state.h"

#include "core/clock.h"
#include "core/memory.h"

#include <string.h>

/* ------------------------------------------------------------------ pins */

void vllm_unpin(struct vllm *v, struct generation *g)
{
    struct task *t = NULL;

    if (--g->pins > 0 || g->current)
        return;
    t = g->waiting;
    g->waiting = NULL;
    if (t)
        control_add(v, t);
}

/* ------------------------------------------------------------------ cancel and timeout */

/* The operation ends now, and the task goes on without it. The lock is held. */
static void leave(struct task *t)
{
    inf_op *op = t->op;

    t->op = NULL;
    t->left_us = clock_us();
    op_finish_later(op);
}

/* A task that has not begun is taken back, but for an unload that has hidden its id. A running one
 * goes on: to unload what it hid, to take back what it loaded. What it only asks ends at once. */
static void cancel(void *owner, inf_op *op)
{
    struct task *t = owner;
    struct vllm *v = t->vllm;
    struct task *withdrawn = NULL;
    bool hidden = false;

    pthread_mutex_lock(&v->lock);
    hidden = t->kind == TASK_UNLOAD && t->generation;
    if (t->op != op || t->committed) {
        /* it is at its end */
    } else if (t->running || hidden) {
        leave(t);
        if (!t->sent && !hidden)
            calls_cancel(&t->calls);
        vllm_wake(&t->calls);
    } else if (control_withdraw(v, t)) {
        leave(t);
        withdrawn = t;
    }
    pthread_mutex_unlock(&v->lock);
    task_free(withdrawn);
}

/* Queues a task that an operation waits for. */
static int32_t start(struct vllm *v, struct task *t, inf_op *op, inf_error *err)
{
    int32_t code = INF_OK;

    t->op = op;
    t->waited_for = true;
    t->key = t->id;
    op_set_canceller(op, cancel, t);
    pthread_mutex_lock(&v->lock);
    code = control_start(v, err);
    if (code == INF_OK)
        control_add(v, t);
    pthread_mutex_unlock(&v->lock);
    if (code != INF_OK)
        op_set_canceller(op, NULL, NULL);
    return code;
}

/* ------------------------------------------------------------------ slots */

int32_t vllm_adapter_load(void *impl, inf_op *op, const char *id, struct adapter_source *source,
                          inf_error *err)
{
    struct vllm *v = impl;
    struct task *t = NULL;
    int32_t code = INF_OK;

    if (!source->path)
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         "a vLLM server loads adapters from a path that it can read, not from "
                         "memory; write the adapter to a directory");
    t = task_make(v, TASK_LOAD);
    if (!t)
        return error_no_memory(err);
    t->id = mem_strdup(id);
    t->source = *source;
    code = t->id ? start(v, t, op, err) : error_no_memory(err);
    if (code == INF_OK) {
        *source = (struct adapter_source){0};
        return INF_OK;
    }
    t->source = (struct adapter_source){0}; /* still the caller's */
    task_free(t);
    return code;
}

bool vllm_hide(struct task *t, struct generation *g)
{
    t->generation = g;
    g->current = false;
    if (g->pins > 0)
        g->waiting = t;
    return g->pins == 0;
}

int32_t vllm_check_unknown(const struct vllm *v, const char *id, inf_error *err)
{
    const struct placed *p = adapter_names_placed(&v->names, id);
    bool loading = p && p->loading && !control_has_key(v, id);

    if (adapter_names_by_name(&v->names, id) || loading)
        return error_set(err, INF_ERROR_NOT_FOUND,
                         "adapter '%s' is not loaded: the server's '%s' is one that this provider "
                         "still uses",
                         id, id);
    return INF_OK;
}

int32_t vllm_adapter_unload(void *impl, inf_op *op, const char *id, inf_error *err)
{
    struct vllm *v = impl;
    struct task *t = task_make(v, TASK_UNLOAD);
    struct generation *g = NULL;
    int32_t code = INF_OK;

    if (!t)
        return error_no_memory(err);
    t->id = mem_strdup(id);
    t->op = op;
    t->waited_for = true;
    t->key = t->id;
    if (!t->id) {
        task_free(t);
        return error_no_memory(err);
    }
    op_set_canceller(op, cancel, t);
    pthread_mutex_lock(&v->lock);
    g = adapter_names_find(&v->names, id, strlen(id));
    code = control_start(v, err);
    if (code == INF_OK && !g)
        code = vllm_check_unknown(v, id, err);
    if (code == INF_OK && (!g || vllm_hide(t, g)))
        control_add(v, t);
    pthread_mutex_unlock(&v->lock);
    if (code != INF_OK) {
        op_set_canceller(op, NULL, NULL);
        task_free(t);
    }
    return code;
}

int32_t vllm_adapters(void *impl, inf_adapter_list *list, inf_error *err)
{
    struct vllm *v = impl;
    int32_t code = INF_OK;

    pthread_mutex_lock(&v->lock);
    code = adapter_names_list(&v->names, list, err);
    pthread_mutex_unlock(&v->lock);
    return code;
}

int32_t vllm_server_adapters(void *impl, inf_op *op, inf_error *err)
{
    struct vllm *v = impl;
    struct task *t = task_make(v, TASK_LIST);
    int32_t code = t ? start(v, t, op, err) : error_no_memory(err);

    if (code != INF_OK)
        task_free(t);
    return code;
}
