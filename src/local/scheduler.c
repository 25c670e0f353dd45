/*
 * scheduler: see the header. One turn of the worker: take what was handed over, drop what was cancelled, place what
 * waits, compute.
 */
#include "local/scheduler.h"

#include "core/context.h"
#include "core/memory.h"

struct list {
    struct sequence *first;
    struct sequence **end;
};

struct scheduler {
    pthread_t thread;

    pthread_mutex_t lock; /* guards the five below */
    pthread_cond_t changed;
    struct list incoming;
    struct scheduler_task *tasks, **tasks_end;
    bool woken, draining;

    struct list waiting; /* the worker's from here on */
    struct batch batch;
};

static void list_init(struct list *l)
{
    l->first = NULL;
    l->end = &l->first;
}

static void list_push(struct list *l, struct sequence *q)
{
    q->next = NULL;
    *l->end = q;
    l->end = &q->next;
}

static struct sequence *list_pop(struct list *l)
{
    struct sequence *q = l->first;

    if (q) {
        l->first = q->next;
        if (!l->first)
            l->end = &l->first;
    }
    return q;
}

static void list_append(struct list *l, struct list *more)
{
    if (!more->first)
        return;
    *l->end = more->first;
    l->end = more->end;
    list_init(more);
}

/* ------------------------------------------------------------------ the worker */

static void drop_stopped_waiting(struct scheduler *s)
{
    struct list kept;
    struct sequence *q = NULL;

    list_init(&kept);
    while ((q = list_pop(&s->waiting)) != NULL) {
        inf_error err = {0};

        if (op_stop_error(q->op, &err) != INF_OK)
            batch_end(&s->batch, q, INF_FINISH_NONE, &err);
        else
            list_push(&kept, q);
    }
    list_append(&s->waiting, &kept);
}

static struct scheduler_task *take_work(struct scheduler *s, bool *over)
{
    struct scheduler_task *tasks = NULL;

    pthread_mutex_lock(&s->lock);
    while (s->batch.slots.n_active == 0 && !s->waiting.first && !s->incoming.first && !s->tasks &&
           !s->woken && !s->draining)
        pthread_cond_wait(&s->changed, &s->lock);
    list_append(&s->waiting, &s->incoming);
    tasks = s->tasks;
    s->tasks = NULL;
    s->tasks_end = &s->tasks;
    s->woken = false;
    *over = s->draining && s->batch.slots.n_active == 0 && !s->waiting.first && !tasks;
    pthread_mutex_unlock(&s->lock);
    return tasks;
}

static void run_tasks(struct scheduler_task *task)
{
    while (task) {
        struct scheduler_task *next = task->next;

        task->run(task);
        task = next;
    }
}

static void *work(void *arg)
{
    struct scheduler *s = arg;
    bool over = false;

    for (;;) {
        struct scheduler_task *tasks = take_work(s, &over);

        if (over)
            return NULL;
        run_tasks(tasks);
        batch_drop_stopped(&s->batch);
        drop_stopped_waiting(s);
        while (s->waiting.first && batch_has_room(&s->batch))
            batch_place(&s->batch, list_pop(&s->waiting));
        batch_step(&s->batch);
    }
}

/* ------------------------------------------------------------------ from other threads */

static void free_scheduler(struct scheduler *s)
{
    batch_free(&s->batch);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

int32_t scheduler_create(struct scheduler **out, const struct engine *engine,
                         const struct scheduler_options *options, inf_error *err)
{
    struct scheduler *s = mem_calloc(1, sizeof *s);
    int32_t code = INF_OK;

    *out = NULL;
    if (!s)
        return error_no_memory(err);
    list_init(&s->incoming);
    list_init(&s->waiting);
    s->tasks_end = &s->tasks;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    code = batch_init(&s->batch, engine, options, err);
    if (code == INF_OK)
        code = thread_error(thread_start(&s->thread, "inf-worker", work, s), err);
    if (code == INF_OK) {
        *out = s;
        return INF_OK;
    }
    free_scheduler(s);
    return code;
}

/* Something changed: look now. */
static void wake(void *owner, inf_op *op)
{
    struct scheduler *s = owner;

    (void)op;
    pthread_mutex_lock(&s->lock);
    s->woken = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

void scheduler_submit(struct scheduler *s, struct sequence *sequence)
{
    atomic_fetch_add(&s->batch.counts.queued, 1);
    sequence->row_independent = s->batch.engine.limits.row_independent;
    /* Before the hand-over: afterwards the sequence may end at any moment. */
    op_set_canceller(sequence->op, wake, s);
    pthread_mutex_lock(&s->lock);
    list_push(&s->incoming, sequence);
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

void scheduler_run_task(struct scheduler *s, struct scheduler_task *task)
{
    task->next = NULL;
    pthread_mutex_lock(&s->lock);
    *s->tasks_end = task;
    s->tasks_end = &task->next;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

void scheduler_get_stats(struct scheduler *s, struct scheduler_stats *out)
{
    struct batch *b = &s->batch;

    *out = (struct scheduler_stats){.steps = b->counts.steps,
                                    .shared_steps = b->counts.shared_steps,
                                    .rows = b->counts.rows,
                                    .requests = b->counts.requests,
                                    .prefix_tokens = b->counts.prefix_tokens,
                                    .active = b->counts.active,
                                    .queued = b->counts.queued};
}

void scheduler_drain_and_free(struct scheduler *s, struct scheduler_stats *final)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->draining = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    if (final)
        scheduler_get_stats(s, final);
    free_scheduler(s);
}
