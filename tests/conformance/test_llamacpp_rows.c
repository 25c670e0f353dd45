/*
 * An answer does not depend on its neighbours: random mixes of requests (prompts, adapters, sampled or
 * greedy, short ones and ones beyond 512 tokens) that arrive and are cancelled at random, with flash
 * attention on and off, one thread, two, or the one and the other in turn, after what earlier ones left in the cache, with steps that
 * verify drafts and without; each one's tokens, log-probabilities and text are to the last bit those that it has
 * alone, a token a step.
 * ROWS_MIXES in the environment: how many mixes, 12 otherwise (of the real model, where it is given,
 * an eighth; of checkpoints half); ROWS_SEED: other ones; ROWS_CASES: a folder with checkpoints and their
 * adapters (scripts/parity_case.py): mixtures of experts, recurrent layers, Gemmas; one that is not
 * there is left out.
 */
#include "conformance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define FIXTURES TEST_SOURCE_DIR "/parity/fixtures/one-layer"

enum { MAX_REQUESTS = 9, MAX_TEXT = 4096, MAX_ADAPTERS = 3 };

static struct subject rows_subject = {.in_process = true};
static const char *const ids[] = {"a0", "a1", "a2", "a3"};
static const char *dtype;  /* NULL: the model's own */
static bool with_adapters; /* the subject's */
static bool goes_back;     /* the subject can verify drafts */
static int n_compared, n_reused;
static int64_t n_drafted, n_accepted;
static double most_rows;

static uint64_t random_state;

static int draw(int n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (int)((random_state >> 33) % (uint64_t)n);
}

/* ------------------------------------------------------------------ requests */

struct drawn {
    char prompt[MAX_TEXT];
    inf_request_adapter adapters[MAX_ADAPTERS];
    size_t n_adapters;
    int max_tokens, pause_us;
    int32_t speculate;
    bool has_reference;
    bool is_sampled, is_cancelled;
    uint64_t seed;
};

static void draw_words(char *text, int n)
{
    static const char *const words[] = {"sea ", "owl ", "and ", "boat ", "x = 1; ", "the ", "2 "};
    size_t most = strlen(text) + (size_t)n;

    while (strlen(text) < most && strlen(text) + 16 < MAX_TEXT)
        strcat(text, words[draw(7)]);
}

/* Characters: about as many tokens of the fixture, a quarter of the real model's. */
static int draw_length(void)
{
    int kind = draw(8);

    if (!with_adapters && kind < 7)
        return 1 + draw(400);
    return kind == 0 ? 500 + draw(200) : kind < 3 ? 60 + draw(80) : 1 + draw(40);
}

static void draw_request(struct drawn *r, const struct drawn *earlier, int n_earlier)
{
    *r = (struct drawn){.max_tokens = 1 + draw(24),
                        .pause_us = draw(2) ? 0 : draw(3000),
                        .speculate = draw(2) ? INF_SPECULATE_LOOKUP : draw(2),
                        .has_reference = draw(2),
                        .is_sampled = draw(2),
                        .is_cancelled = draw(8) == 0,
                        .seed = (uint64_t)draw(1000)};
    if (n_earlier > 0 && draw(3) == 0)
        strcpy(r->prompt, earlier[draw(n_earlier)].prompt);
    draw_words(r->prompt, draw_length());
    r->n_adapters = with_adapters ? (size_t)draw(MAX_ADAPTERS + 1) : 0;
    for (size_t i = 0; i < r->n_adapters; i++)
        r->adapters[i] = (inf_request_adapter){.id = inf_str(ids[draw(4)]),
                                               .scale = {true, (float)(1 + draw(4)) / 2}};
}

static inf_request request_of(const struct drawn *r)
{
    inf_request request = greedy(r->prompt, r->max_tokens, NULL);

    request.adapters = r->adapters;
    request.n_adapters = r->n_adapters;
    request.logprobs = (inf_maybe_i32){true, 3};
    request.seed = (inf_maybe_u64){true, r->seed};
    if (r->is_sampled)
        request.temperature = (inf_maybe_f32){true, 0.9f};
    request.speculate = goes_back || r->speculate != INF_SPECULATE_LOOKUP ? r->speculate
                                                                          : INF_SPECULATE_AUTO;
    if (r->has_reference && request.speculate != INF_SPECULATE_OFF)
        request.reference = inf_str("the boat and the owl, the sea and x = 1; 2 owl, the sea");
    return request;
}

/* ------------------------------------------------------------------ mixes */

struct mix {
    struct drawn requests[MAX_REQUESTS];
    inf_op *ops[MAX_REQUESTS];
    int n;
};

static void open_rows(struct bench *b, int32_t flash_attention, int32_t n_threads,
                      int32_t max_sequences)
{
    inf_provider_config config = subject_config();

    config.flash_attention = flash_attention;
    config.n_threads = n_threads;
    config.max_sequences = max_sequences;
    config.n_ctx = 2048;
    config.dtype = dtype;
    open_bench(b, &config);
    for (int i = 0; with_adapters && i < 4; i++)
        load(b, ids[i], rows_subject.adapters[i]);
}

static void run_mix(struct bench *b, struct mix *mix)
{
    inf_error err;

    for (int i = 0; i < mix->n; i++) {
        inf_request request = request_of(&mix->requests[i]);
        struct timespec pause = {0, mix->requests[i].pause_us * 1000L};

        nanosleep(&pause, NULL);
        assert_int_equal(inf_generate_start(&mix->ops[i], b->provider, &request, NULL, &err),
                         INF_OK);
        if (i > 0 && mix->requests[i - 1].is_cancelled)
            inf_op_cancel(mix->ops[i - 1]);
    }
    for (int i = 0; i < mix->n; i++)
        if (inf_op_wait(mix->ops[i], -1, &err) != INF_OK && !mix->requests[i].is_cancelled)
            fail_msg("%s", err.message);
}

static void compare(struct bench *alone, struct mix *mix)
{
    inf_error err;

    for (int i = 0; i < mix->n; i++) {
        inf_result result = result_of(mix->ops[i]);

        n_reused += result.prefix_tokens > 0;
        n_drafted += result.drafted_tokens;
        n_accepted += result.accepted_tokens;
        most_rows = result.mean_rows > most_rows ? result.mean_rows : most_rows;
        if (!mix->requests[i].is_cancelled) {
            inf_request request = request_of(&mix->requests[i]);
            inf_op *op = NULL;

            request.speculate = INF_SPECULATE_OFF;
            request.reference = inf_str(NULL);
            /* Nothing is left of the one before. */
            assert_int_equal(inf_provider_unload(alone->provider, &err), INF_OK);
            op = run(alone, &request);
            assert_same_answer(mix->ops[i], op);
            inf_op_release(op);
            n_compared++;
        }
    }
}

/* The next mix goes on from some of the answers. */
static void go_on(struct mix *mix)
{
    for (int i = 0; i < mix->n; i++) {
        inf_result result = result_of(mix->ops[i]);
        struct drawn *r = &mix->requests[i];
        struct drawn next;

        draw_request(&next, NULL, 0);
        if (draw(3) > 0 && strlen(r->prompt) + result.text.len + 200 < MAX_TEXT) {
            strncat(r->prompt, result.text.data ? result.text.data : "", result.text.len);
            draw_words(r->prompt, 1 + draw(60));
            memcpy(next.adapters, r->adapters, sizeof next.adapters);
            next.n_adapters = r->n_adapters;
            strcpy(next.prompt, r->prompt);
        }
        inf_op_release(mix->ops[i]);
        *r = next;
    }
}

static void check_mixes(int n_mixes)
{
    static const int32_t flash[] = {INF_FLASH_ATTENTION_ON, INF_FLASH_ATTENTION_OFF};
    static struct mix mix;

    for (int i = 0; i < n_mixes; i += 2) {
        int32_t attention = flash[i / 2 % 2];
        struct bench together;
        struct bench alone;

        setenv("INFERENCE_THREADS", draw(3) ? "" : "changing",
               1); /* of one thread nothing changes */
        open_rows(&together, attention, 1 + draw(2), 1 + draw(MAX_REQUESTS));
        open_rows(&alone, attention, 1, 1);
        mix.n = 2 + draw(MAX_REQUESTS - 1);
        for (int k = 0; k < mix.n; k++)
            draw_request(&mix.requests[k], mix.requests, k);
        run_mix(&together, &mix);
        compare(&alone, &mix);
        go_on(&mix);
        run_mix(&together, &mix);
        compare(&alone, &mix);
        for (int k = 0; k < mix.n; k++)
            inf_op_release(mix.ops[k]);
        close_bench(&together);
        close_bench(&alone);
    }
}

static int mixes_wanted(void)
{
    const char *wanted = getenv("ROWS_MIXES");

    return wanted ? atoi(wanted) : 12;
}

static bool is_promised(void)
{
    struct bench b;
    inf_request request = greedy("a", 1, NULL);
    inf_op *op = NULL;
    bool is = false;

    open_rows(&b, INF_FLASH_ATTENTION_AUTO, 1, 1);
    op = run(&b, &request);
    is = result_of(op).row_independent;
    inf_op_release(op);
    close_bench(&b);
    return is;
}

/* Shared steps, prefixes, and drafts of which some but not all were right. Recurrent layers go on only
 * from where a state was kept, which few mixes meet, and draft nothing. */
static bool have_met_all(void)
{
    return most_rows > 1.5 &&
           (!goes_back || (n_reused > 0 && n_accepted > 0 && n_accepted < n_drafted));
}

static void check_and_report(int n_mixes)
{
    const char *seed = getenv("ROWS_SEED");

    random_state = seed ? strtoull(seed, NULL, 10) : 1;
    n_compared = n_reused = 0;
    n_drafted = n_accepted = 0;
    most_rows = 0;
    check_mixes(n_mixes);
    /* What a mix meets is chance, and the machine's pace: on until they met all. */
    for (int more = 0; more < 20 && !have_met_all(); more++)
        check_mixes(2);
    print_message("%d answers compared, %d went on from a prefix, up to %.1f rows\n", n_compared,
                  n_reused, most_rows);
    print_message("%lld tokens drafted, %lld accepted\n", (long long)n_drafted,
                  (long long)n_accepted);
    assert_true(n_compared > n_mixes);
    assert_true(have_met_all());
}

static void use_fixture(void)
{
    rows_subject = (struct subject){.type = INF_PROVIDER_LLAMACPP,
                                    .base_url = FIXTURES "/base.gguf",
                                    .adapters = {FIXTURES "/adapter-0", FIXTURES "/adapter-1",
                                                 FIXTURES "/adapter-2", FIXTURES "/adapter-3"},
                                    .in_process = true};
    dtype = NULL;
    with_adapters = true;
    goes_back = true;
}

static void test_rows__of_random_mixes__are_those_of_each_alone(void **state)
{
    (void)state;
    use_fixture();
    if (!is_promised())
        skip();
    check_and_report(mixes_wanted());
}

static void test_rows__of_the_real_model__are_those_of_each_alone(void **state)
{
    const char *model = getenv("INFERENCE_TEST_MODEL");

    (void)state;
    use_fixture();
    if (!model || !is_promised())
        skip();
    rows_subject.base_url = model;
    with_adapters = false;
    check_and_report(mixes_wanted() / 8 + 1);
}

/* A checkpoint of ROWS_CASES, with four of its adapters. */
static void check_case(const char *name, const char *const adapters[4])
{
    static const char *const dtypes[] = {"float32", "q8_0"};
    static char paths[5][512];
    const char *cases = getenv("ROWS_CASES");
    struct stat info;

    use_fixture();
    snprintf(paths[4], sizeof paths[4], "%s/%s/model", cases ? cases : "", name);
    if (!cases || stat(paths[4], &info) != 0 || !is_promised())
        skip();
    goes_back = strcmp(name, "qwen3_5_text") != 0;
    rows_subject.type = INF_PROVIDER_TRANSFORMERS;
    rows_subject.base_url = paths[4];
    for (int i = 0; i < 4; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%s/adapters/%s", cases, name, adapters[i]);
        rows_subject.adapters[i] = paths[i];
    }
    for (int i = 0; i < 2; i++) {
        dtype = dtypes[i];
        assert_true(is_promised());
        check_and_report(mixes_wanted() / 4 + 1);
    }
}

static void test_rows__of_experts__are_those_of_each_alone(void **state)
{
    static const char *const adapters[] = {"experts", "router", "plain", "rslora"};

    (void)state;
    check_case("qwen3_moe", adapters);
}

static void test_rows__of_experts_without_norms_of_heads__are_those_of_each_alone(void **state)
{
    static const char *const adapters[] = {"experts", "plain", "rslora", "experts"};

    (void)state;
    check_case("mixtral", adapters);
}

static void test_rows__of_recurrent_layers__are_those_of_each_alone(void **state)
{
    static const char *const adapters[] = {"plain", "patterns", "dora", "rslora"};

    (void)state;
    check_case("qwen3_5_text", adapters);
}

/* Windows that slide: what they have passed stays in its cells. */
static const char *const gemma_adapters[] = {"plain", "patterns", "dora", "rslora"};

static void test_rows__of_two_ropes__are_those_of_each_alone(void **state)
{
    (void)state;
    check_case("gemma3_text", gemma_adapters);
}

static void test_rows__of_capped_logits__are_those_of_each_alone(void **state)
{
    (void)state;
    check_case("gemma2", gemma_adapters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows__of_random_mixes__are_those_of_each_alone),
        cmocka_unit_test(test_rows__of_experts__are_those_of_each_alone),
        cmocka_unit_test(test_rows__of_experts_without_norms_of_heads__are_those_of_each_alone),
        cmocka_unit_test(test_rows__of_recurrent_layers__are_those_of_each_alone),
        cmocka_unit_test(test_rows__of_two_ropes__are_those_of_each_alone),
        cmocka_unit_test(test_rows__of_capped_logits__are_those_of_each_alone),
        cmocka_unit_test(test_rows__of_the_real_model__are_those_of_each_alone),
    };

    subject = &rows_subject;
    return cmocka_run_group_tests_name("rows", tests, NULL, NULL);
}
