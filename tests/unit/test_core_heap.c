/* heap: what is due comes out in order, whatever is put in, moved and taken out meanwhile. */
#include "core/heap.h"
#include "core/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { NODES = 200 };

static void check_order(struct heap *h)
{
    uint64_t before = 0;

    while (heap_first(h)) {
        struct heap_node *first = heap_first(h);

        assert_true(first->due >= before);
        assert_ptr_equal(first->owner, first);
        before = first->due;
        heap_remove(h, first);
        assert_true(first->at == SIZE_MAX);
    }
}

static void test_heap__random_changes__come_out_in_order(void **state)
{
    static struct heap_node nodes[NODES];
    struct heap h = {0};

    (void)state;
    srand(7);
    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < NODES; i++) {
            nodes[i] = (struct heap_node){(uint64_t)rand() % 100, SIZE_MAX, &nodes[i]};
            assert_true(heap_add(&h, &nodes[i]));
        }
        for (int change = 0; change < 300; change++)
            heap_set(&h, &nodes[rand() % NODES], (uint64_t)rand() % 100);
        for (int gone = 0; gone < round; gone++)
            heap_remove(&h, &nodes[rand() % NODES]); /* some twice */
        check_order(&h);
    }
    heap_free(&h);
}

static void test_heap__node_in_none__is_set_and_stays_out(void **state)
{
    struct heap_node node = {.at = SIZE_MAX};
    struct heap h = {0};

    (void)state;
    heap_set(&h, &node, 5);
    assert_true(node.due == 5);
    assert_null(heap_first(&h));
    heap_free(&h);
}

static void test_heap__no_memory__leaves_it_as_it_was(void **state)
{
    struct heap_node node = {.at = SIZE_MAX};
    struct heap h = {0};

    (void)state;
    mem_fail_nth(1);
    assert_false(heap_add(&h, &node));
    mem_fail_nth(0);
    assert_true(node.at == SIZE_MAX);
    assert_null(heap_first(&h));
    heap_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heap__random_changes__come_out_in_order),
        cmocka_unit_test(test_heap__node_in_none__is_set_and_stays_out),
        cmocka_unit_test(test_heap__no_memory__leaves_it_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
