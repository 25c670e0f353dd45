/*
 * vllm_adapters: the adapter slots of the vLLM provider: each makes a task of the control thread, or
 * looks at what is tracked. vllm_tasks.c does the work.
 */
#include "remote/vllm_state.h"

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

static void finish_stopped(struct job *job)
{
    struct task *t = (struct task *)(void *)((char *)job - offsetof(struct task, finish_job));
    inf_op *op = t->op;
    inf_error err;

    op_stop_error(op, &err);
    task_free(t);
    op_finish(op, &err);
}

/* The operation ends, but what was hidden goes from the server all the same. */
static struct task *leave_task(struct vllm *v, struct task *t)
{
    struct task *empty = task_make(v, t->kind);

    if (empty) {
        empty->op = t->op;
        t->op = NULL;
    }
    return empty;
}

/* The lock is held. A task that has not begun is taken back; a running one's calls end, and it ends
 * itself. */
static void cancel(void *owner, inf_op *op)
{
    struct task *t = owner;
    struct vllm *v = t->vllm;
    struct task *ending = NULL;

    pthread_mutex_lock(&v->lock);
    if (v->running == t)
        calls_cancel(&t->calls);
    else if (t->op == op && t->kind == TASK_UNLOAD && t->generation)
        ending = leave_task(v, t);
    else if (control_withdraw(v, t))
        ending = t;
    if (ending) {
        ending->finish_job.run = finish_stopped;
        context_submit(v->context, &ending->finish_job);
    }
    pthread_mutex_unlock(&v->lock);
}

/* Queues a task that an operation waits for. */
static int32_t start(struct vllm *v, struct task *t, inf_op *op, inf_error *err)
{
    int32_t code = INF_OK;

    t->op = op;
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

/* Hides a tracked id and has its task begin when the last request on it has ended. The lock is
 * held. */
static void hide(struct vllm *v, struct task *t, struct generation *g)
{
    t->generation = g;
    g->current = false;
    if (g->pins > 0)
        g->waiting = t;
    else
        control_add(v, t);
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
    if (!t->id) {
        task_free(t);
        return error_no_memory(err);
    }
    op_set_canceller(op, cancel, t);
    pthread_mutex_lock(&v->lock);
    g = adapter_names_find(&v->names, id, strlen(id));
    code = control_start(v, err);
    if (code == INF_OK && g)
        hide(v, t, g);
    else if (code == INF_OK && adapter_names_by_name(&v->names, id))
        code = error_set(err, INF_ERROR_NOT_FOUND,
                         "adapter '%s' is not loaded: the server's '%s' is one that this provider "
                         "still uses",
                         id, id);
    else if (code == INF_OK)
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
