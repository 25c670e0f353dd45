/*
 * undefined: what is not there, and what its use says. See value.h.
 */
#include "text/template/iter.h"
#include "text/template/value.h"

#include <string.h>

static struct value undefined_of(struct vm *vm, struct undefined u)
{
    struct undefined *copy = VM_NEW(vm, struct undefined);

    *copy = u;
    return (struct value){.type = V_UNDEFINED, .u = copy};
}

struct value undefined_new(struct vm *vm, const char *hint)
{
    return undefined_of(vm, (struct undefined){.hint = text_of(vm, hint)});
}

struct value undefined_name(struct vm *vm, const struct text *name)
{
    return undefined_of(vm, (struct undefined){.name = name});
}

struct value undefined_item(struct vm *vm, struct value object, struct value key)
{
    if (key.type == V_STR)
        return undefined_of(vm, (struct undefined){.name = key.s, .object = object});
    return undefined_of(vm, (struct undefined){.key = key, .object = object});
}

static const char *object_type(struct vm *vm, struct value v)
{
    static const char *const MODULES[] = {
        [V_NAMESPACE] = "transformers.utils.chat_template_utils.",
        [V_LOOP] = "jinja2.runtime.",
        [V_MACRO] = "jinja2.runtime.",
        [V_CYCLER] = "jinja2.utils.",
        [V_JOINER] = "jinja2.utils.",
        [V_SELF] = "jinja2.runtime.",
        [V_BLOCK] = "jinja2.runtime.",
    };
    const char *module = v.type == V_STR && v.s->safe ? "markupsafe." : MODULES[v.type];

    if (v.type == V_NONE)
        return "None";
    if (v.type == V_BUILTIN && strcmp(type_name(v), "TemplateDict") == 0)
        return "transformers.utils.chat_template_utils.TemplateDict object";
    if (v.type == V_TUPLE && v.l->group)
        return "jinja2.filters._GroupTuple object";
    return text_printf(vm, "%s%s object", module ? module : "",
                       v.type == V_ITER ? v.it->type : type_name(v))
        ->data;
}

struct text *undefined_message(struct vm *vm, const struct undefined *u)
{
    struct builder b;

    if (u->hint)
        return (struct text *)(uintptr_t)u->hint;
    build_init(&b, vm);
    if (u->object.type == V_MISSING) {
        repr_text(&b, u->name);
        build_str(&b, " is undefined");
    } else if (!u->name) {
        build_str(&b, object_type(vm, u->object));
        build_str(&b, " has no element ");
        build_repr(&b, u->key);
    } else {
        build_char(&b, '\'');
        build_str(&b, object_type(vm, u->object));
        build_str(&b, "' has no attribute ");
        repr_text(&b, u->name);
    }
    return build_done(&b);
}

void check_defined(struct vm *vm, struct value v)
{
    struct text *message = v.type == V_UNDEFINED ? undefined_message(vm, v.u) : NULL;

    if (message)
        vm_throw(vm, v.u->security ? E_SECURITY : E_UNDEFINED, "%.*s",
                 (int)(message->len < 900 ? message->len : 900), message->data);
}
