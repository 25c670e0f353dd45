/*
 * filters_sequence: filters that go through a sequence. What jinja2 does lazily is lazy here.
 */
#include "text/template/functions.h"
#include "text/template/iter.h"
#include "text/template/unicode.h"

#include <string.h>

/* ------------------------------------------------------------------ attributes */

/* "a.b.0": what attribute filters look up. */
struct path {
    struct value *parts;
    size_t n;
};

static bool all_digits(const struct text *s)
{
    size_t at = 0;

    while (at < s->len)
        if (!(unicode_flags(utf8_step(s->data, &at)) & U_DIGIT))
            return false;
    return s->len > 0;
}

static struct value path_part(struct render *r, struct text *part)
{
    int64_t i;

    if (!all_digits(part))
        return v_str(part);
    if (!text_to_int(r->vm, part, 10, &i))
        vm_throw(r->vm, E_VALUE, "invalid literal for int() with base 10: %s",
                 repr_chars(r->vm, v_str(part)));
    return v_int(i);
}

static struct path path_of(struct render *r, struct value attribute)
{
    struct path path = {.parts = NULL, .n = 0};
    const struct list *parts;

    if (attribute.type == V_MISSING || attribute.type == V_NONE)
        return path;
    if (attribute.type != V_STR) {
        path.parts = VM_ARRAY(r->vm, struct value, 1);
        path.parts[0] = attribute;
        path.n = 1;
        return path;
    }
    parts = text_split(r->vm, attribute.s, text_of(r->vm, "."), -1);
    path.parts = VM_ARRAY(r->vm, struct value, parts->len);
    for (; path.n < parts->len; path.n++)
        path.parts[path.n] = path_part(r, parts->items[path.n].s);
    return path;
}

/* fallback V_MISSING or V_NONE: none. */
static struct value path_get(struct render *r, const struct path *path, struct value item,
                             struct value fallback)
{
    for (size_t i = 0; i < path->n; i++) {
        item = get_item(r, item, path->parts[i]);
        if (item.type == V_UNDEFINED && fallback.type != V_MISSING && fallback.type != V_NONE)
            item = fallback;
    }
    return item;
}

static struct value ignore_case(struct render *r, struct value v)
{
    return v.type == V_STR ? v_str(text_in_case(r->vm, v.s, CASE_LOWER)) : v;
}

/* What a sorting filter goes by. */
struct key {
    struct path path;
    bool ignores_case;
    struct value fallback;
};

static struct key key_of(struct render *r, struct value attribute, bool case_sensitive)
{
    return (struct key){.path = path_of(r, attribute), .ignores_case = !case_sensitive};
}

static struct value key_get(struct render *r, const struct key *key, struct value item)
{
    struct value v = path_get(r, &key->path, item, key->fallback);

    return key->ignores_case ? ignore_case(r, v) : v;
}

/* ------------------------------------------------------------------ filters and tests by name */

static _Noreturn void unknown(struct render *r, const char *what, struct value name)
{
    const struct text *why;

    if (name.type != V_UNDEFINED)
        vm_throw(r->vm, E_RUNTIME, "No %s named %s.", what, repr_chars(r->vm, name));
    why = undefined_message(r->vm, name.u);
    vm_throw(r->vm, E_RUNTIME,
             "No %s named Undefined. (%.*s; did you forget to quote the callable name?)", what,
             (int)(why->len < 500 ? why->len : 500), why->data);
}

static struct value apply(struct render *r, const struct builtin *fn, struct value v,
                          const struct call *rest)
{
    struct call call = *rest;
    struct value out;

    call.args = VM_ARRAY(r->vm, struct value, rest->n + 1);
    call.args[0] = v;
    if (rest->n)
        memcpy(call.args + 1, rest->args, rest->n * sizeof *call.args);
    call.n = rest->n + 1;
    vm_enter(r->vm);
    out = call_builtin(r, fn, NULL, &call);
    vm_leave(r->vm);
    return out;
}

static void check_name(struct render *r, struct value name)
{
    if (!value_hashable(r->vm, name))
        vm_throw(r->vm, E_TYPE, "unhashable type: '%s'", type_name(name));
}

/* A filter or a test by name, for map, select and the like. */
static struct value call_filter_by_name(struct render *r, struct value name, struct value v,
                                        const struct call *rest)
{
    const struct builtin *fn = name.type == V_STR ? r->library->filter(name.s) : NULL;

    check_name(r, name);
    if (name.type == V_STR && r->library->refused(name.s))
        vm_throw(r->vm, E_RUNTIME, "the filter %s is not supported", repr_chars(r->vm, name));
    if (!fn)
        unknown(r, "filter", name);
    return apply(r, fn, v, rest);
}

static bool call_test_by_name(struct render *r, struct value name, struct value v,
                              const struct call *rest)
{
    const struct builtin *fn = name.type == V_STR ? r->library->test(name.s) : NULL;

    check_name(r, name);
    if (!fn)
        unknown(r, "test", name);
    return value_truth(r->vm, apply(r, fn, v, rest));
}

/* ------------------------------------------------------------------ map, select, reject */

/* A generator's state: what is made of each item when it is asked for. */
struct work {
    struct render *r;
    struct call call; /* as the filter got it, from its operand on */
    struct value name;
    struct call rest; /* of the inner filter's or test's call */
    struct key key;
    bool by_attribute;
    bool wanted; /* what a selecting test must say */
    bool ready;
    struct dict *seen;
    int64_t size;
    struct value line_count; /* of a batch, as it was given */
};

static struct value generator(struct render *r, const struct call *call, struct work *start,
                              bool (*next)(struct vm *, struct iter *, struct value *))
{
    struct work *w = VM_NEW(r->vm, struct work);
    struct iter *it;

    if (!call->n)
        vm_throw(r->vm, E_TYPE, "a filter is missing its value");
    *w = *start;
    w->r = r;
    w->call = *call;
    it = iter_new(r->vm, "generator", next, call->args[0]);
    it->state = w;
    return v_iter(it);
}

static struct value take_keyword(struct call *call, const char *name)
{
    for (size_t i = 0; i < call->n_kw; i++) {
        struct value v = call->kw[i].value;

        if (!text_is(call->kw[i].name, name))
            continue;
        call->kw[i] = call->kw[--call->n_kw];
        return v;
    }
    return v_of(V_MISSING);
}

static void own_keywords(struct render *r, struct call *call)
{
    struct keyword *copy = VM_ARRAY(r->vm, struct keyword, call->n_kw);

    if (call->n_kw)
        memcpy(copy, call->kw, call->n_kw * sizeof *copy);
    call->kw = copy;
}

static void prepare_map(struct work *w)
{
    struct render *r = w->r;
    struct value attribute = v_of(V_MISSING);

    own_keywords(r, &w->call);
    if (w->call.n == 1)
        attribute = take_keyword(&w->call, "attribute");
    if (attribute.type != V_MISSING) {
        w->by_attribute = true;
        w->key.fallback = take_keyword(&w->call, "default");
        if (w->call.n_kw)
            vm_throw(r->vm, E_TYPE, "Unexpected keyword argument %s",
                     repr_chars(r->vm, v_str(w->call.kw[0].name)));
        w->key.path = path_of(r, attribute);
        return;
    }
    if (w->call.n < 2)
        vm_throw(r->vm, E_TYPE, "map requires a filter argument");
    w->name = w->call.args[1];
    w->rest = (struct call){w->call.args + 2, w->call.n - 2, w->call.kw, w->call.n_kw};
}

/* The generator's first turn. false: an empty operand, and nothing is looked at. */
static bool begin(struct vm *vm, struct iter *it, void (*prepare)(struct work *))
{
    struct work *w = it->state;

    if (w->ready)
        return true;
    if (!value_truth(vm, it->source))
        return false;
    prepare(w);
    it->inner = iter_of(vm, it->source);
    w->ready = true;
    return true;
}

static bool next_mapped(struct vm *vm, struct iter *it, struct value *out)
{
    struct work *w = it->state;

    if (!begin(vm, it, prepare_map) || !iter_next(vm, it->inner, out))
        return false;
    *out = w->by_attribute ? path_get(w->r, &w->key.path, *out, w->key.fallback)
                           : call_filter_by_name(w->r, w->name, *out, &w->rest);
    return true;
}

BUILTIN(do_map)
{
    struct work w = {.ready = false};

    return generator(r, call, &w, next_mapped);
}

static void prepare_select(struct work *w)
{
    size_t off = w->by_attribute ? 2 : 1;

    if (w->by_attribute) {
        if (w->call.n < 2)
            vm_throw(w->r->vm, E_TYPE, "Missing parameter for attribute name");
        w->key.path = path_of(w->r, w->call.args[1]);
    }
    w->name = v_of(V_MISSING);
    if (w->call.n <= off)
        return;
    w->name = w->call.args[off];
    w->rest = (struct call){w->call.args + off + 1, w->call.n - off - 1, w->call.kw, w->call.n_kw};
}

static bool next_selected(struct vm *vm, struct iter *it, struct value *out)
{
    struct work *w = it->state;

    if (!begin(vm, it, prepare_select))
        return false;
    while (iter_next(vm, it->inner, out)) {
        struct value v = *out;
        bool passes;

        if (w->by_attribute)
            v = path_get(w->r, &w->key.path, v, v_of(V_MISSING));
        passes = w->name.type == V_MISSING ? value_truth(vm, v)
                                           : call_test_by_name(w->r, w->name, v, &w->rest);
        if (passes == w->wanted)
            return true;
    }
    return false;
}

static struct value select_items(struct render *r, const struct call *call, bool by_attribute,
                                 bool wanted)
{
    struct work w = {.by_attribute = by_attribute, .wanted = wanted};

    return generator(r, call, &w, next_selected);
}

BUILTIN_VALUE(do_select, select_items(r, call, false, true))
BUILTIN_VALUE(do_reject, select_items(r, call, false, false))
BUILTIN_VALUE(do_selectattr, select_items(r, call, true, true))
BUILTIN_VALUE(do_rejectattr, select_items(r, call, true, false))

/* ------------------------------------------------------------------ other generators */

/* A generator over one operand, whose arguments were bound already. */
static struct value plain_generator(struct render *r, struct value source, struct work *start,
                                    bool (*next)(struct vm *, struct iter *, struct value *))
{
    struct call call = {.args = &source, .n = 1};

    return generator(r, &call, start, next);
}

static struct iter *inner_of(struct vm *vm, struct iter *it)
{
    if (!it->inner)
        it->inner = iter_of(vm, it->source);
    return it->inner;
}

static bool next_unique(struct vm *vm, struct iter *it, struct value *out)
{
    struct work *w = it->state;

    while (iter_next(vm, inner_of(vm, it), out)) {
        struct value key = key_get(w->r, &w->key, *out);

        if (dict_get(vm, w->seen, key))
            continue;
        dict_set(vm, w->seen, key, v_none());
        return true;
    }
    return false;
}

BUILTIN(do_unique)
{
    struct work w = {.seen = dict_new(r->vm)};

    w.key = key_of(r, args[2], arg_truth(r, args[1], false));
    return plain_generator(r, args[0], &w, next_unique);
}

static bool next_pair(struct vm *vm, struct iter *it, struct value *out)
{
    if (it->source.type == V_UNDEFINED)
        return false;
    if (it->source.type != V_DICT)
        vm_throw(vm, E_TYPE, "Can only get item pairs from a mapping.");
    if (it->pos == 0)
        it->size = it->source.d->len;
    check_size(vm, it, it->source.d);
    if (it->pos >= it->source.d->len)
        return false;
    *out = tuple2(vm, it->source.d->entries[it->pos].key, it->source.d->entries[it->pos].value);
    it->pos++;
    return true;
}

BUILTIN_VALUE(do_items, v_iter(iter_new(r->vm, "generator", next_pair, args[0])))

static bool next_batch(struct vm *vm, struct iter *it, struct value *out)
{
    struct work *w = it->state;
    struct list *l = list_new(vm, 0);
    struct value item;

    /* An item that comes when the batch is full (or its size is never met) is kept. */
    if (w->ready)
        list_add(vm, l, w->name);
    w->ready = false;
    while (iter_next(vm, inner_of(vm, it), &item)) {
        if ((int64_t)l->len == w->size) {
            w->name = item;
            w->ready = true;
            *out = v_list(l);
            return true;
        }
        list_add(vm, l, item);
    }
    if (!l->len)
        return false;
    if (w->key.fallback.type != V_NONE &&
        value_compare(vm, "<", v_int((int64_t)l->len), w->line_count))
        for (int64_t lacks = value_index(vm, w->line_count) - (int64_t)l->len; lacks > 0; lacks--)
            list_add(vm, l, w->key.fallback);
    *out = v_list(l);
    return true;
}

BUILTIN(do_batch)
{
    struct work w = {.line_count = args[1]};

    /* Compared with a length only: what is no number is never equal. */
    w.size = is_integer(args[1]) ? value_index(r->vm, args[1])
             : args[1].type == V_FLOAT && args[1].f == (double)(int64_t)args[1].f
                 ? (int64_t)args[1].f
                 : -1;
    w.key.fallback = arg_or(args[2], v_none());
    return plain_generator(r, args[0], &w, next_batch);
}

static bool next_slice(struct vm *vm, struct iter *it, struct value *out)
{
    struct work *w = it->state;
    int64_t at = (int64_t)it->pos++;
    struct list *l;
    int64_t per;
    int64_t extra;
    int64_t start;
    int64_t end;

    if (at == 0) {
        it->source = v_list(list_of(vm, it->source));
        if (w->size == 0)
            vm_throw(vm, E_VALUE, "integer division or modulo by zero");
    }
    if (at >= w->size)
        return false;
    per = (int64_t)it->source.l->len / w->size;
    extra = (int64_t)it->source.l->len % w->size;
    start = at * per + (at < extra ? at : extra);
    end = start + per + (at < extra);
    l = list_new(vm, (size_t)(end - start) + 1);
    for (int64_t i = start; i < end; i++)
        list_add(vm, l, it->source.l->items[i]);
    if (w->key.fallback.type != V_NONE && at >= extra)
        list_add(vm, l, w->key.fallback);
    *out = v_list(l);
    return true;
}

BUILTIN(do_slice)
{
    struct work w = {.size = arg_int(r, args[1], 0)};

    w.key.fallback = arg_or(args[2], v_none());
    return plain_generator(r, args[0], &w, next_slice);
}

/* ------------------------------------------------------------------ first, last, list, reverse */

BUILTIN(do_first)
{
    struct value v;

    if (iter_next(r->vm, iter_of(r->vm, args[0]), &v))
        return v;
    return undefined_new(r->vm, "No first item, sequence was empty.");
}

BUILTIN(do_last)
{
    struct iter *it = iter_reversed(r->vm, args[0]);
    struct value v;

    if (!it)
        vm_throw(r->vm, E_TYPE, "'%s' object is not reversible", type_name(args[0]));
    if (iter_next(r->vm, it, &v))
        return v;
    return undefined_new(r->vm, "No last item, sequence was empty.");
}

BUILTIN_VALUE(do_list, v_list(list_of(r->vm, args[0])))

BUILTIN(do_reverse)
{
    static const struct slice BACKWARDS = {
        {.type = V_NONE}, {.type = V_NONE}, {.type = V_INT, .i = -1}};
    struct iter *it;
    struct list *l;

    if (args[0].type == V_STR)
        return get_slice(r, args[0], &BACKWARDS);
    it = iter_reversed(r->vm, args[0]);
    if (it)
        return v_iter(it);
    if (!iter_try(r->vm, args[0]))
        vm_throw(r->vm, E_TYPE, "argument must be iterable");
    l = list_of(r->vm, args[0]);
    return get_slice(r, v_list(l), &BACKWARDS);
}

/* ------------------------------------------------------------------ join, sum, min, max */

static struct value mapped(struct render *r, struct value items, struct value attribute)
{
    struct path path;
    struct list *l;

    if (attribute.type == V_MISSING || attribute.type == V_NONE)
        return items;
    path = path_of(r, attribute);
    l = list_of(r->vm, items);
    for (size_t i = 0; i < l->len; i++)
        l->items[i] = path_get(r, &path, l->items[i], v_of(V_MISSING));
    return v_list(l);
}

BUILTIN(do_join)
{
    struct value sep = arg_or(args[1], v_str(text_of(r->vm, "")));
    struct iter *it = iter_of(r->vm, mapped(r, args[0], args[2]));
    struct list *parts = list_new(r->vm, 0);
    bool safe = r->autoescape && sep.type == V_STR && sep.s->safe;
    struct value item;

    while (iter_next(r->vm, it, &item)) {
        safe = safe || (r->autoescape && item.type == V_STR && item.s->safe);
        list_add(r->vm, parts, v_str(value_str(r->vm, item)));
    }
    if (!safe)
        for (size_t i = 0; i < parts->len; i++)
            parts->items[i] = v_str(text_marked(r->vm, parts->items[i].s, false));
    return v_str(text_join(
        r->vm, safe ? text_escape(r->vm, sep) : text_marked(r->vm, value_str(r->vm, sep), false),
        v_list(parts)));
}

BUILTIN(do_sum)
{
    struct value sum = arg_or(args[2], v_int(0));
    struct iter *it = iter_of(r->vm, mapped(r, args[0], args[1]));
    struct value item;

    if (sum.type == V_STR)
        vm_throw(r->vm, E_TYPE, "sum() can't sum strings [use ''.join(seq) instead]");
    while (iter_next(r->vm, it, &item))
        sum = op_add(r->vm, sum, item);
    return sum;
}

static struct value extreme(struct render *r, struct value *args, const char *op)
{
    struct key key = key_of(r, args[2], arg_truth(r, args[1], false));
    struct iter *it = iter_of(r->vm, args[0]);
    struct value best;
    struct value best_key;
    struct value item;

    if (!iter_next(r->vm, it, &best))
        return undefined_new(r->vm, "No aggregated item, sequence was empty.");
    best_key = key_get(r, &key, best);
    while (iter_next(r->vm, it, &item)) {
        struct value item_key = key_get(r, &key, item);

        if (value_compare(r->vm, op, item_key, best_key)) {
            best = item;
            best_key = item_key;
        }
    }
    return best;
}

BUILTIN_VALUE(do_min, extreme(r, args, "<"))
BUILTIN_VALUE(do_max, extreme(r, args, ">"))

/* ------------------------------------------------------------------ sorting */

/* "a,b": a list of each one's value. */
static struct value multi_key(struct render *r, const struct key *keys, size_t n, struct value item)
{
    struct list *l = list_new(r->vm, n);

    for (size_t i = 0; i < n; i++)
        list_add(r->vm, l, key_get(r, &keys[i], item));
    return v_list(l);
}

BUILTIN(do_sort)
{
    bool case_sensitive = arg_truth(r, args[2], false);
    struct list *attributes = list_new(r->vm, 1);
    struct list *items = list_of(r->vm, args[0]);
    struct list *keys = list_new(r->vm, items->len);
    struct key *parts;

    if (args[3].type == V_STR)
        attributes = text_split(r->vm, args[3].s, text_of(r->vm, ","), -1);
    else
        list_add(r->vm, attributes, args[3]);
    parts = VM_ARRAY(r->vm, struct key, attributes->len);
    for (size_t i = 0; i < attributes->len; i++)
        parts[i] = key_of(r, attributes->items[i], case_sensitive);
    for (size_t i = 0; i < items->len; i++)
        list_add(r->vm, keys, multi_key(r, parts, attributes->len, items->items[i]));
    return v_list(list_sorted(r->vm, items, keys, arg_int(r, args[1], 0) != 0));
}

BUILTIN(do_dictsort)
{
    bool case_sensitive = arg_truth(r, args[1], false);
    struct list *items = list_new(r->vm, 0);
    struct list *keys = list_new(r->vm, 0);
    bool by_value;

    by_value = args[2].type == V_STR && text_is(args[2].s, "value");
    if (!by_value && args[2].type != V_MISSING &&
        !(args[2].type == V_STR && text_is(args[2].s, "key")))
        vm_throw(r->vm, E_TYPE, "You can only sort by either \"key\" or \"value\"");
    check_defined(r->vm, args[0]);
    if (args[0].type != V_DICT)
        vm_throw(r->vm, E_TYPE, "'%s' object has no attribute 'items'", type_name(args[0]));
    for (size_t i = 0; i < args[0].d->len; i++) {
        struct value key = args[0].d->entries[i].key;
        struct value v = args[0].d->entries[i].value;
        struct value by = by_value ? v : key;

        list_add(r->vm, items, tuple2(r->vm, key, v));
        list_add(r->vm, keys, case_sensitive ? by : ignore_case(r, by));
    }
    return v_list(list_sorted(r->vm, items, keys, arg_int(r, args[3], 0) != 0));
}

static struct value group_tuple(struct render *r, struct value grouper, struct list *items)
{
    struct value v = tuple2(r->vm, grouper, v_list(items));

    v.l->group = true;
    return v;
}

BUILTIN(do_groupby)
{
    bool case_sensitive = arg_truth(r, args[3], false);
    struct key key = key_of(r, args[1], case_sensitive);
    struct list *groups = list_new(r->vm, 0);
    struct list *keys = list_new(r->vm, 0);
    struct list *items = list_of(r->vm, args[0]);

    key.fallback = args[2];
    for (size_t i = 0; i < items->len; i++)
        list_add(r->vm, keys, key_get(r, &key, items->items[i]));
    items = list_sorted(r->vm, items, keys, false);
    for (size_t i = 0; i < items->len;) {
        struct value k = key_get(r, &key, items->items[i]);
        struct list *group = list_new(r->vm, 0);

        do
            list_add(r->vm, group, items->items[i++]);
        while (i < items->len && value_equal(r->vm, k, key_get(r, &key, items->items[i])));
        if (!case_sensitive)
            k = path_get(r, &key.path, group->items[0], key.fallback);
        list_add(r->vm, groups, group_tuple(r, k, group));
    }
    return v_list(groups);
}

static const struct builtin ITEMS[] = {
    {"batch", "value,linecount|fill_with", do_batch},
    {"dictsort", "value|case_sensitive,by,reverse", do_dictsort},
    {"first", "seq", do_first},
    {"groupby", "value,attribute|default,case_sensitive", do_groupby},
    {"items", "value", do_items},
    {"join", "value|d,attribute", do_join},
    {"last", "seq", do_last},
    {"list", "value", do_list},
    {"map", "*", do_map},
    {"max", "value|case_sensitive,attribute", do_max},
    {"min", "value|case_sensitive,attribute", do_min},
    {"reject", "*", do_reject},
    {"rejectattr", "*", do_rejectattr},
    {"reverse", "value", do_reverse},
    {"select", "*", do_select},
    {"selectattr", "*", do_selectattr},
    {"slice", "value,slices|fill_with", do_slice},
    {"sort", "value|reverse,case_sensitive,attribute", do_sort},
    {"sum", "iterable|attribute,start", do_sum},
    {"unique", "value|case_sensitive,attribute", do_unique},
};
const struct functions SEQUENCE_FILTERS = {ITEMS, sizeof ITEMS / sizeof *ITEMS};
