/*
 * events: the dispatch thread's queue of operations with something to deliver. Below op: it links operations, and
 * ends none.
 */
#ifndef INF_CORE_EVENTS_H
#define INF_CORE_EVENTS_H

#include <inference/inference.h>

/* Queues op for the dispatch thread, if it is not; the queue has a reference. finished: for its last
 * event, DONE, with which the in-flight reference goes. */
void events_queue(inf_context *ctx, inf_op *op, bool finished);
/* The last thing there is to deliver: that the context is closed. */
void events_queue_closed(inf_context *ctx);

/* The next two hold the context's lock. */
/* The first operation with something to say, with the queue's reference; or NULL. *finished: DONE is
 * to be delivered, and its owner appends nothing any more. */
inf_op *events_take(inf_context *ctx, bool *finished);
/* Whether the last thing of all is to be told now. */
bool events_take_closed(inf_context *ctx);

#endif
