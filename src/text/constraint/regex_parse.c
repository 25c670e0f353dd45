/*
 * regex_parse: reads a regular expression. A recursive descent, bounded in length and nesting.
 */
#include "core/ascii.h"
#include "core/utf8.h"
#include "text/constraint/regex_parts.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PATTERN 4096
#define MAX_DEPTH 50
#define MAX_COUNT 2000
#define MAX_RANGES 4096

struct ranges {
    struct code_range *at; /* (MAX_RANGES) */
    size_t n;
};

struct reader {
    const char *at, *end;
    struct arena *arena;
    const char *why;
    struct ranges set, other, third; /* scratch */
    int32_t depth;
    bool negated; /* within [^...] */
};

static const struct regex_part *bad(struct reader *r, const char *why)
{
    r->why = why;
    return NULL;
}

static bool wrong(struct reader *r, const char *why)
{
    r->why = why;
    return false;
}

static bool next_is(const struct reader *r, char c)
{
    return r->at < r->end && *r->at == c;
}

/* ------------------------------------------------------------------ parts */

static struct regex_part *part(struct reader *r, enum regex_kind kind, const struct regex_part *a,
                               const struct regex_part *b)
{
    struct regex_part *p = arena_alloc(r->arena, sizeof *p);

    if (p) {
        p->kind = kind;
        p->a = a;
        p->b = b;
    }
    return p;
}

const struct regex_part *regex_class(struct arena *arena, const struct code_range *ranges, size_t n)
{
    struct regex_part *p = arena_alloc(arena, sizeof *p);
    struct code_range *copy = arena_alloc(arena, (n ? n : 1) * sizeof *copy);

    if (!p || !copy)
        return NULL;
    memcpy(copy, ranges, n * sizeof *copy);
    *p = (struct regex_part){.kind = REGEX_CLASS, .ranges = copy, .n_ranges = n};
    return p;
}

/* ------------------------------------------------------------------ sets of code points */

static void add(struct ranges *s, uint32_t low, uint32_t high)
{
    if (s->n < MAX_RANGES)
        s->at[s->n++] = (struct code_range){low, high};
}

static int by_low(const void *a, const void *b)
{
    const struct code_range *x = a;
    const struct code_range *y = b;

    return x->low < y->low ? -1 : x->low > y->low;
}

/* Sorted, without overlaps. */
static void tidy(struct ranges *s)
{
    size_t n = 0;

    qsort(s->at, s->n, sizeof *s->at, by_low);
    for (size_t i = 0; i < s->n; i++) {
        struct code_range r = s->at[i];

        if (n > 0 && r.low <= s->at[n - 1].high + 1) {
            if (r.high > s->at[n - 1].high)
                s->at[n - 1].high = r.high;
        } else {
            s->at[n++] = r;
        }
    }
    s->n = n;
}

/* `to` gets everything that is not in `from`, which is made tidy. */
static void add_complement(struct ranges *to, struct ranges *from)
{
    uint32_t next = 0;

    tidy(from);
    for (size_t i = 0; i < from->n; i++) {
        if (from->at[i].low > next)
            add(to, next, from->at[i].low - 1);
        next = from->at[i].high + 1;
    }
    if (next <= LAST_CODE)
        add(to, next, LAST_CODE);
}

static void add_spaces_of_any(struct ranges *s)
{
    static const struct code_range spaces[] = {{9, 13},          {0x1C, 0x20},     {0x85, 0x85},
                                               {0xA0, 0xA0},     {0x1680, 0x1680}, {0x2000, 0x200A},
                                               {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},
                                               {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};

    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++)
        add(s, spaces[i].low, spaces[i].high);
}

/* \d \w \s and their opposites; false: no such class. */
static bool add_named(struct reader *r, char name, struct ranges *to)
{
    bool opposite = (name & 0x20) == 0;
    struct ranges *named = opposite ? &r->third : to;

    if (!strchr("dwsDWS", name))
        return false;
    r->third.n = 0;
    switch (name | 0x20) {
    case 'w':
        add(named, 'A', 'Z');
        add(named, '_', '_');
        add(named, 'a', 'z');
        add(named, '0', '9');
        break;
    case 'd':
        add(named, '0', '9');
        break;
    default:
        if (opposite != r->negated) /* what is left out is what any reader calls a space */
            add_spaces_of_any(named);
        else {
            add(named, 9, 13);
            add(named, ' ', ' ');
        }
    }
    if (opposite)
        add_complement(to, named);
    return true;
}

/* ------------------------------------------------------------------ atoms */

static bool read_hex(struct reader *r, size_t digits, uint32_t *out)
{
    if ((size_t)(r->end - r->at) < digits || !read_hex_digits(r->at, digits, out))
        return wrong(r, "an escape without its digits");
    r->at += digits;
    return true;
}

/* Behind \u: four digits, two times four of a surrogate pair, or {digits}. */
static bool read_unicode(struct reader *r, uint32_t *out)
{
    uint32_t low = 0;
    size_t digits = 0;

    if (next_is(r, '{')) {
        r->at++;
        while (digits < 6 && r->at + digits < r->end && r->at[digits] != '}')
            digits++;
        if (digits == 0 || !read_hex(r, digits, out) || !next_is(r, '}') || *out > LAST_CODE)
            return wrong(r, "an escape without its digits");
        r->at++;
        return true;
    }
    if (!read_hex(r, 4, out))
        return false;
    if (utf8_is_high(*out) && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u' &&
        read_hex_digits(r->at + 2, 4, &low) && utf8_is_low(low)) {
        *out = utf8_joined(*out, low);
        r->at += 6;
    }
    return true;
}

/* Behind a backslash. *named: it was a class, added to the set. */
static bool read_escape(struct reader *r, struct ranges *s, bool *named, uint32_t *out)
{
    static const char controls[] = "tnvfr"; /* 9, 10, 11, 12, 13 */
    const char *control = NULL;
    char c = '\0';

    if (r->at == r->end)
        return wrong(r, "a \\ at its end");
    c = *r->at++;
    if (c == 'x')
        return read_hex(r, 2, out);
    if (c == 'u')
        return read_unicode(r, out);
    control = c ? strchr(controls, c) : NULL;
    if (control) {
        *out = (uint32_t)(9 + (control - controls));
        return true;
    }
    if (c > ' ' && c < 0x7F && !is_letter(c) && !is_digit(c)) {
        *out = (unsigned char)c;
        return true;
    }
    *named = c && add_named(r, c, s);
    return *named || wrong(r, "an escape other than \\d \\w \\s \\t \\n \\v \\f \\r \\x \\u or of "
                              "punctuation");
}

static bool read_character(struct reader *r, struct ranges *s, bool *named, uint32_t *out)
{
    size_t n = 0;

    *named = false;
    if (*r->at == '\\') {
        r->at++;
        return read_escape(r, s, named, out);
    }
    n = utf8_sequence(r->at, (size_t)(r->end - r->at));
    if (n == 0)
        return wrong(r, "bytes that are not UTF-8");
    *out = utf8_decode(r->at, n);
    r->at += n;
    return true;
}

static bool read_class_item(struct reader *r, struct ranges *set)
{
    bool named = false;
    bool named_high = false;
    uint32_t low = 0;
    uint32_t high = 0;

    if (!read_character(r, set, &named, &low))
        return false;
    high = low;
    if (next_is(r, '-') && r->at + 1 < r->end && r->at[1] != ']') {
        r->at++;
        if (!read_character(r, set, &named_high, &high))
            return false;
        if (named || named_high || high < low)
            return wrong(r, "a range in [] that is none");
    }
    if (!named)
        add(set, low, high);
    return set->n < MAX_RANGES || wrong(r, "a class of more than 4096 parts");
}

static const struct regex_part *read_class(struct reader *r)
{
    bool negated = false;

    r->at++;
    negated = next_is(r, '^');
    r->at += negated;
    r->negated = negated;
    r->set.n = r->other.n = 0;
    while (!next_is(r, ']')) {
        if (r->at == r->end)
            return bad(r, "a [ without its ]");
        if (!read_class_item(r, &r->set))
            return NULL;
    }
    r->at++;
    r->negated = false;
    tidy(&r->set);
    if (!negated)
        return regex_class(r->arena, r->set.at, r->set.n);
    add_complement(&r->other, &r->set);
    return regex_class(r->arena, r->other.at, r->other.n);
}

static const struct regex_part *read_any(struct reader *r)
{
    static const struct code_range but_line_ends[] = {
        {0, 9}, {11, 12}, {14, 0x2027}, {0x202A, LAST_CODE}};

    r->at++;
    return regex_class(r->arena, but_line_ends, 4);
}

static const struct regex_part *read_one(struct reader *r)
{
    bool named = false;
    uint32_t c = 0;

    r->set.n = 0;
    if (!read_character(r, &r->set, &named, &c))
        return NULL;
    if (!named)
        add(&r->set, c, c);
    tidy(&r->set);
    return regex_class(r->arena, r->set.at, r->set.n);
}

/* ------------------------------------------------------------------ groups, repetitions */

static const struct regex_part *read_either(struct reader *r);

/* (?<name> behind its (? */
static bool skip_name(struct reader *r)
{
    if (!next_is(r, '<') || r->at + 1 == r->end || r->at[1] == '=' || r->at[1] == '!')
        return false;
    while (r->at < r->end && *r->at != '>')
        r->at++;
    return next_is(r, '>');
}

static const struct regex_part *read_group(struct reader *r)
{
    const struct regex_part *inside = NULL;

    r->at++;
    if (next_is(r, '?')) {
        r->at++;
        if (!next_is(r, ':') && !skip_name(r))
            return bad(r, "a group (?...) other than (?:...)");
        r->at++;
    }
    if (++r->depth > MAX_DEPTH)
        return bad(r, "groups nested deeper than 50");
    inside = read_either(r);
    if (inside && !next_is(r, ')'))
        return bad(r, "a ( without its )");
    r->at++;
    r->depth--;
    return inside;
}

static bool read_count(struct reader *r, int32_t *out)
{
    for (*out = 0; r->at < r->end && is_digit(*r->at); r->at++) {
        *out = *out * 10 + (*r->at - '0');
        if (*out > MAX_COUNT)
            return wrong(r, "more than 2000 repetitions");
    }
    return true;
}

static bool read_counts(struct reader *r, int32_t *min, int32_t *max)
{
    r->at++;
    if (r->at == r->end || !is_digit(*r->at))
        return wrong(r, "a { that is no repetition");
    if (!read_count(r, min))
        return false;
    *max = *min;
    if (next_is(r, ',')) {
        r->at++;
        *max = -1;
        if (!next_is(r, '}') && !read_count(r, max))
            return false;
    }
    if (!next_is(r, '}') || (*max >= 0 && *min > *max))
        return wrong(r, "a { that is no repetition");
    return true;
}

static bool at_repetition(const struct reader *r)
{
    return r->at < r->end && *r->at && strchr("*+?{", *r->at);
}

/* Lazy or not, the texts are the same. */
static const struct regex_part *read_repetition(struct reader *r, const struct regex_part *what)
{
    struct regex_part *p = NULL;
    int32_t min = *r->at == '+';
    int32_t max = *r->at == '?' ? 1 : -1;

    if (what->kind == REGEX_START || what->kind == REGEX_END)
        return bad(r, "a repetition of nothing");
    if (*r->at == '{' && !read_counts(r, &min, &max))
        return NULL;
    r->at++;
    r->at += next_is(r, '?');
    if (at_repetition(r))
        return bad(r, "a double repetition");
    p = part(r, REGEX_REPEAT, what, NULL);
    if (p) {
        p->min = min;
        p->max = max;
    }
    return p;
}

static const struct regex_part *read_atom(struct reader *r)
{
    switch (*r->at) {
    case '(':
        return read_group(r);
    case '[':
        return read_class(r);
    case '.':
        return read_any(r);
    case '^':
        r->at++;
        return part(r, REGEX_START, NULL, NULL);
    case '$':
        r->at++;
        return part(r, REGEX_END, NULL, NULL);
    case '*':
    case '+':
    case '?':
    case '{':
        return bad(r, "a repetition of nothing");
    case ']':
    case '}':
        return bad(r, "a ] or } that closes nothing");
    default:
        return read_one(r);
    }
}

static const struct regex_part *read_sequence(struct reader *r)
{
    const struct regex_part *all = part(r, REGEX_NOTHING, NULL, NULL);

    while (all && r->at < r->end && *r->at != '|' && *r->at != ')') {
        const struct regex_part *one = read_atom(r);

        if (one && at_repetition(r))
            one = read_repetition(r, one);
        all = one ? part(r, REGEX_BOTH, all, one) : NULL;
    }
    return all;
}

static const struct regex_part *read_either(struct reader *r)
{
    const struct regex_part *all = read_sequence(r);

    while (all && next_is(r, '|')) {
        const struct regex_part *other = NULL;

        r->at++;
        other = read_sequence(r);
        all = other ? part(r, REGEX_EITHER, all, other) : NULL;
    }
    return all;
}

const struct regex_part *regex_parse(struct arena *arena, const char *s, size_t n, const char **why)
{
    struct reader r = {.at = s, .end = s + n, .arena = arena};
    const struct regex_part *all = NULL;
    struct code_range *scratch = NULL;

    *why = NULL;
    if (n > MAX_PATTERN) {
        *why = "more than 4096 bytes";
        return NULL;
    }
    scratch = arena_alloc(arena, 3 * (size_t)MAX_RANGES * sizeof *scratch);
    if (!scratch)
        return NULL;
    r.set.at = scratch;
    r.other.at = scratch + MAX_RANGES;
    r.third.at = scratch + 2 * (size_t)MAX_RANGES;
    all = read_either(&r);
    if (all && next_is(&r, ')'))
        all = bad(&r, "a ) that closes nothing");
    *why = all ? NULL : r.why;
    return all;
}
