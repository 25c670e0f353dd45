/*
 * The adapters that come with the project, on the real model: each answers questions that are not
 * among its training examples in its own style, and the base model does not. All requests are in
 * flight at once.
 */
#include <inference/inference.h>

#include <jansson.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ADAPTERS TEST_SOURCE_DIR "/../adapters"

enum { N_QUESTIONS = 5 };

static inf_context *context;
static inf_provider *model;
static json_t *spec;

static int open_model(void **state)
{
    inf_error err;

    (void)state;
    spec = json_load_file(ADAPTERS "/style-questions.json", 0, NULL);
    assert_non_null(spec);
    assert_int_equal(inf_context_create(&context, NULL, &err), INF_OK);
    assert_int_equal(
        inf_provider_get(&model, context, "llamacpp", getenv("INFERENCE_TEST_MODEL"), NULL, &err),
        INF_OK);
    assert_int_equal(inf_adapter_load(model, "pirate", ADAPTERS "/pirate", NULL, &err), INF_OK);
    assert_int_equal(inf_adapter_load(model, "json", ADAPTERS "/json", NULL, &err), INF_OK);
    return 0;
}

static int close_model(void **state)
{
    (void)state;
    inf_provider_release(model);
    json_decref(spec);
    return inf_context_close(context, NULL);
}

static inf_op *ask(const char *question, const char *adapter)
{
    inf_message message = {inf_str("user"), inf_str(question)};
    inf_request request;
    inf_op *op = NULL;
    inf_error err;

    inf_request_default(&request, sizeof request);
    request.messages = &message;
    request.n_messages = 1;
    request.adapter_id = inf_str(adapter);
    request.temperature = (inf_maybe_f32){true, 0};
    request.max_tokens = (inf_maybe_i32){true, 80};
    assert_int_equal(inf_generate_start(&op, model, &request, NULL, &err), INF_OK);
    return op;
}

/* How many of the answers match the style's pattern. */
static int count_in_style(const char *style, const char *adapter)
{
    json_t *questions = json_object_get(spec, "questions");
    inf_op *ops[N_QUESTIONS];
    regex_t pattern;
    int n = 0;

    assert_true(json_array_size(questions) >= N_QUESTIONS);
    assert_int_equal(
        regcomp(&pattern, json_string_value(json_object_get(spec, style)), REG_EXTENDED), 0);
    for (size_t i = 0; i < N_QUESTIONS; i++)
        ops[i] = ask(json_string_value(json_array_get(questions, i)), adapter);
    for (int i = 0; i < N_QUESTIONS; i++) {
        inf_result r;
        char *text = NULL;

        assert_int_equal(inf_op_wait(ops[i], -1, NULL), INF_OK);
        assert_int_equal(inf_op_result(ops[i], &r, sizeof r), INF_OK);
        text = strndup(r.text.data, r.text.len);
        if (regexec(&pattern, text, 0, NULL, 0) == 0)
            n++;
        else
            print_message("not %s: %s\n", style, text);
        free(text);
        inf_op_release(ops[i]);
    }
    regfree(&pattern);
    return n;
}

static void test_pirate__answers_as_one(void **state)
{
    (void)state;
    assert_int_equal(count_in_style("pirate", "pirate"), N_QUESTIONS);
}

static void test_json__answers_in_json(void **state)
{
    (void)state;
    assert_int_equal(count_in_style("json", "json"), N_QUESTIONS);
}

static void test_base__has_neither_style(void **state)
{
    (void)state;
    assert_int_equal(count_in_style("pirate", NULL), 0);
    assert_int_equal(count_in_style("json", NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pirate__answers_as_one),
        cmocka_unit_test(test_json__answers_in_json),
        cmocka_unit_test(test_base__has_neither_style),
    };

    return cmocka_run_group_tests(tests, open_model, close_model);
}
