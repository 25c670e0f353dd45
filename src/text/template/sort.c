/*
 * sort: lists put in order, as Python's sorted() does it.
 */
#include "text/template/engine.h"

#include <string.h>

/* Stable; each comparison is "is this key smaller than that one", as Python's sort asks. */
static void merge_sort(struct vm *vm, struct value *items, struct value *keys, struct value *spare,
                       size_t n, bool reverse)
{
    size_t half = n / 2;
    size_t a = 0;
    size_t b = half;

    if (n < 2)
        return;
    vm_enter(vm);
    merge_sort(vm, items, keys, spare, half, reverse);
    merge_sort(vm, items + half, keys + half, spare, n - half, reverse);
    vm_leave(vm);
    for (size_t i = 0; i < n; i++) {
        bool second = a == half;

        if (a < half && b < n)
            second = reverse ? value_compare(vm, "<", keys[a], keys[b])
                             : value_compare(vm, "<", keys[b], keys[a]);
        spare[2 * i] = items[second ? b : a];
        spare[2 * i + 1] = keys[second ? b : a];
        if (second)
            b++;
        else
            a++;
    }
    for (size_t i = 0; i < n; i++) {
        items[i] = spare[2 * i];
        keys[i] = spare[2 * i + 1];
    }
}

struct list *list_sorted(struct vm *vm, const struct list *items, const struct list *keys,
                         bool reverse)
{
    struct list *sorted = list_new(vm, items->len);
    struct value *copies = VM_ARRAY(vm, struct value, items->len);
    struct value *spare = VM_ARRAY(vm, struct value, items->len * 2);

    if (items->len) {
        memcpy(sorted->items, items->items, items->len * sizeof *copies);
        memcpy(copies, keys->items, items->len * sizeof *copies);
    }
    sorted->len = items->len;
    merge_sort(vm, sorted->items, copies, spare, items->len, reverse);
    return sorted;
}
