/*
 * probe: whether the system would give what ggml takes for granted. ggml ends the process when a thread
 * or a block of memory is refused in the wrong place; so both are tried, and given back, before it is
 * asked. That is no promise: somebody else may take them in between.
 * Threads: any.
 */
#ifndef INF_ENGINE_PROBE_H
#define INF_ENGINE_PROBE_H

#include "core/error.h"

/* n threads at once, with stacks as ggml's have them. STATE: the system refuses one of them. */
int32_t probe_threads(int32_t n, inf_error *err);
/* So many bytes. NO_MEMORY. */
int32_t probe_memory(size_t bytes, inf_error *err);

#endif
