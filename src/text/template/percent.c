/*
 * percent: 'text' % values, as Python's str does it.
 */
#include "text/template/engine.h"

#include "core/utf8.h"
#include "text/template/unicode.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_WIDTH 1000000
#define MAX_PRECISION 1000

struct conversion {
    bool left;
    bool plus;
    bool blank;
    bool alternate;
    bool zero;
    int64_t width;
    int64_t precision; /* -1: none */
};

struct percent {
    struct render *r;
    struct builder b;
    const struct text *format;
    size_t at;
    struct value args; /* a tuple, or one value */
    size_t used;
    bool mapping; /* args is one, or counts as one */
    bool escape;  /* the text is a Markup */
};

static _Noreturn void type_error(struct percent *p, const char *why)
{
    vm_throw(p->r->vm, E_TYPE, "%s", why);
}

/* ------------------------------------------------------------------ arguments */

static struct value next_arg(struct percent *p)
{
    if (p->args.type == V_TUPLE) {
        if (p->used >= p->args.l->len)
            type_error(p, "not enough arguments for format string");
        return p->args.l->items[p->used++];
    }
    if (p->used++)
        type_error(p, "not enough arguments for format string");
    return p->args;
}

static int peek(const struct percent *p)
{
    return p->at < p->format->len ? (unsigned char)p->format->data[p->at] : -1;
}

static int next_char(struct percent *p)
{
    int c = peek(p);

    if (c < 0)
        vm_throw(p->r->vm, E_VALUE, "incomplete format");
    p->at++;
    return c;
}

/* (key): its value. */
static struct value keyed_arg(struct percent *p)
{
    size_t start = p->at;
    int depth = 1;
    struct value key;

    if (!p->mapping)
        type_error(p, "format requires a mapping");
    while (depth > 0) {
        int c = peek(p);

        if (c < 0)
            vm_throw(p->r->vm, E_VALUE, "incomplete format key");
        p->at++;
        depth += (c == '(') - (c == ')');
    }
    key = v_str(text_wrap(p->r->vm, p->format->data + start, p->at - 1 - start));
    check_defined(p->r->vm, p->args);
    if (p->args.type == V_DICT) {
        struct value *found = dict_get(p->r->vm, p->args.d, key);

        if (!found)
            vm_throw(p->r->vm, E_LOOKUP, "%s", repr_chars(p->r->vm, key));
        return *found;
    }
    type_error(p, "indices must be integers or slices, not str");
}

static int64_t number_or_star(struct percent *p, int64_t limit, bool *negative)
{
    int64_t n = 0;
    struct value v;

    if (peek(p) == '*') {
        p->at++;
        v = next_arg(p);
        if (!is_integer(v))
            type_error(p, "* wants int");
        n = value_index(p->r->vm, v);
        *negative = n < 0;
        n = n < 0 ? (n == INT64_MIN ? INT64_MAX : -n) : n;
    }
    while (peek(p) >= '0' && peek(p) <= '9' && n <= limit)
        n = n * 10 + (next_char(p) - '0');
    if (n > limit)
        vm_throw(p->r->vm, E_LIMIT, "a width or precision is too large");
    return n;
}

static void read_conversion(struct percent *p, struct conversion *c)
{
    bool negative = false;

    *c = (struct conversion){.precision = -1};
    for (;; p->at++) {
        int flag = peek(p);

        if (flag == '-')
            c->left = true;
        else if (flag == '+')
            c->plus = true;
        else if (flag == ' ')
            c->blank = true;
        else if (flag == '#')
            c->alternate = true;
        else if (flag == '0')
            c->zero = true;
        else
            break;
    }
    c->width = number_or_star(p, MAX_WIDTH, &negative);
    c->left = c->left || negative;
    if (peek(p) == '.') {
        p->at++;
        negative = false;
        c->precision = number_or_star(p, MAX_PRECISION, &negative);
        if (negative)
            c->precision = 0;
    }
    if (peek(p) == 'h' || peek(p) == 'l' || peek(p) == 'L')
        p->at++;
}

/* ------------------------------------------------------------------ output */

/* sign and prefix come before zeros. */
static void put(struct percent *p, const struct conversion *c, const char *before,
                const struct text *body, bool zeros)
{
    int64_t room = c->width - (int64_t)strlen(before) - (int64_t)body->count;

    if (room < 0)
        room = 0;
    if (!c->left && !zeros)
        build_fill(&p->b, ' ', (size_t)room);
    build_str(&p->b, before);
    if (!c->left && zeros)
        build_fill(&p->b, '0', (size_t)room);
    build_text(&p->b, body);
    if (c->left)
        build_fill(&p->b, ' ', (size_t)room);
}

static const char *sign_of(const struct conversion *c, bool negative)
{
    if (negative)
        return "-";
    return c->plus ? "+" : c->blank ? " " : "";
}

struct text *value_ascii(struct vm *vm, struct value v)
{
    const struct text *s = value_repr(vm, v);
    struct builder b;
    char escaped[16];
    size_t at = 0;

    build_init(&b, vm);
    while (at < s->len) {
        uint32_t c = utf8_step(s->data, &at);

        if (c < 0x80) {
            build_char(&b, c);
            continue;
        }
        snprintf(escaped, sizeof escaped,
                 c < 0x100     ? "\\x%02x"
                 : c < 0x10000 ? "\\u%04x"
                               : "\\U%08x",
                 c);
        build_str(&b, escaped);
    }
    return build_done(&b);
}

static void put_text(struct percent *p, const struct conversion *c, int type, struct value v)
{
    struct vm *vm = p->r->vm;
    const struct text *s = type == 's'   ? value_str(vm, v)
                           : type == 'r' ? value_repr(vm, v)
                                         : value_ascii(vm, v);

    if (p->escape)
        s = text_escape(vm, type == 's' ? v : v_str(s));
    if (c->precision >= 0 && (size_t)c->precision < s->count)
        s = text_slice(vm, s, 0, (size_t)c->precision);
    put(p, c, "", s, false);
}

static void put_char(struct percent *p, const struct conversion *c, struct value v)
{
    char out[4];

    if (v.type == V_STR && v.s->count == 1 && !p->escape) {
        put(p, c, "", v.s, false);
        return;
    }
    if (!is_integer(v) || p->escape)
        type_error(p, "%c requires int or char");
    if (value_index(p->r->vm, v) < 0 || value_index(p->r->vm, v) > 0x10ffff)
        vm_throw(p->r->vm, E_VALUE, "%%c arg not in range(0x110000)");
    put(p, c, "", text_new(p->r->vm, out, utf8_encode(out, (uint32_t)value_index(p->r->vm, v))),
        false);
}

static int64_t integer_arg(struct percent *p, int type, struct value v)
{
    check_defined(p->r->vm, v);
    if (type == 'd' && v.type == V_FLOAT) {
        if (!isfinite(v.f))
            vm_throw(p->r->vm, isnan(v.f) ? E_VALUE : E_RUNTIME,
                     "cannot convert float %s to integer", isnan(v.f) ? "NaN" : "infinity");
        if (fabs(v.f) >= 9.2e18)
            vm_throw(p->r->vm, E_LIMIT, "an integer has more than 64 bits");
        return (int64_t)v.f;
    }
    if (!is_integer(v) || (p->escape && type != 'd'))
        vm_throw(p->r->vm, E_TYPE, "%%%c format: %s is required, not %s", type,
                 type == 'd' ? "a real number" : "an integer", type_name(v));
    return value_index(p->r->vm, v);
}

static void put_integer(struct percent *p, const struct conversion *c, int type, struct value v)
{
    int base = type == 'i' || type == 'u' ? 'd' : type;
    int64_t i = integer_arg(p, base, v);
    uint64_t magnitude = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    char before[4];
    char digits[32];
    const char *format = base == 'd'   ? "%llu"
                         : base == 'o' ? "%llo"
                         : base == 'x' ? "%llx"
                                       : "%llX";
    int n = snprintf(digits, sizeof digits, format, (unsigned long long)magnitude);
    struct builder b;

    snprintf(before, sizeof before, "%s%s", sign_of(c, i < 0),
             !c->alternate || base == 'd' ? ""
             : base == 'o'                ? "0o"
             : base == 'x'                ? "0x"
                                          : "0X");
    build_init(&b, p->r->vm);
    if (c->precision > n)
        build_fill(&b, '0', (size_t)(c->precision - n));
    build_add(&b, digits, (size_t)n);
    put(p, c, before, build_done(&b), c->zero);
}

static void put_float(struct percent *p, const struct conversion *c, int type, struct value v)
{
    struct vm *vm = p->r->vm;
    char format[8];
    int precision = c->precision < 0 ? 6 : (int)c->precision;
    double f;

    check_defined(vm, v);
    if (!is_number(v))
        vm_throw(vm, E_TYPE, "must be real number, not %s", type_name(v));
    f = number_double(v);
    snprintf(format, sizeof format, c->alternate ? "%%#.*%c" : "%%.*%c", type);
    if (isnan(f) || isinf(f)) {
        bool upper = type >= 'A' && type <= 'Z';

        put(p, c, sign_of(c, isinf(f) && f < 0),
            text_of(vm, isnan(f) ? (upper ? "NAN" : "nan") : (upper ? "INF" : "inf")), c->zero);
        return;
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    put(p, c, sign_of(c, signbit(f)), text_printf(vm, format, precision, fabs(f)), c->zero);
#pragma GCC diagnostic pop
}

static void put_conversion(struct percent *p)
{
    struct conversion c;
    struct value keyed = v_of(V_MISSING);
    size_t index;
    int type;

    if (peek(p) == '%') {
        p->at++;
        build_char(&p->b, '%');
        return;
    }
    if (peek(p) == '(') {
        p->at++;
        keyed = keyed_arg(p);
        p->used = 1; /* the mapping counts as used */
    }
    read_conversion(p, &c);
    index = utf8_count(p->format->data, p->at);
    type = next_char(p);
    if (keyed.type == V_MISSING)
        keyed = next_arg(p);
    if (!strchr("sracdiuoxXeEfFgG", type)) {
        size_t at = p->at - 1;
        uint32_t ch = utf8_step(p->format->data, &at);

        vm_throw(p->r->vm, E_VALUE, "unsupported format character '%c' (0x%x) at index %zu",
                 ch > 31 && ch < 127 ? (int)ch : '?', ch, index);
    }
    if (strchr("sra", type))
        put_text(p, &c, type, keyed);
    else if (type == 'c')
        put_char(p, &c, keyed);
    else if (strchr("diuoxX", type))
        put_integer(p, &c, type, keyed);
    else
        put_float(p, &c, type, keyed);
}

static bool is_mapping(struct value v)
{
    return v.type == V_DICT || v.type == V_LIST || v.type == V_RANGE || v.type == V_UNDEFINED ||
           v.type == V_SELF;
}

struct value percent_format(struct render *r, struct text *format, struct value args)
{
    struct percent p = {.r = r, .format = format, .args = args};

    build_init(&p.b, r->vm);
    p.mapping = is_mapping(args);
    p.escape = format->safe;
    while (p.at < format->len) {
        const char *start = format->data + p.at;
        const char *found = memchr(start, '%', format->len - p.at);
        size_t n = found ? (size_t)(found - start) : format->len - p.at;

        build_add(&p.b, start, n);
        p.at += n;
        if (found) {
            p.at++;
            put_conversion(&p);
        }
    }
    if (!p.mapping && (args.type == V_TUPLE ? p.used < args.l->len : p.used == 0))
        type_error(&p, "not all arguments converted during string formatting");
    return v_str(text_marked(r->vm, build_done(&p.b), format->safe));
}
