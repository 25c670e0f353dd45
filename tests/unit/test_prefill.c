/*
 * prefill: how prompts are cut. Every cut that any budget leads to keeps each token where it is computed
 * in the same way.
 */
#include "local/prefill.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void test_share__is_whole_blocks__the_rest_with_the_last(void **state)
{
    (void)state;
    for (int32_t prompt = 1; prompt <= 1500; prompt++) {
        for (int32_t budget = -64; budget <= 576; budget += 32) {
            int32_t left = prompt;

            while (left > 0) {
                int32_t n = prefill_share(left, budget);

                assert_in_range(n, 1, left);
                assert_true(prefill_may_share(left, n));
                if (n < left)
                    assert_true(n % PREFILL_BLOCK == 0 && left - n >= PREFILL_BLOCK);
                /* What is not cut may exceed the budget, by less than two blocks. */
                assert_true(n <= budget || n < 2 * PREFILL_BLOCK);
                left -= n;
            }
        }
    }
}

static void test_may_share__what_leaves_a_block_or_nothing(void **state)
{
    (void)state;
    assert_true(prefill_may_share(10, 10));
    assert_false(prefill_may_share(10, 5));
    assert_false(prefill_may_share(127, 64));
    assert_true(prefill_may_share(128, 64));
    assert_false(prefill_may_share(200, 100));
    assert_false(prefill_may_share(64, 128));
}

static void test_pace__unknown__one_block(void **state)
{
    struct prefill_pace p = {0};

    (void)state;
    assert_int_equal(prefill_pace_tokens(&p, 512), 64);
    prefill_pace_measured(&p, 63, 1); /* too few to say something */
    assert_int_equal(prefill_pace_tokens(&p, 512), 64);
}

static int32_t tokens_at(int64_t us_a_block, int32_t most)
{
    struct prefill_pace p = {0};

    prefill_pace_measured(&p, 64, us_a_block);
    return prefill_pace_tokens(&p, most);
}

static void test_pace__blocks_for_a_tenth_of_a_second(void **state)
{
    (void)state;
    assert_int_equal(tokens_at(0, 512), 512);
    assert_int_equal(tokens_at(1000, 512), 512);
    assert_int_equal(tokens_at(20000, 512), 5 * 64);
    assert_int_equal(tokens_at(49000, 512), 2 * 64);
    assert_int_equal(tokens_at(100000, 512), 64);
    assert_int_equal(tokens_at(INT64_C(100000000), 512), 64);
    assert_int_equal(tokens_at(1000, 200), 3 * 64);
    assert_int_equal(tokens_at(1000, 1), 64);
}

static void test_pace__follows_what_changes(void **state)
{
    struct prefill_pace p = {0};

    (void)state;
    prefill_pace_measured(&p, 64, 1000);
    for (int i = 0; i < 10; i++)
        prefill_pace_measured(&p, 128, 100000);
    assert_int_equal(prefill_pace_tokens(&p, 512), 128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_share__is_whole_blocks__the_rest_with_the_last),
        cmocka_unit_test(test_may_share__what_leaves_a_block_or_nothing),
        cmocka_unit_test(test_pace__unknown__one_block),
        cmocka_unit_test(test_pace__blocks_for_a_tenth_of_a_second),
        cmocka_unit_test(test_pace__follows_what_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
