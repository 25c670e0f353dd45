/*
 * compare: truth, length, order and membership as Python has them. See value.h.
 */
#include "text/template/iter.h"
#include "text/template/value.h"

#include <math.h>
#include <string.h>

bool value_truth(struct vm *vm, struct value v)
{
    switch (v.type) {
    case V_MISSING:
    case V_UNDEFINED:
    case V_NONE:
        return false;
    case V_BOOL:
        return v.b;
    case V_INT:
        return v.i != 0;
    case V_FLOAT:
        return v.f != 0;
    case V_STR:
        return v.s->len > 0;
    case V_LIST:
    case V_TUPLE:
        return v.l->len > 0;
    case V_DICT:
    case V_SET:
        return v.d->len > 0;
    case V_RANGE:
        return v.r->len > 0;
    case V_VIEW:
        return v.view->d->len > 0;
    case V_LOOP:
        return value_len(vm, v) > 0;
    default:
        return true;
    }
}

/* ------------------------------------------------------------------ length */

int64_t value_len(struct vm *vm, struct value v)
{
    return v.type == V_LOOP ? loop_length(vm, v.loop) : value_size(v);
}

int64_t value_len_or_throw(struct vm *vm, struct value v)
{
    int64_t n = value_len(vm, v);

    if (n < 0)
        vm_throw(vm, E_TYPE, "object of type '%s' has no len()", type_name(v));
    return n;
}

/* ------------------------------------------------------------------ order */

/* -1, 0, 1; 2 where a NaN takes part. */
static int compare_doubles(double a, double b)
{
    if (isnan(a) || isnan(b))
        return 2;
    return (a > b) - (a < b);
}

static int compare_int_double(int64_t i, double f)
{
    if (isnan(f))
        return 2;
    if (f >= 9223372036854775808.0)
        return -1;
    if (f < -9223372036854775808.0)
        return 1;
    if (i != (int64_t)f)
        return i < (int64_t)f ? -1 : 1;
    return compare_doubles(0, f - trunc(f));
}

static int compare_numbers(struct value a, struct value b)
{
    int c;

    if (a.type == V_FLOAT && b.type == V_FLOAT)
        return compare_doubles(a.f, b.f);
    if (b.type == V_FLOAT)
        return compare_int_double(number_integer(a), b.f);
    if (a.type == V_FLOAT) {
        c = compare_int_double(number_integer(b), a.f);
        return c == 2 ? 2 : -c;
    }
    return (number_integer(a) > number_integer(b)) - (number_integer(a) < number_integer(b));
}

static int compare_texts(const struct text *a, const struct text *b)
{
    size_t n = a->len < b->len ? a->len : b->len;
    int c = n ? memcmp(a->data, b->data, n) : 0;

    if (c == 0)
        return (a->len > b->len) - (a->len < b->len);
    return c < 0 ? -1 : 1;
}

static bool holds(const char *op, int c)
{
    if (c == 2)
        return false;
    if (op[0] == '<')
        return c < 0 || (op[1] == '=' && c == 0);
    return c > 0 || (op[1] == '=' && c == 0);
}

static bool compare_lists(struct vm *vm, const char *op, const struct list *a, const struct list *b)
{
    size_t n = a->len < b->len ? a->len : b->len;

    for (size_t i = 0; i < n; i++)
        if (!value_same(a->items[i], b->items[i]) && !value_equal(vm, a->items[i], b->items[i]))
            return value_compare(vm, op, a->items[i], b->items[i]);
    return holds(op, (a->len > b->len) - (a->len < b->len));
}

static bool compare_sets(struct vm *vm, const char *op, struct value a, struct value b)
{
    struct value small = op[0] == '<' ? a : b;
    struct value large = op[0] == '<' ? b : a;
    struct value v;
    struct iter *it = iter_of(vm, small);

    if (value_size(small) > value_size(large) ||
        (op[1] != '=' && value_size(small) == value_size(large)))
        return false;
    while (iter_next(vm, it, &v))
        if (!set_like_contains(vm, large, v))
            return false;
    return true;
}

bool value_compare(struct vm *vm, const char *op, struct value a, struct value b)
{
    bool result;

    vm_step(vm, 1);
    if (is_number(a) && is_number(b))
        return holds(op, compare_numbers(a, b));
    if (a.type == V_STR && b.type == V_STR) {
        vm_step(vm, a.s->len / 64);
        return holds(op, compare_texts(a.s, b.s));
    }
    check_defined(vm, a);
    check_defined(vm, b);
    if (a.type == b.type && (a.type == V_LIST || a.type == V_TUPLE)) {
        vm_enter(vm);
        result = compare_lists(vm, op, a.l, b.l);
        vm_leave(vm);
        return result;
    }
    if (is_set_like(a) && is_set_like(b))
        return compare_sets(vm, op, a, b);
    vm_throw(vm, E_TYPE, "'%s' not supported between instances of '%s' and '%s'", op, type_name(a),
             type_name(b));
}

/* ------------------------------------------------------------------ membership */

static bool text_in(struct vm *vm, const struct text *s, struct value v)
{
    if (v.type != V_STR)
        vm_throw(vm, E_TYPE, "'in <string>' requires string as left operand, not %s", type_name(v));
    vm_step(vm, s->len / 64);
    return v.s->len == 0 ||
           (s->len >= v.s->len && memmem(s->data, s->len, v.s->data, v.s->len) != NULL);
}

static bool found_among(struct vm *vm, struct value in, struct value v)
{
    struct iter *it = iter_try(vm, in);
    struct value item;

    if (!it)
        vm_throw(vm, E_TYPE, "argument of type '%s' is not iterable", type_name(in));
    while (iter_next(vm, it, &item))
        if (value_same(item, v) || value_equal(vm, item, v))
            return true;
    return false;
}

bool value_contains(struct vm *vm, struct value in, struct value v)
{
    switch (in.type) {
    case V_STR:
        return text_in(vm, in.s, v);
    case V_DICT:
        return dict_get(vm, in.d, v) != NULL;
    default:
        return is_set_like(in) ? set_like_contains(vm, in, v) : found_among(vm, in, v);
    }
}
