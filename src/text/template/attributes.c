/*
 * attributes: what `x.name` and `x[key]` give: the sandboxed environment's getattr and getitem.
 */
#include "text/template/attribute_names.h"
#include "text/template/functions.h"
#include "text/template/iter.h"

#include <string.h>

/* ------------------------------------------------------------------ the sandbox */

/* A type as attribute_names.h has it. */
static const char *refusing_type(struct vm *vm, struct value v)
{
    if (v.type == V_METHOD)
        return method_type(v.method);
    if (v.type == V_ITER)
        return v.it->type;
    if (v.type == V_TUPLE && v.l->group)
        return "_GroupTuple";
    return class_name(v) ? text_printf(vm, "class %s", v.fn->name)->data : type_name(v);
}

static size_t refusing_index(const char *type)
{
    for (size_t i = 0; i < N_REFUSING_TYPES; i++)
        if (strcmp(REFUSING_TYPES[i], type) == 0)
            return i;
    return 1; /* None's: what every object has */
}

static int order_of(const struct text *name, const char *other)
{
    size_t n = strlen(other);
    int c = memcmp(name->data, other, name->len < n ? name->len : n);

    return c ? c : (name->len > n) - (name->len < n);
}

static const struct refused_attribute *find_refused(const struct text *name)
{
    size_t low = 0;
    size_t high = N_REFUSED_ATTRIBUTES;

    while (low < high) {
        size_t at = (low + high) / 2;
        int c = order_of(name, REFUSED_ATTRIBUTES[at].name);

        if (c == 0)
            return &REFUSED_ATTRIBUTES[at];
        if (c < 0)
            high = at;
        else
            low = at + 1;
    }
    return NULL;
}

/* Python has it, and the sandbox refuses it. */
static bool is_refused(struct vm *vm, struct value v, const struct text *name)
{
    const struct refused_attribute *found;

    if ((!name->len || name->data[0] != '_') && v.type != V_LIST && v.type != V_DICT &&
        v.type != V_SET && v.type != V_ITER && v.type != V_BUILTIN)
        return false;
    found = find_refused(name);
    return found && (found->types >> refusing_index(refusing_type(vm, v)) & 1);
}

bool is_mutator_name(const struct text *name)
{
    return find_refused(name) != NULL;
}

static struct value unsafe_attribute(struct render *r, struct value object, const struct text *name)
{
    struct undefined *u = VM_NEW(r->vm, struct undefined);

    memset(u, 0, sizeof *u);
    u->hint = text_printf(r->vm, "access to attribute %s of '%s' object is unsafe.",
                          repr_chars(r->vm, v_str(name)), type_name(object));
    u->security = true;
    return (struct value){.type = V_UNDEFINED, .u = u};
}

/* ------------------------------------------------------------------ attributes of types */

static struct value macro_attribute(struct render *r, const struct macro *m,
                                    const struct text *name)
{
    if (text_is(name, "name"))
        return m->info->name ? v_str(m->info->name) : v_none();
    if (text_is(name, "catch_kwargs"))
        return v_bool(m->info->takes_kwargs);
    if (text_is(name, "catch_varargs"))
        return v_bool(m->info->takes_varargs);
    if (text_is(name, "caller"))
        return v_bool(m->info->takes_caller);
    if (text_is(name, "explicit_caller"))
        return v_bool(m->info->explicit_caller);
    if (text_is(name, "arguments")) {
        struct list *names = list_new(r->vm, m->info->n);

        for (size_t i = 0; i < m->info->n; i++)
            list_add(r->vm, names, v_str(m->info->names[i]));
        return v_tuple(names);
    }
    return v_of(V_MISSING);
}

static struct value number_attribute(struct value v, const struct text *name)
{
    struct value number = v.type == V_BOOL ? v_int(v.b) : v;

    if (text_is(name, "real"))
        return number;
    if (text_is(name, "imag"))
        return v.type == V_FLOAT ? v_float(0) : v_int(0);
    if (v.type != V_FLOAT && text_is(name, "numerator"))
        return number;
    if (v.type != V_FLOAT && text_is(name, "denominator"))
        return v_int(1);
    return v_of(V_MISSING);
}

static struct value range_attribute(const struct range *range, const struct text *name)
{
    if (text_is(name, "start"))
        return v_int(range->start);
    if (text_is(name, "stop"))
        return v_int(range->stop);
    return text_is(name, "step") ? v_int(range->step) : v_of(V_MISSING);
}

static struct value loop_attribute(struct render *r, struct loop *loop, const struct text *name)
{
    if (text_is(name, "index"))
        return v_int(loop->index0 + 1);
    if (text_is(name, "index0"))
        return v_int(loop->index0);
    if (text_is(name, "first"))
        return v_bool(loop->index0 == 0);
    if (text_is(name, "last"))
        return v_bool(!loop_peek(r->vm, loop));
    if (text_is(name, "length"))
        return v_int(loop_length(r->vm, loop));
    if (text_is(name, "revindex"))
        return v_int(loop_length(r->vm, loop) - loop->index0);
    if (text_is(name, "revindex0"))
        return v_int(loop_length(r->vm, loop) - loop->index0 - 1);
    if (text_is(name, "depth"))
        return v_int(loop->depth0 + 1);
    if (text_is(name, "depth0"))
        return v_int(loop->depth0);
    if (text_is(name, "previtem"))
        return loop->index0 == 0 ? undefined_new(r->vm, "there is no previous item") : loop->before;
    if (text_is(name, "nextitem"))
        return loop_peek(r->vm, loop) ? loop->after : undefined_new(r->vm, "there is no next item");
    return v_of(V_MISSING);
}

static struct value cycler_attribute(const struct cycler *c, const struct text *name)
{
    if (text_is(name, "current"))
        return c->items->items[c->pos];
    if (text_is(name, "pos"))
        return v_int((int64_t)c->pos);
    return text_is(name, "items") ? v_tuple(c->items) : v_of(V_MISSING);
}

static struct value joiner_attribute(const struct cycler *c, const struct text *name)
{
    if (text_is(name, "sep"))
        return c->items->items[0];
    return text_is(name, "used") ? v_bool(c->pos != 0) : v_of(V_MISSING);
}

static struct value generator_attribute(const struct iter *it, const struct text *name)
{
    if (strcmp(it->type, "generator") != 0)
        return v_of(V_MISSING);
    if (text_is(name, "gi_running"))
        return v_bool(false);
    if (text_is(name, "gi_suspended"))
        return v_bool(it->started && !it->done);
    return text_is(name, "gi_yieldfrom") ? v_none() : v_of(V_MISSING);
}

static struct value block_attribute(struct render *r, const struct block_info *block,
                                    const struct text *name)
{
    if (text_is(name, "name"))
        return v_str(block->name);
    if (!text_is(name, "super"))
        return v_of(V_MISSING);
    return undefined_new(r->vm, text_printf(r->vm, "there is no parent block called %s.",
                                            repr_chars(r->vm, v_str(block->name)))
                                    ->data);
}

/* A dict that is only read: it lives as long as the other, and has its entries. */
static struct value view_attribute(struct render *r, const struct view *view,
                                   const struct text *name)
{
    struct dict *d;

    if (!text_is(name, "mapping"))
        return v_of(V_MISSING);
    d = VM_NEW(r->vm, struct dict);
    *d = *view->d;
    d->proxy = true;
    return v_dict(d);
}

/* Not supported, although Python has it: bytes. */
static void check_supported(struct render *r, struct value v, const struct text *name)
{
    if ((v.type == V_STR && text_is(name, "encode")) ||
        (is_integer(v) && text_is(name, "to_bytes")))
        vm_throw(r->vm, E_RUNTIME, "%s() is not supported",
                 name->data[0] == 'e' ? "encode" : "to_bytes");
}

static struct value own_attribute(struct render *r, struct value v, struct text *name)
{
    struct value *found;

    switch (v.type) {
    case V_BOOL:
    case V_INT:
    case V_FLOAT:
        return number_attribute(v, name);
    case V_RANGE:
        return range_attribute(v.r, name);
    case V_LOOP:
        return loop_attribute(r, v.loop, name);
    case V_MACRO:
        return macro_attribute(r, v.macro, name);
    case V_CYCLER:
        return cycler_attribute(v.cycler, name);
    case V_JOINER:
        return joiner_attribute(v.cycler, name);
    case V_METHOD: /* jinja2 puts a function of its own in the place of str.format */
        return text_is(name, "__wrapped__") && strcmp(method_type(v.method), "wrapper") == 0
                   ? v
                   : v_of(V_MISSING);
    case V_BUILTIN: /* a property cannot be set or deleted */
        return !v.fn->run && (text_is(name, "fset") || text_is(name, "fdel")) ? v_none()
                                                                              : v_of(V_MISSING);
    case V_ITER:
        return generator_attribute(v.it, name);
    case V_BLOCK:
        return block_attribute(r, v.p, name);
    case V_VIEW:
        return view_attribute(r, v.view, name);
    case V_NAMESPACE:
        found = dict_get_text(v.d, name);
        return found ? *found : v_of(V_MISSING);
    case V_TUPLE:
        if (v.l->group && text_is(name, "grouper"))
            return v.l->items[0];
        return v.l->group && text_is(name, "list") ? v.l->items[1] : v_of(V_MISSING);
    default:
        return v_of(V_MISSING);
    }
}

struct value type_attribute(struct render *r, struct value object, const struct text *name)
{
    struct text *key = (struct text *)(uintptr_t)name;
    struct value v = own_attribute(r, object, key);
    const struct builtin *fn;
    struct method *m;

    if (v.type != V_MISSING)
        return v;
    if (is_refused(r->vm, object, name))
        return unsafe_attribute(r, object, name);
    fn = r->library->method(object, name);
    if (!fn) {
        check_supported(r, object, name);
        return v;
    }
    if (!fn->run) /* a property of a class */
        return (struct value){.type = V_BUILTIN, .fn = fn};
    m = VM_NEW(r->vm, struct method);
    *m = (struct method){.self = object, .fn = fn};
    return (struct value){.type = V_METHOD, .method = m};
}

/* A name of Python's own kind; "__" is one too. */
static bool is_dunder(const struct text *name)
{
    return name->len >= 2 && memcmp(name->data, "__", 2) == 0 &&
           memcmp(name->data + name->len - 2, "__", 2) == 0;
}

struct value undefined_attribute(struct render *r, struct value object, struct text *name)
{
    if (is_refused(r->vm, object, name))
        return unsafe_attribute(r, object, name);
    if (!is_dunder(name))
        check_defined(r->vm, object);
    return undefined_item(r->vm, object, v_str(name));
}

static const struct block_info *find_block(const struct tree *tree, const struct text *name)
{
    for (const struct block_info *b = tree->blocks; b; b = b->next)
        if (text_equal(b->name, name))
            return b;
    return NULL;
}

struct value get_attribute(struct render *r, struct value object, struct text *name)
{
    struct value v;
    struct value *found;

    if (object.type == V_UNDEFINED && is_refused(r->vm, object, name))
        return unsafe_attribute(r, object, name);
    check_defined(r->vm, object);
    v = type_attribute(r, object, name);
    if (v.type != V_MISSING)
        return v;
    if (object.type == V_DICT) {
        found = dict_get_text(object.d, name);
        if (found)
            return *found;
    }
    if (object.type == V_SELF) {
        const struct block_info *block = find_block(r->tree, name);

        if (block)
            return (struct value){.type = V_BLOCK, .p = (void *)(uintptr_t)block};
    }
    return undefined_item(r->vm, object, v_str(name));
}

/* ------------------------------------------------------------------ items */

/* The index of an item, counted from the end where negative; -1: outside. */
static int64_t position(int64_t index, int64_t len)
{
    if (index < 0)
        index += len;
    return index >= 0 && index < len ? index : -1;
}

static struct value sequence_item(struct render *r, struct value object, int64_t index)
{
    int64_t at = position(index, value_len(r->vm, object));

    if (at < 0)
        return v_of(V_MISSING);
    if (object.type == V_RANGE)
        return v_int(object.r->start + at * object.r->step);
    if (object.type != V_STR)
        return object.l->items[at];
    vm_step(r->vm, text_ascii(object.s) ? 1 : (size_t)at / 8 + 1);
    return v_str(text_marked(r->vm, text_slice(r->vm, object.s, (size_t)at, (size_t)at + 1),
                             object.s->safe));
}

static struct value item_of(struct render *r, struct value object, struct value key)
{
    struct value *found;

    switch (object.type) {
    case V_DICT:
        found = value_hashable(r->vm, key) ? dict_get(r->vm, object.d, key) : NULL;
        return found ? *found : v_of(V_MISSING);
    case V_STR:
    case V_LIST:
    case V_TUPLE:
    case V_RANGE:
        if (key.type == V_SLICE)
            return get_slice(r, object, key.slice);
        return is_integer(key) ? sequence_item(r, object, number_integer(key)) : v_of(V_MISSING);
    default:
        return v_of(V_MISSING);
    }
}

struct value get_item(struct render *r, struct value object, struct value key)
{
    struct value v;

    check_defined(r->vm, object);
    v = item_of(r, object, key);
    if (v.type != V_MISSING)
        return v;
    if (key.type == V_STR) {
        if (object.type == V_SELF)
            return get_attribute(r, object, key.s);
        v = type_attribute(r, object, key.s);
        if (v.type != V_MISSING)
            return v;
    }
    return undefined_item(r->vm, object, key);
}
