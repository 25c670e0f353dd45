/*
 * str_format: 'text {}'.format(...), as the sandbox's formatter does it: attributes and items of
 * fields are looked up as the template's own are.
 */
#include "text/template/engine.h"
#include "text/template/unicode.h"

#include <string.h>

struct formatter {
    struct render *r;
    const struct call *call;
    struct value mapping; /* of format_map, or V_MISSING */
    int64_t automatic;    /* the next number; -1: fields are numbered by hand */
    bool escape;
};

static struct text *run(struct formatter *f, const struct text *format, int depth);

static _Noreturn void bad(struct formatter *f, const char *why)
{
    vm_throw(f->r->vm, E_VALUE, "%s", why);
}

/* ------------------------------------------------------------------ fields */

/* All digits: the number; -1: something else. */
static int64_t field_number(const struct text *s)
{
    int64_t n = 0;

    for (size_t i = 0; i < s->len; i++) {
        if (s->data[i] < '0' || s->data[i] > '9' || n > INT32_MAX)
            return -1;
        n = n * 10 + (s->data[i] - '0');
    }
    return s->len ? n : -1;
}

static struct value argument(struct formatter *f, const struct text *name)
{
    int64_t n = field_number(name);
    struct vm *vm = f->r->vm;
    struct value *found;

    if (n >= 0) {
        if ((size_t)n >= f->call->n)
            vm_throw(vm, E_LOOKUP, "Replacement index %lld out of range for positional args tuple",
                     (long long)n);
        return f->call->args[n];
    }
    if (f->mapping.type == V_DICT) {
        found = dict_get(vm, f->mapping.d, v_str(name));
        if (found)
            return *found;
    } else if (f->mapping.type != V_MISSING) {
        check_defined(vm, f->mapping);
        vm_throw(vm, E_TYPE, "format_map() wants a mapping");
    }
    for (size_t i = 0; i < f->call->n_kw; i++)
        if (text_equal(f->call->kw[i].name, name))
            return f->call->kw[i].value;
    vm_throw(vm, E_LOOKUP, "%s", repr_chars(vm, v_str(name)));
}

/* The number of an unnamed field; a named one is itself. */
static const struct text *numbered(struct formatter *f, const struct text *name,
                                   const struct text *first)
{
    if (first->len == 0) {
        if (name->len != 0)
            return first;
        if (f->automatic < 0)
            bad(f, "cannot switch from manual field specification to automatic field numbering");
        return text_printf(f->r->vm, "%lld", (long long)f->automatic++);
    }
    if (field_number(name) >= 0) {
        if (f->automatic > 0)
            bad(f, "cannot switch from manual field specification to automatic field numbering");
        f->automatic = -1;
    }
    return first;
}

static struct value step_into(struct formatter *f, struct value v, const struct text *s, size_t *at)
{
    size_t start = *at + 1;
    bool item = s->data[*at] == '[';
    size_t end = start;
    struct text *name;

    if (!item && s->data[*at] != '.')
        bad(f, "Only '.' or '[' may follow ']' in format field specifier");
    while (end < s->len && (item ? s->data[end] != ']' : !strchr(".[", s->data[end])))
        end++;
    if (item && end == s->len)
        bad(f, "Missing ']' in format string");
    if (end == start)
        bad(f, "Empty attribute in format string");
    name = text_wrap(f->r->vm, s->data + start, end - start);
    *at = end + item;
    if (!item)
        return get_attribute(f->r, v, name);
    if (field_number(name) >= 0)
        return get_item(f->r, v, v_int(field_number(name)));
    return get_item(f->r, v, v_str(name));
}

static struct value field_value(struct formatter *f, const struct text *name)
{
    size_t at = 0;
    struct value v;

    while (at < name->len && name->data[at] != '.' && name->data[at] != '[')
        at++;
    v = argument(f, numbered(f, name, text_wrap(f->r->vm, name->data, at)));
    while (at < name->len)
        v = step_into(f, v, name, &at);
    return v;
}

static struct value converted(struct formatter *f, struct value v, int conversion)
{
    struct vm *vm = f->r->vm;

    switch (conversion) {
    case 0:
        return v;
    case 's':
        return v_str(value_str(vm, v));
    case 'r':
        return v_str(value_repr(vm, v));
    case 'a':
        return v_str(value_ascii(vm, v));
    default:
        vm_throw(vm, E_VALUE, "Unknown conversion specifier %c",
                 conversion > 31 && conversion < 127 ? conversion : '?');
    }
}

static void put_field(struct formatter *f, struct builder *b, const struct text *name,
                      int conversion, const struct text *spec, int depth)
{
    struct vm *vm = f->r->vm;
    struct value v = converted(f, field_value(f, name), conversion);
    const struct text *expanded = run(f, spec, depth - 1);
    struct text *s;

    if (f->escape && v.type == V_STR && v.s->safe) {
        if (expanded->len)
            bad(f, "Unsupported format specification for Markup.");
        build_text(b, v.s);
        return;
    }
    s = format_value(vm, v, expanded);
    build_text(b, f->escape ? text_escape(vm, v_str(s)) : s);
}

/* ------------------------------------------------------------------ the text */

/* After a field's name: the conversion and the spec, up to the closing brace. */
static size_t read_rest(struct formatter *f, const struct text *s, size_t at, int *conversion,
                        struct text **spec)
{
    size_t start;
    int depth = 1;

    *conversion = 0;
    *spec = text_wrap_counted(f->r->vm, "", 0, 0);
    if (at < s->len && s->data[at] == '!') {
        at++;
        if (at >= s->len)
            bad(f, "end of string while looking for conversion specifier");
        start = at;
        *conversion = (int)utf8_step(s->data, &at);
        if (at >= s->len)
            bad(f, "unmatched '{' in format spec");
        if (s->data[at] == '}')
            return at + 1;
        if (s->data[at] != ':')
            bad(f, "expected ':' after conversion specifier");
    } else if (at >= s->len) {
        bad(f, "expected '}' before end of string");
    } else if (s->data[at] == '}') {
        return at + 1;
    }
    start = ++at;
    for (; at < s->len; at++) {
        depth += (s->data[at] == '{') - (s->data[at] == '}');
        if (depth == 0)
            break;
    }
    if (at >= s->len)
        bad(f, "unmatched '{' in format spec");
    *spec = text_wrap(f->r->vm, s->data + start, at - start);
    return at + 1;
}

static size_t name_end(struct formatter *f, const struct text *s, size_t at)
{
    for (; at < s->len; at++) {
        if (s->data[at] == '{')
            bad(f, "unexpected '{' in field name");
        if (strchr("}:!", s->data[at]) && s->data[at])
            return at;
        if (s->data[at] == '[')
            while (at < s->len && s->data[at] != ']')
                at++;
    }
    return s->len;
}

static struct text *run(struct formatter *f, const struct text *s, int depth)
{
    struct builder b;
    size_t at = 0;

    if (depth < 0)
        bad(f, "Max string recursion exceeded");
    build_init(&b, f->r->vm);
    while (at < s->len) {
        char c = s->data[at++];
        const struct text *name;
        struct text *spec;
        int conversion;
        size_t end;

        if (c != '{' && c != '}') {
            build_add(&b, &c, 1);
            continue;
        }
        if (at < s->len && s->data[at] == c) {
            build_add(&b, &c, 1);
            at++;
            continue;
        }
        if (c == '}')
            bad(f, "Single '}' encountered in format string");
        if (at >= s->len)
            bad(f, "Single '{' encountered in format string");
        end = name_end(f, s, at);
        name = text_wrap(f->r->vm, s->data + at, end - at);
        at = read_rest(f, s, end, &conversion, &spec);
        put_field(f, &b, name, conversion, spec, depth);
    }
    return build_done(&b);
}

struct value str_format(struct render *r, struct text *format, const struct call *call,
                        struct value mapping)
{
    struct formatter f = {.r = r, .call = call, .mapping = mapping, .escape = format->safe};

    return v_str(text_marked(r->vm, run(&f, format, 2), format->safe));
}
