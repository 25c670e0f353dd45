/*
 * methods_other: methods of lists, dicts, numbers, loops and of the globals' objects.
 */
#include "text/template/functions.h"
#include "text/template/iter.h"

#include <math.h>
#include <string.h>

/* ------------------------------------------------------------------ lists */

BUILTIN(list_count)
{
    struct value self = args[0];
    struct iter *it = iter_of(r->vm, self);
    struct value item;
    int64_t n = 0;

    while (iter_next(r->vm, it, &item))
        n += value_same(item, args[1]) || value_equal(r->vm, item, args[1]);
    return v_int(n);
}

static int64_t index_bound(struct render *r, struct value v, int64_t fallback, int64_t len)
{
    int64_t at = arg_int(r, v, fallback);

    if (at < 0)
        at += len;
    return at < 0 ? 0 : at;
}

BUILTIN(list_index)
{
    const struct list *l = args[0].l;
    int64_t len = (int64_t)l->len;
    int64_t stop = index_bound(r, args[3], len, len);

    for (int64_t i = index_bound(r, args[2], 0, len); i < stop && i < len; i++) {
        vm_step(r->vm, 1);
        if (value_same(l->items[i], args[1]) || value_equal(r->vm, l->items[i], args[1]))
            return v_int(i);
    }
    if (args[0].type == V_TUPLE)
        vm_throw(r->vm, E_VALUE, "tuple.index(x): x not in tuple");
    vm_throw(r->vm, E_VALUE, "%s is not in list", repr_chars(r->vm, args[1]));
}

BUILTIN_VALUE(list_copy, v_list(list_of(r->vm, args[0])))

static const struct builtin LIST_METHODS[] = {
    {"count", "/value", list_count},
    {"index", "/value|start,stop", list_index},
    {"copy", "/", list_copy},
};

BUILTIN(range_index)
{
    struct value list = v_list(list_of(r->vm, args[0]));

    for (size_t i = 0; i < list.l->len; i++)
        if (value_equal(r->vm, list.l->items[i], args[1]))
            return v_int((int64_t)i);
    vm_throw(r->vm, E_VALUE, "%s is not in range", repr_chars(r->vm, args[1]));
}

static const struct builtin RANGE_METHODS[] = {
    {"count", "/value", list_count},
    {"index", "/value", range_index},
};

/* ------------------------------------------------------------------ dicts */

BUILTIN_VALUE(dict_keys, view_new(r->vm, VIEW_KEYS, args[0].d))
BUILTIN_VALUE(dict_values, view_new(r->vm, VIEW_VALUES, args[0].d))
BUILTIN_VALUE(dict_items, view_new(r->vm, VIEW_ITEMS, args[0].d))

BUILTIN(dict_do_get)
{
    struct value *found = dict_get(r->vm, args[0].d, args[1]);

    return found ? *found : arg_or(args[2], v_none());
}

BUILTIN_VALUE(dict_do_copy, v_dict(dict_copy(r->vm, args[0].d)))

struct value dict_fromkeys(struct render *r, struct value *args, const struct call *call)
{
    struct iter *it = iter_of(r->vm, args[1]);
    struct dict *d = dict_new(r->vm);
    struct value key;

    (void)call;
    while (iter_next(r->vm, it, &key))
        dict_set(r->vm, d, key, arg_or(args[2], v_none()));
    return v_dict(d);
}

static const struct builtin DICT_METHODS[] = {
    {"keys", "/", dict_keys},    {"values", "/", dict_values},
    {"items", "/", dict_items},  {"get", "/key|default", dict_do_get},
    {"copy", "/", dict_do_copy}, {"fromkeys", "/iterable|value", dict_fromkeys},
};

BUILTIN(view_isdisjoint)
{
    struct iter *it = iter_of(r->vm, args[1]);
    struct value v;

    while (iter_next(r->vm, it, &v))
        if (value_contains(r->vm, args[0], v))
            return v_bool(false);
    return v_bool(true);
}

static const struct builtin VIEW_METHODS[] = {
    {"isdisjoint", "/other", view_isdisjoint},
};

/* ------------------------------------------------------------------ numbers */

BUILTIN(int_bit_length)
{
    int64_t i = value_index(r->vm, args[0]);
    uint64_t magnitude = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;

    return v_int(magnitude ? 64 - __builtin_clzll(magnitude) : 0);
}

BUILTIN(int_bit_count)
{
    int64_t i = value_index(r->vm, args[0]);

    return v_int(__builtin_popcountll(i < 0 ? 0 - (uint64_t)i : (uint64_t)i));
}

static uint64_t byte_of(struct render *r, struct value v)
{
    int64_t i = value_index(r->vm, v);

    if (i < 0 || i > 255)
        vm_throw(r->vm, E_VALUE, "bytes must be in range(0, 256)");
    return (uint64_t)i;
}

static bool is_big(struct render *r, struct value order)
{
    if (order.type == V_MISSING)
        return true;
    if (!text_is(arg_text(r, order), "big") && !text_is(order.s, "little"))
        vm_throw(r->vm, E_VALUE, "byteorder must be either 'little' or 'big'");
    return order.s->len == 3;
}

/* Bytes, the first one the highest, as a number; a number of the object's type, which may be a bool. */
static struct value int_of_bytes(struct render *r, struct value self, const struct list *bytes,
                                 bool is_signed)
{
    bool negative = is_signed && bytes->len && byte_of(r, bytes->items[0]) > 127;
    uint64_t fill = negative ? 255 : 0;
    uint64_t i = negative ? UINT64_MAX : 0;
    bool fits = true;

    for (size_t at = 0; at < bytes->len; at++) {
        fits = fits && i >> 56 == fill;
        i = i << 8 | byte_of(r, bytes->items[at]);
    }
    if (self.type == V_BOOL)
        return v_bool(i != 0);
    if (!fits || i >> 63 != negative)
        vm_throw(r->vm, E_LIMIT, "an integer has more than 64 bits");
    return v_int((int64_t)i);
}

BUILTIN(int_from_bytes)
{
    struct list *given;
    struct list *bytes;
    bool is_signed = arg_truth(r, args[3], false);
    bool big = is_big(r, args[2]);

    if (call->n > 2)
        vm_throw(r->vm, E_TYPE, "from_bytes() takes at most 2 positional arguments");
    if (args[1].type == V_STR || is_number(args[1]))
        vm_throw(r->vm, E_TYPE, "cannot convert '%s' object to bytes", type_name(args[1]));
    given = list_of(r->vm, args[1]);
    bytes = list_new(r->vm, given->len);
    for (size_t i = 0; i < given->len; i++)
        list_add(r->vm, bytes, given->items[big ? i : given->len - 1 - i]);
    return int_of_bytes(r, args[0], bytes, is_signed);
}

BUILTIN_VALUE(int_conjugate, v_int(value_index(r->vm, args[0])))
BUILTIN_VALUE(int_ratio, tuple2(r->vm, v_int(value_index(r->vm, args[0])), v_int(1)))

static const struct builtin INT_METHODS[] = {
    {"bit_length", "/", int_bit_length},
    {"bit_count", "/", int_bit_count},
    {"conjugate", "/", int_conjugate},
    {"as_integer_ratio", "/", int_ratio},
    {"from_bytes", "bytes|byteorder,signed", int_from_bytes},
};

BUILTIN_VALUE(float_is_integer, v_bool(isfinite(args[0].f) && args[0].f == floor(args[0].f)))
BUILTIN_VALUE(float_conjugate, args[0])

/* A fraction of integers, exact. */
BUILTIN(float_ratio)
{
    int exponent;
    double f = frexp(args[0].f, &exponent);

    if (!isfinite(args[0].f))
        vm_throw(r->vm, isnan(args[0].f) ? E_VALUE : E_RUNTIME,
                 "cannot convert %s to integer ratio", isnan(args[0].f) ? "NaN" : "Infinity");
    for (int i = 0; i < 300 && f != floor(f); i++) {
        f *= 2;
        exponent--;
    }
    if (exponent > 62 || exponent < -62 || (exponent > 0 && fabs(ldexp(f, exponent)) >= 0x1p63))
        vm_throw(r->vm, E_LIMIT, "an integer has more than 64 bits");
    return exponent > 0 ? tuple2(r->vm, v_int((int64_t)ldexp(f, exponent)), v_int(1))
                        : tuple2(r->vm, v_int((int64_t)f), v_int((int64_t)1 << -exponent));
}

/* 0x1.8p+3: thirteen digits, as the number is stored. */
BUILTIN(float_hex)
{
    double f = args[0].f;
    uint64_t bits;
    int exponent;

    if (!isfinite(f))
        return v_str(value_str(r->vm, args[0]));
    if (f == 0)
        return v_str(text_of(r->vm, signbit(f) ? "-0x0.0p+0" : "0x0.0p+0"));
    memcpy(&bits, &f, sizeof bits);
    exponent = (int)(bits >> 52 & 0x7ff);
    return v_str(text_printf(r->vm, "%s0x%d.%013llxp%+d", signbit(f) ? "-" : "", exponent ? 1 : 0,
                             (unsigned long long)(bits & 0xfffffffffffff),
                             (exponent ? exponent : 1) - 1023));
}

BUILTIN(float_fromhex)
{
    double f;

    if (!text_to_hex_double(r->vm, arg_text(r, args[1]), &f))
        vm_throw(r->vm, E_VALUE, "invalid hexadecimal floating-point string");
    return v_float(f);
}

static const struct builtin FLOAT_METHODS[] = {
    {"as_integer_ratio", "/", float_ratio}, {"hex", "/", float_hex},
    {"is_integer", "/", float_is_integer},  {"conjugate", "/", float_conjugate},
    {"fromhex", "/string", float_fromhex},
};

/* ------------------------------------------------------------------ loops, cyclers */

BUILTIN(loop_cycle)
{
    if (call->n_kw)
        vm_throw(r->vm, E_TYPE, "cycle() takes no keyword arguments");
    if (!call->n)
        vm_throw(r->vm, E_TYPE, "no items for cycling given");
    return call->args[(size_t)args[0].loop->index0 % call->n];
}

BUILTIN(loop_changed)
{
    struct loop *loop = args[0].loop;
    struct list *l = list_new(r->vm, call->n);

    if (call->n_kw)
        vm_throw(r->vm, E_TYPE, "changed() takes no keyword arguments");

    for (size_t i = 0; i < call->n; i++)
        list_add(r->vm, l, call->args[i]);
    if (loop->changed.type == V_TUPLE && value_equal(r->vm, loop->changed, v_tuple(l)))
        return v_bool(false);
    loop->changed = v_tuple(l);
    return v_bool(true);
}

static const struct builtin LOOP_METHODS[] = {
    {"cycle", "*", loop_cycle},
    {"changed", "*", loop_changed},
};

BUILTIN(cycler_next)
{
    struct cycler *c = args[0].cycler;
    struct value v = c->items->items[c->pos];

    c->pos = (c->pos + 1) % c->items->len;
    return v;
}

BUILTIN(cycler_reset)
{
    args[0].cycler->pos = 0;
    return v_none();
}

static const struct builtin CYCLER_METHODS[] = {
    {"next", "/", cycler_next},
    {"reset", "/", cycler_reset},
};

/* ------------------------------------------------------------------ generators */

BUILTIN(generator_close)
{
    args[0].it->done = true;
    return v_none();
}

BUILTIN(generator_send)
{
    struct value v;

    if (!args[0].it->started && !args[0].it->done && args[1].type != V_NONE)
        vm_throw(r->vm, E_TYPE, "can't send non-None value to a just-started generator");
    if (iter_next(r->vm, args[0].it, &v))
        return v;
    return undefined_new(r->vm,
                         "value was undefined because a callable raised a StopIteration exception");
}

/* No exception is in a template's reach. */
BUILTIN(generator_throw)
{
    vm_throw(r->vm, E_TYPE,
             "exceptions must be classes or instances deriving from BaseException, not %s",
             type_name(args[1]));
}

static const struct builtin GENERATOR_METHODS[] = {
    {"close", "/", generator_close},
    {"send", "/value", generator_send},
    {"throw", "/type|value,traceback", generator_throw},
};

/* ------------------------------------------------------------------ which type has which */

#define TABLE(methods)                                                                             \
    (struct functions)                                                                             \
    {                                                                                              \
        methods, sizeof(methods) / sizeof *(methods)                                               \
    }

struct functions other_methods(struct value self)
{
    switch (self.type) {
    case V_LIST:
        return TABLE(LIST_METHODS);
    case V_TUPLE:
        return (struct functions){LIST_METHODS, 2};
    case V_DICT: /* fromkeys, the last one, is no proxy's */
        return (struct functions){DICT_METHODS, sizeof DICT_METHODS / sizeof *DICT_METHODS -
                                                    (self.d->proxy ? 1 : 0)};
    case V_SET:
        return SET_METHODS;
    case V_ITER:
        return (struct functions){GENERATOR_METHODS,
                                  strcmp(self.it->type, "generator") == 0 ? 3 : 0};
    case V_RANGE:
        return TABLE(RANGE_METHODS);
    case V_VIEW:
        return (struct functions){VIEW_METHODS, self.view->kind == VIEW_VALUES ? 0 : 1};
    case V_BOOL:
    case V_INT:
        return TABLE(INT_METHODS);
    case V_FLOAT:
        return TABLE(FLOAT_METHODS);
    case V_LOOP:
        return TABLE(LOOP_METHODS);
    case V_CYCLER:
        return TABLE(CYCLER_METHODS);
    default:
        return (struct functions){NULL, 0};
    }
}
