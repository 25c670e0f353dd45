/*
 * fold: what jinja2 computes when it compiles a template. It shows: there a slice of what has no slices
 * is undefined and no error, texts are put together without escaping, an infinity becomes a name that
 * Python does not know, and a dict of unhashable keys is an error wherever it stands.
 *
 * Knows no names: what needs one is left as it is. Computes in a vm of its own, within small limits;
 * beyond them the expression is left to the rendering. Single threaded: the tree is not shared yet.
 */
#include "text/template/functions.h"

#include <math.h>

#define FOLD_BYTES ((size_t)8 << 20)  /* of all values computed for a template */
#define FOLD_STEPS 20000000ULL        /* of about 10 ns */
#define FOLD_KEPT ((size_t)64 * 1024) /* of a text that is kept */
#define FOLD_VALUES 1000              /* of a list that is kept */
#define FOLD_TREE ((size_t)16 << 20)  /* the tree's bytes, when no more are kept */

struct folder {
    struct vm *vm;              /* of the tree */
    struct vm *scratch;         /* where values are computed */
    struct render render;       /* in scratch */
    bool volatile_escape;       /* whether texts are escaped is known at run time alone */
    bool escape;                /* what the compiler takes it for */
    bool broken;                /* the template will be refused */
    const struct node *reached; /* of what chooses and was computed: what was chosen */
};

/* ------------------------------------------------------------------ what can be computed */

static size_t n_children(const struct node *n)
{
    return 3 + n->list.n + n->list2.n;
}

static struct node *child_of(const struct node *n, size_t i)
{
    if (i < 3)
        return i == 0 ? n->a : i == 1 ? n->b : n->c;
    i -= 3;
    return i < n->list.n ? n->list.items[i] : n->list2.items[i - n->list.n];
}

static bool are_constant(const struct node *n)
{
    for (size_t i = 0; i < n_children(n); i++)
        if (child_of(n, i) && !child_of(n, i)->constant)
            return false;
    return true;
}

/* Filters that get the context: never computed before there is one. */
static bool gets_context(const struct text *filter)
{
    static const char *const NAMES[] = {"map", "select", "reject", "selectattr", "rejectattr"};

    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (text_is(filter, NAMES[i]))
            return true;
    return false;
}

static bool is_constant_function(const struct folder *f, const struct node *n)
{
    return !f->volatile_escape && n->a && n->fn && (n->kind == N_TEST || !gets_context(n->name)) &&
           are_constant(n);
}

/* Runs in the scratch vm, and may throw there. */
static bool is_true(struct folder *f, const struct node *n)
{
    return value_truth(f->scratch, evaluate(&f->render, n));
}

/* What is not reached need not be constant. */
static bool is_constant_logic(struct folder *f, const struct node *n)
{
    return n->a->constant && (is_true(f, n->a) == (n->kind == N_OR) || n->b->constant);
}

static bool is_constant_condition(struct folder *f, const struct node *n)
{
    const struct node *chosen;

    if (!n->a->constant)
        return false;
    chosen = is_true(f, n->a) ? n->b : n->c;
    return chosen && chosen->constant;
}

static bool is_constant_comparison(struct folder *f, const struct node *n)
{
    struct node known = *n;

    known.list.n = 0;
    if (!n->a->constant)
        return false;
    while (known.list.n < n->list.n && n->list.items[known.list.n]->constant)
        known.list.n++;
    return known.list.n == n->list.n || !is_true(f, &known);
}

static bool is_constant(struct folder *f, const struct node *n)
{
    switch (n->kind) {
    case N_CONST:
    case N_INFINITE:
        return true;
    case N_AND:
    case N_OR:
        return is_constant_logic(f, n);
    case N_COND:
        return is_constant_condition(f, n);
    case N_COMPARE:
        return is_constant_comparison(f, n);
    case N_FILTER:
    case N_TEST:
        return is_constant_function(f, n);
    case N_TUPLE:
    case N_LIST:
    case N_DICT:
    case N_UNARY:
    case N_BINARY:
    case N_NOT:
    case N_CONCAT:
    case N_GETATTR:
    case N_GETITEM:
        return are_constant(n);
    default:
        return false;
    }
}

/* ------------------------------------------------------------------ computing */

static void renew(struct folder *f)
{
    uint64_t steps = f->scratch->steps;

    vm_free(f->scratch);
    vm_init(f->scratch, FOLD_BYTES);
    f->scratch->steps = steps;
    f->scratch->max_steps = FOLD_STEPS;
}

/* Runs in the scratch vm, and may throw there. */
static const struct node *chosen_of(struct folder *f, const struct node *n)
{
    if (n->kind == N_COND)
        return is_true(f, n->a) ? n->b : n->c;
    if (n->kind == N_AND || n->kind == N_OR)
        return is_true(f, n->a) == (n->kind == N_OR) ? n->a : n->b;
    return NULL;
}

/* Whether n can be computed; its value, or the text it prints, in the scratch vm. */
static bool try(struct folder *f, struct node *n, struct value *out, bool as_text)
{
    struct vm *vm = f->scratch;

    if (vm->used > FOLD_BYTES / 2)
        renew(f);
    vm->kind = E_SYNTAX;
    vm->depth = f->vm->depth;
    f->render.autoescape = f->escape;
    n->constant = false;
    f->reached = NULL;
    if (vm->steps > FOLD_STEPS || setjmp(vm->on_error) != 0) {
        if (vm->kind == E_MEMORY)
            vm_throw(f->vm, E_MEMORY, "out of memory");
        return false;
    }
    if (!is_constant(f, n))
        return false;
    *out = evaluate(&f->render, n);
    f->reached = chosen_of(f, n);
    if (as_text)
        *out = v_str(f->escape ? text_escape(vm, *out) : value_str(vm, *out));
    n->constant = true;
    return true;
}

/* Python's has_safe_repr, but for dicts: a block may be set in one, so that each time it is another.
 * `left`: how many values may still be in it. */
static bool is_plain(struct folder *f, struct value v, size_t *left)
{
    bool plain = true;

    if (*left == 0)
        return false;
    --*left;
    switch (v.type) {
    case V_NONE:
    case V_BOOL:
    case V_INT:
    case V_FLOAT:
    case V_RANGE:
        return true;
    case V_STR:
        return v.s->len <= FOLD_KEPT;
    case V_LIST:
    case V_TUPLE:
        vm_enter(f->vm);
        for (size_t i = 0; plain && i < v.l->len; i++)
            plain = is_plain(f, v.l->items[i], left);
        vm_leave(f->vm);
        return plain && !v.l->group;
    default:
        return false;
    }
}

static bool is_kept(struct folder *f, struct value v)
{
    size_t left = FOLD_VALUES;

    return f->vm->used < FOLD_TREE && is_plain(f, v, &left);
}

static struct value copy(struct folder *f, struct value v);

static struct list *copy_list(struct folder *f, const struct list *l)
{
    struct list *out = list_new(f->vm, l->len);

    for (size_t i = 0; i < l->len; i++)
        list_add(f->vm, out, copy(f, l->items[i]));
    return out;
}

/* Into the tree's vm. Hashes are computed now: afterwards the texts are only read. */
static struct value copy(struct folder *f, struct value v)
{
    struct value out = v;

    vm_enter(f->vm);
    if (v.type == V_STR) {
        out.s = text_marked(f->vm, text_new(f->vm, v.s->data, v.s->len), v.s->safe);
        text_hash(out.s);
    } else if (v.type == V_LIST || v.type == V_TUPLE) {
        out.l = copy_list(f, v.l);
    } else if (v.type == V_RANGE) {
        out.r = VM_NEW(f->vm, struct range);
        *out.r = *v.r;
    }
    vm_leave(f->vm);
    return out;
}

/* The name that Python sees in the place of the first number without digits, or NULL. */
static const char *infinite(struct value v)
{
    const char *found = NULL;

    if (v.type == V_FLOAT && !isfinite(v.f))
        return isnan(v.f) ? "nan" : "inf";
    for (size_t i = 0; !found && (v.type == V_LIST || v.type == V_TUPLE) && i < v.l->len; i++)
        found = infinite(v.l->items[i]);
    return found;
}

static void become_constant(struct folder *f, struct node *n, struct value v)
{
    const char *name = infinite(v);

    n->kind = name ? N_INFINITE : N_CONST;
    n->name = name ? text_of(f->vm, name) : NULL;
    n->value = v;
    n->a = n->b = n->c = NULL;
    n->list = n->list2 = (struct nodes){0};
    n->constant = true;
}

/* ------------------------------------------------------------------ expressions */

/* Those that jinja2 tries to compute. */
static bool is_tried(enum node_kind kind)
{
    switch (kind) {
    case N_UNARY:
    case N_BINARY:
    case N_AND:
    case N_OR:
    case N_NOT:
    case N_CONCAT:
    case N_COMPARE:
    case N_COND:
    case N_GETATTR:
    case N_GETITEM:
    case N_FILTER:
    case N_TEST:
    case N_CALL:
        return true;
    default:
        return false;
    }
}

static void fold(struct folder *f, struct node *n, bool tried);

static void fold_all(struct folder *f, const struct nodes *list, bool tried)
{
    for (size_t i = 0; i < list->n; i++)
        fold(f, list->items[i], tried);
}

static void fold_children(struct folder *f, struct node *n, bool tried)
{
    for (size_t i = 0; i < n_children(n); i++)
        if (child_of(n, i))
            fold(f, child_of(n, i), tried);
}

/* Parts of expressions that are none: constant if what they hold is. */
static bool is_part(const struct node *n)
{
    return n->kind == N_KEYWORD || n->kind == N_OPERAND || n->kind == N_SLICE;
}

static bool is_literal(const struct node *n)
{
    return n->kind == N_TUPLE || n->kind == N_LIST || n->kind == N_DICT;
}

static void fold_expression(struct folder *f, struct node *n, bool tried)
{
    bool whole = are_constant(n);
    struct value v;

    if (f->broken) /* what is around a fault must not be computed: check.c finds it */
        return;
    if (is_part(n) || (is_literal(n) && !tried))
        n->constant = whole;
    else if (try(f, n, &v, false) && tried && n->kind != N_CONST && is_kept(f, v))
        become_constant(f, n, copy(f, v));
    else if (n->constant && tried && f->reached)
        *n = *f->reached; /* what chose it is not looked at again */
    else if (n->kind == N_CONST && infinite(n->value))
        become_constant(f, n, n->value);
    if (n->kind == N_DICT && whole && !n->constant && f->scratch->kind == E_TYPE) {
        n->fault = text_of(f->vm, f->scratch->message)->data;
        n->fault_line = n->line;
        f->broken = true;
    }
}

/* ------------------------------------------------------------------ statements */

/* What can be computed, without the faults on the way. */
static void probe(struct folder *f, struct node *n)
{
    struct value v;

    vm_enter(f->vm);
    for (size_t i = 0; i < n_children(n); i++)
        if (child_of(n, i))
            probe(f, child_of(n, i));
    if (is_part(n) || is_literal(n))
        n->constant = are_constant(n);
    else
        try(f, n, &v, false);
    vm_leave(f->vm);
}

/* What is printed, as far as it is constant, becomes text: jinja2 tries that first, on the whole. */
static void fold_printed(struct folder *f, struct node *n)
{
    bool outer = f->broken;
    struct value v;

    fold(f, n, false);
    if (f->broken && !outer)
        probe(f, n);
    if (outer || !try(f, n, &v, true) || !is_kept(f, v))
        return;
    become_constant(f, n, copy(f, v));
    n->kind = N_DATA;
    f->broken = outer;
}

static void fold_output(struct folder *f, const struct node *n)
{
    for (size_t i = 0; i < n->list.n; i++)
        if (n->list.items[i]->kind != N_DATA)
            fold_printed(f, n->list.items[i]);
}

static void fold_autoescape(struct folder *f, const struct node *n)
{
    bool outer_volatile = f->volatile_escape;
    bool outer = f->escape;
    struct value v;

    fold(f, n->a, false);
    if (try(f, n->a, &v, false))
        f->escape = value_truth(f->vm, v);
    else
        f->volatile_escape = true;
    fold_all(f, &n->list, false);
    f->volatile_escape = outer_volatile;
    f->escape = outer;
}

/* Compiled apart from what is around it. */
static void fold_block(struct folder *f, const struct node *n)
{
    bool outer_volatile = f->volatile_escape;
    bool outer = f->escape;

    f->volatile_escape = false;
    f->escape = false;
    fold_all(f, &n->list, false);
    f->volatile_escape = outer_volatile;
    f->escape = outer;
}

static void fold(struct folder *f, struct node *n, bool tried)
{
    f->vm->line = n->line;
    vm_step(f->vm, 1);
    vm_enter(f->vm);
    n->escape = f->volatile_escape ? ESCAPE_AT_RUNTIME : f->escape ? ESCAPE_ON : ESCAPE_OFF;
    if (n->kind == N_OUTPUT) {
        fold_output(f, n);
    } else if (n->kind == N_AUTOESCAPE) {
        fold_autoescape(f, n);
    } else if (n->kind == N_BLOCK) {
        fold_block(f, n);
    } else if (n->kind < N_DATA) {
        tried = tried || (is_tried(n->kind) && !f->volatile_escape);
        fold_children(f, n, tried);
        fold_expression(f, n, tried);
    } else {
        fold_children(f, n, false);
    }
    vm_leave(f->vm);
}

void template_fold(struct vm *vm, struct vm *scratch, struct tree *tree)
{
    struct folder f = {.vm = vm, .scratch = scratch};

    f.render = (struct render){.vm = scratch, .tree = tree, .library = &LIBRARY, .folding = true};
    renew(&f);
    fold_all(&f, &tree->body, false);
}
