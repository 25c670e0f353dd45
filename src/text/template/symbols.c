/*
 * symbols: see the header.
 */
#include "text/template/symbols.h"

#include <string.h>

#define MAX_SLOTS 4000 /* names are looked for one after another: more would take seconds */

struct function *function_new(struct vm *vm, struct function *parent)
{
    struct function *f = VM_NEW(vm, struct function);

    *f = (struct function){.parent = parent,
                           .depth = parent ? (uint16_t)(parent->depth + 1) : (uint16_t)0};
    return f;
}

struct symbols *symbols_new(struct vm *vm, struct symbols *parent, struct function *function)
{
    struct symbols *s = VM_NEW(vm, struct symbols);

    *s = (struct symbols){
        .parent = parent, .function = function, .vm = vm, .level = parent ? parent->level + 1 : 0};
    return s;
}

/* ------------------------------------------------------------------ names */

static struct ident *ident_of(struct symbols *s, struct text *name)
{
    struct function *f = s->function;
    struct ident *id;

    for (id = f->idents; id; id = id->next)
        if (id->level == s->level && text_equal(id->name, name))
            return id;
    if (f->n_slots == MAX_SLOTS)
        vm_throw(s->vm, E_LIMIT, "it has more than %d variables", MAX_SLOTS);
    id = VM_NEW(s->vm, struct ident);
    *id = (struct ident){
        .name = name, .level = s->level, .slot = f->n_slots++, .function = f, .next = f->idents};
    f->idents = id;
    return id;
}

static struct symbol *own(const struct symbols *s, const struct text *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (text_equal(s->items[i].name, name))
            return &s->items[i];
    return NULL;
}

struct ident *symbols_find(const struct symbols *s, const struct text *name)
{
    for (; s; s = s->parent) {
        const struct symbol *found = own(s, name);

        if (found)
            return found->ident;
    }
    return NULL;
}

static struct symbol *define(struct symbols *s, struct text *name, enum load_action action,
                             struct ident *outer)
{
    struct symbol *found = own(s, name);

    if (!found) {
        if (s->n == s->cap)
            VM_GROW(s->vm, s->items, s->n, s->cap, 8);
        found = &s->items[s->n++];
        *found = (struct symbol){.name = name, .ident = ident_of(s, name)};
    }
    found->action = action;
    found->outer = outer;
    vm_step(s->vm, s->n);
    return found;
}

void symbols_parameter(struct symbols *s, struct text *name)
{
    define(s, name, LOAD_PARAMETER, NULL)->stored = true;
}

static void store(struct symbols *s, struct text *name)
{
    struct symbol *found = own(s, name);
    struct ident *outer = found ? NULL : symbols_find(s->parent, name);

    if (!found)
        found = define(s, name, outer ? LOAD_ALIAS : LOAD_UNDEFINED, outer);
    found->stored = true;
}

static void load(struct symbols *s, struct text *name)
{
    if (!symbols_find(s, name))
        define(s, name, LOAD_RESOLVE, NULL);
}

/* ------------------------------------------------------------------ branches */

static struct symbols *branch(const struct symbols *s)
{
    struct symbols *copy = VM_NEW(s->vm, struct symbols);

    *copy = *s;
    copy->cap = s->n;
    copy->items = VM_ARRAY(s->vm, struct symbol, s->n);
    if (s->n)
        memcpy(copy->items, s->items, s->n * sizeof *s->items);
    return copy;
}

static void merge(struct symbols *s, const struct symbols *from)
{
    for (size_t i = 0; i < from->n; i++) {
        const struct symbol *other = &from->items[i];
        struct symbol *mine = define(s, other->name, other->action, other->outer);

        mine->stored = mine->stored || other->stored;
    }
}

/* What any branch set, and the code before did not, may be set or not afterwards. */
static void update(struct symbols *s, struct symbols *branches[3])
{
    const struct symbols before = *branch(s);

    for (int i = 0; i < 3; i++)
        merge(s, branches[i]);
    for (size_t i = 0; i < s->n; i++) {
        struct symbol *mine = &s->items[i];
        const struct symbol *old = own(&before, mine->name);

        if (!mine->stored || (old && old->stored))
            continue;
        mine->outer = symbols_find(s->parent, mine->name);
        mine->action = mine->outer ? LOAD_ALIAS : LOAD_RESOLVE;
    }
}

/* ------------------------------------------------------------------ the walk */

void symbols_add_body(struct symbols *s, const struct nodes *body)
{
    for (size_t i = 0; i < body->n; i++)
        symbols_add(s, body->items[i]);
}

void symbols_add_target(struct symbols *s, const struct node *target)
{
    if (target->kind == N_NAME)
        symbols_parameter(s, target->name);
    for (size_t i = 0; target->kind == N_TUPLE && i < target->list.n; i++)
        symbols_add_target(s, target->list.items[i]);
}

static void add_if(struct symbols *s, const struct node *n)
{
    struct symbols *branches[3];
    struct symbols *none;

    symbols_add(s, n->list.items[0]->a);
    for (int i = 0; i < 3; i++)
        branches[i] = branch(s);
    symbols_add_body(branches[0], &n->list.items[0]->list);
    for (size_t i = 1; i < n->list.n; i++) { /* each elif is an if of its own in the second */
        struct symbols *inner[3];

        symbols_add(branches[1], n->list.items[i]->a);
        none = branch(branches[1]);
        inner[0] = branch(branches[1]);
        inner[1] = none;
        inner[2] = none;
        symbols_add_body(inner[0], &n->list.items[i]->list);
        update(branches[1], inner);
    }
    symbols_add_body(branches[2], &n->list2);
    update(s, branches);
}

static void add_children(struct symbols *s, const struct node *n)
{
    if (n->a)
        symbols_add(s, n->a);
    symbols_add_body(s, &n->list);
    symbols_add_body(s, &n->list2);
    if (n->b)
        symbols_add(s, n->b);
    if (n->c)
        symbols_add(s, n->c);
}

static void add_node(struct symbols *s, const struct node *n)
{
    switch (n->kind) {
    case N_NAME:
        if (n->flag)
            store(s, n->name);
        else
            load(s, n->name);
        break;
    case N_NSREF:
        load(s, n->name);
        break;
    case N_IF:
        add_if(s, n);
        break;
    case N_MACRO:
        store(s, n->name);
        break;
    case N_ASSIGN:
        symbols_add(s, n->b);
        symbols_add(s, n->a);
        break;
    case N_FOR:
        symbols_add(s, n->b);
        break;
    case N_CALLBLOCK:
    case N_FILTERBLOCK:
    case N_ASSIGNBLOCK:
    case N_WITH:
        symbols_add(s, n->a);
        break;
    case N_GENERATION:
    case N_BLOCK:
    case N_AUTOESCAPE:
        break;
    default:
        add_children(s, n);
    }
}

void symbols_add(struct symbols *s, const struct node *n)
{
    vm_enter(s->vm);
    add_node(s, n);
    vm_leave(s->vm);
}

/* ------------------------------------------------------------------ undeclared names */

enum found { UNKNOWN, DECLARED, LOADED };

struct search {
    struct vm *vm;
    const char *name;
};

static enum found look(const struct node *n, const struct search *s);

static enum found look_in(const struct nodes *list, const struct search *s)
{
    enum found f = UNKNOWN;

    for (size_t i = 0; f == UNKNOWN && i < list->n; i++)
        f = look(list->items[i], s);
    return f;
}

static enum found look_at(const struct node *n, const struct search *s)
{
    return n ? look(n, s) : UNKNOWN;
}

/* Macros, call blocks: parameters, defaults, body. */
static enum found look_in_signature(const struct node *n, const struct search *s)
{
    enum found f = UNKNOWN;

    for (size_t i = 0; f == UNKNOWN && i < n->list2.n; i++)
        if (text_is(n->list2.items[i]->name, s->name))
            f = DECLARED;
    for (size_t i = 0; f == UNKNOWN && i < n->list2.n; i++)
        f = look_at(n->list2.items[i]->a, s);
    return f == UNKNOWN ? look_in(&n->list, s) : f;
}

static enum found first(enum found a, const struct node *n, const struct search *s)
{
    return a == UNKNOWN ? look_at(n, s) : a;
}

static enum found first_in(enum found a, const struct nodes *list, const struct search *s)
{
    return a == UNKNOWN ? look_in(list, s) : a;
}

static enum found look_in_for(const struct node *n, const struct search *s)
{
    enum found f = look(n->a, s);

    f = first(f, n->b, s);
    f = first_in(f, &n->list, s);
    f = first_in(f, &n->list2, s);
    return first(f, n->c, s);
}

static enum found look_at_node(const struct node *n, const struct search *s)
{
    switch (n->kind) {
    case N_NAME:
        if (!text_is(n->name, s->name))
            return UNKNOWN;
        return n->flag ? DECLARED : LOADED;
    case N_BLOCK:
        return UNKNOWN;
    case N_MACRO:
        return look_in_signature(n, s);
    case N_CALLBLOCK:
        return first(look(n->a, s), NULL, s) == UNKNOWN ? look_in_signature(n, s) : look(n->a, s);
    case N_FOR:
        return look_in_for(n, s);
    case N_FILTERBLOCK:
        return first(look_in(&n->list, s), n->a, s);
    case N_WITH:
        return first_in(first(look_in(&n->list2, s), n->a, s), &n->list, s);
    case N_ASSIGNBLOCK:
        return first_in(first(look(n->a, s), n->b, s), &n->list, s);
    default:
        return first(
            first(first_in(first_in(look_at(n->a, s), &n->list, s), &n->list2, s), n->b, s), n->c,
            s);
    }
}

static enum found look(const struct node *n, const struct search *s)
{
    enum found f;

    vm_enter(s->vm);
    f = look_at_node(n, s);
    vm_leave(s->vm);
    return f;
}

bool finds_undeclared(struct vm *vm, const struct nodes *body, const char *name)
{
    const struct search s = {vm, name};

    return look_in(body, &s) == LOADED;
}
