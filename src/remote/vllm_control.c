/* vllm_control: the control threads and their queue. See vllm_state.h. */
#include "remote/vllm_state.h"

#include "core/memory.h"

#include <errno.h>
#include <string.h>
#include <time.h>

enum { WATCH_MS = 500 };

/* ------------------------------------------------------------------ tasks */

struct task *task_make(struct vllm *v, enum task_kind kind)
{
    struct task *t = mem_calloc(1, sizeof *t);

    if (!t)
        return NULL;
    t->kind = kind;
    t->vllm = v;
    buffer_init(&t->text, BUFFER_NO_LIMIT);
    if (calls_init(&t->calls, v->replicas.n, NULL) == INF_OK &&
        calls_init(&t->aside, v->replicas.n, NULL) == INF_OK)
        return t;
    task_free(t);
    return NULL;
}

void task_free(struct task *t)
{
    if (!t)
        return;
    calls_free(&t->calls);
    calls_free(&t->aside);
    adapter_source_free(&t->source);
    buffer_free(&t->text);
    mem_free(t->error_body);
    mem_free(t->report_id);
    mem_free(t->id);
    mem_free(t);
}

/* ------------------------------------------------------------------ keys */

static bool is_running(const struct vllm *v, const char *key, const struct task *but)
{
    for (const struct task *t = v->running; t; t = t->next)
        if (t != but && t->key && strcmp(t->key, key) == 0)
            return true;
    return false;
}

bool control_has_key(const struct vllm *v, const char *id)
{
    for (const struct task *t = v->tasks; t; t = t->next)
        if (t->key && strcmp(t->key, id) == 0)
            return true;
    return is_running(v, id, NULL);
}

void control_take_key(struct vllm *v, struct task *t, const char *key)
{
    while (is_running(v, key, t))
        pthread_cond_wait(&v->tasks_changed, &v->lock);
    t->key = key;
}

void control_give_key(struct vllm *v, struct task *t)
{
    t->key = NULL;
    pthread_cond_broadcast(&v->tasks_changed);
}

/* ------------------------------------------------------------------ the queue */

static bool is_load(const struct task *t)
{
    return t->kind == TASK_LOAD || t->kind == TASK_UNLOAD;
}

static bool may_run(const struct vllm *v, const struct task *t)
{
    return (!is_load(t) || v->n_loads < LOADS_AT_ONCE) && (!t->key || !is_running(v, t->key, NULL));
}

/* The first that may run: of one key it is the one that came first. */
static struct task *take_task(struct vllm *v)
{
    for (struct task **at = &v->tasks; *at; at = &(*at)->next) {
        struct task *t = *at;

        if (!may_run(v, t))
            continue;
        *at = t->next;
        if (!*at)
            v->tasks_end = at;
        t->queued = false;
        t->running = true;
        t->next = v->running;
        v->running = t;
        return t;
    }
    return NULL;
}

static void run_task(struct vllm *v, struct task *t)
{
    bool load = is_load(t);

    v->n_loads += load;
    pthread_mutex_unlock(&v->lock);
    vllm_run_task(t);
    pthread_mutex_lock(&v->lock);
    v->n_loads -= load;
    pthread_cond_broadcast(&v->tasks_changed); /* another of its key, or one that had no thread */
}

static void wait_ms(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t ms)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += ms % 1000 * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(cond, lock, &t);
}

static void wait_idle(struct vllm *v)
{
    bool watches = v->sending && !v->watching && !v->stop;

    v->n_idle++;
    if (watches) {
        v->watching = true;
        wait_ms(&v->tasks_changed, &v->lock, WATCH_MS);
        v->watching = false;
        vllm_watch(v);
    } else {
        pthread_cond_wait(&v->tasks_changed, &v->lock);
    }
    v->n_idle--;
}

static void *control_thread(void *arg)
{
    struct vllm *v = arg;

    pthread_mutex_lock(&v->lock);
    for (;;) {
        struct task *t = take_task(v);

        if (t)
            run_task(v, t);
        else if (v->stop && !v->tasks)
            break;
        else
            wait_idle(v);
    }
    pthread_mutex_unlock(&v->lock);
    return NULL;
}

static int start_thread(struct vllm *v)
{
    int code = thread_start(&v->control[v->n_control], "inf-vllm", control_thread, v);

    if (code == 0)
        v->n_control++;
    return code;
}

int32_t control_start(struct vllm *v, inf_error *err)
{
    int code = v->n_control > 0 ? 0 : start_thread(v);

    if (code == 0)
        return INF_OK;
    return code == ENOMEM ? error_no_memory(err)
                          : error_set(err, INF_ERROR_STATE, "the system refuses another thread");
}

static int32_t n_queued(const struct vllm *v)
{
    int32_t n = 0;

    for (const struct task *t = v->tasks; t && n <= CONTROL_THREADS; t = t->next)
        n++;
    return n;
}

void control_add(struct vllm *v, struct task *t)
{
    t->next = NULL;
    t->queued = true;
    *v->tasks_end = t;
    v->tasks_end = &t->next;
    /* One that the system refuses is no harm: there are others. */
    if (n_queued(v) > v->n_idle && v->n_control < CONTROL_THREADS && !v->stop && may_run(v, t))
        start_thread(v);
    pthread_cond_broadcast(&v->tasks_changed);
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

void control_watch(struct vllm *v)
{
    if (!v->watching && v->n_idle > 0)
        pthread_cond_broadcast(&v->tasks_changed);
}

void control_stop(struct vllm *v)
{
    int32_t n = 0;

    pthread_mutex_lock(&v->lock);
    v->stop = true;
    for (struct task *t = v->running; t; t = t->next) {
        if (!is_load(t))
            calls_cancel(&t->calls);
        vllm_wake(&t->calls);
    }
    pthread_cond_broadcast(&v->tasks_changed);
    n = v->n_control;
    pthread_mutex_unlock(&v->lock);
    for (int32_t i = 0; i < n; i++)
        pthread_join(v->control[i], NULL);
}
