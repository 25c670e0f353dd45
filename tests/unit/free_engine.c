/*
 * free_engine: see the header. Its own memory comes from malloc, so that a test that lets allocations of
 * the library fail does not hit it.
 */
#include "free_engine.h"

#include "core/request.h"
#include "core/memory.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static _Atomic int64_t clock_now_us;

int64_t free_clock_us(void)
{
    return atomic_load(&clock_now_us);
}

static void complain(struct free_engine *e, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void complain(struct free_engine *e, const char *format, ...)
{
    va_list args;

    if (e->complaint[0])
        return;
    va_start(args, format);
    vsnprintf(e->complaint, sizeof e->complaint, format, args);
    va_end(args);
}

/* ------------------------------------------------------------------ the record */

/* The call's place in the record; whether it is to fail stands in it. */
static struct free_call *begin(struct free_engine *e, enum free_kind kind, int32_t a, int32_t b)
{
    struct free_call *call = NULL;

    if (e->n_calls == e->calls_capacity) {
        e->calls_capacity = e->calls_capacity * 2 + 64;
        e->calls = realloc(e->calls, e->calls_capacity * sizeof *e->calls);
        if (!e->calls)
            abort();
    }
    call = &e->calls[e->n_calls++];
    *call = (struct free_call){.kind = kind, .a = a, .b = b};
    return call;
}

static bool is_failing(struct free_engine *e, struct free_call *call)
{
    if (e->on_call)
        e->on_call(e->arg, call);
    call->failed = e->fail_nth[call->kind] > 0 && --e->fail_nth[call->kind] == 0;
    return call->failed;
}

static int32_t failure(inf_error *err)
{
    return error_set(err, INF_ERROR_BACKEND, "the test says so");
}

static bool is_slot(struct free_engine *e, int32_t slot, const char *what)
{
    if (slot >= 0 && slot < e->n_slots)
        return true;
    complain(e, "%s: there is no slot %d", what, slot);
    return false;
}

/* Whatever may move the memory makes the logits of the last decode unreadable. */
static void forget_logits(struct free_engine *e)
{
    memset(e->wanted, 0, sizeof e->wanted);
    e->n_logits = 0;
}

/* ------------------------------------------------------------------ decode */

static uint64_t mix(uint64_t sum, uint64_t value)
{
    sum = (sum ^ value) * 0x9E3779B97F4A7C15u;
    return sum ^ sum >> 29;
}

uint64_t free_key(const struct scaled_adapter *adapters, int32_t n)
{
    uint64_t key = 0;

    for (int32_t i = 0; i < n; i++) {
        uint32_t bits = 0;

        memcpy(&bits, &adapters[i].scale, sizeof bits);
        key = mix(mix(key, adapters[i].generation), bits);
    }
    return key;
}

static uint64_t key_of(const struct adapter_set *s)
{
    return s ? free_key(s->list, s->n) : 0;
}

static struct free_cell next_cell(uint64_t sum, int32_t token, uint64_t key)
{
    return (struct free_cell){token, key, mix(mix(sum, (uint64_t)token), key)};
}

static int32_t token_after(uint64_t sum)
{
    return 'a' + (int32_t)(sum >> 40) % 26;
}

void free_expect(const char *prompt, uint64_t key, int32_t n, char *out)
{
    uint64_t sum = 0;
    int32_t token = 0;

    for (; *prompt; prompt++)
        sum = next_cell(sum, (unsigned char)*prompt, key).sum;
    for (; n > 0; n--) {
        token = token_after(sum);
        *out++ = (char)token;
        sum = next_cell(sum, token, key).sum;
    }
    *out = '\0';
}

/* Of several, together: what one of them does happens. */
static struct free_adapter nature(const struct adapter_set *s)
{
    struct free_adapter all = {0};

    for (int32_t i = 0; i < adapter_set_size(s); i++) {
        const struct free_adapter *one = s->list[i].adapter->payload;

        all.overflows |= one && one->overflows;
        all.leaves_dirt |= one && one->leaves_dirt;
        all.destroyed |= one && one->destroyed;
    }
    return all;
}

static bool is_pinned(const struct adapter_set *s)
{
    for (int32_t i = 0; i < adapter_set_size(s); i++)
        if (!s->list[i].adapter)
            return false;
    return true;
}

static void check_row(struct free_engine *e, const struct engine_row *rows, int32_t i,
                      int32_t n_tokens)
{
    const struct engine_row *r = &rows[i];
    const struct free_slot *slot = &e->slots[r->slot];
    const struct free_cell *last = slot->n ? &slot->cells[slot->n - 1] : NULL;

    if (r->slot != rows[0].slot + i)
        complain(e, "decode: the slots of its rows are not neighbours");
    if (r->position != slot->n)
        complain(e, "decode: slot %d holds %d tokens, not %d", r->slot, slot->n, r->position);
    if (r->position + n_tokens > e->n_context)
        complain(e, "decode: slot %d has no room for %d tokens", r->slot, r->position + n_tokens);
    if (!is_pinned(r->adapters) || nature(r->adapters).destroyed)
        complain(e, "decode: slot %d has an adapter that is gone", r->slot);
    if (last && last->key != key_of(r->adapters))
        complain(e, "decode: slot %d holds tokens of other adapters", r->slot);
    if (r->n_logits < 0 || r->first_logits < 0 || r->first_logits + r->n_logits > n_tokens)
        complain(e, "decode: slot %d wants %d logits from %d on", r->slot, r->n_logits,
                 r->first_logits);
    for (int32_t t = 0; t < n_tokens; t++)
        if (r->tokens[t] < 0 || r->tokens[t] >= FREE_N_VOCAB)
            complain(e, "decode: slot %d has a token %d", r->slot, r->tokens[t]);
}

static void check_decode(struct free_engine *e, const struct engine_row *rows, int32_t n_rows,
                         int32_t n_tokens)
{
    if (n_rows < 1 || n_tokens < 1 || n_rows * n_tokens > e->engine.limits.max_tokens)
        complain(e, "decode: %d rows of %d tokens", n_rows, n_tokens);
    if (n_rows < 1 || !is_slot(e, rows[0].slot, "decode") ||
        !is_slot(e, rows[0].slot + n_rows - 1, "decode"))
        return;
    for (int32_t i = 0; i < n_rows && !e->complaint[0]; i++)
        check_row(e, rows, i, n_tokens);
}

static void record_rows(struct free_engine *e, struct free_call *call,
                        const struct engine_row *rows)
{
    for (int32_t i = 0; i < call->n_rows; i++) {
        const struct engine_row *r = &rows[i];
        const struct free_slot *slot = &e->slots[r->slot];

        call->rows[i] = (struct free_row){.slot = r->slot,
                                          .position = r->position,
                                          .name = slot->n ? slot->cells[0].token : r->tokens[0],
                                          .first_logits = r->first_logits,
                                          .n_logits = r->n_logits};
    }
}

static bool has_failing_adapter(const struct free_engine *e, const struct engine_row *rows,
                                int32_t n_rows)
{
    for (int32_t i = 0; i < n_rows; i++)
        for (int32_t k = 0; k < adapter_set_size(rows[i].adapters); k++)
            if (rows[i].adapters->list[k].generation == e->failing_generation)
                return true;
    return false;
}

static bool is_nan_row(struct free_engine *e, const struct engine_row *row, int32_t name)
{
    struct free_adapter its = nature(row->adapters);

    if (e->slots[row->slot].dirty && (its.overflows || !its.leaves_dirt))
        return true;
    if (!row->n_logits || e->nan_rows[name] == 0)
        return false;
    e->nan_rows[name] -= e->nan_rows[name] > 0;
    return true;
}

/* What follows the first n tokens of a slot. */
static int32_t next_token(const struct free_engine *e, const struct free_slot *slot, int32_t n)
{
    int32_t name = slot->cells[0].token;
    const char *script = e->script[name];
    size_t at = (size_t)(n - e->script_at[name]);

    if (!script)
        return token_after(slot->cells[n - 1].sum);
    return at < strlen(script) ? (unsigned char)script[at] : FREE_END;
}

static void set_logits(struct free_engine *e, const struct engine_row *row, int32_t i)
{
    const struct free_slot *slot = &e->slots[row->slot];
    bool is_nan = is_nan_row(e, row, slot->cells[0].token);

    e->wanted[i] = row->n_logits;
    e->wanted_at[i] = e->n_logits;
    for (int32_t t = 0; t < row->n_logits; t++, e->n_logits++) {
        float *logits = e->logits + (size_t)e->n_logits * FREE_N_VOCAB;

        for (int32_t k = 0; k < FREE_N_VOCAB; k++)
            logits[k] = -(float)k;
        logits[next_token(e, slot, row->position + row->first_logits + t + 1)] = 1;
        if (is_nan)
            logits[FREE_N_VOCAB - 1] = NAN;
    }
}

/* How a token is computed: from 64 rows on in tiles of 64, below in one piece. */
static uint64_t kernel(int32_t t, int32_t n_tokens)
{
    return n_tokens < 64 ? (uint64_t)n_tokens : 64 + (uint64_t)t % 64;
}

static void compute_row(struct free_engine *e, const struct engine_row *row, int32_t i,
                        int32_t n_tokens)
{
    struct free_slot *slot = &e->slots[row->slot];

    for (int32_t t = 0; t < n_tokens; t++) {
        uint64_t sum = slot->n ? slot->cells[slot->n - 1].sum : 0;

        slot->cells[slot->n] = next_cell(sum, row->tokens[t], key_of(row->adapters));
        if (e->cuts_show)
            slot->cells[slot->n].sum = mix(slot->cells[slot->n].sum, kernel(t, n_tokens));
        slot->n++;
    }
    if (nature(row->adapters).overflows || nature(row->adapters).leaves_dirt)
        slot->dirty = true;
    if (row->n_logits)
        set_logits(e, row, i);
}

static int32_t free_decode(void *engine, const struct engine_row *rows, int32_t n_rows,
                           int32_t n_tokens, inf_error *err)
{
    struct free_engine *e = engine;
    struct free_call *call = NULL;

    if (e->step_us)
        nanosleep(&(struct timespec){0, e->step_us * 1000L}, NULL);
    if (e->blind)
        return error_none(err);
    atomic_fetch_add(&clock_now_us, e->call_us + (int64_t)e->token_us * n_rows * n_tokens);
    forget_logits(e);
    check_decode(e, rows, n_rows, n_tokens);
    if (e->complaint[0]) /* nothing that follows would make sense */
        return failure(err);
    call = begin(e, FREE_DECODE, 0, 0);
    call->n_rows = n_rows;
    call->n_tokens = n_tokens;
    record_rows(e, call, rows);
    if (is_failing(e, call) || has_failing_adapter(e, rows, n_rows)) {
        call->failed = true;
        return failure(err);
    }
    for (int32_t i = 0; i < n_rows; i++)
        compute_row(e, &rows[i], i, n_tokens);
    return error_none(err);
}

static const float *free_logits(void *engine, int32_t row, int32_t i)
{
    struct free_engine *e = engine;

    if (e->blind)
        return e->logits;
    if (row < 0 || row >= FREE_MAX_SLOTS || i < 0 || i >= e->wanted[row]) {
        complain(e, "logits: row %d has none number %d", row, i);
        return e->logits;
    }
    return e->logits + (size_t)(e->wanted_at[row] + i) * FREE_N_VOCAB;
}

/* ------------------------------------------------------------------ slots */

static bool free_can_take_back(void *engine, int32_t slot)
{
    const struct free_engine *e = engine;

    return e->blind || (is_slot(engine, slot, "can_take_back") && !e->refuses_truncate);
}

static int32_t free_truncate(void *engine, int32_t slot, int32_t n)
{
    struct free_engine *e = engine;

    if (e->blind || !is_slot(e, slot, "truncate"))
        return n;
    if (n < 0 || n > e->slots[slot].n)
        complain(e, "truncate: slot %d holds %d tokens, not %d", slot, e->slots[slot].n, n);
    else if (is_failing(e, begin(e, FREE_TRUNCATE, slot, n)) || e->refuses_truncate ||
             (e->has_state && n < e->slots[slot].n))
        e->slots[slot].n = 0;
    else
        e->slots[slot].n = n;
    return e->slots[slot].n;
}

static int32_t free_swap(void *engine, int32_t a, int32_t b, inf_error *err)
{
    struct free_engine *e = engine;
    struct free_slot held;
    bool dirty = false;

    if (e->blind || !is_slot(e, a, "swap") || !is_slot(e, b, "swap"))
        return error_none(err);
    if (a == b)
        complain(e, "swap: slot %d with itself", a);
    forget_logits(e);
    held = e->slots[a];
    dirty = e->slots[a].dirty || e->slots[b].dirty;
    if (is_failing(e, begin(e, FREE_SWAP, a, b))) {
        e->slots[a].n = e->slots[b].n = 0;
        return failure(err);
    }
    e->slots[a] = e->slots[b];
    e->slots[b] = held;
    /* What moved may carry such values along, and may leave some behind. */
    e->slots[a].dirty = e->slots[b].dirty = dirty;
    return error_none(err);
}

static int32_t free_copy(void *engine, int32_t from, int32_t to, inf_error *err)
{
    struct free_engine *e = engine;

    if (e->blind || !is_slot(e, from, "copy") || !is_slot(e, to, "copy"))
        return error_none(err);
    if (from == to)
        complain(e, "copy: slot %d onto itself", from);
    forget_logits(e);
    if (is_failing(e, begin(e, FREE_COPY, from, to))) {
        e->slots[to].n = 0;
        return failure(err);
    }
    e->slots[to].n = e->slots[from].n;
    e->slots[to].dirty |= e->slots[from].dirty;
    memcpy(e->slots[to].cells, e->slots[from].cells,
           (size_t)e->slots[from].n * sizeof *e->slots[from].cells);
    return error_none(err);
}

static int32_t free_scrub(void *engine, int32_t slot, inf_error *err)
{
    struct free_engine *e = engine;
    bool fails = false;

    if (e->blind || !is_slot(e, slot, "scrub"))
        return error_none(err);
    forget_logits(e);
    fails = is_failing(e, begin(e, FREE_SCRUB, slot, 0));
    e->slots[slot].n = 0;
    if (fails)
        return failure(err);
    e->slots[slot].dirty = false;
    return error_none(err);
}

static int32_t free_reserve(void *engine, int32_t n_slots, int32_t n_context, inf_error *err)
{
    struct free_engine *e = engine;

    if (e->blind)
        return error_none(err);
    if (n_slots < e->n_slots || n_slots > e->engine.limits.max_slots || n_context < e->n_context ||
        n_context > e->engine.limits.max_context)
        complain(e, "reserve: %d slots of %d tokens after %d of %d", n_slots, n_context, e->n_slots,
                 e->n_context);
    forget_logits(e);
    if (is_failing(e, begin(e, FREE_RESERVE, n_slots, n_context)))
        return failure(err);
    e->n_slots = n_slots;
    e->n_context = n_context;
    return error_none(err);
}

/* ------------------------------------------------------------------ states */

/* Of a slot behind n tokens. */
struct engine_state {
    int32_t n;
    uint64_t sum;
};

static struct engine_state *free_save(void *engine, int32_t slot)
{
    struct free_engine *e = engine;
    const struct free_slot *s = &e->slots[slot];
    struct engine_state *state = NULL;

    if (!is_slot(e, slot, "save") || is_failing(e, begin(e, FREE_SAVE, slot, s->n)))
        return NULL;
    if (!e->has_state || s->n == 0)
        complain(e, "save: slot %d holds %d tokens", slot, s->n);
    if (++e->n_states > e->engine.limits.max_states)
        complain(e, "save: %d states", e->n_states);
    state = mem_calloc(1, sizeof *state);
    if (state)
        *state = (struct engine_state){s->n, s->cells[s->n - 1].sum};
    return state;
}

static int32_t free_restore(void *engine, int32_t slot, int32_t n, const struct engine_state *state)
{
    struct free_engine *e = engine;

    if (!is_slot(e, slot, "restore"))
        return 0;
    forget_logits(e);
    if (n < 1 || n > e->slots[slot].n || state->n != n ||
        state->sum != e->slots[slot].cells[n - 1].sum)
        complain(e, "restore: slot %d is not what was saved behind %d tokens", slot, n);
    e->slots[slot].n = is_failing(e, begin(e, FREE_RESTORE, slot, n)) ? 0 : n;
    return e->slots[slot].n;
}

static void free_free_state(void *engine, struct engine_state *state)
{
    struct free_engine *e = engine;

    e->n_states--;
    mem_free(state);
}

/* ------------------------------------------------------------------ life */

bool free_engine_init(struct free_engine *e, const struct engine_limits *limits)
{
    static const struct engine_ops ops = {.decode = free_decode,
                                          .logits = free_logits,
                                          .can_take_back = free_can_take_back,
                                          .truncate = free_truncate,
                                          .swap = free_swap,
                                          .copy = free_copy,
                                          .scrub = free_scrub,
                                          .reserve = free_reserve,
                                          .save = free_save,
                                          .restore = free_restore,
                                          .free_state = free_free_state};
    bool ok = true;

    *e = (struct free_engine){.engine = {.ops = &ops, .impl = e, .limits = *limits}};
    e->logits = calloc((size_t)FREE_MAX_LOGITS * (size_t)limits->n_vocab, sizeof *e->logits);
    ok = e->logits != NULL;
    for (int32_t i = 0; i < limits->max_slots && ok; i++) {
        e->slots[i].cells = calloc((size_t)limits->max_context, sizeof *e->slots[i].cells);
        ok = e->slots[i].cells != NULL;
    }
    if (!ok)
        free_engine_free(e);
    return ok;
}

void free_engine_free(struct free_engine *e)
{
    for (int32_t i = 0; i < FREE_MAX_SLOTS; i++)
        free(e->slots[i].cells);
    free(e->logits);
    free(e->calls);
}

void free_engine_script(struct free_engine *e, const char *prompt, const char *text)
{
    unsigned char name = (unsigned char)prompt[0];

    e->script[name] = text;
    e->script_at[name] = (int32_t)strlen(prompt);
}

void free_adapter_destroy(void *payload)
{
    struct free_adapter *adapter = payload;

    adapter->destroyed = true;
}

/* ------------------------------------------------------------------ tokenizer and requests */

/* '^' waits for the token that follows it. */
struct decoder {
    bool waits;
};

static enum token_kind kind(void *impl, int32_t token)
{
    (void)impl;
    return token == FREE_END ? TOKEN_END : TOKEN_TEXT;
}

static bool token_text(void *impl, int32_t token, struct buffer *out)
{
    char byte = (char)token;

    (void)impl;
    return token == FREE_END ? buffer_append_str(out, "<end>") : buffer_append(out, &byte, 1);
}

static struct decoder *decoder_create(void *impl)
{
    (void)impl;
    return mem_calloc(1, sizeof(struct decoder));
}

static bool decoder_finish(struct decoder *d, struct buffer *out)
{
    bool waits = d->waits;

    d->waits = false;
    return !waits || buffer_append_str(out, "^");
}

static bool decoder_push(struct decoder *d, int32_t token, struct buffer *out)
{
    bool ok = decoder_finish(d, out);

    d->waits = token == '^';
    return ok && (d->waits || token == FREE_END || token_text(NULL, token, out));
}

static void decoder_free(struct decoder *d)
{
    mem_free(d);
}

static const struct tokenizer_ops tokenizer_ops = {.kind = kind,
                                                   .token_text = token_text,
                                                   .decoder_create = decoder_create,
                                                   .decoder_push = decoder_push,
                                                   .decoder_finish = decoder_finish,
                                                   .decoder_free = decoder_free};
const struct tokenizer free_tokenizer = {.ops = &tokenizer_ops, .n_vocab = FREE_N_VOCAB};

inf_op *free_op(inf_context *ctx, const inf_request *request, int64_t timeout_ms)
{
    static const struct provider_ops in_process = {.in_process = true, .many_adapters = true};
    struct op_times times = {timeout_ms, timeout_ms};
    inf_request *copy = NULL;
    inf_op *op = NULL;

    if (op_create(&op, ctx, NULL, OP_GENERATE, NULL, &times, NULL) != INF_OK)
        return NULL;
    if (request_copy(&copy, request, &in_process, NULL) != INF_OK) {
        op_abandon(op);
        return NULL;
    }
    op_set_request(op, copy);
    return op;
}

int32_t free_sequence(struct sequence **out, inf_op *op, const struct tokenizer *tokenizer,
                      const char *prompt, int32_t max_tokens, struct adapter_set *adapters,
                      inf_error *err)
{
    struct sampling_options o = {
        .top_p = 1, .repetition_penalty = 1, .n_vocab = tokenizer->n_vocab};
    int32_t n = (int32_t)strlen(prompt);
    struct sequence *s = NULL;
    int32_t code = sequence_create(&s, op, tokenizer, err);

    *out = NULL;
    if (code == INF_OK)
        code = sampler_create(&s->sampler, &o, NULL, err);
    if (code == INF_OK && !(s->tokens = mem_alloc((size_t)n * sizeof *s->tokens)))
        code = error_no_memory(err);
    for (; code == INF_OK && s->n_prompt < n; s->n_prompt++)
        s->tokens[s->n_prompt] = (unsigned char)prompt[s->n_prompt];
    if (code == INF_OK)
        code = sequence_begin(s, err);
    if (code != INF_OK) {
        sequence_drop(s);
        adapter_set_unref(adapters);
        return code;
    }
    s->max_tokens = max_tokens;
    s->adapters = adapters;
    *out = s;
    return INF_OK;
}
