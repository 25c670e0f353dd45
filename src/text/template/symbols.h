/*
 * symbols: which variable a name means, as jinja2's idtracking decides it: a scope's names, what
 * each starts with, and what an `if` may have set.
 */
#ifndef INF_TEXT_TEMPLATE_SYMBOLS_H
#define INF_TEXT_TEMPLATE_SYMBOLS_H

#include "text/template/engine.h"

/* A variable of a function: its name and the depth of its scope. Scopes of one depth that follow
 * one another in a function share them. */
struct ident {
    struct text *name;
    int level;
    uint16_t slot;
    struct function *function;
    struct ident *next;
};

struct symbol {
    struct text *name;
    struct ident *ident;
    struct ident *outer; /* of an alias */
    enum load_action action;
    bool stored;
};

struct symbols {
    struct symbols *parent;
    struct function *function;
    struct vm *vm;
    int level;
    struct symbol *items;
    size_t n;
    size_t cap;
};

struct function *function_new(struct vm *vm, struct function *parent);
struct symbols *symbols_new(struct vm *vm, struct symbols *parent, struct function *function);
void symbols_parameter(struct symbols *s, struct text *name);
struct ident *symbols_find(const struct symbols *s, const struct text *name);
/* What a node of this kind has in a scope of its own: its names go into s. */
void symbols_add_body(struct symbols *s, const struct nodes *body);
void symbols_add(struct symbols *s, const struct node *n);
void symbols_add_target(struct symbols *s, const struct node *target); /* as parameters */
/* Whether `name` is loaded in there before it is set. */
bool finds_undeclared(struct vm *vm, const struct nodes *body, const char *name);

#endif
