/*
 * op_state: what an operation is made of, for the files of core; op.h says which lock is held when.
 */
#ifndef INF_CORE_OP_STATE_H
#define INF_CORE_OP_STATE_H

#include "core/context.h"
#include "core/heap.h"
#include "core/op.h"

#include <stdatomic.h>

struct inf_op {
    _Atomic int32_t refs; /* the user's (one for all of them), in flight, queued events, internal */
    _Atomic int32_t user_refs;
    _Atomic int32_t stop_code;
    _Atomic int32_t state; /* enum op_state */
    inf_context *context;
    inf_provider *provider; /* until finished */
    enum op_kind kind;
    inf_callbacks callbacks;
    bool has_callbacks;
    inf_queue *queue; /* where its events go, referenced; NULL: it calls back, or says nothing */
    int64_t started_us;
    struct op_times times;
    _Atomic int64_t work_began_us; /* 0: it waits; written under the context's lock */
    inf_request *request;
    struct op_output output;
    struct job finish_job;

    pthread_mutex_t cancel_lock; /* guards the canceller, held while it runs */
    op_canceller canceller;
    void *canceller_owner;

    pthread_mutex_t lock; /* guards the rest down to the links */
    pthread_cond_t done;
    inf_error error;
    struct buffer text, reasoning;
    size_t text_delivered, reasoning_delivered;
    struct call_pieces *calls;   /* (n_calls) by index: what of them was not delivered yet */
    inf_tool_call_delta *deltas; /* (call_room) for the last delivery, which allocates nothing */
    size_t n_calls, call_room;
    bool call_news; /* some of it is there */
    int64_t n_tokens;
    float progress;
    bool progress_pending;

    /* The context's lock guards what follows; the next three that of the queue, if it has one. */
    inf_op *next_event; /* events', or the queue's */
    bool queued;
    bool finished_pending;   /* DONE is still to be delivered */
    inf_op *next, *previous; /* in_flight's */
    bool close_seen;
    bool expired;              /* a deadline has passed */
    struct heap_node deadline; /* due at INT64_MAX: none for now */
};

struct call_pieces {
    struct buffer id, name, arguments;
};

enum op_state { OP_RUNNING = 0, OP_FINISHED = 1, OP_DONE = 2 };

/* A reference for a list that op.c itself stands on; op_unref gives it back. */
static inline void op_hold(inf_op *op)
{
    atomic_fetch_add_explicit(&op->refs, 1, memory_order_relaxed);
}

void op_request_stop(inf_op *op, int32_t code);
/* What callbacks deliver ends here: its last event was delivered. */
void op_set_done(inf_op *op);

#endif
