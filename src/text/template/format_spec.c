/*
 * format_spec: format(value, spec), the small language behind the colon of '{:>10}'.
 */
#include "core/ascii.h"
#include "text/template/engine.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_WIDTH 1000000
#define MAX_PRECISION 1000

struct spec {
    struct vm *vm;
    uint32_t fill; /* 0: not given */
    int align;     /* 0: not given */
    int sign;      /* 0, '+', '-', ' ' */
    bool z;
    bool alternate;
    bool zero;
    int64_t width;
    int group; /* 0, ',', '_' */
    int64_t precision;
    int type; /* 0: not given */
};

/* ------------------------------------------------------------------ reading */

static bool is_align(uint32_t c)
{
    return c == '<' || c == '>' || c == '=' || c == '^';
}

static bool take(const struct text *s, size_t *at, char c)
{
    if (*at >= s->len || s->data[*at] != c)
        return false;
    ++*at;
    return true;
}

static int64_t read_number(struct vm *vm, const struct text *s, size_t *at, int64_t limit)
{
    int64_t n = -1;

    while (*at < s->len && is_digit(s->data[*at])) {
        n = (n < 0 ? 0 : n) * 10 + (s->data[*at] - '0');
        if (n > limit)
            vm_throw(vm, E_LIMIT, "a width or precision is too large");
        ++*at;
    }
    return n;
}

static void read_align(struct spec *f, const struct text *s, size_t *at)
{
    size_t first = *at;
    size_t second;
    uint32_t c;

    if (s->len == 0)
        return;
    c = utf8_step(s->data, &first);
    second = first;
    if (first < s->len && is_align(utf8_step(s->data, &second))) {
        f->fill = c;
        f->align = s->data[first];
        *at = second;
    } else if (is_align(c)) {
        f->align = (int)c;
        *at = first;
    }
}

static void read_group(struct spec *f, const struct text *s, size_t *at)
{
    if (take(s, at, ','))
        f->group = ',';
    if (take(s, at, '_')) {
        if (f->group)
            vm_throw(f->vm, E_VALUE, "Cannot specify both ',' and '_'.");
        f->group = '_';
    }
    if (take(s, at, ','))
        vm_throw(f->vm, E_VALUE,
                 f->group == '_' ? "Cannot specify both ',' and '_'."
                                 : "Cannot specify ',' with ','.");
}

static void read_spec(struct spec *f, const struct text *s, struct value v)
{
    size_t at = 0;

    f->precision = -1;
    read_align(f, s, &at);
    if (at < s->len && strchr("+- ", s->data[at]))
        f->sign = s->data[at++];
    f->z = take(s, &at, 'z');
    f->alternate = take(s, &at, '#');
    if (!f->fill && take(s, &at, '0')) {
        f->fill = '0';
        f->zero = true;
        if (!f->align && v.type != V_STR)
            f->align = '=';
    }
    f->width = read_number(f->vm, s, &at, MAX_WIDTH);
    read_group(f, s, &at);
    if (take(s, &at, '.')) {
        f->precision = read_number(f->vm, s, &at, MAX_PRECISION);
        if (f->precision < 0)
            vm_throw(f->vm, E_VALUE, "Format specifier missing precision");
    }
    if (at + 1 < s->len)
        vm_throw(f->vm, E_VALUE, "Invalid format specifier");
    if (at < s->len)
        f->type = (unsigned char)s->data[at];
}

/* ------------------------------------------------------------------ writing */

static struct text *padded(const struct spec *f, const char *before, const struct text *body,
                           int align)
{
    int64_t room = f->width - (int64_t)strlen(before) - (int64_t)body->count;
    int64_t left = 0;
    struct builder b;
    uint32_t fill = f->fill ? f->fill : ' ';

    if (f->align)
        align = f->align;
    if (room < 0)
        room = 0;
    if (align == '>')
        left = room;
    if (align == '^')
        left = room / 2;
    build_init(&b, f->vm);
    build_fill(&b, fill, (size_t)left);
    build_str(&b, before);
    if (align == '=')
        build_fill(&b, fill, (size_t)room);
    build_text(&b, body);
    if (align != '=')
        build_fill(&b, fill, (size_t)(room - left));
    return build_done(&b);
}

static const char *sign_of(const struct spec *f, bool negative)
{
    if (negative)
        return "-";
    return f->sign == '+' ? "+" : f->sign == ' ' ? " " : "";
}

/* Digits with separators; zeros before them up to `width` where zeros are the padding. */
static void build_grouped(struct builder *b, const struct spec *f, const char *digits, size_t n,
                          int64_t width, size_t size)
{
    size_t total = n;
    size_t separators = n ? (n - 1) / size : 0;

    while (f->group && (int64_t)(total + separators) < width) {
        total++;
        separators = (total - 1) / size;
    }
    /* A separator cannot come first. */
    for (size_t i = 0; i < total; i++) {
        if (f->group && i && (total - i) % size == 0)
            build_char(b, (unsigned char)f->group);
        build_char(b, (unsigned char)(i < total - n ? '0' : digits[i - (total - n)]));
    }
}

static struct text *grouped(const struct spec *f, const char *before, const char *digits, size_t n,
                            const char *rest, size_t size)
{
    bool zeros = f->fill == '0' && f->align == '=';
    int64_t width = zeros ? f->width - (int64_t)strlen(before) - (int64_t)strlen(rest) : 0;
    struct builder b;

    build_init(&b, f->vm);
    build_grouped(&b, f, digits, n, width, size);
    build_str(&b, rest);
    return padded(f, before, build_done(&b), '>');
}

/* ------------------------------------------------------------------ of each type */

static _Noreturn void unknown_type(const struct spec *f, struct value v)
{
    vm_throw(f->vm, E_VALUE, "Unknown format code '%c' for object of type '%s'",
             f->type > 31 && f->type < 127 ? f->type : '?', type_name(v));
}

static struct text *format_text(const struct spec *f, struct value v)
{
    const struct text *s = v.s;

    if (f->type && f->type != 's')
        unknown_type(f, v);
    if (f->sign)
        vm_throw(f->vm, E_VALUE, "Sign not allowed in string format specifier");
    if (f->z)
        vm_throw(f->vm, E_VALUE,
                 "Negative zero coercion (z) not allowed in string format specifier");
    if (f->alternate)
        vm_throw(f->vm, E_VALUE, "Alternate form (#) not allowed in string format specifier");
    if (f->align == '=')
        vm_throw(f->vm, E_VALUE, "'=' alignment not allowed in string format specifier");
    if (f->group)
        vm_throw(f->vm, E_VALUE, "Cannot specify '%c' with 's'.", f->group);
    if (f->precision >= 0 && (size_t)f->precision < s->count)
        s = text_slice(f->vm, s, 0, (size_t)f->precision);
    return padded(f, "", s, '<');
}

static size_t binary_digits(uint64_t i, char out[72])
{
    size_t n = 0;

    for (int bit = 63; bit >= 0; bit--)
        if (n || (i >> bit & 1) || bit == 0)
            out[n++] = (char)('0' + (i >> bit & 1));
    out[n] = 0;
    return n;
}

static struct text *format_char(struct spec *f, int64_t i)
{
    char out[4];

    if (f->sign)
        vm_throw(f->vm, E_VALUE, "Sign not allowed with integer format specifier 'c'");
    if (f->alternate)
        vm_throw(f->vm, E_VALUE,
                 "Alternate form (#) not allowed with integer format specifier 'c'");
    if (f->group)
        vm_throw(f->vm, E_VALUE, "Cannot specify '%c' with 'c'.", f->group);
    if (i < 0 || i > 0x10ffff)
        vm_throw(f->vm, E_RUNTIME, "%%c arg not in range(0x110000)");
    return padded(f, "", text_new(f->vm, out, utf8_encode(out, (uint32_t)i)), '>');
}

static struct text *format_integer(struct spec *f, int64_t i)
{
    uint64_t magnitude = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    char digits[72];
    char before[8];
    const char *prefix = "";
    size_t n;

    if (f->precision >= 0)
        vm_throw(f->vm, E_VALUE, "Precision not allowed in integer format specifier");
    if (f->z)
        vm_throw(f->vm, E_VALUE,
                 "Negative zero coercion (z) not allowed in format specifier with "
                 "integer presentation type");
    if (f->type == 'c')
        return format_char(f, i);
    if (f->group == ',' && f->type && strchr("boxXn", f->type))
        vm_throw(f->vm, E_VALUE, "Cannot specify ',' with '%c'.", f->type);
    if (f->group && f->type == 'n')
        vm_throw(f->vm, E_VALUE, "Cannot specify '_' with 'n'.");
    if (f->type == 'b')
        n = binary_digits(magnitude, digits);
    else
        n = (size_t)snprintf(digits, sizeof digits,
                             f->type == 'o'   ? "%llo"
                             : f->type == 'x' ? "%llx"
                             : f->type == 'X' ? "%llX"
                                              : "%llu",
                             (unsigned long long)magnitude);
    if (f->alternate)
        prefix = f->type == 'b'   ? "0b"
                 : f->type == 'o' ? "0o"
                 : f->type == 'x' ? "0x"
                 : f->type == 'X' ? "0X"
                                  : "";
    snprintf(before, sizeof before, "%s%s", sign_of(f, i < 0), prefix);
    return grouped(f, before, digits, n, "", f->type && strchr("boxX", f->type) ? 4 : 3);
}

/* The number without its sign. */
static const char *float_digits(const struct spec *f, double x)
{
    char shortest[32];
    int type = f->type ? f->type : 'g';
    int precision = f->precision < 0 ? 6 : (int)f->precision;
    char format[8];
    size_t n;
    char *s;

    if (isnan(x) || isinf(x)) {
        bool upper = f->type >= 'A' && f->type <= 'Z';

        return isnan(x) ? (upper ? "NAN" : "nan") : (upper ? "INF" : "inf");
    }
    if (!f->type && f->precision < 0) {
        size_t whole;

        n = float_chars(x, shortest);
        for (whole = 0; whole < n && shortest[whole] != '.' && shortest[whole] != 'e';)
            whole++;
        return text_printf(f->vm, "%.*s%s%.*s", (int)whole, shortest,
                           f->alternate && whole < n && shortest[whole] == 'e' ? "." : "",
                           (int)(n - whole), shortest + whole)
            ->data;
    }
    if (type == '%') {
        x *= 100;
        type = 'f';
    }
    if (type == 'n')
        type = 'g';
    if (!f->type && precision == 0)
        precision = 1;
    snprintf(format, sizeof format, f->alternate ? "%%#.*%c" : "%%.*%c", type);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    s = (char *)(uintptr_t)text_printf(f->vm, format, precision, x)->data;
#pragma GCC diagnostic pop
    return s;
}

/* Without a type and with a precision: as 'g', but with an exponent one earlier, and ".0". */
static const char *general_digits(const struct spec *f, double x)
{
    const char *s = float_digits(f, x);
    int exponent;
    int precision = f->precision == 0 ? 1 : (int)f->precision;
    const char *e;

    if (f->type || f->precision < 0 || isnan(x) || isinf(x))
        return s;
    e = text_printf(f->vm, "%.*e", precision - 1, x)->data;
    sscanf(strchr(e, 'e') + 1, "%d", &exponent);
    if (exponent == precision - 1 && !strchr(s, 'e') && x != 0) { /* repr's rule */
        char *mantissa = (char *)(uintptr_t)text_printf(f->vm, "%.*e", precision - 1, x)->data;
        char *cut = strchr(mantissa, 'e');
        const char *tail = text_printf(f->vm, "%s", cut)->data;

        if (memchr(mantissa, '.', (size_t)(cut - mantissa))) {
            while (cut[-1] == '0')
                cut--;
            if (cut[-1] == '.')
                cut--;
        }
        return text_printf(f->vm, "%.*s%s", (int)(cut - mantissa), mantissa, tail)->data;
    }
    if (!strchr(s, '.') && !strchr(s, 'e'))
        return text_printf(f->vm, "%s.0", s)->data;
    return s;
}

static struct text *format_float(struct spec *f, double x)
{
    bool negative = signbit(x) && !isnan(x);
    const char *s = general_digits(f, fabs(x));
    size_t n = strspn(s, "0123456789");
    const char *rest = s + n;

    if (f->z && negative && strspn(s, "0.") == strlen(s))
        negative = false;
    if (f->type == '%')
        rest = text_printf(f->vm, "%s%%", rest)->data;
    return grouped(f, sign_of(f, negative), s, n, rest, 3);
}

static struct text *format_number(struct spec *f, struct value v)
{
    bool floating = f->type && strchr("eEfFgG%", f->type);

    if (v.type == V_FLOAT) {
        if (f->type && !floating && f->type != 'n')
            unknown_type(f, v);
        return format_float(f, v.f);
    }
    if (floating)
        return format_float(f, number_double(v));
    if (f->type && !strchr("bcdoxXn", f->type))
        unknown_type(f, v_int(0));
    return format_integer(f, number_integer(v));
}

struct text *format_value(struct vm *vm, struct value v, const struct text *spec)
{
    struct spec f = {.vm = vm};

    if (!spec->len)
        return value_plain(vm, v);
    if (v.type != V_STR && !is_number(v))
        vm_throw(vm, E_TYPE, "unsupported format string passed to %s.__format__", type_name(v));
    read_spec(&f, spec, v);
    if (v.type == V_STR)
        return format_text(&f, v);
    return format_number(&f, v);
}
