/* vllm_control: the control thread and its queue. See vllm_state.h. */
#include "remote/vllm_state.h"

#include "core/memory.h"

#include <errno.h>

struct task *task_make(struct vllm *v, enum task_kind kind)
{
    struct task *t = mem_calloc(1, sizeof *t);

    if (!t)
        return NULL;
    t->kind = kind;
    t->vllm = v;
    if (calls_init(&t->calls, v->replicas.n, NULL) == INF_OK)
        return t;
    mem_free(t);
    return NULL;
}

void task_free(struct task *t)
{
    if (!t)
        return;
    calls_free(&t->calls);
    adapter_source_free(&t->source);
    mem_free(t->id);
    mem_free(t);
}

static struct task *take_task(struct vllm *v)
{
    struct task *t = v->tasks;

    v->tasks = t->next;
    if (!v->tasks)
        v->tasks_end = &v->tasks;
    t->next = NULL;
    t->queued = false;
    v->running = t;
    return t;
}

static void *control_thread(void *arg)
{
    struct vllm *v = arg;

    pthread_mutex_lock(&v->lock);
    for (;;) {
        if (v->tasks) {
            struct task *t = take_task(v);

            pthread_mutex_unlock(&v->lock);
            vllm_run_task(t);
            pthread_mutex_lock(&v->lock);
        } else if (v->stop) {
            break;
        } else {
            pthread_cond_wait(&v->tasks_changed, &v->lock);
        }
    }
    pthread_mutex_unlock(&v->lock);
    return NULL;
}

int32_t control_start(struct vllm *v, inf_error *err)
{
    int code = 0;

    if (v->has_control)
        return INF_OK;
    code = thread_start(&v->control, "inf-vllm", control_thread, v);
    if (code != 0)
        return code == ENOMEM
                   ? error_no_memory(err)
                   : error_set(err, INF_ERROR_STATE, "the system refuses another thread");
    v->has_control = true;
    return INF_OK;
}

void control_add(struct vllm *v, struct task *t)
{
    t->next = NULL;
    t->queued = true;
    *v->tasks_end = t;
    v->tasks_end = &t->next;
    pthread_cond_signal(&v->tasks_changed);
}

bool control_withdraw(struct vllm *v, struct task *t)
{
    for (struct task **at = &v->tasks; t->queued && *at; at = &(*at)->next) {
        if (*at != t)
            continue;
        *at = t->next;
        if (!*at)
            v->tasks_end = at;
        t->queued = false;
        return true;
    }
    return false;
}

void control_stop(struct vllm *v)
{
    pthread_mutex_lock(&v->lock);
    v->stop = true;
    pthread_cond_signal(&v->tasks_changed);
    pthread_mutex_unlock(&v->lock);
    if (v->has_control)
        pthread_join(v->control, NULL);
}
