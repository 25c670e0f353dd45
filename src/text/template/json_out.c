/*
 * json_out: values as JSON text, as Python's json.dumps writes them (tojson).
 */
#include "text/template/engine.h"
#include "text/template/iter.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct writer {
    struct builder b;
    const struct json_style *style;
    size_t level;
};

static void write_value(struct writer *w, struct value v);

/* ------------------------------------------------------------------ texts */

static void write_unit(struct writer *w, unsigned unit)
{
    char text[16];

    snprintf(text, sizeof text, "\\u%04x", unit);
    build_str(&w->b, text);
}

static void write_escape(struct writer *w, uint32_t c)
{
    static const char FROM[] = "\"\\\n\r\t\f\b";
    static const char TO[] = "\"\\nrtfb";
    const char *p = c < 0x80 && c ? strchr(FROM, (int)c) : NULL;

    if (p) {
        build_char(&w->b, '\\');
        build_char(&w->b, (unsigned char)TO[p - FROM]);
    } else if (c < 0x20 || (w->style->ascii && c > 0x7e && c < 0x10000)) {
        write_unit(w, c);
    } else if (w->style->ascii && c >= 0x10000) {
        write_unit(w, 0xd800 + ((c - 0x10000) >> 10));
        write_unit(w, 0xdc00 + ((c - 0x10000) & 0x3ff));
    } else {
        build_char(&w->b, c);
    }
}

static bool is_plain(const struct writer *w, unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\' && (!w->style->ascii || c < 0x7f);
}

static void write_text(struct writer *w, const struct text *s)
{
    size_t at = 0;

    vm_step(w->b.vm, s->len / 8);
    build_char(&w->b, '"');
    while (at < s->len) {
        size_t start = at;

        while (at < s->len && is_plain(w, (unsigned char)s->data[at]))
            at++;
        build_add(&w->b, s->data + start, at - start);
        if (at < s->len)
            write_escape(w, utf8_step(s->data, &at));
    }
    build_char(&w->b, '"');
}

static void write_number(struct writer *w, double f)
{
    char out[32];

    if (isnan(f))
        build_str(&w->b, "NaN");
    else if (isinf(f))
        build_str(&w->b, f < 0 ? "-Infinity" : "Infinity");
    else
        build_add(&w->b, out, float_chars(f, out));
}

/* ------------------------------------------------------------------ containers */

static void write_line(struct writer *w)
{
    build_char(&w->b, '\n');
    for (size_t i = 0; i < w->level; i++)
        build_text(&w->b, w->style->indent);
}

static void write_separator(struct writer *w, bool first)
{
    const struct json_style *style = w->style;

    if (!first && style->item_separator)
        build_text(&w->b, style->item_separator);
    else if (!first)
        build_str(&w->b, style->multi_line ? "," : ", ");
    if (style->multi_line)
        write_line(w);
}

static void write_end(struct writer *w, char close)
{
    w->level--;
    if (w->style->multi_line)
        write_line(w);
    build_char(&w->b, (unsigned char)close);
}

static void write_list(struct writer *w, const struct list *l)
{
    if (!l->len) {
        build_str(&w->b, "[]");
        return;
    }
    build_char(&w->b, '[');
    w->level++;
    for (size_t i = 0; i < l->len; i++) {
        write_separator(w, i == 0);
        write_value(w, l->items[i]);
    }
    write_end(w, ']');
}

static void write_key(struct writer *w, struct value key)
{
    switch (key.type) {
    case V_STR:
        write_text(w, key.s);
        return;
    case V_FLOAT:
        build_char(&w->b, '"');
        write_number(w, key.f);
        build_char(&w->b, '"');
        return;
    case V_NONE:
    case V_BOOL:
    case V_INT:
        build_char(&w->b, '"');
        write_value(w, key);
        build_char(&w->b, '"');
        return;
    default:
        vm_throw(w->b.vm, E_TYPE, "keys must be str, int, float, bool or None, not %s",
                 type_name(key));
    }
}

static struct list *sorted_entries(struct vm *vm, const struct dict *d)
{
    struct list *keys = list_new(vm, d->len);
    struct list *entries = list_new(vm, d->len);

    for (size_t i = 0; i < d->len; i++) {
        struct value pair = tuple2(vm, d->entries[i].key, d->entries[i].value);

        list_add(vm, keys, pair);
        list_add(vm, entries, pair);
    }
    return list_sorted(vm, entries, keys, false);
}

static void write_entry(struct writer *w, struct value key, struct value v, bool first)
{
    write_separator(w, first);
    write_key(w, key);
    if (w->style->key_separator)
        build_text(&w->b, w->style->key_separator);
    else
        build_str(&w->b, ": ");
    write_value(w, v);
}

static void write_dict(struct writer *w, const struct dict *d)
{
    if (!d->len) {
        build_str(&w->b, "{}");
        return;
    }
    build_char(&w->b, '{');
    w->level++;
    if (w->style->sort_keys) {
        const struct list *entries = sorted_entries(w->b.vm, d);

        for (size_t i = 0; i < entries->len; i++)
            write_entry(w, entries->items[i].l->items[0], entries->items[i].l->items[1], i == 0);
    } else {
        for (size_t i = 0; i < d->len; i++)
            write_entry(w, d->entries[i].key, d->entries[i].value, i == 0);
    }
    write_end(w, '}');
}

static void write_any(struct writer *w, struct value v)
{
    switch (v.type) {
    case V_NONE:
        build_str(&w->b, "null");
        break;
    case V_BOOL:
        build_str(&w->b, v.b ? "true" : "false");
        break;
    case V_INT:
        build_text(&w->b, value_str(w->b.vm, v));
        break;
    case V_FLOAT:
        write_number(w, v.f);
        break;
    case V_STR:
        write_text(w, v.s);
        break;
    case V_LIST:
    case V_TUPLE:
        write_list(w, v.l);
        break;
    case V_DICT:
        if (!v.d->proxy) {
            write_dict(w, v.d);
            break;
        } /* fall through */
    default:
        vm_throw(w->b.vm, E_TYPE, "Object of type %s is not JSON serializable", type_name(v));
    }
}

static void write_value(struct writer *w, struct value v)
{
    vm_step(w->b.vm, 1);
    vm_enter(w->b.vm);
    write_any(w, v);
    vm_leave(w->b.vm);
}

struct text *json_text(struct vm *vm, struct value v, const struct json_style *style)
{
    struct writer w = {.style = style};

    build_init(&w.b, vm);
    write_value(&w, v);
    return build_done(&w.b);
}
