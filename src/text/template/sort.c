/*
 * sort: lists put in order, as Python's sorted() does it. What is compared with what, and when, shows where
 * a comparison fails and where keys have no order (NaN): in lists of less than 64 it is as there.
 */
#include "text/template/engine.h"

#include <string.h>

#define SMALL 64

/* What is sorted, and by what. */
struct slots {
    struct vm *vm;
    bool (*less)(struct vm *vm, struct value a, struct value b);
    struct value *items;
    struct value *keys;
};

static bool less(const struct slots *s, size_t a, size_t b)
{
    return s->less(s->vm, s->keys[a], s->keys[b]);
}

static void swap(struct value *values, size_t a, size_t b)
{
    struct value v = values[a];

    values[a] = values[b];
    values[b] = v;
}

static void reverse_slots(const struct slots *s, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        swap(s->items, i, n - 1 - i);
        swap(s->keys, i, n - 1 - i);
    }
}

/* How many at the beginning are in order; they may have been in the opposite one. */
static size_t first_run(const struct slots *s, size_t n)
{
    size_t run = 2;
    bool descending;

    if (n < 2)
        return n;
    descending = less(s, 1, 0);
    while (run < n && less(s, run, run - 1) == descending)
        run++;
    if (descending)
        reverse_slots(s, run);
    return run;
}

static void move_to(struct value *values, size_t from, size_t to)
{
    struct value v = values[from];

    memmove(values + to + 1, values + to, (from - to) * sizeof v);
    values[to] = v;
}

static void sort_small(const struct slots *s, size_t n)
{
    for (size_t i = first_run(s, n); i < n; i++) {
        size_t left = 0;
        size_t right = i;

        while (left < right) {
            size_t middle = left + (right - left) / 2;

            if (less(s, i, middle))
                right = middle;
            else
                left = middle + 1;
        }
        move_to(s->items, i, left);
        move_to(s->keys, i, left);
    }
}

static void merge(const struct slots *s, struct value *spare, size_t half, size_t n)
{
    size_t a = 0;
    size_t b = half;

    for (size_t i = 0; i < n; i++) {
        bool second = a == half || (b < n && less(s, b, a));
        size_t from = second ? b++ : a++;

        spare[2 * i] = s->items[from];
        spare[2 * i + 1] = s->keys[from];
    }
    for (size_t i = 0; i < n; i++) {
        s->items[i] = spare[2 * i];
        s->keys[i] = spare[2 * i + 1];
    }
}

/* Stable. */
static void sort(const struct slots *s, struct value *spare, size_t n)
{
    size_t half = n / 2;
    struct slots second = {s->vm, s->less, s->items + half, s->keys + half};

    if (n < SMALL) {
        sort_small(s, n);
        return;
    }
    vm_enter(s->vm);
    sort(s, spare, half);
    sort(&second, spare, n - half);
    vm_leave(s->vm);
    merge(s, spare, half, n);
}

struct list *list_sorted_by(struct vm *vm, const struct list *items, const struct list *keys,
                            bool reverse, bool (*is_less)(struct vm *, struct value, struct value))
{
    struct list *sorted = list_new(vm, items->len);
    struct slots s = {vm, is_less, sorted->items, VM_ARRAY(vm, struct value, items->len)};
    struct value *spare = VM_ARRAY(vm, struct value, items->len * 2);

    sorted->len = items->len;
    if (!items->len)
        return sorted;
    memcpy(s.items, items->items, items->len * sizeof *s.items);
    memcpy(s.keys, keys->items, items->len * sizeof *s.keys);
    if (reverse)
        reverse_slots(&s, items->len);
    sort(&s, spare, items->len);
    if (reverse)
        reverse_slots(&s, items->len);
    return sorted;
}

static bool is_smaller(struct vm *vm, struct value a, struct value b)
{
    return value_compare(vm, "<", a, b);
}

struct list *list_sorted(struct vm *vm, const struct list *items, const struct list *keys,
                         bool reverse)
{
    return list_sorted_by(vm, items, keys, reverse, is_smaller);
}
