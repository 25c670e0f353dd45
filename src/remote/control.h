/*
 * control: threads for tasks, which block on the answers of servers. It knows nothing of what a task
 * does.
 *
 * Threads start as they are needed, CONTROL_THREADS at most. Tasks of one key run one after another, in
 * the order they came, all others at once: so a server that hangs holds up nobody else's. Of loads and
 * unloads at most LOADS_AT_ONCE run.
 *
 * A task may have an operation that waits for it. When that is cancelled or timed out it ends at once,
 * and the task is taken back if it has not begun. A running one is cut short, unless it has begun what
 * must not be left half done (`goes_on`): then it goes on alone, and its calls have CLEAN_UP_MS more,
 * CLOSING_MS when control stops.
 *
 * Locks: the owner's lock guards everything here that is not said to be constant, but for the part of a
 * running task that is its thread's. Under it calls_cancel and op_finish_later are called, which never
 * call back; op_finish and op_set_canceller are not (an operation's cancel lock comes first).
 */
#ifndef INF_REMOTE_CONTROL_H
#define INF_REMOTE_CONTROL_H

#include "core/op.h"
#include "remote/calls.h"

enum { CONTROL_THREADS = 16, LOADS_AT_ONCE = 12, CLEAN_UP_MS = 10000, CLOSING_MS = 3000 };

struct task;

struct task_kind {
    /* On a control thread, without the lock. Returns how its operation ends, or TASK_POSTPONED. */
    int32_t (*run)(struct task *t, inf_error *err);
    void (*free)(struct task *t); /* what the kind has beyond struct task; NULL: nothing */
    bool is_load; /* or an unload: of these few run at once, and control's end cuts none short */
};

/* run has put the task off (control_postpone), and must not look at it any more. */
#define TASK_POSTPONED (-1)

/* A kind's own struct begins with it. */
struct task {
    const struct task_kind *kind; /* constant */
    struct control *control;      /* constant */
    struct task *next;            /* among the queued, or the running */
    bool queued, running;
    char *key;         /* from mem_*; NULL: none */
    bool waited_for;   /* it was made for an operation */
    inf_op *op;        /* NULL: nobody waits for it, or not any more */
    _Atomic bool left; /* its operation has left it */
    bool goes_on;
    bool committed; /* it has succeeded, and cannot be stopped any more */

    /* Its thread's. */
    struct calls calls; /* one for each server; a cancel may end them */
    struct calls aside; /* the same, to settle and clean up: no cancel ends these */
    /* What goes into the operation's output if that is still there at the end. */
    char *error_body;
    size_t error_body_len;
    struct buffer text;
    inf_adapter_report report;
    char *report_id;
};

struct control {
    void *owner;           /* constant */
    pthread_mutex_t *lock; /* the owner's; constant */
    size_t n_servers;      /* constant */
    /* Looks after something every WATCH_MS, with the lock; false: there is nothing left to look after.
     * Constant. */
    bool (*watch)(void *owner);

    pthread_cond_t changed;
    struct task *queued, **queued_end;
    struct task *running;
    int32_t n_loads; /* running */
    pthread_t threads[CONTROL_THREADS];
    int32_t n_threads, n_idle;
    bool watched;  /* there is something to look after */
    bool watching; /* an idle thread does */
    _Atomic bool stop;
};

void control_init(struct control *c, void *owner, pthread_mutex_t *lock, size_t n_servers,
                  bool (*watch)(void *owner));
/* Runs what is queued, ends the threads. */
void control_free(struct control *c);

/* size: of the kind's struct; what is beyond struct task is zero. NULL: out of memory. */
void *task_make(struct control *c, const struct task_kind *kind, size_t size);
void task_free(struct task *t); /* NULL is ignored */
/* op waits for it from now on; if the start then fails, not any more. Without the lock. */
void task_attach(struct task *t, inf_op *op);
void task_detach(struct task *t);
/* Attaches it and queues it. Without the lock. Errors as control_start: it is the caller's still. */
int32_t task_start(struct task *t, inf_op *op, inf_error *err);

/* For all that follow the lock is held. */

/* Starts the first thread unless there is one. Errors: STATE, NO_MEMORY. */
int32_t control_start(struct control *c, inf_error *err);
/* Queues it; a thread has been started. */
void control_add(struct control *c, struct task *t);
/* A running one is neither queued nor running any more, until it is added again. */
void control_postpone(struct control *c, struct task *t);
/* The queued one of that kind and key, or NULL. */
struct task *control_find(const struct control *c, const struct task_kind *kind, const char *key);
/* For a running task without a key. Waits until no other has that one (from mem_*), and takes it over. */
void control_take_key(struct control *c, struct task *t, char *key);
void control_give_key(struct control *c, struct task *t);
/* There is something for `watch` to look after. */
void control_watch(struct control *c);

#endif
