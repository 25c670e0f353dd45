/* adapter_source: what a start was given, and a copy of it. */
#include "core/adapter_source.h"
#include "core/memory.h"

#include <inference/inference.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { HEADER = 1000, LARGE = 3 << 20, SMALL = 5000 };

/* Bytes that say that their header has so many. */
static char *file_of(size_t n, uint64_t header)
{
    char *bytes = malloc(n < 8 ? 8 : n);

    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(i * 7 + (i >> 9));
    memcpy(bytes, &header, sizeof header);
    return bytes;
}

static struct adapter_source given(const char *bytes, size_t n, const char *config)
{
    struct adapter_source out;
    inf_adapter_source source;

    inf_adapter_source_default(&source, sizeof source);
    source.weights = (inf_text){bytes, n};
    if (config)
        source.config = inf_str(config);
    assert_int_equal(adapter_source_read(&out, &source, NULL), INF_OK);
    return out;
}

static void test_read__bytes_or_a_path__are_borrowed(void **state)
{
    inf_adapter_source source;
    struct adapter_source s = given("bytes", 5, "{}");

    (void)state;
    assert_memory_equal(s.weights.data, "bytes", 5);
    assert_int_equal(s.config.len, 2);
    assert_null(s.path);
    assert_null(s.block);
    inf_adapter_source_default(&source, sizeof source);
    source.path = "somewhere";
    assert_int_equal(adapter_source_read(&s, &source, NULL), INF_OK);
    assert_ptr_equal(s.path, source.path);
    assert_null(s.weights.data);
    assert_int_equal(mem_live(), 0);
}

/* The given bytes are gone when the copy is looked at. */
static void test_copy__any_bytes__lie_where_their_numbers_can_be_used(void **state)
{
    static const struct {
        size_t n;
        uint64_t header;
        bool config, aligned;
    } cases[] = {
        {LARGE, HEADER, true, true},
        {LARGE, 0, true, true},
        {SMALL, HEADER, true, true},
        {LARGE, HEADER, false, false},
        {LARGE, LARGE, true, false},
        {LARGE, UINT64_MAX, true, false},
        {LARGE, LARGE - 8, true, false},
        {8, 0, true, false},
        {3, 0, true, false},
        {0, 0, true, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = cases[i].n;
        char *bytes = file_of(n, cases[i].header), *same = file_of(n, cases[i].header);
        struct adapter_source from = given(bytes, n, cases[i].config ? "{}" : NULL), s;

        assert_int_equal(adapter_source_copy(&s, &from, NULL), INF_OK);
        memset(bytes, 0, n);
        free(bytes);
        assert_int_equal(s.weights.len, n);
        assert_memory_equal(s.weights.data, same, n);
        assert_int_equal(!s.config.data, !cases[i].config);
        if (cases[i].aligned)
            assert_int_equal(((uintptr_t)s.weights.data + 8 + cases[i].header) % 64, 0);
        free(same);
        adapter_source_free(&s);
        assert_int_equal(mem_live(), 0);
    }
}

static void test_copy__a_path__is_its_own(void **state)
{
    char path[] = "somewhere";
    struct adapter_source from = {.path = path}, s;

    (void)state;
    assert_int_equal(adapter_source_copy(&s, &from, NULL), INF_OK);
    path[0] = 'S';
    assert_string_equal(s.path, "somewhere");
    adapter_source_free(&s);
    assert_int_equal(mem_live(), 0);
}

static void test_copy__any_allocation_fails__no_memory_and_no_leak(void **state)
{
    char *bytes = file_of(LARGE, HEADER);
    struct adapter_source from = given(bytes, LARGE, "{}"), s;
    int32_t code = INF_ERROR_NO_MEMORY;

    (void)state;
    for (int64_t nth = 1; code != INF_OK; nth++) {
        mem_fail_nth(nth);
        code = adapter_source_copy(&s, &from, NULL);
        mem_fail_nth(0);
        assert_true(code == INF_OK || code == INF_ERROR_NO_MEMORY);
        assert_true(nth < 10);
        adapter_source_free(&s);
        assert_int_equal(mem_live(), 0);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read__bytes_or_a_path__are_borrowed),
        cmocka_unit_test(test_copy__any_bytes__lie_where_their_numbers_can_be_used),
        cmocka_unit_test(test_copy__a_path__is_its_own),
        cmocka_unit_test(test_copy__any_allocation_fails__no_memory_and_no_leak),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
