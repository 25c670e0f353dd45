/*
 * text_ops: cutting, joining and replacing texts by code points, as Python's str does it.
 */
#include "text/template/engine.h"
#include "text/template/iter.h"
#include "text/template/unicode.h"

#include <string.h>

/* ------------------------------------------------------------------ strip */

static bool is_among(const struct text *chars, uint32_t c)
{
    size_t at = 0;

    if (!chars)
        return unicode_space(c);
    while (at < chars->len)
        if (utf8_step(chars->data, &at) == c)
            return true;
    return false;
}

struct text *text_strip(struct vm *vm, const struct text *s, const struct text *chars, bool left,
                        bool right)
{
    size_t from = 0;
    size_t end = s->len;
    struct text *part;

    while (left && from < end) {
        size_t next = from;

        if (!is_among(chars, utf8_step(s->data, &next)))
            break;
        from = next;
    }
    while (right && end > from) {
        size_t back = utf8_back(s->data, end);
        size_t next = back;

        if (!is_among(chars, utf8_step(s->data, &next)))
            break;
        end = back;
    }
    vm_step(vm, (s->len - (end - from)) * (chars ? chars->len + 1 : 1) / 4);
    if (from == 0 && end == s->len)
        return (struct text *)(uintptr_t)s;
    part = text_ascii(s) ? text_wrap_counted(vm, s->data + from, end - from, end - from)
                         : text_wrap(vm, s->data + from, end - from);
    part->safe = s->safe;
    return part;
}

/* ------------------------------------------------------------------ replace */

static const char *find(const char *at, const char *end, const struct text *what)
{
    if ((size_t)(end - at) < what->len)
        return NULL;
    return memmem(at, (size_t)(end - at), what->data, what->len);
}

/* Before each character and at the end. */
static struct text *insert_between(struct vm *vm, const struct text *s, const struct text *with,
                                   int64_t count)
{
    struct builder b;
    size_t at = 0;

    build_init(&b, vm);
    while (at < s->len && count > 0) {
        size_t start = at;

        utf8_step(s->data, &at);
        build_text(&b, with);
        build_add(&b, s->data + start, at - start);
        count--;
    }
    build_add(&b, s->data + at, s->len - at);
    if (count > 0)
        build_text(&b, with);
    return build_done(&b);
}

struct text *text_replace(struct vm *vm, const struct text *s, const struct text *old,
                          const struct text *with, int64_t count)
{
    const char *at = s->data;
    const char *end = s->data + s->len;
    const char *found;
    struct builder b;

    if (count < 0)
        count = INT64_MAX;
    vm_step(vm, s->len / 16);
    if (old->len == 0)
        return insert_between(vm, s, with, count);
    build_init(&b, vm);
    while (count-- > 0 && (found = find(at, end, old)) != NULL) {
        build_add(&b, at, (size_t)(found - at));
        build_text(&b, with);
        at = found + old->len;
    }
    if (at == s->data)
        return text_marked(vm, s, false);
    build_add(&b, at, (size_t)(end - at));
    return build_done(&b);
}

/* ------------------------------------------------------------------ split */

static void add_part(struct vm *vm, struct list *l, const struct text *s, const char *from,
                     const char *end)
{
    size_t len = (size_t)(end - from);
    struct text *part = text_ascii(s) ? text_wrap_counted(vm, from, len, len)
                                      : text_wrap(vm, from, len);

    part->safe = s->safe;
    list_add(vm, l, v_str(part));
}

static struct list *split_space(struct vm *vm, const struct text *s, int64_t max)
{
    struct list *l = list_new(vm, 0);
    size_t at = 0;

    while (at < s->len) {
        size_t next = at;
        size_t start = at;

        if (unicode_space(utf8_step(s->data, &next))) {
            at = next;
            continue;
        }
        if (max-- == 0) { /* the rest, blanks at its end included */
            add_part(vm, l, s, s->data + at, s->data + s->len);
            break;
        }
        do
            at = next;
        while (at < s->len && !unicode_space(utf8_step(s->data, &next)));
        add_part(vm, l, s, s->data + start, s->data + at);
    }
    return l;
}

static void check_separator(struct vm *vm, const struct text *sep)
{
    if (sep->len == 0)
        vm_throw(vm, E_VALUE, "empty separator");
}

struct list *text_split(struct vm *vm, const struct text *s, const struct text *sep, int64_t max)
{
    struct list *l = list_new(vm, 0);
    const char *at = s->data;
    const char *end = s->data + s->len;
    const char *found;

    if (max < 0)
        max = INT64_MAX;
    vm_step(vm, s->len / 8);
    if (!sep)
        return split_space(vm, s, max);
    check_separator(vm, sep);
    while (max-- > 0 && (found = find(at, end, sep)) != NULL) {
        add_part(vm, l, s, at, found);
        at = found + sep->len;
    }
    add_part(vm, l, s, at, end);
    return l;
}

static const char *find_last(struct vm *vm, const char *from, const char *end,
                             const struct text *what)
{
    for (const char *p = end - what->len; (size_t)(end - from) >= what->len && p >= from; p--) {
        vm_step(vm, what->len / 64 + 1);
        if (memcmp(p, what->data, what->len) == 0)
            return p;
    }
    return NULL;
}

static void reverse(struct list *l)
{
    for (size_t i = 0; i < l->len / 2; i++) {
        struct value v = l->items[i];

        l->items[i] = l->items[l->len - 1 - i];
        l->items[l->len - 1 - i] = v;
    }
}

static struct list *rsplit_space(struct vm *vm, const struct text *s, int64_t max)
{
    struct list *l = list_new(vm, 0);
    const struct text *rest = text_strip(vm, s, NULL, false, true);

    while (rest->len) {
        size_t at = rest->len;

        if (max-- == 0) {
            add_part(vm, l, s, rest->data, rest->data + rest->len);
            break;
        }
        while (at > 0) {
            size_t back = utf8_back(rest->data, at);
            size_t next = back;

            if (unicode_space(utf8_step(rest->data, &next)))
                break;
            at = back;
        }
        add_part(vm, l, s, rest->data + at, rest->data + rest->len);
        rest = text_strip(vm, text_wrap(vm, rest->data, at), NULL, false, true);
    }
    return l;
}

struct list *text_rsplit(struct vm *vm, const struct text *s, const struct text *sep, int64_t max)
{
    struct list *l = list_new(vm, 0);
    const char *end = s->data + s->len;
    const char *found;

    if (max < 0)
        max = INT64_MAX;
    vm_step(vm, s->len / 8);
    if (!sep) {
        l = rsplit_space(vm, s, max);
    } else {
        check_separator(vm, sep);
        while (max-- > 0 && (found = find_last(vm, s->data, end, sep)) != NULL) {
            add_part(vm, l, s, found + sep->len, end);
            end = found;
        }
        add_part(vm, l, s, s->data, end);
    }
    reverse(l);
    return l;
}

struct list *text_splitlines(struct vm *vm, const struct text *s, bool keep)
{
    struct list *l = list_new(vm, 0);
    size_t start = 0;
    size_t at = 0;

    vm_step(vm, s->len / 4);
    while (at < s->len) {
        size_t end = at;
        uint32_t c = utf8_step(s->data, &at);

        if (!unicode_line_end(c))
            continue;
        if (c == '\r' && at < s->len && s->data[at] == '\n')
            at++;
        add_part(vm, l, s, s->data + start, s->data + (keep ? at : end));
        start = at;
    }
    if (start < s->len)
        add_part(vm, l, s, s->data + start, s->data + s->len);
    return l;
}

/* ------------------------------------------------------------------ joining and padding */

struct text *text_join(struct vm *vm, const struct text *sep, struct value items)
{
    struct iter *it = iter_try(vm, items);
    struct value item;
    struct builder b;
    int64_t n = 0;

    if (!it)
        vm_throw(vm, E_TYPE, "can only join an iterable");
    build_init(&b, vm);
    while (iter_next(vm, it, &item)) {
        if (item.type != V_STR && !sep->safe)
            vm_throw(vm, E_TYPE, "sequence item %lld: expected str instance, %s found",
                     (long long)n, type_name(item));
        if (n++)
            build_text(&b, sep);
        build_text(&b, sep->safe ? text_escape(vm, item) : item.s);
    }
    return text_marked(vm, build_done(&b), sep->safe);
}

struct text *text_center(struct vm *vm, const struct text *s, int64_t width, uint32_t fill)
{
    int64_t room = width - (int64_t)s->count;
    int64_t left = room / 2 + (room & width & 1);
    struct builder b;

    if (room <= 0)
        return (struct text *)(uintptr_t)s;
    build_init(&b, vm);
    build_fill(&b, fill, (size_t)left);
    build_text(&b, s);
    build_fill(&b, fill, (size_t)(room - left));
    return text_marked(vm, build_done(&b), s->safe);
}
