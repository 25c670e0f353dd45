/* The text stream: whole code points only, stop strings withheld, nothing lost. */
#include "local/text_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

/* Pushes `bytes` in pieces of `step` and returns the text; *stopped as after the last push. */
static const char *stream(const inf_text *stop, size_t n_stop, const char *bytes, size_t n,
                          size_t step, bool *stopped)
{
    static struct buffer out;
    struct text_stream *s = text_stream_create(stop, n_stop);

    assert_non_null(s);
    buffer_free(&out);
    buffer_init(&out, BUFFER_NO_LIMIT);
    *stopped = false;
    for (size_t at = 0; at < n; at += step)
        assert_true(text_stream_push(s, bytes + at, n - at < step ? n - at : step, &out, stopped));
    assert_true(text_stream_finish(s, &out));
    text_stream_free(s);
    return out.data ? out.data : "";
}

/* The same text however the bytes are cut. */
static void assert_streams(const inf_text *stop, size_t n_stop, const char *bytes, const char *text,
                           bool stops)
{
    for (size_t step = 1; step <= strlen(bytes) + 1; step++) {
        bool stopped = false;

        assert_string_equal(stream(stop, n_stop, bytes, strlen(bytes), step, &stopped), text);
        assert_int_equal(stopped, stops);
    }
}

static void test_text__is_passed_on(void **state)
{
    (void)state;
    assert_streams(NULL, 0, "Hello, world", "Hello, world", false);
    assert_streams(NULL, 0,
                   "gr\xC3\xB6\xC3\x9F"
                   "e \xE2\x82\xAC \xF0\x9F\x90\x89",
                   "gr\xC3\xB6\xC3\x9F"
                   "e \xE2\x82\xAC \xF0\x9F\x90\x89",
                   false);
}

static void test_code_point__is_shown_only_when_it_is_complete(void **state)
{
    struct text_stream *s = text_stream_create(NULL, 0);
    struct buffer out;
    bool stopped = false;

    (void)state;
    buffer_init(&out, BUFFER_NO_LIMIT);
    assert_true(text_stream_push(s, "a\xF0\x9F", 3, &out, &stopped));
    assert_string_equal(out.data, "a");
    assert_true(text_stream_push(s, "\x90", 1, &out, &stopped));
    assert_string_equal(out.data, "a");
    assert_true(text_stream_push(s,
                                 "\x89"
                                 "b",
                                 2, &out, &stopped));
    assert_string_equal(out.data, "a\xF0\x9F\x90\x89"
                                  "b");
    buffer_free(&out);
    text_stream_free(s);
}

/* Unicode 15, section 3.9, table 3-8 and "substitution of maximal subparts". */
static void test_ill_formed_bytes__become_one_replacement_for_each_maximal_subpart(void **state)
{
    (void)state;
#define FFFD "\xEF\xBF\xBD"
    assert_streams(NULL, 0,
                   "a\xFF"
                   "b",
                   "a" FFFD "b", false);
    assert_streams(NULL, 0, "\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41",
                   FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "A", false);
    assert_streams(NULL, 0, "\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41",
                   FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "A", false);
    assert_streams(NULL, 0, "\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42",
                   FFFD FFFD FFFD FFFD FFFD "A" FFFD FFFD "B", false);
    assert_streams(NULL, 0, "\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", FFFD FFFD FFFD FFFD "A", false);
}

static void test_truncated_end__becomes_one_replacement(void **state)
{
    (void)state;
    assert_streams(NULL, 0, "ab\xF0\x9F\x90", "ab" FFFD, false);
    assert_streams(NULL, 0, "\xC3", FFFD, false);
}

static void test_stop__ends_the_text_before_it(void **state)
{
    const inf_text stop[] = {{"\n\n", 2}};

    (void)state;
    assert_streams(stop, 1, "one\ntwo\n\nthree", "one\ntwo", true);
    assert_streams(stop, 1, "\n\nx", "", true);
    assert_streams(stop, 1, "one\n", "one\n", false);
}

static void test_stop__partial_match_that_fails__is_shown(void **state)
{
    const inf_text stop[] = {{"</answer>", 9}, {"aab", 3}};

    (void)state;
    assert_streams(stop, 2, "a </ans </answe>", "a </ans </answe>", false);
    assert_streams(stop, 2, "aaab", "a", true);
    assert_streams(stop, 2, "x</</answer>", "x</", true);
}

static void test_stop__possible_beginning__waits(void **state)
{
    const inf_text stop[] = {{"END", 3}};
    struct text_stream *s = text_stream_create(stop, 1);
    struct buffer out;
    bool stopped = false;

    (void)state;
    buffer_init(&out, BUFFER_NO_LIMIT);
    assert_true(text_stream_push(s, "theEN", 5, &out, &stopped));
    assert_string_equal(out.data, "the");
    assert_true(text_stream_push(s, "E", 1, &out, &stopped));
    assert_string_equal(out.data, "theEN");
    assert_true(text_stream_push(s, "ND and more", 11, &out, &stopped));
    assert_true(stopped);
    assert_true(text_stream_push(s, "more", 4, &out, &stopped));
    assert_true(stopped);
    assert_true(text_stream_finish(s, &out));
    assert_string_equal(out.data, "theEN");
    buffer_free(&out);
    text_stream_free(s);
}

static void test_stops__two_in_one_push__the_first_to_begin_wins(void **state)
{
    const inf_text stop[] = {{"world", 5}, {"lo", 2}};
    bool stopped = false;

    (void)state;
    assert_string_equal(stream(stop, 2, "hello world", 11, 11, &stopped), "hel");
    assert_true(stopped);
}

static void test_stop__of_several_code_points__split_anywhere(void **state)
{
    const inf_text stop[] = {{"\xF0\x9F\x90\x89!", 5}};

    (void)state;
    assert_streams(stop, 1, "a\xF0\x9F\x90\x89?\xF0\x9F\x90\x89!b", "a\xF0\x9F\x90\x89?", true);
}

static void test_nul__is_text(void **state)
{
    const inf_text stop[] = {{"\0x", 2}};
    bool stopped = false;

    (void)state;
    assert_string_equal(stream(stop, 1, "a\0x", 3, 1, &stopped), "a");
    assert_true(stopped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text__is_passed_on),
        cmocka_unit_test(test_code_point__is_shown_only_when_it_is_complete),
        cmocka_unit_test(test_ill_formed_bytes__become_one_replacement_for_each_maximal_subpart),
        cmocka_unit_test(test_truncated_end__becomes_one_replacement),
        cmocka_unit_test(test_stop__ends_the_text_before_it),
        cmocka_unit_test(test_stop__partial_match_that_fails__is_shown),
        cmocka_unit_test(test_stop__possible_beginning__waits),
        cmocka_unit_test(test_stops__two_in_one_push__the_first_to_begin_wins),
        cmocka_unit_test(test_stop__of_several_code_points__split_anywhere),
        cmocka_unit_test(test_nul__is_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
