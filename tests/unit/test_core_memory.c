/* memory, clock and utf8: the small things everything else of the core stands on. */
#include "core/clock.h"
#include "core/growing.h"
#include "core/memory.h"
#include "core/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void size_zero_gives_a_unique_pointer(void **state)
{
    void *a = mem_alloc(0);
    void *b = mem_calloc(0, 8);
    void *c = mem_aligned(64, 0);

    (void)state;
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    assert_true(a != b && b != c && a != c);
    mem_free(a);
    mem_free(b);
    mem_free(c);
}

static void calloc_refuses_a_product_that_does_not_fit(void **state)
{
    volatile size_t half = SIZE_MAX / 2 + 1; /* volatile: the compiler would warn of the size */

    (void)state;
    assert_null(mem_calloc(half, 2));
}

static void aligned_memory_is_aligned(void **state)
{
    (void)state;
    for (size_t size = 1; size < 300; size += 7) {
        char *p = mem_aligned(64, size);

        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        memset(p, 1, size);
        mem_free(p);
    }
    assert_null(mem_aligned(64, SIZE_MAX - 8));
}

static void copies_of_strings(void **state)
{
    char *copy = mem_strdup("text");
    char *part = mem_strndup("text and more", 4);

    (void)state;
    assert_string_equal(copy, "text");
    assert_string_equal(part, "text");
    assert_null(mem_strdup(NULL));
    assert_null(mem_strndup(NULL, 3));
    mem_free(copy);
    mem_free(part);
}

static void sizes_that_do_not_fit_are_told(void **state)
{
    size_t out = 0;

    (void)state;
    assert_true(size_mul(3, 4, &out));
    assert_int_equal(out, 12);
    assert_true(size_add(SIZE_MAX - 1, 1, &out));
    assert_true(out == SIZE_MAX);
    assert_false(size_add(SIZE_MAX, 1, &out));
    assert_false(size_mul(SIZE_MAX / 2 + 1, 2, &out));
}

static void the_nth_allocation_fails_once(void **state)
{
    void *first = NULL;
    void *third = NULL;

    (void)state;
    mem_fail_nth(2);
    first = mem_alloc(1);
    assert_non_null(first);
    assert_null(mem_alloc(1));
    third = mem_alloc(1);
    assert_non_null(third);
    assert_int_equal(mem_fail_nth(0), 3);
    mem_free(first);
    mem_free(third);
}

static void every_kind_of_allocation_can_be_made_to_fail(void **state)
{
    void *p = mem_alloc(8);

    (void)state;
    mem_fail_nth(1);
    assert_null(mem_alloc(1));
    mem_fail_nth(1);
    assert_null(mem_calloc(1, 1));
    mem_fail_nth(1);
    assert_null(mem_realloc(p, 16));
    mem_fail_nth(1);
    assert_null(mem_aligned(64, 1));
    mem_fail_nth(1);
    assert_null(mem_strdup("x"));
    mem_fail_nth(0);
    mem_free(p);
}

static void live_allocations_are_counted(void **state)
{
    int64_t before = mem_live();
    void *p = mem_realloc(NULL, 8);
    void *q = mem_aligned(64, 8);

    (void)state;
    p = mem_realloc(p, 800);
    assert_int_equal(mem_live(), before + 2);
    mem_free(p);
    mem_free(q);
    mem_free(NULL);
    assert_int_equal(mem_live(), before);
}

static void the_clock_never_goes_back(void **state)
{
    int64_t last = clock_us();

    (void)state;
    for (int i = 0; i < 10000; i++) {
        int64_t now = clock_us();

        assert_true(now >= last);
        last = now;
    }
}

static void a_deadline_is_ahead_or_never(void **state)
{
    int64_t now = clock_us();

    (void)state;
    assert_true(clock_deadline_us(0) >= now);
    assert_true(clock_deadline_us(1000) >= now + 1000000);
    assert_true(clock_deadline_us(1000) < now + 60000000);
    assert_true(clock_deadline_us(-1) == INT64_MAX);
    assert_true(clock_deadline_us(INT64_MIN) == INT64_MAX);
    assert_true(clock_deadline_us(INT64_MAX) == INT64_MAX);
}

static void well_formed_utf8(void **state)
{
    static const struct {
        const char *text;
        size_t length; /* of the first sequence; 0: not well-formed */
    } cases[] = {
        {"a", 1},
        {"\x7f", 1},
        {"\xc2\x80", 2},
        {"\xdf\xbf", 2},
        {"\xe0\xa0\x80", 3},
        {"\xed\x9f\xbf", 3},
        {"\xee\x80\x80", 3},
        {"\xef\xbf\xbf", 3},
        {"\xf0\x90\x80\x80", 4},
        {"\xf4\x8f\xbf\xbf", 4},
        {"\x80", 0},             /* a tail alone */
        {"\xc0\x80", 0},         /* overlong */
        {"\xc1\xbf", 0},         /* overlong */
        {"\xe0\x9f\xbf", 0},     /* overlong */
        {"\xf0\x8f\xbf\xbf", 0}, /* overlong */
        {"\xed\xa0\x80", 0},     /* a surrogate */
        {"\xf4\x90\x80\x80", 0}, /* above U+10FFFF */
        {"\xf5\x80\x80\x80", 0},
        {"\xff", 0},
        {"\xc2", 0}, /* cut */
        {"\xe0\xa0", 0},
        {"\xf0\x90\x80", 0},
        {"\xc2\x41", 0}, /* the tail is none */
        {"\xe1\x80\x41", 0},
        {"\xf1\x80\x80\x41", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = strlen(cases[i].text);

        assert_int_equal(utf8_sequence(cases[i].text, n), cases[i].length);
        assert_int_equal(utf8_valid(cases[i].text, n), cases[i].length == n);
    }
    assert_true(utf8_valid("", 0));
    assert_true(utf8_valid("a\0b", 3));
    assert_false(utf8_valid("fine until \xff", 12));
}

static void arrays_grow_by_doubling_and_keep_what_they_hold(void **state)
{
    int *items = NULL;
    size_t cap = 0;

    (void)state;
    for (size_t i = 0; i < 1000; i++) {
        assert_true(GROW(items, cap, i + 1));
        items[i] = (int)i;
    }
    assert_true(cap >= 1000 && cap <= 2000);
    mem_fail_nth(1);
    assert_false(GROW(items, cap, 5000));
    mem_fail_nth(0);
    assert_false(GROW(items, cap, SIZE_MAX));
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(items[i], i);
    mem_free(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(size_zero_gives_a_unique_pointer),
        cmocka_unit_test(calloc_refuses_a_product_that_does_not_fit),
        cmocka_unit_test(aligned_memory_is_aligned),
        cmocka_unit_test(copies_of_strings),
        cmocka_unit_test(sizes_that_do_not_fit_are_told),
        cmocka_unit_test(the_nth_allocation_fails_once),
        cmocka_unit_test(every_kind_of_allocation_can_be_made_to_fail),
        cmocka_unit_test(live_allocations_are_counted),
        cmocka_unit_test(arrays_grow_by_doubling_and_keep_what_they_hold),
        cmocka_unit_test(the_clock_never_goes_back),
        cmocka_unit_test(a_deadline_is_ahead_or_never),
        cmocka_unit_test(well_formed_utf8),
    };

    return cmocka_run_group_tests_name("core: memory", tests, NULL, NULL);
}
