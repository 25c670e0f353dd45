/*
 * pretty: the filter pprint: Python's pprint.pformat, 80 columns wide, keys sorted.
 */
#include "text/template/engine.h"
#include "text/template/iter.h"
#include "text/template/unicode.h"

#include <string.h>

#define WIDTH 80

struct pretty {
    struct builder b;
};

static void format(struct pretty *p, struct value v, int64_t indent, int64_t allowance, int level);

/* ------------------------------------------------------------------ on one line */

/* Whether Python can tell which of two keys is smaller. */
static bool is_ordered(struct vm *vm, struct value a, struct value b)
{
    bool ordered = true;

    if (a.type == V_UNDEFINED || b.type == V_UNDEFINED) /* the comparison says so */
        return true;
    if (a.type != V_TUPLE || b.type != V_TUPLE)
        return (is_number(a) && is_number(b)) || (a.type == V_STR && b.type == V_STR);
    vm_enter(vm);
    for (size_t i = 0; i < a.l->len && i < b.l->len; i++)
        if (!value_equal(vm, a.l->items[i], b.l->items[i])) {
            ordered = is_ordered(vm, a.l->items[i], b.l->items[i]);
            break;
        }
    vm_leave(vm);
    return ordered;
}

/* Keys that have no order go by the names of their types. */
static bool key_less(struct vm *vm, struct value a, struct value b)
{
    return is_ordered(vm, a, b) ? value_compare(vm, "<", a, b)
                                : strcmp(type_name(a), type_name(b)) < 0;
}

static struct list *sorted_pairs(struct vm *vm, const struct dict *d)
{
    struct list *pairs = list_new(vm, d->len);
    struct list *keys = list_new(vm, d->len);

    for (size_t i = 0; i < d->len; i++) {
        list_add(vm, keys, d->entries[i].key);
        list_add(vm, pairs, tuple2(vm, d->entries[i].key, d->entries[i].value));
    }
    return list_sorted_by(vm, pairs, keys, false, key_less);
}

static void one_line(struct builder *b, struct value v);

static void one_line_dict(struct builder *b, const struct dict *d)
{
    const struct list *pairs = sorted_pairs(b->vm, d);

    build_char(b, '{');
    for (size_t i = 0; i < pairs->len; i++) {
        if (i)
            build_str(b, ", ");
        one_line(b, pairs->items[i].l->items[0]);
        build_str(b, ": ");
        one_line(b, pairs->items[i].l->items[1]);
    }
    build_char(b, '}');
}

static void one_line_items(struct builder *b, struct value v)
{
    build_char(b, v.type == V_LIST ? '[' : '(');
    for (size_t i = 0; i < v.l->len; i++) {
        if (i)
            build_str(b, ", ");
        one_line(b, v.l->items[i]);
    }
    if (v.type == V_TUPLE && v.l->len == 1)
        build_char(b, ',');
    build_char(b, v.type == V_LIST ? ']' : ')');
}

static void one_line(struct builder *b, struct value v)
{
    vm_enter(b->vm);
    if (v.type == V_DICT && !v.d->proxy)
        one_line_dict(b, v.d);
    else if (v.type == V_LIST || (v.type == V_TUPLE && !v.l->group))
        one_line_items(b, v);
    else
        build_repr(b, v);
    vm_leave(b->vm);
}

static struct text *short_form(struct vm *vm, struct value v)
{
    struct builder b;

    build_init(&b, vm);
    one_line(&b, v);
    return build_done(&b);
}

/* ------------------------------------------------------------------ on several */

static void new_line(struct pretty *p, int64_t indent)
{
    build_char(&p->b, '\n');
    build_fill(&p->b, ' ', (size_t)indent);
}

static void several_pairs(struct pretty *p, const struct dict *d, int64_t indent, int64_t allowance,
                          int level)
{
    const struct list *pairs = sorted_pairs(p->b.vm, d);

    build_char(&p->b, '{');
    indent++;
    for (size_t i = 0; i < pairs->len; i++) {
        const struct text *key = short_form(p->b.vm, pairs->items[i].l->items[0]);

        if (i) {
            build_char(&p->b, ',');
            new_line(p, indent);
        }
        build_text(&p->b, key);
        build_str(&p->b, ": ");
        format(p, pairs->items[i].l->items[1], indent + (int64_t)key->count + 2,
               i + 1 == pairs->len ? allowance + 1 : 1, level);
    }
    build_char(&p->b, '}');
}

static void several_items(struct pretty *p, const struct list *l, const char *brackets,
                          int64_t indent, int64_t allowance, int level)
{
    const char *close = brackets + 1;

    build_char(&p->b, (unsigned char)brackets[0]);
    indent++;
    allowance += close[1] ? 2 : 1;
    for (size_t i = 0; i < l->len; i++) {
        if (i) {
            build_char(&p->b, ',');
            new_line(p, indent);
        }
        format(p, l->items[i], indent, i + 1 == l->len ? allowance : 1, level);
    }
    build_str(&p->b, close);
}

static void several_members(struct pretty *p, struct value set, int64_t indent, int64_t allowance,
                            int level)
{
    const struct list *l = list_of(p->b.vm, set);

    several_items(p, list_sorted_by(p->b.vm, l, l, false, key_less), "{}", indent, allowance,
                  level);
}

/* What a view calls its mapping. */
static void several_proxied(struct pretty *p, const struct dict *proxy, int64_t indent,
                            int64_t allowance, int level)
{
    struct dict d = *proxy;

    d.proxy = false;
    build_str(&p->b, "mappingproxy(");
    format(p, v_dict(&d), indent + 13, allowance + 1, level);
    build_char(&p->b, ')');
}

/* \S*\s* from `at`: where it ends. */
static size_t word_end(const struct text *s, size_t at)
{
    size_t next = at;

    while (at < s->len && !unicode_space(utf8_step(s->data, &next)))
        at = next;
    next = at;
    while (at < s->len && unicode_space(utf8_step(s->data, &next)))
        at = next;
    return at;
}

/* A line that is too long, in pieces that end after blanks. */
static void cut_line(struct vm *vm, struct list *chunks, const struct text *line, int64_t width,
                     int64_t allowance, bool last)
{
    size_t from = 0;
    size_t end = 0;

    for (size_t at = 0; at < line->len;) {
        size_t next = word_end(line, at);
        const struct text *candidate = text_wrap(vm, line->data + from, next - from);

        if (next == line->len && last)
            width -= allowance;
        if ((int64_t)value_repr(vm, v_str(candidate))->count > width) {
            if (end > from)
                list_add(
                    vm, chunks,
                    v_str(value_repr(vm, v_str(text_wrap(vm, line->data + from, end - from)))));
            from = at;
        }
        end = next;
        at = next;
    }
    if (end > from)
        list_add(vm, chunks,
                 v_str(value_repr(vm, v_str(text_wrap(vm, line->data + from, end - from)))));
}

static void several_texts(struct pretty *p, const struct text *s, int64_t indent, int64_t allowance,
                          int level)
{
    struct vm *vm = p->b.vm;
    const struct list *lines = text_splitlines(vm, s, true);
    struct list *chunks = list_new(vm, 0);
    const struct text *rep = NULL;
    int64_t width;

    if (level == 1) {
        indent++;
        allowance++;
    }
    width = WIDTH - indent;
    for (size_t i = 0; i < lines->len; i++) {
        bool last = i + 1 == lines->len;

        rep = value_repr(vm, lines->items[i]);
        if ((int64_t)rep->count <= width - (last ? allowance : 0))
            list_add(vm, chunks, v_str(rep));
        else
            cut_line(vm, chunks, lines->items[i].s, width, allowance, last);
    }
    if (chunks->len == 1) {
        build_text(&p->b, rep);
        return;
    }
    if (level == 1)
        build_char(&p->b, '(');
    for (size_t i = 0; i < chunks->len; i++) {
        if (i)
            new_line(p, indent);
        build_text(&p->b, chunks->items[i].s);
    }
    if (level == 1)
        build_char(&p->b, ')');
}

static void format(struct pretty *p, struct value v, int64_t indent, int64_t allowance, int level)
{
    const struct text *rep = short_form(p->b.vm, v);

    vm_enter(p->b.vm);
    level++;
    if ((int64_t)rep->count <= WIDTH - indent - allowance)
        build_text(&p->b, rep);
    else if (v.type == V_DICT && v.d->proxy)
        several_proxied(p, v.d, indent, allowance, level);
    else if (v.type == V_DICT)
        several_pairs(p, v.d, indent, allowance, level);
    else if (v.type == V_SET && v.d->len)
        several_members(p, v, indent, allowance, level);
    else if (v.type == V_LIST)
        several_items(p, v.l, "[]", indent, allowance, level);
    else if (v.type == V_TUPLE && !v.l->group)
        several_items(p, v.l, v.l->len == 1 ? "(,)" : "()", indent, allowance, level);
    else if (v.type == V_STR && !v.s->safe && v.s->len)
        several_texts(p, v.s, indent, allowance, level);
    else
        build_text(&p->b, rep);
    vm_leave(p->b.vm);
}

struct text *text_pprint(struct vm *vm, struct value v)
{
    struct pretty p;

    build_init(&p.b, vm);
    format(&p, v, 0, 0, 0);
    return build_done(&p.b);
}
