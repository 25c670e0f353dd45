/*
 * globals: functions that a template finds by name, and the objects that they make.
 */
#include "text/template/functions.h"
#include "text/template/iter.h"

#include <string.h>

#define MAX_RANGE 100000

BUILTIN(global_range)
{
    struct range *range = VM_NEW(r->vm, struct range);
    bool forward;

    *range = (struct range){.step = arg_int(r, args[2], 1)};
    range->start = call->n > 1 ? value_index(r->vm, args[0]) : 0;
    range->stop = value_index(r->vm, args[call->n > 1 ? 1 : 0]);
    if (range->step == 0)
        vm_throw(r->vm, E_VALUE, "range() arg 3 must not be zero");
    forward = range->step > 0;
    if (forward ? range->stop > range->start : range->stop < range->start) {
        uint64_t from = (uint64_t)(forward ? range->start : range->stop);
        uint64_t to = (uint64_t)(forward ? range->stop : range->start);
        uint64_t by = forward ? (uint64_t)range->step : 0 - (uint64_t)range->step;
        uint64_t n = (to - from - 1) / by + 1;

        range->len = n > MAX_RANGE ? MAX_RANGE + 1 : (int64_t)n;
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

BUILTIN(global_dict)
{
    if (call->n && call->args[0].type == V_UNDEFINED)
        check_defined(r->vm, call->args[0]);
    return v_dict(make_dict(r, call));
}

BUILTIN(global_namespace)
{
    struct dict *d;

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

BUILTIN(global_cycler)
{
    struct list *l = list_new(r->vm, call->n);

    if (call->n_kw)
        vm_throw(r->vm, E_TYPE, "cycler() got an unexpected keyword argument");
    if (!call->n)
        vm_throw(r->vm, E_RUNTIME, "at least one item has to be provided");
    for (size_t i = 0; i < call->n; i++)
        list_add(r->vm, l, call->args[i]);
    return cycler_new(r, V_CYCLER, l);
}

BUILTIN(global_joiner)
{
    struct list *l = list_new(r->vm, 1);

    list_add(r->vm, l, arg_or(args[0], v_str(text_of(r->vm, ", "))));
    return cycler_new(r, V_JOINER, l);
}

BUILTIN(global_raise)
{
    const struct text *message = value_str(r->vm, args[0]);

    vm_throw(r->vm, E_RAISED, "%.*s", (int)(message->len < 1000 ? message->len : 1000),
             message->data);
}

BUILTIN_VALUE(global_strftime, v_str(text_strftime(r->vm, r->now, arg_text(r, args[0]))))

static const struct builtin GLOBAL_FUNCTIONS[] = {
    {"range", "/a|b,c", global_range},           {"dict", "*", global_dict},
    {"namespace", "*", global_namespace},        {"cycler", "*", global_cycler},
    {"joiner", "|sep", global_joiner},           {"raise_exception", "message", global_raise},
    {"strftime_now", "format", global_strftime},
};
const struct functions GLOBALS = {GLOBAL_FUNCTIONS,
                                  sizeof GLOBAL_FUNCTIONS / sizeof *GLOBAL_FUNCTIONS};

static const struct builtin DICT_CLASS_METHODS[] = {
    {"fromkeys", "/iterable|value", dict_fromkeys},
};

/* As functions of the class: the object is their argument. */
static struct value cycler_of_class(struct render *r, struct value *args, const char *name)
{
    struct text method = {.data = name, .len = strlen(name)};
    struct call none = {0};

    if (args[1].type != V_CYCLER)
        vm_throw(r->vm, E_TYPE, "%s() wants a cycler", name);
    return call_value(r, type_attribute(r, args[1], &method), &none);
}

BUILTIN(cycler_class_next)
{
    check_defined(r->vm, args[1]);
    return cycler_of_class(r, args, "next");
}

BUILTIN_VALUE(cycler_class_reset, cycler_of_class(r, args, "reset"))

static const struct builtin CYCLER_CLASS_METHODS[] = {
    {"next", "self", cycler_class_next},
    {"reset", "self", cycler_class_reset},
    {"current", "", NULL},
};

BUILTIN(property_current)
{
    struct text name = {.data = "current", .len = 7};

    check_defined(r->vm, args[1]);
    if (args[1].type != V_CYCLER)
        vm_throw(r->vm, E_TYPE, "fget() wants a cycler");
    return type_attribute(r, args[1], &name);
}

BUILTIN_VALUE(property_with, args[0])

static const struct builtin PROPERTY_METHODS[] = {
    {"fget", "self", property_current},
    {"getter", "/function", property_with},
    {"setter", "/function", property_with},
    {"deleter", "/function", property_with},
};

struct functions class_methods(const struct builtin *fn)
{
    if (!fn->run)
        return (struct functions){PROPERTY_METHODS, 4};
    if (fn->run == global_cycler)
        return (struct functions){CYCLER_CLASS_METHODS, 3};
    return (struct functions){DICT_CLASS_METHODS, fn->run == global_dict ? 1 : 0};
}
