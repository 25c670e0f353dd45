/*
 * The llama.cpp provider: the conformance list, and what only a provider in process can show.
 * The model is a random one of one layer (see scripts/make_parity_models.py).
 */
#include "conformance.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIXTURES TEST_SOURCE_DIR "/parity/fixtures/one-layer"

static const struct subject llamacpp = {.type = INF_PROVIDER_LLAMACPP,
                                        .base_url = FIXTURES "/base.gguf",
                                        .adapters = {FIXTURES "/adapter-0", FIXTURES "/adapter-1",
                                                     FIXTURES "/adapter-2", FIXTURES "/adapter-3"},
                                        .in_process = true,
                                        .has_adapters = true};

/* ------------------------------------------------------------------ the model */

static void test_model__no_path__generate_says_what_to_set(void **state)
{
    struct bench b;
    inf_provider_config config = subject_config();
    inf_request request = greedy("hi", 4, NULL);
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    config.base_url = "";
    open_bench(&b, &config);
    assert_int_equal(inf_generate(&op, b.provider, &request, &err), INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "LLAMACPP_MODEL_PATH"));
    inf_op_release(op);
    assert_int_equal(inf_adapter_load(b.provider, "a", subject->adapters[0], NULL, &err),
                     INF_ERROR_INVALID_ARGUMENT);
    close_bench(&b);
}

static void expect_load_error(const char *path, int32_t code)
{
    struct bench b;
    inf_provider_config config = subject_config();
    inf_error err;

    config.base_url = path;
    open_bench(&b, &config);
    assert_int_equal(inf_provider_load(b.provider, &err), code);
    assert_true(err.message[0] && !strchr(err.message, '\n'));
    close_bench(&b);
}

static void test_model__missing_or_foreign_file__is_one_clear_error(void **state)
{
    (void)state;
    expect_load_error("/nonexistent/model.gguf", INF_ERROR_IO);
    expect_load_error(FIXTURES "/adapter-0/adapter_model.safetensors", INF_ERROR_BAD_FORMAT);
}

static void on_progress(void *user_data, inf_op *op, float fraction)
{
    float *last = user_data;

    (void)op;
    assert_true(fraction > *last && fraction <= 1.0f);
    *last = fraction;
}

static void test_model__load__reports_progress_up_to_one(void **state)
{
    struct bench b;
    float last = -1;
    inf_callbacks callbacks;
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    inf_callbacks_default(&callbacks, sizeof callbacks);
    callbacks.on_progress = on_progress;
    callbacks.user_data = &last;
    open_bench(&b, NULL);
    assert_false(stats_of(&b).model_loaded);
    assert_int_equal(inf_provider_load_start(&op, b.provider, &callbacks, &err), INF_OK);
    assert_int_equal(inf_op_wait(op, -1, &err), INF_OK);
    assert_true(last == 1.0f);
    assert_true(stats_of(&b).model_loaded);
    inf_op_release(op);
    close_bench(&b);
}

static void test_model__unload_and_generate__loads_again_and_keeps_adapters(void **state)
{
    struct bench b;
    inf_request request = greedy("What is gravity?", 8, "x");
    inf_op *before = NULL;
    inf_op *after = NULL;
    inf_result a, r;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    load(&b, "x", subject->adapters[0]);
    assert_false(stats_of(&b).model_loaded);
    before = run(&b, &request);
    assert_int_equal(inf_provider_unload(b.provider, &err), INF_OK);
    assert_false(stats_of(&b).model_loaded);
    assert_int_equal(stats_of(&b).kv_bytes, 0);
    after = run(&b, &request);
    a = result_of(before);
    r = result_of(after);
    assert_int_equal(a.text.len, r.text.len);
    assert_memory_equal(a.text.data, r.text.data, a.text.len);
    assert_int_equal(stats_of(&b).requests, 2);
    inf_op_release(before);
    inf_op_release(after);
    close_bench(&b);
}

/* ------------------------------------------------------------------ the window */

static void test_window__prompt_too_long__is_context_full(void **state)
{
    struct bench b;
    inf_provider_config config = subject_config();
    char prompt[600];
    inf_request request;
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    memset(prompt, 'x', sizeof prompt - 1);
    prompt[sizeof prompt - 1] = '\0';
    config.n_ctx = 64;
    open_bench(&b, &config);
    for (size_t i = 0; i < sizeof prompt - 1; i += 2)
        prompt[i] = (char)('a' + i % 23);
    request = greedy(prompt, 4, NULL);
    assert_int_equal(inf_generate(&op, b.provider, &request, &err), INF_ERROR_CONTEXT_FULL);
    assert_true(err.detail >= 64);
    inf_op_release(op);
    close_bench(&b);
}

static void test_window__max_tokens_beyond_it__is_clamped_to_length(void **state)
{
    struct bench b;
    inf_provider_config config = subject_config();
    inf_request request = greedy("hello", 4000, NULL);
    inf_op *op = NULL;
    inf_result r;

    (void)state;
    config.n_ctx = 64;
    open_bench(&b, &config);
    op = run(&b, &request);
    r = result_of(op);
    assert_int_equal(r.finish, INF_FINISH_LENGTH);
    assert_int_equal(r.token_count, 64);
    inf_op_release(op);
    close_bench(&b);
}

static void test_window__longer_than_the_first_allocation__grows_while_decoding(void **state)
{
    struct bench b;
    inf_request request = greedy("hello", 3000, NULL);
    inf_op *ops[6] = {NULL};
    inf_result first, other;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    for (int i = 0; i < 6; i++)
        assert_int_equal(inf_generate_start(&ops[i], b.provider, &request, NULL, &err), INF_OK);
    for (int i = 0; i < 6; i++)
        assert_int_equal(inf_op_wait(ops[i], -1, &err), INF_OK);
    first = result_of(ops[0]);
    assert_int_equal(first.completion_tokens, 3000);
    for (int i = 1; i < 6; i++) {
        other = result_of(ops[i]);
        assert_int_equal(other.completion_tokens, 3000);
    }
    for (int i = 0; i < 6; i++)
        inf_op_release(ops[i]);
    close_bench(&b);
}

/* Gemma looks back at a window. What a grown context or another slot took over is the last window
 * alone: a prefix that ends before it is no prefix. */
static void assert_reuse_changes_nothing(const char *model, int32_t max_sequences)
{
    struct bench b;
    inf_provider_config config = subject_config();
    inf_request request = greedy("0 The quick brown fox jumps over the lazy dog", 4, NULL);
    inf_op *fresh = NULL, *grown = NULL, *again = NULL;
    inf_result f, a;
    inf_error err;

    config.base_url = model;
    config.max_sequences = max_sequences;
    request.logprobs = (inf_maybe_i32){true, 0};
    open_bench(&b, &config);
    fresh = run(&b, &request);
    request.max_tokens.value = 1200;
    assert_int_equal(inf_generate_start(&grown, b.provider, &request, NULL, &err), INF_OK);
    if (max_sequences == 1)
        assert_int_equal(inf_op_wait(grown, -1, &err), INF_OK);
    else
        usleep(150000); /* well beyond the window, and still decoding */
    request.max_tokens.value = 4;
    again = run(&b, &request);
    f = result_of(fresh);
    a = result_of(again);
    for (size_t i = 0; i < f.n_logprobs; i++)
        assert_true(fabsf(f.logprobs[i].logprob - a.logprobs[i].logprob) < 1e-2f);
    inf_op_cancel(grown);
    inf_op_release(fresh);
    inf_op_release(grown);
    inf_op_release(again);
    close_bench(&b);
}

static void test_prefix__of_a_model_with_a_sliding_window__is_whole_or_not_used(void **state)
{
    (void)state;
    for (int32_t n = 1; n <= 2; n++) {
        assert_reuse_changes_nothing(TEST_SOURCE_DIR "/parity/fixtures/gemma3/base.gguf", n);
        assert_reuse_changes_nothing(TEST_SOURCE_DIR "/parity/fixtures/gemma2/base.gguf", n);
    }
}

static void test_kv_budget__not_one_window__is_a_limit_that_says_what_to_do(void **state)
{
    struct bench b;
    inf_provider_config config = subject_config();
    inf_error err;

    (void)state;
    config.kv_budget_bytes = 1024;
    open_bench(&b, &config);
    assert_int_equal(inf_provider_load(b.provider, &err), INF_ERROR_LIMIT);
    assert_non_null(strstr(err.message, "kv_budget_bytes"));
    close_bench(&b);
}

/* ------------------------------------------------------------------ batching */

/* Eight at once, to their ends: the rows of the step that the loneliest of them had on average. */
static double run_eight(struct bench *b, const inf_request *request)
{
    inf_op *ops[8];
    inf_error err;
    double least = 8;

    for (int i = 0; i < 8; i++)
        assert_int_equal(inf_generate_start(&ops[i], b->provider, request, NULL, &err), INF_OK);
    for (int i = 0; i < 8; i++) {
        inf_result r;

        assert_int_equal(inf_op_wait(ops[i], -1, &err), INF_OK);
        r = result_of(ops[i]);
        least = r.mean_rows < least ? r.mean_rows : least;
        assert_true(r.mean_adapters == 0);
        inf_op_release(ops[i]);
    }
    return least;
}

static void test_batch__concurrent_requests__share_steps(void **state)
{
    struct bench b;
    inf_request request = greedy("What is gravity?", 1500, NULL);
    inf_provider_stats before, after;
    double mean_rows = 0;

    (void)state;
    open_bench(&b, NULL);
    request.speculate = INF_SPECULATE_OFF;
    /* On a busy machine one may end before the last comes: again, then. */
    for (int tries = 0; tries < 20 && mean_rows <= 4; tries++) {
        before = stats_of(&b);
        mean_rows = run_eight(&b, &request);
        after = stats_of(&b);
    }
    assert_true(mean_rows > 4);
    /* 12,000 tokens in far fewer steps than tokens, most of them shared */
    assert_true(after.steps - before.steps < 6000);
    assert_true(after.shared_steps - before.shared_steps > 1200);
    assert_int_equal(after.active, 0);
    assert_int_equal(after.queued, 0);
    close_bench(&b);
}

static void test_batch__queue_full__is_refused_at_once(void **state)
{
    struct bench b;
    inf_provider_config config = subject_config();
    inf_request request = greedy("hello", 500, NULL);
    inf_op *ops[3];
    inf_op *refused = NULL;
    inf_error err;

    (void)state;
    config.max_sequences = 1;
    config.queue_limit = 2;
    open_bench(&b, &config);
    for (int i = 0; i < 3; i++)
        assert_int_equal(inf_generate_start(&ops[i], b.provider, &request, NULL, &err), INF_OK);
    assert_int_equal(inf_generate_start(&refused, b.provider, &request, NULL, &err),
                     INF_ERROR_LIMIT);
    assert_null(refused);
    for (int i = 0; i < 3; i++) {
        inf_op_cancel(ops[i]);
        assert_int_equal(inf_op_wait(ops[i], -1, &err), INF_ERROR_CANCELLED);
        inf_op_release(ops[i]);
    }
    close_bench(&b);
}

static void test_prefix__same_prompt_again__is_not_computed_again(void **state)
{
    struct bench b;
    inf_request request = greedy("A rather long prompt, so that it is worth keeping.", 8, NULL);
    inf_op *first = NULL;
    inf_op *second = NULL;
    inf_op *adapted = NULL;
    inf_result a, r;

    (void)state;
    open_bench(&b, NULL);
    load(&b, "x", subject->adapters[0]);
    first = run(&b, &request);
    second = run(&b, &request);
    a = result_of(first);
    r = result_of(second);
    assert_int_equal(a.prefix_tokens, 0);
    assert_int_equal(r.prefix_tokens, r.prompt_tokens - 1);
    assert_memory_equal(a.text.data, r.text.data, a.text.len);
    request.adapter_id = inf_str("x");
    adapted = run(&b, &request);
    assert_int_equal(result_of(adapted).prefix_tokens, 0); /* never another adapter's KV */
    inf_op_release(adapted);
    request.adapter_scale = (inf_maybe_f32){true, 0.5f};
    adapted = run(&b, &request);
    assert_int_equal(result_of(adapted).prefix_tokens, 0); /* nor another scale's */
    inf_op_release(adapted);
    inf_op_release(first);
    inf_op_release(second);
    close_bench(&b);
}

/* ------------------------------------------------------------------ overflow */

/* Keeps the worker busy for a while, so that what is started meanwhile begins in one batch. */
static inf_op *hold_worker(struct bench *b)
{
    static int32_t ids[1500];
    inf_logits_request request;
    inf_op *op = NULL;
    inf_error err;

    for (int i = 0; i < 1500; i++)
        ids[i] = i % 200;
    inf_logits_request_default(&request, sizeof request);
    request.token_ids = ids;
    request.n_token_ids = 1500;
    assert_int_equal(inf_logits_start(&op, b->provider, &request, NULL, &err), INF_OK);
    return op;
}

/* Four requests in one batch, the third under `id` at `scale`; the others must not notice. */
static void run_four(struct bench *b, const char *prompt, const char *id, float scale, int32_t n,
                     inf_op **ops)
{
    inf_op *hold = hold_worker(b);
    inf_error err;

    for (int i = 0; i < 4; i++) {
        inf_request request = greedy(prompt, n, i == 1 ? "fine" : i == 2 ? id : NULL);

        request.logprobs = (inf_maybe_i32){true, 0};
        if (i == 2)
            request.adapter_scale = (inf_maybe_f32){true, scale};
        assert_int_equal(inf_generate_start(&ops[i], b->provider, &request, NULL, &err), INF_OK);
    }
    for (int i = 0; i < 4; i++)
        inf_op_wait(ops[i], -1, NULL);
    assert_int_equal(inf_op_wait(hold, -1, NULL), INF_OK);
    inf_op_release(hold);
}

static void release_four(inf_op **ops)
{
    for (int i = 0; i < 4; i++)
        inf_op_release(ops[i]);
}

/* The first block of a prompt goes alone: it shows how much a step has time for. */
static void measure_pace(struct bench *b)
{
    char text[101] = "";
    inf_request request = greedy(text, 1, NULL);

    memset(text, 'Z', 100);
    text[100] = '\0';
    request.prompt = inf_str(text);
    inf_op_release(run(b, &request));
}

/* The same, again from the start until one batch had all four: on a busy machine one may come late. */
static void run_four_together(struct bench *b, const char *prompt, float scale, inf_op **ops)
{
    for (int attempt = 0; attempt < 50; attempt++) {
        measure_pace(b);
        run_four(b, prompt, "bad", scale, 1, ops);
        if (result_of(ops[0]).mean_rows == 4 && result_of(ops[1]).mean_rows == 4 &&
            result_of(ops[3]).mean_rows == 4)
            return;
        release_four(ops);
        assert_int_equal(inf_provider_unload(b->provider, NULL), INF_OK); /* no prefixes kept */
    }
    fail_msg("four requests never shared a batch");
}

static void assert_bit_for_bit(const inf_op *a, const inf_op *b)
{
    assert_int_equal(inf_op_error(a, NULL), INF_OK);
    assert_int_equal(inf_op_error(b, NULL), INF_OK);
    assert_same_answer(a, b);
}

static void check_overflow(int32_t flash_attention, size_t prompt_len)
{
    struct bench b;
    inf_provider_config config = subject_config();
    char *prompt = malloc(prompt_len + 1);
    inf_op *harmless[4];
    inf_op *harmful[4];
    inf_op *afterwards[4];

    for (size_t i = 0; i < prompt_len; i++)
        prompt[i] = (char)('a' + (i * 7 + i / 5) % 26);
    prompt[prompt_len] = '\0';
    config.flash_attention = flash_attention;
    config.prefill_chunk = 512;
    open_bench(&b, &config);
    load(&b, "fine", subject->adapters[0]);
    load(&b, "bad", subject->adapters[1]);
    /* One token: the failing row ends at the same step as the harmless one in its place. */
    run_four_together(&b, prompt, 1.0f, harmless);
    assert_int_equal(inf_op_error(harmless[2], NULL), INF_OK);
    assert_int_equal(inf_provider_unload(b.provider, NULL), INF_OK); /* no prefixes kept */
    run_four_together(&b, prompt, 1e38f, harmful);
    assert_int_equal(inf_op_error(harmful[2], NULL), INF_ERROR_NOT_FINITE);
    for (int i = 0; i < 4; i++)
        if (i != 2)
            assert_bit_for_bit(harmless[i], harmful[i]);
    /* The slot it used is clean: everything runs again, on every slot, as it did at first. */
    run_four(&b, prompt, "bad", 1.0f, 1, afterwards);
    for (int i = 0; i < 4; i++)
        assert_int_equal(inf_op_error(afterwards[i], NULL), INF_OK);
    release_four(harmless);
    release_four(harmful);
    release_four(afterwards);
    close_bench(&b);
    free(prompt);
}

/* Beside one that decodes a prompt goes in blocks of 64, alone in larger calls. */
static void test_prefill__beside_one_that_decodes__has_the_same_bits(void **state)
{
    struct bench b;
    inf_provider_config config = subject_config();
    char text[231];
    inf_request request = greedy(text, 1, NULL);
    inf_request long_one = greedy("Z", 3000, NULL);
    inf_op *alone = NULL;
    inf_op *beside = NULL;
    inf_op *other = NULL;
    inf_error err;

    (void)state;
    for (int i = 0; i < 230; i++)
        text[i] = (char)('a' + (i * 7 + i / 5) % 26);
    text[230] = '\0';
    request.prompt = inf_str(text);
    request.logprobs = (inf_maybe_i32){true, 5};
    long_one.ignore_eos = true;
    long_one.speculate = INF_SPECULATE_OFF;
    config.flash_attention = INF_FLASH_ATTENTION_ON;
    config.prefill_chunk = 64;
    open_bench(&b, &config);
    measure_pace(&b);
    alone = run(&b, &request);
    assert_int_equal(inf_provider_unload(b.provider, NULL), INF_OK); /* no prefix kept */
    measure_pace(&b);
    assert_int_equal(inf_generate_start(&other, b.provider, &long_one, NULL, &err), INF_OK);
    while (stats_of(&b).steps < 5) /* it decodes */
        usleep(100);
    beside = run(&b, &request);
    assert_false(inf_op_poll(other));
    assert_int_equal(result_of(alone).prefix_tokens, 0);
    assert_int_equal(result_of(beside).prefix_tokens, 0);
    /* Once where a step of a tenth of a second has time for all, twice on the slowest machines. */
    assert_true(result_of(alone).steps < result_of(beside).steps);
    assert_bit_for_bit(alone, beside);
    inf_op_release(alone);
    inf_op_release(beside);
    inf_op_release(other);
    close_bench(&b);
}

static void test_overflow__short_prompt__ends_its_row_alone(void **state)
{
    (void)state;
    check_overflow(INF_FLASH_ATTENTION_ON, 9);
    check_overflow(INF_FLASH_ATTENTION_OFF, 9);
}

static void test_overflow__long_prompt__ends_its_row_alone(void **state)
{
    (void)state;
    check_overflow(INF_FLASH_ATTENTION_ON, 80);
    check_overflow(INF_FLASH_ATTENTION_OFF, 80);
}

static void test_overflow__while_others_decode__they_go_on(void **state)
{
    struct bench b;
    inf_request good = greedy("Tell me a story.", 200, NULL);
    inf_request bad = greedy("Tell me another.", 200, "x");
    inf_op *running = NULL;
    inf_op *alone = NULL;
    inf_result a, r;
    inf_error err;

    (void)state;
    bad.adapter_scale = (inf_maybe_f32){true, 1e38f};
    open_bench(&b, NULL);
    load(&b, "x", subject->adapters[0]);
    alone = run(&b, &good);
    assert_int_equal(inf_generate_start(&running, b.provider, &good, NULL, &err), INF_OK);
    for (int i = 0; i < 5; i++) {
        inf_op *op = NULL;

        assert_int_equal(inf_generate(&op, b.provider, &bad, &err), INF_ERROR_NOT_FINITE);
        assert_non_null(strstr(err.message, "'x'"));
        inf_op_release(op);
    }
    assert_int_equal(inf_op_wait(running, -1, &err), INF_OK);
    a = result_of(alone);
    r = result_of(running);
    assert_int_equal(a.text.len, r.text.len);
    assert_memory_equal(a.text.data, r.text.data, a.text.len);
    assert_int_equal(stats_of(&b).pins, 0);
    inf_op_release(alone);
    inf_op_release(running);
    close_bench(&b);
}

/* ------------------------------------------------------------------ native adapters */

static void logits_of(struct bench *b, const char *adapter, float *out, size_t n)
{
    static const int32_t ids[] = {5, 9, 20, 33, 41, 7};
    inf_logits_request request;
    inf_logits_result logits;
    inf_op *op = NULL;
    inf_error err;

    inf_logits_request_default(&request, sizeof request);
    request.token_ids = ids;
    request.n_token_ids = sizeof ids / sizeof *ids;
    request.adapter_id = inf_str(adapter);
    assert_int_equal(inf_logits_start(&op, b->provider, &request, NULL, &err), INF_OK);
    if (inf_op_wait(op, -1, &err) != INF_OK)
        fail_msg("%s", err.message);
    assert_int_equal(inf_op_logits(op, &logits, sizeof logits), INF_OK);
    assert_true(logits.n_vocab >= n);
    memcpy(out, logits.all, n * sizeof *out);
    inf_op_release(op);
}

static void test_native__execution__equals_shared(void **state)
{
    struct bench shared, native;
    inf_provider_config config = subject_config();
    float a[64], n[64], base[64];
    float moved = 0;

    (void)state;
    open_bench(&shared, NULL);
    config.adapter_execution = INF_ADAPTERS_NATIVE;
    open_bench(&native, &config);
    load(&shared, "x", subject->adapters[0]);
    load(&native, "x", subject->adapters[0]);
    logits_of(&shared, NULL, base, 64);
    logits_of(&shared, "x", a, 64);
    logits_of(&native, "x", n, 64);
    for (int i = 0; i < 64; i++) {
        assert_true(fabsf(a[i] - n[i]) < 1e-3f);
        moved = fmaxf(moved, fabsf(a[i] - base[i]));
    }
    assert_true(moved > 0.05f);
    close_bench(&shared);
    close_bench(&native);
}

static void test_native__conformance_of_mixed_adapters__each_as_alone(void **state)
{
    static const char *const ids[] = {"a0", "a1", "a2", "a3"};
    struct bench b;
    inf_provider_config config = subject_config();
    inf_op *alone[4];
    inf_op *together[8];
    inf_error err;

    (void)state;
    config.adapter_execution = INF_ADAPTERS_NATIVE;
    open_bench(&b, &config);
    for (int i = 0; i < 4; i++) {
        inf_request request = greedy("What is gravity?", 24, ids[i]);

        load(&b, ids[i], subject->adapters[i]);
        alone[i] = run(&b, &request);
    }
    for (int i = 0; i < 8; i++) {
        inf_request request = greedy("What is gravity?", 24, ids[i % 4]);

        assert_int_equal(inf_generate_start(&together[i], b.provider, &request, NULL, &err),
                         INF_OK);
    }
    for (int i = 0; i < 8; i++) {
        inf_result a = result_of(alone[i % 4]);
        inf_result r;

        assert_int_equal(inf_op_wait(together[i], -1, &err), INF_OK);
        r = result_of(together[i]);
        assert_int_equal(a.text.len, r.text.len);
        assert_memory_equal(a.text.data, r.text.data, a.text.len);
        inf_op_release(together[i]);
    }
    for (int i = 0; i < 4; i++)
        inf_op_release(alone[i]);
    close_bench(&b);
}

/* ------------------------------------------------------------------ text */

static void test_text__tokenize_detokenize__round_trip_without_weights(void **state)
{
    struct bench b;
    const char text[] = "Hello, wide world!";
    const int32_t *ids = NULL;
    size_t n = 0;
    inf_text back;
    inf_op *op = NULL;
    inf_op *inverse = NULL;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    assert_int_equal(inf_tokenize_start(&op, b.provider, inf_str(text), false, NULL, &err), INF_OK);
    assert_int_equal(inf_op_wait(op, -1, &err), INF_OK);
    assert_int_equal(inf_op_tokens(op, &ids, &n), INF_OK);
    assert_true(n > 3);
    assert_int_equal(inf_detokenize_start(&inverse, b.provider, ids, n, false, NULL, &err), INF_OK);
    assert_int_equal(inf_op_wait(inverse, -1, &err), INF_OK);
    assert_int_equal(inf_op_text(inverse, &back), INF_OK);
    assert_int_equal(back.len, strlen(text));
    assert_memory_equal(back.data, text, back.len);
    assert_false(stats_of(&b).model_loaded);
    inf_op_release(op);
    inf_op_release(inverse);
    close_bench(&b);
}

/* A link to the one file, then to the other. */
static void test_text__model_replaced_since_its_header_was_read__is_an_error(void **state)
{
    struct bench b;
    inf_provider_config config = subject_config();
    char folder[] = "/tmp/inference-XXXXXX", path[64];
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/model.gguf", folder);
    assert_int_equal(symlink(FIXTURES "/base.gguf", path), 0);
    config.base_url = path;
    open_bench(&b, &config);
    load(&b, "x", subject->adapters[0]);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(TEST_SOURCE_DIR "/parity/fixtures/llama/base.gguf", path), 0);
    assert_int_equal(inf_tokenize_start(&op, b.provider, inf_str("hi"), false, NULL, &err), INF_OK);
    assert_int_equal(inf_op_wait(op, -1, &err), INF_ERROR_STATE);
    assert_non_null(strstr(err.message, "changed since it was first read"));
    inf_op_release(op);
    close_bench(&b);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest own[] = {
        cmocka_unit_test(test_model__no_path__generate_says_what_to_set),
        cmocka_unit_test(test_model__missing_or_foreign_file__is_one_clear_error),
        cmocka_unit_test(test_model__load__reports_progress_up_to_one),
        cmocka_unit_test(test_model__unload_and_generate__loads_again_and_keeps_adapters),
        cmocka_unit_test(test_window__prompt_too_long__is_context_full),
        cmocka_unit_test(test_window__max_tokens_beyond_it__is_clamped_to_length),
        cmocka_unit_test(test_window__longer_than_the_first_allocation__grows_while_decoding),
        cmocka_unit_test(test_prefix__of_a_model_with_a_sliding_window__is_whole_or_not_used),
        cmocka_unit_test(test_kv_budget__not_one_window__is_a_limit_that_says_what_to_do),
        cmocka_unit_test(test_batch__concurrent_requests__share_steps),
        cmocka_unit_test(test_batch__queue_full__is_refused_at_once),
        cmocka_unit_test(test_prefix__same_prompt_again__is_not_computed_again),
        cmocka_unit_test(test_prefill__beside_one_that_decodes__has_the_same_bits),
        cmocka_unit_test(test_overflow__short_prompt__ends_its_row_alone),
        cmocka_unit_test(test_overflow__long_prompt__ends_its_row_alone),
        cmocka_unit_test(test_overflow__while_others_decode__they_go_on),
        cmocka_unit_test(test_native__execution__equals_shared),
        cmocka_unit_test(test_native__conformance_of_mixed_adapters__each_as_alone),
        cmocka_unit_test(test_text__tokenize_detokenize__round_trip_without_weights),
        cmocka_unit_test(test_text__model_replaced_since_its_header_was_read__is_an_error),
    };
    int failed = 0;

    subject = &llamacpp;
    failed += _cmocka_run_group_tests("conformance", conformance_tests, n_conformance_tests, NULL,
                                      NULL);
    failed += cmocka_run_group_tests_name("llamacpp", own, NULL, NULL);
    return failed;
}
