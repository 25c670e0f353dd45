/* json and text_join: what is JSON, what strings mean, code points put together. */
#include "core/memory.h"
#include "core/utf8.h"
#include "core/json.h"
#include "core/json_check.h"
#include "remote/text_join.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

static bool is_json(const char *text)
{
    struct json_span v;

    return scan_json(&v, text, strlen(text));
}

static void test_scan__what_is_json__and_what_is_not(void **state)
{
    static const char *const good[] = {"{}",
                                       "[]",
                                       " [ ] ",
                                       "{\"a\":1}",
                                       "[1,2,{\"b\":[null,true,false]}]",
                                       "\"x\"",
                                       "0",
                                       "-0.5e+7",
                                       "{\"a\" : { } , \"b\":[ [ ] ] }",
                                       "\"\\u00e9\\n\\\\\\\"\"",
                                       "\"\\ud800\"",
                                       "1e400"};
    static const char *const bad[] = {"",
                                      " ",
                                      "{",
                                      "}",
                                      "[",
                                      "]",
                                      "[1,]",
                                      "{\"a\"}",
                                      "{\"a\":}",
                                      "{\"a\":1,}",
                                      "{a:1}",
                                      "[1 2]",
                                      "{\"a\":1 \"b\":2}",
                                      "01",
                                      "1.",
                                      ".5",
                                      "1e",
                                      "+1",
                                      "-",
                                      "nul",
                                      "truex",
                                      "\"",
                                      "\"\\x\"",
                                      "\"\\u12g4\"",
                                      "\"a\nb\"",
                                      "[1}",
                                      "{\"a\":1]",
                                      "1 1",
                                      "{}{}",
                                      "'a'",
                                      "NaN",
                                      "[,1]"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!is_json(good[i]))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (is_json(bad[i]))
            fail_msg("taken: %s", bad[i]);
}

static void test_scan__nested__up_to_the_limit_and_no_further(void **state)
{
    enum { DEEP = 200000 };
    char *text = malloc(2 * DEEP + 1);
    struct json_span v;

    (void)state;
    memset(text, '[', DEEP);
    memset(text + DEEP, ']', DEEP);
    assert_true(scan_json(&v, text + DEEP - JSON_MAX_DEPTH, 2 * JSON_MAX_DEPTH));
    assert_false(scan_json(&v, text + DEEP - JSON_MAX_DEPTH - 1, 2 * JSON_MAX_DEPTH + 2));
    assert_false(scan_json(&v, text, 2 * DEEP));
    assert_false(scan_json(&v, text, DEEP));
    free(text);
}

static void test_walk__members_and_items__in_order_and_the_last_of_a_name_counts(void **state)
{
    const char *text = " { \"a\" : 1 , \"b\":[ 1 ,\"x\", {} ],\"a\":2,\"\\u0063\":3 } ";
    struct json_span v, key, value;
    struct json_walk w;
    int64_t n = 0;
    int count = 0;

    (void)state;
    assert_true(scan_json(&v, text, strlen(text)));
    scan_object(&w, v);
    while (scan_next_member(&w, &key, &value))
        count++;
    assert_int_equal(count, 4);
    assert_true(scan_integer(scan_member(v, "a"), &n));
    assert_int_equal(n, 2);
    assert_true(scan_integer(scan_member(v, "c"), &n)); /* an escaped key is the same key */
    assert_int_equal(n, 3);
    count = 0;
    scan_array(&w, scan_member(v, "b"));
    while (scan_next_item(&w, &value))
        count++;
    assert_int_equal(count, 3);
    assert_null(scan_member(v, "nothing").data);
    assert_false(scan_array(&w, v));
    assert_false(scan_next_item(&w, &value));
}

static void means(const char *json, const char *bytes, size_t len)
{
    struct json_span v;
    struct buffer out;

    buffer_init(&out, BUFFER_NO_LIMIT);
    assert_true(scan_json(&v, json, strlen(json)));
    assert_true(scan_unescape(&out, v));
    assert_int_equal(out.len, len);
    if (len)
        assert_memory_equal(out.data, bytes, len);
    buffer_free(&out);
}

static void test_unescape__every_escape_and_surrogates(void **state)
{
    (void)state;
    means("\"\"", "", 0);
    means("\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", "a\"\\/\b\f\n\r\tz", 10);
    means("\"\\u0000\"", "\0", 1);
    means("\"\\u00e9\\u20AC\"", "\xc3\xa9\xe2\x82\xac", 5);
    means("\"\\ud83e\\udd8a\"", "\xf0\x9f\xa6\x8a", 4);
    means("\"\\ud83e\"", "\xed\xa0\xbe", 3); /* half of a pair, kept as such */
    means("\"\\udd8ax\"", "\xed\xb6\x8ax", 4);
    means("\"\\ud83e\\u0041\"",
          "\xed\xa0\xbe"
          "A",
          4);
}

static void expect_integer(const char *text, bool is_one, int64_t want)
{
    struct json_span v;
    int64_t n = 0;

    assert_true(scan_json(&v, text, strlen(text)));
    assert_int_equal(scan_integer(v, &n), is_one);
    if (is_one)
        assert_int_equal(n, want);
}

static void test_integer__bounds(void **state)
{
    (void)state;
    expect_integer("0", true, 0);
    expect_integer("-17", true, -17);
    expect_integer("9223372036854775807", true, INT64_MAX);
    expect_integer("9223372036854775808", false, 0);
    expect_integer("-9223372036854775808", true, INT64_MIN);
    expect_integer("-9223372036854775809", false, 0);
    expect_integer("1.5", false, 0);
    expect_integer("1e3", false, 0);
    expect_integer("\"1\"", false, 0);
    expect_integer("null", false, 0);
}

static void test_real__is_what_strtod_says(void **state)
{
    static const char *const numbers[] = {"0",
                                          "-0.199843630194664",
                                          "1e10",
                                          "-12.5E-3",
                                          "1e-320",
                                          "123456789012345678901234567890",
                                          "0.00022498461476061493",
                                          "1e308",
                                          "3.25e+2"};
    struct json_span v;
    double d = 0;

    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        double want = strtod(numbers[i], NULL);

        assert_true(scan_json(&v, numbers[i], strlen(numbers[i])));
        assert_true(scan_real(v, &d));
        assert_true((float)d == (float)want);
    }
    assert_true(scan_json(&v, "1e999", 5) && scan_real(v, &d) && d > 1e308);
    assert_true(scan_json(&v, "0e999999999999", 14) && scan_real(v, &d) && d == 0);
    assert_true(scan_json(&v, "1e-999999999999", 15) && scan_real(v, &d) && d == 0);
    assert_true(scan_json(&v, "true", 4) && !scan_real(v, &d));
}

static void test_write__what_jansson_reads_back(void **state)
{
    static const char text[] = "a\"\\\n\x01\x1f\0é🦊/";
    static const float floats[] = {0, 1, 0.1f, 0.7f, 1.3f, 1e-30f, 3.4e38f, -2, 0.333333343f};
    struct buffer out;
    json_t *value = NULL;

    (void)state;
    buffer_init(&out, BUFFER_NO_LIMIT);
    assert_true(write_json_string(&out, text, sizeof text - 1));
    value = json_loadb(out.data, out.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    assert_int_equal(json_string_length(value), sizeof text - 1);
    assert_memory_equal(json_string_value(value), text, sizeof text - 1);
    json_decref(value);
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        buffer_clear(&out);
        assert_true(write_json_float(&out, floats[i]));
        assert_true(strtof(out.data, NULL) == floats[i]);
        assert_true(is_json(out.data));
    }
    buffer_clear(&out);
    write_json_float(&out, 0.7f);
    assert_string_equal(out.data, "0.7"); /* the shortest, not 0.699999988 */
    buffer_free(&out);
}

/* ------------------------------------------------------------------ text_join */

static void join_in_two(struct buffer *out, const char *bytes, size_t len, size_t cut)
{
    struct text_join join = {{0}, 0};

    buffer_clear(out);
    assert_true(text_join_push(&join, bytes, cut, out));
    assert_true(utf8_valid(out->data ? out->data : "", out->len));
    assert_true(text_join_push(&join, bytes + cut, len - cut, out));
    assert_true(text_join_end(&join, out));
    assert_true(utf8_valid(out->data ? out->data : "", out->len));
}

static void expect_joined(const char *bytes, size_t len, const char *want)
{
    struct buffer out;

    buffer_init(&out, BUFFER_NO_LIMIT);
    for (size_t cut = 0; cut <= len; cut++) { /* wherever the pieces part, the text is the same */
        join_in_two(&out, bytes, len, cut);
        if (out.len != strlen(want) || memcmp(out.data, want, out.len) != 0)
            fail_msg("cut at %zu: '%s' instead of '%s'", cut, out.data, want);
    }
    buffer_free(&out);
}

static void test_join__cut_at_every_byte__is_the_same_text(void **state)
{
    (void)state;
    expect_joined("h\xc3\xa9\xe2\x82\xac\xf0\x9f\xa6\x8a.", 11, "hé€🦊.");
    expect_joined("\xed\xa0\xbe\xed\xb6\x8a!", 7, "🦊!"); /* a pair, in halves */
    expect_joined("\xed\xa0\xbex", 4, "\xef\xbf\xbdx");   /* a half alone */
    expect_joined("\xed\xb6\x8ax", 4, "\xef\xbf\xbdx");
    expect_joined("\xed\xa0\xbe\xed\xa0\xbe\xed\xb6\x8a", 9, "\xef\xbf\xbd🦊");
    expect_joined("a\xffz", 3, "a\xef\xbf\xbdz");
    expect_joined("\xe2\x82", 2, "\xef\xbf\xbd");
    expect_joined("\xf0\x9f\xa6", 3, "\xef\xbf\xbd");
    expect_joined("\xc0\x80", 2, "\xef\xbf\xbd\xef\xbf\xbd");
    expect_joined("\xe2\x28\xa1", 3, "\xef\xbf\xbd(\xef\xbf\xbd");
}

static void test_join__any_bytes_in_any_pieces__give_one_text(void **state)
{
    struct buffer whole, parts;

    (void)state;
    buffer_init(&whole, BUFFER_NO_LIMIT);
    buffer_init(&parts, BUFFER_NO_LIMIT);
    srand(7);
    for (int round = 0; round < 3000; round++) {
        static const char alphabet[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\xed\xa0\xbe\xb6\x8a\xff\x80";
        char bytes[12];
        struct text_join join = {{0}, 0};

        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = alphabet[(size_t)rand() % (sizeof alphabet - 1)];
        join_in_two(&whole, bytes, sizeof bytes, 0);
        buffer_clear(&parts);
        for (size_t i = 0; i < sizeof bytes; i++)
            assert_true(text_join_push(&join, bytes + i, 1, &parts));
        assert_true(text_join_end(&join, &parts));
        assert_int_equal(whole.len, parts.len);
        assert_memory_equal(whole.data, parts.data, whole.len);
    }
    buffer_free(&whole);
    buffer_free(&parts);
}

static void assert_refused(const char *text, const char *message)
{
    inf_error err = {0};

    assert_int_equal(json_check(inf_str(text), "x", &err), INF_ERROR_INVALID_ARGUMENT);
    assert_string_equal(err.message, message);
}

static void test_check__what_readers_take_differently__is_refused_by_line_and_column(void **state)
{
    static const char *const good[] = {"{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":2}],\"\":0}",
                                       "[\"a\",\"a\"]",
                                       "\"\\ud83d\\ude00\\uD83D\\uDE00 \\\\ud800\"",
                                       "{\"a\":\"a\",\"A\":\":\"}",
                                       "{\"a\":1,\"a\":2", /* no JSON: its reader says so */
                                       "3"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(json_check(inf_str(good[i]), "x", NULL), INF_OK);
    assert_int_equal(json_check((inf_text){NULL, 0}, "x", NULL), INF_OK);
    assert_refused("{\"a\":1,\"a\":2}",
                   "x: line 1 column 8: a key stands twice in an object: \"a\"");
    assert_refused("[{\"\xc3\xa9\":{\"b\":[]},\n \"b\":0, \"\\u00e9\" : {}}]",
                   "x: line 2 column 9: a key stands twice in an object: \"\\u00e9\"");
    assert_refused("{\"c\":1,\"b\":2,\"b\":3,\"c\":4}",
                   "x: line 1 column 14: a key stands twice in an object: \"b\"");
    assert_refused("{\"\xf0\x9f\x98\x80\":\"x\\ud800\"}",
                   "x: line 1 column 8: half of a surrogate pair, which is no character: \\ud800");
    assert_refused("[\"\\ude00\\ud83d\"]",
                   "x: line 1 column 3: half of a surrogate pair, which is no character: \\ude00");
    assert_refused("[\"\\ud83d\\ud83d\\ude00\"]",
                   "x: line 1 column 3: half of a surrogate pair, which is no character: \\ud83d");
    assert_refused("[\"\\ud83d\"]",
                   "x: line 1 column 3: half of a surrogate pair, which is no character: \\ud83d");
}

/* Were each key compared with each, this would take minutes. */
static void test_check__a_hundred_thousand_keys__in_no_time(void **state)
{
    struct buffer text;
    inf_error err = {0};

    (void)state;
    buffer_init(&text, BUFFER_NO_LIMIT);
    buffer_append_str(&text, "{");
    for (int i = 0; i < 100000; i++)
        buffer_printf(&text, "\"k%d\":0,", i);
    buffer_append_str(&text, "\"k77777\":1}");
    assert_false(text.failed);
    assert_int_equal(json_check((inf_text){text.data, text.len}, "x", &err),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "\"k77777\""));
    buffer_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan__what_is_json__and_what_is_not),
        cmocka_unit_test(test_scan__nested__up_to_the_limit_and_no_further),
        cmocka_unit_test(test_walk__members_and_items__in_order_and_the_last_of_a_name_counts),
        cmocka_unit_test(test_unescape__every_escape_and_surrogates),
        cmocka_unit_test(test_integer__bounds),
        cmocka_unit_test(test_real__is_what_strtod_says),
        cmocka_unit_test(test_check__what_readers_take_differently__is_refused_by_line_and_column),
        cmocka_unit_test(test_check__a_hundred_thousand_keys__in_no_time),
        cmocka_unit_test(test_write__what_jansson_reads_back),
        cmocka_unit_test(test_join__cut_at_every_byte__is_the_same_text),
        cmocka_unit_test(test_join__any_bytes_in_any_pieces__give_one_text),
    };

    return cmocka_run_group_tests_name("remote: json, text", tests, NULL, NULL);
}
