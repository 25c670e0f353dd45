/*
 * containers: lists and dicts. See value.h.
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
    if (l->len == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 4;
        struct value *items = VM_ARRAY(vm, struct value, cap);

        if (l->len)
            memcpy(items, l->items, l->len * sizeof *items);
        l->items = items;
        l->cap = cap;
    }
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
    case V_SLICE:
        return false;
    case V_VIEW:
        return v.view->kind == VIEW_VALUES;
    case V_TUPLE:
        vm_enter(vm);
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

uint32_t value_hash(struct vm *vm, struct value v)
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

    *d = (struct dict){.entries = NULL, .len = 0, .cap = 0, .index = NULL, .n_index = 0};
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
    size_t cap = d->cap ? d->cap * 2 : 4;
    struct entry *entries;

    if (cap > UINT32_MAX / 4)
        vm_throw(vm, E_LIMIT, "a dict is too large");
    entries = VM_ARRAY(vm, struct entry, cap);
    if (d->len)
        memcpy(entries, d->entries, d->len * sizeof *entries);
    d->entries = entries;
    d->cap = cap;
    if (cap > SMALL_DICT)
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
