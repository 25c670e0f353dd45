/*
 * delivery: the two ways in which events get to the user: by callbacks on one thread (dispatch.c), or
 * pulled by inf_context_next and inf_queue_next (pull.c).
 */
#ifndef INF_CORE_DELIVERY_H
#define INF_CORE_DELIVERY_H

#include "core/error.h"

/* The dispatch thread. It ends once the context's `stop` is set and everything was delivered. */
int32_t dispatch_start(inf_context *ctx, inf_error *err);

/* The context's own queue. */
int32_t pull_start(inf_context *ctx, inf_error *err);
/* Who is in inf_context_next or inf_queue_next leaves, and nobody enters any more. */
void pull_abandon(inf_context *ctx);
/* Gives back what was delivered last, and what nobody pulled. */
void pull_drop(inf_context *ctx);

#endif
