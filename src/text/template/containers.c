/*
 * containers: lists and dicts, their views, and equality, which goes into them as they need it of their
 * keys. See value.h.
 */
#include "text/template/value.h"

#include <math.h>
#include <string.h>

#define SMALL_DICT 8

struct list *list_new(struct vm *vm, size_t cap)
{
    struct list *l = VM_NEW(vm, struct list);

    *l = (struct list){.items = NULL, .len = 0, .cap = cap, .group = false};
    if (cap)
        l->items = VM_ARRAY(vm, struct value, cap);
    return l;
}

void list_add(struct vm *vm, struct list *l, struct value v)
{
    if (l->len == l->cap)
        VM_GROW(vm, l->items, l->len, l->cap, 4);
    l->items[l->len++] = v;
    vm_step(vm, 1);
}

struct value tuple2(struct vm *vm, struct value a, struct value b)
{
    struct list *l = list_new(vm, 2);

    list_add(vm, l, a);
    list_add(vm, l, b);
    return v_tuple(l);
}

/* ------------------------------------------------------------------ hashes */

bool value_hashable(struct vm *vm, struct value v)
{
    bool ok = true;

    switch (v.type) {
    case V_LIST:
    case V_DICT:
    case V_SET:
    case V_SLICE:
        return false;
    case V_VIEW:
        return v.view->kind == VIEW_VALUES;
    case V_TUPLE:
        vm_enter(vm);
        vm_step(vm, v.l->len);
        for (size_t i = 0; ok && i < v.l->len; i++)
            ok = value_hashable(vm, v.l->items[i]);
        vm_leave(vm);
        return ok;
    default:
        return true;
    }
}

static uint32_t mix(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdULL;
    x ^= x >> 33;
    return (uint32_t)x;
}

static uint32_t hash_double(double f)
{
    uint64_t bits;

    /* A float that equals an integer hashes as the integer does. */
    if (f >= -9.2e18 && f <= 9.2e18 && f == floor(f))
        return mix((uint64_t)(int64_t)f);
    memcpy(&bits, &f, sizeof bits);
    return mix(bits);
}

static uint32_t value_hash(struct vm *vm, struct value v)
{
    uint32_t h = 17;

    switch (v.type) {
    case V_STR:
        return text_hash(v.s);
    case V_BOOL:
        return mix(v.b);
    case V_INT:
        return mix((uint64_t)v.i);
    case V_FLOAT:
        return hash_double(v.f);
    case V_TUPLE:
        vm_enter(vm);
        vm_step(vm, v.l->len);
        for (size_t i = 0; i < v.l->len; i++)
            h = h * 31 + value_hash(vm, v.l->items[i]);
        vm_leave(vm);
        return h;
    case V_NONE:
    case V_UNDEFINED:
    case V_RANGE:
        return (uint32_t)v.type;
    default:
        return mix((uint64_t)(uintptr_t)v.p);
    }
}

/* ------------------------------------------------------------------ dicts */

struct dict *dict_new(struct vm *vm)
{
    struct dict *d = VM_NEW(vm, struct dict);

    *d = (struct dict){.entries = NULL};
    return d;
}

struct dict *dict_copy(struct vm *vm, const struct dict *d)
{
    struct dict *copy = dict_new(vm);

    for (size_t i = 0; i < d->len; i++)
        dict_set(vm, copy, d->entries[i].key, d->entries[i].value);
    return copy;
}

static bool key_equal(struct vm *vm, const struct entry *e, uint32_t hash, struct value key)
{
    if (e->hash != hash)
        return false;
    if (e->key.type == V_STR && key.type == V_STR)
        return text_equal(e->key.s, key.s);
    return value_same(e->key, key) || value_equal(vm, e->key, key);
}

static struct entry *find(struct vm *vm, const struct dict *d, struct value key, uint32_t hash)
{
    if (!d->index) {
        for (size_t i = 0; i < d->len; i++)
            if (key_equal(vm, &d->entries[i], hash, key))
                return &d->entries[i];
        return NULL;
    }
    for (size_t at = hash & (d->n_index - 1); d->index[at]; at = (at + 1) & (d->n_index - 1))
        if (key_equal(vm, &d->entries[d->index[at] - 1], hash, key))
            return &d->entries[d->index[at] - 1];
    return NULL;
}

static void index_add(struct dict *d, size_t i)
{
    size_t at = d->entries[i].hash & (d->n_index - 1);

    while (d->index[at])
        at = (at + 1) & (d->n_index - 1);
    d->index[at] = (uint32_t)i + 1;
}

static void reindex(struct vm *vm, struct dict *d)
{
    d->n_index = d->cap * 2;
    d->index = VM_ARRAY(vm, uint32_t, d->n_index);
    memset(d->index, 0, d->n_index * sizeof *d->index);
    for (size_t i = 0; i < d->len; i++)
        index_add(d, i);
}

static void grow(struct vm *vm, struct dict *d)
{
    if (d->cap > UINT32_MAX / 8)
        vm_throw(vm, E_LIMIT, "a dict is too large");
    VM_GROW(vm, d->entries, d->len, d->cap, 4);
    if (d->cap > SMALL_DICT)
        reindex(vm, d);
}

void dict_set(struct vm *vm, struct dict *d, struct value key, struct value v)
{
    uint32_t hash;
    struct entry *old;

    if (!value_hashable(vm, key))
        vm_throw(vm, E_TYPE, "unhashable type: '%s'", type_name(key));
    hash = value_hash(vm, key);
    old = find(vm, d, key, hash);
    vm_step(vm, 1);
    if (old) {
        old->value = v;
        return;
    }
    if (d->len == d->cap)
        grow(vm, d);
    d->entries[d->len++] = (struct entry){.key = key, .value = v, .hash = hash};
    if (d->index)
        index_add(d, d->len - 1);
}

struct value *dict_get(struct vm *vm, const struct dict *d, struct value key)
{
    struct entry *e;

    if (!value_hashable(vm, key))
        vm_throw(vm, E_TYPE, "unhashable type: '%s'", type_name(key));
    vm_step(vm, 1);
    e = find(vm, d, key, value_hash(vm, key));
    return e ? &e->value : NULL;
}

struct value *dict_get_text(const struct dict *d, struct text *key)
{
    uint32_t hash = text_hash(key);

    if (!d->index) {
        for (size_t i = 0; i < d->len; i++) {
            const struct entry *e = &d->entries[i];

            if (e->hash == hash && e->key.type == V_STR && text_equal(e->key.s, key))
                return &d->entries[i].value;
        }
        return NULL;
    }
    for (size_t at = hash & (d->n_index - 1); d->index[at]; at = (at + 1) & (d->n_index - 1)) {
        struct entry *e = &d->entries[d->index[at] - 1];

        if (e->hash == hash && e->key.type == V_STR && text_equal(e->key.s, key))
            return &e->value;
    }
    return NULL;
}

/* ------------------------------------------------------------------ views */

struct value view_new(struct vm *vm, enum view_kind kind, struct dict *d)
{
    struct view *view = VM_NEW(vm, struct view);

    *view = (struct view){.kind = kind, .d = d};
    return (struct value){.type = V_VIEW, .view = view};
}

struct value view_item(struct vm *vm, enum view_kind kind, const struct entry *e)
{
    if (kind == VIEW_KEYS)
        return e->key;
    return kind == VIEW_VALUES ? e->value : tuple2(vm, e->key, e->value);
}

static bool item_in(struct vm *vm, const struct view *view, struct value v)
{
    const struct value *found;

    if (v.type != V_TUPLE || v.l->len != 2)
        return false;
    found = dict_get(vm, view->d, v.l->items[0]);
    return found && (value_same(*found, v.l->items[1]) || value_equal(vm, *found, v.l->items[1]));
}

static bool view_contains(struct vm *vm, const struct view *view, struct value v)
{
    return view->kind == VIEW_KEYS ? dict_get(vm, view->d, v) != NULL : item_in(vm, view, v);
}

/* ------------------------------------------------------------------ equality */

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
        return int_equals_double(number_integer(b), a.f);
    if (b.type == V_FLOAT)
        return int_equals_double(number_integer(a), b.f);
    return number_integer(a) == number_integer(b);
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

bool is_set_like(struct value v)
{
    return v.type == V_SET || (v.type == V_VIEW && v.view->kind != VIEW_VALUES);
}

bool set_like_contains(struct vm *vm, struct value set, struct value v)
{
    if (set.type == V_VIEW)
        return view_contains(vm, set.view, v);
    return v.type != V_SET && dict_get(vm, set.d, v) != NULL;
}

static bool sets_equal(struct vm *vm, struct value a, struct value b)
{
    struct value all = a.type == V_VIEW ? a : b;
    struct value among = a.type == V_VIEW ? b : a;
    enum view_kind kind = all.type == V_VIEW ? all.view->kind : VIEW_KEYS;
    const struct dict *d = all.type == V_VIEW ? all.view->d : all.d;

    if (value_size(a) != value_size(b))
        return false;
    for (size_t i = 0; i < d->len; i++) {
        vm_step(vm, 1);
        if (!set_like_contains(vm, among, view_item(vm, kind, &d->entries[i])))
            return false;
    }
    return true;
}

bool value_equal(struct vm *vm, struct value a, struct value b)
{
    bool equal = false;

    vm_step(vm, 1);
    if (is_number(a) && is_number(b))
        return numbers_equal(a, b);
    if (is_set_like(a) && is_set_like(b))
        return sets_equal(vm, a, b);
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
    case V_METHOD:
        equal = a.method->fn == b.method->fn && value_same(a.method->self, b.method->self);
        break;
    default:
        equal = value_same(a, b);
    }
    vm_leave(vm);
    return equal;
}
