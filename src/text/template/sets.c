/*
 * sets: Python's sets, which a template gets by taking something from a dict's keys or items. A set is
 * a dict's keys, so its items come in the order in which they were first seen; in Python their hashes
 * order them, and those of texts are other ones in every process.
 */
#include "text/template/functions.h"
#include "text/template/iter.h"

static struct value v_set(struct dict *d)
{
    return (struct value){.type = V_SET, .d = d};
}

static void add_all(struct vm *vm, struct dict *d, struct value items)
{
    struct iter *it = iter_of(vm, items);
    struct value v;

    while (iter_next(vm, it, &v))
        dict_set(vm, d, v, v_none());
}

static struct dict *members_of(struct vm *vm, struct value items)
{
    struct dict *d = dict_new(vm);

    add_all(vm, d, items);
    return d;
}

/* Those of a that are in b, or those that are not. */
static struct dict *chosen(struct vm *vm, const struct dict *a, const struct dict *b, bool in)
{
    struct dict *d = dict_new(vm);

    for (size_t i = 0; i < a->len; i++)
        if ((dict_get(vm, b, a->entries[i].key) != NULL) == in)
            dict_set(vm, d, a->entries[i].key, v_none());
    return d;
}

struct value set_subtract(struct vm *vm, struct value a, struct value b)
{
    const struct dict *from = members_of(vm, a);

    return v_set(chosen(vm, from, members_of(vm, b), false));
}

/* ------------------------------------------------------------------ methods */

static void no_keywords(struct render *r, const struct call *call)
{
    if (call->n_kw)
        vm_throw(r->vm, E_TYPE, "methods of a set take no keyword arguments");
}

BUILTIN(set_union)
{
    struct dict *d = members_of(r->vm, args[0]);

    no_keywords(r, call);
    for (size_t i = 0; i < call->n; i++)
        add_all(r->vm, d, call->args[i]);
    return v_set(d);
}

static struct dict *narrowed(struct render *r, struct dict *d, const struct call *call, bool in)
{
    no_keywords(r, call);
    for (size_t i = 0; i < call->n; i++)
        d = chosen(r->vm, d, members_of(r->vm, call->args[i]), in);
    return d;
}

BUILTIN_VALUE(set_intersection, v_set(narrowed(r, members_of(r->vm, args[0]), call, true)))
BUILTIN_VALUE(set_difference, v_set(narrowed(r, members_of(r->vm, args[0]), call, false)))

/* The one method that changes a set and that the sandbox forgets. */
BUILTIN(set_intersect)
{
    struct dict *d = narrowed(r, members_of(r->vm, args[0]), call, true);

    *args[0].d = *d;
    return v_none();
}

BUILTIN(set_either)
{
    const struct dict *other = members_of(r->vm, args[1]);
    struct dict *d = chosen(r->vm, args[0].d, other, false);

    add_all(r->vm, d, v_set(chosen(r->vm, other, args[0].d, false)));
    return v_set(d);
}

BUILTIN_VALUE(set_copy, v_set(dict_copy(r->vm, args[0].d)))

/* Whether all of the items are in a set, or none of them. */
static struct value all_are(struct render *r, const struct dict *d, struct value items, bool in)
{
    struct iter *it = iter_of(r->vm, items);
    struct value v;

    while (iter_next(r->vm, it, &v))
        if ((dict_get(r->vm, d, v) != NULL) != in)
            return v_bool(false);
    return v_bool(true);
}

BUILTIN_VALUE(set_isdisjoint, all_are(r, args[0].d, args[1], false))
BUILTIN_VALUE(set_issuperset, all_are(r, args[0].d, args[1], true))

BUILTIN(set_issubset)
{
    const struct dict *other = members_of(r->vm, args[1]);

    return v_bool(chosen(r->vm, args[0].d, other, false)->len == 0);
}

static const struct builtin METHODS[] = {
    {"union", "*", set_union},
    {"intersection", "*", set_intersection},
    {"difference", "*", set_difference},
    {"intersection_update", "*", set_intersect},
    {"symmetric_difference", "/other", set_either},
    {"copy", "/", set_copy},
    {"isdisjoint", "/other", set_isdisjoint},
    {"issubset", "/other", set_issubset},
    {"issuperset", "/other", set_issuperset},
};
const struct functions SET_METHODS = {METHODS, sizeof METHODS / sizeof *METHODS};
