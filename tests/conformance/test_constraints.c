/*
 * Constraints through the public API: the text of a request with a JSON schema is JSON that obeys
 * it, that of one with a grammar follows it, whatever the model would rather say and whoever decodes
 * beside it. On a random model of one layer, which says nothing of its own accord, and on the real
 * one.
 */
#include "conformance.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIXTURES TEST_SOURCE_DIR "/parity/fixtures/one-layer"

static struct subject random_model = {.type = INF_PROVIDER_LLAMACPP,
                                      .base_url = FIXTURES "/base.gguf",
                                      .adapters = {FIXTURES "/adapter-0", FIXTURES "/adapter-1",
                                                   FIXTURES "/adapter-2", FIXTURES "/adapter-3"},
                                      .in_process = true,
                                      .has_adapters = true};
static struct subject real_model;

static const char person[] =
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":12},"
    "\"age\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":120},"
    "\"tags\":{\"type\":\"array\",\"items\":{\"enum\":[\"a\",\"b\"]},\"maxItems\":3}},"
    "\"required\":[\"name\",\"age\"],\"additionalProperties\":false}";

/* ------------------------------------------------------------------ helpers */

static int use_random_model(void **state)
{
    (void)state;
    subject = &random_model;
    return 0;
}

static int use_real_model(void **state)
{
    (void)state;
    real_model = random_model;
    real_model.base_url = getenv("INFERENCE_TEST_MODEL");
    assert_non_null(real_model.base_url);
    subject = &real_model;
    return 0;
}

/* One that may end. */
static inf_request ending(const char *prompt, int32_t n)
{
    inf_request request = greedy(prompt, n, NULL);

    request.ignore_eos = false;
    return request;
}

static inf_request sampled(const char *prompt, uint64_t seed)
{
    inf_request request = ending(prompt, 300);

    request.temperature = (inf_maybe_f32){true, 1};
    request.seed = (inf_maybe_u64){true, seed};
    return request;
}

static void assert_text(const inf_op *op, const char *text)
{
    inf_result r = result_of(op);

    assert_int_equal(r.text.len, strlen(text));
    assert_memory_equal(r.text.data, text, r.text.len);
}

static json_t *parsed(const inf_op *op)
{
    inf_result r = result_of(op);
    json_t *value = json_loadb(r.text.data, r.text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

    assert_int_equal(r.finish, INF_FINISH_STOP);
    if (!value)
        fail_msg("not JSON: %.*s", (int)r.text.len, r.text.data);
    return value;
}

static void assert_person(const inf_op *op)
{
    json_t *value = parsed(op);
    json_t *tags = json_object_get(value, "tags");
    json_int_t age = json_integer_value(json_object_get(value, "age"));

    assert_true(json_is_string(json_object_get(value, "name")));
    assert_true(age >= 1 && age <= 120);
    assert_int_equal(json_object_size(value), tags ? 3 : 2);
    assert_true(json_array_size(tags) <= 3);
    for (size_t i = 0; i < json_array_size(tags); i++) {
        const char *tag = json_string_value(json_array_get(tags, i));

        assert_true(strcmp(tag, "a") == 0 || strcmp(tag, "b") == 0);
    }
    json_decref(value);
}

/* Starts and waits; the operation must fail with `code`, in words with `why`. */
static void expect_error(struct bench *b, const inf_request *request, int32_t code, const char *why)
{
    inf_op *op = NULL;
    inf_error err;

    assert_int_equal(inf_generate(&op, b->provider, request, &err), code);
    if (!strstr(err.message, why) || strchr(err.message, '\n'))
        fail_msg("'%s' does not say '%s'", err.message, why);
    inf_op_release(op);
}

/* ------------------------------------------------------------------ JSON schemas */

static void test_json_schema__of_a_random_model__text_obeys_it(void **state)
{
    struct bench b;

    (void)state;
    open_bench(&b, NULL);
    for (uint64_t seed = 1; seed <= 8; seed++) {
        inf_request request = sampled("hi", seed);
        inf_op *op = NULL;

        request.json_schema = inf_str(person);
        op = run(&b, &request);
        assert_person(op);
        inf_op_release(op);
    }
    close_bench(&b);
}

/* Strings of any bytes that the model likes: still UTF-8, still closed, still JSON. */
static void test_json_schema__free_strings__are_json(void **state)
{
    struct bench b;

    (void)state;
    open_bench(&b, NULL);
    for (uint64_t seed = 1; seed <= 12; seed++) {
        inf_request request = sampled("hi", seed);
        inf_op *op = NULL;
        json_t *value = NULL;

        request.json_schema = inf_str("{\"type\":\"array\",\"items\":{\"type\":\"string\","
                                      "\"maxLength\":20},\"minItems\":3,\"maxItems\":3}");
        op = run(&b, &request);
        value = parsed(op);
        assert_int_equal(json_array_size(value), 3);
        json_decref(value);
        inf_op_release(op);
    }
    close_bench(&b);
}

static void test_json_schema__bad_ones__are_invalid_arguments_that_say_why(void **state)
{
    static const char *const bad[][2] = {
        {"{", "not JSON"},
        {"7", "json_schema"},
        {"{\"type\":\"array\",\"uniqueItems\":true}", "uniqueItems"},
        {"{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"$ref\":\"#/$defs/a\"}}}", "circle"},
        {"{\"type\":\"string\",\"maxLength\":-1}", "maxLength"}};
    struct bench b;

    (void)state;
    open_bench(&b, NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        inf_request request = sampled("hi", 1);

        request.json_schema = inf_str(bad[i][0]);
        expect_error(&b, &request, INF_ERROR_INVALID_ARGUMENT, bad[i][1]);
    }
    close_bench(&b);
}

/* ------------------------------------------------------------------ grammars */

static void test_grammar__text_follows_it(void **state)
{
    struct bench b;

    (void)state;
    open_bench(&b, NULL);
    for (uint64_t seed = 1; seed <= 6; seed++) {
        inf_request request = sampled("hi", seed);
        inf_op *op = NULL;
        inf_result r;

        request.grammar = inf_str("root ::= \"<\" [a-f]{4} \">\" (\"!\" | \"?\")");
        op = run(&b, &request);
        r = result_of(op);
        assert_int_equal(r.finish, INF_FINISH_STOP);
        assert_int_equal(r.text.len, 7);
        assert_true(r.text.data[0] == '<' && r.text.data[5] == '>');
        assert_true(r.text.data[6] == '!' || r.text.data[6] == '?');
        assert_int_equal(strspn(r.text.data + 1, "abcdef"), 4);
        inf_op_release(op);
    }
    close_bench(&b);
}

static void test_grammar__bad_ones__are_invalid_arguments_that_say_where(void **state)
{
    static const char *const bad[][2] = {{"", "no rule 'root'"},
                                         {"root ::= a", "'a' is not defined"},
                                         {"root ::= \"a\nb", "line 2"},
                                         {"root ::= root \"a\"", "no text that follows"},
                                         {"root ::= \"a\"{5,2}", "minimum is above its maximum"},
                                         {"root ::= <nothing>", "not one token"}};
    struct bench b;

    (void)state;
    open_bench(&b, NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        inf_request request = sampled("hi", 1);

        request.grammar = inf_str(bad[i][0]);
        expect_error(&b, &request, INF_ERROR_INVALID_ARGUMENT, bad[i][1]);
    }
    close_bench(&b);
}

static void test_grammar__with_json_schema__is_an_invalid_argument_at_the_start(void **state)
{
    struct bench b;
    inf_request request = sampled("hi", 1);
    inf_op *op = NULL;

    (void)state;
    request.grammar = inf_str("root ::= \"a\"");
    request.json_schema = inf_str("{}");
    open_bench(&b, NULL);
    assert_int_equal(inf_generate_start(&op, b.provider, &request, NULL, NULL),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_null(op);
    close_bench(&b);
}

static void test_grammar__stop_string_and_token__end_it_first(void **state)
{
    struct bench b;
    inf_request request = ending("hi", 50);
    inf_text stop = inf_str("cd");
    int32_t token = 'c'; /* in this vocabulary a byte is its own token */
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, NULL);
    request.grammar = inf_str("root ::= \"abcdefgh\"");
    request.stop = &stop;
    request.n_stop = 1;
    op = run(&b, &request);
    assert_text(op, "ab");
    assert_int_equal(result_of(op).finish, INF_FINISH_STOP);
    inf_op_release(op);
    request.n_stop = 0;
    request.grammar = inf_str("root ::= \"ab\" <[99]> \"d\"");
    request.stop_token_ids = &token;
    request.n_stop_token_ids = 1;
    op = run(&b, &request);
    assert_int_equal(result_of(op).finish, INF_FINISH_STOP);
    assert_int_equal(result_of(op).token_ids[result_of(op).n_token_ids - 1], 'c');
    inf_op_release(op);
    close_bench(&b);
}

static void test_grammar__max_tokens_within_it__ends_by_length(void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 5, NULL);
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, NULL);
    request.grammar = inf_str("root ::= [x] root");
    op = run(&b, &request);
    assert_text(op, "xxxxx");
    assert_int_equal(result_of(op).finish, INF_FINISH_LENGTH);
    inf_op_release(op);
    close_bench(&b);
}

/* Nothing more is allowed, and no end either: a token that is no letter of this vocabulary's. */
static void test_grammar__that_allows_no_token__is_an_error_with_the_text_so_far(void **state)
{
    struct bench b;
    inf_request request = ending("hi", 50);
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    request.grammar = inf_str("root ::= \"ab\" <[999999]> \"c\"");
    assert_int_equal(inf_generate(&op, b.provider, &request, &err), INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "allows no token"));
    assert_text(op, "ab");
    inf_op_release(op);
    request.grammar = inf_str("root ::= \"ab\"");
    op = run(&b, &request); /* the provider goes on */
    assert_text(op, "ab");
    inf_op_release(op);
    close_bench(&b);
}

static void test_grammar__of_nothing__ends_at_once(void **state)
{
    struct bench b;
    inf_request request = ending("hi", 50);
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, NULL);
    request.grammar = inf_str("root ::= \"\"");
    op = run(&b, &request);
    assert_text(op, "");
    assert_int_equal(result_of(op).finish, INF_FINISH_STOP);
    inf_op_release(op);
    close_bench(&b);
}

/* Where nothing but the end can follow there is nothing to ignore it for; where something can, it goes on. */
static void test_grammar__complete__ends_under_ignore_eos_too(void **state)
{
    static const struct {
        const char *grammar, *schema, *text;
    } complete[] = {{NULL, "{\"enum\":[1,[true]]}", NULL},
                    {NULL, "{\"const\":{\"a\":[]}}", "{\"a\":[]}"},
                    {"root ::= \"a\" \"b\"", NULL, "ab"}};
    struct bench b;

    (void)state;
    open_bench(&b, NULL);
    for (size_t i = 0; i < 2 * (sizeof complete / sizeof *complete); i++) {
        inf_request request = i % 2 ? sampled("hi", i) : ending("hi", 60);
        inf_op *op = NULL;

        request.ignore_eos = true;
        request.grammar = inf_str(complete[i / 2].grammar);
        request.json_schema = inf_str(complete[i / 2].schema);
        op = run(&b, &request);
        assert_int_equal(result_of(op).finish, INF_FINISH_STOP);
        if (complete[i / 2].text)
            assert_text(op, complete[i / 2].text);
        inf_op_release(op);
    }
    close_bench(&b);
}

static void test_grammar__with_penalties_and_logprobs__still_holds(void **state)
{
    struct bench b;
    inf_request request = sampled("hi", 3);
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, NULL);
    request.grammar = inf_str("root ::= \"aaaaaaaaaaaa\"");
    request.repetition_penalty = (inf_maybe_f32){true, 50};
    request.frequency_penalty = (inf_maybe_f32){true, 2};
    request.top_k = (inf_maybe_i32){true, 1};
    request.top_p = (inf_maybe_f32){true, 0.01f};
    request.min_p = (inf_maybe_f32){true, 1};
    request.logprobs = (inf_maybe_i32){true, 3};
    op = run(&b, &request);
    assert_text(op, "aaaaaaaaaaaa");
    assert_true(result_of(op).n_logprobs >= 1);
    inf_op_release(op);
    close_bench(&b);
}

/* ------------------------------------------------------------------ beside others */

enum { N_BESIDE = 12 };

/* Constrained requests, requests with adapters and free ones at once: the free ones say what they say
 * `alone`. The most rows of a step that one of them had on average. */
static double run_beside(struct bench *b, const inf_request requests[2], inf_op *const alone[2])
{
    inf_op *ops[N_BESIDE];
    double most = 0;

    for (int i = 0; i < N_BESIDE; i++) {
        inf_request request = i % 4 < 2 ? requests[i % 4] : sampled("hi", (uint64_t)i);

        if (i % 4 >= 2) {
            request.json_schema = inf_str(person);
            request.adapter_id = i % 4 == 3 ? inf_str("b") : inf_str(NULL);
        }
        assert_int_equal(inf_generate_start(&ops[i], b->provider, &request, NULL, NULL), INF_OK);
    }
    for (int i = 0; i < N_BESIDE; i++) {
        inf_error err;
        inf_result r;

        if (inf_op_wait(ops[i], -1, &err) != INF_OK)
            fail_msg("%d: %s", i, err.message);
        r = result_of(ops[i]);
        most = r.mean_rows > most ? r.mean_rows : most;
        if (i % 4 >= 2) {
            assert_person(ops[i]);
        } else {
            inf_result expected = result_of(alone[i % 4]);

            assert_int_equal(r.text.len, expected.text.len);
            assert_memory_equal(r.text.data, expected.text.data, r.text.len);
        }
        inf_op_release(ops[i]);
    }
    return most;
}

static void test_constraints__beside_adapters__leave_the_others_as_they_are(void **state)
{
    struct bench b;
    inf_op *alone[2];
    inf_request requests[2] = {greedy("What is gravity?", 60, NULL),
                               greedy("What is gravity?", 60, "a")};
    double most = 0;

    (void)state;
    requests[0].ignore_eos = requests[1].ignore_eos = true;
    open_bench(&b, NULL);
    load(&b, "a", subject->adapters[0]);
    load(&b, "b", subject->adapters[1]);
    for (int i = 0; i < 2; i++)
        alone[i] = run(&b, &requests[i]);
    /* On a busy machine one may end before the next comes: again, until they shared steps. */
    for (int tries = 0; tries < 20 && most <= 2; tries++)
        most = run_beside(&b, requests, alone);
    assert_true(most > 2);
    for (int i = 0; i < 2; i++)
        inf_op_release(alone[i]);
    close_bench(&b);
}

static void test_constraints__cancelled__end_soon_and_the_provider_goes_on(void **state)
{
    struct bench b;
    inf_request request = ending("hi", 4000);
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    request.grammar = inf_str("root ::= [a-z] root");
    assert_int_equal(inf_generate_start(&op, b.provider, &request, NULL, NULL), INF_OK);
    assert_int_equal(inf_op_wait(op, 100, &err), INF_ERROR_TIMEOUT);
    inf_op_cancel(op);
    assert_int_equal(inf_op_wait(op, -1, &err), INF_ERROR_CANCELLED);
    inf_op_release(op);
    request.grammar = inf_str("root ::= \"ok\"");
    op = run(&b, &request);
    assert_text(op, "ok");
    inf_op_release(op);
    close_bench(&b);
}

/* ------------------------------------------------------------------ the real model */

static void test_real_model__json_schema__is_filled_in_with_sense(void **state)
{
    struct bench b;
    inf_message message = {inf_str("user"),
                           inf_str("Which city is the capital of France? Answer as JSON.")};
    inf_request request = ending("", 100);
    inf_op *op = NULL;
    json_t *value = NULL;

    (void)state;
    request.prompt = (inf_text){NULL, 0};
    request.messages = &message;
    request.n_messages = 1;
    request.json_schema = inf_str(
        "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\","
        "\"pattern\":\"^[A-Z][a-z]{2,15}$\"},\"in_europe\":{\"type\":"
        "\"boolean\"}},\"required\":[\"city\",\"in_europe\"]}");
    open_bench(&b, NULL);
    op = run(&b, &request);
    value = parsed(op);
    assert_string_equal(json_string_value(json_object_get(value, "city")), "Paris");
    assert_true(json_is_boolean(json_object_get(value, "in_europe")));
    json_decref(value);
    inf_op_release(op);
    close_bench(&b);
}

static void test_real_model__grammar_and_free_text__share_steps(void **state)
{
    struct bench b;
    inf_request choice = ending("Is the sky blue? Answer: ", 20);
    inf_request story = greedy("Once upon a time", 20, NULL);
    inf_op *alone = NULL;
    inf_op *ops[2];
    double mean_rows = 0;

    (void)state;
    choice.grammar = inf_str("root ::= (\"yes\" | \"no\") \", because \" [a-z ]{20,40} \".\"");
    open_bench(&b, NULL);
    alone = run(&b, &choice);
    assert_true(strncmp(result_of(alone).text.data, "yes, because ", 13) == 0 ||
                strncmp(result_of(alone).text.data, "no, because ", 12) == 0);
    for (int tries = 0; tries < 20 && mean_rows <= 1; tries++) {
        assert_int_equal(inf_generate_start(&ops[0], b.provider, &choice, NULL, NULL), INF_OK);
        assert_int_equal(inf_generate_start(&ops[1], b.provider, &story, NULL, NULL), INF_OK);
        assert_int_equal(inf_op_wait(ops[0], -1, NULL), INF_OK);
        assert_int_equal(inf_op_wait(ops[1], -1, NULL), INF_OK);
        mean_rows = result_of(ops[0]).mean_rows;
        assert_non_null(
            memmem(result_of(ops[0]).text.data, result_of(ops[0]).text.len, ", because ", 10));
        inf_op_release(ops[0]);
        inf_op_release(ops[1]);
    }
    assert_true(mean_rows > 1);
    inf_op_release(alone);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest random_tests[] = {
        cmocka_unit_test(test_json_schema__of_a_random_model__text_obeys_it),
        cmocka_unit_test(test_json_schema__free_strings__are_json),
        cmocka_unit_test(test_json_schema__bad_ones__are_invalid_arguments_that_say_why),
        cmocka_unit_test(test_grammar__text_follows_it),
        cmocka_unit_test(test_grammar__bad_ones__are_invalid_arguments_that_say_where),
        cmocka_unit_test(test_grammar__with_json_schema__is_an_invalid_argument_at_the_start),
        cmocka_unit_test(test_grammar__stop_string_and_token__end_it_first),
        cmocka_unit_test(test_grammar__max_tokens_within_it__ends_by_length),
        cmocka_unit_test(test_grammar__that_allows_no_token__is_an_error_with_the_text_so_far),
        cmocka_unit_test(test_grammar__of_nothing__ends_at_once),
        cmocka_unit_test(test_grammar__complete__ends_under_ignore_eos_too),
        cmocka_unit_test(test_grammar__with_penalties_and_logprobs__still_holds),
        cmocka_unit_test(test_constraints__beside_adapters__leave_the_others_as_they_are),
        cmocka_unit_test(test_constraints__cancelled__end_soon_and_the_provider_goes_on),
    };
    const struct CMUnitTest real_tests[] = {
        cmocka_unit_test(test_real_model__json_schema__is_filled_in_with_sense),
        cmocka_unit_test(test_real_model__grammar_and_free_text__share_steps),
    };
    int failed = cmocka_run_group_tests(random_tests, use_random_model, NULL);

    return failed + cmocka_run_group_tests(real_tests, use_real_model, NULL);
}
