/*
 * slot_states: of a model with a recurrent state, which states of a slot's past are kept, so that a later
 * sequence can start from there.
 *
 * Such a model holds one state a sequence, the last position's, and cannot forget the tokens behind a
 * prefix. So while a prompt is computed the state is kept at some boundaries of its blocks: where the
 * next prompt is likely to part from it. States are large, and there are at most engine_limits.max_states
 * of them: who chooses which to give up is slots.c.
 *
 * A state may stand in several slots, whose tokens up to it are the same. Threads: the scheduler's worker.
 */
#ifndef INF_LOCAL_SLOT_STATES_H
#define INF_LOCAL_SLOT_STATES_H

#include "local/engine.h"

enum { SLOT_STATES_MOST = 16 };

struct kept_state {
    struct engine_state *state;
    int32_t refs;
};

/* Rising in n, the tokens before the state. */
struct slot_states {
    struct {
        int32_t n;
        struct kept_state *kept;
    } at[SLOT_STATES_MOST];
    int32_t count;
};

/* All that an engine keeps. */
struct state_store {
    const struct engine *engine;
    int32_t count; /* at most max_states */
};

/* The last kept position that is at most n; 0: there is none. */
int32_t slot_states_before(const struct slot_states *s, int32_t n);
/* Makes room for one more by giving up the one that lies closest behind another. false: there is none. */
bool slot_states_thin(struct slot_states *s, struct state_store *store);
/* Keeps the slot's present state, behind n tokens, more than those kept before; there is room in `store`.
 * When there is no memory, nothing is kept. */
void slot_states_keep(struct slot_states *s, struct state_store *store, int32_t slot, int32_t n);
/* Brings the engine's slot back to n tokens, 0 < n, where a state is kept. Returns n or 0, as
 * engine_ops.restore does. */
int32_t slot_states_restore(const struct slot_states *s, struct state_store *store, int32_t slot,
                            int32_t n);
/* Gives up those behind more than n tokens. */
void slot_states_cut(struct slot_states *s, struct state_store *store, int32_t n);
/* `to` had none; gets those behind at most n tokens. */
void slot_states_share(struct slot_states *to, const struct slot_states *from, int32_t n);

#endif
