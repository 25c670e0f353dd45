/*
 * sequence: from tokens to a result: when it stops, what its text is, what it says of itself. The logits
 * are the test's: each token is chosen by being the largest. The vocabulary is the bytes, 0 the end.
 */
#include "free_engine.h"

#include "core/op_state.h"
#include "core/memory.h"
#include "local/logit_scan.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define FFFD "\xEF\xBF\xBD"

struct bench {
    inf_context *ctx;
    struct registry *adapters;
    inf_op *op;
    struct sequence *sequence; /* NULL once it has ended */
    enum sequence_state state; /* of the last advance */
    int32_t finish;
    inf_error err;
    int64_t live; /* allocations, before */
};

/* ------------------------------------------------------------------ the bench */

static inf_request request(void)
{
    inf_request r;

    inf_request_default(&r, sizeof r);
    r.prompt = inf_str("prompt");
    return r;
}

static void open_bench(struct bench *b, const inf_request *r)
{
    struct registry_limits none = {0};

    *b = (struct bench){.live = mem_live()};
    assert_int_equal(inf_context_create(&b->ctx, NULL, NULL), INF_OK);
    assert_int_equal(registry_create(&b->adapters, &none, free_adapter_destroy, NULL), INF_OK);
    b->op = free_op(b->ctx, r, -1);
    assert_non_null(b->op);
}

static void open_sequence(struct bench *b, const inf_request *r, int32_t max_tokens)
{
    open_bench(b, r);
    assert_int_equal(
        free_sequence(&b->sequence, b->op, &free_tokenizer, "prompt", max_tokens, NULL, NULL),
        INF_OK);
}

static void end(struct bench *b, int32_t finish, const inf_error *err)
{
    sequence_end(b->sequence, finish, err);
    b->sequence = NULL;
}

static void close_bench(struct bench *b)
{
    int64_t adapters = 0;
    int64_t pins = 0;
    int64_t bytes = 0;

    if (b->sequence)
        end(b, INF_FINISH_STOP, NULL);
    registry_count(b->adapters, &adapters, &pins, &bytes);
    assert_int_equal(pins, 0);
    inf_op_release(b->op);
    registry_free(b->adapters);
    assert_int_equal(inf_context_close(b->ctx, NULL), INF_OK);
    assert_int_equal(mem_live(), b->live);
}

/* Logits that make `token` the choice and the one below it the second best. */
static const float *logits_for(int32_t token)
{
    static float logits[FREE_N_VOCAB];

    for (int32_t i = 0; i < FREE_N_VOCAB; i++)
        logits[i] = -(float)abs(i - token) - (i > token ? 0.5f : 0);
    return logits;
}

static void advance(struct bench *b, int32_t token)
{
    b->state = sequence_advance(b->sequence, logits_for(token), &b->finish, &b->err);
    if (b->state == SEQUENCE_ENDED)
        end(b, b->finish, &b->err);
}

/* The tokens of n bytes, until it ends. */
static void say(struct bench *b, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n && b->sequence; i++)
        advance(b, (unsigned char)bytes[i]);
}

static inf_result result_of(const struct bench *b)
{
    inf_result r = {0};

    assert_int_equal(inf_op_result(b->op, &r, sizeof r), INF_OK);
    return r;
}

static void assert_text(const struct bench *b, const char *text)
{
    inf_result r = result_of(b);

    assert_int_equal(r.text.len, strlen(text));
    assert_memory_equal(r.text.data, text, r.text.len);
}

/* What can be seen of it so far. */
static void assert_shown(const struct bench *b, const char *text)
{
    assert_int_equal(b->op->text.len, strlen(text));
    if (b->op->text.len)
        assert_memory_equal(b->op->text.data, text, b->op->text.len);
}

static void assert_ended(const struct bench *b, int32_t finish, int64_t n_tokens)
{
    inf_result r = result_of(b);

    assert_null(b->sequence);
    assert_int_equal(inf_op_error(b->op, NULL), INF_OK);
    assert_int_equal(r.finish, finish);
    assert_int_equal(r.completion_tokens, n_tokens);
    assert_int_equal(r.n_token_ids, n_tokens);
    assert_string_equal(r.finish_reason.data, finish == INF_FINISH_STOP ? "stop" : "length");
}

/* ------------------------------------------------------------------ ends */

static void test_length__ends_after_max_tokens(void **state)
{
    inf_request r = request();
    struct bench b;

    (void)state;
    open_sequence(&b, &r, 4);
    say(&b, "wel", 3);
    assert_int_equal(b.state, SEQUENCE_GOES_ON);
    say(&b, "l!", 2);
    assert_ended(&b, INF_FINISH_LENGTH, 4);
    assert_text(&b, "well");
    close_bench(&b);
}

static void test_end_token__ends__its_id_is_kept_but_no_text(void **state)
{
    inf_request r = request();
    struct bench b;

    (void)state;
    open_sequence(&b, &r, 10);
    say(&b, "ok\0x", 4);
    assert_ended(&b, INF_FINISH_STOP, 3);
    assert_text(&b, "ok");
    assert_int_equal(result_of(&b).token_ids[0], 'o');
    assert_int_equal(result_of(&b).token_ids[1], 'k');
    assert_int_equal(result_of(&b).token_ids[2], FREE_END);
    close_bench(&b);
}

static void test_end_token__as_the_last_one_allowed__is_a_stop(void **state)
{
    inf_request r = request();
    struct bench b;

    (void)state;
    open_sequence(&b, &r, 3);
    say(&b, "ok\0", 3);
    assert_ended(&b, INF_FINISH_STOP, 3);
    close_bench(&b);
}

static void test_ignore_eos__goes_on_after_the_end_token(void **state)
{
    inf_request r = request();
    struct bench b;

    (void)state;
    r.ignore_eos = true;
    open_sequence(&b, &r, 5);
    say(&b, "ok\0no", 5);
    assert_ended(&b, INF_FINISH_LENGTH, 5);
    assert_text(&b, "okno");
    close_bench(&b);
}

static void test_stop_id__ends__whatever_ignore_eos_says(void **state)
{
    const int32_t ids[] = {'x', '!'};

    (void)state;
    for (int ignore = 0; ignore < 2; ignore++) {
        inf_request r = request();
        struct bench b;

        r.stop_token_ids = ids;
        r.n_stop_token_ids = 2;
        r.ignore_eos = ignore;
        open_sequence(&b, &r, 10);
        say(&b, "ok! yes", 7);
        assert_ended(&b, INF_FINISH_STOP, 3);
        assert_text(&b, "ok");
        close_bench(&b);
    }
}

static void test_stop_string__ends_the_text_before_it(void **state)
{
    const inf_text stop[] = {{"\n\n", 2}, {"END", 3}};
    inf_request r = request();
    struct bench b;

    (void)state;
    r.stop = stop;
    r.n_stop = 2;
    open_sequence(&b, &r, 20);
    say(&b, "theEND and more", 15);
    assert_ended(&b, INF_FINISH_STOP, 6);
    assert_text(&b, "the");
    close_bench(&b);
}

static void test_stop_string__only_begun__is_shown_at_the_end(void **state)
{
    const inf_text stop = {"END", 3};
    inf_request r = request();
    struct bench b;

    (void)state;
    r.stop = &stop;
    r.n_stop = 1;
    open_sequence(&b, &r, 5);
    say(&b, "theE", 4);
    assert_shown(&b, "the");
    say(&b, "N", 1);
    assert_ended(&b, INF_FINISH_LENGTH, 5);
    assert_text(&b, "theEN");
    close_bench(&b);
}

static void test_stop_string__with_the_last_token__is_a_stop(void **state)
{
    const inf_text stop = {"END", 3};
    inf_request r = request();
    struct bench b;

    (void)state;
    r.stop = &stop;
    r.n_stop = 1;
    open_sequence(&b, &r, 6);
    say(&b, "theEND", 6);
    assert_ended(&b, INF_FINISH_STOP, 6);
    close_bench(&b);
}

static void test_error__keeps_text_tokens_and_counts(void **state)
{
    inf_request r = request();
    inf_error cause;
    struct bench b;

    (void)state;
    open_sequence(&b, &r, 10);
    say(&b, "we", 2);
    error_set(&cause, INF_ERROR_BACKEND, "broken");
    end(&b, INF_FINISH_STOP, &cause);
    assert_int_equal(inf_op_error(b.op, &cause), INF_ERROR_BACKEND);
    assert_string_equal(cause.message, "broken");
    assert_text(&b, "we");
    assert_int_equal(result_of(&b).finish, INF_FINISH_NONE);
    assert_null(result_of(&b).finish_reason.data);
    assert_int_equal(result_of(&b).completion_tokens, 2);
    assert_int_equal(result_of(&b).n_token_ids, 2);
    assert_int_equal(result_of(&b).prompt_tokens, 6);
    close_bench(&b);
}

static void test_error__before_the_first_token__has_no_text(void **state)
{
    inf_request r = request();
    inf_error cause;
    struct bench b;

    (void)state;
    open_sequence(&b, &r, 10);
    end(&b, INF_FINISH_NONE, (error_set(&cause, INF_ERROR_CANCELLED, "cancelled"), &cause));
    assert_text(&b, "");
    assert_int_equal(result_of(&b).completion_tokens, 0);
    assert_int_equal(result_of(&b).n_token_ids, 0);
    assert_int_equal(result_of(&b).timings.prefill_us, 0);
    assert_int_equal(result_of(&b).timings.first_token_us, 0);
    assert_int_equal(result_of(&b).timings.queued_us, result_of(&b).timings.total_us);
    close_bench(&b);
}

/* ------------------------------------------------------------------ text */

static void test_code_point_of_several_tokens__is_shown_when_it_is_whole(void **state)
{
    inf_request r = request();
    struct bench b;

    (void)state;
    open_sequence(&b, &r, 5);
    say(&b, "a\xE2\x82", 3);
    assert_shown(&b, "a");
    say(&b, "\xAC", 1);
    assert_shown(&b, "a\xE2\x82\xAC");
    close_bench(&b);
}

static void test_code_point__cut_off_by_the_end__is_replaced(void **state)
{
    inf_request r = request();
    struct bench b;

    (void)state;
    open_sequence(&b, &r, 3);
    say(&b, "a\xE2\x82", 3);
    assert_ended(&b, INF_FINISH_LENGTH, 3);
    assert_text(&b, "a" FFFD);
    close_bench(&b);
}

static void test_text_kept_back_by_the_decoder__is_shown_at_the_end(void **state)
{
    inf_request r = request();
    struct bench b;

    (void)state;
    open_sequence(&b, &r, 4);
    say(&b, "a^b^", 3);
    assert_shown(&b, "a^b");
    say(&b, "^", 1);
    assert_ended(&b, INF_FINISH_LENGTH, 4);
    assert_text(&b, "a^b^");
    close_bench(&b);
}

static void test_chunk__says_how_many_tokens_there_are(void **state)
{
    inf_request r = request();
    struct bench b;

    (void)state;
    open_sequence(&b, &r, 5);
    say(&b, "\xE2\x82\xAC", 3);
    assert_int_equal(b.op->n_tokens, 3);
    close_bench(&b);
}

/* ------------------------------------------------------------------ log-probabilities */

static void assert_piece(inf_text piece, const char *text)
{
    assert_int_equal(piece.len, strlen(text));
    assert_memory_equal(piece.data, text, piece.len);
}

static void test_logprobs__of_each_token__with_the_alternatives_asked_for(void **state)
{
    inf_request r = request();
    const inf_logprob *l = NULL;
    struct bench b;

    (void)state;
    r.logprobs = (inf_maybe_i32){true, 2};
    open_sequence(&b, &r, 10);
    say(&b, "we\0", 3);
    assert_ended(&b, INF_FINISH_STOP, 3);
    assert_int_equal(result_of(&b).n_logprobs, 3);
    l = &result_of(&b).logprobs[1];
    assert_int_equal(l->token_id, 'e');
    assert_piece(l->piece, "e");
    assert_float_equal(l->logprob, logits_logprob(logits_for('e'), FREE_N_VOCAB, 'e'), 0);
    assert_int_equal(l->n_top, 2);
    assert_int_equal(l->top[0].token_id, 'e');
    assert_float_equal(l->top[0].logprob, l->logprob, 0);
    assert_int_equal(l->top[1].token_id, 'd');
    assert_piece(l->top[1].piece, "d");
    assert_float_equal(l->top[1].logprob, l->logprob - 1, 1e-6);
    assert_piece(result_of(&b).logprobs[2].piece, "<end>"); /* here special tokens are named */
    close_bench(&b);
}

static void test_logprobs__none_asked_for__none_given(void **state)
{
    inf_request r = request();
    struct bench b;

    (void)state;
    open_sequence(&b, &r, 2);
    say(&b, "we", 2);
    assert_int_equal(result_of(&b).n_logprobs, 0);
    assert_null(result_of(&b).logprobs);
    close_bench(&b);
}

static void test_logprobs__zero__has_tokens_without_alternatives(void **state)
{
    inf_request r = request();
    struct bench b;

    (void)state;
    r.logprobs = (inf_maybe_i32){true, 0};
    open_sequence(&b, &r, 2);
    say(&b, "we", 2);
    assert_int_equal(result_of(&b).n_logprobs, 2);
    assert_int_equal(result_of(&b).logprobs[0].n_top, 0);
    assert_int_equal(result_of(&b).logprobs[0].token_id, 'w');
    close_bench(&b);
}

/* ------------------------------------------------------------------ sampling */

static void test_not_finite__changes_nothing(void **state)
{
    float logits[FREE_N_VOCAB];
    inf_request r = request();
    struct bench b;

    (void)state;
    open_sequence(&b, &r, 2);
    say(&b, "w", 1);
    memcpy(logits, logits_for('x'), sizeof logits);
    logits[3] = NAN;
    assert_int_equal(sequence_advance(b.sequence, logits, &b.finish, &b.err), SEQUENCE_NOT_FINITE);
    assert_int_equal(b.err.code, INF_OK);
    say(&b, "e", 1);
    assert_ended(&b, INF_FINISH_LENGTH, 2);
    assert_text(&b, "we");
    close_bench(&b);
}

static struct sequence *sequence_with(struct bench *b, const struct sampling_options *o,
                                      const struct sampling_constraint *constraint)
{
    struct sequence *s = NULL;

    assert_int_equal(sequence_create(&s, b->op, &free_tokenizer, NULL), INF_OK);
    assert_int_equal(sampler_create(&s->sampler, o, constraint, NULL), INF_OK);
    s->tokens = mem_calloc(1, sizeof *s->tokens);
    assert_non_null(s->tokens);
    s->tokens[0] = 'e';
    s->n_prompt = 1;
    s->max_tokens = 10;
    assert_int_equal(sequence_begin(s, NULL), INF_OK);
    return s;
}

static void forbid_all(void *constraint, float *logits, int32_t n_vocab)
{
    (void)constraint;
    for (int32_t i = 0; i < n_vocab; i++)
        logits[i] = -INFINITY;
}

static bool forbids(void *constraint, int32_t token)
{
    (void)constraint, (void)token;
    return false;
}

static void test_grammar_without_a_way_on__is_an_error_of_the_request(void **state)
{
    const struct sampling_constraint nothing = {.apply = forbid_all, .allows = forbids};
    const struct sampling_options o = {
        .top_p = 1, .repetition_penalty = 1, .n_vocab = FREE_N_VOCAB};
    inf_request r = request();
    struct bench b;

    (void)state;
    open_bench(&b, &r);
    b.sequence = sequence_with(&b, &o, &nothing);
    say(&b, "w", 1);
    assert_null(b.sequence);
    assert_int_equal(inf_op_error(b.op, &b.err), INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(b.err.message, "the grammar allows no token"));
    close_bench(&b);
}

static void test_penalties__count_the_prompt_and_what_was_generated(void **state)
{
    const struct sampling_options o = {.top_p = 1,
                                       .repetition_penalty = 1,
                                       .presence_penalty = 1.25f,
                                       .penalty_last_n = 64,
                                       .n_vocab = FREE_N_VOCAB};
    inf_request r = request();
    struct bench b;

    (void)state;
    open_bench(&b, &r);
    b.sequence = sequence_with(&b, &o, NULL);
    say(&b, "eex", 3); /* 'e' is in the prompt: first 'd' is better, then no longer */
    end(&b, INF_FINISH_STOP, NULL);
    assert_text(&b, "dex");
    close_bench(&b);
}

/* ------------------------------------------------------------------ what it says of itself */

static void test_result__tells_steps_prefix_and_timings(void **state)
{
    inf_request r = request();
    inf_result result;
    struct bench b;

    (void)state;
    open_sequence(&b, &r, 2);
    b.sequence->n_prefix = 4;
    b.sequence->steps = 4;
    b.sequence->step_rows = 10;
    b.sequence->step_adapters = 6;
    b.sequence->prefill_started_us = op_started_us(b.op) + 1;
    b.sequence->prefill_done_us = b.sequence->prefill_started_us + 5;
    say(&b, "we", 2);
    result = result_of(&b);
    assert_int_equal(result.prompt_tokens, 6);
    assert_int_equal(result.token_count, 8);
    assert_int_equal(result.prefix_tokens, 4);
    assert_int_equal(result.steps, 4);
    assert_true(result.mean_rows == 2.5);
    assert_true(result.mean_adapters == 1.5);
    assert_int_equal(result.timings.queued_us, 1);
    assert_int_equal(result.timings.prefill_us, 5);
    assert_true(result.timings.first_token_us + result.timings.decode_us <=
                result.timings.total_us);
    close_bench(&b);
}

static void count_unloaded(void *arg)
{
    ++*(int32_t *)arg;
}

static void put_adapter(struct bench *b, const char *id, struct free_adapter *nature)
{
    inf_adapter_report report = {.struct_size = sizeof report};

    assert_int_equal(registry_put(b->adapters, id, nature, 1, &report, NULL, NULL), INF_OK);
}

static struct adapter_set *pin_adapters(struct bench *b)
{
    const inf_request *r = op_request(b->op);
    struct adapter_set *set = NULL;

    assert_int_equal(adapter_set_pin(&set, b->adapters, r->adapters, r->n_adapters, NULL), INF_OK);
    return set;
}

static void test_end__lets_the_adapters_go_and_counts_down(void **state)
{
    static const inf_request_adapter used[] = {{{"poet", 4}, {true, 0.25f}},
                                               {{"pirate", 6}, {false, 0}}};
    struct free_adapter natures[2] = {{0}};
    _Atomic int64_t in_flight = 1;
    inf_request r = request();
    int32_t unloaded = 0;
    struct adapter_set *key = NULL;
    struct bench b;

    (void)state;
    r.adapters = used;
    r.n_adapters = 2;
    open_bench(&b, &r);
    put_adapter(&b, "poet", &natures[0]);
    put_adapter(&b, "pirate", &natures[1]);
    assert_int_equal(
        free_sequence(&b.sequence, b.op, &free_tokenizer, "prompt", 2, pin_adapters(&b), NULL),
        INF_OK);
    key = adapter_set_ref(b.sequence->adapters);
    assert_int_equal(adapter_set_size(key), 2);
    assert_true(key->list[0].scale == 0.25f && key->list[1].scale == 1);
    b.sequence->in_flight = &in_flight;
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            registry_remove(b.adapters, i ? "pirate" : "poet", count_unloaded, &unloaded, NULL),
            INF_OK);
    say(&b, "w", 1);
    assert_int_equal(unloaded, 0);
    say(&b, "e", 1);
    assert_int_equal(unloaded, 2);
    assert_true(natures[0].destroyed && natures[1].destroyed);
    assert_int_equal(in_flight, 0);
    assert_int_equal(adapter_set_size(key), 2); /* what was computed with them is still known */
    assert_int_equal(key->list[1].generation, 2);
    adapter_set_unref(key);
    close_bench(&b);
}

/* ------------------------------------------------------------------ sets of adapters */

static const inf_request_adapter two[] = {{{"poet", 4}, {true, 2}}, {{"pirate", 6}, {true, 3}}};
static const inf_request_adapter two_turned[] = {{{"pirate", 6}, {true, 3}},
                                                 {{"poet", 4}, {true, 2}}};
static const inf_request_adapter two_scaled[] = {{{"poet", 4}, {true, 2}},
                                                 {{"pirate", 6}, {true, 4}}};
static const inf_request_adapter twice[] = {{{"poet", 4}, {true, 2}}, {{"poet", 4}, {true, 2}}};
static const inf_request_adapter one_unknown[] = {{{"poet", 4}, {true, 2}},
                                                  {{"poets", 5}, {true, 3}}};

static struct adapter_set *set_of(struct bench *b, const inf_request_adapter *list, size_t n)
{
    struct adapter_set *set = NULL;

    assert_int_equal(adapter_set_pin(&set, b->adapters, list, n, NULL), INF_OK);
    return set;
}

static void test_set__equal__is_the_same_pairs_in_the_same_order(void **state)
{
    struct free_adapter natures[2] = {{0}};
    inf_request r = request();
    struct adapter_set *sets[7];
    struct bench b;

    (void)state;
    open_bench(&b, &r);
    put_adapter(&b, "poet", &natures[0]);
    put_adapter(&b, "pirate", &natures[1]);
    sets[0] = set_of(&b, two, 2);
    sets[1] = set_of(&b, two_turned, 2);
    sets[2] = set_of(&b, two_scaled, 2);
    sets[3] = set_of(&b, twice, 2);
    sets[4] = set_of(&b, two, 1);
    sets[5] = set_of(&b, NULL, 0);
    sets[6] = set_of(&b, two, 2);
    assert_null(sets[5]);
    for (int i = 0; i < 7; i++)
        for (int k = 0; k < 7; k++)
            assert_int_equal(adapter_set_equal(sets[i], sets[k]),
                             i == k || (i + k == 6 && i % 6 == 0));
    assert_int_equal(adapter_set_common(sets[0], sets[6]), 2);
    assert_int_equal(adapter_set_common(sets[0], sets[2]), 1);
    assert_int_equal(adapter_set_common(sets[0], sets[4]), 1);
    assert_int_equal(adapter_set_common(sets[0], sets[1]), 0);
    assert_int_equal(adapter_set_common(sets[0], NULL), 0);
    adapter_set_unpin(sets[0]);
    assert_true(adapter_set_equal(sets[0], sets[6]));
    for (int i = 0; i < 7; i++)
        adapter_set_unref(sets[i]);
    op_finish(b.op, &b.err);
    close_bench(&b);
}

static void test_set__one_is_not_loaded__names_it_and_pins_none(void **state)
{
    struct free_adapter nature = {0};
    inf_request r = request();
    struct adapter_set *set = NULL;
    struct bench b;

    (void)state;
    open_bench(&b, &r);
    put_adapter(&b, "poet", &nature);
    assert_int_equal(adapter_set_pin(&set, b.adapters, one_unknown, 2, &b.err),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_null(set);
    assert_non_null(strstr(b.err.message, "adapter 'poets' is not loaded"));
    mem_fail_nth(1);
    assert_int_equal(adapter_set_pin(&set, b.adapters, two, 1, &b.err), INF_ERROR_NO_MEMORY);
    mem_fail_nth(0);
    assert_null(set);
    op_finish(b.op, &b.err);
    close_bench(&b); /* no pin is left */
}

/* ------------------------------------------------------------------ out of memory */

/* A request for everything that a sequence can hold. */
static inf_request demanding_request(void)
{
    static const int32_t ids[] = {1, 2};
    static const inf_text stop = {"END", 3};
    inf_request r = request();

    r.stop = &stop;
    r.n_stop = 1;
    r.stop_token_ids = ids;
    r.n_stop_token_ids = 2;
    r.logprobs = (inf_maybe_i32){true, 3};
    return r;
}

static void test_create__each_allocation_fails_once__nothing_is_left(void **state)
{
    inf_request r = demanding_request();
    int32_t code = INF_ERROR_NO_MEMORY;

    (void)state;
    for (int64_t nth = 1; code != INF_OK; nth++) {
        struct free_adapter nature = {0};
        struct adapter_set *adapters = NULL;
        struct bench b;

        open_bench(&b, &r);
        put_adapter(&b, "poet", &nature);
        adapters = set_of(&b, twice, 2);
        mem_fail_nth(nth);
        code = free_sequence(&b.sequence, b.op, &free_tokenizer, "prompt", 2, adapters, &b.err);
        mem_fail_nth(0);
        if (code != INF_OK) {
            assert_int_equal(code, INF_ERROR_NO_MEMORY);
            assert_int_equal(b.err.code, INF_ERROR_NO_MEMORY);
            assert_null(b.sequence);
            op_finish(b.op, &b.err);
        }
        close_bench(&b); /* the pins are gone, however it went */
    }
}

static void test_advance__each_allocation_fails_once__ends_with_what_there_is(void **state)
{
    static const char words[] = "the quick brown fox jumps over the lazy dog";
    inf_request r = demanding_request();
    int32_t code = INF_ERROR_NO_MEMORY;
    int64_t nth = 0;

    (void)state;
    while (code != INF_OK) {
        inf_result result;
        struct bench b;

        open_sequence(&b, &r, (int32_t)strlen(words));
        mem_fail_nth(++nth);
        say(&b, words, strlen(words));
        mem_fail_nth(0);
        assert_null(b.sequence);
        code = inf_op_error(b.op, NULL);
        assert_true(code == INF_OK || code == INF_ERROR_NO_MEMORY);
        result = result_of(&b);
        assert_int_equal(result.finish, code == INF_OK ? INF_FINISH_LENGTH : INF_FINISH_NONE);
        assert_in_range(result.text.len, 0, result.completion_tokens);
        if (result.text.len)
            assert_memory_equal(result.text.data, words, result.text.len);
        if (code == INF_OK)
            assert_int_equal(result.text.len, strlen(words));
        close_bench(&b);
    }
    assert_true(nth > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_length__ends_after_max_tokens),
        cmocka_unit_test(test_end_token__ends__its_id_is_kept_but_no_text),
        cmocka_unit_test(test_end_token__as_the_last_one_allowed__is_a_stop),
        cmocka_unit_test(test_ignore_eos__goes_on_after_the_end_token),
        cmocka_unit_test(test_stop_id__ends__whatever_ignore_eos_says),
        cmocka_unit_test(test_stop_string__ends_the_text_before_it),
        cmocka_unit_test(test_stop_string__only_begun__is_shown_at_the_end),
        cmocka_unit_test(test_stop_string__with_the_last_token__is_a_stop),
        cmocka_unit_test(test_error__keeps_text_tokens_and_counts),
        cmocka_unit_test(test_error__before_the_first_token__has_no_text),
        cmocka_unit_test(test_code_point_of_several_tokens__is_shown_when_it_is_whole),
        cmocka_unit_test(test_code_point__cut_off_by_the_end__is_replaced),
        cmocka_unit_test(test_text_kept_back_by_the_decoder__is_shown_at_the_end),
        cmocka_unit_test(test_chunk__says_how_many_tokens_there_are),
        cmocka_unit_test(test_logprobs__of_each_token__with_the_alternatives_asked_for),
        cmocka_unit_test(test_logprobs__none_asked_for__none_given),
        cmocka_unit_test(test_logprobs__zero__has_tokens_without_alternatives),
        cmocka_unit_test(test_not_finite__changes_nothing),
        cmocka_unit_test(test_grammar_without_a_way_on__is_an_error_of_the_request),
        cmocka_unit_test(test_penalties__count_the_prompt_and_what_was_generated),
        cmocka_unit_test(test_result__tells_steps_prefix_and_timings),
        cmocka_unit_test(test_end__lets_the_adapters_go_and_counts_down),
        cmocka_unit_test(test_set__equal__is_the_same_pairs_in_the_same_order),
        cmocka_unit_test(test_set__one_is_not_loaded__names_it_and_pins_none),
        cmocka_unit_test(test_create__each_allocation_fails_once__nothing_is_left),
        cmocka_unit_test(test_advance__each_allocation_fails_once__ends_with_what_there_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
