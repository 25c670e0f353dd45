/*
 * calls: what `x(...)` gives, arguments bound to the parameters of functions in C, and what these do
 * with them. What a call of something written in the template does is interpret.c's, through r->calls.
 */
#include "text/template/functions.h"
#include "text/template/iter.h"

#include <string.h>

/* ------------------------------------------------------------------ arguments */

bool arg_truth(struct render *r, struct value v, bool fallback)
{
    return v.type == V_MISSING ? fallback : value_truth(r->vm, v);
}

struct text *arg_text(struct render *r, struct value v)
{
    if (v.type != V_STR)
        vm_throw(r->vm, E_TYPE, "argument must be str, not %s", type_name(v));
    return v.s;
}

int64_t arg_int(struct render *r, struct value v, int64_t fallback)
{
    check_defined(r->vm, v);
    return v.type == V_MISSING ? fallback : value_index(r->vm, v);
}

const struct builtin *find_function(const struct functions *table, const struct text *name)
{
    for (size_t i = 0; i < table->n; i++)
        if (text_is(name, table->items[i].name))
            return &table->items[i];
    return NULL;
}

/* ------------------------------------------------------------------ calls */

/* Where a parameter of this name stands; -1: nowhere. */
static int parameter(const char *params, const struct text *name, int *n, int *required)
{
    const char *p = params;
    int found = -1;
    int i = 0;

    *required = -1;
    while (*p) {
        size_t len = strcspn(p, ",|");

        if (len == 0 && *p == '|') {
            *required = i;
            p++;
            continue;
        }
        if (name && len == name->len && memcmp(p, name->data, len) == 0)
            found = i;
        i++;
        p += len;
        if (*p == '|')
            *required = i;
        if (*p)
            p++;
    }
    *n = i;
    if (*required < 0)
        *required = i;
    return found;
}

static void bind_keywords(struct render *r, const struct builtin *fn, const char *params,
                          bool by_keyword, struct value *args, const struct call *call)
{
    int n;
    int required;

    for (size_t i = 0; i < call->n_kw; i++) {
        const struct text *name = call->kw[i].name;
        int at;

        if (!by_keyword)
            vm_throw(r->vm, E_TYPE, "%s() takes no keyword arguments", fn->name);
        at = parameter(params, name, &n, &required);
        if (at < 0)
            vm_throw(r->vm, E_TYPE, "%s() got an unexpected keyword argument '%.*s'", fn->name,
                     (int)name->len, name->data);
        if (args[at].type != V_MISSING)
            vm_throw(r->vm, E_TYPE, "%s() got multiple values for argument '%.*s'", fn->name,
                     (int)name->len, name->data);
        args[at] = call->kw[i].value;
    }
}

struct value call_builtin(struct render *r, const struct builtin *fn, struct value *self,
                          const struct call *call)
{
    struct value args[MAX_PARAMS + 1];
    struct value *bound = args + (self ? 1 : 0);
    bool by_keyword = fn->params[0] != '/';
    const char *params = by_keyword ? fn->params : fn->params + 1;
    int n;
    int required;

    if (self)
        args[0] = *self;
    if (params[0] == '*')
        return fn->run(r, args, call);
    parameter(params, NULL, &n, &required);
    if (call->n > (size_t)n)
        vm_throw(r->vm, E_TYPE, "%s() takes at most %d arguments (%zu given)", fn->name, n,
                 call->n);
    for (int i = 0; i < n; i++)
        bound[i] = (size_t)i < call->n ? call->args[i] : v_of(V_MISSING);
    bind_keywords(r, fn, params, by_keyword, bound, call);
    for (int i = 0; i < required; i++)
        if (bound[i].type == V_MISSING)
            vm_throw(r->vm, E_TYPE, "%s() is missing a required argument", fn->name);
    return fn->run(r, args, call);
}

/* A joiner is a cycler of its separator: pos tells whether it was used. */
static struct value call_joiner(struct render *r, struct value joiner, const struct call *call)
{
    struct cycler *c = joiner.cycler;

    if (call->n || call->n_kw)
        vm_throw(r->vm, E_TYPE, "a joiner is called without arguments");
    if (c->pos)
        return c->items->items[0];
    c->pos = 1;
    return v_str(text_wrap_counted(r->vm, "", 0, 0));
}

static struct value call_loop(struct render *r, struct loop *loop, const struct call *call)
{
    if (!loop->recurse)
        vm_throw(r->vm, E_TYPE,
                 "The loop must have the 'recursive' marker to be called recursively.");
    if (call->n != 1 || call->n_kw)
        vm_throw(r->vm, E_TYPE, "a recursive loop is called with one argument");
    return r->calls->loop(r, loop->recurse, call->args[0], loop->depth0 + 1);
}

struct value call_value(struct render *r, struct value f, const struct call *call)
{
    check_defined(r->vm, f);
    switch (f.type) {
    case V_MACRO:
        return r->calls->macro(r, f.macro, call);
    case V_BUILTIN:
        if (!f.fn->run)
            vm_throw(r->vm, E_TYPE, "'property' object is not callable");
        return call_builtin(r, f.fn, NULL, call);
    case V_METHOD:
        return call_builtin(r, f.method->fn, &f.method->self, call);
    case V_LOOP:
        return call_loop(r, f.loop, call);
    case V_JOINER:
        return call_joiner(r, f, call);
    case V_BLOCK:
        if (call->n || call->n_kw)
            vm_throw(r->vm, E_TYPE, "a block is called without arguments");
        return r->calls->block(r, f.p);
    default:
        vm_throw(r->vm, E_TYPE, "'%s' object is not callable", type_name(f));
    }
}
