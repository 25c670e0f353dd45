/*
 * scheduler: continuous batching over an engine, on one worker thread that owns it.
 *
 * Each step decodes one token of every running sequence in one call, whatever adapters they use,
 * then what there is time for of the prompts that wait to be prefilled, in turns; new sequences join,
 * cancelled ones leave, between steps. Finished sequences leave their KV behind in their slot, and a later
 * sequence of the same (adapter generation, scale) starts from the longest common prefix.
 *
 * Slots in use are always the first ones: decoding sequences first, then prefilling ones, so that
 * each decode call covers consecutive slots; ending a sequence moves another into its place.
 *
 * Threads: scheduler->lock guards what other threads hand over (incoming sequences, tasks, the
 * stop request) and is never held while calling out; the rest is the worker's alone. Statistics
 * are atomics.
 */
#ifndef INF_LOCAL_SCHEDULER_H
#define INF_LOCAL_SCHEDULER_H

#include "local/engine.h"
#include "local/sequence.h"

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

struct scheduler_options {
    int32_t prefill_chunk;   /* prompt tokens a step while others decode, at most but for a block */
    int64_t (*now_us)(void); /* what calls are timed with; NULL: clock_us */
};

/* Starts the worker. STATE when no thread can be had, NO_MEMORY. */
int32_t scheduler_create(struct scheduler **out, const struct engine *engine,
                         const struct scheduler_options *options, inf_error *err);

/* Hands a sequence over. */
void scheduler_submit(struct scheduler *s, struct sequence *sequence);
void scheduler_run_task(struct scheduler *s, struct scheduler_task *task);
/* Something changed (a cancel): look now. Cheap; any thread. */
void scheduler_wake(struct scheduler *s);
void scheduler_get_stats(struct scheduler *s, struct scheduler_stats *out);

/* Lets everything submitted end, ends the worker, joins it and frees the scheduler; *final (may be
 * NULL) gets the last statistics. Blocks; not on the worker. NULL is ignored. */
void scheduler_drain_and_free(struct scheduler *s, struct scheduler_stats *final);

#endif
