/*
 * check: what is refused of a template although it could be parsed: by jinja2 when it writes Python, and
 * then by Python. Comes after fold.c, since what was computed is not written.
 */
#include "text/template/engine.h"

struct check {
    struct vm *vm;
    /* The first error that Python would find: jinja2's own come before. */
    const char *late;
    int late_line;
};

static void late_error(struct check *c, int line, const char *message)
{
    if (!c->late) {
        c->late = message;
        c->late_line = line;
    }
}

static void check_function(struct check *c, const struct node *n)
{
    if (!n->fn && !n->flag2)
        syntax_error(c->vm, n->line, "No %s named '%.*s'.", n->kind == N_FILTER ? "filter" : "test",
                     (int)n->name->len, n->name->data);
}

/* Keyword arguments, or the parameters of a macro. */
static void check_names(struct check *c, const struct nodes *names, const char *format)
{
    for (size_t i = 0; i < names->n; i++) {
        const struct text *name = names->items[i]->name;

        vm_step(c->vm, i);
        for (size_t j = 0; j < i; j++)
            if (text_equal(names->items[j]->name, name))
                late_error(
                    c, names->items[i]->line,
                    text_printf(c->vm, "%s '%.*s'", format, (int)name->len, name->data)->data);
    }
}

static bool is_python_keyword(const struct text *name)
{
    static const char *const all[] = {
        "False", "None",     "True",  "and",    "as",   "assert", "async",  "await",    "break",
        "class", "continue", "def",   "del",    "elif", "else",   "except", "finally",  "for",
        "from",  "global",   "if",    "import", "in",   "is",     "lambda", "nonlocal", "not",
        "or",    "pass",     "raise", "return", "try",  "while",  "with",   "yield"};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (text_is(name, all[i]))
            return true;
    return false;
}

/* A call block gives its call a `caller` of its own: behind the others, or, where one of them could not be
 * written in Python, in a dict, where it may be there twice. */
static void check_caller(struct check *c, const struct node *call)
{
    int line = 0;

    for (size_t i = 0; i < call->list2.n; i++) {
        const struct node *keyword = call->list2.items[i];

        if (is_python_keyword(keyword->name))
            return;
        if (text_is(keyword->name, "caller"))
            line = keyword->line;
    }
    if (line)
        late_error(c, line, "keyword argument repeated: 'caller'");
}

static void check_subscript(struct check *c, const struct node *key)
{
    for (size_t i = 0; key->kind == N_TUPLE && i < key->list.n; i++)
        if (key->list.items[i]->kind == N_SLICE)
            late_error(c, key->line, "a slice cannot be one of several subscripts");
}

static void check_node(struct check *c, const struct node *n)
{
    if (n->fault)
        syntax_error(c->vm, n->fault_line, "%s", n->fault);
    switch (n->kind) {
    case N_FILTER:
    case N_TEST:
        check_function(c, n);
        check_names(c, &n->list2, "keyword argument repeated:");
        break;
    case N_CALL:
        check_names(c, &n->list2, "keyword argument repeated:");
        break;
    case N_CALLBLOCK:
        if (n->a->kind == N_CALL)
            check_caller(c, n->a);
        check_names(c, &n->list2, "a parameter has the name of another:");
        break;
    case N_MACRO:
        check_names(c, &n->list2, "a parameter has the name of another:");
        break;
    case N_GETITEM:
        check_subscript(c, n->b);
        break;
    case N_BREAK:
    case N_CONTINUE:
        if (!n->flag)
            late_error(c, n->line,
                       n->kind == N_BREAK ? "'break' outside loop"
                                          : "'continue' not properly in loop");
        break;
    default:
        break;
    }
}

static void check(struct check *c, const struct node *n);

static void check_all(struct check *c, const struct nodes *list)
{
    for (size_t i = 0; i < list->n; i++)
        check(c, list->items[i]);
}

/* In the order in which jinja2 writes. */
static void check(struct check *c, const struct node *n)
{
    bool is_macro = n->kind == N_MACRO || n->kind == N_CALLBLOCK;
    bool body_first = is_macro || n->kind == N_FILTERBLOCK || n->kind == N_ASSIGNBLOCK;

    c->vm->line = n->line;
    vm_step(c->vm, 1);
    vm_enter(c->vm);
    check_node(c, n);
    if (is_macro)
        check_all(c, &n->list2);
    if (body_first)
        check_all(c, &n->list);
    if (n->a)
        check(c, n->a);
    if (!body_first)
        check_all(c, &n->list);
    if (!is_macro)
        check_all(c, &n->list2);
    if (n->b)
        check(c, n->b);
    if (n->c)
        check(c, n->c);
    vm_leave(c->vm);
}

void template_check(struct vm *vm, const struct tree *tree)
{
    struct check c = {.vm = vm};

    check_all(&c, &tree->body);
    if (c.late)
        syntax_error(vm, c.late_line, "%s", c.late);
}
