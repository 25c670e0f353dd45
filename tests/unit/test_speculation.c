/*
 * speculation: what steps cost, and how many tokens the next one has.
 */
#include "local/speculation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

enum { N = 16 };

/* A text whose last draft comes true with certainty, or hardly ever. */
static struct lookup *drafting(bool sure)
{
    struct lookup *l = lookup_create(NULL, 0);
    int32_t out[SPECULATION_MOST];

    assert_non_null(l);
    for (int32_t i = 0; i < 400; i++) {
        assert_true(lookup_add(l, sure ? i % 100 : i % 3 ? i % 3 : 1000 + i, true));
        lookup_draft(l, out, SPECULATION_MOST);
    }
    if (!sure) {
        assert_true(lookup_add(l, 1, true));
        assert_true(lookup_add(l, 2, true));
    }
    assert_true(lookup_draft(l, out, SPECULATION_MOST) > 0);
    return l;
}

/* Steps take base + each * tokens. */
static struct step_costs costs_of(int64_t base, int64_t each)
{
    struct step_costs c;

    step_costs_init(&c);
    for (int32_t i = 0; i < 50; i++)
        for (int32_t n = 1; n <= SPECULATION_MOST; n++)
            step_costs_measured(&c, n, n > 1, base + each * n);
    for (int32_t i = 0; i < 50; i++)
        step_costs_measured(&c, 1, false, base + each);
    return c;
}

static int32_t choose(const struct step_costs *c, struct lookup *l, int32_t n_draft, int32_t most)
{
    struct speculation_row row = {.lookup = l, .n_draft = n_draft};

    return speculation_tokens(c, &row, 1, most);
}

static void test_costs__are_those_that_were_measured(void **state)
{
    struct step_costs c = costs_of(9000, 1000);

    (void)state;
    for (int32_t n = 1; n <= SPECULATION_MOST; n++) {
        double expected = (9.0 + n) / 10;

        assert_true(step_costs_of(&c, n) > expected * 0.85);
        assert_true(step_costs_of(&c, n) < expected * 1.15);
    }
}

static void test_costs__a_step_that_stalled__is_not_believed_for_long(void **state)
{
    struct step_costs c = costs_of(9000, 1000);

    (void)state;
    step_costs_measured(&c, 8, true, 10000000);
    step_costs_measured(&c, 8, true, 0); /* a clock that stands still */
    assert_true(step_costs_of(&c, 8) >= 1 && step_costs_of(&c, 8) <= 8);
    for (int32_t i = 0; i < 40; i++) {
        step_costs_measured(&c, 1, false, 10000);
        step_costs_measured(&c, 8, true, 17000);
    }
    assert_true(step_costs_of(&c, 8) < 2.2);
}

static void test_choice__by_what_comes_true_and_what_it_costs(void **state)
{
    struct step_costs cheap = costs_of(10000, 100);
    struct step_costs linear = costs_of(0, 10000);
    struct lookup *sure = drafting(true);
    struct lookup *unsure = drafting(false);

    (void)state;
    assert_int_equal(choose(&cheap, sure, 20, 64), 21);
    assert_int_equal(choose(&cheap, sure, 20, 8), 8);
    assert_int_equal(choose(&cheap, sure, 0, 64), 1);
    assert_int_equal(choose(&linear, sure, 20, 64), 1);
    assert_int_equal(choose(&linear, unsure, 20, 64), 1);
    lookup_free(sure);
    lookup_free(unsure);
}

static void test_choice__a_long_step__is_a_short_one(void **state)
{
    struct step_costs c = costs_of(40000, 4000); /* 100 ms are 15 tokens; twice one, 12 */
    struct lookup *sure = drafting(true);

    (void)state;
    assert_in_range(choose(&c, sure, 40, 64), 10, 17);
    lookup_free(sure);
}

static void test_choice__who_drafts_nothing_is_not_held_up(void **state)
{
    struct step_costs c = costs_of(10000, 1000);
    struct lookup *sure = drafting(true);
    struct speculation_row rows[N] = {{.lookup = sure, .n_draft = 30}};
    int32_t alone = speculation_tokens(&c, rows, 1, 32);
    int32_t beside_one = speculation_tokens(&c, rows, 2, 32);

    (void)state;
    assert_true(alone > 20);
    assert_in_range(beside_one, 2, 5);
    assert_true(step_costs_of(&c, 2 * beside_one) <= 1.5 * step_costs_of(&c, 2));
    assert_int_equal(speculation_tokens(&c, rows, N, 4), 1);
    for (int32_t i = 0; i < N; i++)
        rows[i] = (struct speculation_row){.lookup = sure, .n_draft = 30};
    assert_int_equal(speculation_tokens(&c, rows, N, 4), 4);
    lookup_free(sure);
}

static void test_choice__always__whatever_it_costs__within_bounds(void **state)
{
    struct step_costs linear = costs_of(0, 10000);
    struct lookup *unsure = drafting(false);
    struct speculation_row rows[2] = {{.lookup = unsure, .n_draft = 5, .always = true}};

    (void)state;
    assert_int_equal(speculation_tokens(&linear, rows, 2, 32), 6);
    assert_int_equal(speculation_tokens(&linear, rows, 2, 3), 3);
    rows[0].n_draft = 60;
    assert_int_equal(speculation_tokens(&linear, rows, 1, 64), 17);
    rows[0].n_draft = 0;
    assert_int_equal(speculation_tokens(&linear, rows, 1, 64), 1);
    lookup_free(unsure);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_costs__are_those_that_were_measured),
        cmocka_unit_test(test_costs__a_step_that_stalled__is_not_believed_for_long),
        cmocka_unit_test(test_choice__by_what_comes_true_and_what_it_costs),
        cmocka_unit_test(test_choice__a_long_step__is_a_short_one),
        cmocka_unit_test(test_choice__who_drafts_nothing_is_not_held_up),
        cmocka_unit_test(test_choice__always__whatever_it_costs__within_bounds),
    };

    return cmocka_run_group_tests_name("speculation", tests, NULL, NULL);
}
