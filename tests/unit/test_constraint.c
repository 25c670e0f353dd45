/*
 * Specification of constraints over a real vocabulary: the mask of a step is what each token's text says,
 * looked at alone, and it is quick.
 */
#include "core/clock.h"
#include "engine/guard.h"
#include "engine/llama_tokenizer.h"
#include "local/constraint.h"
#include "text/constraint/json_schema.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct llama_model *model;
static struct tokenizer tokenizer;
static struct token_texts *texts;

static int open_model(void **state)
{
    struct llama_model_params params = llama_model_default_params();
    const char *path = getenv("INFERENCE_TEST_MODEL");
    inf_error err;

    (void)state;
    assert_non_null(path);
    guard_start();
    params.vocab_only = true;
    model = guard_load_model(path, params, &err);
    assert_non_null(model);
    llama_tokenizer_describe(model, &tokenizer);
    texts = token_texts_create(&tokenizer);
    assert_non_null(texts);
    return 0;
}

static int close_model(void **state)
{
    (void)state;
    token_texts_free(texts);
    llama_model_free(model);
    return 0;
}

static struct sampling_constraint of_schema(const char *schema)
{
    struct sampling_constraint c;
    struct grammar *grammar = NULL;
    inf_error err;

    if (json_schema_compile(&grammar, inf_str(schema), &err) != INF_OK ||
        constraint_create(&c, texts, grammar, &err) != INF_OK)
        fail_msg("%s: %s", schema, err.message);
    return c;
}

static struct sampling_constraint of_gbnf(const char *text)
{
    struct sampling_constraint c;
    struct grammar *grammar = NULL;
    inf_error err;

    if (constraint_read_gbnf(&grammar, &tokenizer, inf_str(text), &err) != INF_OK ||
        constraint_create(&c, texts, grammar, &err) != INF_OK)
        fail_msg("%s: %s", text, err.message);
    return c;
}

/* The token of one byte. */
static int32_t of_byte(char byte)
{
    for (int32_t i = 0; i < texts->n_vocab; i++)
        if (texts->by_id[i].len == 1 && texts->by_id[i].text[0] == byte)
            return i;
    return -1;
}

static int32_t n_allowed(struct sampling_constraint *c, const char *where)
{
    float *logits = calloc((size_t)texts->n_vocab, sizeof *logits);
    int32_t n = 0;

    assert_non_null(logits);
    c->apply(c->state, logits, texts->n_vocab);
    for (int32_t i = 0; i < texts->n_vocab; i++) {
        bool in_mask = logits[i] > -INFINITY;

        n += in_mask;
        if (in_mask != c->allows(c->state, i))
            fail_msg("behind %s: token %d (%.*s) is %s the mask", where, i, texts->by_id[i].len,
                     texts->by_id[i].text, in_mask ? "in" : "not in");
    }
    free(logits);
    return n;
}

/* As many of a text's bytes, a token each, as the grammar lets come. */
static void assert_run(struct sampling_constraint *c, const char *text, int32_t expected)
{
    int32_t tokens[64];
    int32_t n = (int32_t)strlen(text);

    for (int32_t i = 0; i < n; i++)
        tokens[i] = of_byte(text[i]);
    assert_int_equal(c->allows_run(c->state, tokens, n), expected);
}

static void test_run__ends_where_the_grammar_refuses__and_changes_nothing(void **state)
{
    struct sampling_constraint c = of_gbnf("root ::= \"ab\" [0-9]+ \"!\"");
    int32_t end = 0;

    (void)state;
    while (texts->kinds[end] != TOKEN_END)
        end++;
    for (int i = 0; i < 2; i++) {
        assert_run(&c, "ab12!", 5);
        assert_run(&c, "ab12!!", 5);
        assert_run(&c, "abc", 2);
        assert_run(&c, "b", 0);
        assert_run(&c, "", 0);
        assert_int_equal(c.allows_run(c.state, &end, 1), 0);
    }
    for (const char *at = "ab1"; *at; at++)
        assert_true(c.accept(c.state, of_byte(*at)));
    assert_run(&c, "1!ab", 2);
    assert_true(c.accept(c.state, of_byte('!')));
    assert_int_equal(c.allows_run(c.state, &end, 1), 1);
    assert_run(&c, "!", 0);
    c.destroy(c.state);
}

/* At every `stride`th byte of a text. */
static void assert_masks_agree(struct sampling_constraint c, const char *text, size_t stride)
{
    char so_far[400] = "";

    for (size_t i = 0; text[i]; i++) {
        if (i % stride == 0)
            assert_true(n_allowed(&c, so_far) > 0);
        assert_true(c.accept(c.state, of_byte(text[i])));
        so_far[i] = text[i];
    }
    n_allowed(&c, so_far);
    c.destroy(c.state);
}

static void test_constraint__mask__is_what_each_token_says(void **state)
{
    (void)state;
    assert_masks_agree(
        of_schema("{\"properties\":{\"name\":{\"type\":\"string\"},\"age\":{\"type\":"
                  "\"integer\",\"minimum\":18},\"tags\":{\"items\":{\"enum\":[\"a\","
                  "\"ab\",\"the\"]},\"uniqueItems\":true,\"type\":\"array\"}}}"),
        "{\"name\": \"caf\\u00e9\", \"age\":37,\"tags\":[\"ab\"]}", 1);
    assert_masks_agree(of_schema("{\"type\":\"string\",\"maxLength\":9,\"minLength\":3}"),
                       "\"abc 12\\n", 1);
    assert_masks_agree(of_schema("{\"type\":\"string\",\"pattern\":\"^[a-z ]+[.!]$\"}"),
                       "\"hello there.\"", 1);
    assert_masks_agree(of_schema("{\"type\":\"string\",\"pattern\":\"the\",\"maxLength\":12}"),
                       "\"say the wor", 2);
    assert_masks_agree(
        of_schema("{\"x-order\":\"any\",\"properties\":{\"a\":{\"type\":\"number\"},"
                  "\"the\":{},\"these\":{\"type\":\"null\"}},\"required\":[\"the\"]}"),
        "{\"these\":null,\"the\":[1.5e3]", 1);
    assert_masks_agree(of_schema("{}"), "{\"\":[true,{\"x\":\"a\xc3\xa9\"}]}", 1);
}

static void test_constraint__mask_of_a_grammar__is_what_each_token_says(void **state)
{
    (void)state;
    assert_masks_agree(of_gbnf("root ::= (\"a\" | \"an\" | \"the\") \" \" [a-z]+ [^a-c]{2,3} end\n"
                               "end ::= \"!\" end | \"\""),
                       "the cat;;!", 1);
    assert_masks_agree(of_gbnf("root ::= root \"a\" | \"b\""), "baa", 1);
    assert_masks_agree(of_gbnf("root ::= .{1,20}"), "x y", 1);
}

/* n optional properties, each an integer. */
static char *wide(int n)
{
    char *schema = malloc(100 + 60 * (size_t)n);
    size_t at = (size_t)sprintf(schema, "{\"type\":\"object\",\"properties\":{");

    assert_non_null(schema);
    for (int i = 0; i < n; i++)
        at += (size_t)sprintf(schema + at, "%s\"property_%d\":{\"type\":\"integer\"}", i ? "," : "",
                              i);
    strcpy(schema + at, "}}");
    return schema;
}

/* The bounds leave room for a busy machine; bench/mask_cost.c measures. */
static void assert_mask_is_quick(struct sampling_constraint c, const char *text, int64_t us)
{
    float *logits = calloc((size_t)texts->n_vocab, sizeof *logits);
    int64_t best = INT64_MAX;

    assert_non_null(logits);
    for (const char *at = text; *at; at++)
        assert_true(c.accept(c.state, of_byte(*at)));
    for (int i = 0; i < 20; i++) {
        int64_t before = clock_us();

        c.apply(c.state, logits, texts->n_vocab);
        if (clock_us() - before < best)
            best = clock_us() - before;
    }
    if (best > us)
        fail_msg("behind %s the mask takes %lld us", text, (long long)best);
    free(logits);
    c.destroy(c.state);
}

static void test_constraint__mask__is_quick(void **state)
{
    char *many = wide(128);

    (void)state;
    assert_mask_is_quick(of_schema(many), "{", 20000);
    assert_mask_is_quick(of_schema(many), "{\"property_", 20000);
    assert_mask_is_quick(of_schema("{\"properties\":{\"a\":{\"type\":\"string\"}}}"), "{\"a\":\"x",
                         5000);
    free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run__ends_where_the_grammar_refuses__and_changes_nothing),
        cmocka_unit_test(test_constraint__mask__is_what_each_token_says),
        cmocka_unit_test(test_constraint__mask_of_a_grammar__is_what_each_token_says),
        cmocka_unit_test(test_constraint__mask__is_quick),
    };

    return cmocka_run_group_tests(tests, open_model, close_model);
}
