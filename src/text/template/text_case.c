/*
 * text_case: upper, lower, title and the tests on them, with Unicode's full mappings, as Python's str
 * does them.
 */
#include "text/template/engine.h"
#include "text/template/unicode.h"

/* An upper sigma at the end of a word becomes a final one: a cased character before it and none
 * behind, ignorable ones skipped. */
static bool final_sigma(const struct text *s, size_t at, size_t next)
{
    size_t p = at;
    bool before = false;

    while (p > 0 && !before) {
        size_t back = utf8_back(s->data, p);
        size_t q = back;
        unsigned flags = unicode_flags(utf8_step(s->data, &q));

        p = back;
        if (flags & U_IGNORABLE)
            continue;
        before = flags & U_CASED;
        break;
    }
    if (!before)
        return false;
    while (next < s->len) {
        unsigned flags = unicode_flags(utf8_step(s->data, &next));

        if (!(flags & U_IGNORABLE))
            return !(flags & U_CASED);
    }
    return true;
}

static void build_mapped(struct builder *b, const struct case_table *table, uint32_t c)
{
    uint32_t out[3];
    size_t n = unicode_map(table, c, out);

    for (size_t i = 0; i < n; i++)
        build_char(b, out[i]);
}

static void build_lower(struct builder *b, const struct text *s, uint32_t c, size_t at, size_t next)
{
    if (c == 0x3a3)
        build_char(b, final_sigma(s, at, next) ? 0x3c2 : 0x3c3);
    else
        build_mapped(b, &UNICODE_LOWER, c);
}

static struct text *done_like(struct builder *b, const struct text *s)
{
    return text_marked(b->vm, build_done(b), s->safe);
}

static struct text *map_all(struct vm *vm, const struct text *s, const struct case_table *table)
{
    struct builder b;
    size_t at = 0;

    build_init(&b, vm);
    vm_step(vm, s->len);
    while (at < s->len) {
        size_t start = at;
        uint32_t c = utf8_step(s->data, &at);

        if (table == &UNICODE_LOWER)
            build_lower(&b, s, c, start, at);
        else
            build_mapped(&b, table, c);
    }
    return done_like(&b, s);
}

struct text *text_lower(struct vm *vm, const struct text *s)
{
    return map_all(vm, s, &UNICODE_LOWER);
}

struct text *text_upper(struct vm *vm, const struct text *s)
{
    return map_all(vm, s, &UNICODE_UPPER);
}

struct text *text_casefold(struct vm *vm, const struct text *s)
{
    return map_all(vm, s, &UNICODE_CASEFOLD);
}

struct text *text_swapcase(struct vm *vm, const struct text *s)
{
    struct builder b;
    size_t at = 0;

    build_init(&b, vm);
    vm_step(vm, s->len);
    while (at < s->len) {
        size_t start = at;
        uint32_t c = utf8_step(s->data, &at);
        unsigned flags = unicode_flags(c);

        if (flags & U_UPPER)
            build_lower(&b, s, c, start, at);
        else if (flags & U_LOWER)
            build_mapped(&b, &UNICODE_UPPER, c);
        else
            build_char(&b, c);
    }
    return done_like(&b, s);
}

struct text *text_title(struct vm *vm, const struct text *s)
{
    struct builder b;
    size_t at = 0;
    bool after_cased = false;

    build_init(&b, vm);
    vm_step(vm, s->len);
    while (at < s->len) {
        size_t start = at;
        uint32_t c = utf8_step(s->data, &at);

        if (after_cased)
            build_lower(&b, s, c, start, at);
        else
            build_mapped(&b, &UNICODE_TITLE, c);
        after_cased = unicode_flags(c) & U_CASED;
    }
    return done_like(&b, s);
}

struct text *text_capitalize(struct vm *vm, const struct text *s)
{
    struct builder b;
    size_t at = 0;

    build_init(&b, vm);
    vm_step(vm, s->len);
    while (at < s->len) {
        size_t start = at;
        uint32_t c = utf8_step(s->data, &at);

        if (start == 0)
            build_mapped(&b, &UNICODE_TITLE, c);
        else
            build_lower(&b, s, c, start, at);
    }
    return done_like(&b, s);
}

/* Some character of `is`, none of `isnt`. */
static bool all_cased(struct vm *vm, const struct text *s, unsigned is, unsigned isnt)
{
    size_t at = 0;
    bool found = false;

    vm_step(vm, s->len);
    while (at < s->len) {
        unsigned flags = unicode_flags(utf8_step(s->data, &at));

        if (flags & isnt)
            return false;
        found = found || (flags & is);
    }
    return found;
}

bool text_islower(struct vm *vm, const struct text *s)
{
    return all_cased(vm, s, U_LOWER, U_UPPER | U_TITLE);
}

bool text_isupper(struct vm *vm, const struct text *s)
{
    return all_cased(vm, s, U_UPPER, U_LOWER | U_TITLE);
}
