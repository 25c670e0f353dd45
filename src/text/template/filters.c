/*
 * filters: those of one value. Those of sequences are in filters_sequence.c.
 */
#include "core/ascii.h"
#include "text/template/functions.h"
#include "text/template/iter.h"
#include "text/template/unicode.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ------------------------------------------------------------------ case */

#define CASE_FILTER(name, wanted)                                                                  \
    BUILTIN(do_##name)                                                                             \
    {                                                                                              \
        return v_str(text_in_case(r->vm, value_str(r->vm, args[0]), wanted));                      \
    }
CASE_FILTER(lower, CASE_LOWER)
CASE_FILTER(upper, CASE_UPPER)
CASE_FILTER(capitalize, CASE_CAPITALIZE)

static bool starts_word(uint32_t c)
{
    return unicode_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
}

/* jinja2's title: each piece between blanks and brackets: one character up, the rest down. */
BUILTIN(do_title)
{
    const struct text *s = value_str(r->vm, args[0]);
    struct builder b;
    size_t at = 0;

    build_init(&b, r->vm);
    while (at < s->len) {
        size_t start = at;
        size_t first = at;
        bool separator = starts_word(utf8_step(s->data, &first));
        const struct text *piece;

        while (at < s->len) {
            size_t next = at;

            if (starts_word(utf8_step(s->data, &next)) != separator)
                break;
            at = next;
        }
        piece = text_wrap(r->vm, s->data + start, first - start);
        build_text(&b, text_in_case(r->vm, piece, CASE_UPPER));
        piece = text_wrap(r->vm, s->data + first, at - first);
        build_text(&b, text_in_case(r->vm, piece, CASE_LOWER));
    }
    return v_str(build_done(&b));
}

/* ------------------------------------------------------------------ texts */

BUILTIN_VALUE(do_string, v_str(value_str(r->vm, args[0])))
BUILTIN_VALUE(do_safe, v_str(text_marked(r->vm, value_str(r->vm, args[0]), true)))
BUILTIN_VALUE(do_escape, v_str(text_escape(r->vm, args[0])))
BUILTIN_VALUE(do_forceescape, v_str(text_escape(r->vm, v_str(value_plain(r->vm, args[0])))))

BUILTIN(do_trim)
{
    const struct text *chars = NULL;

    if (args[1].type != V_MISSING && args[1].type != V_NONE) {
        if (args[1].type != V_STR)
            vm_throw(r->vm, E_TYPE, "strip arg must be None or str");
        chars = args[1].s;
    }
    return v_str(text_strip(r->vm, value_str(r->vm, args[0]), chars, true, true));
}

static bool is_safe(struct value v)
{
    return v.type == V_STR && v.s->safe;
}

BUILTIN(do_replace)
{
    struct vm *vm = r->vm;
    int64_t count = args[3].type == V_NONE ? -1 : arg_int(r, args[3], -1);
    struct text *s = value_str(vm, args[0]);
    struct text *with = value_str(vm, args[2]);

    if (!r->autoescape)
        return v_str(text_replace(vm, s, value_str(vm, args[1]), with, count));
    if (is_safe(args[1]) || (is_safe(args[2]) && !is_safe(args[0])))
        s = text_escape(vm, args[0]);
    if (s->safe)
        with = text_escape(vm, v_str(with));
    return v_str(
        text_marked(vm, text_replace(vm, s, value_str(vm, args[1]), with, count), s->safe));
}

BUILTIN_VALUE(do_center,
              v_str(text_center(r->vm, value_str(r->vm, args[0]), arg_int(r, args[1], 80), ' ')))

BUILTIN(do_format)
{
    struct list *l = list_new(r->vm, call->n);
    struct dict *d = dict_new(r->vm);

    if (!call->n)
        vm_throw(r->vm, E_TYPE, "format() is missing its value");
    if (call->n > 1 && call->n_kw)
        vm_throw(r->vm, E_TYPE, "can't handle positional and keyword arguments at the same time");
    for (size_t i = 1; i < call->n; i++)
        list_add(r->vm, l, call->args[i]);
    for (size_t i = 0; i < call->n_kw; i++)
        dict_set(r->vm, d, v_str(call->kw[i].name), call->kw[i].value);
    return percent_format(r, value_str(r->vm, call->args[0]), call->n_kw ? v_dict(d) : v_tuple(l));
}

/* Texts as `s`, and safe if it is. */
BUILTIN(do_indent)
{
    struct vm *vm = r->vm;
    bool first = arg_truth(r, args[2], false);
    bool blank = arg_truth(r, args[3], false);
    struct text *indent;
    struct builder b;
    struct text *s;
    struct list *lines;

    if (args[1].type == V_STR) {
        indent = args[1].s;
    } else {
        build_init(&b, vm);
        build_fill(&b, ' ', (size_t)(arg_int(r, args[1], 4) > 0 ? arg_int(r, args[1], 4) : 0));
        indent = build_done(&b);
    }
    check_defined(vm, args[0]);
    s = op_add(vm, args[0], v_str(text_of(vm, "\n"))).s;
    if (s->safe && !indent->safe && args[1].type == V_STR)
        indent = text_marked(vm, indent, true);
    lines = text_splitlines(vm, s, false);
    build_init(&b, vm);
    if (first)
        build_text(&b, indent);
    for (size_t i = 0; i < lines->len; i++) {
        const struct text *line = lines->items[i].s;

        if (i)
            build_char(&b, '\n');
        if (i && (blank || line->len))
            build_text(&b, indent);
        build_text(&b, line);
    }
    return v_str(text_marked(vm, build_done(&b), s->safe));
}

BUILTIN(do_truncate)
{
    struct vm *vm = r->vm;
    int64_t length = arg_int(r, args[1], 255);
    bool kill_words = arg_truth(r, args[2], false);
    struct value end = arg_or(args[3], v_str(text_of(vm, "...")));
    int64_t leeway = args[4].type == V_NONE ? 5 : arg_int(r, args[4], 5);
    int64_t end_length = value_len_or_throw(vm, end);
    struct text *s;
    struct list *parts;

    if (length < end_length)
        vm_throw(vm, E_RUNTIME, "expected length >= %lld, got %lld", (long long)end_length,
                 (long long)length);
    if (leeway < 0)
        vm_throw(vm, E_RUNTIME, "expected leeway >= 0, got %lld", (long long)leeway);
    if (value_len_or_throw(vm, args[0]) <= length + leeway)
        return args[0];
    s = arg_text(r, args[0]);
    s = text_marked(vm, text_slice(vm, s, 0, (size_t)(length - end_length)), s->safe);
    if (!kill_words) {
        parts = text_rsplit(vm, s, text_of(vm, " "), 1);
        s = parts->items[0].s;
    }
    return op_add(vm, v_str(s), end);
}

static bool is_word(uint32_t c)
{
    return c == '_' || (unicode_flags(c) & U_ALNUM);
}

BUILTIN(do_wordcount)
{
    const struct text *s = value_str(r->vm, args[0]);
    bool within = false;
    int64_t n = 0;
    size_t at = 0;

    vm_step(r->vm, s->len / 4);
    while (at < s->len) {
        bool word = is_word(utf8_step(s->data, &at));

        n += word && !within;
        within = word;
    }
    return v_int(n);
}

BUILTIN(do_wordwrap)
{
    struct text *newline = text_of(r->vm, "\n");
    struct value wrap = arg_or(args[3], v_none());

    check_defined(r->vm, args[0]);
    return v_str(text_wordwrap(
        r->vm, arg_text(r, args[0]), arg_int(r, args[1], 79), arg_truth(r, args[2], true),
        wrap.type == V_NONE ? newline : arg_text(r, wrap), arg_truth(r, args[4], true)));
}

BUILTIN_VALUE(do_striptags, v_str(text_striptags(r->vm, args[0])))
BUILTIN_VALUE(do_pprint, v_str(text_pprint(r->vm, args[0])))

/* ------------------------------------------------------------------ urlencode */

static void quote(struct builder *b, const struct text *s, bool for_query)
{
    static const char SAFE[] = "_.-~";
    char hex[4];

    for (size_t i = 0; i < s->len; i++) {
        char c = s->data[i];

        if (is_letter(c) || is_digit(c) || (c && strchr(SAFE, c)) || (c == '/' && !for_query)) {
            build_char(b, (unsigned char)c);
        } else if (c == ' ' && for_query) {
            build_char(b, '+');
        } else {
            snprintf(hex, sizeof hex, "%%%02X", (unsigned char)c);
            build_str(b, hex);
        }
    }
}

static void quote_pair(struct render *r, struct builder *b, struct value pair, bool first)
{
    const struct list *parts = list_of(r->vm, pair);

    if (parts->len != 2)
        vm_throw(r->vm, E_VALUE, "urlencode wants pairs");
    if (!first)
        build_char(b, '&');
    quote(b, value_str(r->vm, parts->items[0]), true);
    build_char(b, '=');
    quote(b, value_str(r->vm, parts->items[1]), true);
}

BUILTIN(do_urlencode)
{
    struct iter *it = args[0].type == V_STR ? NULL : iter_try(r->vm, args[0]);
    struct builder b;
    struct value item;
    bool first = true;

    build_init(&b, r->vm);
    if (!it)
        quote(&b, value_str(r->vm, args[0]), false);
    while (it && iter_next(r->vm, it, &item)) {
        if (args[0].type == V_DICT && !args[0].d->proxy)
            item = tuple2(r->vm, item, *dict_get(r->vm, args[0].d, item));
        quote_pair(r, &b, item, first);
        first = false;
    }
    return v_str(build_done(&b));
}

/* ------------------------------------------------------------------ numbers */

BUILTIN(do_abs)
{
    struct value v = args[0];

    check_defined(r->vm, v);
    if (!is_number(v))
        vm_throw(r->vm, E_TYPE, "bad operand type for abs(): '%s'", type_name(v));
    if (v.type == V_FLOAT)
        return v_float(fabs(v.f));
    return value_index(r->vm, v) < 0 ? op_unary(r, T_SUB, v) : v_int(value_index(r->vm, v));
}

/* int(float): false for NaN, which is a ValueError. */
static bool truncated(struct render *r, double f, bool inner, int64_t *out)
{
    if (isnan(f) || (isinf(f) && inner))
        return false;
    if (isinf(f))
        vm_throw(r->vm, E_RUNTIME, "cannot convert float infinity to integer");
    if (f >= 9223372036854775808.0 || f < -9223372036854775808.0)
        vm_throw(r->vm, E_LIMIT, "an integer has more than 64 bits");
    *out = (int64_t)f;
    return true;
}

BUILTIN(do_int)
{
    struct value v = args[0];
    struct value fallback = arg_or(args[1], v_int(0));
    /* A base that is none leaves the float. */
    int64_t base = args[2].type == V_MISSING || is_integer(args[2]) ? arg_int(r, args[2], 10) : -1;
    double f;
    int64_t i;

    check_defined(r->vm, v);
    if (is_integer(v))
        return v_int(value_index(r->vm, v));
    if (v.type == V_FLOAT)
        return truncated(r, v.f, false, &i) ? v_int(i) : fallback;
    if (v.type != V_STR)
        return fallback;
    if ((base == 0 || (base >= 2 && base <= 36)) && text_to_int(r->vm, v.s, (int)base, &i))
        return v_int(i);
    if (text_to_double(r->vm, v.s, &f) && truncated(r, f, true, &i))
        return v_int(i);
    return fallback;
}

BUILTIN(do_float)
{
    double f;

    check_defined(r->vm, args[0]);
    if (is_number(args[0]))
        return v_float(number_double(args[0]));
    if (args[0].type == V_STR && text_to_double(r->vm, args[0].s, &f))
        return v_float(f);
    return arg_or(args[1], v_float(0));
}

static struct value round_method(struct render *r, struct value v, struct value precision, bool up)
{
    struct value scale = op_binary(r, T_POW, v_int(10), precision);
    struct value scaled = op_binary(r, T_MUL, v, scale);
    int64_t i;

    if (!is_number(scaled))
        vm_throw(r->vm, E_TYPE, "must be real number, not %s", type_name(scaled));
    if (scaled.type == V_FLOAT) {
        if (!truncated(r, up ? ceil(scaled.f) : floor(scaled.f), false, &i))
            vm_throw(r->vm, E_VALUE, "cannot convert float NaN to integer");
        scaled = v_int(i);
    }
    return op_binary(r, T_DIV, scaled, scale);
}

BUILTIN(do_round)
{
    struct value precision = arg_or(args[1], v_int(0));
    const struct text *method = NULL;

    if (args[2].type != V_MISSING) {
        if (args[2].type != V_STR || (!text_is(args[2].s, "common") &&
                                      !text_is(args[2].s, "ceil") && !text_is(args[2].s, "floor")))
            vm_throw(r->vm, E_TYPE, "method must be common, ceil or floor");
        method = args[2].s;
    }
    check_defined(r->vm, args[0]);
    if (method && !text_is(method, "common"))
        return round_method(r, args[0], precision, text_is(method, "ceil"));
    if (!is_number(args[0]))
        vm_throw(r->vm, E_TYPE, "type %s doesn't define __round__ method", type_name(args[0]));
    if (precision.type == V_NONE) {
        int64_t i = 0;
        struct value rounded = number_round(r->vm, args[0], 0);

        if (rounded.type != V_FLOAT)
            return rounded;
        if (!truncated(r, rounded.f, false, &i))
            vm_throw(r->vm, E_VALUE, "cannot convert float NaN to integer");
        return v_int(i);
    }
    return number_round(r->vm, args[0], value_index(r->vm, precision));
}

static double size_number(struct render *r, struct value v)
{
    double f = 0;

    check_defined(r->vm, v);
    if (is_number(v))
        return number_double(v);
    if (v.type != V_STR)
        vm_throw(r->vm, E_TYPE, "float() argument must be a string or a real number, not '%s'",
                 type_name(v));
    if (!text_to_double(r->vm, v.s, &f))
        vm_throw(r->vm, E_VALUE, "could not convert string to float: %s", repr_chars(r->vm, v));
    return f;
}

BUILTIN(do_filesizeformat)
{
    static const char PREFIXES[] = "kMGTPEZY";
    bool binary = arg_truth(r, args[1], false);
    double bytes = size_number(r, args[0]);
    double base = binary ? 1024 : 1000;
    long double unit = base; /* exact, as Python's integer is */
    int64_t whole = 0;
    int i = -1;

    if (bytes == 1)
        return v_str(text_of(r->vm, "1 Byte"));
    if (bytes < base) {
        if (!truncated(r, bytes, false, &whole))
            vm_throw(r->vm, E_VALUE, "cannot convert float NaN to integer");
        return v_str(text_printf(r->vm, "%lld Bytes", (long long)whole));
    }
    do {
        unit *= base;
        i++;
    } while (bytes >= unit && i < 7);
    return v_str(text_printf(r->vm, "%.1f %c%sB", base * bytes / (double)unit,
                             binary && i == 0 ? 'K' : PREFIXES[i], binary ? "i" : ""));
}

/* ------------------------------------------------------------------ values */

BUILTIN(do_default)
{
    if (args[0].type == V_UNDEFINED ||
        (arg_truth(r, args[2], false) && !value_truth(r->vm, args[0])))
        return arg_or(args[1], v_str(text_of(r->vm, "")));
    return args[0];
}

BUILTIN_VALUE(do_length, v_int(value_len_or_throw(r->vm, args[0])))

BUILTIN(do_attr)
{
    struct value v;
    struct text *name;

    if (args[1].type != V_STR)
        vm_throw(r->vm, E_TYPE, "attribute name must be string, not '%s'", type_name(args[1]));
    name = args[1].s;
    if (args[0].type == V_UNDEFINED) /* names like __x__ are looked up, others are a use of it */
        return undefined_attribute(r, args[0], name);
    v = type_attribute(r, args[0], name);
    return v.type == V_MISSING ? undefined_item(r->vm, args[0], args[1]) : v;
}

static void set_indent(struct render *r, struct json_style *style, struct value v)
{
    struct builder b;

    if (v.type == V_MISSING || v.type == V_NONE)
        return;
    style->multi_line = true;
    if (v.type == V_STR) {
        style->indent = v.s;
        return;
    }
    check_defined(r->vm, v);
    build_init(&b, r->vm);
    build_fill(&b, ' ', (size_t)(value_index(r->vm, v) > 0 ? value_index(r->vm, v) : 0));
    style->indent = build_done(&b);
}

BUILTIN(do_tojson)
{
    struct json_style style = {.ascii = arg_truth(r, args[1], false),
                               .sort_keys = arg_truth(r, args[4], false)};
    const struct list *separators;

    set_indent(r, &style, args[2]);
    if (args[3].type != V_MISSING && args[3].type != V_NONE) {
        separators = list_of(r->vm, args[3]);
        if (separators->len != 2)
            vm_throw(r->vm, E_VALUE, "separators: two are wanted");
        style.item_separator = arg_text(r, separators->items[0]);
        style.key_separator = arg_text(r, separators->items[1]);
    }
    return v_str(json_text(r->vm, args[0], &style));
}

static const struct builtin ITEMS[] = {
    {"abs", "/x", do_abs},
    {"attr", "obj,name", do_attr},
    {"capitalize", "s", do_capitalize},
    {"center", "value|width", do_center},
    {"count", "/obj", do_length},
    {"d", "value|default_value,boolean", do_default},
    {"default", "value|default_value,boolean", do_default},
    {"e", "/s", do_escape},
    {"escape", "/s", do_escape},
    {"filesizeformat", "value|binary", do_filesizeformat},
    {"float", "value|default", do_float},
    {"forceescape", "value", do_forceescape},
    {"format", "*", do_format},
    {"indent", "s|width,first,blank", do_indent},
    {"int", "value|default,base", do_int},
    {"length", "/obj", do_length},
    {"lower", "s", do_lower},
    {"pprint", "value", do_pprint},
    {"replace", "s,old,new|count", do_replace},
    {"round", "value|precision,method", do_round},
    {"safe", "value", do_safe},
    {"string", "/object", do_string},
    {"striptags", "value", do_striptags},
    {"title", "s", do_title},
    {"tojson", "x|ensure_ascii,indent,separators,sort_keys", do_tojson},
    {"trim", "value|chars", do_trim},
    {"truncate", "s|length,killwords,end,leeway", do_truncate},
    {"upper", "s", do_upper},
    {"urlencode", "value", do_urlencode},
    {"wordcount", "s", do_wordcount},
    {"wordwrap", "s|width,break_long_words,wrapstring,break_on_hyphens", do_wordwrap},
};
const struct functions FILTERS = {ITEMS, sizeof ITEMS / sizeof *ITEMS};
