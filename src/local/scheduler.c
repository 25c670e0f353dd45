/*
 * scheduler: see the header. One turn of the worker: take what was handed over, drop what was
 * cancelled, place what waits, prefill a chunk, decode one token of every running sequence, or a few where
 * drafts of them are verified.
 */
#include "local/scheduler.h"

#include "core/clock.h"
#include "core/context.h"
#include "core/memory.h"
#include "core/numbers.h"
#include "local/prefill.h"
#include "local/slots.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

struct list {
    struct sequence *first;
    struct sequence **end;
};

struct scheduler {
    struct engine engine;
    struct scheduler_options options;
    pthread_t thread;

    pthread_mutex_t lock; /* guards the five below */
    pthread_cond_t changed;
    struct list incoming;
    struct scheduler_task *tasks, **tasks_end;
    bool woken, draining;

    struct list waiting; /* the worker's from here on */
    struct slots slots;
    struct engine_row *rows;        /* (max_slots) */
    struct sequence **failed;       /* (max_slots) rows of the call that are not finite */
    struct speculation_row *drafts; /* (max_slots) */
    struct step_costs costs;
    struct prefill_pace pace;
    int64_t turn; /* of prefilling: the next one's number */

    _Atomic int64_t steps, shared_steps, n_rows, requests, prefix_tokens, active, queued;
};

static void list_init(struct list *l)
{
    l->first = NULL;
    l->end = &l->first;
}

static void list_push(struct list *l, struct sequence *q)
{
    q->next = NULL;
    *l->end = q;
    l->end = &q->next;
}

static struct sequence *list_pop(struct list *l)
{
    struct sequence *q = l->first;

    if (q) {
        l->first = q->next;
        if (!l->first)
            l->end = &l->first;
    }
    return q;
}

static void list_append(struct list *l, struct list *more)
{
    if (!more->first)
        return;
    *l->end = more->first;
    l->end = more->end;
    list_init(more);
}

static struct slot *slot_at(struct scheduler *s, int32_t index)
{
    return &s->slots.slot[index];
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

static void end_sequence(struct scheduler *s, struct sequence *q, int32_t finish,
                         const inf_error *err)
{
    if (q->slot >= 0) {
        slots_leave(&s->slots, q->slot);
        atomic_fetch_sub_explicit(&s->active, 1, memory_order_relaxed);
    } else {
        atomic_fetch_sub_explicit(&s->queued, 1, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&s->requests, 1, memory_order_relaxed);
    sequence_end(q, finish, err);
}

/* ------------------------------------------------------------------ ends before their time */

static void drop_stopped_active(struct scheduler *s)
{
    for (int32_t i = 0; i < s->slots.n_active; i++) {
        struct sequence *q = slot_at(s, i)->sequence;
        inf_error err = {0};

        if (q && op_stop_error(q->op, &err) != INF_OK)
            end_sequence(s, q, INF_FINISH_NONE, &err);
    }
}

static void drop_stopped_waiting(struct scheduler *s)
{
    struct list kept;
    struct sequence *q = NULL;

    list_init(&kept);
    while ((q = list_pop(&s->waiting)) != NULL) {
        inf_error err = {0};

        if (op_stop_error(q->op, &err) != INF_OK)
            end_sequence(s, q, INF_FINISH_NONE, &err);
        else
            list_push(&kept, q);
    }
    list_append(&s->waiting, &kept);
}

/* ------------------------------------------------------------------ placing */

static void place(struct scheduler *s, struct sequence *q, int32_t index)
{
    inf_error err = {0};

    if (slots_place(&s->slots, q, index, &err) != INF_OK) {
        end_sequence(s, q, INF_FINISH_NONE, &err);
        return;
    }
    atomic_fetch_sub_explicit(&s->queued, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->active, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->prefix_tokens, q->n_prefix, memory_order_relaxed);
    q->prefill_started_us = clock_us();
    q->prefill_turn = s->turn++;
    op_begin_work(q->op);
}

static void place_waiting(struct scheduler *s)
{
    while (s->waiting.first) {
        int32_t index = slots_find_room(&s->slots);

        if (index < 0)
            break;
        place(s, list_pop(&s->waiting), index);
    }
    slots_close_holes(&s->slots);
}

/* ------------------------------------------------------------------ after a decode */

/* "'a', 'b'"; those for which there is no room are an ellipsis. */
static void list_ids(const struct adapter_set *s, char *out, size_t size)
{
    size_t n = 0;

    for (int32_t i = 0; i < s->n; i++) {
        const char *id = s->list[i].adapter->id;

        if (n + strlen(id) + sizeof "'', ..." > size) {
            memcpy(out + n, "...", sizeof "...");
            return;
        }
        n += (size_t)snprintf(out + n, size - n, i + 1 < s->n ? "'%s', " : "'%s'", id);
    }
}

static void blame(const struct sequence *q, inf_error *err)
{
    char ids[320];

    if (adapter_set_size(q->adapters) > 1) {
        list_ids(q->adapters, ids, sizeof ids);
        error_set(err, INF_ERROR_NOT_FINITE,
                  "the adapters %s together overflow: the logits are NaN or infinite; lower their "
                  "scales, or try each alone",
                  ids);
    } else if (q->adapters)
        error_set(
            err, INF_ERROR_NOT_FINITE,
            "adapter '%s' overflows: its logits are NaN or infinite; lower its scale or train "
            "it again",
            q->adapters->list[0].adapter->id);
    else
        error_set(err, INF_ERROR_NOT_FINITE,
                  "the model's logits are NaN or infinite; the model file is damaged or its "
                  "weights overflow");
}

/* The row's logits are NaN or infinite. Where an adapter of others, or a draft, may have left such values behind
 * the slot is scrubbed and the sequence computed again; else it is to blame and ends alone. */
static void row_not_finite(struct scheduler *s, struct sequence *q)
{
    inf_error err = {0};
    bool others = slot_at(s, q->slot)->suspect;

    sequence_stop_drafting(q);
    if (slots_scrub(&s->slots, q->slot, &err) == INF_OK && others)
        return;
    if (err.code == INF_OK)
        blame(q, &err);
    end_sequence(s, q, INF_FINISH_NONE, &err);
}

/* false: the logits are not finite, and the sequence waits for row_not_finite. */
static bool advance(struct scheduler *s, struct sequence *q, const float *logits)
{
    inf_error err = {0};
    int32_t finish = INF_FINISH_NONE;

    if (q->prefill_done_us == 0)
        q->prefill_done_us = clock_us();
    switch (sequence_advance(q, logits, &finish, &err)) {
    case SEQUENCE_GOES_ON:
        break;
    case SEQUENCE_ENDED:
        end_sequence(s, q, finish, &err);
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

static void count_step(struct scheduler *s, const struct engine_row *rows, int32_t n,
                       int32_t n_tokens)
{
    int32_t adapters = count_adapters(rows, n);

    atomic_fetch_add_explicit(&s->steps, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->shared_steps, n > 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->n_rows, (int64_t)n * n_tokens, memory_order_relaxed);
    for (int32_t i = 0; i < n; i++) {
        struct sequence *q = slot_at(s, rows[i].slot)->sequence;

        q->steps++;
        q->step_rows += n;
        q->step_adapters += adapters;
    }
}

/* Ends every sequence of a failed call; what their slots held before it is still there. */
static void fail_rows(struct scheduler *s, const struct engine_row *rows, int32_t n,
                      const inf_error *err)
{
    for (int32_t i = 0; i < n; i++)
        end_sequence(s, slot_at(s, rows[i].slot)->sequence, INF_FINISH_NONE, err);
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
static bool advance_row(struct scheduler *s, struct sequence *q, const struct engine_row *row,
                        int32_t i)
{
    struct slot *slot = slot_at(s, row->slot);
    int32_t n = 0;
    bool finite = true;

    for (bool goes_on = true; goes_on; n++) {
        q->n_accepted += n > 0;
        finite = advance(s, q, s->engine.ops->logits(s->engine.impl, i, n));
        goes_on = finite && slot->sequence == q && n + 1 < row->n_logits &&
                  q->tokens[q->n_tokens - 1] == slot->tokens[row->position + n + 1];
    }
    if (row->first_logits == 0 && finite)
        slots_take_back(&s->slots, row->slot, row->position + n);
    return finite;
}

/* Decodes n_tokens more tokens of the sequences in slots first .. first+n-1, in one call. When it fails
 * and an adapter may be the cause, the rows of each mix of adapters are tried by themselves. */
static void decode_slots(struct scheduler *s, int32_t first, int32_t n, int32_t n_tokens)
{
    struct engine_row *rows = s->rows;
    int32_t n_failed = 0;
    inf_error err = {0};

    for (int32_t i = 0; i < n; i++)
        rows[i] = row_of(slot_at(s, first + i), first + i, n_tokens);
    if (s->engine.ops->decode(s->engine.impl, rows, n, n_tokens, &err) != INF_OK) {
        int32_t alike = count_alike(rows, n);

        if (alike == n) {
            fail_rows(s, rows, n, &err);
            return;
        }
        decode_slots(s, first, alike, n_tokens);
        decode_slots(s, first + alike, n - alike, n_tokens);
        return;
    }
    count_step(s, rows, n, n_tokens);
    for (int32_t i = 0; i < n; i++) {
        struct sequence *q = slot_at(s, first + i)->sequence;

        if (slots_append(&s->slots, first + i, rows[i].tokens, n_tokens, &err) != INF_OK)
            end_sequence(s, q, INF_FINISH_NONE, &err);
        else if (!rows[i].n_logits)
            slots_keep_state(&s->slots, first + i);
        else if (!advance_row(s, q, &rows[i], i))
            s->failed[n_failed++] = q;
    }
    /* Scrubbing loses the logits of this call: only after every row has been read. */
    for (int32_t i = 0; i < n_failed; i++)
        row_not_finite(s, s->failed[i]);
}

/* ------------------------------------------------------------------ one turn */

/* For all that the slot's sequence has now, so that a prompt makes the slots grow once. */
static bool reserve_context_for(struct scheduler *s, struct slot *slot)
{
    inf_error err = {0};

    if (slots_reserve_context(&s->slots, slot->sequence->n_tokens, &err) == INF_OK)
        return true;
    end_sequence(s, slot->sequence, INF_FINISH_NONE, &err);
    return false;
}

static bool is_prompt(const struct slot *slot)
{
    return slot->sequence && !is_decoding(slot);
}

/* The slot whose prompt waits longest for its turn; -1: there is none. */
static int32_t next_prompt(struct scheduler *s)
{
    int32_t best = -1;

    for (int32_t i = 0; i < s->slots.n_active; i++)
        if (is_prompt(slot_at(s, i)) && (best < 0 || slot_at(s, i)->sequence->prefill_turn <
                                                         slot_at(s, best)->sequence->prefill_turn))
            best = i;
    return best;
}

/* One call: n_tokens of the prompt in slot `first`, and of its neighbours that may have as many, as far
 * as the budget goes. Returns the tokens computed, or 1. */
static int32_t prefill_run(struct scheduler *s, int32_t first, int32_t n_tokens, int32_t budget)
{
    int64_t begin = 0;
    int32_t n = 1;

    while (first + n < s->slots.n_active && (n + 1) * n_tokens <= budget &&
           is_prompt(slot_at(s, first + n)) &&
           prefill_may_share(remaining(slot_at(s, first + n)), n_tokens))
        n++;
    for (int32_t i = first; i < first + n; i++) {
        if (!reserve_context_for(s, slot_at(s, i)))
            return 1;
        slot_at(s, i)->sequence->prefill_turn = s->turn++;
    }
    begin = s->options.now_us();
    decode_slots(s, first, n, n_tokens);
    prefill_pace_measured(&s->pace, n * n_tokens, s->options.now_us() - begin);
    return n * n_tokens;
}

/* As many calls as a step has time for, at least one. */
static void prefill(struct scheduler *s, bool others_decode)
{
    int32_t most = s->engine.limits.max_tokens;
    int32_t budget = prefill_pace_tokens(
        &s->pace, others_decode ? min_i32(most, s->options.prefill_chunk) : most);
    int64_t begin = s->options.now_us();
    int32_t left = budget;
    int32_t first = 0;

    while ((first = next_prompt(s)) >= 0) {
        int32_t limit = slots_prefill_limit(&s->slots, first);
        int32_t n_tokens = min_i32(
            prefill_share(remaining(slot_at(s, first)), min_i32(left, limit)), most);

        if (left < budget && (n_tokens > left || s->options.now_us() - begin >= PREFILL_STEP_US))
            break;
        left -= prefill_run(s, first, n_tokens, left);
    }
}

/* ------------------------------------------------------------------ drafts */

/* Up to how many tokens each of n slots from `first` on can have in one call. */
static int32_t room_for_drafts(struct scheduler *s, int32_t first, int32_t n)
{
    int32_t most = min_i32(SPECULATION_MOST, s->engine.limits.max_tokens) / n;

    for (int32_t i = first; i < first + n; i++)
        most = min_i32(most, s->slots.n_context - slot_at(s, i)->n);
    return most;
}

/* What is drafted in these slots. false: nothing. */
static bool draft(struct scheduler *s, int32_t first, int32_t n, int32_t most)
{
    bool any = false;

    for (int32_t i = 0; i < n; i++) {
        struct sequence *q = slot_at(s, first + i)->sequence;

        sequence_draft(q, most - 1);
        if (q->n_draft > 0 && !s->engine.ops->can_take_back(s->engine.impl, first + i))
            q->n_draft = 0;
        s->drafts[i] = (struct speculation_row){
            .lookup = q->lookup, .n_draft = q->n_draft, .always = q->drafts_always};
        any = any || q->n_draft > 0;
    }
    return any;
}

/* Drafts what may follow in n slots from `first` on. Returns how many tokens of each the step computes. */
static int32_t plan_step(struct scheduler *s, int32_t first, int32_t n)
{
    int32_t most = room_for_drafts(s, first, n);
    int32_t chosen = 1;
    int32_t n_tokens = 1;

    if (!draft(s, first, n, most))
        return 1;
    chosen = speculation_tokens(&s->costs, s->drafts, n, most);
    for (int32_t i = first; i < first + n; i++) {
        struct sequence *q = slot_at(s, i)->sequence;

        sequence_cut_draft(q, chosen);
        n_tokens = q->n_draft + 1 > n_tokens ? q->n_draft + 1 : n_tokens;
        q->n_drafted += q->n_draft;
    }
    for (int32_t i = first; i < first + n; i++)
        sequence_fill_step(slot_at(s, i)->sequence, n_tokens);
    return n_tokens;
}

static void decode_step(struct scheduler *s, int32_t first, int32_t n)
{
    int32_t n_tokens = plan_step(s, first, n);
    int64_t begin = s->options.now_us();

    decode_slots(s, first, n, n_tokens);
    step_costs_measured(&s->costs, n * n_tokens, n_tokens > 1, s->options.now_us() - begin);
}

static void decode(struct scheduler *s)
{
    for (int32_t i = 0; i < s->slots.n_active; i++) {
        struct slot *slot = slot_at(s, i);

        if (is_decoding(slot))
            reserve_context_for(s, slot);
    }
    for (int32_t first = 0; first < s->slots.n_active; first++) {
        int32_t n = 0;

        while (first + n < s->slots.n_active && is_decoding(slot_at(s, first + n)))
            n++;
        if (n > 0)
            decode_step(s, first, n);
        first += n;
    }
}

static bool any_decoding(struct scheduler *s)
{
    for (int32_t i = 0; i < s->slots.n_active; i++)
        if (is_decoding(slot_at(s, i)))
            return true;
    return false;
}

static struct scheduler_task *take_work(struct scheduler *s, bool *over)
{
    struct scheduler_task *tasks = NULL;

    pthread_mutex_lock(&s->lock);
    while (s->slots.n_active == 0 && !s->waiting.first && !s->incoming.first && !s->tasks &&
           !s->woken && !s->draining)
        pthread_cond_wait(&s->changed, &s->lock);
    list_append(&s->waiting, &s->incoming);
    tasks = s->tasks;
    s->tasks = NULL;
    s->tasks_end = &s->tasks;
    s->woken = false;
    *over = s->draining && s->slots.n_active == 0 && !s->waiting.first && !tasks;
    pthread_mutex_unlock(&s->lock);
    return tasks;
}

static void run_tasks(struct scheduler_task *task)
{
    while (task) {
        struct scheduler_task *next = task->next;

        task->run(task);
        task = next;
    }
}

static void *work(void *arg)
{
    struct scheduler *s = arg;
    bool over = false;

    for (;;) {
        struct scheduler_task *tasks = take_work(s, &over);

        if (over)
            return NULL;
        run_tasks(tasks);
        drop_stopped_active(s);
        drop_stopped_waiting(s);
        place_waiting(s);
        prefill(s, any_decoding(s));
        decode(s);
        slots_close_holes(&s->slots);
    }
}

/* ------------------------------------------------------------------ from other threads */

static void free_scheduler(struct scheduler *s)
{
    slots_free(&s->slots);
    mem_free(s->rows);
    mem_free(s->failed);
    mem_free(s->drafts);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

int32_t scheduler_create(struct scheduler **out, const struct engine *engine,
                         const struct scheduler_options *options, inf_error *err)
{
    struct scheduler *s = mem_calloc(1, sizeof *s);
    int32_t code = INF_OK;

    *out = NULL;
    if (!s)
        return error_no_memory(err);
    s->engine = *engine;
    s->options = *options;
    if (!s->options.now_us)
        s->options.now_us = clock_us;
    list_init(&s->incoming);
    list_init(&s->waiting);
    s->tasks_end = &s->tasks;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->rows = mem_calloc((size_t)engine->limits.max_slots, sizeof *s->rows);
    s->failed = mem_calloc((size_t)engine->limits.max_slots, sizeof(struct sequence *));
    s->drafts = mem_calloc((size_t)engine->limits.max_slots, sizeof *s->drafts);
    step_costs_init(&s->costs);
    code = s->rows && s->failed && s->drafts ? slots_init(&s->slots, &s->engine, err)
                                             : error_no_memory(err);
    if (code == INF_OK)
        code = thread_error(thread_start(&s->thread, "inf-worker", work, s), err);
    if (code == INF_OK) {
        *out = s;
        return INF_OK;
    }
    free_scheduler(s);
    return code;
}

static void canceller(void *owner, inf_op *op)
{
    (void)op;
    scheduler_wake(owner);
}

void scheduler_submit(struct scheduler *s, struct sequence *sequence)
{
    atomic_fetch_add_explicit(&s->queued, 1, memory_order_relaxed);
    sequence->row_independent = s->engine.limits.row_independent;
    /* Before the hand-over: afterwards the sequence may end at any moment. */
    op_set_canceller(sequence->op, canceller, s);
    pthread_mutex_lock(&s->lock);
    list_push(&s->incoming, sequence);
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

void scheduler_run_task(struct scheduler *s, struct scheduler_task *task)
{
    task->next = NULL;
    pthread_mutex_lock(&s->lock);
    *s->tasks_end = task;
    s->tasks_end = &task->next;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

void scheduler_wake(struct scheduler *s)
{
    pthread_mutex_lock(&s->lock);
    s->woken = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

void scheduler_get_stats(struct scheduler *s, struct scheduler_stats *out)
{
    *out = (struct scheduler_stats){
        .steps = atomic_load_explicit(&s->steps, memory_order_relaxed),
        .shared_steps = atomic_load_explicit(&s->shared_steps, memory_order_relaxed),
        .rows = atomic_load_explicit(&s->n_rows, memory_order_relaxed),
        .requests = atomic_load_explicit(&s->requests, memory_order_relaxed),
        .prefix_tokens = atomic_load_explicit(&s->prefix_tokens, memory_order_relaxed),
        .active = atomic_load_explicit(&s->active, memory_order_relaxed),
        .queued = atomic_load_explicit(&s->queued, memory_order_relaxed)};
}

void scheduler_drain_and_free(struct scheduler *s, struct scheduler_stats *final)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->draining = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    if (final)
        scheduler_get_stats(s, final);
    free_scheduler(s);
}
