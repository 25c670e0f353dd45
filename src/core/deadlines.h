/*
 * deadlines: when an operation has waited or worked for too long, on the context's clock thread. It
 * does not know what expiry does.
 */
#ifndef INF_CORE_DEADLINES_H
#define INF_CORE_DEADLINES_H

#include "core/error.h"

/* Starts the clock thread. It calls `expire` with no lock held and a reference to the operation, which
 * that gives back. */
int32_t deadlines_start(inf_context *ctx, void (*expire)(inf_op *op), inf_error *err);
/* Of an operation with a bound; the context's lock is held. false: out of memory. */
bool deadlines_add(inf_context *ctx, inf_op *op);
void deadlines_remove(inf_context *ctx, inf_op *op);
/* op waits no longer: its work has a deadline of its own. */
void deadlines_begin_work(inf_context *ctx, inf_op *op);

#endif
