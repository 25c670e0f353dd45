/*
 * operators: Python's arithmetic on values, and int() and float() of texts.
 */
#include "text/template/engine.h"
#include "text/template/unicode.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void too_large(struct vm *vm)
{
    vm_throw(vm, E_LIMIT, "an integer has more than 64 bits");
}

static _Noreturn void unsupported(struct vm *vm, const char *op, struct value a, struct value b)
{
    check_defined(vm, a);
    check_defined(vm, b);
    vm_throw(vm, E_TYPE, "unsupported operand type(s) for %s: '%s' and '%s'", op, type_name(a),
             type_name(b));
}

/* ------------------------------------------------------------------ sequences */

static struct value join_lists(struct vm *vm, struct value a, struct value b)
{
    struct list *l = list_new(vm, a.l->len + b.l->len);

    if (a.l->len)
        memcpy(l->items, a.l->items, a.l->len * sizeof *l->items);
    if (b.l->len)
        memcpy(l->items + a.l->len, b.l->items, b.l->len * sizeof *l->items);
    l->len = a.l->len + b.l->len;
    return a.type == V_LIST ? v_list(l) : v_tuple(l);
}

static struct value add_texts(struct vm *vm, struct text *a, struct text *b)
{
    bool safe = a->safe || b->safe;

    if (safe) {
        a = text_escape(vm, v_str(a));
        b = text_escape(vm, v_str(b));
    }
    return v_str(text_marked(vm, text_join2(vm, a, b), safe));
}

static struct value repeat_text(struct vm *vm, const struct text *s, int64_t n)
{
    size_t times = n > 0 ? (size_t)n : 0;
    size_t len;
    char *data;

    if (s->len)
        vm_check_room(vm, times, s->len);
    len = s->len * times;
    data = vm_alloc(vm, len);
    vm_step(vm, len / 64);
    if (len)
        memcpy(data, s->data, s->len);
    for (size_t done = s->len; done < len; done *= 2)
        memcpy(data + done, data, done < len - done ? done : len - done);
    return v_str(text_marked(vm, text_wrap_counted(vm, data, len, s->count * times), s->safe));
}

static struct value repeat_list(struct vm *vm, struct value v, int64_t n)
{
    struct list *l;

    if (n < 0 || !v.l->len)
        n = 0;
    if (v.l->len)
        vm_check_room(vm, (size_t)n, v.l->len);
    l = list_new(vm, v.l->len * (size_t)n);
    for (int64_t i = 0; i < n; i++) {
        memcpy(l->items + l->len, v.l->items, v.l->len * sizeof *l->items);
        l->len += v.l->len;
        vm_step(vm, v.l->len / 8 + 1);
    }
    return v.type == V_LIST ? v_list(l) : v_tuple(l);
}

static bool is_sequence(struct value v)
{
    return v.type == V_STR || v.type == V_LIST || v.type == V_TUPLE;
}

static struct value repeat(struct vm *vm, struct value v, struct value n)
{
    return v.type == V_STR ? repeat_text(vm, v.s, number_integer(n))
                           : repeat_list(vm, v, number_integer(n));
}

/* ------------------------------------------------------------------ numbers */

#define ARITHMETIC(name, operator, overflows)                                                      \
    static struct value name(struct vm *vm, struct value a, struct value b)                        \
    {                                                                                              \
        int64_t result;                                                                            \
                                                                                                   \
        if (a.type == V_FLOAT || b.type == V_FLOAT)                                                \
            return v_float(number_double(a) operator number_double(b));                            \
        if (overflows(number_integer(a), number_integer(b), &result))                              \
            too_large(vm);                                                                         \
        return v_int(result);                                                                      \
    }
ARITHMETIC(add, +, __builtin_add_overflow)
ARITHMETIC(subtract, -, __builtin_sub_overflow)
ARITHMETIC(multiply, *, __builtin_mul_overflow)

/* Of integers the quotient is that of the exact values, rounded once. */
static double divide_integers(int64_t a, int64_t b)
{
    const int64_t exact = (int64_t)1 << 53;

    if (a >= -exact && a <= exact && b >= -exact && b <= exact)
        return (double)a / (double)b;
    return (double)((long double)a / (long double)b);
}

static struct value divide(struct vm *vm, struct value a, struct value b)
{
    if (number_double(b) == 0)
        vm_throw(vm, E_VALUE,
                 a.type == V_FLOAT || b.type == V_FLOAT ? "float division by zero"
                                                        : "division by zero");
    if (a.type == V_FLOAT || b.type == V_FLOAT)
        return v_float(number_double(a) / number_double(b));
    return v_float(divide_integers(number_integer(a), number_integer(b)));
}

/* Python's float_divmod. */
static double float_modulo(double a, double b, double *quotient)
{
    double mod = fmod(a, b);
    double div = (a - mod) / b;
    double floored;

    if (mod != 0) {
        if ((b < 0) != (mod < 0)) {
            mod += b;
            div -= 1;
        }
    } else {
        mod = copysign(0, b);
    }
    if (div != 0) {
        floored = floor(div);
        if (div - floored > 0.5)
            floored += 1;
    } else {
        floored = copysign(0, a / b);
    }
    *quotient = floored;
    return mod;
}

static struct value divide_floor(struct vm *vm, struct value a, struct value b, bool modulo)
{
    int64_t x;
    int64_t y;
    double quotient;
    double mod;

    if (number_double(b) == 0)
        vm_throw(vm, E_VALUE,
                 a.type == V_FLOAT || b.type == V_FLOAT
                     ? (modulo ? "float modulo" : "float floor division by zero")
                     : "integer division or modulo by zero");
    if (a.type == V_FLOAT || b.type == V_FLOAT) {
        mod = float_modulo(number_double(a), number_double(b), &quotient);
        return v_float(modulo ? mod : quotient);
    }
    x = number_integer(a);
    y = number_integer(b);
    if (y == -1) /* INT64_MIN / -1 is not to be computed */
        return modulo ? v_int(0) : subtract(vm, v_int(0), v_int(x));
    if (modulo)
        return v_int((x % y + y) % y);
    return v_int(x / y - ((x % y != 0) && ((x < 0) != (y < 0))));
}

static struct value power_integers(struct vm *vm, int64_t base, int64_t exponent)
{
    int64_t result = 1;

    if (base == 0 || base == 1)
        return v_int(exponent == 0 ? 1 : base);
    if (base == -1)
        return v_int(exponent % 2 ? -1 : 1);
    for (; exponent > 0; exponent--)
        if (__builtin_mul_overflow(result, base, &result))
            too_large(vm);
    return v_int(result);
}

static struct value power(struct vm *vm, struct value a, struct value b)
{
    double x = number_double(a);
    double y = number_double(b);
    double result;

    if (a.type != V_FLOAT && b.type != V_FLOAT && number_integer(b) >= 0)
        return power_integers(vm, number_integer(a), number_integer(b));
    if (x == 0 && y < 0)
        vm_throw(vm, E_VALUE, "0.0 cannot be raised to a negative power");
    if (x < 0 && y != floor(y) && isfinite(x) && isfinite(y))
        vm_throw(vm, E_LIMIT, "a complex number");
    result = pow(x, y);
    if (isinf(result) && isfinite(x) && isfinite(y))
        vm_throw(vm, E_RUNTIME, "(34, 'Numerical result out of range')");
    return v_float(result);
}

/* ------------------------------------------------------------------ dispatch */

struct value op_add(struct vm *vm, struct value a, struct value b)
{
    if (is_number(a) && is_number(b))
        return add(vm, a, b);
    if (a.type == V_STR && b.type == V_STR)
        return add_texts(vm, a.s, b.s);
    if (a.type == b.type && (a.type == V_LIST || a.type == V_TUPLE))
        return join_lists(vm, a, b);
    check_defined(vm, a);
    check_defined(vm, b);
    if (a.type == V_STR)
        vm_throw(vm, E_TYPE, "can only concatenate str (not \"%s\") to str", type_name(b));
    if (a.type == V_LIST || a.type == V_TUPLE)
        vm_throw(vm, E_TYPE, "can only concatenate %s (not \"%s\") to %s", type_name(a),
                 type_name(b), type_name(a));
    unsupported(vm, "+", a, b);
}

static struct value op_multiply(struct vm *vm, struct value a, struct value b)
{
    if (is_number(a) && is_number(b))
        return multiply(vm, a, b);
    if (is_sequence(a) && is_integer(b))
        return repeat(vm, a, b);
    if (is_sequence(b) && is_integer(a))
        return repeat(vm, b, a);
    check_defined(vm, a);
    check_defined(vm, b);
    if (is_sequence(a) || is_sequence(b))
        vm_throw(vm, E_TYPE, "can't multiply sequence by non-int of type '%s'",
                 type_name(is_sequence(a) ? b : a));
    unsupported(vm, "*", a, b);
}

/* Dict views take anything that can be gone through, on either side; sets take sets. */
static bool is_set_operation(struct vm *vm, struct value a, struct value b)
{
    if (is_set_like(a) && a.type == V_VIEW)
        return true;
    if (a.type != V_SET || !is_set_like(b))
        check_defined(vm, a);
    return is_set_like(b) && (b.type == V_VIEW || a.type == V_SET);
}

struct value op_binary(struct render *r, int op, struct value a, struct value b)
{
    struct vm *vm = r->vm;
    bool numbers = is_number(a) && is_number(b);

    if (op == T_ADD)
        return op_add(vm, a, b);
    if (op == T_MUL)
        return op_multiply(vm, a, b);
    if (op == T_MOD && a.type == V_STR)
        return percent_format(r, a.s, b);
    if (op == T_SUB && !numbers && is_set_operation(vm, a, b))
        return set_subtract(vm, a, b);
    if (!numbers)
        unsupported(vm, op == T_POW ? "** or pow()" : token_name((enum token_type)op), a, b);
    switch (op) {
    case T_SUB:
        return subtract(vm, a, b);
    case T_DIV:
        return divide(vm, a, b);
    case T_FLOORDIV:
        return divide_floor(vm, a, b, false);
    case T_MOD:
        return divide_floor(vm, a, b, true);
    default:
        return power(vm, a, b);
    }
}

struct value op_unary(struct render *r, int op, struct value a)
{
    check_defined(r->vm, a);
    if (!is_number(a))
        vm_throw(r->vm, E_TYPE, "bad operand type for unary %c: '%s'", op == T_SUB ? '-' : '+',
                 type_name(a));
    if (a.type == V_FLOAT)
        return v_float(op == T_SUB ? -a.f : a.f);
    return op == T_SUB ? subtract(r->vm, v_int(0), a) : v_int(number_integer(a));
}

/* ------------------------------------------------------------------ numbers in texts */

static int digit(uint32_t c)
{
    int value = unicode_decimal(c);

    if (value >= 0)
        return value;
    if (c >= 'a' && c <= 'z')
        return (int)(c - 'a') + 10;
    return c >= 'A' && c <= 'Z' ? (int)(c - 'A') + 10 : 99;
}

static int prefix_base(const char *s, size_t at, size_t len)
{
    if (at + 1 >= len || s[at] != '0')
        return 0;
    switch (s[at + 1] | 0x20) {
    case 'x':
        return 16;
    case 'o':
        return 8;
    case 'b':
        return 2;
    default:
        return 0;
    }
}

/* Digits with single underscores between; false: something else. */
static bool read_digits(struct vm *vm, const struct text *s, size_t at, int base, bool negative,
                        int64_t *out)
{
    bool after_digit = false;
    bool any = false;

    *out = 0;
    while (at < s->len) {
        uint32_t c = utf8_step(s->data, &at);
        int value = digit(c);

        if (c == '_' && after_digit) {
            after_digit = false;
            continue;
        }
        if (value >= base)
            return false;
        if (__builtin_mul_overflow(*out, base, out) ||
            __builtin_add_overflow(*out, negative ? -value : value, out))
            too_large(vm);
        after_digit = true;
        any = true;
    }
    return any && after_digit;
}

bool text_to_int(struct vm *vm, const struct text *s, int base, int64_t *out)
{
    size_t at = 0;
    bool negative = false;
    int prefix;

    s = text_strip(vm, s, NULL, true, true);
    if (s->len && (s->data[0] == '-' || s->data[0] == '+')) {
        negative = s->data[0] == '-';
        at = 1;
    }
    prefix = prefix_base(s->data, at, s->len);
    if (prefix && (base == prefix || base == 0)) {
        base = prefix;
        at += 2;
        if (at < s->len && s->data[at] == '_')
            at++;
    } else if (base == 0) {
        base = 10;
        if (at < s->len && s->data[at] == '0') { /* 0 alone, or zeros */
            for (size_t i = at; i < s->len; i++)
                if (s->data[i] != '0' && s->data[i] != '_')
                    return false;
        }
    }
    return read_digits(vm, s, at, base, negative, out);
}

static bool is_word(const char *s, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++)
        if (!word[i] || (s[i] | 0x20) != word[i])
            return false;
    return !word[n];
}

/* The text as ASCII, digits of all scripts, underscores between digits left out. NULL: no number. */
static char *plain_number(struct vm *vm, const struct text *s)
{
    char *out = vm_alloc(vm, s->len + 1);
    size_t n = 0;
    size_t at = 0;
    bool after_digit = false;

    while (at < s->len) {
        uint32_t c = utf8_step(s->data, &at);
        int value = unicode_decimal(c);

        if (c == '_') {
            size_t next = at;

            if (!after_digit || at >= s->len || unicode_decimal(utf8_step(s->data, &next)) < 0)
                return NULL;
            after_digit = false;
            continue;
        }
        after_digit = value >= 0;
        if (value < 0 && c != '+' && c != '-' && c != '.' && (c | 0x20) != 'e')
            return NULL;
        out[n++] = value >= 0 ? (char)('0' + value) : (char)c;
    }
    out[n] = 0;
    return n ? out : NULL;
}

static bool is_hex_number(const char *s, size_t n)
{
    size_t digits = 0;
    size_t i = 0;

    if (n > 1 && s[0] == '0' && (s[1] | 0x20) == 'x')
        i = 2;
    for (bool point = false; i < n; i++)
        if (s[i] == '.' && !point)
            point = true;
        else if (isxdigit((unsigned char)s[i]))
            digits++;
        else
            break;
    if (!digits)
        return false;
    if (i < n && (s[i] | 0x20) == 'p') {
        i += i + 1 < n && (s[i + 1] == '-' || s[i + 1] == '+') ? 2 : 1;
        if (i == n)
            return false;
        while (i < n && isdigit((unsigned char)s[i]))
            i++;
    }
    return i == n;
}

/* Takes the sign off; true when what follows is no digits but an infinity or NaN, which is then *out. */
static bool read_sign(const char **data, size_t *len, bool *negative, double *out)
{
    *negative = *len && **data == '-';
    if (*len && (**data == '-' || **data == '+')) {
        ++*data;
        --*len;
    }
    if (is_word(*data, *len, "inf") || is_word(*data, *len, "infinity"))
        *out = *negative ? -INFINITY : INFINITY;
    else if (is_word(*data, *len, "nan"))
        *out = NAN;
    else
        return false;
    return true;
}

bool text_to_hex_double(struct vm *vm, const struct text *s, double *out)
{
    const char *data;
    const char *digits;
    size_t len;
    bool negative;

    s = text_strip(vm, s, text_of(vm, " \t\n\v\f\r"), true, true);
    len = s->len;
    data = s->data;
    if (read_sign(&data, &len, &negative, out))
        return true;
    if (!is_hex_number(data, len))
        return false;
    digits = len > 1 && (data[1] | 0x20) == 'x' ? data + 2 : data;
    *out = strtod(text_printf(vm, "0x%.*s", (int)(len - (size_t)(digits - data)), digits)->data,
                  NULL);
    if (isinf(*out))
        vm_throw(vm, E_RUNTIME, "hexadecimal value too large to represent as a float");
    if (negative)
        *out = -*out;
    return true;
}

bool text_to_double(struct vm *vm, const struct text *s, double *out)
{
    const char *data;
    size_t len;
    bool negative;
    char *plain;
    char *end;

    s = text_strip(vm, s, NULL, true, true);
    data = s->data;
    len = s->len;
    if (read_sign(&data, &len, &negative, out))
        return true;
    plain = plain_number(vm, s);
    if (!plain)
        return false;
    *out = strtod(plain, &end);
    return end != plain && !*end;
}
