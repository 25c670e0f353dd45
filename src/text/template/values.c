/*
 * values: truth, equality, order, membership and length as Python has them. See value.h.
 */
#include "text/template/iter.h"
#include "text/template/value.h"

#include <math.h>
#include <string.h>

const char *type_name(struct value v)
{
    static const char *const NAMES[] = {
        [V_MISSING] = "MissingType",
        [V_UNDEFINED] = "Undefined",
        [V_NONE] = "NoneType",
        [V_BOOL] = "bool",
        [V_INT] = "int",
        [V_FLOAT] = "float",
        [V_STR] = "str",
        [V_LIST] = "list",
        [V_TUPLE] = "tuple",
        [V_DICT] = "dict",
        [V_RANGE] = "range",
        [V_VIEW] = "dict_keys",
        [V_ITER] = "generator",
        [V_NAMESPACE] = "TemplateNamespace",
        [V_LOOP] = "LoopContext",
        [V_MACRO] = "Macro",
        [V_BUILTIN] = "function",
        [V_METHOD] = "builtin_function_or_method",
        [V_CYCLER] = "Cycler",
        [V_JOINER] = "Joiner",
        [V_SLICE] = "slice",
        [V_SELF] = "TemplateReference",
        [V_BLOCK] = "BlockReference",
    };
    static const char *const VIEWS[] = {"dict_keys", "dict_values", "dict_items"};

    if (v.type == V_STR && v.s->safe)
        return "Markup";
    if (v.type == V_VIEW)
        return VIEWS[v.view->kind];
    return NAMES[v.type];
}

bool is_integer(struct value v)
{
    return v.type == V_INT || v.type == V_BOOL;
}

bool is_number(struct value v)
{
    return is_integer(v) || v.type == V_FLOAT;
}

static int64_t integer_of(struct value v)
{
    return v.type == V_BOOL ? v.b : v.i;
}

double number_double(struct value v)
{
    return v.type == V_FLOAT ? v.f : (double)integer_of(v);
}

int64_t value_index(struct vm *vm, struct value v)
{
    if (!is_integer(v))
        vm_throw(vm, E_TYPE, "'%s' object cannot be interpreted as an integer", type_name(v));
    return integer_of(v);
}

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
    switch (v.type) {
    case V_UNDEFINED:
        return 0;
    case V_STR:
        return (int64_t)v.s->count;
    case V_LIST:
    case V_TUPLE:
        return (int64_t)v.l->len;
    case V_DICT:
        return (int64_t)v.d->len;
    case V_RANGE:
        return v.r->len;
    case V_VIEW:
        return (int64_t)v.view->d->len;
    case V_LOOP:
        return loop_length(vm, v.loop);
    default:
        return -1;
    }
}

int64_t value_len_or_throw(struct vm *vm, struct value v)
{
    int64_t n = value_len(vm, v);

    if (n < 0)
        vm_throw(vm, E_TYPE, "object of type '%s' has no len()", type_name(v));
    return n;
}

/* ------------------------------------------------------------------ equality */

bool value_same(struct value a, struct value b)
{
    if (a.type != b.type)
        return false;
    switch (a.type) {
    case V_NONE:
    case V_MISSING:
        return true;
    case V_BOOL:
        return a.b == b.b;
    case V_INT:
        return a.i == b.i;
    case V_FLOAT:
        return memcmp(&a.f, &b.f, sizeof a.f) == 0;
    case V_STR:
        return a.s == b.s || (a.s->safe == b.s->safe && text_equal(a.s, b.s));
    case V_METHOD:
        return false;
    default:
        return a.p == b.p;
    }
}

static bool int_equals_double(int64_t i, double f)
{
    return f >= -9223372036854775808.0 && f < 9223372036854775808.0 && f == floor(f) &&
           (int64_t)f == i;
}

static bool numbers_equal(struct value a, struct value b)
{
    if (a.type == V_FLOAT && b.type == V_FLOAT)
        return a.f == b.f;
    if (a.type == V_FLOAT)
        return int_equals_double(integer_of(b), a.f);
    if (b.type == V_FLOAT)
        return int_equals_double(integer_of(a), b.f);
    return integer_of(a) == integer_of(b);
}

static bool lists_equal(struct vm *vm, const struct list *a, const struct list *b)
{
    if (a->len != b->len)
        return false;
    for (size_t i = 0; i < a->len; i++)
        if (!value_same(a->items[i], b->items[i]) && !value_equal(vm, a->items[i], b->items[i]))
            return false;
    return true;
}

static bool dicts_equal(struct vm *vm, const struct dict *a, const struct dict *b)
{
    if (a->len != b->len)
        return false;
    for (size_t i = 0; i < a->len; i++) {
        const struct value *other = dict_get(vm, b, a->entries[i].key);

        if (!other || (!value_same(a->entries[i].value, *other) &&
                       !value_equal(vm, a->entries[i].value, *other)))
            return false;
    }
    return true;
}

static bool ranges_equal(const struct range *a, const struct range *b)
{
    return a->len == b->len &&
           (a->len == 0 || (a->start == b->start && (a->len == 1 || a->step == b->step)));
}

/* Keys and items are sets. */
static bool views_equal(struct vm *vm, struct value a, struct value b)
{
    struct value v;
    struct iter *it;

    if (a.view->kind == VIEW_VALUES || b.view->kind == VIEW_VALUES)
        return a.view == b.view;
    if (a.view->d->len != b.view->d->len)
        return false;
    it = iter_of(vm, a);
    while (iter_next(vm, it, &v))
        if (!value_contains(vm, b, v))
            return false;
    return true;
}

bool value_equal(struct vm *vm, struct value a, struct value b)
{
    bool equal = false;

    vm_step(vm, 1);
    if (is_number(a) && is_number(b))
        return numbers_equal(a, b);
    if (a.type != b.type)
        return false;
    vm_enter(vm);
    switch (a.type) {
    case V_STR:
        vm_step(vm, a.s->len / 64);
        equal = text_equal(a.s, b.s);
        break;
    case V_UNDEFINED:
        equal = true;
        break;
    case V_LIST:
    case V_TUPLE:
        equal = lists_equal(vm, a.l, b.l);
        break;
    case V_DICT:
        equal = dicts_equal(vm, a.d, b.d);
        break;
    case V_RANGE:
        equal = ranges_equal(a.r, b.r);
        break;
    case V_VIEW:
        equal = views_equal(vm, a, b);
        break;
    case V_METHOD:
        equal = a.method->fn == b.method->fn && value_same(a.method->self, b.method->self);
        break;
    default:
        equal = value_same(a, b);
    }
    vm_leave(vm);
    return equal;
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
        return compare_int_double(integer_of(a), b.f);
    if (a.type == V_FLOAT) {
        c = compare_int_double(integer_of(b), a.f);
        return c == 2 ? 2 : -c;
    }
    return (integer_of(a) > integer_of(b)) - (integer_of(a) < integer_of(b));
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

void check_defined(struct vm *vm, struct value v)
{
    if (v.type == V_UNDEFINED)
        throw_undefined(vm, v.u);
}

static bool is_set_view(struct value v)
{
    return v.type == V_VIEW && v.view->kind != VIEW_VALUES;
}

static bool compare_views(struct vm *vm, const char *op, struct value a, struct value b)
{
    struct value small = op[0] == '<' ? a : b;
    struct value large = op[0] == '<' ? b : a;
    struct value v;
    struct iter *it = iter_of(vm, small);

    if (small.view->d->len > large.view->d->len ||
        (op[1] != '=' && small.view->d->len == large.view->d->len))
        return false;
    while (iter_next(vm, it, &v))
        if (!value_contains(vm, large, v))
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
    if (is_set_view(a) && is_set_view(b))
        return compare_views(vm, op, a, b);
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

static bool item_in(struct vm *vm, const struct view *view, struct value v)
{
    const struct value *found;

    if (v.type != V_TUPLE || v.l->len != 2)
        return false;
    found = dict_get(vm, view->d, v.l->items[0]);
    return found && (value_same(*found, v.l->items[1]) || value_equal(vm, *found, v.l->items[1]));
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
    case V_VIEW:
        if (in.view->kind == VIEW_KEYS)
            return dict_get(vm, in.view->d, v) != NULL;
        if (in.view->kind == VIEW_ITEMS)
            return item_in(vm, in.view, v);
        return found_among(vm, in, v);
    default:
        return found_among(vm, in, v);
    }
}
