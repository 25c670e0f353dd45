/*
 * batch: see the header. A turn prefills a chunk, then decodes one token of every running sequence, or a few where
 * drafts of them are verified.
 */
#include "local/batch.h"

#include "core/clock.h"
#include "core/memory.h"
#include "core/min_max.h"

static struct slot *slot_at(struct batch *b, int32_t index)
{
    return &b->slots.slot[index];
}

/* How many tokens of the slot's sequence are still to be computed. */
static int32_t remaining(const struct slot *slot)
{
    return slot->sequence->n_tokens - slot->n;
}

static bool is_decoding(const struct slot *slot)
{
    return slot->sequence && remaining(slot) == 1;
}

void batch_end(struct batch *b, struct sequence *q, int32_t finish, const inf_error *err)
{
    if (q->slot >= 0) {
        slots_leave(&b->slots, q->slot);
        atomic_fetch_sub(&b->counts.active, 1);
    } else {
        atomic_fetch_sub(&b->counts.queued, 1);
    }
    atomic_fetch_add(&b->counts.requests, 1);
    sequence_end(q, finish, err);
}

/* ------------------------------------------------------------------ who takes part */

void batch_drop_stopped(struct batch *b)
{
    for (int32_t i = 0; i < b->slots.n_active; i++) {
        struct sequence *q = slot_at(b, i)->sequence;
        inf_error err = {0};

        if (q && op_stop_error(q->op, &err) != INF_OK)
            batch_end(b, q, INF_FINISH_NONE, &err);
    }
}

bool batch_has_room(const struct batch *b)
{
    return slots_find_room(&b->slots) >= 0;
}

void batch_place(struct batch *b, struct sequence *q)
{
    inf_error err = {0};

    if (slots_place(&b->slots, q, slots_find_room(&b->slots), &err) != INF_OK) {
        batch_end(b, q, INF_FINISH_NONE, &err);
        return;
    }
    atomic_fetch_sub(&b->counts.queued, 1);
    atomic_fetch_add(&b->counts.active, 1);
    atomic_fetch_add(&b->counts.prefix_tokens, q->n_prefix);
    q->prefill_started_us = clock_us();
    q->prefill_turn = b->turn++;
    op_begin_work(q->op);
}

/* ------------------------------------------------------------------ after a decode */

/* The row's logits are NaN or infinite. Where an adapter of others, or a draft, may have left such values behind
 * the slot is scrubbed and the sequence computed again; else it is to blame and ends alone. */
static void row_not_finite(struct batch *b, struct sequence *q)
{
    inf_error err = {0};
    bool others = slot_at(b, q->slot)->suspect;

    sequence_stop_drafting(q);
    if (slots_scrub(&b->slots, q->slot, &err) == INF_OK && others)
        return;
    if (err.code == INF_OK)
        adapter_set_not_finite(q->adapters, &err);
    batch_end(b, q, INF_FINISH_NONE, &err);
}

/* false: the logits are not finite, and the sequence waits for row_not_finite. */
static bool advance(struct batch *b, struct sequence *q, const float *logits)
{
    inf_error err = {0};
    int32_t finish = INF_FINISH_NONE;

    if (q->prefill_done_us == 0)
        q->prefill_done_us = clock_us();
    switch (sequence_advance(q, logits, &finish, &err)) {
    case SEQUENCE_GOES_ON:
        break;
    case SEQUENCE_ENDED:
        batch_end(b, q, finish, &err);
        break;
    case SEQUENCE_NOT_FINITE:
        return false;
    }
    return true;
}

/* Whether `a` is among the first n rows' adapters, or the first `before` of the row behind them. */
static bool was_counted(const struct scaled_adapter *a, const struct engine_row *rows, int32_t n,
                        int32_t before)
{
    for (int32_t i = 0; i <= n; i++) {
        const struct adapter_set *s = rows[i].adapters;
        int32_t end = i == n ? before : adapter_set_size(s);

        for (int32_t k = 0; k < end; k++)
            if (s->list[k].adapter == a->adapter && s->list[k].scale == a->scale)
                return true;
    }
    return false;
}

static int32_t count_adapters(const struct engine_row *rows, int32_t n)
{
    int32_t count = 0;

    for (int32_t i = 0; i < n; i++) {
        const struct adapter_set *s = rows[i].adapters;

        if (i > 0 && adapter_set_equal(s, rows[i - 1].adapters))
            continue;
        for (int32_t k = 0; k < adapter_set_size(s); k++)
            count += !was_counted(&s->list[k], rows, i, k);
    }
    return count;
}

static void count_step(struct batch *b, const struct engine_row *rows, int32_t n, int32_t n_tokens)
{
    int32_t adapters = count_adapters(rows, n);

    atomic_fetch_add(&b->counts.steps, 1);
    atomic_fetch_add(&b->counts.shared_steps, n > 1);
    atomic_fetch_add(&b->counts.rows, (int64_t)n * n_tokens);
    for (int32_t i = 0; i < n; i++) {
        struct sequence *q = slot_at(b, rows[i].slot)->sequence;

        q->steps++;
        q->step_rows += n;
        q->step_adapters += adapters;
    }
}

/* Ends every sequence of a failed call; what their slots held before it is still there. */
static void fail_rows(struct batch *b, const struct engine_row *rows, int32_t n,
                      const inf_error *err)
{
    for (int32_t i = 0; i < n; i++)
        batch_end(b, slot_at(b, rows[i].slot)->sequence, INF_FINISH_NONE, err);
}

/* How many rows from the first on have its adapters and scales. */
static int32_t count_alike(const struct engine_row *rows, int32_t n)
{
    int32_t i = 1;

    while (i < n && adapter_set_equal(rows[i].adapters, rows[0].adapters))
        i++;
    return i;
}

/* n_tokens of a prompt, of which the last may be its end; or the last token and what is drafted behind it. */
static struct engine_row row_of(const struct slot *slot, int32_t index, int32_t n_tokens)
{
    const struct sequence *q = slot->sequence;
    struct engine_row row = {.slot = index,
                             .position = slot->n,
                             .tokens = q->tokens + slot->n,
                             .adapters = q->adapters,
                             .first_logits = n_tokens - 1,
                             .n_logits = remaining(slot) == n_tokens};

    if (is_decoding(slot) && n_tokens > 1) {
        row.tokens = q->step;
        row.first_logits = 0;
        row.n_logits = 1 + q->n_draft;
    }
    return row;
}

/* The tokens that follow from a row's logits: one, and as many more as drafts come true. What was computed
 * for others is taken back. false: as advance. */
static bool advance_row(struct batch *b, struct sequence *q, const struct engine_row *row,
                        int32_t i)
{
    struct slot *slot = slot_at(b, row->slot);
    int32_t n = 0;
    bool finite = true;

    for (bool goes_on = true; goes_on; n++) {
        q->n_accepted += n > 0;
        finite = advance(b, q, b->engine.ops->logits(b->engine.impl, i, n));
        goes_on = finite && slot->sequence == q && n + 1 < row->n_logits &&
                  q->tokens[q->n_tokens - 1] == slot->tokens[row->position + n + 1];
    }
    if (row->first_logits == 0 && finite)
        slots_take_back(&b->slots, row->slot, row->position + n);
    return finite;
}

/* Decodes n_tokens more tokens of the sequences in slots first .. first+n-1, in one call. When it fails
 * and an adapter may be the cause, the rows of each mix of adapters are tried by themselves. */
static void decode_slots(struct batch *b, int32_t first, int32_t n, int32_t n_tokens)
{
    struct engine_row *rows = b->rows;
    int32_t n_failed = 0;
    inf_error err = {0};

    for (int32_t i = 0; i < n; i++)
        rows[i] = row_of(slot_at(b, first + i), first + i, n_tokens);
    if (b->engine.ops->decode(b->engine.impl, rows, n, n_tokens, &err) != INF_OK) {
        int32_t alike = count_alike(rows, n);

        if (alike == n) {
            fail_rows(b, rows, n, &err);
            return;
        }
        decode_slots(b, first, alike, n_tokens);
        decode_slots(b, first + alike, n - alike, n_tokens);
        return;
    }
    count_step(b, rows, n, n_tokens);
    for (int32_t i = 0; i < n; i++) {
        struct sequence *q = slot_at(b, first + i)->sequence;

        if (slots_append(&b->slots, first + i, rows[i].tokens, n_tokens, &err) != INF_OK)
            batch_end(b, q, INF_FINISH_NONE, &err);
        else if (!rows[i].n_logits)
            slots_keep_state(&b->slots, first + i);
        else if (!advance_row(b, q, &rows[i], i))
            b->failed[n_failed++] = q;
    }
    /* Scrubbing loses the logits of this call: only after every row has been read. */
    for (int32_t i = 0; i < n_failed; i++)
        row_not_finite(b, b->failed[i]);
}

/* ------------------------------------------------------------------ one turn */

/* For all that the slot's sequence has now, so that a prompt makes the slots grow once. */
static bool reserve_context_for(struct batch *b, struct slot *slot)
{
    inf_error err = {0};

    if (slots_reserve_context(&b->slots, slot->sequence->n_tokens, &err) == INF_OK)
        return true;
    batch_end(b, slot->sequence, INF_FINISH_NONE, &err);
    return false;
}

static bool is_prompt(const struct slot *slot)
{
    return slot->sequence && !is_decoding(slot);
}

/* The slot whose prompt waits longest for its turn; -1: there is none. */
static int32_t next_prompt(struct batch *b)
{
    int32_t best = -1;

    for (int32_t i = 0; i < b->slots.n_active; i++)
        if (is_prompt(slot_at(b, i)) && (best < 0 || slot_at(b, i)->sequence->prefill_turn <
                                                         slot_at(b, best)->sequence->prefill_turn))
            best = i;
    return best;
}

/* One call: n_tokens of the prompt in slot `first`, and of its neighbours that may have as many, as far
 * as the budget goes. Returns the tokens computed, or 1. */
static int32_t prefill_run(struct batch *b, int32_t first, int32_t n_tokens, int32_t budget)
{
    int64_t begin = 0;
    int32_t n = 1;

    while (first + n < b->slots.n_active && (n + 1) * n_tokens <= budget &&
           is_prompt(slot_at(b, first + n)) &&
           prefill_may_share(remaining(slot_at(b, first + n)), n_tokens))
        n++;
    for (int32_t i = first; i < first + n; i++) {
        if (!reserve_context_for(b, slot_at(b, i)))
            return 1;
        slot_at(b, i)->sequence->prefill_turn = b->turn++;
    }
    begin = b->options.now_us();
    decode_slots(b, first, n, n_tokens);
    prefill_pace_measured(&b->pace, n * n_tokens, b->options.now_us() - begin);
    return n * n_tokens;
}

/* As many calls as a step has time for, at least one. */
static void prefill(struct batch *b, bool others_decode)
{
    int32_t most = b->engine.limits.max_tokens;
    int32_t budget = prefill_pace_tokens(
        &b->pace, others_decode ? min_i32(most, b->options.prefill_chunk) : most);
    int64_t begin = b->options.now_us();
    int32_t left = budget;
    int32_t first = 0;

    while ((first = next_prompt(b)) >= 0) {
        int32_t limit = slots_prefill_limit(&b->slots, first);
        int32_t n_tokens = min_i32(
            prefill_share(remaining(slot_at(b, first)), min_i32(left, limit)), most);

        if (left < budget && (n_tokens > left || b->options.now_us() - begin >= PREFILL_STEP_US))
            break;
        left -= prefill_run(b, first, n_tokens, left);
    }
}

/* ------------------------------------------------------------------ drafts */

/* Up to how many tokens each of n slots from `first` on can have in one call. */
static int32_t room_for_drafts(struct batch *b, int32_t first, int32_t n)
{
    int32_t most = min_i32(SPECULATION_MOST, b->engine.limits.max_tokens) / n;

    for (int32_t i = first; i < first + n; i++)
        most = min_i32(most, b->slots.n_context - slot_at(b, i)->n);
    return most;
}

/* What is drafted in these slots. false: nothing. */
static bool draft(struct batch *b, int32_t first, int32_t n, int32_t most)
{
    bool any = false;

    for (int32_t i = 0; i < n; i++) {
        struct sequence *q = slot_at(b, first + i)->sequence;

        sequence_draft(q, most - 1);
        if (q->n_draft > 0 && !b->engine.ops->can_take_back(b->engine.impl, first + i))
            q->n_draft = 0;
        b->drafts[i] = (struct speculation_row){
            .lookup = q->lookup, .n_draft = q->n_draft, .always = q->drafts_always};
        any = any || q->n_draft > 0;
    }
    return any;
}

/* Drafts what may follow in n slots from `first` on. Returns how many tokens of each the step computes. */
static int32_t plan_step(struct batch *b, int32_t first, int32_t n)
{
    int32_t most = room_for_drafts(b, first, n);
    int32_t chosen = 1;
    int32_t n_tokens = 1;

    if (!draft(b, first, n, most))
        return 1;
    chosen = speculation_tokens(&b->costs, b->drafts, n, most);
    for (int32_t i = first; i < first + n; i++) {
        struct sequence *q = slot_at(b, i)->sequence;

        sequence_cut_draft(q, chosen);
        n_tokens = q->n_draft + 1 > n_tokens ? q->n_draft + 1 : n_tokens;
        q->n_drafted += q->n_draft;
    }
    for (int32_t i = first; i < first + n; i++)
        sequence_fill_step(slot_at(b, i)->sequence, n_tokens);
    return n_tokens;
}

static void decode_step(struct batch *b, int32_t first, int32_t n)
{
    int32_t n_tokens = plan_step(b, first, n);
    int64_t begin = b->options.now_us();

    decode_slots(b, first, n, n_tokens);
    step_costs_measured(&b->costs, n * n_tokens, n_tokens > 1, b->options.now_us() - begin);
}

static void decode(struct batch *b)
{
    for (int32_t i = 0; i < b->slots.n_active; i++) {
        struct slot *slot = slot_at(b, i);

        if (is_decoding(slot))
            reserve_context_for(b, slot);
    }
    for (int32_t first = 0; first < b->slots.n_active; first++) {
        int32_t n = 0;

        while (first + n < b->slots.n_active && is_decoding(slot_at(b, first + n)))
            n++;
        if (n > 0)
            decode_step(b, first, n);
        first += n;
    }
}

static bool any_decoding(struct batch *b)
{
    for (int32_t i = 0; i < b->slots.n_active; i++)
        if (is_decoding(slot_at(b, i)))
            return true;
    return false;
}

void batch_step(struct batch *b)
{
    slots_close_holes(&b->slots);
    prefill(b, any_decoding(b));
    decode(b);
    slots_close_holes(&b->slots);
}

/* ------------------------------------------------------------------ life */

int32_t batch_init(struct batch *b, const struct engine *engine,
                   const struct scheduler_options *options, inf_error *err)
{
    size_t n = (size_t)engine->limits.max_slots;

    b->engine = *engine;
    b->options = *options;
    if (!b->options.now_us)
        b->options.now_us = clock_us;
    step_costs_init(&b->costs);
    b->rows = mem_calloc(n, sizeof *b->rows);
    b->failed = mem_calloc(n, sizeof(struct sequence *));
    b->drafts = mem_calloc(n, sizeof *b->drafts);
    return b->rows && b->failed && b->drafts ? slots_init(&b->slots, &b->engine, err)
                                             : error_no_memory(err);
}

void batch_free(struct batch *b)
{
    slots_free(&b->slots);
    mem_free(b->rows);
    mem_free(b->failed);
    mem_free(b->drafts);
}
