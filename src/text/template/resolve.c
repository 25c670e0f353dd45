/*
 * resolve: gives every name of a parsed template its variable, in the order and with the scopes of
 * jinja2's compiler, and finds the filters and tests. Afterwards the tree is only read.
 */
#include "text/template/symbols.h"

#include <string.h>

struct frame {
    struct symbols *symbols;
    bool toplevel;
    bool soft;    /* in an if: unknown filters fail when they are used */
    bool in_loop; /* break and continue have a loop to act on */
};

struct resolver {
    struct vm *vm;
    struct tree *tree;
    struct function *function;
};

static void visit(struct resolver *r, struct node *n, const struct frame *f);

/* ------------------------------------------------------------------ places */

static struct place place_of(const struct resolver *r, const struct ident *id)
{
    return (struct place){.hops = (uint16_t)(r->function->depth - id->function->depth),
                          .slot = id->slot};
}

static struct place find_place(struct resolver *r, const struct frame *f, const struct text *name,
                               int line)
{
    const struct ident *id = symbols_find(f->symbols, name);

    if (!id)
        syntax_error(r->vm, line, "the name '%.*s' is unknown to its scope", (int)name->len,
                     name->data);
    return place_of(r, id);
}

static struct scope scope_of(const struct resolver *r, const struct symbols *s)
{
    struct scope scope = {.loads = VM_ARRAY(r->vm, struct load, s->n), .n = 0};

    for (size_t i = 0; i < s->n; i++) {
        const struct symbol *symbol = &s->items[i];
        struct load *load = &scope.loads[scope.n];

        *load = (struct load){
            .action = symbol->action, .to = place_of(r, symbol->ident), .name = symbol->name};
        if (symbol->outer)
            load->from = place_of(r, symbol->outer);
        scope.n += symbol->action != LOAD_PARAMETER;
    }
    return scope;
}

/* Said when the check comes to the node: errors are found in the order of the source. */
static void fault(struct node *n, int line, const char *message)
{
    if (!n->fault) {
        n->fault = message;
        n->fault_line = line;
    }
}

static struct frame inner(const struct resolver *r, const struct frame *f)
{
    return (struct frame){.symbols = symbols_new(r->vm, f->symbols, r->function),
                          .in_loop = f->in_loop};
}

static void visit_all(struct resolver *r, const struct nodes *list, const struct frame *f)
{
    for (size_t i = 0; i < list->n; i++)
        visit(r, list->items[i], f);
}

static void visit_any(struct resolver *r, struct node *n, const struct frame *f)
{
    if (n)
        visit(r, n, f);
}

/* ------------------------------------------------------------------ loops */

static void check_loop_variable(struct resolver *r, struct node *loop, const struct node *n);

static void check_loop_variables(struct resolver *r, struct node *loop, const struct nodes *list)
{
    for (size_t i = 0; i < list->n; i++)
        check_loop_variable(r, loop, list->items[i]);
}

/* Nothing within a loop may be called loop. */
static void check_loop_variable(struct resolver *r, struct node *loop, const struct node *n)
{
    if (!n)
        return;
    vm_enter(r->vm);
    if (n->kind == N_NAME && n->flag && text_is(n->name, "loop"))
        fault(loop, n->line, "Can't assign to special loop variable in for-loop target");
    /* Macro parameters are no assignments. */
    if (n->kind == N_MACRO || n->kind == N_CALLBLOCK) {
        for (size_t i = 0; i < n->list2.n; i++)
            check_loop_variable(r, loop, n->list2.items[i]->a);
        check_loop_variables(r, loop, &n->list);
    } else if (n->kind == N_WITH) {
        check_loop_variables(r, loop, &n->list);
    } else {
        check_loop_variable(r, loop, n->a);
        check_loop_variable(r, loop, n->b);
        check_loop_variables(r, loop, &n->list);
        check_loop_variables(r, loop, &n->list2);
    }
    vm_leave(r->vm);
}

static bool has_scoped_block(struct resolver *r, const struct nodes *list)
{
    bool found = false;

    vm_enter(r->vm);
    for (size_t i = 0; !found && i < list->n; i++) {
        const struct node *n = list->items[i];

        found = (n->kind == N_BLOCK && n->flag) || has_scoped_block(r, &n->list) ||
                has_scoped_block(r, &n->list2);
    }
    vm_leave(r->vm);
    return found;
}

static struct node *copy_target(struct vm *vm, const struct node *target)
{
    struct node *copy = VM_NEW(vm, struct node);

    *copy = *target;
    memset(&copy->list, 0, sizeof copy->list);
    for (size_t i = 0; i < target->list.n; i++)
        nodes_add(vm, &copy->list, copy_target(vm, target->list.items[i]));
    return copy;
}

/* The `if` of a for: a function of its own, which gets the item by its own copy of the target. */
static void visit_loop_test(struct resolver *r, struct node *n, const struct frame *f,
                            struct for_info *info)
{
    struct function *outer = r->function;
    struct frame test;

    info->test = function_new(r->vm, outer);
    r->function = info->test;
    test = inner(r, f);
    test.in_loop = false;
    symbols_add_target(test.symbols, n->a);
    symbols_add(test.symbols, n->c);
    info->test_scope = scope_of(r, test.symbols);
    info->test_target = copy_target(r->vm, n->a);
    visit(r, info->test_target, &test);
    visit(r, n->c, &test);
    r->function = outer;
}

static void visit_for(struct resolver *r, struct node *n, const struct frame *f)
{
    struct for_info *info = VM_NEW(r->vm, struct for_info);
    struct function *outer = r->function;
    struct text *loop = text_of(r->vm, "loop");
    struct frame body;
    struct frame other;

    memset(info, 0, sizeof *info);
    n->info = info;
    info->extended = n->flag || finds_undeclared(r->vm, &n->list, "loop") ||
                     has_scoped_block(r, &n->list) || has_scoped_block(r, &n->list2);
    visit(r, n->b, f);
    if (n->c)
        visit_loop_test(r, n, f, info);
    if (n->flag)
        r->function = info->body = function_new(r->vm, outer);
    body = inner(r, f);
    body.in_loop = true;
    if (info->extended)
        symbols_parameter(body.symbols, loop);
    symbols_add_target(body.symbols, n->a);
    symbols_add_body(body.symbols, &n->list);
    other = inner(r, f);
    other.in_loop = f->in_loop && !n->flag;
    symbols_add_body(other.symbols, &n->list2);
    check_loop_variable(r, n, n);
    n->scope = scope_of(r, body.symbols);
    info->else_scope = scope_of(r, other.symbols);
    if (info->extended)
        info->loop = find_place(r, &body, loop, n->line);
    visit(r, n->a, &body);
    visit_all(r, &n->list, &body);
    visit_all(r, &n->list2, &other);
    r->function = outer;
}

/* ------------------------------------------------------------------ macros */

static void add_parameters(struct symbols *s, const struct node *n)
{
    for (size_t i = 0; i < n->list2.n; i++)
        symbols_parameter(s, n->list2.items[i]->name);
    for (size_t i = 0; i < n->list2.n; i++)
        if (n->list2.items[i]->a)
            symbols_add(s, n->list2.items[i]->a);
    symbols_add_body(s, &n->list);
}

static bool has_parameter(const struct node *n, const char *name)
{
    for (size_t i = 0; i < n->list2.n; i++)
        if (text_is(n->list2.items[i]->name, name))
            return true;
    return false;
}

/* caller, kwargs, varargs: parameters where the body asks for them. */
static bool takes(struct resolver *r, const struct node *n, struct symbols *s, const char *name)
{
    if (!finds_undeclared(r->vm, &n->list, name) || has_parameter(n, name))
        return false;
    symbols_parameter(s, text_of(r->vm, name));
    return true;
}

static void check_explicit_caller(struct resolver *r, struct node *n)
{
    if (!finds_undeclared(r->vm, &n->list, "caller"))
        return;
    for (size_t i = 0; i < n->list2.n; i++)
        if (text_is(n->list2.items[i]->name, "caller") && !n->list2.items[i]->a)
            fault(n, n->line,
                  "When defining macros or call blocks the special \"caller\" argument must be "
                  "omitted or be given a default.");
}

static void set_parameters(struct resolver *r, struct macro_info *info, const struct node *n,
                           const struct frame *f)
{
    info->n = n->list2.n;
    info->names = VM_ARRAY(r->vm, struct text *, info->n);
    info->params = VM_ARRAY(r->vm, struct place, info->n);
    info->defaults = VM_ARRAY(r->vm, struct node *, info->n);
    for (size_t i = 0; i < info->n; i++) {
        struct node *arg = n->list2.items[i];

        info->names[i] = arg->name;
        info->params[i] = find_place(r, f, arg->name, n->line);
        info->defaults[i] = arg->a;
    }
    if (info->takes_caller)
        info->caller = find_place(r, f, text_of(r->vm, "caller"), n->line);
    if (info->takes_kwargs)
        info->kwargs = find_place(r, f, text_of(r->vm, "kwargs"), n->line);
    if (info->takes_varargs)
        info->varargs = find_place(r, f, text_of(r->vm, "varargs"), n->line);
}

/* The body as a function; a macro's, a call block's, a generation's. */
static void visit_macro_body(struct resolver *r, struct node *n, const struct frame *f)
{
    struct macro_info *info = VM_NEW(r->vm, struct macro_info);
    struct function *outer = r->function;
    struct frame body;

    memset(info, 0, sizeof *info);
    n->info = info;
    info->name = n->kind == N_MACRO ? n->name : NULL;
    info->explicit_caller = has_parameter(n, "caller");
    r->function = info->function = function_new(r->vm, outer);
    body = inner(r, f);
    body.in_loop = false;
    add_parameters(body.symbols, n);
    check_explicit_caller(r, n);
    info->takes_caller = takes(r, n, body.symbols, "caller");
    info->takes_kwargs = takes(r, n, body.symbols, "kwargs");
    info->takes_varargs = takes(r, n, body.symbols, "varargs");
    n->scope = scope_of(r, body.symbols);
    set_parameters(r, info, n, &body);
    for (size_t i = 0; i < info->n; i++)
        visit_any(r, info->defaults[i], &body);
    visit_all(r, &n->list, &body);
    r->function = outer;
}

/* ------------------------------------------------------------------ blocks */

static bool is_shadowed(const struct symbols *s, const struct symbols *until,
                        const struct text *name)
{
    for (; s != until; s = s->parent) {
        for (size_t i = 0; i < s->n; i++)
            if (s->items[i].stored && text_equal(s->items[i].name, name))
                return true;
    }
    return false;
}

static void collect_names(struct resolver *r, struct block_info *info, const struct frame *f)
{
    size_t n = 0;

    for (const struct symbols *s = f->symbols; s; s = s->parent)
        n += s->n;
    info->names = VM_ARRAY(r->vm, struct text *, n);
    info->places = VM_ARRAY(r->vm, struct place, n);
    for (const struct symbols *s = f->symbols; s; s = s->parent) {
        for (size_t i = 0; i < s->n; i++) {
            if (!s->items[i].stored || is_shadowed(f->symbols, s, s->items[i].name))
                continue;
            info->names[info->n] = s->items[i].name;
            info->places[info->n++] = find_place(r, f, s->items[i].name, 0);
        }
    }
}

static void visit_block(struct resolver *r, struct node *n, const struct frame *f)
{
    struct block_info *info = VM_NEW(r->vm, struct block_info);

    memset(info, 0, sizeof *info);
    info->name = n->name;
    info->node = n;
    info->next = r->tree->blocks;
    for (const struct block_info *b = info->next; b; b = b->next)
        if (text_equal(b->name, n->name))
            syntax_error(r->vm, n->line, "block '%.*s' defined twice", (int)n->name->len,
                         n->name->data);
    r->tree->blocks = info;
    n->info = info;
    if (n->flag)
        collect_names(r, info, f);
}

static bool declare_special(struct resolver *r, const struct nodes *body, struct symbols *s,
                            const char *name)
{
    bool uses = finds_undeclared(r->vm, body, name);

    if (uses)
        symbols_parameter(s, text_of(r->vm, name));
    return uses;
}

static void visit_block_body(struct resolver *r, struct block_info *info)
{
    struct frame f = {.soft = false};
    struct node *n = info->node;

    r->function = info->function = function_new(r->vm, NULL);
    f.symbols = symbols_new(r->vm, NULL, r->function);
    info->uses_self = declare_special(r, &n->list, f.symbols, "self");
    info->uses_super = declare_special(r, &n->list, f.symbols, "super");
    symbols_add_body(f.symbols, &n->list);
    info->scope = scope_of(r, f.symbols);
    if (info->uses_self)
        info->self = find_place(r, &f, text_of(r->vm, "self"), n->line);
    if (info->uses_super)
        info->super = find_place(r, &f, text_of(r->vm, "super"), n->line);
    visit_all(r, &n->list, &f);
}

/* ------------------------------------------------------------------ other statements */

/* A body in a scope of its own, in the same function. */
static struct frame enter(struct resolver *r, struct node *n, const struct frame *f)
{
    struct frame body = inner(r, f);

    for (size_t i = 0; n->kind == N_WITH && i < n->list2.n; i++)
        symbols_add_target(body.symbols, n->list2.items[i]);
    if (n->kind == N_AUTOESCAPE) /* read before what the body sets */
        symbols_add(body.symbols, n->a);
    symbols_add_body(body.symbols, &n->list);
    if (n->kind == N_FILTERBLOCK)
        symbols_add(body.symbols, n->a);
    n->scope = scope_of(r, body.symbols);
    return body;
}

static void visit_autoescape(struct resolver *r, struct node *n, const struct frame *f)
{
    struct frame body = enter(r, n, f);

    visit(r, n->a, &body);
    visit_all(r, &n->list, &body);
}

static void visit_with(struct resolver *r, struct node *n, const struct frame *f)
{
    struct frame body = enter(r, n, f);

    visit_all(r, &n->list2, &body);
    visit_all(r, &n->a->list, f);
    visit_all(r, &n->list, &body);
}

static void visit_assign_block(struct resolver *r, struct node *n, const struct frame *f)
{
    struct frame body = enter(r, n, f);

    visit_all(r, &n->list, &body);
    visit(r, n->a, f);
    visit_any(r, n->b, &body);
    n->flag = f->toplevel;
}

static void visit_filter_block(struct resolver *r, struct node *n, const struct frame *f)
{
    struct frame body = enter(r, n, f);

    visit_all(r, &n->list, &body);
    visit(r, n->a, &body);
}

static void visit_if(struct resolver *r, struct node *n, const struct frame *f)
{
    struct frame soft = *f;

    soft.soft = true;
    for (size_t i = 0; i < n->list.n; i++) {
        visit(r, n->list.items[i]->a, &soft);
        visit_all(r, &n->list.items[i]->list, &soft);
    }
    visit_all(r, &n->list2, &soft);
}

/* The tests that every template uses, known to the interpreter by a letter. */
static int short_test(const struct text *name)
{
    static const char *const NAMES[] = {"defined", "string", "mapping", "none"};

    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (text_is(name, NAMES[i]))
            return NAMES[i][0];
    return 0;
}

static void visit_function(struct resolver *r, struct node *n, const struct frame *f)
{
    bool filter = n->kind == N_FILTER;

    n->fn = filter ? find_filter(n->name) : find_test(n->name);
    n->flag2 = f->soft;
    if (!filter && n->fn && !n->list.n && !n->list2.n && !n->b && !n->c)
        n->op = short_test(n->name);
    visit_any(r, n->a, f);
    visit_all(r, &n->list, f);
    visit_all(r, &n->list2, f);
    visit_any(r, n->b, f);
    visit_any(r, n->c, f);
}

static void visit_children(struct resolver *r, struct node *n, const struct frame *f)
{
    struct frame soft = *f;

    soft.soft = f->soft || n->kind == N_COND;
    visit_any(r, n->a, &soft);
    visit_any(r, n->b, &soft);
    visit_any(r, n->c, &soft);
    visit_all(r, &n->list, &soft);
    visit_all(r, &n->list2, &soft);
}

static void visit_name(struct resolver *r, struct node *n, const struct frame *f)
{
    if (symbols_find(f->symbols, n->name))
        n->place = find_place(r, f, n->name, n->line);
    else
        fault(n, n->line,
              text_printf(r->vm, "the name '%.*s' is unknown to its scope", (int)n->name->len,
                          n->name->data)
                  ->data);
    if (!n->flag && refused_name(n->name) && text_is(n->name, "lipsum"))
        syntax_error(r->vm, n->line, "lipsum() is not supported");
}

static void visit_macro(struct resolver *r, struct node *n, const struct frame *f)
{
    visit_macro_body(r, n, f);
    n->place = find_place(r, f, n->name, n->line);
    n->flag = f->toplevel;
}

static void visit_call_block(struct resolver *r, struct node *n, const struct frame *f)
{
    visit_macro_body(r, n, f);
    visit(r, n->a, f);
}

static void visit_assign(struct resolver *r, struct node *n, const struct frame *f)
{
    visit_children(r, n, f);
    n->flag = f->toplevel;
}

static void visit_loader(struct resolver *r, struct node *n, const struct frame *f)
{
    if (text_is(n->name, "extends") && !f->toplevel)
        fault(n, n->line, "cannot use extend from a non top-level scope");
    visit_children(r, n, f);
}

static void visit_loop_control(struct resolver *r, struct node *n, const struct frame *f)
{
    (void)r;
    n->flag = f->in_loop;
}

static void (*const visitors[])(struct resolver *, struct node *, const struct frame *) = {
    [N_NAME] = visit_name,
    [N_NSREF] = visit_name,
    [N_FILTER] = visit_function,
    [N_TEST] = visit_function,
    [N_FOR] = visit_for,
    [N_IF] = visit_if,
    [N_MACRO] = visit_macro,
    [N_CALLBLOCK] = visit_call_block,
    [N_GENERATION] = visit_macro_body,
    [N_FILTERBLOCK] = visit_filter_block,
    [N_WITH] = visit_with,
    [N_BLOCK] = visit_block,
    [N_LOADER] = visit_loader,
    [N_ASSIGN] = visit_assign,
    [N_ASSIGNBLOCK] = visit_assign_block,
    [N_AUTOESCAPE] = visit_autoescape,
    [N_BREAK] = visit_loop_control,
    [N_CONTINUE] = visit_loop_control,
};

static void visit(struct resolver *r, struct node *n, const struct frame *f)
{
    r->vm->line = n->line;
    vm_step(r->vm, 1);
    vm_enter(r->vm);
    if (n->kind < sizeof visitors / sizeof *visitors && visitors[n->kind])
        visitors[n->kind](r, n, f);
    else
        visit_children(r, n, f);
    vm_leave(r->vm);
}

void template_resolve(struct vm *vm, struct tree *tree)
{
    struct resolver r = {.vm = vm, .tree = tree};
    struct frame f = {.toplevel = true};
    struct block_info *done = NULL;

    r.function = tree->function = function_new(vm, NULL);
    f.symbols = symbols_new(vm, NULL, r.function);
    tree->uses_self = declare_special(&r, &tree->body, f.symbols, "self");
    symbols_add_body(f.symbols, &tree->body);
    tree->scope = scope_of(&r, f.symbols);
    if (tree->uses_self)
        tree->self = find_place(&r, &f, text_of(vm, "self"), 1);
    visit_all(&r, &tree->body, &f);
    /* A block's body may hold blocks: they come before it in the list. */
    while (tree->blocks != done) {
        struct block_info *from = tree->blocks;

        for (struct block_info *b = from; b != done; b = b->next)
            visit_block_body(&r, b);
        done = from;
    }
}
