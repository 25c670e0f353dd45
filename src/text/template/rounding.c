/*
 * rounding: Python's round(), and the local time as text.
 */
#include "text/template/engine.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_DIGITS 323
#define MIN_DIGITS (-308)

static struct value round_integer(struct vm *vm, int64_t i, int64_t digits)
{
    int64_t unit = 1;
    int64_t rest;
    int64_t half;

    for (; digits < 0; digits++)
        if (__builtin_mul_overflow(unit, 10, &unit))
            return v_int(0);
    rest = (i % unit + unit) % unit;
    half = unit / 2;
    i -= rest;
    if ((rest > half || (rest == half && unit > 1 && i / unit % 2 != 0)) &&
        __builtin_add_overflow(i, unit, &i))
        vm_throw(vm, E_LIMIT, "an integer has more than 64 bits");
    return v_int(i);
}

/* To tens, hundreds and so on: by the exact decimal digits, half to even. */
static double round_tens(double f, int64_t zeros)
{
    char digits[400];
    char number[420];
    int n = snprintf(digits, sizeof digits, "%.0f", trunc(f));
    int cut = n - (int)zeros;
    char last;
    int above;

    if (cut < 0)
        return 0;
    above = digits[cut] > '5' ||
            (digits[cut] == '5' &&
             (strspn(digits + cut + 1, "0") != strlen(digits + cut + 1) || f != trunc(f)));
    last = cut ? digits[cut - 1] : '0';
    if (!above && digits[cut] == '5')
        above = (last - '0') % 2; /* in the middle: to the even one */
    digits[cut] = 0;
    snprintf(number, sizeof number, "%s", cut ? digits : "0");
    if (above) {
        int i = (int)strlen(number) - 1;

        while (i >= 0 && number[i] == '9')
            number[i--] = '0';
        if (i >= 0)
            number[i]++;
        else
            snprintf(number, sizeof number, "1%s", strcmp(digits, "") ? digits : "0");
        if (i < 0)
            memset(number + 1, '0', strlen(number) - 1);
    }
    snprintf(number + strlen(number), sizeof number - strlen(number), "e%lld", (long long)zeros);
    return strtod(number, NULL);
}

struct value number_round(struct vm *vm, struct value v, int64_t digits)
{
    double f;

    if (v.type != V_FLOAT)
        return digits >= 0 ? v_int(number_integer(v))
                           : round_integer(vm, number_integer(v), digits);
    if (!isfinite(v.f) || digits > MAX_DIGITS)
        return v;
    if (digits < MIN_DIGITS)
        return v_float(0 * v.f);
    if (digits < 0)
        f = round_tens(fabs(v.f), -digits);
    else
        f = strtod(text_printf(vm, "%.*f", (int)digits, fabs(v.f))->data, NULL);
    if (isinf(f))
        vm_throw(vm, E_RUNTIME, "rounded value too large to represent");
    return v_float(copysign(f, v.f));
}

/* ------------------------------------------------------------------ time */

/* %f, %z and %Z are Python's own: the time has no zone. It reads up to a NUL. */
static const char *python_format(struct vm *vm, const struct text *format)
{
    size_t len = strnlen(format->data, format->len);
    struct builder b;

    build_init(&b, vm);
    for (size_t i = 0; i < len; i++) {
        char next = i + 1 < len ? format->data[i + 1] : 0;

        if (format->data[i] != '%' || !next) {
            build_add(&b, format->data + i, 1);
            continue;
        }
        if (next == 'f')
            build_str(&b, "000000");
        else if (next != 'z' && next != 'Z')
            build_add(&b, format->data + i, 2);
        i++;
    }
    build_add(&b, "", 1);
    return b.data;
}

/* Python's own: what a width makes longer than this is no text. */
static size_t python_room(const char *format)
{
    size_t room = 1024;
    size_t n_chars = utf8_count(format, strlen(format));

    while (room < 256 * n_chars)
        room *= 2;
    return room;
}

struct text *text_strftime(struct vm *vm, int64_t now, const struct text *format)
{
    time_t t = now ? (time_t)now : time(NULL);
    const char *wanted = python_format(vm, format);
    size_t room = python_room(wanted);
    char *out = vm_alloc(vm, room);
    locale_t plain;
    struct tm local;
    size_t n;

    if (!localtime_r(&t, &local))
        vm_throw(vm, E_RUNTIME, "the time cannot be told");
    local.tm_isdst = -1; /* with flags (%-Z, %_z) the C library is asked for the zone */
    local.tm_zone = "";
    plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!plain)
        vm_throw(vm, E_MEMORY, "out of memory");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    n = strftime_l(out, room, wanted, &local, plain);
#pragma GCC diagnostic pop
    freelocale(plain);
    return text_wrap(vm, out, n);
}
