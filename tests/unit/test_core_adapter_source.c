/* adapter_source: a copy whose numbers are still on their way, and who waits for them. */
#include "core/adapter_source.h"
#include "core/memory.h"

#include <inference/inference.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { HEADER = 1000, LARGE = 3 << 20, SMALL = 5000 };

/* Bytes that say that their header has so many. */
static char *file_of(size_t n, uint64_t header)
{
    char *bytes = malloc(n);

    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(i * 7 + (i >> 9));
    memcpy(bytes, &header, sizeof header);
    return bytes;
}

static void copy(struct adapter_source *out, const char *bytes, size_t n, bool config)
{
    inf_adapter_source source;

    inf_adapter_source_default(&source, sizeof source);
    source.weights = (inf_text){bytes, n};
    if (config)
        source.config = inf_str("{}");
    assert_int_equal(adapter_source_copy(out, &source, NULL), INF_OK);
    assert_int_equal(out->weights_len, n);
}

/* The caller's bytes are gone when it is looked at. */
static void check_whole(struct adapter_source *s, char *bytes, size_t n)
{
    char *same = malloc(n);

    memcpy(same, bytes, n);
    memset(bytes, 0, n);
    free(bytes);
    adapter_source_wait(s);
    assert_memory_equal(s->weights, same, n);
    free(same);
}

static void test_source__any_bytes__are_whole_once_waited_for(void **state)
{
    static const struct {
        size_t n;
        uint64_t header;
        bool config, late;
    } cases[] = {
        {LARGE, HEADER, true, true},
        {LARGE, 0, true, true},
        {LARGE, HEADER, false, false},
        {SMALL, HEADER, true, false},
        {LARGE, LARGE, true, false},
        {LARGE, UINT64_MAX, true, false},
        {LARGE, LARGE - 8, true, false},
        {8, 0, true, false},
        {3, 0, true, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = cases[i].n;
        char *bytes = file_of(n < 8 ? 8 : n, cases[i].header);
        struct adapter_source s;

        copy(&s, bytes, n, cases[i].config);
        assert_int_equal(s.late != NULL, cases[i].late);
        assert_memory_equal(s.weights, bytes,
                            n < 8 ? n : 8); /* as much as tells of a header is there */
        if (cases[i].late)
            assert_int_equal(((uintptr_t)s.weights + 8 + cases[i].header) % 64, 0);
        adapter_source_finish(s.late);
        check_whole(&s, bytes, n);
        adapter_source_free(&s);
        assert_int_equal(mem_live(), 0);
    }
}

struct waiting {
    struct adapter_source source;
    const char *want;
    bool frees, was_whole;
};

static void *wait_for_it(void *arg)
{
    struct waiting *w = arg;

    if (!w->frees) {
        adapter_source_wait(&w->source);
        w->was_whole = memcmp(w->source.weights, w->want, LARGE) == 0;
    }
    adapter_source_free(&w->source);
    return NULL;
}

/* A thread that is there long before the numbers are. */
static void test_source__waited_for_or_freed_elsewhere__until_its_maker_is_done(void **state)
{
    (void)state;
    for (int frees = 0; frees < 2; frees++) {
        char *bytes = file_of(LARGE, HEADER);
        struct waiting w = {.want = bytes, .frees = frees};
        struct late_copy *late = NULL;
        pthread_t thread;

        copy(&w.source, bytes, LARGE, true);
        late = w.source.late;
        assert_int_equal(pthread_create(&thread, NULL, wait_for_it, &w), 0);
        usleep(20000);
        adapter_source_finish(late);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_true(frees || w.was_whole);
        free(bytes);
        assert_int_equal(mem_live(), 0);
    }
}

static void *follow(void *arg)
{
    struct waiting *w = arg;

    w->was_whole = true;
    for (size_t end = HEADER; end <= LARGE; end += 100000) {
        adapter_source_wait_for(&w->source, w->source.weights + end);
        w->was_whole = w->was_whole && memcmp(w->source.weights, w->want, end) == 0;
    }
    adapter_source_free(&w->source);
    return NULL;
}

static void test_source__waited_for_piece_by_piece__each_is_there(void **state)
{
    char *bytes = file_of(LARGE, HEADER);
    struct waiting w = {.want = bytes};
    struct late_copy *late = NULL;
    pthread_t thread;

    (void)state;
    copy(&w.source, bytes, LARGE, true);
    late = w.source.late;
    assert_int_equal(pthread_create(&thread, NULL, follow, &w), 0);
    adapter_source_finish(late);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(w.was_whole);
    free(bytes);
    assert_int_equal(mem_live(), 0);
}

/* A start whose operation is cancelled while it is handed over. */
static void test_source__freed_by_its_maker__is_not_written_to_any_more(void **state)
{
    char *bytes = file_of(LARGE, HEADER);
    struct adapter_source s;
    struct late_copy *late = NULL;

    (void)state;
    copy(&s, bytes, LARGE, true);
    late = s.late;
    adapter_source_free(&s);
    blocks_trim();
    adapter_source_finish(late);
    free(bytes);
    assert_int_equal(mem_live(), 0);
}

static void test_source__any_allocation_fails__no_memory_and_no_leak(void **state)
{
    char *bytes = file_of(LARGE, HEADER);
    inf_adapter_source source;
    int32_t code = INF_ERROR_NO_MEMORY;

    (void)state;
    inf_adapter_source_default(&source, sizeof source);
    source.weights = (inf_text){bytes, LARGE};
    source.config = inf_str("{}");
    for (int64_t nth = 1; code != INF_OK; nth++) {
        struct adapter_source s = {0};

        mem_fail_nth(nth);
        code = adapter_source_copy(&s, &source, NULL);
        mem_fail_nth(0);
        assert_true(code == INF_OK || code == INF_ERROR_NO_MEMORY);
        assert_true(nth < 10);
        adapter_source_finish(s.late);
        adapter_source_free(&s);
        assert_int_equal(mem_live(), 0);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_source__any_bytes__are_whole_once_waited_for),
        cmocka_unit_test(test_source__waited_for_or_freed_elsewhere__until_its_maker_is_done),
        cmocka_unit_test(test_source__waited_for_piece_by_piece__each_is_there),
        cmocka_unit_test(test_source__freed_by_its_maker__is_not_written_to_any_more),
        cmocka_unit_test(test_source__any_allocation_fails__no_memory_and_no_leak),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
