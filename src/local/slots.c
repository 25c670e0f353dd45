/*
 * slots: see the header.
 */
#include "local/slots.h"

#include "core/clock.h"
#include "core/growing.h"
#include "core/min_max.h"
#include "local/prefill.h"

#include <string.h>

#define FIRST_CONTEXT 512
/* A shorter common prefix than this is computed again rather than copied between slots. */
#define MIN_PREFIX_TO_COPY 16
/* States are kept behind so many tokens of a prompt, and twice as many, and so on, where a call ends. */
#define FIRST_STATE 256

int32_t slots_init(struct slots *s, const struct engine *engine, inf_error *err)
{
    const struct engine_limits *l = &engine->limits;
    int32_t n = l->max_slots;
    int32_t n_context = min_i32(FIRST_CONTEXT, l->max_context);
    int32_t code = INF_OK;

    *s = (struct slots){.engine = engine, .states.engine = engine};
    s->slot = mem_calloc((size_t)l->max_slots, sizeof *s->slot);
    if (!s->slot)
        return error_no_memory(err);
    code = engine->ops->reserve(engine->impl, n, n_context, err);
    if (code != INF_OK) {
        slots_free(s);
        return code;
    }
    s->n = n;
    s->n_context = n_context;
    return INF_OK;
}

static void free_slot(struct slots *s, struct slot *slot)
{
    slot_states_cut(&slot->states, &s->states, 0);
    mem_free(slot->tokens);
    adapter_set_unref(slot->adapters);
}

void slots_free(struct slots *s)
{
    for (int32_t i = 0; s->slot && i < s->engine->limits.max_slots; i++)
        free_slot(s, &s->slot[i]);
    mem_free(s->slot);
    s->slot = NULL;
}

int32_t slots_find_room(const struct slots *s)
{
    for (int32_t i = 0; i < s->n_active; i++)
        if (!s->slot[i].sequence)
            return i;
    return s->n_active < s->n ? s->n_active : -1;
}

int32_t slots_reserve_context(struct slots *s, int32_t n, inf_error *err)
{
    int32_t n_context = s->n_context;
    int32_t code = INF_OK;

    if (n <= n_context)
        return INF_OK;
    while (n_context < n)
        n_context = n_context > INT32_MAX / 2 ? n : n_context * 2;
    n_context = min_i32(n_context, s->engine->limits.max_context);
    code = s->engine->ops->reserve(s->engine->impl, s->n, n_context, err);
    if (code == INF_OK)
        s->n_context = n_context;
    return code;
}

static void forget(struct slots *s, struct slot *slot)
{
    slot_states_cut(&slot->states, &s->states, 0);
    slot->n = 0;
    slot->used_us = 0;
}

static int32_t common_prefix(const struct slot *slot, const struct sequence *q)
{
    int32_t limit = min_i32(slot->n, q->n_tokens - 1); /* the last token is always computed */
    int32_t n = 0;

    if (!adapter_set_equal(slot->adapters, q->adapters))
        return 0;
    while (n < limit && slot->tokens[n] == q->tokens[n])
        n++;
    return n;
}

/* How much of it a sequence can start from. */
static int32_t usable_prefix(const struct slots *s, const struct slot *slot, int32_t common)
{
    if (s->engine->limits.max_states == 0 || common == slot->n)
        return common;
    return slot_states_before(&slot->states, common);
}

/* The slot with the longest usable prefix; `index` itself wins a tie. */
static int32_t best_source(const struct slots *s, struct sequence *q, int32_t index,
                           int32_t *length)
{
    int32_t best = index;

    q->n_shared = common_prefix(&s->slot[index], q);
    *length = usable_prefix(s, &s->slot[index], q->n_shared);
    for (int32_t i = 0; i < s->n; i++) {
        int32_t common = i == index ? 0 : common_prefix(&s->slot[i], q);
        int32_t n = usable_prefix(s, &s->slot[i], common);

        q->n_shared = common > q->n_shared ? common : q->n_shared;
        if (n > *length && n >= MIN_PREFIX_TO_COPY) {
            best = i;
            *length = n;
        }
    }
    return best;
}

static bool runs_adapter(const struct slot *slot)
{
    return slot->sequence && slot->sequence->adapters;
}

/* Slot `a` has no sequence. When the engine fails to exchange them both are empty: b's sequence starts
 * over. */
static void swap(struct slots *s, int32_t a, int32_t b)
{
    struct slot held = s->slot[a];

    if (a == b)
        return;
    s->slot[a] = s->slot[b];
    s->slot[b] = held;
    /* Values that are not finite move along and stay behind. */
    s->slot[a].suspect = s->slot[a].suspect || held.suspect;
    s->slot[b].suspect = s->slot[a].suspect || runs_adapter(&s->slot[a]);
    if (s->engine->ops->swap(s->engine->impl, a, b, NULL) != INF_OK) {
        forget(s, &s->slot[a]);
        forget(s, &s->slot[b]);
    }
    if (s->slot[a].sequence)
        s->slot[a].sequence->slot = a;
}

/* The idle slot whose content is worth least: an empty one, else the one left longest ago. */
static int32_t least_useful(const struct slots *s, int32_t index)
{
    int32_t best = index;

    for (int32_t i = 0; i < s->n; i++)
        if (!s->slot[i].sequence && s->slot[i].used_us < s->slot[best].used_us)
            best = i;
    return best;
}

static int32_t copy_prefix(struct slots *s, int32_t from, int32_t to, int32_t n, inf_error *err)
{
    struct slot *dst = &s->slot[to];
    int32_t code = INF_OK;

    forget(s, dst);
    if (!GROW(dst->tokens, dst->capacity, (size_t)n)) {
        s->engine->ops->truncate(s->engine->impl, to, 0);
        return error_no_memory(err);
    }
    code = s->engine->ops->copy(s->engine->impl, from, to, err);
    if (code != INF_OK)
        return code;
    memcpy(dst->tokens, s->slot[from].tokens, (size_t)n * sizeof *dst->tokens);
    dst->n = n;
    slot_states_share(&dst->states, &s->slot[from].states, n);
    dst->suspect = dst->suspect || s->slot[from].suspect || runs_adapter(&s->slot[from]);
    return INF_OK;
}

/* Keeps the first n tokens of a slot, as many as can be used. */
static void cut(struct slots *s, int32_t index, int32_t n)
{
    struct slot *slot = &s->slot[index];

    if (n > 0 && slot_states_before(&slot->states, n) == n)
        slot->n = slot_states_restore(&slot->states, &s->states, index, n);
    else
        slot->n = s->engine->ops->truncate(s->engine->impl, index, n);
    slot_states_cut(&slot->states, &s->states, slot->n);
}

/* Brings the best prefix into slot `index` and keeps what was there where that costs little. */
static int32_t bring_prefix(struct slots *s, struct sequence *q, int32_t index, inf_error *err)
{
    int32_t length = 0;
    int32_t source = best_source(s, q, index, &length);
    int32_t code = INF_OK;

    if (source != index && s->slot[source].sequence)
        code = copy_prefix(s, source, index, length, err);
    else if (source != index || length == 0)
        swap(s, index, source != index ? source : least_useful(s, index));
    if (code != INF_OK)
        return code;
    cut(s, index, min_i32(length, s->slot[index].n));
    return INF_OK;
}

int32_t slots_place(struct slots *s, struct sequence *sequence, int32_t index, inf_error *err)
{
    struct slot *slot = &s->slot[index];
    int32_t code = bring_prefix(s, sequence, index, err);

    if (code != INF_OK)
        return code;
    slot->sequence = sequence;
    adapter_set_unref(slot->adapters);
    slot->adapters = adapter_set_ref(sequence->adapters);
    sequence->slot = index;
    sequence->n_prefix = slot->n;
    if (index == s->n_active)
        s->n_active++;
    return INF_OK;
}

void slots_leave(struct slots *s, int32_t index)
{
    struct slot *slot = &s->slot[index];

    slot->suspect = slot->suspect || runs_adapter(slot);
    slot->sequence = NULL;
    slot->used_us = clock_us();
}

int32_t slots_append(struct slots *s, int32_t index, const int32_t *tokens, int32_t n,
                     inf_error *err)
{
    struct slot *slot = &s->slot[index];

    if (!GROW(slot->tokens, slot->capacity, (size_t)(slot->n + n))) {
        s->engine->ops->truncate(s->engine->impl, index, 0);
        forget(s, slot);
        return error_no_memory(err);
    }
    memcpy(slot->tokens + slot->n, tokens, (size_t)n * sizeof *tokens);
    slot->n += n;
    return INF_OK;
}

/* What was computed for the tokens behind them may not have been finite. */
void slots_take_back(struct slots *s, int32_t index, int32_t n)
{
    struct slot *slot = &s->slot[index];

    if (n == slot->n)
        return;
    slot->suspect = true;
    cut(s, index, n);
}

/* ------------------------------------------------------------------ states */

/* Where this sequence's prompt and another's part, of which a third is likely to part too. */
static int32_t branch(const struct sequence *q)
{
    return q->n_shared / PREFILL_BLOCK * PREFILL_BLOCK;
}

int32_t slots_prefill_limit(const struct slots *s, int32_t index)
{
    const struct slot *slot = &s->slot[index];
    int32_t to_branch = branch(slot->sequence) - slot->n;

    if (s->engine->limits.max_states == 0)
        return INT32_MAX;
    if (to_branch > 0)
        return to_branch;
    return slot->sequence->n_tokens - slot->n - 1; /* not all: before the last call, too */
}

static bool is_passed(int32_t at, int32_t before, int32_t n)
{
    return before < at && at <= n;
}

/* Whether the state behind slot->n tokens is worth keeping when that behind `before` was the last. */
static bool is_state_wanted(const struct slot *slot, int32_t before)
{
    int32_t left = slot->sequence->n_tokens - slot->n;
    int32_t power = FIRST_STATE;

    while (power <= slot->n / 2)
        power *= 2;
    return left < 2 * PREFILL_BLOCK || is_passed(branch(slot->sequence), before, slot->n) ||
           is_passed(power, before, slot->n);
}

/* Gives up a state: of the slot that was left longest ago, else this one's. */
static bool make_room(struct slots *s, struct slot *own)
{
    struct slot *oldest = own;

    for (int32_t i = 0; i < s->n; i++)
        if (!s->slot[i].sequence && s->slot[i].states.count > 0 &&
            (oldest == own || s->slot[i].used_us < oldest->used_us))
            oldest = &s->slot[i];
    return slot_states_thin(&oldest->states, &s->states);
}

void slots_keep_state(struct slots *s, int32_t index)
{
    struct slot *slot = &s->slot[index];
    int32_t most = s->engine->limits.max_states;

    if (most == 0 || slot->n >= slot->sequence->n_tokens ||
        !is_state_wanted(slot, slot_states_before(&slot->states, slot->n)))
        return;
    while (s->states.count >= most)
        if (!make_room(s, slot))
            return;
    slot_states_keep(&slot->states, &s->states, index, slot->n);
}

int32_t slots_scrub(struct slots *s, int32_t index, inf_error *err)
{
    int32_t code = s->engine->ops->scrub(s->engine->impl, index, err);

    forget(s, &s->slot[index]);
    s->slot[index].suspect = code != INF_OK;
    return code;
}

void slots_close_holes(struct slots *s)
{
    for (;;) {
        int32_t hole = 0;

        while (s->n_active > 0 && !s->slot[s->n_active - 1].sequence)
            s->n_active--;
        while (hole < s->n_active && s->slot[hole].sequence)
            hole++;
        if (hole >= s->n_active)
            return;
        swap(s, hole, s->n_active - 1);
    }
}
