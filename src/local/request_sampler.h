/*
 * request_sampler: how a request's tokens are chosen: by the model's defaults, its own options, and its grammar, schema
 * or call of a tool as a constraint. On its preparation thread.
 */
#ifndef INF_LOCAL_REQUEST_SAMPLER_H
#define INF_LOCAL_REQUEST_SAMPLER_H

#include "local/instance.h"
#include "local/output_plan.h"

/* INVALID_ARGUMENT, UNSUPPORTED (what is asked for cannot be a grammar), NO_MEMORY. */
int32_t request_sampler(struct sampler **out, struct instance *i, const inf_request *r,
                        const struct output_plan *plan, inf_error *err);

#endif
