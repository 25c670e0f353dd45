/*
 * scheduler: continuous batching over an engine, on one worker thread that owns it.
 *
 * New sequences join, cancelled ones leave, between the steps of the batch.
 *
 * Threads: scheduler->lock guards what other threads hand over (incoming sequences, tasks, the
 * stop request) and is never held while calling out; the rest is the worker's alone. Statistics
 * are atomics.
 */
#ifndef INF_LOCAL_SCHEDULER_H
#define INF_LOCAL_SCHEDULER_H

#include "local/batch.h"

struct scheduler;

struct scheduler_stats {
    int64_t steps, shared_steps, rows, requests, prefix_tokens, active, queued;
};

/* A piece of work for the worker between two steps, such as computing logits. It must live until
 * run was called. */
struct scheduler_task {
    struct scheduler_task *next;
    void (*run)(struct scheduler_task *task);
    void *owner; /* of the task, for run */
};

/* Starts the worker. STATE when no thread can be had, NO_MEMORY. */
int32_t scheduler_create(struct scheduler **out, const struct engine *engine,
                         const struct scheduler_options *options, inf_error *err);

/* Hands a sequence over. */
void scheduler_submit(struct scheduler *s, struct sequence *sequence);
void scheduler_run_task(struct scheduler *s, struct scheduler_task *task);
void scheduler_get_stats(struct scheduler *s, struct scheduler_stats *out);

/* Lets everything submitted end, ends the worker, joins it and frees the scheduler; *final (may be
 * NULL) gets the last statistics. Blocks; not on the worker. NULL is ignored. */
void scheduler_drain_and_free(struct scheduler *s, struct scheduler_stats *final);

#endif
