/*
 * slots: what each slot of an engine holds, and where a new sequence best starts.
 *
 * A slot remembers the tokens whose KV it holds and the adapters (generations, scales) they were
 * computed with: only a sequence of the same may start from them. Owned by the scheduler's
 * worker; calls the engine to move and forget, so that book and memory never differ.
 */
#ifndef INF_LOCAL_SLOTS_H
#define INF_LOCAL_SLOTS_H

#include "local/engine.h"
#include "local/sequence.h"
#include "local/slot_states.h"

struct slot {
    struct sequence *sequence; /* NULL: idle, what it holds may be reused */
    int32_t *tokens;           /* (n) whose KV the slot holds */
    int32_t n;
    size_t capacity;
    struct adapter_set *adapters; /* that they were computed with, no longer pinned */
    int64_t used_us;              /* when a sequence left it */
    bool suspect; /* adapters of others may have left values here that are not finite */
    struct slot_states states; /* kept of what it holds */
};

struct slots {
    const struct engine *engine;
    struct slot *slot; /* (max_slots) */
    int32_t n;         /* slots, all of them reserved in the engine */
    int32_t n_context; /* tokens a slot can hold now; grows */
    int32_t n_active;  /* slots 0 .. n_active-1 have sequences, but for holes being filled */
    struct state_store states;
};

int32_t slots_init(struct slots *s, const struct engine *engine, inf_error *err);
void slots_free(struct slots *s);

/* A slot for one more sequence: a hole, or the next one; -1 when all are taken. */
int32_t slots_find_room(const struct slots *s);
/* Every slot can hold n tokens. */
int32_t slots_reserve_context(struct slots *s, int32_t n, inf_error *err);

/* Puts a sequence into slot `index` (from slots_find_room), keeping there the longest
 * usable prefix of its tokens found anywhere; sets its slot, n_prefix and n_shared. On an error it is
 * not placed and the slot is empty. */
int32_t slots_place(struct slots *s, struct sequence *sequence, int32_t index, inf_error *err);

/* The sequence has left; what the slot holds stays for reuse. */
void slots_leave(struct slots *s, int32_t index);
/* Tokens were computed in a slot. NO_MEMORY: the slot was emptied. */
int32_t slots_append(struct slots *s, int32_t index, const int32_t *tokens, int32_t n,
                     inf_error *err);
/* Of the slot's tokens the first n stay; the sequence goes on from there. */
void slots_take_back(struct slots *s, int32_t index, int32_t n);
/* How many of the tokens that are left of the slot's prompt, at least two blocks, the next call may compute
 * at most, so that it ends where a state is to be kept. */
int32_t slots_prefill_limit(const struct slots *s, int32_t index);
/* A call has computed a part of the slot's prompt: keeps the state, where a later prompt may part from it.
 * Logits stay valid. */
void slots_keep_state(struct slots *s, int32_t index);
/* Empties a slot and scrubs its memory. */
int32_t slots_scrub(struct slots *s, int32_t index, inf_error *err);
/* Moves sequences into the holes that others left, so that active slots are the first ones. */
void slots_close_holes(struct slots *s);

#endif
