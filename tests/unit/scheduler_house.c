/* scheduler_house: see the header. */
#include "scheduler_house.h"

#include "core/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* ------------------------------------------------------------------ the house */

const struct scheduler_options house_options = {.prefill_chunk = CHUNK, .now_us = free_clock_us};

void open_house(struct house *h, int32_t max_slots)
{
    open_house_of_states(h, max_slots, 0);
}

void open_house_of_states(struct house *h, int32_t max_slots, int32_t max_states)
{
    struct engine_limits limits = {.max_slots = max_slots,
                                   .max_context = 2048,
                                   .max_tokens = MAX_TOKENS,
                                   .n_vocab = FREE_N_VOCAB,
                                   .max_states = max_states};
    struct registry_limits none = {0};

    *h = (struct house){.live = mem_live()};
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->changed, NULL);
    assert_true(free_engine_init(&h->e, &limits));
    h->e.arg = h;
    h->e.has_state = max_states > 0;
    assert_int_equal(inf_context_create(&h->ctx, NULL, NULL), INF_OK);
    assert_int_equal(registry_create(&h->adapters, &none, free_adapter_destroy, NULL), INF_OK);
    assert_int_equal(scheduler_create(&h->s, &h->e.engine, &house_options, NULL), INF_OK);
}

struct scheduler_stats drain(struct house *h)
{
    struct scheduler_stats stats = {0};

    scheduler_drain_and_free(h->s, &stats);
    h->s = NULL;
    return stats;
}

void close_house(struct house *h)
{
    int64_t adapters = 0;
    int64_t pins = 0;
    int64_t bytes = 0;

    if (h->s)
        drain(h);
    assert_string_equal(h->e.complaint, "");
    registry_count(h->adapters, &adapters, &pins, &bytes);
    assert_int_equal(pins, 0);
    assert_int_equal(h->in_flight, 0);
    registry_free(h->adapters);
    assert_int_equal(inf_context_close(h->ctx, NULL), INF_OK);
    free_engine_free(&h->e);
    pthread_mutex_destroy(&h->lock);
    pthread_cond_destroy(&h->changed);
    assert_int_equal(mem_live(), h->live);
}

static void wait_in_worker(struct scheduler_task *task)
{
    struct house *h = (struct house *)(void *)((char *)task - offsetof(struct house, held));

    pthread_mutex_lock(&h->lock);
    h->is_held = true;
    pthread_cond_broadcast(&h->changed);
    while (!h->may_go_on)
        pthread_cond_wait(&h->changed, &h->lock);
    h->is_held = false;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

void hold(struct house *h)
{
    h->may_go_on = false;
    h->held.run = wait_in_worker;
    scheduler_run_task(h->s, &h->held);
    pthread_mutex_lock(&h->lock);
    while (!h->is_held)
        pthread_cond_wait(&h->changed, &h->lock);
    pthread_mutex_unlock(&h->lock);
}

void let_go(struct house *h)
{
    pthread_mutex_lock(&h->lock);
    h->may_go_on = true;
    pthread_cond_broadcast(&h->changed);
    while (h->is_held)
        pthread_cond_wait(&h->changed, &h->lock);
    pthread_mutex_unlock(&h->lock);
}

uint64_t add_adapter(struct house *h, const char *id, struct free_adapter *nature)
{
    inf_adapter_report report = {.struct_size = sizeof report};

    if (!nature)
        nature = &h->ordinary[h->n_ordinary++];
    assert_int_equal(registry_put(h->adapters, id, nature, 1, &report, NULL, NULL), INF_OK);
    return report.generation;
}

/* ------------------------------------------------------------------ requests */

static inf_maybe_f32 scale_of(float scale)
{
    return (inf_maybe_f32){scale != 0, scale};
}

inf_request request_of(const struct guest *g)
{
    static _Thread_local inf_request_adapter list[2];
    inf_request r;

    inf_request_default(&r, sizeof r);
    r.prompt = inf_str(g->prompt);
    if (g->second) {
        list[0] = (inf_request_adapter){inf_str(g->adapter), scale_of(g->scale)};
        list[1] = (inf_request_adapter){inf_str(g->second), scale_of(g->second_scale)};
        r.adapters = list;
        r.n_adapters = 2;
    } else {
        r.adapter_id = inf_str(g->adapter);
        if (g->adapter)
            r.adapter_scale = scale_of(g->scale);
    }
    return r;
}

static int32_t start_drafting(struct sequence *sequence, const struct guest *g)
{
    int32_t reference[MAX_TEXT];
    int32_t n = 0;

    if (g->drafts == DRAFTS_NOTHING)
        return INF_OK;
    for (const char *at = g->reference; at && *at; at++)
        reference[n++] = (unsigned char)*at;
    return sequence_start_drafting(sequence, reference, n, g->drafts == DRAFTS_ALWAYS, NULL);
}

inf_op *try_to_submit(struct house *h, const inf_request *r, const struct guest *g)
{
    struct adapter_set *adapters = NULL;
    struct sequence *sequence = NULL;
    inf_op *op = free_op(h->ctx, r, g->timeout_ms ? g->timeout_ms : -1);

    if (!op)
        return NULL;
    if (adapter_set_pin(&adapters, h->adapters, op_request(op)->adapters,
                        op_request(op)->n_adapters, NULL) != INF_OK ||
        free_sequence(&sequence, op, &free_tokenizer, g->prompt, g->max_tokens, adapters, NULL) !=
            INF_OK) {
        op_abandon(op);
        return NULL;
    }
    if (start_drafting(sequence, g) != INF_OK) {
        sequence_drop(sequence);
        op_abandon(op);
        return NULL;
    }
    atomic_fetch_add(&h->in_flight, 1);
    sequence->in_flight = &h->in_flight;
    scheduler_submit(h->s, sequence);
    return op;
}

inf_op *submit(struct house *h, const struct guest *g)
{
    inf_request r = request_of(g);
    inf_op *op = try_to_submit(h, &r, g);

    assert_non_null(op);
    return op;
}

inf_op *ask(struct house *h, const char *prompt, int32_t max_tokens)
{
    return submit(h, &(struct guest){.prompt = prompt, .max_tokens = max_tokens});
}

inf_result result_of(inf_op *op)
{
    inf_result r = {0};

    assert_int_equal(inf_op_result(op, &r, sizeof r), INF_OK);
    return r;
}

void assert_text(inf_op *op, const char *text)
{
    inf_result r = result_of(op);

    assert_int_equal(r.text.len, strlen(text));
    assert_memory_equal(r.text.data, text, r.text.len);
}

void assert_right_text(const struct house *h, inf_op *op, const struct guest *g, int64_t n)
{
    const char *ids[] = {g->adapter, g->second};
    const float scales[] = {g->scale, g->second_scale};
    struct scaled_adapter list[2];
    char text[MAX_TEXT];
    int32_t count = 0;

    for (; count < 2 && ids[count]; count++) {
        const struct adapter *a = registry_pin(h->adapters, ids[count], strlen(ids[count]));

        assert_non_null(a);
        list[count] = (struct scaled_adapter){a, a->generation,
                                              scales[count] != 0 ? scales[count] : 1};
        registry_unpin(h->adapters, a);
    }
    free_expect(g->prompt, free_key(list, count), (int32_t)n, text);
    assert_text(op, text);
}

void assert_ends(struct house *h, inf_op *op, const struct guest *g, int32_t code)
{
    inf_result r;

    assert_int_equal(inf_op_wait(op, -1, NULL), code);
    r = result_of(op);
    /* Short of memory, the last token may have no text. */
    assert_right_text(h, op, g,
                      code == INF_ERROR_NO_MEMORY ? (int64_t)r.text.len : r.completion_tokens);
    assert_int_equal(r.finish, code == INF_OK ? INF_FINISH_LENGTH : INF_FINISH_NONE);
    if (code == INF_OK)
        assert_int_equal(r.completion_tokens, g->max_tokens);
    inf_op_release(op);
}

void assert_answered(struct house *h, inf_op *op, const char *prompt, int32_t n)
{
    assert_ends(h, op, &(struct guest){.prompt = prompt, .max_tokens = n}, INF_OK);
}

/* ------------------------------------------------------------------ reading the record */

int32_t count_calls(const struct house *h, enum free_kind kind)
{
    int32_t n = 0;

    for (size_t i = 0; i < h->e.n_calls; i++)
        n += h->e.calls[i].kind == kind;
    return n;
}

const char *who_and_how_many(const struct house *h)
{
    static char text[4096];
    size_t n = 0;

    text[0] = '\0';
    for (size_t i = 0; i < h->e.n_calls && n < sizeof text - 64; i++) {
        const struct free_call *call = &h->e.calls[i];

        if (call->kind != FREE_DECODE)
            continue;
        if (n)
            text[n++] = ' ';
        for (int32_t k = 0; k < call->n_rows; k++)
            text[n++] = (char)call->rows[k].name;
        n += (size_t)sprintf(text + n, ":%d", call->n_tokens);
    }
    return text;
}

int32_t number_of(const struct house *h, const struct free_call *call)
{
    return call->kind == FREE_DECODE ? count_calls(h, FREE_DECODE) - 1 : -1;
}

void fill_text(char *text, char first, int32_t n)
{
    memset(text, 'x', (size_t)n);
    text[0] = first;
    text[n] = '\0';
}
