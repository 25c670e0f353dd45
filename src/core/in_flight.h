/*
 * in_flight: the operations of a context that are not done yet, listed and counted: closing asks each to
 * end and waits for the last.
 */
#ifndef INF_CORE_IN_FLIGHT_H
#define INF_CORE_IN_FLIGHT_H

#include "core/error.h"

/* Lists and counts op, and sets its deadline. STATE: the context is closed. */
int32_t in_flight_add(inf_context *ctx, inf_op *op, inf_error *err);
/* Off the list; it still counts. */
void in_flight_remove(inf_context *ctx, inf_op *op);
/* One less. The context may be gone afterwards. */
void in_flight_count_down(inf_context *ctx);

#endif
