/*
 * lookup: drafts of texts whose bytes are the tokens.
 */
#include "local/lookup.h"

#include "core/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MOST = 64 };

static struct lookup *make(const char *reference)
{
    int32_t tokens[256] = {0}; /* gcc 14 does not see that all that count are set */
    int32_t n = (int32_t)strlen(reference);
    struct lookup *l = NULL;

    for (int32_t i = 0; i < n; i++)
        tokens[i] = (unsigned char)reference[i];
    l = lookup_create(tokens, n);
    assert_non_null(l);
    return l;
}

static void add(struct lookup *l, const char *text, bool generated)
{
    for (; *text; text++)
        assert_true(lookup_add(l, (unsigned char)*text, generated));
}

static void assert_draft(struct lookup *l, int32_t most, const char *expected)
{
    int32_t out[MOST];
    char text[MOST + 1] = "";
    int32_t n = lookup_draft(l, out, most);

    for (int32_t i = 0; i < n; i++)
        text[i] = (char)out[i];
    assert_string_equal(text, expected);
}

/* What follows `text`, the last of it generated, with a reference. */
static void check(const char *reference, const char *prompt, const char *answer,
                  const char *expected)
{
    int64_t live = mem_live();
    struct lookup *l = make(reference);

    add(l, prompt, false);
    add(l, answer, true);
    assert_draft(l, 6, expected);
    lookup_free(l);
    assert_int_equal(mem_live(), live);
}

static void test_draft__is_what_followed_before(void **state)
{
    (void)state;
    check("", "one two three; ", "one t", "wo thr");
    check("", "abcdefgh", "", "");
    check("", "x", "", "");
    check("", "", "", "");
    check("", "abcdefgh", "zb", "");
    check("", "abcdefgh", "zbc", "defghz");
}

static void test_draft__longest_first__of_equals_the_most_recent(void **state)
{
    (void)state;
    check("", "say abcd1 or bcd2; ", "abcd", "1 or b");
    check("", "abcd1; abcd2; ", "abcd", "2; abc");
    check("", "cd1 abcdef", " cd", "ef cde");
}

static void test_draft__of_a_text_that_repeats_itself__goes_round(void **state)
{
    (void)state;
    check("", "ab", "abab", "ababab");
    check("", "", "aaaa", "aaaaaa");
}

static void test_draft__from_the_reference__not_beyond_its_end(void **state)
{
    (void)state;
    check("the quick fox", "Repeat: ", "the qu", "ick fo");
    check("the quick fox", "Repeat: ", "quick ", "fox");
    check("the quick fox", "Repeat: ", "the quick fox", "");
    check("ab", "", "ab", ""); /* nothing follows it there */
    check("the quick fox", "the quick cat. ", "the q", "uick c");
    check("the quick fox.", "the quick", "", " fox.");
}

static void test_match__goes_on_with_the_text__and_ends_with_it(void **state)
{
    struct lookup *l = make("0123456789abcdefghijklmnop");
    double before = 0;

    (void)state;
    add(l, "23456", false);
    assert_draft(l, 4, "789a");
    before = lookup_chance(l, 0);
    add(l, "789", true);
    assert_draft(l, 4, "abcd");
    assert_true(lookup_chance(l, 0) > before); /* it came true, and is longer */
    add(l, "!", true);
    assert_draft(l, 4, "");
    add(l, "ab", true);
    assert_draft(l, 4, "cdef");
    lookup_free(l);
}

static void test_chance__follows_what_came_true(void **state)
{
    struct lookup *l = make("");
    double first = 0;

    (void)state;
    add(l, "ab1ab2ab3ab4ab", false);
    assert_draft(l, 2, "4a");
    first = lookup_chance(l, 0);
    assert_true(first > 0 && first < 1);
    assert_true(lookup_chance(l, 10) > first); /* of a match that has gone on for so long */
    for (char c = '5'; c < 'a'; c++) {
        char text[] = {c, 'a', 'b', '\0'};

        add(l, text, true);
        lookup_draft(l, (int32_t[2]){0}, 2);
    }
    assert_draft(l, 1, "`");
    assert_true(lookup_chance(l, 0) < first / 2);
    lookup_free(l);
}

/* Texts in which nothing, and everything, is alike; the tables grow many times. */
static void test_long_texts__cost_little(void **state)
{
    int32_t out[MOST];

    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        struct lookup *l = make("");

        for (int32_t i = 0; i < 300000; i++) {
            assert_true(lookup_add(l, kind ? 7 : i, true));
            assert_int_equal(lookup_draft(l, out, MOST), kind && i > 1 ? MOST : 0);
        }
        lookup_free(l);
    }
}

/* Against a look at everything: of short texts of few letters. */
static void test_draft__of_random_texts__continues_a_match(void **state)
{
    uint32_t random = 1;

    (void)state;
    for (int round = 0; round < 2000; round++) {
        struct lookup *l = make(round % 2 ? "abcabdbbcdab" : "");
        char text[80] = "";
        int32_t out[MOST];

        for (int n = 0; n < 60; n++) {
            int32_t drafted = lookup_draft(l, out, 8);

            if (drafted > 0 &&
                n > 1) { /* its beginning stands behind the last two letters somewhere */
                char found[] = {text[n - 2], text[n - 1], (char)out[0], '\0'};
                char all[100];

                strcpy(all, round % 2 ? "abcabdbbcdab\n" : "");
                strcat(all, text);
                assert_non_null(strstr(all, found));
            }
            random = random * 1664525 + 1013904223;
            text[n] = (char)('a' + (random >> 20) % 4);
            assert_true(lookup_add(l, text[n], n > 5));
        }
        lookup_free(l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draft__is_what_followed_before),
        cmocka_unit_test(test_draft__longest_first__of_equals_the_most_recent),
        cmocka_unit_test(test_draft__of_a_text_that_repeats_itself__goes_round),
        cmocka_unit_test(test_draft__from_the_reference__not_beyond_its_end),
        cmocka_unit_test(test_match__goes_on_with_the_text__and_ends_with_it),
        cmocka_unit_test(test_chance__follows_what_came_true),
        cmocka_unit_test(test_long_texts__cost_little),
        cmocka_unit_test(test_draft__of_random_texts__continues_a_match),
    };

    return cmocka_run_group_tests_name("lookup", tests, NULL, NULL);
}
