/*
 * template: see the header. Compiling and rendering each enter a vm of their own; what they use is
 * given back in one place.
 */
#include "text/template/template.h"

#include "core/dots.h"
#include "core/memory.h"
#include "core/utf8.h"
#include "text/template/functions.h"
#include "text/template/limits.h"

#include <string.h>

struct template
{
    struct vm vm;      /* holds the tree */
    struct vm scratch; /* empty but while compiling */
    struct tree *tree;
};

/* ------------------------------------------------------------------ errors */

static int32_t error_of(const struct vm *vm, const char *what, inf_error *err)
{
    switch (vm->kind) {
    case E_MEMORY:
        return error_no_memory(err);
    case E_CANCELLED:
        return error_set(err, INF_ERROR_CANCELLED, "%s: %s", what, vm->message);
    case E_ARGUMENT:
        return error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, vm->detail, "%s", vm->message);
    case E_UNSUPPORTED:
        return error_set_detail(err, INF_ERROR_UNSUPPORTED, vm->detail, "%s", vm->message);
    case E_RAISED:
        return error_set(err, INF_ERROR_TEMPLATE, "the chat template refuses the messages: %s",
                         vm->message);
    default:
        if (vm->line > 0)
            return error_set_detail(err, INF_ERROR_TEMPLATE, vm->line, "%s: line %d: %s", what,
                                    vm->line, vm->message);
        return error_set(err, INF_ERROR_TEMPLATE, "%s: %s", what, vm->message);
    }
}

/* ------------------------------------------------------------------ compiling */

static void compile(struct template *t, inf_text source)
{
    if (source.len > MAX_SOURCE_BYTES)
        vm_throw(&t->vm, E_LIMIT, "it is longer than %zu bytes", MAX_SOURCE_BYTES);
    if (!utf8_valid(source.data, source.len))
        vm_throw(&t->vm, E_LIMIT, "it is not valid UTF-8");
    t->tree = template_parse(&t->vm, template_lex(&t->vm, source.data, source.len));
    template_resolve(&t->vm, t->tree);
    template_fold(&t->vm, &t->scratch, t->tree);
    template_check(&t->vm, t->tree);
}

int32_t template_compile(struct template **out, inf_text source, inf_error *err)
{
    struct template *t = mem_alloc(sizeof *t);
    struct dots dots;
    int32_t code = INF_OK;

    *out = NULL;
    if (!t)
        return error_no_memory(err);
    dots_begin(&dots);
    if (!source.data)
        source = (inf_text){"", 0};
    vm_init(&t->vm, MAX_TREE_BYTES);
    t->vm.max_steps = MAX_STEPS;
    t->vm.max_depth = MAX_TREE_DEPTH;
    t->tree = NULL;
    vm_init(&t->scratch, 0);
    if (setjmp(t->vm.on_error) == 0)
        compile(t, source);
    else
        code = error_of(&t->vm, "the chat template cannot be used", err);
    vm_free(&t->scratch);
    dots_end(&dots);
    if (code == INF_OK)
        *out = t;
    else
        template_free(t);
    return code;
}

void template_free(struct template *t)
{
    if (!t)
        return;
    vm_free(&t->vm);
    mem_free(t);
}

/* ------------------------------------------------------------------ rendering */

static void check_text(struct vm *vm, const struct buffer *text)
{
    if (!utf8_valid(text->data ? text->data : "", text->len))
        vm_throw(vm, E_VALUE, "its text has a half of a surrogate pair, which is no character");
}

int64_t template_deadline_us(void)
{
    return vm_clock_us() + MAX_TIME_US;
}

/* What a rendering holds, so that it is seen after a failure too. */
struct rendering {
    struct vm vm;
    struct buffer text;
    struct render r;
};

static int32_t run(struct rendering *x, const struct template_input *input, inf_error *err)
{
    if (setjmp(x->vm.on_error) != 0)
        return error_of(&x->vm, "the chat template failed", err);
    x->r.variables = dict_new(&x->vm);
    if (input->fill)
        input->fill(&x->vm, x->r.variables, input->arg);
    vm_refuel(&x->vm, 0);
    template_execute(&x->r);
    check_text(&x->vm, &x->text);
    return INF_OK;
}

int32_t template_render(const struct template *t, const struct template_input *input,
                        struct buffer *out, inf_error *err)
{
    struct rendering *x = mem_calloc(1, sizeof *x);
    struct dots dots;
    int32_t code;

    if (!x)
        return error_no_memory(err);
    vm_init(&x->vm, MAX_RENDER_BYTES);
    buffer_init(&x->text, MAX_TEXT_BYTES);
    x->vm.stop = input->stop;
    x->vm.max_steps = MAX_STEPS;
    x->r = (struct render){
        .vm = &x->vm, .tree = t->tree, .library = &LIBRARY, .out = &x->text, .now = input->now};
    x->vm.deadline_us = input->deadline_us ? input->deadline_us : template_deadline_us();
    dots_begin(&dots);
    code = run(x, input, err);
    dots_end(&dots);
    if (code == INF_OK && x->text.len && !buffer_append(out, x->text.data, x->text.len))
        code = error_no_memory(err);
    buffer_free(&x->text);
    vm_free(&x->vm);
    mem_free(x);
    return code;
}
