/*
 * batch: the sequences that an engine computes together, and what a turn computes of them: one token of every running
 * one in one call, whatever adapters they use, then what there is time for of the prompts that wait to be prefilled,
 * in turns. Finished sequences leave their KV behind in their slot, and a later sequence of the same (adapter
 * generation, scale) starts from the longest common prefix.
 *
 * Slots in use are always the first ones: decoding sequences first, then prefilling ones, so that
 * each decode call covers consecutive slots; ending a sequence moves another into its place.
 *
 * The scheduler's worker's alone, but for the counts.
 */
#ifndef INF_LOCAL_BATCH_H
#define INF_LOCAL_BATCH_H

#include "local/prefill.h"
#include "local/slots.h"

#include <stdatomic.h>

struct scheduler_options {
    int32_t prefill_chunk;   /* prompt tokens a step while others decode, at most but for a block */
    int64_t (*now_us)(void); /* what calls are timed with; NULL: clock_us */
};

struct batch {
    struct engine engine;
    struct scheduler_options options;
    struct slots slots;
    struct engine_row *rows;        /* (max_slots) */
    struct sequence **failed;       /* (max_slots) rows of the call that are not finite */
    struct speculation_row *drafts; /* (max_slots) */
    struct step_costs costs;
    struct prefill_pace pace;
    int64_t turn; /* of prefilling: the next one's number */
    struct {
        _Atomic int64_t steps, shared_steps, rows, requests, prefix_tokens, active, queued;
    } counts;
};

/* Of a batch of zeros; batch_free after errors too. NO_MEMORY. */
int32_t batch_init(struct batch *b, const struct engine *engine,
                   const struct scheduler_options *options, inf_error *err);
void batch_free(struct batch *b);

bool batch_has_room(const struct batch *b);
/* There is room: the sequence takes part from now on, or has ended with an error. */
void batch_place(struct batch *b, struct sequence *q);
/* Ends one that takes part, or was to. */
void batch_end(struct batch *b, struct sequence *q, int32_t finish, const inf_error *err);
/* Ends those whose operation is to stop. */
void batch_drop_stopped(struct batch *b);
/* One turn. */
void batch_step(struct batch *b);

#endif
