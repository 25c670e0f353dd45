/*
 * evaluate: expressions of a resolved template, and calls.
 */
#include "text/template/engine.h"
#include "text/template/iter.h"

#include <string.h>

/* ------------------------------------------------------------------ calls */

static void add_unpacked(struct render *r, struct call *call, struct value v)
{
    struct list *items;
    struct value *args;

    if (!iter_try(r->vm, v))
        vm_throw(r->vm, E_TYPE, "Value after * must be an iterable, not %s", type_name(v));
    items = list_of(r->vm, v);
    args = VM_ARRAY(r->vm, struct value, call->n + items->len);
    if (call->n)
        memcpy(args, call->args, call->n * sizeof *args);
    if (items->len)
        memcpy(args + call->n, items->items, items->len * sizeof *args);
    call->args = args;
    call->n += items->len;
}

static void add_keyword(struct render *r, struct call *call, struct value name, struct value v)
{
    if (name.type != V_STR)
        vm_throw(r->vm, E_TYPE, "keywords must be strings");
    for (size_t i = 0; i < call->n_kw; i++)
        if (text_equal(call->kw[i].name, name.s))
            vm_throw(r->vm, E_TYPE, "got multiple values for keyword argument %s",
                     repr_chars(r->vm, name));
    call->kw[call->n_kw++] = (struct keyword){.name = name.s, .value = v};
}

static void add_mapping(struct render *r, struct call *call, struct value v)
{
    check_defined(r->vm, v);
    if (v.type != V_DICT)
        vm_throw(r->vm, E_TYPE, "argument after ** must be a mapping, not %s", type_name(v));
    for (size_t i = 0; i < v.d->len; i++)
        add_keyword(r, call, v.d->entries[i].key, v.d->entries[i].value);
}

/* The arguments of a call, a filter or a test; n_first places are kept free before them, and one
 * keyword's place behind. */
void fill_call(struct render *r, const struct node *n, struct call *call, size_t n_first)
{
    struct value mapping = v_none();
    size_t n_kw = n->list2.n + 1;

    call->args = VM_ARRAY(r->vm, struct value, n_first + n->list.n);
    for (call->n = 0; call->n < n_first; call->n++)
        call->args[call->n] = v_of(V_MISSING);
    for (size_t i = 0; i < n->list.n; i++)
        call->args[call->n++] = evaluate(r, n->list.items[i]);
    if (n->b)
        add_unpacked(r, call, evaluate(r, n->b));
    if (!n->list2.n && !n->c && n->kind != N_CALL)
        return;
    if (n->c)
        mapping = evaluate(r, n->c);
    if (mapping.type == V_DICT)
        n_kw += mapping.d->len;
    call->kw = VM_ARRAY(r->vm, struct keyword, n_kw);
    for (size_t i = 0; i < n->list2.n; i++)
        add_keyword(r, call, v_str(n->list2.items[i]->name), evaluate(r, n->list2.items[i]->a));
    if (n->c)
        add_mapping(r, call, mapping);
}

static struct value evaluate_call(struct render *r, const struct node *n)
{
    struct value f = evaluate(r, n->a);
    struct call call = {0};

    fill_call(r, n, &call, 0);
    r->vm->line = n->line;
    return call_value(r, f, &call);
}

static struct value evaluate_filter(struct render *r, const struct node *n)
{
    struct call call = {0};
    struct value operand = evaluate(r, n->a);

    fill_call(r, n, &call, 1);
    call.args[0] = operand;
    r->vm->line = n->line;
    if (!n->fn)
        vm_throw(r->vm, E_RUNTIME, "No %s named '%.*s' found.",
                 n->kind == N_FILTER ? "filter" : "test", (int)n->name->len, n->name->data);
    return call_builtin(r, n->fn, NULL, &call);
}

/* x is defined, x is none: the tests of every template, without a call. */
static struct value evaluate_test(struct render *r, const struct node *n)
{
    struct value v;

    if (n->op == 0)
        return evaluate_filter(r, n);
    v = evaluate(r, n->a);
    switch (n->op) {
    case 'd':
        return v_bool(v.type != V_UNDEFINED);
    case 's':
        return v_bool(v.type == V_STR);
    case 'm':
        return v_bool(v.type == V_DICT);
    default:
        return v_bool(v.type == V_NONE);
    }
}

/* ------------------------------------------------------------------ literals and names */

static struct value evaluate_name(struct render *r, const struct node *n)
{
    struct value v = *slot_of(r, n->place);

    return v.type == V_MISSING ? undefined_name(r->vm, n->name) : v;
}

/* jinja2 writes such a number into its code as "inf", which Python takes for a name. */
static struct value evaluate_infinite(struct render *r, const struct node *n)
{
    if (!r->folding)
        vm_throw(r->vm, E_RUNTIME, "name '%s' is not defined", n->name->data);
    return n->value;
}

static struct value evaluate_items(struct render *r, const struct node *n)
{
    struct list *l = list_new(r->vm, n->list.n);

    for (size_t i = 0; i < n->list.n; i++)
        list_add(r->vm, l, evaluate(r, n->list.items[i]));
    return n->kind == N_LIST ? v_list(l) : v_tuple(l);
}

static struct value evaluate_dict(struct render *r, const struct node *n)
{
    struct dict *d = dict_new(r->vm);

    for (size_t i = 0; i < n->list.n; i++) {
        struct value key = evaluate(r, n->list.items[i]);

        dict_set(r->vm, d, key, evaluate(r, n->list2.items[i]));
    }
    return v_dict(d);
}

static struct value evaluate_concat(struct render *r, const struct node *n)
{
    bool escape = n->escape == ESCAPE_ON; /* not at run time: what asks for it there is never set */
    struct value *parts = VM_ARRAY(r->vm, struct value, n->list.n);
    struct builder b;
    bool safe = false;

    build_init(&b, r->vm);
    for (size_t i = 0; i < n->list.n; i++) {
        parts[i] = evaluate(r, n->list.items[i]);
        safe = safe || (escape && !r->folding && parts[i].type == V_STR && parts[i].s->safe);
    }
    for (size_t i = 0; i < n->list.n; i++)
        build_text(&b, safe ? text_escape(r->vm, parts[i]) : value_str(r->vm, parts[i]));
    return v_str(text_marked(r->vm, build_done(&b), safe));
}

/* ------------------------------------------------------------------ operators */

static bool compare(struct render *r, int op, struct value a, struct value b)
{
    switch (op) {
    case T_EQ:
        return value_equal(r->vm, a, b);
    case T_NE:
        return !value_equal(r->vm, a, b);
    case 'i':
        return value_contains(r->vm, b, a);
    case 'n':
        return !value_contains(r->vm, b, a);
    default:
        return value_compare(r->vm, token_name((enum token_type)op), a, b);
    }
}

static struct value evaluate_compare(struct render *r, const struct node *n)
{
    struct value left = evaluate(r, n->a);
    bool result = true;

    for (size_t i = 0; result && i < n->list.n; i++) {
        const struct node *operand = n->list.items[i];
        struct value right = evaluate(r, operand->a);

        result = compare(r, operand->op, left, right);
        left = right;
    }
    return v_bool(result);
}

static struct value evaluate_condition(struct render *r, const struct node *n)
{
    if (value_truth(r->vm, evaluate(r, n->a)))
        return evaluate(r, n->b);
    if (n->c)
        return evaluate(r, n->c);
    return undefined_new(
        r->vm, text_printf(r->vm,
                           "the inline if-expression on line %d evaluated to false and no "
                           "else section was defined.",
                           n->line)
                   ->data);
}

static struct value optional(struct render *r, const struct node *n)
{
    return n ? evaluate(r, n) : v_none();
}

static struct value evaluate_slice(struct render *r, const struct node *n)
{
    struct slice *slice = VM_NEW(r->vm, struct slice);

    slice->start = optional(r, n->a);
    slice->stop = optional(r, n->b);
    slice->step = optional(r, n->c);
    return (struct value){.type = V_SLICE, .slice = slice};
}

static bool is_bound(struct value v)
{
    return v.type == V_NONE || is_integer(v);
}

/* When compiled, what is wrong with a slice makes it undefined. */
static bool has_bounds(const struct slice *s)
{
    return is_bound(s->start) && is_bound(s->stop) && is_bound(s->step);
}

static struct value evaluate_item(struct render *r, const struct node *n)
{
    struct value object = evaluate(r, n->a);
    struct value key = evaluate(r, n->b);

    r->vm->line = n->line;
    if (n->b->kind != N_SLICE)
        return get_item(r, object, key);
    if (!r->folding)
        return get_slice(r, object, key.slice);
    check_defined(r->vm, object);
    return has_bounds(key.slice) ? get_item(r, object, key) : undefined_item(r->vm, object, key);
}

static struct value evaluate_attribute(struct render *r, const struct node *n)
{
    struct value object = evaluate(r, n->a);

    if (object.type == V_DICT && !n->flag) {
        struct value *found = dict_get_text(object.d, n->name);

        return found ? *found : undefined_item(r->vm, object, v_str(n->name));
    }
    r->vm->line = n->line;
    return get_attribute(r, object, n->name);
}

static struct value evaluate_binary(struct render *r, const struct node *n)
{
    struct value a = evaluate(r, n->a);
    struct value b = evaluate(r, n->b);

    return op_binary(r, n->op, a, b);
}

static struct value evaluate_logic(struct render *r, const struct node *n)
{
    struct value a = evaluate(r, n->a);

    return value_truth(r->vm, a) == (n->kind == N_AND) ? evaluate(r, n->b) : a;
}

static struct value evaluate_node(struct render *r, const struct node *n)
{
    switch (n->kind) {
    case N_TUPLE:
    case N_LIST:
        return evaluate_items(r, n);
    case N_DICT:
        return evaluate_dict(r, n);
    case N_UNARY:
        return op_unary(r, n->op, evaluate(r, n->a));
    case N_BINARY:
        return evaluate_binary(r, n);
    case N_AND:
    case N_OR:
        return evaluate_logic(r, n);
    case N_NOT:
        return v_bool(!value_truth(r->vm, evaluate(r, n->a)));
    case N_CONCAT:
        return evaluate_concat(r, n);
    case N_COMPARE:
        return evaluate_compare(r, n);
    case N_COND:
        return evaluate_condition(r, n);
    case N_GETATTR:
        return evaluate_attribute(r, n);
    case N_GETITEM:
        return evaluate_item(r, n);
    case N_SLICE:
        return evaluate_slice(r, n);
    case N_FILTER:
        return evaluate_filter(r, n);
    case N_TEST:
        return evaluate_test(r, n);
    case N_INFINITE:
        return evaluate_infinite(r, n);
    default:
        return evaluate_call(r, n);
    }
}

struct value evaluate(struct render *r, const struct node *n)
{
    struct value v;

    if (n->kind == N_NAME)
        return evaluate_name(r, n);
    if (n->kind == N_CONST)
        return n->value;
    vm_step(r->vm, 2);
    vm_enter(r->vm);
    v = evaluate_node(r, n);
    vm_leave(r->vm);
    return v;
}
