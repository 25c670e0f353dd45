/*
 * library: filters, tests, methods and globals by name, out of the tables of those who have them. Those
 * get it with the rendering (r->library): they stand below it.
 */
#include "text/template/functions.h"

bool refused_name(const struct text *name)
{
    static const char *const NAMES[] = {"lipsum",  "random", "urlize",
                                        "xmlattr", "encode", "to_bytes"};

    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (text_is(name, NAMES[i]))
            return true;
    return false;
}

const struct builtin *find_filter(const struct text *name)
{
    const struct builtin *fn = find_function(&FILTERS, name);

    return fn ? fn : find_function(&SEQUENCE_FILTERS, name);
}

const struct builtin *find_test(const struct text *name)
{
    return find_function(&TESTS, name);
}

struct value find_global(const struct text *name)
{
    const struct builtin *fn = find_function(&GLOBALS, name);

    return fn ? (struct value){.type = V_BUILTIN, .fn = fn} : v_of(V_MISSING);
}

static struct functions methods_of(struct value self)
{
    if (self.type == V_STR)
        return STR_METHODS;
    return self.type == V_BUILTIN ? class_methods(self.fn) : other_methods(self);
}

static const struct builtin *find_method(struct value self, const struct text *name)
{
    struct functions table = methods_of(self);

    if (self.type == V_STR && !self.s->safe &&
        (text_is(name, "unescape") || text_is(name, "striptags") || text_is(name, "escape")))
        return NULL;
    return find_function(&table, name);
}

bool is_attribute_name(const struct text *name)
{
    struct text none = {.data = "", .len = 0};
    struct list list = {.items = NULL};
    struct dict dict = {.entries = NULL};

    return name->data[0] == '_' || is_mutator_name(name) || find_method(v_str(&none), name) ||
           find_method(v_list(&list), name) || find_method(v_dict(&dict), name);
}

const struct library LIBRARY = {find_method, find_filter, find_test, refused_name};
