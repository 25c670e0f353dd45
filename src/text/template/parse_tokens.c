/*
 * parse_tokens: what both halves of the parser read tokens and make nodes with. See parser.h.
 */
#include "text/template/parser.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void syntax_error(struct vm *vm, int line, const char *format, ...)
{
    char message[900];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    vm->line = line;
    vm_throw(vm, E_SYNTAX, "%s", message);
}

void check_lexed(struct parser *p)
{
    const struct token *t = current(p);

    if (t->type == T_ERROR)
        syntax_error(p->vm, t->line, "%.*s", (int)t->text->len, t->text->data);
}

const struct token *advance(struct parser *p)
{
    const struct token *old = current(p);

    if (old->type != T_EOF)
        p->at++;
    check_lexed(p);
    return old;
}

static bool names(const struct token *t, const char *name)
{
    return t->type == T_NAME && text_is(t->text, name);
}

bool is_name(const struct parser *p, const char *name)
{
    return names(current(p), name);
}

bool next_is(const struct parser *p, enum token_type type)
{
    return p->at + 1 < p->tokens.n && p->tokens.items[p->at + 1].type == type;
}

bool next_is_name(const struct parser *p, const char *name)
{
    return next_is(p, T_NAME) && names(&p->tokens.items[p->at + 1], name);
}

bool skip_name(struct parser *p, const char *name)
{
    bool found = is_name(p, name);

    if (found)
        advance(p);
    return found;
}

bool skip(struct parser *p, enum token_type type)
{
    bool found = is(p, type);

    if (found)
        advance(p);
    return found;
}

const char *describe(struct parser *p, const struct token *t)
{
    struct builder b;

    build_init(&b, p->vm);
    if (t->type == T_NAME)
        repr_text(&b, t->text);
    else
        repr_text(&b, text_of(p->vm, token_name(t->type)));
    build_add(&b, "", 1);
    return b.data;
}

static _Noreturn void unexpected(struct parser *p, const char *expected)
{
    const struct token *t = current(p);

    if (t->type == T_EOF)
        syntax_error(p->vm, t->line, "unexpected end of template, expected '%s'.", expected);
    syntax_error(p->vm, t->line, "expected token '%s', got %s", expected, describe(p, t));
}

const struct token *expect(struct parser *p, enum token_type type)
{
    if (!is(p, type))
        unexpected(p, token_name(type));
    return advance(p);
}

const struct token *expect_name(struct parser *p, const char *name)
{
    if (!is_name(p, name))
        unexpected(p, name);
    return advance(p);
}

void nodes_add(struct vm *vm, struct nodes *list, struct node *n)
{
    if (list->n == list->cap)
        VM_GROW(vm, list->items, list->n, list->cap, 4);
    list->items[list->n++] = n;
}

struct node *node_new(struct parser *p, enum node_kind kind, int line)
{
    struct node *n = VM_NEW(p->vm, struct node);

    memset(n, 0, sizeof *n);
    n->kind = kind;
    n->line = line;
    p->vm->line = line; /* where a limit is met */
    return n;
}
