/*
 * Speculation changes how many steps an answer takes, and nothing else: the same requests with and without,
 * alone and together, of the fixture and, where it is given, of the real model: text, tokens, log-probabilities,
 * finish.
 */
#include "conformance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIXTURES TEST_SOURCE_DIR "/parity/fixtures/one-layer"

static struct subject speculation_subject = {.type = INF_PROVIDER_LLAMACPP, .in_process = true};
static bool with_adapters;
static int n_prompts, n_tokens; /* fewer of the real model, which takes seconds for each */
static int64_t n_drafted, n_accepted, n_spared;

#define CODE                                                                                       \
    "def area(width, height):\n    return width * height\n\n\ndef volume(width, height, depth):\n" \
    "    return area(width, height) * depth\n"

static const char *const prompts[] = {
    "The sea is wide. The sea is deep. The sea is",
    "one two three four one two three four one two",
    "Repeat this file:\n" CODE "\nAgain:\n" CODE "\nAgain:\n",
    "Tell me of the owl and the boat.",
    "x",
    "{\"name\": \"owl\", \"age\": 3}\n{\"name\": \"cat\", \"age\": 4}\n",
};
enum { N_PROMPTS = sizeof prompts / sizeof *prompts };

/* ------------------------------------------------------------------ kinds of requests */

static const inf_request_adapter two[] = {{{"a0", 2}, {true, 1.5f}}, {{"a1", 2}, {true, -0.5f}}};
static const inf_text stops[] = {{"\n\n", 2}, {" deep", 5}};

static void nothing(inf_request *r)
{
    (void)r;
}

static void sampled(inf_request *r)
{
    r->temperature = (inf_maybe_f32){true, 0.8f};
    r->seed = (inf_maybe_u64){true, 7};
}

static void narrowly_sampled(inf_request *r)
{
    r->temperature = (inf_maybe_f32){true, 0.3f};
    r->seed = (inf_maybe_u64){true, 1234567};
    r->top_k = (inf_maybe_i32){true, 5};
    r->top_p = (inf_maybe_f32){true, 0.9f};
}

static void one_adapter(inf_request *r)
{
    r->adapters = two;
    r->n_adapters = 1;
}

static void two_adapters(inf_request *r)
{
    r->adapters = two;
    r->n_adapters = 2;
    sampled(r);
}

static void schema(inf_request *r)
{
    r->json_schema = inf_str(
        "{\"type\": \"object\", \"properties\": {\"name\": {\"type\": \"string\", "
        "\"maxLength\": 8}, \"age\": {\"type\": \"integer\"}}, \"required\": "
        "[\"name\", \"age\"], \"additionalProperties\": false}");
}

static void schema_sampled(inf_request *r)
{
    schema(r);
    sampled(r);
}

static void grammar(inf_request *r)
{
    r->grammar = inf_str("root ::= (\"one \" | \"two \" | \"three \" | \"four \"){12}");
}

static void stop(inf_request *r)
{
    r->stop = stops;
    r->n_stop = 2;
}

static void penalties(inf_request *r)
{
    r->repetition_penalty = (inf_maybe_f32){true, 1.1f};
    r->frequency_penalty = (inf_maybe_f32){true, 0.2f};
    r->presence_penalty = (inf_maybe_f32){true, 0.1f};
}

static void ignore_eos(inf_request *r)
{
    r->ignore_eos = true;
}

static void short_one(inf_request *r)
{
    r->max_tokens.value = 3;
}

static const struct kind {
    void (*fill)(inf_request *r);
    bool has_adapters;
} kinds[] = {{nothing, false},        {sampled, false},     {narrowly_sampled, false},
             {one_adapter, true},     {two_adapters, true}, {schema, false},
             {schema_sampled, false}, {grammar, false},     {stop, false},
             {penalties, false},      {ignore_eos, false},  {short_one, false}};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

static bool has(int kind)
{
    return with_adapters || !kinds[kind].has_adapters;
}

static inf_request request_of(int prompt, int kind, int32_t speculate)
{
    inf_request r = greedy(prompts[prompt], n_tokens, NULL);

    r.logprobs = (inf_maybe_i32){true, 2};
    kinds[kind].fill(&r);
    r.speculate = speculate;
    if (speculate != INF_SPECULATE_OFF && prompt % 2)
        r.reference = inf_str(CODE);
    return r;
}

static void count(const inf_op *op, const inf_op *without)
{
    inf_result r = result_of(op);

    assert_in_range(r.accepted_tokens, 0, r.drafted_tokens);
    assert_int_equal(result_of(without).drafted_tokens, 0);
    n_drafted += r.drafted_tokens;
    n_accepted += r.accepted_tokens;
    n_spared += result_of(without).steps - r.steps;
}

/* All of them, one after another. */
static void check_alone(struct bench *b, inf_op *without[N_PROMPTS][N_KINDS])
{
    for (int i = 0; i < n_prompts; i++)
        for (int k = 0; k < N_KINDS; k++) {
            inf_request r = request_of(i, k, INF_SPECULATE_OFF);

            if (!has(k))
                continue;
            without[i][k] = run(b, &r);
            for (int32_t s = INF_SPECULATE_AUTO; s <= INF_SPECULATE_LOOKUP; s += 2) {
                inf_op *op = NULL;

                r = request_of(i, k, s);
                op = run(b, &r);
                assert_same_answer(op, without[i][k]);
                if (s == INF_SPECULATE_LOOKUP)
                    count(op, without[i][k]);
                inf_op_release(op);
            }
        }
}

/* All kinds at once. */
static void check_together(struct bench *b, inf_op *without[N_PROMPTS][N_KINDS])
{
    inf_error err;

    for (int i = 0; i < n_prompts; i++) {
        inf_op *ops[N_KINDS] = {NULL};

        for (int k = 0; k < N_KINDS; k++) {
            inf_request r = request_of(i, k, k % 3 ? INF_SPECULATE_LOOKUP : k % 2);

            if (has(k))
                assert_int_equal(inf_generate_start(&ops[k], b->provider, &r, NULL, &err), INF_OK);
        }
        for (int k = 0; k < N_KINDS; k++)
            if (ops[k]) {
                if (inf_op_wait(ops[k], -1, &err) != INF_OK)
                    fail_msg("%s", err.message);
                assert_same_answer(ops[k], without[i][k]);
                inf_op_release(ops[k]);
            }
    }
}

static bool open_subject(struct bench *b, int32_t flash_attention)
{
    inf_provider_config config = subject_config();
    inf_request request = greedy("a", 1, NULL);
    inf_op *op = NULL;
    bool is_promised = false;

    config.flash_attention = flash_attention;
    config.n_ctx = 1024;
    open_bench(b, &config);
    for (int i = 0; with_adapters && i < 2; i++) {
        char path[512];

        snprintf(path, sizeof path, FIXTURES "/adapter-%d", i);
        load(b, i ? "a1" : "a0", path);
    }
    op = run(b, &request);
    is_promised = result_of(op).row_independent;
    inf_op_release(op);
    return is_promised;
}

static void check(int32_t flash_attention)
{
    static inf_op *without[N_PROMPTS][N_KINDS];
    struct bench b;
    bool is_promised = open_subject(&b, flash_attention);

    n_drafted = n_accepted = n_spared = 0;
    if (is_promised) {
        check_alone(&b, without);
        check_together(&b, without);
        for (int i = 0; i < n_prompts; i++)
            for (int k = 0; k < N_KINDS; k++)
                if (has(k))
                    inf_op_release(without[i][k]);
        print_message("%lld tokens drafted, %lld accepted, %lld steps spared\n",
                      (long long)n_drafted, (long long)n_accepted, (long long)n_spared);
        assert_true(n_accepted > 0 && n_accepted < n_drafted);
        assert_true(n_spared >= n_accepted); /* the first of a prompt may prefill in more steps */
    }
    close_bench(&b);
    if (!is_promised)
        skip();
}

static void use_fixture(void)
{
    speculation_subject.base_url = FIXTURES "/base.gguf";
    with_adapters = true;
    n_prompts = N_PROMPTS;
    n_tokens = 48;
}

static void test_speculation__changes_no_bit(void **state)
{
    (void)state;
    use_fixture();
    check(INF_FLASH_ATTENTION_ON);
}

static void test_speculation__without_flash_attention__changes_no_bit(void **state)
{
    (void)state;
    use_fixture();
    check(INF_FLASH_ATTENTION_OFF);
}

static void test_speculation__of_the_real_model__changes_no_bit(void **state)
{
    const char *model = getenv("INFERENCE_TEST_MODEL");

    (void)state;
    if (!model)
        skip();
    speculation_subject.base_url = model;
    with_adapters = false;
    n_prompts = 3;
    n_tokens = 24;
    check(INF_FLASH_ATTENTION_AUTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_speculation__changes_no_bit),
        cmocka_unit_test(test_speculation__without_flash_attention__changes_no_bit),
        cmocka_unit_test(test_speculation__of_the_real_model__changes_no_bit),
    };

    subject = &speculation_subject;
    return cmocka_run_group_tests_name("speculation", tests, NULL, NULL);
}
