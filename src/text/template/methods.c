/*
 * methods: those of str. Those of the other types are in methods_other.c.
 */
#include "text/template/engine.h"
#include "text/template/functions.h"
#include "text/template/iter.h"
#include "text/template/unicode.h"

#include <string.h>

static struct value like(struct render *r, const struct text *s, const struct text *of)
{
    return v_str(text_marked(r->vm, s, of->safe));
}

/* ------------------------------------------------------------------ case and kind */

BUILTIN_VALUE(str_lower, v_str(text_in_case(r->vm, args[0].s, CASE_LOWER)))
BUILTIN_VALUE(str_upper, v_str(text_in_case(r->vm, args[0].s, CASE_UPPER)))
BUILTIN_VALUE(str_title, v_str(text_in_case(r->vm, args[0].s, CASE_TITLE)))
BUILTIN_VALUE(str_capitalize, v_str(text_in_case(r->vm, args[0].s, CASE_CAPITALIZE)))
BUILTIN_VALUE(str_casefold, v_str(text_in_case(r->vm, args[0].s, CASE_FOLD)))
BUILTIN_VALUE(str_swapcase, v_str(text_in_case(r->vm, args[0].s, CASE_SWAP)))

static bool all_flags(struct vm *vm, const struct text *s, unsigned flags)
{
    size_t at = 0;

    vm_step(vm, s->len);
    while (at < s->len)
        if (!(unicode_flags(utf8_step(s->data, &at)) & flags))
            return false;
    return s->len > 0;
}

BUILTIN_VALUE(str_isalpha, v_bool(all_flags(r->vm, args[0].s, U_ALPHA)))
BUILTIN_VALUE(str_isalnum, v_bool(all_flags(r->vm, args[0].s, U_ALNUM)))
BUILTIN_VALUE(str_isdecimal, v_bool(all_flags(r->vm, args[0].s, U_DECIMAL)))
BUILTIN_VALUE(str_isdigit, v_bool(all_flags(r->vm, args[0].s, U_DIGIT)))
BUILTIN_VALUE(str_isnumeric, v_bool(all_flags(r->vm, args[0].s, U_NUMERIC)))
BUILTIN_VALUE(str_isprintable, v_bool(!args[0].s->len || all_flags(r->vm, args[0].s, U_PRINTABLE)))
BUILTIN_VALUE(str_isascii, v_bool(text_ascii(args[0].s)))
BUILTIN_VALUE(str_islower, v_bool(text_islower(r->vm, args[0].s)))
BUILTIN_VALUE(str_isupper, v_bool(text_isupper(r->vm, args[0].s)))

BUILTIN(str_isspace)
{
    const struct text *s = args[0].s;
    size_t at = 0;

    vm_step(r->vm, s->len);
    while (at < s->len)
        if (!unicode_space(utf8_step(s->data, &at)))
            return v_bool(false);
    return v_bool(s->len > 0);
}

BUILTIN(str_isidentifier)
{
    const struct text *s = args[0].s;
    size_t at = 0;

    vm_step(r->vm, s->len);
    while (at < s->len) {
        unsigned wanted = at ? U_NAME : U_NAME_START;

        if (!(unicode_flags(utf8_step(s->data, &at)) & wanted))
            return v_bool(false);
    }
    return v_bool(s->len > 0);
}

BUILTIN(str_istitle)
{
    const struct text *s = args[0].s;
    size_t at = 0;
    bool after_cased = false;
    bool any = false;

    vm_step(r->vm, s->len);
    while (at < s->len) {
        unsigned flags = unicode_flags(utf8_step(s->data, &at));

        if ((flags & (U_UPPER | U_TITLE)) ? after_cased : ((flags & U_LOWER) && !after_cased))
            return v_bool(false);
        after_cased = flags & U_CASED;
        any = any || after_cased;
    }
    return v_bool(any);
}

/* ------------------------------------------------------------------ cutting */

static const struct text *chars_of(struct render *r, struct value v)
{
    if (v.type == V_MISSING || v.type == V_NONE)
        return NULL;
    if (v.type != V_STR)
        vm_throw(r->vm, E_TYPE, "strip arg must be None or str");
    return v.s;
}

BUILTIN_VALUE(str_strip, v_str(text_strip(r->vm, args[0].s, chars_of(r, args[1]), true, true)))
BUILTIN_VALUE(str_lstrip, v_str(text_strip(r->vm, args[0].s, chars_of(r, args[1]), true, false)))
BUILTIN_VALUE(str_rstrip, v_str(text_strip(r->vm, args[0].s, chars_of(r, args[1]), false, true)))

static const struct text *separator_of(struct render *r, struct value v)
{
    if (v.type == V_MISSING || v.type == V_NONE)
        return NULL;
    if (v.type != V_STR)
        vm_throw(r->vm, E_TYPE, "must be str or None, not %s", type_name(v));
    return v.s;
}

BUILTIN_VALUE(str_split, v_list(text_split(r->vm, args[0].s, separator_of(r, args[1]),
                                           arg_int(r, args[2], -1))))
BUILTIN_VALUE(str_rsplit, v_list(text_rsplit(r->vm, args[0].s, separator_of(r, args[1]),
                                             arg_int(r, args[2], -1))))

BUILTIN(str_splitlines)
{
    bool keep = false;

    if (args[1].type != V_MISSING)
        keep = value_index(r->vm, args[1]) != 0;
    return v_list(text_splitlines(r->vm, args[0].s, keep));
}

static struct value three_parts(struct render *r, const struct text *s, size_t at,
                                const struct text *sep, bool found, bool last)
{
    struct list *l = list_new(r->vm, 3);
    struct text *none = text_wrap_counted(r->vm, "", 0, 0);
    size_t after = at + sep->len;

    if (found) {
        list_add(r->vm, l, like(r, text_wrap(r->vm, s->data, at), s));
        list_add(r->vm, l, like(r, sep, s));
        list_add(r->vm, l, like(r, text_wrap(r->vm, s->data + after, s->len - after), s));
    } else {
        list_add(r->vm, l, last ? like(r, none, s) : v_str(s));
        list_add(r->vm, l, like(r, none, s));
        list_add(r->vm, l, last ? v_str(s) : like(r, none, s));
    }
    return v_tuple(l);
}

static struct text *partition_separator(struct render *r, struct value v)
{
    struct text *sep = arg_text(r, v);

    if (!sep->len)
        vm_throw(r->vm, E_VALUE, "empty separator");
    return sep;
}

BUILTIN(str_partition)
{
    const struct text *s = args[0].s;
    const struct text *sep = partition_separator(r, args[1]);
    const char *found = s->len >= sep->len ? memmem(s->data, s->len, sep->data, sep->len) : NULL;

    return three_parts(r, s, found ? (size_t)(found - s->data) : 0, sep, found != NULL, false);
}

BUILTIN(str_rpartition)
{
    const struct text *s = args[0].s;
    const struct text *sep = partition_separator(r, args[1]);

    vm_step(r->vm, s->len / 8);
    for (size_t at = s->len + 1; at-- > 0;) {
        vm_step(r->vm, sep->len / 64 + 1);
        if (s->len - at >= sep->len && memcmp(s->data + at, sep->data, sep->len) == 0)
            return three_parts(r, s, at, sep, true, true);
    }
    return three_parts(r, s, 0, sep, false, true);
}

BUILTIN(str_removeprefix)
{
    const struct text *s = args[0].s;
    const struct text *p = arg_text(r, args[1]);

    if (s->len < p->len || memcmp(s->data, p->data, p->len) != 0)
        return v_str(s);
    return like(r, text_wrap(r->vm, s->data + p->len, s->len - p->len), s);
}

BUILTIN(str_removesuffix)
{
    const struct text *s = args[0].s;
    const struct text *p = arg_text(r, args[1]);

    if (!p->len || s->len < p->len || memcmp(s->data + s->len - p->len, p->data, p->len) != 0)
        return v_str(s);
    return like(r, text_wrap(r->vm, s->data, s->len - p->len), s);
}

/* ------------------------------------------------------------------ finding */

static int64_t bound(struct render *r, struct value v, int64_t fallback, int64_t len)
{
    int64_t at;

    if (v.type == V_MISSING || v.type == V_NONE)
        return fallback;
    if (!is_integer(v))
        vm_throw(r->vm, E_TYPE,
                 "slice indices must be integers or None or have an __index__ method");
    at = value_index(r->vm, v);
    if (at < 0)
        at += len;
    return at < 0 ? 0 : at;
}

/* The part of args[0] from args[2] to args[3]; false: it starts behind the end or its own end. */
static bool part_of(struct render *r, const struct value *args, size_t *from, size_t *end)
{
    const struct text *s = args[0].s;
    int64_t len = (int64_t)s->count;
    int64_t start = bound(r, args[2], 0, len);
    int64_t stop = bound(r, args[3], len, len);

    if (stop > len)
        stop = len;
    if (start > len || start > stop)
        return false;
    *from = text_offset(s, (size_t)start);
    *end = text_offset(s, (size_t)stop);
    vm_step(r->vm, s->len / 16);
    return true;
}

static int64_t find_in(struct render *r, const struct value *args, bool last)
{
    const struct text *s = args[0].s;
    const struct text *what = arg_text(r, args[1]);
    size_t from;
    size_t end;

    if (!part_of(r, args, &from, &end) || end - from < what->len)
        return -1;
    if (!last) {
        const char *found = what->len ? memmem(s->data + from, end - from, what->data, what->len)
                                      : s->data + from;

        return found ? (int64_t)utf8_count(s->data, (size_t)(found - s->data)) : -1;
    }
    for (size_t at = end - what->len + 1; at-- > from;) {
        vm_step(r->vm, what->len / 64 + 1);
        if (memcmp(s->data + at, what->data, what->len) == 0)
            return (int64_t)utf8_count(s->data, at);
    }
    return -1;
}

BUILTIN_VALUE(str_find, v_int(find_in(r, args, false)))
BUILTIN_VALUE(str_rfind, v_int(find_in(r, args, true)))

static struct value found_or_throw(struct render *r, int64_t at)
{
    if (at < 0)
        vm_throw(r->vm, E_VALUE, "substring not found");
    return v_int(at);
}

BUILTIN_VALUE(str_index, found_or_throw(r, find_in(r, args, false)))
BUILTIN_VALUE(str_rindex, found_or_throw(r, find_in(r, args, true)))

BUILTIN(str_count)
{
    const struct text *s = args[0].s;
    const struct text *what = arg_text(r, args[1]);
    size_t from;
    size_t end;
    int64_t n = 0;
    const char *found;

    if (!part_of(r, args, &from, &end))
        return v_int(0);
    vm_step(r->vm, (end - from) / 16);
    if (!what->len)
        return v_int((int64_t)utf8_count(s->data + from, end - from) + 1);
    while (end - from >= what->len &&
           (found = memmem(s->data + from, end - from, what->data, what->len)) != NULL) {
        from = (size_t)(found - s->data) + what->len;
        n++;
    }
    return v_int(n);
}

static bool affix(struct render *r, const struct value *args, const struct text *what, bool end)
{
    const struct text *s = args[0].s;
    size_t from;
    size_t stop;

    if (!part_of(r, args, &from, &stop) || stop - from < what->len)
        return false;
    return memcmp(s->data + (end ? stop - what->len : from), what->data, what->len) == 0;
}

static struct value has_affix(struct render *r, const struct value *args, bool end)
{
    const char *name = end ? "endswith" : "startswith";

    if (args[1].type == V_STR)
        return v_bool(affix(r, args, args[1].s, end));
    if (args[1].type != V_TUPLE)
        vm_throw(r->vm, E_TYPE, "%s first arg must be str or a tuple of str, not %s", name,
                 type_name(args[1]));
    for (size_t i = 0; i < args[1].l->len; i++) {
        struct value what = args[1].l->items[i];

        if (what.type != V_STR)
            vm_throw(r->vm, E_TYPE, "tuple for %s must only contain str, not %s", name,
                     type_name(what));
        if (affix(r, args, what.s, end))
            return v_bool(true);
    }
    return v_bool(false);
}

BUILTIN_VALUE(str_startswith, has_affix(r, args, false))
BUILTIN_VALUE(str_endswith, has_affix(r, args, true))

/* ------------------------------------------------------------------ joining, replacing, padding */

BUILTIN_VALUE(str_join, v_str(text_join(r->vm, args[0].s, args[1])))

BUILTIN(str_replace)
{
    const struct text *s = args[0].s;
    const struct text *old = arg_text(r, args[1]);
    const struct text *with = s->safe ? text_escape(r->vm, args[2]) : arg_text(r, args[2]);

    return like(r, text_replace(r->vm, s, old, with, arg_int(r, args[3], -1)), s);
}

static uint32_t fill_char(struct render *r, const struct text *s, struct value v)
{
    size_t at = 0;
    const struct text *fill;

    if (v.type == V_MISSING)
        return ' ';
    fill = s->safe ? text_escape(r->vm, v) : arg_text(r, v);
    if (fill->count != 1)
        vm_throw(r->vm, E_TYPE, "The fill character must be exactly one character long");
    return utf8_step(fill->data, &at);
}

BUILTIN_VALUE(str_center, v_str(text_center(r->vm, args[0].s, value_index(r->vm, args[1]),
                                            fill_char(r, args[0].s, args[2]))))

static struct value padded(struct render *r, struct value *args, bool before)
{
    const struct text *s = args[0].s;
    uint32_t fill = fill_char(r, s, args[2]);
    int64_t room = value_index(r->vm, args[1]);
    struct builder b;

    if (room <= (int64_t)s->count)
        return v_str(s);
    build_init(&b, r->vm);
    if (!before)
        build_text(&b, s);
    build_fill(&b, fill, (size_t)room - s->count);
    if (before)
        build_text(&b, s);
    return like(r, build_done(&b), s);
}

BUILTIN_VALUE(str_ljust, padded(r, args, false))
BUILTIN_VALUE(str_rjust, padded(r, args, true))

BUILTIN(str_zfill)
{
    const struct text *s = args[0].s;
    int64_t width = value_index(r->vm, args[1]);
    bool sign = s->len && (s->data[0] == '+' || s->data[0] == '-');
    struct builder b;

    if (width <= (int64_t)s->count)
        return v_str(s);
    build_init(&b, r->vm);
    build_add(&b, s->data, sign);
    build_fill(&b, '0', (size_t)width - s->count);
    build_add(&b, s->data + sign, s->len - sign);
    return like(r, build_done(&b), s);
}

BUILTIN(str_expandtabs)
{
    const struct text *s = args[0].s;
    int64_t size = arg_int(r, args[1], 8);
    int64_t column = 0;
    size_t at = 0;
    struct builder b;

    build_init(&b, r->vm);
    while (at < s->len) {
        uint32_t c = utf8_step(s->data, &at);

        if (c == '\t') {
            int64_t room = size > 0 ? size - column % size : 0;

            build_fill(&b, ' ', (size_t)room);
            column += room;
            continue;
        }
        column = c == '\n' || c == '\r' ? 0 : column + 1;
        build_char(&b, c);
    }
    return like(r, build_done(&b), s);
}

/* ------------------------------------------------------------------ translation and format */

/* What table[c] is, a dict's or a sequence's; NULL: there is none. */
static struct value *translation(struct render *r, struct value table, uint32_t c,
                                 struct value *item)
{
    check_defined(r->vm, table);
    if (table.type == V_DICT)
        return dict_get(r->vm, table.d, v_int((int64_t)c));
    if (table.type != V_LIST && table.type != V_TUPLE && table.type != V_STR &&
        table.type != V_RANGE)
        vm_throw(r->vm, E_TYPE, "'%s' object is not subscriptable", type_name(table));
    if ((int64_t)c >= value_size(table))
        return NULL;
    *item = get_item(r, table, v_int((int64_t)c));
    return item;
}

static void translate_char(struct render *r, struct builder *b, struct value table, uint32_t c)
{
    struct value item;
    struct value *to;

    to = translation(r, table, c, &item);
    if (!to)
        build_char(b, c);
    else if (to->type == V_STR)
        build_text(b, to->s);
    else if (is_integer(*to) && value_index(r->vm, *to) >= 0 && value_index(r->vm, *to) < 0x110000)
        build_char(b, (uint32_t)value_index(r->vm, *to));
    else if (to->type != V_NONE)
        vm_throw(r->vm, E_TYPE, "character mapping must return integer, None or str");
}

BUILTIN(str_translate)
{
    const struct text *s = args[0].s;
    size_t at = 0;
    struct builder b;

    build_init(&b, r->vm);
    while (at < s->len)
        translate_char(r, &b, args[1], utf8_step(s->data, &at));
    return like(r, build_done(&b), s);
}

static struct dict *translations_between(struct render *r, struct value *args)
{
    const struct text *from = arg_text(r, args[1]);
    const struct text *to = arg_text(r, args[2]);
    const struct text *cut = args[3].type == V_MISSING ? NULL : arg_text(r, args[3]);
    struct dict *d = dict_new(r->vm);
    size_t at = 0;
    size_t at_to = 0;

    if (from->count != to->count)
        vm_throw(r->vm, E_VALUE, "the first two maketrans arguments must have equal length");
    while (at < from->len) {
        struct value c = v_int((int64_t)utf8_step(from->data, &at));

        dict_set(r->vm, d, c, v_int((int64_t)utf8_step(to->data, &at_to)));
    }
    for (at = 0; cut && at < cut->len;)
        dict_set(r->vm, d, v_int((int64_t)utf8_step(cut->data, &at)), v_none());
    return d;
}

static struct dict *translations_of(struct render *r, const struct dict *given)
{
    struct dict *d = dict_new(r->vm);

    for (size_t i = 0; i < given->len; i++) {
        struct value key = given->entries[i].key;
        size_t at = 0;

        if (key.type == V_STR && key.s->count != 1)
            vm_throw(r->vm, E_VALUE, "string keys in translate table must be of length 1");
        if (key.type != V_STR && !is_integer(key))
            vm_throw(r->vm, E_TYPE, "keys in translate table must be strings or integers");
        if (key.type == V_STR)
            key = v_int((int64_t)utf8_step(key.s->data, &at));
        dict_set(r->vm, d, key, given->entries[i].value);
    }
    return d;
}

BUILTIN(str_maketrans)
{
    if (args[2].type != V_MISSING)
        return v_dict(translations_between(r, args));
    if (args[1].type != V_DICT || args[1].d->proxy)
        vm_throw(r->vm, E_TYPE, "if you give only one argument to maketrans it must be a dict");
    return v_dict(translations_of(r, args[1].d));
}

BUILTIN_VALUE(str_do_format, str_format(r, args[0].s, call, v_of(V_MISSING)))

BUILTIN(str_format_map)
{
    struct call none = {0};

    return str_format(r, args[0].s, &none, args[1]);
}

BUILTIN_VALUE(str_unescape, v_str(text_unescape(r->vm, args[0].s)))
BUILTIN_VALUE(str_striptags, v_str(text_striptags(r->vm, args[0])))
BUILTIN_VALUE(str_escape, v_str(text_escape(r->vm, args[1])))

static const struct builtin METHODS[] = {
    {"lower", "/", str_lower},
    {"upper", "/", str_upper},
    {"title", "/", str_title},
    {"capitalize", "/", str_capitalize},
    {"casefold", "/", str_casefold},
    {"swapcase", "/", str_swapcase},
    {"isalpha", "/", str_isalpha},
    {"isalnum", "/", str_isalnum},
    {"isdecimal", "/", str_isdecimal},
    {"isdigit", "/", str_isdigit},
    {"isnumeric", "/", str_isnumeric},
    {"isprintable", "/", str_isprintable},
    {"isascii", "/", str_isascii},
    {"islower", "/", str_islower},
    {"isupper", "/", str_isupper},
    {"isspace", "/", str_isspace},
    {"isidentifier", "/", str_isidentifier},
    {"istitle", "/", str_istitle},
    {"strip", "/|chars", str_strip},
    {"lstrip", "/|chars", str_lstrip},
    {"rstrip", "/|chars", str_rstrip},
    {"split", "|sep,maxsplit", str_split},
    {"rsplit", "|sep,maxsplit", str_rsplit},
    {"splitlines", "|keepends", str_splitlines},
    {"partition", "/sep", str_partition},
    {"rpartition", "/sep", str_rpartition},
    {"removeprefix", "/prefix", str_removeprefix},
    {"removesuffix", "/suffix", str_removesuffix},
    {"find", "/sub|start,end", str_find},
    {"rfind", "/sub|start,end", str_rfind},
    {"index", "/sub|start,end", str_index},
    {"rindex", "/sub|start,end", str_rindex},
    {"count", "/sub|start,end", str_count},
    {"startswith", "/prefix|start,end", str_startswith},
    {"endswith", "/suffix|start,end", str_endswith},
    {"join", "/iterable", str_join},
    {"replace", "/old,new|count", str_replace},
    {"center", "/width|fillchar", str_center},
    {"ljust", "/width|fillchar", str_ljust},
    {"rjust", "/width|fillchar", str_rjust},
    {"zfill", "/width", str_zfill},
    {"expandtabs", "|tabsize", str_expandtabs},
    {"translate", "/table", str_translate},
    {"maketrans", "/x|y,z", str_maketrans},
    {"format", "*", str_do_format},
    {"format_map", "/mapping", str_format_map},
    {"unescape", "/", str_unescape}, /* of a Markup */
    {"striptags", "/", str_striptags},
    {"escape", "s", str_escape},
};
const struct functions STR_METHODS = {METHODS, sizeof METHODS / sizeof *METHODS};
