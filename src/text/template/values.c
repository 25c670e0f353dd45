/*
 * values: types, numbers and identity as Python has them. See value.h.
 */
#include "text/template/value.h"

#include <string.h>

const char *class_name(struct value v)
{
    static const char *const NAMES[][2] = {
        {"namespace",
         "transformers.utils.chat_template_utils._cached_compile_jinja_template.<locals>."
         "TemplateNamespace"},
        {"cycler", "jinja2.utils.Cycler"},
        {"joiner", "jinja2.utils.Joiner"},
    };

    for (size_t i = 0; v.type == V_BUILTIN && i < sizeof NAMES / sizeof *NAMES; i++)
        if (strcmp(v.fn->name, NAMES[i][0]) == 0)
            return NAMES[i][1];
    return NULL;
}

const char *type_name(struct value v)
{
    static const char *const NAMES[] = {
        [V_MISSING] = "MissingType",
        [V_UNDEFINED] = "Undefined",
        [V_NONE] = "NoneType",
        [V_BOOL] = "bool",
        [V_INT] = "int",
        [V_FLOAT] = "float",
        [V_STR] = "str",
        [V_LIST] = "list",
        [V_TUPLE] = "tuple",
        [V_DICT] = "dict",
        [V_RANGE] = "range",
        [V_VIEW] = "dict_keys",
        [V_SET] = "set",
        [V_ITER] = "generator",
        [V_NAMESPACE] = "TemplateNamespace",
        [V_LOOP] = "LoopContext",
        [V_MACRO] = "Macro",
        [V_BUILTIN] = "function",
        [V_METHOD] = "builtin_function_or_method",
        [V_CYCLER] = "Cycler",
        [V_JOINER] = "Joiner",
        [V_SLICE] = "slice",
        [V_SELF] = "TemplateReference",
        [V_BLOCK] = "BlockReference",
    };
    static const char *const VIEWS[] = {"dict_keys", "dict_values", "dict_items"};

    if (v.type == V_STR && v.s->safe)
        return "Markup";
    if (v.type == V_DICT && v.d->proxy)
        return "mappingproxy";
    if (v.type == V_BUILTIN && !v.fn->run)
        return "property";
    if (v.type == V_BUILTIN && strcmp(v.fn->name, "dict") == 0)
        return "TemplateDict";
    if (class_name(v))
        return "type";
    if (v.type == V_VIEW)
        return VIEWS[v.view->kind];
    return NAMES[v.type];
}

/* Methods that a Markup has of its own, not of str. */
static bool is_markup_method(const char *name)
{
    static const char *const OF_STR[] = {
        "count",     "endswith",  "find",    "index",   "isalnum",      "isalpha",   "isascii",
        "isdecimal", "isdigit",   "islower", "isspace", "isidentifier", "isnumeric", "isupper",
        "istitle",   "maketrans", "rfind",   "rindex",  "isprintable",  "startswith"};

    for (size_t i = 0; i < sizeof OF_STR / sizeof *OF_STR; i++)
        if (strcmp(name, OF_STR[i]) == 0)
            return false;
    return true;
}

const char *method_type(const struct method *m)
{
    struct value self = m->self;

    if (self.type == V_LOOP || self.type == V_CYCLER || self.type == V_BUILTIN)
        return "method";
    if (self.type == V_STR && strncmp(m->fn->name, "format", 6) == 0)
        return "wrapper";
    return self.type == V_STR && self.s->safe && is_markup_method(m->fn->name)
               ? "method"
               : "builtin_function_or_method";
}

bool is_integer(struct value v)
{
    return v.type == V_INT || v.type == V_BOOL;
}

bool is_number(struct value v)
{
    return is_integer(v) || v.type == V_FLOAT;
}

double number_double(struct value v)
{
    return v.type == V_FLOAT ? v.f : (double)number_integer(v);
}

int64_t value_index(struct vm *vm, struct value v)
{
    if (!is_integer(v))
        vm_throw(vm, E_TYPE, "'%s' object cannot be interpreted as an integer", type_name(v));
    return number_integer(v);
}

bool value_same(struct value a, struct value b)
{
    if (a.type != b.type)
        return false;
    switch (a.type) {
    case V_NONE:
    case V_MISSING:
        return true;
    case V_BOOL:
        return a.b == b.b;
    case V_INT:
        return a.i == b.i;
    case V_FLOAT:
        return memcmp(&a.f, &b.f, sizeof a.f) == 0;
    case V_STR:
        return a.s == b.s || (a.s->safe == b.s->safe && text_equal(a.s, b.s));
    case V_METHOD:
    case V_BLOCK: /* made anew each time that one is asked for */
        return false;
    default:
        return a.p == b.p;
    }
}

int64_t value_size(struct value v)
{
    switch (v.type) {
    case V_UNDEFINED:
        return 0;
    case V_STR:
        return (int64_t)v.s->count;
    case V_LIST:
    case V_TUPLE:
        return (int64_t)v.l->len;
    case V_DICT:
    case V_SET:
        return (int64_t)v.d->len;
    case V_RANGE:
        return v.r->len;
    case V_VIEW:
        return (int64_t)v.view->d->len;
    default:
        return -1;
    }
}
