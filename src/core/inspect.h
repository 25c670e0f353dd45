/*
 * inspect: what a model or an adapter is, and whether the adapter fits a model. Which files are whose, and what
 * they say, the providers' rows know. Blocking file I/O; stateless; any thread.
 */
#ifndef INF_CORE_INSPECT_H
#define INF_CORE_INSPECT_H

#include "core/buffer.h"
#include "core/error.h"

/* A JSON object into out, as inf_inspect_start describes. base, err: base may be NULL, err not. */
int32_t inspect_path(struct buffer *out, const char *path, const char *base, inf_error *err);

/* Whether an error says that a sound adapter is refused, which is an answer where that was asked. */
bool inspect_is_misfit(int32_t code);

#endif
