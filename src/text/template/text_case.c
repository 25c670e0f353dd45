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

/* How the character is written; NULL: as it stands. */
static const struct case_table *table_of(enum letter_case wanted, unsigned flags, bool first,
                                         bool after_cased)
{
    switch (wanted) {
    case CASE_UPPER:
        return &UNICODE_UPPER;
    case CASE_FOLD:
        return &UNICODE_CASEFOLD;
    case CASE_SWAP:
        return flags & U_UPPER ? &UNICODE_LOWER : flags & U_LOWER ? &UNICODE_UPPER : NULL;
    case CASE_TITLE:
        return after_cased ? &UNICODE_LOWER : &UNICODE_TITLE;
    case CASE_CAPITALIZE:
        return first ? &UNICODE_TITLE : &UNICODE_LOWER;
    default:
        return &UNICODE_LOWER;
    }
}

struct text *text_in_case(struct vm *vm, const struct text *s, enum letter_case wanted)
{
    struct builder b;
    bool after_cased = false;

    build_init(&b, vm);
    vm_step(vm, s->len);
    for (size_t at = 0, start = 0; at < s->len; start = at) {
        uint32_t c = utf8_step(s->data, &at);
        unsigned flags = wanted == CASE_SWAP || wanted == CASE_TITLE ? unicode_flags(c) : 0;
        const struct case_table *table = table_of(wanted, flags, start == 0, after_cased);

        if (!table)
            build_char(&b, c);
        else if (table == &UNICODE_LOWER)
            build_lower(&b, s, c, start, at);
        else
            build_mapped(&b, table, c);
        after_cased = flags & U_CASED;
    }
    return text_marked(vm, build_done(&b), s->safe);
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
