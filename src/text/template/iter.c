/*
 * iter: see the header.
 */
#include "text/template/iter.h"

#include <string.h>

struct iter *iter_new(struct vm *vm, const char *type,
                      bool (*next)(struct vm *, struct iter *, struct value *), struct value source)
{
    struct iter *it = VM_NEW(vm, struct iter);

    *it = (struct iter){.next = next, .type = type, .source = source};
    return it;
}

struct value v_iter(struct iter *it)
{
    return (struct value){.type = V_ITER, .it = it};
}

bool iter_next(struct vm *vm, struct iter *it, struct value *out)
{
    vm_step(vm, 1);
    it->started = true;
    if (it->done)
        return false;
    vm_enter(vm); /* one may ask another for its items, and that one another */
    it->done = !it->next(vm, it, out);
    vm_leave(vm);
    return !it->done;
}

/* ------------------------------------------------------------------ of each type */

/* The place of the next of n things. */
static size_t next_place(struct iter *it, size_t n)
{
    size_t at = it->pos++;

    return it->backwards ? n - 1 - at : at;
}

static bool next_item(struct vm *vm, struct iter *it, struct value *out)
{
    const struct list *l = it->source.l;

    (void)vm;
    if (it->pos >= l->len)
        return false;
    *out = l->items[next_place(it, l->len)];
    return true;
}

static bool next_char(struct vm *vm, struct iter *it, struct value *out)
{
    const struct text *s = it->source.s;
    size_t at = it->backwards ? s->len - it->pos : it->pos;
    size_t end = at;

    if (it->pos >= s->len)
        return false;
    if (it->backwards)
        at = utf8_back(s->data, end);
    else
        utf8_step(s->data, &end);
    it->pos += end - at;
    *out = v_str(text_wrap_counted(vm, s->data + at, end - at, 1));
    return true;
}

static bool next_number(struct vm *vm, struct iter *it, struct value *out)
{
    const struct range *r = it->source.r;

    (void)vm;
    if ((int64_t)it->pos >= r->len)
        return false;
    *out = v_int(r->start + (int64_t)next_place(it, (size_t)r->len) * r->step);
    return true;
}

/* A block can be set in a dict, and a set can lose items: nothing else changes one. */
void check_size(struct vm *vm, const struct iter *it, const struct dict *d)
{
    if (it->size != d->len)
        vm_throw(vm, E_RUNTIME, "dictionary changed size during iteration");
}

static bool next_entry(struct vm *vm, struct iter *it, struct value *out)
{
    const struct view *view = it->source.view;

    check_size(vm, it, view->d);
    if (it->pos >= view->d->len)
        return false;
    *out = view_item(vm, view->kind, &view->d->entries[next_place(it, view->d->len)]);
    return true;
}

static bool nothing(struct vm *vm, struct iter *it, struct value *out)
{
    (void)vm;
    (void)it;
    (void)out;
    return false;
}

static bool next_turn(struct vm *vm, struct iter *it, struct value *out)
{
    struct value item;

    if (!loop_next(vm, it->source.loop, &item))
        return false;
    *out = tuple2(vm, item, it->source);
    return true;
}

static struct iter *entries(struct vm *vm, const char *type,
                            bool (*next)(struct vm *, struct iter *, struct value *),
                            struct value view)
{
    struct iter *it = iter_new(vm, type, next, view);

    it->size = view.view->d->len;
    return it;
}

struct iter *iter_try(struct vm *vm, struct value v)
{
    static const char *const VIEWS[] = {"dict_keyiterator", "dict_valueiterator",
                                        "dict_itemiterator"};

    switch (v.type) {
    case V_ITER:
        return v.it;
    case V_LIST:
        return iter_new(vm, "list_iterator", next_item, v);
    case V_TUPLE:
        return iter_new(vm, "tuple_iterator", next_item, v);
    case V_STR:
        return iter_new(vm, "str_iterator", next_char, v);
    case V_RANGE:
        return iter_new(vm, "range_iterator", next_number, v);
    case V_DICT:
        return entries(vm, VIEWS[VIEW_KEYS], next_entry, view_new(vm, VIEW_KEYS, v.d));
    case V_VIEW:
        return entries(vm, VIEWS[v.view->kind], next_entry, v);
    case V_SET:
        return entries(vm, "set_iterator", next_entry, view_new(vm, VIEW_KEYS, v.d));
    case V_UNDEFINED:
        return iter_new(vm, "generator", nothing, v);
    case V_LOOP:
        return iter_new(vm, "LoopContext", next_turn, v);
    default:
        return NULL;
    }
}

struct iter *iter_of(struct vm *vm, struct value v)
{
    struct iter *it = iter_try(vm, v);

    if (!it)
        vm_throw(vm, E_TYPE, "'%s' object is not iterable", type_name(v));
    return it;
}

static struct iter *reversed(struct iter *it)
{
    it->backwards = true;
    return it;
}

struct iter *iter_reversed(struct vm *vm, struct value v)
{
    static const char *const VIEWS[] = {"dict_reversekeyiterator", "dict_reversevalueiterator",
                                        "dict_reverseitemiterator"};

    switch (v.type) {
    case V_LIST:
        return reversed(iter_new(vm, "list_reverseiterator", next_item, v));
    case V_TUPLE:
        return reversed(iter_new(vm, "reversed", next_item, v));
    case V_STR:
        return reversed(iter_new(vm, "reversed", next_char, v));
    case V_RANGE:
        return reversed(iter_new(vm, "range_iterator", next_number, v));
    case V_DICT:
        return reversed(entries(vm, VIEWS[VIEW_KEYS], next_entry, view_new(vm, VIEW_KEYS, v.d)));
    case V_VIEW:
        return reversed(entries(vm, VIEWS[v.view->kind], next_entry, v));
    case V_UNDEFINED: /* reversed() goes by its len() and items */
        return reversed(iter_new(vm, "reversed", nothing, v));
    default:
        return NULL;
    }
}

struct list *list_of(struct vm *vm, struct value v)
{
    struct iter *it = iter_of(vm, v);
    struct list *l = list_new(vm, 0);
    struct value item;

    while (iter_next(vm, it, &item))
        list_add(vm, l, item);
    return l;
}

/* ------------------------------------------------------------------ loops */

int64_t loop_length(struct vm *vm, struct loop *loop)
{
    int64_t n;

    if (loop->length >= 0)
        return loop->length;
    n = value_size(loop->iterable);
    if (n < 0) {
        struct list *rest = list_of(vm, v_iter(loop->it));

        loop->it = iter_of(vm, v_list(rest));
        n = (int64_t)rest->len + loop->index0 + 1 + (loop->after.type != V_MISSING);
    }
    loop->length = n;
    return n;
}

bool loop_peek(struct vm *vm, struct loop *loop)
{
    struct value item; /* where there is none, an iterator may have left one that did not count */

    if (loop->after.type != V_MISSING)
        return true;
    if (!iter_next(vm, loop->it, &item))
        return false;
    loop->after = item;
    return true;
}

bool loop_next(struct vm *vm, struct loop *loop, struct value *out)
{
    if (loop->after.type != V_MISSING) {
        *out = loop->after;
        loop->after = v_of(V_MISSING);
    } else if (!iter_next(vm, loop->it, out)) {
        return false;
    }
    loop->index0++;
    loop->before = loop->current;
    loop->current = *out;
    return true;
}
