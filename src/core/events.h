/*
 * events: the dispatch thread's queue of operations with something to deliver, and what each has to say. Below op: it
 * links operations and copies their text, and ends none.
 */
#ifndef INF_CORE_EVENTS_H
#define INF_CORE_EVENTS_H

#include "core/buffer.h"

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

/* What an operation has to say now. Its text lies in a scratch buffer, or in the operation's own
 * buffers when it was not copied. */
struct news {
    bool progress, token, done;
    bool more;    /* something had to stay: no room, or no memory */
    bool starved; /* no memory */
    float fraction;
    size_t text_at, text_len, reasoning_at, reasoning_len;
    int64_t n_tokens;
};

/* At most `room` (1 or more) pieces of news, in order. scratch NULL: text is not copied, which only
 * a finished operation allows. */
struct news news_take(inf_op *op, struct buffer *scratch, size_t room, bool finished);
inf_text news_text(const struct buffer *b, size_t at, size_t len);

#endif
