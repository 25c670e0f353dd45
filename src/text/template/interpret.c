/*
 * interpret: statements of a resolved template, executed. Expressions are in evaluate.c.
 */
#include "text/template/engine.h"
#include "text/template/iter.h"

#include <string.h>

enum flow { NEXT, BREAK, CONTINUE };

static enum flow execute(struct render *r, const struct node *n);

/* ------------------------------------------------------------------ output */

static void put(struct render *r, const struct text *s)
{
    if (!buffer_append(r->out, s->data, s->len))
        vm_throw(r->vm, r->out->len + s->len > r->out->limit ? E_LIMIT : E_MEMORY,
                 "its text is longer than %zu bytes", r->out->limit);
    vm_step(r->vm, s->len / 64);
}

static bool escapes(const struct render *r, enum escape_mode mode)
{
    return mode == ESCAPE_ON || (mode == ESCAPE_AT_RUNTIME && r->autoescape);
}

static void put_value(struct render *r, const struct node *n, struct value v)
{
    if (escapes(r, n->escape))
        put(r, text_escape(r->vm, v));
    else
        put(r, v.type == V_STR ? v.s : value_str(r->vm, v));
}

/* What a filter or a call gave in the place of a text: Python finds out when it joins the texts. */
static void put_text(struct render *r, struct value v)
{
    if (v.type == V_STR)
        put(r, v.s);
    else
        r->not_text = type_name(v);
}

static void check_joined(const struct render *r)
{
    if (r->not_text)
        vm_throw(r->vm, E_TYPE, "expected str instance, %s found", r->not_text);
}

/* A part of the text that is taken back as a value. */
struct capture {
    size_t start;
    const char *not_text; /* what is around it has such a thing */
};

static struct capture capture(struct render *r)
{
    struct capture c = {.start = r->out->len, .not_text = r->not_text};

    r->not_text = NULL;
    return c;
}

/* What was written meanwhile is gone. */
static void drop(struct render *r, const struct capture *c)
{
    r->out->len = c->start;
    r->not_text = c->not_text;
}

static struct text *take(struct render *r, const struct capture *c)
{
    struct text *s = text_new(r->vm, r->out->len > c->start ? r->out->data + c->start : "",
                              r->out->len - c->start);

    check_joined(r);
    drop(r, c);
    return s;
}

static void execute_output(struct render *r, const struct node *n)
{
    for (size_t i = 0; i < n->list.n; i++) {
        const struct node *child = n->list.items[i];

        if (child->kind == N_DATA) {
            put(r, child->value.s);
            continue;
        }
        r->vm->line = child->line;
        put_value(r, child, evaluate(r, child));
    }
}

/* ------------------------------------------------------------------ scopes */

static struct env *env_new(struct render *r, const struct function *f, struct env *parent)
{
    struct env *env = vm_alloc(r->vm, sizeof *env + f->n_slots * sizeof(struct value));

    env->parent = parent;
    for (size_t i = 0; i < f->n_slots; i++)
        env->slots[i] = v_of(V_MISSING);
    return env;
}

static struct value resolve(struct render *r, struct text *name)
{
    struct value *found = r->exported ? dict_get_text(r->exported, name) : NULL;

    if (!found)
        found = dict_get_text(r->variables, name);
    return found ? *found : find_global(name);
}

static void enter_scope(struct render *r, const struct scope *scope)
{
    for (size_t i = 0; i < scope->n; i++) {
        const struct load *load = &scope->loads[i];
        struct value *to = slot_of(r, load->to);

        if (load->action == LOAD_RESOLVE)
            *to = resolve(r, load->name);
        else if (load->action == LOAD_ALIAS)
            *to = *slot_of(r, load->from);
        else
            *to = v_of(V_MISSING);
    }
}

static void leave_scope(struct render *r, const struct scope *scope)
{
    for (size_t i = 0; i < scope->n; i++)
        *slot_of(r, scope->loads[i].to) = v_of(V_MISSING);
}

static enum flow execute_body(struct render *r, const struct nodes *body)
{
    enum flow flow = NEXT;

    for (size_t i = 0; flow == NEXT && i < body->n; i++) {
        const struct node *n = body->items[i];

        vm_step(r->vm, 2);
        if (n->kind == N_OUTPUT)
            execute_output(r, n);
        else
            flow = execute(r, n);
    }
    return flow;
}

/* ------------------------------------------------------------------ assignments */

static void assign(struct render *r, const struct node *target, struct value v);

/* What a block is set to may also be an item of a dict: jinja2 does not look there. */
static void assign_attribute(struct render *r, const struct node *target, struct value v)
{
    struct value ns = *slot_of(r, target->place);

    if (ns.type != V_NAMESPACE && (ns.type != V_DICT || ns.d->proxy))
        vm_throw(r->vm, E_TYPE, "'%s' object does not support item assignment", type_name(ns));
    if (ns.type == V_NAMESPACE && target->value.s->len && target->value.s->data[0] == '_')
        vm_throw(r->vm, E_SECURITY,
                 "Chat templates cannot store underscore-prefixed attributes on a namespace, but "
                 "got %s. Please rename the attribute.",
                 repr_chars(r->vm, target->value));
    dict_set(r->vm, ns.d, target->value, v);
}

static void unpack(struct render *r, const struct node *target, struct value v)
{
    struct iter *it = iter_try(r->vm, v);
    struct list *items = list_new(r->vm, target->list.n);
    struct value item;

    if (!it)
        vm_throw(r->vm, E_TYPE, "cannot unpack non-iterable %s object", type_name(v));
    while (items->len <= target->list.n && iter_next(r->vm, it, &item))
        list_add(r->vm, items, item);
    if (items->len > target->list.n)
        vm_throw(r->vm, E_VALUE, "too many values to unpack (expected %zu)", target->list.n);
    if (items->len < target->list.n)
        vm_throw(r->vm, E_VALUE, "not enough values to unpack (expected %zu, got %zu)",
                 target->list.n, items->len);
    for (size_t i = 0; i < items->len; i++)
        assign(r, target->list.items[i], items->items[i]);
}

static void assign(struct render *r, const struct node *target, struct value v)
{
    if (target->kind == N_NAME)
        *slot_of(r, target->place) = v;
    else if (target->kind == N_NSREF)
        assign_attribute(r, target, v);
    else
        unpack(r, target, v);
}

static void check_namespaces(struct render *r, const struct node *target)
{
    if (target->kind == N_NSREF && slot_of(r, target->place)->type != V_NAMESPACE)
        vm_throw(r->vm, E_RUNTIME, "cannot assign attribute on non-namespace object");
    for (size_t i = 0; target->kind == N_TUPLE && i < target->list.n; i++)
        check_namespaces(r, target->list.items[i]);
}

/* What is set at the top is seen by blocks. */
static void export_names(struct render *r, const struct node *target)
{
    if (target->kind == N_NAME)
        dict_set(r->vm, r->exported, v_str(target->name), *slot_of(r, target->place));
    for (size_t i = 0; target->kind == N_TUPLE && i < target->list.n; i++)
        export_names(r, target->list.items[i]);
}

static void execute_assign(struct render *r, const struct node *n)
{
    check_namespaces(r, n->a);
    assign(r, n->a, evaluate(r, n->b));
    if (n->flag && r->exported)
        export_names(r, n->a);
}

static struct value marked(struct render *r, struct text *s)
{
    return v_str(text_marked(r->vm, s, r->autoescape));
}

/* Filters of a block get the block's text where they have no operand. */
static struct value apply_filters(struct render *r, const struct node *filter, struct value text)
{
    struct call call = {0};

    if (!filter)
        return text;
    if (filter->a)
        text = apply_filters(r, filter->a, text);
    r->vm->line = filter->line;
    fill_call(r, filter, &call, 1);
    call.args[0] = text;
    if (!filter->fn)
        vm_throw(r->vm, E_RUNTIME, "No filter named '%.*s' found.", (int)filter->name->len,
                 filter->name->data);
    return call_builtin(r, filter->fn, NULL, &call);
}

static enum flow execute_assign_block(struct render *r, const struct node *n)
{
    struct capture start = capture(r);
    enum flow flow;
    struct value v;

    enter_scope(r, &n->scope);
    flow = execute_body(r, &n->list);
    if (flow != NEXT) {
        drop(r, &start);
        return flow;
    }
    v = v_str(take(r, &start));
    r->vm->line = n->line;
    if (n->b) {
        if (escapes(r, n->escape))
            v = v_str(text_marked(r->vm, v.s, true));
        v = apply_filters(r, n->b, v);
        if (r->autoescape)
            v = marked(r, value_str(r->vm, v));
    } else {
        v = marked(r, v.s);
    }
    assign(r, n->a, v);
    if (n->flag && r->exported)
        export_names(r, n->a);
    leave_scope(r, &n->scope);
    return NEXT;
}

static enum flow execute_filter_block(struct render *r, const struct node *n)
{
    struct capture start = capture(r);
    enum flow flow;
    struct text *s;

    enter_scope(r, &n->scope);
    flow = execute_body(r, &n->list);
    if (flow != NEXT) {
        drop(r, &start);
        return flow;
    }
    s = take(r, &start);
    r->vm->line = n->line;
    s = text_marked(r->vm, s, escapes(r, n->escape));
    put_text(r, apply_filters(r, n->a, v_str(s)));
    leave_scope(r, &n->scope);
    return NEXT;
}

/* ------------------------------------------------------------------ conditions and scopes */

static enum flow execute_if(struct render *r, const struct node *n)
{
    for (size_t i = 0; i < n->list.n; i++) {
        const struct node *branch = n->list.items[i];

        r->vm->line = branch->line;
        if (value_truth(r->vm, evaluate(r, branch->a)))
            return execute_body(r, &branch->list);
    }
    return execute_body(r, &n->list2);
}

static enum flow execute_with(struct render *r, const struct node *n)
{
    enum flow flow;

    enter_scope(r, &n->scope);
    for (size_t i = 0; i < n->list2.n; i++)
        assign(r, n->list2.items[i], evaluate(r, n->a->list.items[i]));
    flow = execute_body(r, &n->list);
    leave_scope(r, &n->scope);
    return flow;
}

static enum flow execute_autoescape(struct render *r, const struct node *n)
{
    bool outer = r->autoescape;
    enum flow flow;

    enter_scope(r, &n->scope);
    r->autoescape = value_truth(r->vm, evaluate(r, n->a));
    flow = execute_body(r, &n->list);
    if (flow == NEXT) /* as in jinja2, which does not set it back when a loop is left */
        r->autoescape = outer;
    leave_scope(r, &n->scope);
    return flow;
}

/* ------------------------------------------------------------------ loops */

/* The `if` of a for, as a generator. */
struct tested {
    const struct node *loop;
    struct env *env;
    struct render *render;
};

static struct value target_value(struct render *r, const struct node *target)
{
    struct list *l;

    if (target->kind == N_NAME)
        return *slot_of(r, target->place);
    l = list_new(r->vm, target->list.n);
    for (size_t i = 0; i < target->list.n; i++)
        list_add(r->vm, l, target_value(r, target->list.items[i]));
    return v_tuple(l);
}

static bool next_tested(struct vm *vm, struct iter *it, struct value *out)
{
    struct tested *t = it->state;
    struct render *r = t->render;
    struct env *outer = r->env;
    const struct for_info *info = t->loop->info;
    bool found = false;

    r->env = t->env;
    if (it->pos++ == 0)
        enter_scope(r, &info->test_scope);
    while (!found && iter_next(vm, it->inner, out)) {
        assign(r, info->test_target, *out);
        found = value_truth(vm, evaluate(r, t->loop->c));
        if (found)
            *out = target_value(r, info->test_target);
    }
    r->env = outer;
    return found;
}

static struct value with_test(struct render *r, const struct node *n, struct value items)
{
    const struct for_info *info = n->info;
    struct tested *t = VM_NEW(r->vm, struct tested);
    struct iter *it = iter_new(r->vm, "generator", next_tested, items);

    *t = (struct tested){.loop = n, .env = env_new(r, info->test, r->env), .render = r};
    /* A recursive loop's function lies between: the test was made outside of it. */
    if (info->body)
        t->env->parent = r->env->parent;
    it->inner = iter_of(r->vm, items);
    it->state = t;
    return v_iter(it);
}

static struct loop *loop_new(struct render *r, struct value items, int64_t depth)
{
    struct loop *loop = VM_NEW(r->vm, struct loop);

    *loop = (struct loop){.it = iter_of(r->vm, items),
                          .iterable = items,
                          .index0 = -1,
                          .length = -1,
                          .depth0 = depth};
    return loop;
}

/* The turns of a loop whose variable, if it has one, is `loop`. *turns: there was one. */
static enum flow run_turns(struct render *r, const struct node *n, struct iter *it,
                           struct loop *loop, bool *turns)
{
    const struct for_info *info = n->info;
    struct value item;

    while (loop ? loop_next(r->vm, loop, &item) : iter_next(r->vm, it, &item)) {
        enum flow flow;

        r->vm->line = n->line;
        assign(r, n->a, item);
        if (loop)
            *slot_of(r, info->loop) = (struct value){.type = V_LOOP, .loop = loop};
        enter_scope(r, &n->scope);
        flow = execute_body(r, &n->list);
        if (flow == BREAK)
            break;
        /* jinja2 notes that the loop ran at the end of a turn: not after break or continue */
        *turns = *turns || flow == NEXT;
    }
    return NEXT;
}

static enum flow run_loop(struct render *r, const struct node *n, struct value items,
                          struct recurse *recurse, int64_t depth)
{
    const struct for_info *info = n->info;
    struct loop *loop = NULL;
    struct iter *it = NULL;
    bool turns = false;
    enum flow flow = NEXT;

    if (n->c)
        items = with_test(r, n, items);
    if (info->extended) {
        *slot_of(r, info->loop) = v_of(V_MISSING);
        loop = loop_new(r, items, depth);
        loop->recurse = recurse;
    } else {
        it = iter_of(r->vm, items);
    }
    run_turns(r, n, it, loop, &turns);
    leave_scope(r, &n->scope);
    if (!turns && n->list2.n) {
        enter_scope(r, &info->else_scope);
        flow = execute_body(r, &n->list2);
        leave_scope(r, &info->else_scope);
    }
    return flow;
}

static struct value call_recursive(struct render *r, const struct recurse *to, struct value items,
                                   int64_t depth)
{
    const struct for_info *info = to->node->info;
    struct env *outer = r->env;
    struct capture start = capture(r);
    struct text *s;

    vm_enter(r->vm);
    r->env = env_new(r, info->body, to->env);
    run_loop(r, to->node, items, (struct recurse *)(uintptr_t)to, depth);
    r->env = outer;
    vm_leave(r->vm);
    s = take(r, &start);
    return v_str(text_marked(r->vm, s, escapes(r, to->node->escape)));
}

static enum flow execute_for(struct render *r, const struct node *n)
{
    struct value items;
    struct recurse *recurse;

    r->vm->line = n->line;
    items = evaluate(r, n->b);
    if (!n->flag)
        return run_loop(r, n, items, NULL, 0);
    recurse = VM_NEW(r->vm, struct recurse);
    *recurse = (struct recurse){.node = n, .env = r->env};
    put(r, call_recursive(r, recurse, items, 0).s);
    return NEXT;
}

/* ------------------------------------------------------------------ macros */

static struct value macro_new(struct render *r, const struct node *n)
{
    struct macro *m = VM_NEW(r->vm, struct macro);

    *m = (struct macro){.info = n->info, .node = n, .env = r->env};
    return (struct value){.type = V_MACRO, .macro = m};
}

/* Takes a keyword argument out; V_MISSING: it is not there. */
static struct value take_keyword(struct call *call, const char *name, const struct text *text)
{
    for (size_t i = 0; i < call->n_kw; i++) {
        struct value v = call->kw[i].value;

        if (text ? !text_equal(call->kw[i].name, text) : !text_is(call->kw[i].name, name))
            continue;
        memmove(&call->kw[i], &call->kw[i + 1], (call->n_kw - i - 1) * sizeof *call->kw);
        call->n_kw--;
        return v;
    }
    return v_of(V_MISSING);
}

static const char *shown_name(struct render *r, const struct macro_info *info)
{
    return info->name ? repr_chars(r->vm, v_str(info->name)) : "None";
}

static void check_keywords(struct render *r, const struct macro_info *info, const struct call *call)
{
    if (!call->n_kw)
        return;
    for (size_t i = 0; i < call->n_kw; i++)
        if (text_is(call->kw[i].name, "caller"))
            vm_throw(r->vm, E_TYPE,
                     "macro %s was invoked with two values for the special caller argument. This "
                     "is most likely a bug.",
                     shown_name(r, info));
    vm_throw(r->vm, E_TYPE, "macro %s takes no keyword argument %s", shown_name(r, info),
             repr_chars(r->vm, v_str(call->kw[0].name)));
}

static struct value keywords_dict(struct render *r, const struct call *call)
{
    struct dict *d = dict_new(r->vm);

    for (size_t i = 0; i < call->n_kw; i++)
        dict_set(r->vm, d, v_str(call->kw[i].name), call->kw[i].value);
    return v_dict(d);
}

static void bind_special(struct render *r, const struct macro_info *info, struct call *call,
                         bool found_caller)
{
    size_t used = call->n < info->n ? call->n : info->n;

    if (info->takes_caller && !found_caller) {
        struct value caller = take_keyword(call, "caller", NULL);

        if (caller.type == V_MISSING || caller.type == V_NONE)
            caller = undefined_new(r->vm, "No caller defined");
        *slot_of(r, info->caller) = caller;
    }
    if (info->takes_kwargs)
        *slot_of(r, info->kwargs) = keywords_dict(r, call);
    else
        check_keywords(r, info, call);
    if (info->takes_varargs) {
        struct list *rest = list_new(r->vm, call->n - used);

        for (size_t i = used; i < call->n; i++)
            list_add(r->vm, rest, call->args[i]);
        *slot_of(r, info->varargs) = v_tuple(rest);
    } else if (call->n > info->n) {
        vm_throw(r->vm, E_TYPE, "macro %s takes not more than %zu argument(s)", shown_name(r, info),
                 info->n);
    }
}

/* Arguments into the variables of r->env, the macro's own. */
static void bind_arguments(struct render *r, const struct macro_info *info, struct call *call)
{
    bool found_caller = call->n >= info->n && info->explicit_caller;

    for (size_t i = 0; i < info->n; i++) {
        struct value v;

        if (i < call->n) {
            v = call->args[i];
        } else {
            v = take_keyword(call, NULL, info->names[i]);
            found_caller = found_caller || text_is(info->names[i], "caller");
        }
        *slot_of(r, info->params[i]) = v;
    }
    bind_special(r, info, call, found_caller);
}

static void fill_defaults(struct render *r, const struct macro_info *info)
{
    for (size_t i = 0; i < info->n; i++) {
        struct value *param = slot_of(r, info->params[i]);

        if (param->type != V_MISSING)
            continue;
        if (info->defaults[i]) {
            struct value v = evaluate(r, info->defaults[i]);

            *param = v;
        } else {
            *param = undefined_new(r->vm,
                                   text_printf(r->vm, "parameter '%.*s' was not provided",
                                               (int)info->names[i]->len, info->names[i]->data)
                                       ->data);
        }
    }
}

static struct value call_macro(struct render *r, const struct macro *m, const struct call *call)
{
    struct env *outer = r->env;
    struct capture start = capture(r);
    struct call rest = *call;
    int line = r->vm->line;
    struct text *s;

    if (call->n_kw) {
        rest.kw = VM_ARRAY(r->vm, struct keyword, call->n_kw);
        memcpy(rest.kw, call->kw, call->n_kw * sizeof *rest.kw);
    }
    vm_enter(r->vm);
    r->env = env_new(r, m->info->function, m->env);
    bind_arguments(r, m->info, &rest);
    enter_scope(r, &m->node->scope);
    fill_defaults(r, m->info);
    execute_body(r, &m->node->list);
    r->env = outer;
    vm_leave(r->vm);
    s = take(r, &start);
    r->vm->line = line;
    return v_str(text_marked(r->vm, s, r->autoescape));
}

static void execute_call_block(struct render *r, const struct node *n)
{
    struct value caller = macro_new(r, n);
    struct call call = {0};
    struct value f;

    r->vm->line = n->line;
    f = evaluate(r, n->a->a);
    fill_call(r, n->a, &call, 0);
    call.kw[call.n_kw++] = (struct keyword){.name = text_of(r->vm, "caller"), .value = caller};
    put_text(r, call_value(r, f, &call));
}

static void execute_generation(struct render *r, const struct node *n)
{
    struct call none = {0};

    put(r, value_str(r->vm, call_macro(r, macro_new(r, n).macro, &none)));
}

static void execute_macro(struct render *r, const struct node *n)
{
    struct value m = macro_new(r, n);

    *slot_of(r, n->place) = m;
    if (n->flag && r->exported)
        dict_set(r->vm, r->exported, v_str(n->name), m);
}

/* ------------------------------------------------------------------ blocks */

static void run_block(struct render *r, const struct block_info *block)
{
    struct env *outer = r->env;

    vm_enter(r->vm);
    r->env = env_new(r, block->function, NULL);
    if (block->uses_self)
        *slot_of(r, block->self) = v_of(V_SELF);
    if (block->uses_super)
        *slot_of(r, block->super) = undefined_new(
            r->vm, text_printf(r->vm, "there is no parent block called '%.*s'.",
                               (int)block->name->len, block->name->data)
                       ->data);
    enter_scope(r, &block->scope);
    execute_body(r, &block->node->list);
    r->env = outer;
    vm_leave(r->vm);
}

static struct value call_block(struct render *r, const struct block_info *block)
{
    struct capture start = capture(r);

    run_block(r, block);
    return marked(r, take(r, &start));
}

static void execute_block(struct render *r, const struct node *n)
{
    const struct block_info *block = n->info;
    struct dict *outer = r->exported;

    if (n->flag2)
        vm_throw(r->vm, E_RUNTIME, "Required block '%.*s' not found", (int)n->name->len,
                 n->name->data);
    if (n->flag) {
        struct dict *seen = dict_copy(r->vm, outer);

        for (size_t i = 0; i < block->n; i++) {
            struct value v = *slot_of(r, block->places[i]);

            if (v.type != V_MISSING)
                dict_set(r->vm, seen, v_str(block->names[i]), v);
        }
        r->exported = seen;
    }
    run_block(r, block);
    r->exported = outer;
}

/* ------------------------------------------------------------------ all of them */

static enum flow execute_node(struct render *r, const struct node *n)
{
    switch (n->kind) {
    case N_IF:
        return execute_if(r, n);
    case N_FOR:
        return execute_for(r, n);
    case N_ASSIGN:
        r->vm->line = n->line;
        execute_assign(r, n);
        return NEXT;
    case N_ASSIGNBLOCK:
        return execute_assign_block(r, n);
    case N_WITH:
        return execute_with(r, n);
    case N_AUTOESCAPE:
        return execute_autoescape(r, n);
    case N_FILTERBLOCK:
        return execute_filter_block(r, n);
    case N_MACRO:
        execute_macro(r, n);
        return NEXT;
    case N_CALLBLOCK:
        execute_call_block(r, n);
        return NEXT;
    case N_GENERATION:
        execute_generation(r, n);
        return NEXT;
    case N_BLOCK:
        execute_block(r, n);
        return NEXT;
    case N_BREAK:
        return BREAK;
    case N_CONTINUE:
        return CONTINUE;
    default: /* N_LOADER */
        r->vm->line = n->line;
        evaluate(r, n->a);
        vm_throw(r->vm, E_TYPE, "no loader for this environment specified");
    }
}

static enum flow execute(struct render *r, const struct node *n)
{
    enum flow flow;

    vm_enter(r->vm);
    flow = execute_node(r, n);
    vm_leave(r->vm);
    return flow;
}

void template_execute(struct render *r)
{
    static const struct template_calls CALLS = {call_macro, call_recursive, call_block};

    r->calls = &CALLS;
    r->env = env_new(r, r->tree->function, NULL);
    if (r->tree->blocks)
        r->exported = dict_new(r->vm);
    if (r->tree->uses_self)
        *slot_of(r, r->tree->self) = v_of(V_SELF);
    enter_scope(r, &r->tree->scope);
    execute_body(r, &r->tree->body);
    check_joined(r);
}
