/*
 * parallel: work in pieces, done by the calling thread and others beside it. A piece is taken by an atomic
 * counter; the first error ends all.
 */
#ifndef INF_CORE_PARALLEL_H
#define INF_CORE_PARALLEL_H

#include "core/error.h"

#include <stddef.h>

/* On any of the threads; pieces in rising order. */
typedef int32_t (*parallel_piece)(void *owner, size_t i, inf_error *err);

/* n_threads: at most so many, the calling one included; fewer where there are fewer pieces, or the system
 * refuses some. name: of the others. Returns the first piece's error. */
int32_t parallel_run(size_t n, int32_t n_threads, const char *name, parallel_piece piece,
                     void *owner, inf_error *err);

#endif
