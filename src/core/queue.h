/*
 * queue: completion queues, for event loops and language bindings. A context in delivery by queue has one
 * of its own, and any context may have more, so that each of a program's event loops wakes for its own
 * operations. Below op: it links operations, and ends and frees none; pull.c is who reads.
 *
 * The descriptor is written to when an event comes into an empty queue that nobody is pulling from, and
 * when a pull ends with events left: only a reader that may be asleep is woken, and what comes between
 * its last look and its going to sleep is not lost.
 */
#ifndef INF_CORE_QUEUE_H
#define INF_CORE_QUEUE_H

#include "core/error.h"
#include "core/news.h"

#include <pthread.h>
#include <stdatomic.h>

/* The lock is a leaf, taken under the context's by closing alone. What was given out with the last
 * events belongs to the one thread that pulls. */
struct inf_queue {
    _Atomic int32_t refs;    /* the handle, each operation whose events come here */
    inf_context *context;    /* constant */
    int fd;                  /* constant */
    inf_queue *next, **back; /* pull.c's list of a context's further queues, guarded by its lock */

    pthread_mutex_t lock;
    pthread_cond_t changed; /* events came, it is over, or nobody is pulling any more */
    inf_op *events, **events_end;
    bool signalled; /* the descriptor is readable */
    bool pulling;   /* a thread is in a pull */
    bool over;      /* the context was closed */
    bool released;  /* nobody will pull again */
    enum { QUEUE_OPEN, QUEUE_CLOSED_TO_TELL, QUEUE_CLOSED_TOLD } closed;
    void *closed_user_data;

    inf_op **given;
    size_t n_given, capacity;
    inf_event *pulled; /* (n_pulled) room for those of one pull */
    size_t n_pulled;
    struct news_copy copy; /* what theirs points to */
};

/* NO_MEMORY, IO. */
int32_t queue_new(inf_queue **out, inf_context *ctx, inf_error *err);
inf_queue *queue_ref(inf_queue *q);
/* NULL is ignored. With the last one its memory goes: no operation is in it then. */
void queue_unref(inf_queue *q);

/* Queues op, if it is not; the queue has a reference. finished: its last event. */
void queue_push(inf_queue *q, inf_op *op, bool finished);
/* INF_EVENT_CLOSED, when everything else was pulled. */
void queue_push_closed(inf_queue *q, void *user_data);
/* Whoever is in a pull leaves, and none gets in any more. `wait`: until they have left. */
void queue_end(inf_queue *q, bool wait);

/* For who pulls. The lock is not held. */
bool queue_wait(inf_queue *q, int64_t end_us); /* whether there is something before then */
inf_op *queue_take(inf_queue *q, bool *finished);
bool queue_take_closed(inf_queue *q);
int32_t queue_begin_pull(inf_queue *q, inf_error *err); /* STATE: over, or somebody else is at it */
/* Whether it is over; a context's own queue must not be touched afterwards. */
bool queue_end_pull(inf_queue *q);

#endif
