/*
 * schema_pattern: see the header. One pass over the pattern; what is an atom is read into a set of
 * code points and written from it.
 */
#include "text/constraint/schema_pattern.h"

#include "core/memory.h"
#include "core/ascii.h"
#include "core/utf8.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PATTERN 1024
#define MAX_DEPTH 50
#define MAX_COUNT 2000  /* repetitions in a grammar */
#define MAX_RANGES 4096 /* a byte of a class makes four at most */
#define LAST 0x10FFFFu

struct range {
    uint32_t low, high;
};

struct set {
    struct range *ranges; /* (MAX_RANGES) */
    size_t n;
};

struct reader {
    const char *at, *end;
    struct buffer *out;
    const char *why;
    struct set set, other; /* scratch */
    int32_t depth;
    bool after_atom, after_repetition;
};

static bool bad(struct reader *r, const char *why)
{
    r->why = why;
    return false;
}

static bool next_is(const struct reader *r, char c)
{
    return r->at < r->end && *r->at == c;
}

/* ------------------------------------------------------------------ sets of code points */

static void add(struct set *s, uint32_t low, uint32_t high)
{
    if (s->n < MAX_RANGES)
        s->ranges[s->n++] = (struct range){low, high};
}

static int by_low(const void *a, const void *b)
{
    const struct range *x = a;
    const struct range *y = b;

    return x->low < y->low ? -1 : x->low > y->low;
}

/* Sorted, without overlaps. */
static void tidy(struct set *s)
{
    size_t n = 0;

    qsort(s->ranges, s->n, sizeof *s->ranges, by_low);
    for (size_t i = 0; i < s->n; i++) {
        struct range r = s->ranges[i];

        if (n > 0 && r.low <= s->ranges[n - 1].high + 1) {
            if (r.high > s->ranges[n - 1].high)
                s->ranges[n - 1].high = r.high;
        } else {
            s->ranges[n++] = r;
        }
    }
    s->n = n;
}

/* Everything that is not in `from`, which is made tidy. */
static void complement(struct set *to, struct set *from)
{
    uint32_t next = 0;

    tidy(from);
    to->n = 0;
    for (size_t i = 0; i < from->n; i++) {
        if (from->ranges[i].low > next)
            add(to, next, from->ranges[i].low - 1);
        next = from->ranges[i].high + 1;
    }
    if (next <= LAST)
        add(to, next, LAST);
}

/* What stands in a JSON text as itself: the set minus controls, quote, backslash, surrogates. */
static void keep_plain(struct set *s, struct set *scratch)
{
    complement(scratch, s);
    add(scratch, 0, 0x1F);
    add(scratch, '"', '"');
    add(scratch, '\\', '\\');
    add(scratch, 0xD800, 0xDFFF);
    complement(s, scratch);
}

/* \d \w \s and their opposites; false: no such class. */
static bool add_named(struct reader *r, char name, struct set *s)
{
    struct set *named = &r->other;
    size_t before = s->n;

    named->n = 0;
    switch (name | 0x20) {
    case 'd':
        add(named, '0', '9');
        break;
    case 'w':
        add(named, '0', '9');
        add(named, 'A', 'Z');
        add(named, '_', '_');
        add(named, 'a', 'z');
        break;
    case 's':
        add(named, 9, 13);
        add(named, ' ', ' ');
        add(named, 0xA0, 0xA0);
        add(named, 0x2028, 0x2029);
        break;
    default:
        return false;
    }
    if (name & 0x20) {
        for (size_t i = 0; i < named->n; i++)
            add(s, named->ranges[i].low, named->ranges[i].high);
    } else { /* complement() writes from the start of a set */
        struct set tail = {s->ranges + before, 0};

        if (before + named->n + 1 > MAX_RANGES)
            return false;
        complement(&tail, named);
        s->n = before + tail.n;
    }
    return true;
}

/* ------------------------------------------------------------------ atoms */

static bool read_hex(struct reader *r, size_t digits, uint32_t *out)
{
    if ((size_t)(r->end - r->at) < digits || !read_hex_digits(r->at, digits, out))
        return bad(r, "an escape without its digits");
    r->at += digits;
    return true;
}

static uint32_t of_control(char letter)
{
    static const char letters[] = "tnvfr"; /* 9, 10, 11, 12, 13 */
    const char *found = strchr(letters, letter);

    return found ? (uint32_t)(9 + (found - letters)) : 0;
}

/* Behind a backslash. *named: it was a class, added to the set. */
static bool read_escape(struct reader *r, struct set *s, bool *named, uint32_t *out)
{
    char c = '\0';

    *named = false;
    if (r->at == r->end)
        return bad(r, "a \\ at its end");
    c = *r->at++;
    if (c == 'x' || c == 'u')
        return read_hex(r, c == 'x' ? 2 : 4, out);
    if (c != '\0' && strchr("tnvfr", c)) {
        *out = of_control(c);
        return true;
    }
    if (c != '\0' && strchr("^$\\.*+?()[]{}|/\"-", c)) {
        *out = (unsigned char)c;
        return true;
    }
    *named = add_named(r, c, s);
    return *named || bad(r, "an escape other than \\d \\w \\s \\t \\n \\v \\f \\r \\x \\u or of "
                            "punctuation");
}

static bool read_character(struct reader *r, struct set *s, bool *named, uint32_t *out)
{
    size_t n = 0;

    *named = false;
    if (*r->at == '\\') {
        r->at++;
        return read_escape(r, s, named, out);
    }
    n = utf8_sequence(r->at, (size_t)(r->end - r->at));
    if (n == 0)
        return bad(r, "bytes that are not UTF-8");
    *out = utf8_decode(r->at, n);
    r->at += n;
    return true;
}

/* [...] up to its ], with the items in the set. */
static bool read_class(struct reader *r)
{
    bool negated = false;

    r->at++;
    negated = next_is(r, '^');
    r->at += negated;
    r->set.n = 0;
    while (!next_is(r, ']')) {
        bool named = false;
        bool named_high = false;
        uint32_t low = 0;
        uint32_t high = 0;

        if (r->at == r->end)
            return bad(r, "a [ without its ]");
        if (!read_character(r, &r->set, &named, &low))
            return false;
        high = low;
        if (next_is(r, '-') && r->at + 1 < r->end && r->at[1] != ']') {
            r->at++;
            if (!read_character(r, &r->set, &named_high, &high))
                return false;
            if (named || named_high || high < low)
                return bad(r, "a range in [] that is none");
        }
        if (!named)
            add(&r->set, low, high);
    }
    r->at++;
    if (negated) {
        complement(&r->other, &r->set);
        memcpy(r->set.ranges, r->other.ranges, r->other.n * sizeof *r->other.ranges);
        r->set.n = r->other.n;
    }
    return true;
}

static bool write_set(struct reader *r)
{
    keep_plain(&r->set, &r->other);
    if (r->set.n == 0)
        return bad(r, "a character that JSON can only write as an escape (a quote, a backslash, a "
                      "control character), or an empty []");
    if (!buffer_append_str(r->out, "["))
        return false;
    for (size_t i = 0; i < r->set.n; i++) {
        const struct range *x = &r->set.ranges[i];
        bool ok = x->low == x->high ? buffer_printf(r->out, "\\U%08X", (unsigned)x->low)
                                    : buffer_printf(r->out, "\\U%08X-\\U%08X", (unsigned)x->low,
                                                    (unsigned)x->high);

        if (!ok)
            return false;
    }
    return buffer_append_str(r->out, "]");
}

static bool read_atom(struct reader *r)
{
    bool named = false;
    uint32_t c = 0;

    r->set.n = 0;
    if (*r->at == '[') {
        if (!read_class(r))
            return false;
    } else if (*r->at == '.') {
        r->at++;
        add(&r->set, 0, LAST);
    } else {
        if (!read_character(r, &r->set, &named, &c))
            return false;
        if (!named)
            add(&r->set, c, c);
    }
    r->after_atom = true;
    r->after_repetition = false;
    return write_set(r);
}

/* ------------------------------------------------------------------ groups, repetitions */

static bool open_group(struct reader *r)
{
    r->at++;
    if (next_is(r, '?')) {
        if (r->at + 1 == r->end || r->at[1] != ':')
            return bad(r, "a group (?...) other than (?:...)");
        r->at += 2;
    }
    if (++r->depth > MAX_DEPTH)
        return bad(r, "groups nested deeper than 50");
    r->after_atom = false;
    r->after_repetition = false;
    return buffer_append_str(r->out, "(");
}

static bool close_group(struct reader *r)
{
    r->at++;
    if (--r->depth < 0)
        return bad(r, "a ) that closes nothing");
    r->after_atom = true;
    r->after_repetition = false;
    return buffer_append_str(r->out, ")");
}

static bool read_count(struct reader *r, int32_t *out)
{
    for (*out = 0; r->at < r->end && is_digit(*r->at); r->at++) {
        *out = *out * 10 + (*r->at - '0');
        if (*out > MAX_COUNT)
            return bad(r, "more than 2000 repetitions");
    }
    return true;
}

static bool repeat_counted(struct reader *r)
{
    const char *start = r->at++;
    int32_t min = 0;
    int32_t max = 0;

    if (r->at == r->end || !is_digit(*r->at))
        return bad(r, "a { that is no repetition");
    if (!read_count(r, &min))
        return false;
    max = min;
    if (next_is(r, ',')) {
        r->at++;
        max = MAX_COUNT;
        if (!next_is(r, '}') && !read_count(r, &max))
            return false;
    }
    if (!next_is(r, '}') || min > max)
        return bad(r, "a { that is no repetition");
    r->at++;
    return buffer_append(r->out, start, (size_t)(r->at - start));
}

static bool repeat(struct reader *r)
{
    if (r->after_repetition)
        return bad(r, "a lazy or a double repetition");
    if (!r->after_atom)
        return bad(r, "a repetition of nothing");
    r->after_atom = false;
    r->after_repetition = true;
    if (*r->at == '{')
        return repeat_counted(r);
    return buffer_append(r->out, r->at++, 1);
}

static bool step(struct reader *r)
{
    switch (*r->at) {
    case '(':
        return open_group(r);
    case ')':
        return close_group(r);
    case '*':
    case '+':
    case '?':
    case '{':
        return repeat(r);
    case '|':
        r->after_atom = false;
        r->after_repetition = false;
        return buffer_append(r->out, r->at++, 1);
    case '^':
    case '$':
        return bad(r, "an anchor within");
    case ']':
    case '}':
        return bad(r, "a ] or } that closes nothing");
    default:
        return read_atom(r);
    }
}

static bool rewrite(struct reader *r)
{
    if (!buffer_append_str(r->out, "^"))
        return false;
    while (r->at < r->end)
        if (!step(r))
            return false;
    if (r->depth > 0)
        return bad(r, "a ( without its )");
    return buffer_append_str(r->out, "$");
}

bool schema_pattern_rewrite(const char *s, size_t n, struct buffer *out, const char **why)
{
    struct reader r = {.out = out};
    struct range *ranges = NULL;
    bool ok = false;

    *why = NULL;
    if (n < 2 || s[0] != '^' || s[n - 1] != '$') {
        *why = "no ^ at its beginning or no $ at its end";
        return false;
    }
    if (n > MAX_PATTERN) {
        *why = "more than 1024 bytes";
        return false;
    }
    r.at = s + 1;
    r.end = s + n - 1;
    ranges = mem_alloc(2 * (size_t)MAX_RANGES * sizeof *ranges);
    if (ranges) {
        r.set.ranges = ranges;
        r.other.ranges = ranges + MAX_RANGES;
        ok = rewrite(&r);
    }
    mem_free(ranges);
    *why = ok ? NULL : r.why;
    return ok;
}
