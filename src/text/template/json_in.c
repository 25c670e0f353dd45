/*
 * json_in: JSON text to values, as Python's json.loads reads it: NaN and Infinity, lone surrogates
 * and repeated keys (the last one counts) included; integers beyond 64 bits are an error.
 */
#include "text/template/engine.h"
#include "text/template/limits.h"

#include "core/ascii.h"
#include "core/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    struct vm *vm;
    const char *s;
    size_t len;
    size_t at;
    const char *what;
    unsigned depth;
    size_t nodes;
};

static _Noreturn void fail(struct reader *x, size_t detail, const char *why)
{
    x->vm->detail = (int64_t)detail;
    vm_throw(x->vm, E_ARGUMENT, "%s: %s", x->what, why);
}

static _Noreturn void bad(struct reader *x, const char *why)
{
    size_t line = 1;
    size_t start = 0;

    for (size_t i = 0; i < x->at && i < x->len; i++) {
        if (x->s[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    fail(x, x->at,
         text_printf(x->vm, "not JSON, line %zu column %zu: %s", line, x->at - start + 1, why)
             ->data);
}

static void skip_blanks(struct reader *x)
{
    while (x->at < x->len && scan_is_space(x->s[x->at]))
        x->at++;
}

static bool take(struct reader *x, const char *word)
{
    size_t n = strlen(word);

    if (x->len - x->at < n || memcmp(x->s + x->at, word, n) != 0)
        return false;
    x->at += n;
    return true;
}

/* ------------------------------------------------------------------ texts */

static void read_escape(struct reader *x, struct builder *b)
{
    uint32_t code = 0;
    const char *behind = scan_escape(x->s + x->at, x->s + x->len, &code);

    if (!behind)
        bad(x, "a wrong escape");
    x->at = (size_t)(behind - x->s);
    build_char(b, code);
}

/* A text without escapes stays where it is: the JSON outlives the rendering. */
static struct text *read_text(struct reader *x)
{
    size_t start = ++x->at;
    struct builder b;

    build_init(&b, x->vm);
    for (;;) {
        size_t from = x->at;
        char c;

        x->at += scan_plain(x->s + from, x->len - from);
        if (x->at >= x->len)
            bad(x, "a text has no end");
        c = x->s[x->at];
        if (c == '"' && from == start) {
            x->at++;
            return text_wrap(x->vm, x->s + start, x->at - 1 - start);
        }
        build_add(&b, x->s + from, x->at - from);
        x->at += c == '"';
        if (c == '"')
            return build_done(&b);
        if (c != '\\')
            bad(x, "a control character in a text");
        read_escape(x, &b);
        start = SIZE_MAX;
    }
}

/* ------------------------------------------------------------------ numbers */

static struct value integer_value(struct reader *x, struct json_span number)
{
    int64_t value = 0;

    if (!scan_integer(number, &value))
        bad(x, "an integer has more than 64 bits");
    return v_int(value);
}

static struct value float_value(struct reader *x, struct json_span number)
{
    return v_float(strtod(text_new(x->vm, number.data, number.len)->data, NULL));
}

static struct value read_number(struct reader *x)
{
    struct json_span number = {x->s + x->at, 0};
    const char *behind = scan_number_end(number.data, x->s + x->len);
    bool whole = true;

    if (!behind)
        bad(x, is_digit(*number.data) ? "a damaged number" : "a value was expected");
    for (const char *c = number.data; c < behind; c++)
        whole = whole && (is_digit(*c) || *c == '-');
    number.len = (size_t)(behind - number.data);
    x->at += number.len;
    return whole ? integer_value(x, number) : float_value(x, number);
}

/* ------------------------------------------------------------------ all of it */

static struct value read_value(struct reader *x);

static struct value read_list(struct reader *x)
{
    struct list *l = list_new(x->vm, 0);

    x->at++;
    skip_blanks(x);
    if (take(x, "]"))
        return v_list(l);
    for (;;) {
        list_add(x->vm, l, read_value(x));
        skip_blanks(x);
        if (take(x, "]"))
            return v_list(l);
        if (!take(x, ","))
            bad(x, "\",\" or \"]\" was expected");
    }
}

static struct value read_dict(struct reader *x)
{
    struct dict *d = dict_new(x->vm);

    x->at++;
    skip_blanks(x);
    if (take(x, "}"))
        return v_dict(d);
    for (;;) {
        struct text *key;

        skip_blanks(x);
        if (x->at >= x->len || x->s[x->at] != '"')
            bad(x, "a key in quotes was expected");
        key = read_text(x);
        skip_blanks(x);
        if (!take(x, ":"))
            bad(x, "\":\" was expected");
        dict_set(x->vm, d, v_str(key), read_value(x));
        skip_blanks(x);
        if (take(x, "}"))
            return v_dict(d);
        if (!take(x, ","))
            bad(x, "\",\" or \"}\" was expected");
    }
}

static struct value read_scalar(struct reader *x)
{
    if (take(x, "null"))
        return v_none();
    if (take(x, "true"))
        return v_bool(true);
    if (take(x, "false"))
        return v_bool(false);
    if (take(x, "NaN"))
        return v_float(NAN);
    if (take(x, "Infinity"))
        return v_float(INFINITY);
    if (take(x, "-Infinity"))
        return v_float(-INFINITY);
    return read_number(x);
}

static struct value read_value(struct reader *x)
{
    struct value v;

    vm_step(x->vm, 1);
    if (++x->nodes > MAX_JSON_NODES)
        fail(x, x->at, text_printf(x->vm, "more than %zu values", MAX_JSON_NODES)->data);
    skip_blanks(x);
    if (x->at >= x->len)
        bad(x, "it ends too early");
    if (x->s[x->at] == '"')
        return v_str(read_text(x));
    if (x->s[x->at] != '[' && x->s[x->at] != '{')
        return read_scalar(x);
    if (++x->depth > MAX_JSON_DEPTH)
        fail(x, x->at,
             text_printf(x->vm, "nested deeper than %d at byte %zu", MAX_JSON_DEPTH, x->at)->data);
    v = x->s[x->at] == '[' ? read_list(x) : read_dict(x);
    x->depth--;
    return v;
}

struct value json_parse(struct vm *vm, const char *data, size_t len, const char *what)
{
    struct reader x = {.vm = vm, .s = data, .len = len, .what = what};
    struct value v;

    if (len > MAX_JSON_BYTES)
        fail(&x, len, text_printf(vm, "longer than %zu bytes", MAX_JSON_BYTES)->data);
    if (!utf8_valid(data, len))
        bad(&x, "not valid UTF-8");
    v = read_value(&x);
    skip_blanks(&x);
    if (x.at < len)
        bad(&x, "something follows its end");
    return v;
}
