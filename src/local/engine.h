/*
 * engine: what an in-process backend gives to the scheduler: a model with slots of KV cache.
 *
 * A slot holds the keys and values of one sequence of tokens, positions 0 .. n-1; slots share
 * nothing, so that no value of one sequence can reach another. Every function is called on the
 * scheduler's worker thread.
 */
#ifndef INF_LOCAL_ENGINE_H
#define INF_LOCAL_ENGINE_H

#include "core/error.h"
#include "local/adapter_set.h"

#include <stdatomic.h>

/* The tokens of one slot in a decode call. */
struct engine_row {
    int32_t slot;
    int32_t position;               /* of tokens[0]: how many tokens the slot holds */
    const int32_t *tokens;          /* (n_tokens of the call) */
    struct adapter_set *adapters;   /* pinned; their deltas add up */
    int32_t first_logits, n_logits; /* of so many tokens, from this one on, the logits are wanted */
};

struct engine_limits {
    int32_t max_slots;   /* decoded together at most */
    int32_t max_context; /* tokens a slot may ever hold */
    int32_t max_tokens;  /* tokens of one decode call, all rows together */
    int32_t n_vocab;
    bool row_independent; /* a row's logits do not depend, in any bit, on who is beside it */
    bool takes_back;      /* truncate can forget the last tokens of a slot, most of the time */
    int32_t
        max_states; /* that may be kept at a time; 0: slots can be cut anywhere without, or there is
                           no memory for one */
};

/* What a model with a recurrent state needs to go back to a position: the state that it had there. */
struct engine_state;

struct engine_ops {
    /*
     * Decodes `n_rows` rows of `n_tokens` tokens each, whose slots are consecutive and rising.
     * On an error every row's slot holds what it held before; the engine stays usable. A row whose
     * values overflow is no error: its logits say so, and no other row is touched.
     */
    int32_t (*decode)(void *engine, const struct engine_row *rows, int32_t n_rows, int32_t n_tokens,
                      inf_error *err);
    /* The logits (n_vocab) of a row of the last decode behind the i-th of the tokens for which it wanted
     * them; valid until the next call but truncate and can_take_back. */
    const float *(*logits)(void *engine, int32_t row, int32_t i);
    /* Whether truncate could keep all that the slot holds now and one token more of those that the next
     * call adds. With limits.takes_back alone. */
    bool (*can_take_back)(void *engine, int32_t slot);
    /* Keeps the first n tokens of a slot. Returns how many were kept: n, or 0 where the model
     * cannot forget a part (n is less than what the slot holds), or has forgotten what the token
     * behind them looks back at. */
    int32_t (*truncate)(void *engine, int32_t slot, int32_t n);
    /* Exchanges what two slots hold. On an error both are empty. */
    int32_t (*swap)(void *engine, int32_t a, int32_t b, inf_error *err);
    /* Makes `to` a copy of `from`, to be truncated. On an error `to` is empty. */
    int32_t (*copy)(void *engine, int32_t from, int32_t to, inf_error *err);
    /* Empties a slot and removes every trace of values that are not finite from its memory.
     * Others keep what they hold. On an error it is empty, but such values may still be there. */
    int32_t (*scrub)(void *engine, int32_t slot, inf_error *err);
    /* Makes n_slots (the same at every call) with room for n_context tokens each, at most the
     * limit; what slots hold stays. On an error everything is as before. */
    int32_t (*reserve)(void *engine, int32_t n_slots, int32_t n_context, inf_error *err);

    /* Called with max_states above 0 alone: */
    /* The state that a slot is in now, NULL when out of memory. Logits stay valid. */
    struct engine_state *(*save)(void *engine, int32_t slot);
    /* Keeps the first n tokens of a slot, behind which `state` was saved, whether here or where they were
     * copied from. Returns n, or 0: then the slot is empty. */
    int32_t (*restore)(void *engine, int32_t slot, int32_t n, const struct engine_state *state);
    void (*free_state)(void *engine, struct engine_state *state);

    /* Not the scheduler's: for whoever made it, with nobody decoding. NULL is ignored. */
    void (*free)(void *engine);
};

struct engine {
    const struct engine_ops *ops;
    void *impl;
    struct engine_limits limits;
};

/* For making one. */
struct engine_options {
    int32_t n_threads;
    int32_t max_slots, max_context; /* as in engine_limits */
    bool exact;                     /* f32 wherever it can be had, rather than small and fast */
    uint64_t state_budget;          /* bytes for states that are kept */
    _Atomic int64_t *kv_bytes;      /* kept up to date, kept states too; may be NULL */
};

#endif
