/* control: see the header. */
#include "remote/control.h"

#include "core/clock.h"
#include "core/context.h"
#include "core/memory.h"

#include <string.h>

enum { WATCH_MS = 500 };

/* ------------------------------------------------------------------ tasks */

void *task_make(struct control *c, const struct task_kind *kind, size_t size)
{
    struct task *t = mem_calloc(1, size);

    if (!t)
        return NULL;
    t->kind = kind;
    t->control = c;
    buffer_init(&t->text, BUFFER_NO_LIMIT);
    if (calls_init(&t->calls, c->n_servers, NULL) == INF_OK &&
        calls_init(&t->aside, c->n_servers, NULL) == INF_OK)
        return t;
    task_free(t);
    return NULL;
}

void task_free(struct task *t)
{
    if (!t)
        return;
    if (t->kind->free)
        t->kind->free(t);
    calls_free(&t->calls);
    calls_free(&t->aside);
    buffer_free(&t->text);
    mem_free(t->error_body);
    mem_free(t->report_id);
    mem_free(t->key);
    mem_free(t);
}

/* It runs, and nobody waits for it. */
static void hurry(struct task *t)
{
    calls_give_up_at(&t->calls, clock_deadline_us(t->control->stop ? CLOSING_MS : CLEAN_UP_MS));
}

static bool withdraw(struct control *c, struct task *t)
{
    for (struct task **at = &c->queued; t->queued && *at; at = &(*at)->next) {
        if (*at != t)
            continue;
        *at = t->next;
        if (!*at)
            c->queued_end = at;
        t->queued = false;
        return true;
    }
    return false;
}

static void cancel(void *owner, inf_op *op)
{
    struct task *t = owner;
    struct control *c = t->control;
    bool waits = false;
    bool withdrawn = false;

    pthread_mutex_lock(c->lock);
    waits = t->op == op && !t->committed; /* else it is at its end */
    withdrawn = waits && !t->goes_on && withdraw(c, t);
    if (withdrawn || (waits && (t->running || t->goes_on))) {
        t->op = NULL;
        t->left = true;
        if (t->running && !t->goes_on)
            calls_cancel(&t->calls);
        if (t->running)
            hurry(t);
        op_finish_later(op);
    }
    pthread_mutex_unlock(c->lock);
    if (withdrawn)
        task_free(t);
}

void task_attach(struct task *t, inf_op *op)
{
    t->op = op;
    t->waited_for = true;
    op_set_canceller(op, cancel, t);
}

void task_detach(struct task *t)
{
    op_set_canceller(t->op, NULL, NULL);
    t->op = NULL;
}

/* ------------------------------------------------------------------ keys */

static bool has_key(const struct task *t, const char *key)
{
    return t->key && strcmp(t->key, key) == 0;
}

static bool is_running(const struct control *c, const char *key, const struct task *but)
{
    for (const struct task *t = c->running; t; t = t->next)
        if (t != but && has_key(t, key))
            return true;
    return false;
}

struct task *control_find(const struct control *c, const struct task_kind *kind, const char *key)
{
    struct task *t = c->queued;

    while (t && (t->kind != kind || !has_key(t, key)))
        t = t->next;
    return t;
}

void control_take_key(struct control *c, struct task *t, char *key)
{
    while (is_running(c, key, t))
        pthread_cond_wait(&c->changed, c->lock);
    t->key = key;
}

void control_give_key(struct control *c, struct task *t)
{
    mem_free(t->key);
    t->key = NULL;
    pthread_cond_broadcast(&c->changed);
}

/* ------------------------------------------------------------------ a task's turn */

static bool may_run(const struct control *c, const struct task *t)
{
    return (!t->kind->is_load || c->n_loads < LOADS_AT_ONCE) &&
           (!t->key || !is_running(c, t->key, NULL));
}

/* The first that may run: of one key it is the one that came first. */
static struct task *take_task(struct control *c)
{
    struct task *t = c->queued;

    while (t && !may_run(c, t))
        t = t->next;
    if (!t)
        return NULL;
    withdraw(c, t);
    t->running = true;
    t->next = c->running;
    c->running = t;
    if (t->left)
        hurry(t);
    return t;
}

void control_postpone(struct control *c, struct task *t)
{
    struct task **at = &c->running;

    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    t->running = false;
}

/* What there is, into its operation's output. */
static void give_output(struct task *t, struct op_output *out, bool ended_well)
{
    if (t->error_body) {
        mem_free(out->error_body);
        out->error_body = t->error_body;
        out->error_body_len = t->error_body_len;
        t->error_body = NULL;
    }
    if (!ended_well)
        return;
    buffer_free(&out->text);
    out->text = t->text;
    buffer_init(&t->text, BUFFER_NO_LIMIT);
    out->report = t->report;
    out->report_id = t->report_id;
    t->report_id = NULL;
}

static void end_task(struct control *c, struct task *t, inf_error *err)
{
    inf_op *op = NULL;

    pthread_mutex_lock(c->lock);
    control_postpone(c, t);
    op = t->op;
    t->op = NULL; /* from here on a canceller finds nothing to do */
    pthread_mutex_unlock(c->lock);
    if (op) {
        op_set_canceller(op, NULL, NULL);
        give_output(t, op_output(op), err->code == INF_OK);
        if (err->code == INF_ERROR_CANCELLED && op_stop_code(op) != INF_OK)
            op_stop_error(op, err);
    }
    task_free(t);
    if (op)
        op_finish(op, err); /* last: the provider may be gone after it, but for this thread */
}

/* The lock is held. */
static void run_task(struct control *c, struct task *t)
{
    bool load = t->kind->is_load;
    bool stopped = t->op && !t->goes_on && op_stop_code(t->op) != INF_OK;
    inf_error err = {0};
    int32_t code = stopped ? op_stop_error(t->op, &err) : INF_OK;

    c->n_loads += load;
    pthread_mutex_unlock(c->lock);
    if (code == INF_OK)
        code = t->kind->run(t, &err);
    if (code == INF_OK)
        error_none(&err); /* what failed on the way did not matter */
    if (code != TASK_POSTPONED)
        end_task(c, t, &err);
    pthread_mutex_lock(c->lock);
    c->n_loads -= load;
    pthread_cond_broadcast(&c->changed); /* another of its key, or one that had no thread */
}

/* ------------------------------------------------------------------ threads */

static void wait_idle(struct control *c)
{
    c->n_idle++;
    if (c->watched && !c->watching && !c->stop) {
        c->watching = true;
        cond_wait_until_us(&c->changed, c->lock, clock_deadline_us(WATCH_MS));
        c->watching = false;
        c->watched = c->watch(c->owner);
    } else {
        pthread_cond_wait(&c->changed, c->lock);
    }
    c->n_idle--;
}

static void *control_thread(void *arg)
{
    struct control *c = arg;

    pthread_mutex_lock(c->lock);
    for (;;) {
        struct task *t = take_task(c);

        if (t)
            run_task(c, t);
        else if (c->stop && !c->queued)
            break;
        else
            wait_idle(c);
    }
    pthread_mutex_unlock(c->lock);
    return NULL;
}

static int start_thread(struct control *c)
{
    int code = thread_start(&c->threads[c->n_threads], "inf-vllm", control_thread, c);

    if (code == 0)
        c->n_threads++;
    return code;
}

int32_t control_start(struct control *c, inf_error *err)
{
    return thread_error(c->n_threads > 0 ? 0 : start_thread(c), err);
}

static int32_t n_queued(const struct control *c)
{
    int32_t n = 0;

    for (const struct task *t = c->queued; t && n <= CONTROL_THREADS; t = t->next)
        n++;
    return n;
}

void control_add(struct control *c, struct task *t)
{
    t->next = NULL;
    t->queued = true;
    *c->queued_end = t;
    c->queued_end = &t->next;
    /* One that the system refuses is no harm: there are others. */
    if (n_queued(c) > c->n_idle && c->n_threads < CONTROL_THREADS && !c->stop && may_run(c, t))
        start_thread(c);
    pthread_cond_broadcast(&c->changed);
}

int32_t task_start(struct task *t, inf_op *op, inf_error *err)
{
    struct control *c = t->control;
    int32_t code = INF_OK;

    task_attach(t, op);
    pthread_mutex_lock(c->lock);
    code = control_start(c, err);
    if (code == INF_OK)
        control_add(c, t);
    pthread_mutex_unlock(c->lock);
    if (code != INF_OK)
        task_detach(t);
    return code;
}

void control_watch(struct control *c)
{
    c->watched = true;
    if (!c->watching && c->n_idle > 0)
        pthread_cond_broadcast(&c->changed);
}

void control_init(struct control *c, void *owner, pthread_mutex_t *lock, size_t n_servers,
                  bool (*watch)(void *owner))
{
    c->owner = owner;
    c->lock = lock;
    c->n_servers = n_servers;
    c->watch = watch;
    c->queued_end = &c->queued;
    monotonic_cond_init(&c->changed);
}

void control_free(struct control *c)
{
    int32_t n = 0;

    pthread_mutex_lock(c->lock);
    c->stop = true;
    for (struct task *t = c->running; t; t = t->next)
        if (!t->kind->is_load)
            calls_cancel(&t->calls);
        else if (t->left)
            hurry(t);
    pthread_cond_broadcast(&c->changed);
    n = c->n_threads;
    pthread_mutex_unlock(c->lock);
    for (int32_t i = 0; i < n; i++)
        pthread_join(c->threads[i], NULL);
    pthread_cond_destroy(&c->changed);
}
