/* blocks: what is given back is kept for who wants about as much, and no more of it than may be. */
#include "core/blocks.h"
#include "core/memory.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const size_t mega = 1 << 20;

/* Under the address sanitizer blocks are the heap's, and nothing is kept. */
static bool keeps;
#ifdef __SANITIZE_THREAD__
static const bool has_shadow = true;
#else
static const bool has_shadow = false;
#endif

/* Resident memory of the process; with the thread sanitizer, which keeps as much beside it, nothing. */
static size_t resident(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    size_t pages = 0;

    assert_non_null(f);
    assert_int_equal(fscanf(f, "%*u %zu", &pages), 1);
    fclose(f);
    return has_shadow ? 0 : pages * 4096;
}

static struct block *filled(size_t size)
{
    struct block *b = block_take(size);

    assert_non_null(b);
    assert_int_equal((uintptr_t)b->data % 64, 0);
    assert_int_equal(b->size, size);
    memset(b->data, 1, size);
    return b;
}

static void test_block__any_size__is_its_owners_alone(void **state)
{
    static const size_t sizes[] = {0, 1, 4096, 1000000, 1 << 20, (2 << 20) + 1, 9000001};
    enum { N = sizeof sizes / sizeof sizes[0] };
    struct block *blocks[N];

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < N; i++) {
            blocks[i] = filled(sizes[i]);
            memset(blocks[i]->data, (int)i, sizes[i]);
        }
        for (size_t i = 0; i < N; i++) {
            for (size_t at = 0; at < sizes[i]; at += 997)
                assert_int_equal(blocks[i]->data[at], i);
            block_give(blocks[i]);
        }
    }
    block_give(NULL);
    blocks_trim();
}

static void test_block__given_back__is_the_next_one_of_that_size(void **state)
{
    struct block *b = filled(8 * mega);
    struct block *other = NULL;
    char *data = b->data;

    (void)state;
    block_give(b);
    if (!keeps)
        return;
    other = filled(3 * mega); /* not of one that is so much larger */
    assert_ptr_not_equal(other->data, data);
    b = filled(8 * mega - 100);
    assert_ptr_equal(b->data, data);
    block_give(b);
    block_give(other);
    blocks_trim();
}

static void test_blocks__however_many__keep_no_more_than_they_may(void **state)
{
    enum { N = 40 };
    struct block *blocks[N];
    size_t before = resident();

    (void)state;
    for (int i = 0; i < N; i++)
        blocks[i] = filled(5 * mega + (size_t)i * 100000);
    for (int i = 0; i < N; i++)
        block_give(blocks[i]);
    if (keeps)
        assert_true(resident() < before + BLOCKS_KEPT_BYTES + 8 * mega);
    block_give(filled(BLOCKS_KEPT_BYTES + mega));
    if (keeps)
        assert_true(resident() < before + BLOCKS_KEPT_BYTES + 8 * mega);
    blocks_trim();
    if (keeps)
        assert_true(resident() < before + 8 * mega);
}

static void *take_and_give(void *arg)
{
    unsigned random = (unsigned)(uintptr_t)arg;

    for (int i = 0; i < 300; i++) {
        size_t size = mega + (random = random * 1664525u + 1013904223u) % 8 * mega / 2;
        struct block *b = block_take(size);

        if (!b)
            return "no memory";
        memset(b->data, (int)(random >> 24), 4096);
        b->data[size - 1] = (char)(random >> 16);
        sched_yield();
        for (int k = 0; k < 4096; k++)
            if (b->data[k] != (char)(random >> 24))
                return "somebody else's";
        if (b->data[size - 1] != (char)(random >> 16))
            return "somebody else's end";
        block_give(b);
    }
    return NULL;
}

static void test_blocks__of_many_threads__are_each_ones_alone(void **state)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];

    (void)state;
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, (void *)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++) {
        void *wrong = NULL;

        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        if (wrong)
            fail_msg("%s", (const char *)wrong);
    }
    blocks_trim();
    assert_int_equal(mem_live(), 0);
}

static void test_block__out_of_memory__is_none(void **state)
{
    (void)state;
    assert_null(block_take(SIZE_MAX));
    mem_fail_nth(1);
    assert_null(block_take(8 * mega));
    mem_fail_nth(0);
    assert_int_equal(mem_live(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_block__any_size__is_its_owners_alone),
        cmocka_unit_test(test_block__given_back__is_the_next_one_of_that_size),
        cmocka_unit_test(test_blocks__however_many__keep_no_more_than_they_may),
        cmocka_unit_test(test_blocks__of_many_threads__are_each_ones_alone),
        cmocka_unit_test(test_block__out_of_memory__is_none),
    };

    struct block *b = block_take(4 * mega);

    keeps = b && b->mapped;
    block_give(b);
    blocks_trim();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
