/* buffer: grows, keeps its terminator, never passes its limit, and fails without a change. */
#include "core/buffer.h"
#include "core/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void an_empty_buffer_holds_no_memory(void **state)
{
    int64_t live = mem_live();
    struct buffer b;

    (void)state;
    buffer_init(&b, BUFFER_NO_LIMIT);
    assert_null(b.data);
    assert_int_equal(b.len, 0);
    assert_int_equal(mem_live(), live);
    buffer_clear(&b);
    buffer_free(&b);
}

static void what_was_appended_is_there_and_terminated(void **state)
{
    struct buffer b;
    char expected[4096] = "";

    (void)state;
    buffer_init(&b, BUFFER_NO_LIMIT);
    for (int i = 0; i < 500; i++) {
        char number[16];

        snprintf(number, sizeof number, "%d,", i);
        strcat(expected, number);
        assert_true(i % 2 ? buffer_append_str(&b, number) : buffer_printf(&b, "%d,", i));
        assert_int_equal(b.data[b.len], '\0');
    }
    assert_int_equal(b.len, strlen(expected));
    assert_string_equal(b.data, expected);
    buffer_free(&b);
    assert_null(b.data);
}

static void nul_bytes_are_bytes(void **state)
{
    struct buffer b;

    (void)state;
    buffer_init(&b, BUFFER_NO_LIMIT);
    assert_true(buffer_append(&b, "a\0b", 3));
    assert_true(buffer_append(&b, NULL, 0));
    assert_int_equal(b.len, 3);
    assert_memory_equal(b.data, "a\0b", 4);
    buffer_free(&b);
}

static void the_limit_is_reached_and_never_passed(void **state)
{
    struct buffer b;

    (void)state;
    buffer_init(&b, 10);
    assert_true(buffer_append(&b, "12345678", 8));
    assert_false(buffer_append(&b, "abc", 3));
    assert_false(buffer_printf(&b, "%s", "abc"));
    assert_false(buffer_reserve(&b, 3));
    assert_string_equal(b.data, "12345678");
    assert_true(buffer_append(&b, "90", 2));
    assert_string_equal(b.data, "1234567890");
    assert_false(buffer_append(&b, "x", 1));
    assert_true(b.failed); /* whoever looks once, at the end, sees it */
    buffer_clear(&b);
    assert_false(b.failed);
    assert_string_equal(b.data, "");
    assert_true(buffer_append(&b, "1234567890", 10));
    buffer_free(&b);
}

static void a_size_that_overflows_is_refused(void **state)
{
    struct buffer b;

    (void)state;
    buffer_init(&b, BUFFER_NO_LIMIT);
    assert_true(buffer_append(&b, "x", 1));
    assert_false(buffer_reserve(&b, SIZE_MAX));
    assert_false(buffer_reserve(&b, SIZE_MAX - 1));
    assert_false(buffer_reserve(&b, SIZE_MAX / 2 + 10));
    assert_string_equal(b.data, "x");
    buffer_free(&b);
}

static void out_of_memory_leaves_it_as_it_was(void **state)
{
    struct buffer b;
    char much[200];

    (void)state;
    memset(much, 'm', sizeof much - 1);
    much[sizeof much - 1] = '\0';
    buffer_init(&b, BUFFER_NO_LIMIT);
    assert_true(buffer_append_str(&b, "kept"));
    mem_fail_nth(1);
    assert_false(buffer_append_str(&b, much));
    mem_fail_nth(1);
    assert_false(buffer_printf(&b, "%s", much));
    mem_fail_nth(0);
    assert_true(b.failed);
    assert_string_equal(b.data, "kept");
    assert_true(buffer_append_str(&b, much));
    assert_int_equal(b.len, 4 + strlen(much));
    buffer_free(&b);
}

static void appending_takes_few_allocations(void **state)
{
    struct buffer b;

    (void)state;
    buffer_init(&b, BUFFER_NO_LIMIT);
    mem_fail_nth(0);
    for (int i = 0; i < 100000; i++)
        assert_true(buffer_append(&b, "x", 1));
    assert_in_range(mem_fail_nth(0), 1, 20);
    buffer_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_buffer_holds_no_memory),
        cmocka_unit_test(what_was_appended_is_there_and_terminated),
        cmocka_unit_test(nul_bytes_are_bytes),
        cmocka_unit_test(the_limit_is_reached_and_never_passed),
        cmocka_unit_test(a_size_that_overflows_is_refused),
        cmocka_unit_test(out_of_memory_leaves_it_as_it_was),
        cmocka_unit_test(appending_takes_few_allocations),
    };

    return cmocka_run_group_tests_name("core: buffer", tests, NULL, NULL);
}
