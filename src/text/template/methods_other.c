/*
 * methods_other: methods of lists, dicts, numbers, loops and of the globals' objects, and the globals
 * themselves.
 */
#include "text/template/engine.h"
#include "text/template/functions.h"
#include "text/template/iter.h"

#include <math.h>
#include <string.h>

#define MAX_RANGE 100000

/* ------------------------------------------------------------------ arguments */

bool arg_truth(struct render *r, struct value v, bool fallback)
{
    return v.type == V_MISSING ? fallback : value_truth(r->vm, v);
}

struct text *arg_text(struct render *r, struct value v)
{
    if (v.type != V_STR)
        vm_throw(r->vm, E_TYPE, "argument must be str, not %s", type_name(v));
    return v.s;
}

int64_t arg_int(struct render *r, struct value v, int64_t fallback)
{
    return v.type == V_MISSING ? fallback : value_index(r->vm, v);
}

const struct builtin *find_function(const struct functions *table, const struct text *name)
{
    for (size_t i = 0; i < table->n; i++)
        if (text_is(name, table->items[i].name))
            return &table->items[i];
    return NULL;
}

/* ------------------------------------------------------------------ lists */

static struct value list_count(struct render *r, struct value *args, const struct call *call)
{
    struct value self = args[0];
    struct iter *it = iter_of(r->vm, self);
    struct value item;
    int64_t n = 0;

    (void)call;
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

static struct value list_index(struct render *r, struct value *args, const struct call *call)
{
    const struct list *l = args[0].l;
    int64_t len = (int64_t)l->len;
    int64_t stop = index_bound(r, args[3], len, len);

    (void)call;
    for (int64_t i = index_bound(r, args[2], 0, len); i < stop && i < len; i++) {
        vm_step(r->vm, 1);
        if (value_same(l->items[i], args[1]) || value_equal(r->vm, l->items[i], args[1]))
            return v_int(i);
    }
    if (args[0].type == V_TUPLE)
        vm_throw(r->vm, E_VALUE, "tuple.index(x): x not in tuple");
    vm_throw(r->vm, E_VALUE, "%s is not in list", repr_chars(r->vm, args[1]));
}

static struct value list_copy(struct render *r, struct value *args, const struct call *call)
{
    (void)call;
    return v_list(list_of(r->vm, args[0]));
}

static const struct builtin LIST_METHODS[] = {
    {"count", "/value", list_count},
    {"index", "/value|start,stop", list_index},
    {"copy", "/", list_copy},
};

static struct value range_index(struct render *r, struct value *args, const struct call *call)
{
    struct value list = v_list(list_of(r->vm, args[0]));

    (void)call;
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

static struct value view_of(struct render *r, enum view_kind kind, struct dict *d)
{
    struct view *view = VM_NEW(r->vm, struct view);

    *view = (struct view){.kind = kind, .d = d};
    return (struct value){.type = V_VIEW, .view = view};
}

static struct value dict_keys(struct render *r, struct value *args, const struct call *call)
{
    (void)call;
    return view_of(r, VIEW_KEYS, args[0].d);
}

static struct value dict_values(struct render *r, struct value *args, const struct call *call)
{
    (void)call;
    return view_of(r, VIEW_VALUES, args[0].d);
}

static struct value dict_items(struct render *r, struct value *args, const struct call *call)
{
    (void)call;
    return view_of(r, VIEW_ITEMS, args[0].d);
}

static struct value dict_do_get(struct render *r, struct value *args, const struct call *call)
{
    struct value *found = dict_get(r->vm, args[0].d, args[1]);

    (void)call;
    return found ? *found : arg_or(args[2], v_none());
}

static struct value dict_do_copy(struct render *r, struct value *args, const struct call *call)
{
    (void)call;
    return v_dict(dict_copy(r->vm, args[0].d));
}

static struct value from_keys(struct render *r, struct value keys, struct value v)
{
    struct iter *it = iter_of(r->vm, keys);
    struct dict *d = dict_new(r->vm);
    struct value key;

    while (iter_next(r->vm, it, &key))
        dict_set(r->vm, d, key, arg_or(v, v_none()));
    return v_dict(d);
}

static struct value dict_fromkeys(struct render *r, struct value *args, const struct call *call)
{
    (void)call;
    return from_keys(r, args[1], args[2]);
}

static const struct builtin DICT_METHODS[] = {
    {"keys", "/", dict_keys},    {"values", "/", dict_values},
    {"items", "/", dict_items},  {"get", "/key|default", dict_do_get},
    {"copy", "/", dict_do_copy}, {"fromkeys", "/iterable|value", dict_fromkeys},
};

static struct value view_isdisjoint(struct render *r, struct value *args, const struct call *call)
{
    struct iter *it = iter_of(r->vm, args[1]);
    struct value v;

    (void)call;
    while (iter_next(r->vm, it, &v))
        if (value_contains(r->vm, args[0], v))
            return v_bool(false);
    return v_bool(true);
}

static const struct builtin VIEW_METHODS[] = {
    {"isdisjoint", "/other", view_isdisjoint},
};

/* ------------------------------------------------------------------ numbers */

static struct value int_bit_length(struct render *r, struct value *args, const struct call *call)
{
    int64_t i = value_index(r->vm, args[0]);
    uint64_t magnitude = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;

    (void)call;
    return v_int(magnitude ? 64 - __builtin_clzll(magnitude) : 0);
}

static struct value int_bit_count(struct render *r, struct value *args, const struct call *call)
{
    int64_t i = value_index(r->vm, args[0]);

    (void)call;
    return v_int(__builtin_popcountll(i < 0 ? 0 - (uint64_t)i : (uint64_t)i));
}

static struct value int_conjugate(struct render *r, struct value *args, const struct call *call)
{
    (void)call;
    return v_int(value_index(r->vm, args[0]));
}

static struct value int_ratio(struct render *r, struct value *args, const struct call *call)
{
    (void)call;
    return tuple2(r->vm, v_int(value_index(r->vm, args[0])), v_int(1));
}

static const struct builtin INT_METHODS[] = {
    {"bit_length", "/", int_bit_length},
    {"bit_count", "/", int_bit_count},
    {"conjugate", "/", int_conjugate},
    {"as_integer_ratio", "/", int_ratio},
};

static struct value float_is_integer(struct render *r, struct value *args, const struct call *call)
{
    (void)r;
    (void)call;
    return v_bool(isfinite(args[0].f) && args[0].f == floor(args[0].f));
}

static struct value float_conjugate(struct render *r, struct value *args, const struct call *call)
{
    (void)r;
    (void)call;
    return args[0];
}

static const struct builtin FLOAT_METHODS[] = {
    {"is_integer", "/", float_is_integer},
    {"conjugate", "/", float_conjugate},
};

/* ------------------------------------------------------------------ loops, cyclers, joiners */

static struct value loop_cycle(struct render *r, struct value *args, const struct call *call)
{
    if (!call->n)
        vm_throw(r->vm, E_TYPE, "no items for cycling given");
    return call->args[(size_t)args[0].loop->index0 % call->n];
}

static struct value loop_changed(struct render *r, struct value *args, const struct call *call)
{
    struct loop *loop = args[0].loop;
    struct list *l = list_new(r->vm, call->n);

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

static struct value cycler_next(struct render *r, struct value *args, const struct call *call)
{
    struct cycler *c = args[0].cycler;
    struct value v = c->items->items[c->pos];

    (void)r;
    (void)call;
    c->pos = (c->pos + 1) % c->items->len;
    return v;
}

static struct value cycler_reset(struct render *r, struct value *args, const struct call *call)
{
    (void)r;
    (void)call;
    args[0].cycler->pos = 0;
    return v_none();
}

static const struct builtin CYCLER_METHODS[] = {
    {"next", "/", cycler_next},
    {"reset", "/", cycler_reset},
};

/* A joiner is a cycler of its separator: pos tells whether it was used. */
struct value call_joiner(struct render *r, struct value joiner, const struct call *call)
{
    struct cycler *c = joiner.cycler;

    if (call->n || call->n_kw)
        vm_throw(r->vm, E_TYPE, "a joiner is called without arguments");
    if (c->pos)
        return c->items->items[0];
    c->pos = 1;
    return v_str(text_wrap_counted(r->vm, "", 0, 0));
}

/* ------------------------------------------------------------------ globals */

static struct value global_range(struct render *r, struct value *args, const struct call *call)
{
    struct range *range = VM_NEW(r->vm, struct range);
    uint64_t distance;

    *range = (struct range){.step = arg_int(r, args[2], 1)};
    range->start = call->n > 1 ? value_index(r->vm, args[0]) : 0;
    range->stop = value_index(r->vm, args[call->n > 1 ? 1 : 0]);
    if (range->step == 0)
        vm_throw(r->vm, E_VALUE, "range() arg 3 must not be zero");
    if (range->step > 0 && range->stop > range->start) {
        distance = (uint64_t)range->stop - (uint64_t)range->start;
        range->len = (int64_t)((distance - 1) / (uint64_t)range->step + 1 > MAX_RANGE
                                   ? MAX_RANGE + 1
                                   : (distance - 1) / (uint64_t)range->step + 1);
    } else if (range->step < 0 && range->stop < range->start) {
        distance = (uint64_t)range->start - (uint64_t)range->stop;
        range->len = (int64_t)((distance - 1) / (0 - (uint64_t)range->step) + 1 > MAX_RANGE
                                   ? MAX_RANGE + 1
                                   : (distance - 1) / (0 - (uint64_t)range->step) + 1);
    }
    if (range->len > MAX_RANGE)
        vm_throw(r->vm, E_RUNTIME,
                 "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).", MAX_RANGE);
    return (struct value){.type = V_RANGE, .r = range};
}

static void add_pair(struct render *r, struct dict *d, struct value pair, size_t n)
{
    struct list *parts;

    if (!iter_try(r->vm, pair))
        vm_throw(r->vm, E_TYPE,
                 "cannot convert dictionary update sequence element #%zu to a sequence", n);
    parts = list_of(r->vm, pair);
    if (parts->len != 2)
        vm_throw(r->vm, E_VALUE,
                 "dictionary update sequence element #%zu has length %zu; 2 is required", n,
                 parts->len);
    dict_set(r->vm, d, parts->items[0], parts->items[1]);
}

/* dict(...) */
static struct dict *make_dict(struct render *r, const struct call *call)
{
    struct dict *d = dict_new(r->vm);
    struct iter *it;
    struct value item;
    size_t n = 0;

    if (call->n > 1)
        vm_throw(r->vm, E_TYPE, "dict expected at most 1 argument, got %zu", call->n);
    if (call->n && call->args[0].type == V_DICT) {
        d = dict_copy(r->vm, call->args[0].d);
    } else if (call->n) {
        it = iter_of(r->vm, call->args[0]);
        while (iter_next(r->vm, it, &item))
            add_pair(r, d, item, n++);
    }
    for (size_t i = 0; i < call->n_kw; i++)
        dict_set(r->vm, d, v_str(call->kw[i].name), call->kw[i].value);
    return d;
}

static struct value global_dict(struct render *r, struct value *args, const struct call *call)
{
    (void)args;
    if (call->n && call->args[0].type == V_UNDEFINED)
        check_defined(r->vm, call->args[0]);
    return v_dict(make_dict(r, call));
}

static struct value global_fromkeys(struct render *r, struct value *args, const struct call *call)
{
    (void)call;
    return from_keys(r, args[1], args[2]);
}

static const struct builtin DICT_CLASS_METHODS[] = {
    {"fromkeys", "/iterable|value", global_fromkeys},
};

static struct value global_namespace(struct render *r, struct value *args, const struct call *call)
{
    struct dict *d;

    (void)args;
    if (call->n && call->args[0].type == V_UNDEFINED)
        check_defined(r->vm, call->args[0]);
    d = make_dict(r, call);
    for (size_t i = 0; i < d->len; i++) {
        struct value key = d->entries[i].key;

        if (key.type == V_STR && key.s->len && key.s->data[0] == '_')
            vm_throw(r->vm, E_SECURITY,
                     "Chat templates cannot store underscore-prefixed attributes on a namespace, "
                     "but got %s. Please rename the attribute.",
                     repr_chars(r->vm, key));
    }
    return (struct value){.type = V_NAMESPACE, .d = d};
}

static struct value cycler_new(struct render *r, enum value_type type, struct list *items)
{
    struct cycler *c = VM_NEW(r->vm, struct cycler);

    *c = (struct cycler){.items = items, .pos = 0};
    return (struct value){.type = type, .cycler = c};
}

static struct value global_cycler(struct render *r, struct value *args, const struct call *call)
{
    struct list *l = list_new(r->vm, call->n);

    (void)args;
    if (call->n_kw)
        vm_throw(r->vm, E_TYPE, "cycler() got an unexpected keyword argument");
    if (!call->n)
        vm_throw(r->vm, E_RUNTIME, "at least one item has to be provided");
    for (size_t i = 0; i < call->n; i++)
        list_add(r->vm, l, call->args[i]);
    return cycler_new(r, V_CYCLER, l);
}

static struct value global_joiner(struct render *r, struct value *args, const struct call *call)
{
    struct list *l = list_new(r->vm, 1);

    (void)call;
    list_add(r->vm, l, arg_or(args[0], v_str(text_of(r->vm, ", "))));
    return cycler_new(r, V_JOINER, l);
}

static struct value global_raise(struct render *r, struct value *args, const struct call *call)
{
    const struct text *message = value_str(r->vm, args[0]);

    (void)call;
    vm_throw(r->vm, E_RAISED, "%.*s", (int)(message->len < 1000 ? message->len : 1000),
             message->data);
}

static struct value global_strftime(struct render *r, struct value *args, const struct call *call)
{
    (void)call;
    return v_str(text_strftime(r->vm, r->now, arg_text(r, args[0])));
}

static const struct builtin GLOBAL_FUNCTIONS[] = {
    {"range", "/a|b,c", global_range},           {"dict", "*", global_dict},
    {"namespace", "*", global_namespace},        {"cycler", "*", global_cycler},
    {"joiner", "|sep", global_joiner},           {"raise_exception", "message", global_raise},
    {"strftime_now", "format", global_strftime},
};
const struct functions GLOBALS = {GLOBAL_FUNCTIONS,
                                  sizeof GLOBAL_FUNCTIONS / sizeof *GLOBAL_FUNCTIONS};

struct value find_global(const struct text *name)
{
    const struct builtin *fn = find_function(&GLOBALS, name);

    return fn ? (struct value){.type = V_BUILTIN, .fn = fn} : v_of(V_MISSING);
}

/* ------------------------------------------------------------------ which type has which */

#define TABLE(methods)                                                                             \
    (struct functions)                                                                             \
    {                                                                                              \
        methods, sizeof(methods) / sizeof *(methods)                                               \
    }

static struct functions methods_of(struct value self)
{
    switch (self.type) {
    case V_STR:
        return STR_METHODS;
    case V_LIST:
        return TABLE(LIST_METHODS);
    case V_TUPLE:
        return (struct functions){LIST_METHODS, 2};
    case V_DICT:
        return TABLE(DICT_METHODS);
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
    case V_BUILTIN:
        return (struct functions){DICT_CLASS_METHODS, self.fn->run == global_dict ? 1 : 0};
    default:
        return (struct functions){NULL, 0};
    }
}

const struct builtin *find_method(struct value self, const struct text *name)
{
    struct functions table = methods_of(self);

    if (self.type == V_STR && !self.s->safe &&
        (text_is(name, "unescape") || text_is(name, "striptags")))
        return NULL;
    return find_function(&table, name);
}
