/*
 * Several adapters on one request: that their deltas add up, as PEFT computes it and as one adapter of
 * both ranks does (scripts/make_parity_models.py, "combined"); in a batch with others, in both ways of
 * execution; what results say; and what happens where it cannot be done.
 */
#include "conformance.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define FIXTURES TEST_SOURCE_DIR "/parity/fixtures/one-layer"
#define N_VOCAB 288
#define N_PROMPT 8
#define N_GREEDY 16

static const struct subject llamacpp = {.type = INF_PROVIDER_LLAMACPP,
                                        .base_url = FIXTURES "/base.gguf",
                                        .adapters = {FIXTURES "/adapter-0", FIXTURES "/adapter-1",
                                                     FIXTURES "/adapter-2", FIXTURES "/adapter-3"},
                                        .in_process = true,
                                        .has_adapters = true};

static const int32_t executions[] = {INF_ADAPTERS_SHARED, INF_ADAPTERS_NATIVE};

#define NAMED(name, factor)                                                                        \
    {                                                                                              \
        {name, sizeof name - 1},                                                                   \
        {                                                                                          \
            true, factor                                                                           \
        }                                                                                          \
    }
static const inf_request_adapter both[] = {NAMED("a1", 0.5f), NAMED("a3", 1.5f)};
static const inf_request_adapter turned[] = {NAMED("a3", 1.5f), NAMED("a1", 0.5f)};
static const inf_request_adapter combined[] = {NAMED("combined", 1)};

/* ------------------------------------------------------------------ the bench */

static void open_with_all(struct bench *b, int32_t execution)
{
    static const char *const ids[] = {"a0", "a1", "a2", "a3"};
    inf_provider_config config = subject_config();

    config.adapter_execution = execution;
    open_bench(b, &config);
    for (int i = 0; i < 4; i++)
        load(b, ids[i], subject->adapters[i]);
    load(b, "combined", FIXTURES "/combined");
}

/* The prompt of the fixture: its tokens are the bytes. */
static inf_request under(const inf_request_adapter *adapters, size_t n)
{
    inf_request r = greedy("sW\\nRdi3", N_GREEDY, NULL);

    r.adapters = adapters;
    r.n_adapters = n;
    r.logprobs = (inf_maybe_i32){true, 0};
    return r;
}

static inf_op *run_under(struct bench *b, const inf_request_adapter *adapters, size_t n)
{
    inf_request r = under(adapters, n);

    return run(b, &r);
}

static void logits_under(struct bench *b, const int32_t *ids, const inf_request_adapter *adapters,
                         size_t n, float *out)
{
    inf_logits_request request;
    inf_logits_result logits;
    inf_op *op = NULL;
    inf_error err;

    inf_logits_request_default(&request, sizeof request);
    request.token_ids = ids;
    request.n_token_ids = N_PROMPT;
    request.adapters = adapters;
    request.n_adapters = n;
    assert_int_equal(inf_logits_start(&op, b->provider, &request, NULL, &err), INF_OK);
    if (inf_op_wait(op, -1, &err) != INF_OK)
        fail_msg("%s", err.message);
    assert_int_equal(inf_op_logits(op, &logits, sizeof logits), INF_OK);
    assert_int_equal(logits.n_vocab, N_VOCAB);
    memcpy(out, logits.all, N_VOCAB * sizeof *out);
    inf_op_release(op);
}

static float distance(const float *a, const float *b)
{
    float most = 0;

    for (int i = 0; i < N_VOCAB; i++)
        most = fmaxf(most, fabsf(a[i] - b[i]));
    return most;
}

static void assert_same_ids(const inf_op *op, const int32_t *ids, size_t n)
{
    inf_result r = result_of(op);

    assert_int_equal(r.n_token_ids, n);
    assert_memory_equal(r.token_ids, ids, n * sizeof *ids);
}

static bool have_same_ids(const inf_op *a, const inf_op *b)
{
    inf_result x = result_of(a);
    inf_result y = result_of(b);

    return x.n_token_ids == y.n_token_ids &&
           memcmp(x.token_ids, y.token_ids, x.n_token_ids * sizeof *x.token_ids) == 0;
}

/* ------------------------------------------------------------------ what PEFT computes */

struct reference {
    int32_t tokens[N_PROMPT], greedy[N_GREEDY];
    float logits[N_VOCAB];
};

static void read_ids(const json_t *list, int32_t *out, size_t n)
{
    assert_int_equal(json_array_size(list), n);
    for (size_t i = 0; i < n; i++)
        out[i] = (int32_t)json_integer_value(json_array_get(list, i));
}

static struct reference read_reference(void)
{
    json_t *file = json_load_file(FIXTURES "/combined/reference.json", 0, NULL);
    const json_t *logits = json_object_get(file, "logits");
    struct reference r;

    assert_non_null(file);
    read_ids(json_object_get(file, "tokens"), r.tokens, N_PROMPT);
    read_ids(json_object_get(file, "greedy"), r.greedy, N_GREEDY);
    assert_int_equal(json_array_size(logits), N_VOCAB);
    for (size_t i = 0; i < N_VOCAB; i++)
        r.logits[i] = (float)json_number_value(json_array_get(logits, i));
    json_decref(file);
    return r;
}

static void test_two__logits__are_those_of_peft_and_of_both_ranks_in_one(void **state)
{
    struct reference r = read_reference();

    (void)state;
    for (int i = 0; i < 2; i++) {
        float two[N_VOCAB], one[N_VOCAB], first[N_VOCAB], second[N_VOCAB];
        struct bench b;

        open_with_all(&b, executions[i]);
        logits_under(&b, r.tokens, both, 2, two);
        logits_under(&b, r.tokens, combined, 1, one);
        logits_under(&b, r.tokens, both, 1, first);
        logits_under(&b, r.tokens, both + 1, 1, second);
        print_message("%s: to PEFT %.2g, to one of both ranks %.2g, to one of the two %.2g, %.2g\n",
                      i ? "native" : "shared", (double)distance(two, r.logits),
                      (double)distance(two, one), (double)distance(two, first),
                      (double)distance(two, second));
        assert_true(distance(two, r.logits) < 1e-4f);
        assert_true(distance(two, one) < 1e-4f);
        assert_true(distance(two, first) > 0.1f);
        assert_true(distance(two, second) > 0.1f);
        close_bench(&b);
    }
}

static void test_two__greedy_text__is_that_of_peft(void **state)
{
    struct reference r = read_reference();

    (void)state;
    for (int i = 0; i < 2; i++) {
        inf_op *ops[5];
        struct bench b;

        open_with_all(&b, executions[i]);
        ops[0] = run_under(&b, both, 2);
        ops[1] = run_under(&b, combined, 1);
        ops[2] = run_under(&b, both, 1);
        ops[3] = run_under(&b, both + 1, 1);
        ops[4] = run_under(&b, NULL, 0);
        assert_same_ids(ops[0], r.greedy, N_GREEDY);
        assert_same_ids(ops[1], r.greedy, N_GREEDY);
        for (int k = 2; k < 5; k++)
            assert_false(have_same_ids(ops[0], ops[k]));
        for (int k = 0; k < 5; k++)
            inf_op_release(ops[k]);
        close_bench(&b);
    }
}

/* ------------------------------------------------------------------ beside others */

static const inf_request_adapter first_and_own[][3] = {
    {NAMED("a1", 0.5f), NAMED("a0", 1)},
    {NAMED("a1", 0.5f), NAMED("a2", 1)},
    {NAMED("a1", 0.5f), NAMED("a3", 1.5f), NAMED("a0", -1)},
    {NAMED("a1", 0.5f), NAMED("a1", 0.5f)},
    {NAMED("a1", 1)},
    {NAMED("a2", 1), NAMED("a1", 0.5f)},
};
static const struct {
    const inf_request_adapter *adapters;
    size_t n;
} mixes[] = {{first_and_own[0], 2},
             {first_and_own[1], 2},
             {both, 2},
             {first_and_own[2], 3},
             {NULL, 0},
             {first_and_own[3], 2},
             {turned, 2},
             {first_and_own[4], 1},
             {first_and_own[5], 2},
             {both, 2}};
enum { N_MIXES = sizeof mixes / sizeof *mixes };

/* Keeps the worker busy for a while, so that what is started meanwhile begins in one batch. */
static inf_op *hold_worker(struct bench *b)
{
    static int32_t ids[1500];
    inf_logits_request request;
    inf_op *op = NULL;
    inf_error err;

    inf_logits_request_default(&request, sizeof request);
    request.token_ids = ids;
    request.n_token_ids = 1500;
    assert_int_equal(inf_logits_start(&op, b->provider, &request, NULL, &err), INF_OK);
    return op;
}

static void run_together(struct bench *b, inf_op **ops)
{
    inf_op *hold = hold_worker(b);
    inf_error err;

    for (int i = 0; i < N_MIXES; i++) {
        inf_request r = under(mixes[i].adapters, mixes[i].n);

        assert_int_equal(inf_generate_start(&ops[i], b->provider, &r, NULL, &err), INF_OK);
    }
    for (int i = 0; i < N_MIXES; i++)
        if (inf_op_wait(ops[i], -1, &err) != INF_OK)
            fail_msg("%s", err.message);
    inf_op_release(hold);
}

/* How far the log-probabilities of the same tokens are apart. */
static float apart(const inf_op *a, const inf_op *b)
{
    inf_result x = result_of(a);
    inf_result y = result_of(b);
    float most = 0;

    assert_int_equal(x.n_logprobs, y.n_logprobs);
    for (size_t i = 0; i < x.n_logprobs; i++)
        most = fmaxf(most, fabsf(x.logprobs[i].logprob - y.logprobs[i].logprob));
    return most;
}

/* Each alone first, then all at once, from nothing and from the prefixes that are left. */
static void check_mixes(int32_t execution, int32_t n_threads)
{
    inf_provider_config config = subject_config();
    inf_op *alone[N_MIXES];
    inf_op *together[N_MIXES];
    double most_rows = 0;
    struct bench b;

    config.adapter_execution = execution;
    config.n_threads = n_threads;
    open_bench(&b, &config);
    for (int i = 0; i < 4; i++)
        load(&b, (const char *[]){"a0", "a1", "a2", "a3"}[i], subject->adapters[i]);
    for (int i = 0; i < N_MIXES; i++) {
        assert_int_equal(inf_provider_unload(b.provider, NULL), INF_OK); /* no prefixes kept */
        alone[i] = run_under(&b, mixes[i].adapters, mixes[i].n);
    }
    for (int round = 0; round < 2; round++) {
        run_together(&b, together);
        for (int i = 0; i < N_MIXES; i++) {
            assert_true(have_same_ids(alone[i], together[i]));
            assert_true(apart(alone[i], together[i]) <=
                        (result_of(alone[i]).row_independent ? 0 : 1e-3f));
            most_rows = fmax(most_rows, result_of(together[i]).mean_rows);
            inf_op_release(together[i]);
        }
    }
    assert_true(most_rows > 2);
    for (int i = 0; i < N_MIXES; i++)
        inf_op_release(alone[i]);
    assert_int_equal(stats_of(&b).pins, 0);
    close_bench(&b);
}

static void test_batch__of_mixes__shared__each_says_what_it_says_alone(void **state)
{
    (void)state;
    for (int32_t n_threads = 1; n_threads <= 3; n_threads++)
        check_mixes(INF_ADAPTERS_SHARED, n_threads);
}

static void test_batch__of_mixes__native__each_says_what_it_says_alone(void **state)
{
    (void)state;
    check_mixes(INF_ADAPTERS_NATIVE, 1);
}

/* ------------------------------------------------------------------ what results say */

static void assert_adapter(const inf_result *r, size_t i, const char *id, uint64_t generation,
                           float scale)
{
    assert_int_equal(r->adapters[i].id.len, strlen(id));
    assert_memory_equal(r->adapters[i].id.data, id, strlen(id));
    assert_int_equal(r->adapters[i].generation, generation);
    assert_true(r->adapters[i].scale == scale);
}

static void test_result__of_several__lists_them_and_names_no_single_one(void **state)
{
    static const inf_request_adapter named[] = {{{"a1", 2}, {false, 0}}, NAMED("a3", 1.5f)};
    struct bench b;
    inf_op *op = NULL;
    inf_result r;

    (void)state;
    open_with_all(&b, INF_ADAPTERS_SHARED);
    load(&b, "a1", subject->adapters[1]); /* again: generation 6 */
    op = run_under(&b, named, 2);
    r = result_of(op);
    assert_null(r.adapter_id.data);
    assert_int_equal(r.adapter_generation, 0);
    assert_int_equal(r.n_adapters, 2);
    assert_adapter(&r, 0, "a1", 6, 1);
    assert_adapter(&r, 1, "a3", 4, 1.5f);
    assert_true(r.mean_adapters == 2);
    inf_op_release(op);
    op = run_under(&b, both + 1, 1);
    r = result_of(op);
    assert_int_equal(r.adapter_id.len, 2);
    assert_int_equal(r.adapter_generation, 4);
    assert_int_equal(r.n_adapters, 1);
    assert_adapter(&r, 0, "a3", 4, 1.5f);
    inf_op_release(op);
    close_bench(&b);
}

/* Whether all of the prompt but its last token was there already. */
static bool prefix_is_there(struct bench *b, const inf_request_adapter *adapters, size_t n)
{
    inf_request request = greedy("Long enough that it is worth a move.", 4, NULL);
    inf_op *op = NULL;
    inf_result r;

    request.adapters = adapters;
    request.n_adapters = n;
    op = run(b, &request);
    r = result_of(op);
    assert_true(r.prefix_tokens == 0 || r.prefix_tokens == r.prompt_tokens - 1);
    inf_op_release(op);
    return r.prefix_tokens > 0;
}

static void test_prefix__of_several__is_used_for_the_same_in_the_same_order(void **state)
{
    struct bench b;

    (void)state;
    open_with_all(&b, INF_ADAPTERS_SHARED);
    assert_false(prefix_is_there(&b, both, 2));
    assert_true(prefix_is_there(&b, both, 2));
    assert_false(prefix_is_there(&b, turned, 2));
    assert_false(prefix_is_there(&b, both, 1));
    assert_false(prefix_is_there(&b, NULL, 0));
    assert_true(prefix_is_there(&b, both, 2));
    assert_int_equal(inf_adapter_unload(b.provider, "a3", NULL), INF_OK); /* no slot holds it */
    assert_int_equal(stats_of(&b).adapters, 4);
    load(&b, "a3", subject->adapters[3]);
    assert_false(prefix_is_there(&b, both, 2)); /* another generation */
    close_bench(&b);
}

/* ------------------------------------------------------------------ what cannot be done */

static int32_t code_under(struct bench *b, const inf_request_adapter *adapters, size_t n,
                          inf_error *err)
{
    inf_request r = under(adapters, n);
    inf_op *op = NULL;
    int32_t code = inf_generate(&op, b->provider, &r, err);

    inf_op_release(op);
    return code;
}

static void test_one_of_several__not_loaded__is_named_and_nothing_pinned(void **state)
{
    static const inf_request_adapter one_unknown[] = {NAMED("a1", 1), NAMED("nobody", 1)};
    struct bench b;
    inf_error err = {0};

    (void)state;
    open_with_all(&b, INF_ADAPTERS_SHARED);
    assert_int_equal(code_under(&b, one_unknown, 2, &err), INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "adapter 'nobody' is not loaded"));
    assert_int_equal(stats_of(&b).pins, 0);
    close_bench(&b);
}

static void test_together__they_overflow__all_are_named(void **state)
{
    static const inf_request_adapter far_too_much[] = {NAMED("a1", 3e38f), NAMED("a3", 3e38f)};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct bench b;
        inf_error err = {0};

        open_with_all(&b, executions[i]);
        assert_int_equal(code_under(&b, far_too_much, 2, &err), INF_ERROR_NOT_FINITE);
        assert_non_null(strstr(err.message, "'a1', 'a3' together overflow"));
        assert_int_equal(code_under(&b, both, 2, &err), INF_OK);
        close_bench(&b);
    }
}

/* Of one adapter under many ids, each a generation of its own. */
static void load_many(struct bench *b, inf_request_adapter *list, int32_t n, float scale)
{
    static char ids[64][16];

    for (int32_t i = 0; i < n; i++) {
        snprintf(ids[i], sizeof ids[i], "m%d", i);
        load(b, ids[i], subject->adapters[3]);
        list[i] = (inf_request_adapter){inf_str(ids[i]), {true, scale}};
    }
}

static void test_native__more_than_it_has_places__is_unsupported(void **state)
{
    inf_request_adapter many[9];
    inf_request_adapter twice[10];
    inf_op *op = NULL;
    inf_op *one = NULL;
    struct bench b;
    inf_error err = {0};

    (void)state;
    open_with_all(&b, INF_ADAPTERS_NATIVE);
    load_many(&b, many, 9, 0.1875f); /* eight of them: 1.5 of one */
    assert_int_equal(code_under(&b, many, 9, &err), INF_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "8 different ones a request, and 9 are given"));
    op = run_under(&b, many, 8);
    one = run_under(&b, both + 1, 1);
    assert_true(have_same_ids(op, one));
    inf_op_release(op);
    for (int i = 0; i < 10; i++) /* two different ones */
        twice[i] = (inf_request_adapter){inf_str(i % 2 ? "a3" : "m0"), {true, 0.15f}};
    op = run_under(&b, twice, 10);
    assert_true(have_same_ids(op, one));
    inf_op_release(op);
    inf_op_release(one);
    close_bench(&b);
}

static void test_shared__as_many_as_a_request_may_name__add_up(void **state)
{
    inf_request_adapter many[64];
    inf_op *op = NULL;
    inf_op *one = NULL;
    struct bench b;

    (void)state;
    open_with_all(&b, INF_ADAPTERS_SHARED);
    load_many(&b, many, 64, 1.5f / 64);
    op = run_under(&b, many, 64);
    one = run_under(&b, both + 1, 1);
    assert_true(have_same_ids(op, one));
    assert_true(result_of(op).mean_adapters == 64);
    inf_op_release(op);
    inf_op_release(one);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two__logits__are_those_of_peft_and_of_both_ranks_in_one),
        cmocka_unit_test(test_two__greedy_text__is_that_of_peft),
        cmocka_unit_test(test_batch__of_mixes__shared__each_says_what_it_says_alone),
        cmocka_unit_test(test_batch__of_mixes__native__each_says_what_it_says_alone),
        cmocka_unit_test(test_result__of_several__lists_them_and_names_no_single_one),
        cmocka_unit_test(test_prefix__of_several__is_used_for_the_same_in_the_same_order),
        cmocka_unit_test(test_one_of_several__not_loaded__is_named_and_nothing_pinned),
        cmocka_unit_test(test_together__they_overflow__all_are_named),
        cmocka_unit_test(test_native__more_than_it_has_places__is_unsupported),
        cmocka_unit_test(test_shared__as_many_as_a_request_may_name__add_up),
    };

    subject = &llamacpp;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
