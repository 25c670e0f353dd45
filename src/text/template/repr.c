/*
 * repr: Python's str() and repr() of values. See value.h.
 */
#include "core/ascii.h"
#include "text/template/engine.h"
#include "text/template/iter.h"
#include "text/template/unicode.h"
#include "text/template/value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ floats */

static bool reads_back(const char *s, double f)
{
    return strtod(s, NULL) == f;
}

/* The decimal of this many digits just above the one in s ("d.ddde+xx"), away from zero. */
static void next_up(char *s)
{
    char *p = strchr(s, 'e') - 1;

    for (; p >= s; p--) {
        if (*p < '0' || *p > '9')
            continue;
        if (*p < '9') {
            ++*p;
            return;
        }
        *p = '0';
    }
}

/* The fewest digits that read back as f; of those the nearest to f. As "[-]d.ddde[+-]xx". */
static void shortest(double f, char out[40])
{
    int exponent;
    bool power = fabs(frexp(f, &exponent)) == 0.5; /* more room above than below */

    for (int digits = fabs(f) < 2.3e-308 ? 1 : 15; digits <= 17; digits++) {
        snprintf(out, 40, "%.*e", digits - 1, f);
        if (reads_back(out, f))
            return;
        if (power && digits < 17) {
            next_up(out);
            if (reads_back(out, f))
                return;
        }
    }
}

/* Digits without sign and point, zeros at the end cut; *point: where the point is. */
static size_t digits_of(const char *s, char digits[40], int *point)
{
    size_t n = 0;

    for (; *s != 'e'; s++)
        if (is_digit(*s))
            digits[n++] = *s;
    *point = (int)strtol(s + 1, NULL, 10) + 1;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    return n;
}

static size_t write_fixed(char *out, const char *digits, size_t n, int point)
{
    size_t at = 0;

    if (point <= 0) {
        at = (size_t)sprintf(out, "0.");
        for (; point < 0; point++)
            out[at++] = '0';
        memcpy(out + at, digits, n);
        return at + n;
    }
    for (size_t i = 0; i < n || (int)i < point; i++) {
        if ((int)i == point)
            out[at++] = '.';
        out[at++] = i < n ? digits[i] : '0';
    }
    if ((int)n <= point) {
        out[at++] = '.';
        out[at++] = '0';
    }
    return at;
}

static size_t write_scientific(char *out, const char *digits, size_t n, int point)
{
    size_t at = 0;

    out[at++] = digits[0];
    if (n > 1) {
        out[at++] = '.';
        memcpy(out + at, digits + 1, n - 1);
        at += n - 1;
    }
    return at + (size_t)sprintf(out + at, "e%c%02d", point - 1 < 0 ? '-' : '+', abs(point - 1));
}

size_t float_chars(double f, char out[32])
{
    char text[40];
    char digits[40];
    int point = 0;
    size_t n;
    size_t at = 0;

    if (isnan(f))
        return (size_t)sprintf(out, "nan");
    if (isinf(f))
        return (size_t)sprintf(out, f < 0 ? "-inf" : "inf");
    if (f == 0)
        return (size_t)sprintf(out, signbit(f) ? "-0.0" : "0.0");
    shortest(f, text);
    n = digits_of(text, digits, &point);
    if (f < 0)
        out[at++] = '-';
    if (point > 16 || point < -3)
        return at + write_scientific(out + at, digits, n, point);
    return at + write_fixed(out + at, digits, n, point);
}

/* ------------------------------------------------------------------ texts */

static void repr_char(struct builder *b, uint32_t c, char quote)
{
    char text[16];

    if (c == (uint32_t)quote || c == '\\') {
        build_char(b, '\\');
        build_char(b, c);
    } else if (c == '\n') {
        build_str(b, "\\n");
    } else if (c == '\r') {
        build_str(b, "\\r");
    } else if (c == '\t') {
        build_str(b, "\\t");
    } else if (unicode_flags(c) & U_PRINTABLE) {
        build_char(b, c);
    } else {
        snprintf(text, sizeof text, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
        build_str(b, text);
    }
}

void repr_text(struct builder *b, const struct text *s)
{
    bool single = s->len && memchr(s->data, '\'', s->len);
    char quote = single && !memchr(s->data, '"', s->len) ? '"' : '\'';
    size_t at = 0;

    vm_step(b->vm, s->len / 8);
    build_char(b, (unsigned char)quote);
    while (at < s->len) {
        size_t start = at;
        unsigned char c;

        while (at < s->len && (c = (unsigned char)s->data[at]) >= ' ' && c < 0x7f && c != '\'' &&
               c != '"' && c != '\\')
            at++;
        build_add(b, s->data + start, at - start);
        if (at < s->len)
            repr_char(b, utf8_step(s->data, &at), quote);
    }
    build_char(b, (unsigned char)quote);
}

/* ------------------------------------------------------------------ containers */

static void repr_items(struct builder *b, const struct list *l, char open, char close)
{
    build_char(b, (unsigned char)open);
    for (size_t i = 0; i < l->len; i++) {
        if (i)
            build_str(b, ", ");
        build_repr(b, l->items[i]);
    }
    if (open == '(' && l->len == 1)
        build_char(b, ',');
    build_char(b, (unsigned char)close);
}

static void repr_dict(struct builder *b, const struct dict *d)
{
    build_char(b, '{');
    for (size_t i = 0; i < d->len; i++) {
        if (i)
            build_str(b, ", ");
        build_repr(b, d->entries[i].key);
        build_str(b, ": ");
        build_repr(b, d->entries[i].value);
    }
    build_char(b, '}');
}

static void repr_view(struct builder *b, struct value v)
{
    build_str(b, type_name(v));
    build_char(b, '(');
    repr_items(b, list_of(b->vm, v), '[', ']');
    build_char(b, ')');
}

static void build_printf(struct builder *b, const char *format, long long x, long long y,
                         long long z)
{
    char text[96];

    snprintf(text, sizeof text, format, x, y, z);
    build_str(b, text);
}

static void repr_range(struct builder *b, const struct range *r)
{
    if (r->step == 1)
        build_printf(b, "range(%lld, %lld)", r->start, r->stop, 0);
    else
        build_printf(b, "range(%lld, %lld, %lld)", r->start, r->stop, r->step);
}

static void repr_set(struct builder *b, struct value v)
{
    struct list *items = list_of(b->vm, v);

    if (items->len)
        repr_items(b, items, '{', '}');
    else
        build_str(b, "set()");
}

static void repr_macro(struct builder *b, const struct macro *m)
{
    const struct text *name = m->info->name;

    build_str(b, "<Macro ");
    if (name)
        repr_text(b, name);
    else
        build_str(b, "anonymous");
    build_char(b, '>');
}

/* Python's objects show where they are in memory, which is nobody's affair: all are here. */
#define AN_ADDRESS " at 0x7f0000000000"
#define LOCAL "_cached_compile_jinja_template.<locals>."

static const char *object_name(struct vm *vm, struct value v)
{
    const char *module = "";

    if (v.type == V_ITER)
        return text_printf(vm, "%s object", v.it->type)->data;
    if (v.type == V_CYCLER || v.type == V_JOINER)
        module = "jinja2.utils.";
    else if (v.type == V_BLOCK)
        module = "jinja2.runtime.";
    else if (v.type == V_BUILTIN && v.fn->run)
        module = "transformers.utils.chat_template_utils." LOCAL;
    return text_printf(vm, "%s%s object", module, type_name(v))->data;
}

static void repr_function(struct builder *b, struct value v)
{
    static const char *const NAMES[][2] = {{"range", "safe_range"},
                                           {"raise_exception", LOCAL "raise_exception"},
                                           {"strftime_now", LOCAL "strftime_now"}};
    const char *name = v.fn->name;

    if (strcmp(name, "dict") == 0) {
        build_str(b, object_name(b->vm, v));
        return;
    }
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (strcmp(v.fn->name, NAMES[i][0]) == 0)
            name = NAMES[i][1];
    build_str(b, "function ");
    build_str(b, name);
}

/* Of a class that is written in Python, or in C. */
static void repr_method(struct builder *b, const struct method *m)
{
    struct value self = m->self;
    bool of_dict = self.type == V_BUILTIN && self.fn->run && strcmp(self.fn->name, "dict") == 0;
    const char *type = type_name(self);
    const char *kind = method_type(m);

    build_char(b, '<');
    if (strcmp(kind, "wrapper") == 0) {
        build_str(b, text_printf(b->vm, "function %s.%s" AN_ADDRESS, type, m->fn->name)->data);
    } else if (self.type == V_BUILTIN && !of_dict) {
        const char *class = self.fn->run ? "Cycler." : "property.";

        build_str(b, text_printf(b->vm, "function %s%s" AN_ADDRESS, class, m->fn->name)->data);
    } else if (strcmp(kind, "method") == 0) {
        build_str(b, text_printf(b->vm, "bound method %s%s.%s of ", of_dict ? LOCAL : "", type,
                                 m->fn->name)
                         ->data);
        if (strcmp(m->fn->name, "escape") == 0)
            build_str(b, "<class 'markupsafe.Markup'>");
        else
            build_repr(b, self);
    } else {
        bool of_type = strcmp(m->fn->name, "fromkeys") == 0 ||
                       strcmp(m->fn->name, "from_bytes") == 0 ||
                       strcmp(m->fn->name, "fromhex") == 0;

        build_str(b, text_printf(b->vm, "built-in method %s of %s object" AN_ADDRESS, m->fn->name,
                                 of_type ? "type" : type)
                         ->data);
    }
    build_char(b, '>');
}

static void repr_other(struct builder *b, struct value v)
{
    const char *class = class_name(v);

    if (class) {
        build_str(b, "<class '");
        build_str(b, class);
        build_str(b, "'>");
        return;
    }
    switch (v.type) {
    case V_LOOP:
        build_printf(b, "<LoopContext %lld/%lld>", v.loop->index0 + 1, loop_length(b->vm, v.loop),
                     0);
        break;
    case V_MACRO:
        repr_macro(b, v.macro);
        break;
    case V_NAMESPACE:
        build_str(b, "<Namespace ");
        repr_dict(b, v.d);
        build_char(b, '>');
        break;
    case V_SELF:
        build_str(b, "<TemplateReference None>");
        break;
    case V_METHOD:
        repr_method(b, v.method);
        break;
    default:
        build_char(b, '<');
        if (v.type == V_BUILTIN && v.fn->run)
            repr_function(b, v);
        else
            build_str(b, object_name(b->vm, v));
        build_str(b, AN_ADDRESS ">");
    }
}

static void repr_value(struct builder *b, struct value v)
{
    char number[32];

    switch (v.type) {
    case V_UNDEFINED:
        build_str(b, "Undefined");
        break;
    case V_NONE:
        build_str(b, "None");
        break;
    case V_BOOL:
        build_str(b, v.b ? "True" : "False");
        break;
    case V_INT:
        build_printf(b, "%lld", v.i, 0, 0);
        break;
    case V_FLOAT:
        build_add(b, number, float_chars(v.f, number));
        break;
    case V_STR:
        build_str(b, v.s->safe ? "Markup(" : "");
        repr_text(b, v.s);
        build_str(b, v.s->safe ? ")" : "");
        break;
    case V_LIST:
        repr_items(b, v.l, '[', ']');
        break;
    case V_TUPLE:
        repr_items(b, v.l, '(', ')');
        break;
    case V_DICT:
        build_str(b, v.d->proxy ? "mappingproxy(" : "");
        repr_dict(b, v.d);
        build_str(b, v.d->proxy ? ")" : "");
        break;
    case V_SET:
        repr_set(b, v);
        break;
    case V_VIEW:
        repr_view(b, v);
        break;
    case V_RANGE:
        repr_range(b, v.r);
        break;
    default:
        repr_other(b, v);
    }
}

void build_repr(struct builder *b, struct value v)
{
    vm_step(b->vm, 1);
    vm_enter(b->vm);
    repr_value(b, v);
    vm_leave(b->vm);
}

struct text *value_repr(struct vm *vm, struct value v)
{
    struct builder b;

    build_init(&b, vm);
    build_repr(&b, v);
    return build_done(&b);
}

const char *repr_chars(struct vm *vm, struct value v)
{
    struct builder b;

    build_init(&b, vm);
    build_repr(&b, v);
    build_add(&b, "", 1);
    return b.data;
}

/* str() of what a view calls its mapping is that of the dict. */
static struct text *proxy_str(struct vm *vm, const struct dict *d)
{
    struct dict plain = *d;

    plain.proxy = false;
    return value_repr(vm, v_dict(&plain));
}

struct text *value_str(struct vm *vm, struct value v)
{
    char number[32];

    if (v.type == V_DICT && v.d->proxy)
        return proxy_str(vm, v.d);

    switch (v.type) {
    case V_STR:
        return v.s;
    case V_UNDEFINED:
    case V_MISSING:
        return text_wrap_counted(vm, "", 0, 0);
    case V_INT:
        return text_new(vm, number,
                        (size_t)snprintf(number, sizeof number, "%lld", (long long)v.i));
    default:
        return value_repr(vm, v);
    }
}

struct text *value_plain(struct vm *vm, struct value v)
{
    return text_marked(vm, value_str(vm, v), false);
}

struct text *text_escape(struct vm *vm, struct value v)
{
    static const char special[] = "&><'\"";
    static const char *const entities[] = {"&amp;", "&gt;", "&lt;", "&#39;", "&#34;"};
    struct text *s = value_str(vm, v);
    struct builder b;

    if (v.type == V_STR && s->safe)
        return s;
    build_init(&b, vm);
    for (size_t i = 0; i < s->len; i++) {
        const char *found = s->data[i] ? strchr(special, s->data[i]) : NULL;

        if (found)
            build_str(&b, entities[found - special]);
        else
            build_add(&b, s->data + i, 1);
    }
    return text_marked(vm, build_done(&b), true);
}
