/*
 * schema_number: numbers. See schema_write.h.
 *
 * A number between bounds is written digit by digit: as long as the digits so far are those of a bound, the
 * next may only be on its right side. It has 15 digits at most, which every reader's floating point tells
 * apart, so that what is above a bound in digits is above it for every reader. Whole numbers have as many
 * digits as their bounds (19 at most), 16 without.
 */
#include "text/constraint/schema_write.h"

#include "text/constraint/schema_decimal.h"
#include "text/constraint/schema_kinds.h"

#include <math.h>
#include <string.h>

#define FREE_DIGITS 16  /* of a whole number without a bound */
#define MAX_DIGITS 19   /* with one */
#define EXACT_DIGITS 15 /* of a number that is not whole, on both sides of the point together */
#define MAX_MULTIPLE 10000
#define MAX_INTERVALS 64

/* A side of an interval. */
struct side {
    struct decimal at;
    bool open; /* the number itself is beyond it */
    bool said; /* by the schema */
};

struct interval {
    struct side low, high;
};

/* What is written for one interval on one side of zero. */
struct digits {
    struct schema_compiler *c;
    const struct side *low, *high; /* sizes */
    bool whole_only, fraction_only;
    int32_t multiple; /* 1: of any */
    int32_t length;   /* whole digits of the numbers that are written now */
    int32_t fraction; /* digits behind the point, at most */
    int32_t next;
    /* Nodes + 2, away from bounds: (MAX_DIGITS + 1) * (EXACT_DIGITS + 1, or 1 of whole numbers) *
     * multiple, and (EXACT_DIGITS + 1) * 2. */
    int32_t *whole_of, *fraction_of;
};

/* Where a number is: `place` digits are there, and they are those of the bounds that are near. */
struct here {
    int32_t place;
    bool near_low, near_high;
    bool ends_well; /* behind the point, the last digit was no zero */
    int32_t rest;   /* of the division */
};

static int32_t write_from(struct digits *d, struct here h);

/* ------------------------------------------------------------------ digit by digit */

static bool may_stop(const struct digits *d, struct here h)
{
    if (h.near_low && (!decimal_ends_at(&d->low->at, h.place) || d->low->open))
        return false;
    if (h.near_high && d->high->open && decimal_ends_at(&d->high->at, h.place))
        return false;
    if (d->fraction_only && !h.ends_well)
        return false;
    return h.rest == 0;
}

static struct here after(const struct digits *d, struct here h, int digit)
{
    struct here then = h;

    then.near_low = h.near_low && digit == decimal_digit(&d->low->at, h.place);
    then.near_high = h.near_high && digit == decimal_digit(&d->high->at, h.place);
    then.ends_well = h.place >= d->length && digit != 0;
    then.rest = d->multiple > 1 ? (h.rest * 10 + digit) % d->multiple : 0;
    then.place++;
    return then;
}

/* One more digit, those with the same way on together. */
static int32_t write_digit(struct digits *d, struct here h)
{
    int from = h.near_low ? decimal_digit(&d->low->at, h.place) : 0;
    int to = h.near_high ? decimal_digit(&d->high->at, h.place) : 9;
    int32_t then[10];
    int32_t ways = NOWHERE;

    if (h.place == 0 && d->length > 1 && from == 0)
        from = 1;
    for (int digit = from; digit <= to; digit++)
        then[digit] = write_from(d, after(d, h, digit));
    while (from <= to) {
        int last = from;

        while (last < to && then[last + 1] == then[from])
            last++;
        ways = graph_split(&d->c->b, graph_byte(&d->c->b, '0' + from, '0' + last, then[from]),
                           ways);
        from = last + 1;
    }
    return ways;
}

static int32_t write_here(struct digits *d, struct here h)
{
    int32_t ways = NOWHERE;

    if (h.place < d->length)
        return write_digit(d, h);
    if (may_stop(d, h))
        ways = d->next;
    if (d->whole_only || h.place - d->length >= d->fraction)
        return ways;
    if (h.place > d->length)
        return graph_split(&d->c->b, write_digit(d, h), ways);
    return graph_split(&d->c->b, graph_text(&d->c->b, ".", 1, write_digit(d, h)), ways);
}

/* Away from the bounds many ways go on alike; those are written once. As deep as there are digits. */
static int32_t write_from(struct digits *d, struct here h)
{
    int32_t *known = NULL;
    int32_t left = d->length - h.place;
    int32_t node = NOWHERE;

    if (!schema_step(d->c, 1))
        return NOWHERE;
    if (!h.near_low && !h.near_high && left >= 0)
        known = &d->whole_of[(left * (d->whole_only ? 1 : EXACT_DIGITS + 1) + d->fraction) *
                                 d->multiple +
                             h.rest];
    else if (!h.near_low && !h.near_high)
        known = &d->fraction_of[(d->fraction + left) * 2 + h.ends_well];
    if (known && *known)
        return *known - 2;
    node = write_here(d, h);
    if (known)
        *known = node + 2; /* NOWHERE is known too */
    return node;
}

/* Sizes from low to high. */
static int32_t write_sizes(struct digits *d)
{
    size_t n = (size_t)(MAX_DIGITS + 1) * (d->whole_only ? 1 : EXACT_DIGITS + 1) *
               (size_t)d->multiple;
    int32_t ways = NOWHERE;

    if (!schema_step(d->c, n / 4))
        return NOWHERE;
    d->whole_of = schema_alloc(d->c, n * sizeof *d->whole_of);
    d->fraction_of = schema_alloc(d->c, (EXACT_DIGITS + 1) * 2 * sizeof *d->fraction_of);
    if (!d->whole_of || !d->fraction_of)
        return NOWHERE;
    for (d->length = 1; d->length <= MAX_DIGITS; d->length++) {
        struct here h = {.near_low = d->length == d->low->at.n_whole,
                         .near_high = d->length == d->high->at.n_whole};

        if (d->length < d->low->at.n_whole || d->length > d->high->at.n_whole)
            continue;
        d->fraction = d->whole_only || d->length > EXACT_DIGITS ? 0 : EXACT_DIGITS - d->length;
        ways = graph_split(&d->c->b, ways, write_digit(d, h));
    }
    return ways;
}

/* ------------------------------------------------------------------ intervals */

static struct side size_of(const struct side *s)
{
    struct side size = *s;

    size.at.negative = false;
    return size;
}

static int32_t write_interval(struct digits *d, const struct interval *i)
{
    struct side zero = {.at = {.n_whole = 1}};
    struct side low = size_of(&i->low);
    struct side high = size_of(&i->high);
    int32_t above = NOWHERE;
    int32_t below = NOWHERE;

    if (!i->high.at.negative) {
        d->low = i->low.at.negative ? &zero : &low;
        d->high = &high;
        above = write_sizes(d);
    }
    if (i->low.at.negative) {
        zero.open = true; /* no -0 */
        d->low = i->high.at.negative ? &high : &zero;
        d->high = &low;
        below = graph_text(&d->c->b, "-", 1, write_sizes(d));
    }
    return graph_split(&d->c->b, above, below);
}

static bool is_empty(const struct interval *i)
{
    int order = decimal_compare(&i->low.at, &i->high.at);

    return order > 0 || (order == 0 && (i->low.open || i->high.open));
}

/* The tighter of a side and one more. */
static void tighten(struct side *side, const struct side *other, int inwards)
{
    int order = decimal_compare(&other->at, &side->at) * inwards;

    if (!side->said || order > 0)
        *side = *other;
    else if (order == 0)
        side->open = side->open || other->open;
}

static struct interval bounds_of(const struct shape *s, int32_t free_digits)
{
    struct interval i = {0};

    for (const struct shape_item *b = s->bounds; b; b = b->next) {
        struct side side = {.open = b->name[0] == 'e', .said = true};
        bool is_low = strcmp(b->name, "minimum") == 0 || strcmp(b->name, "exclusiveMinimum") == 0;

        decimal_of(&side.at, b->json);
        tighten(is_low ? &i.low : &i.high, &side, is_low ? 1 : -1);
    }
    if (!i.low.said)
        decimal_nines(&i.low.at, free_digits, true);
    if (!i.high.said)
        decimal_nines(&i.high.at, free_digits, false);
    return i;
}

/* ------------------------------------------------------------------ numbers that must not come */

struct holes {
    const json_t *values[MAX_INTERVALS];
    size_t n;
};

static bool find_holes(struct schema_compiler *c, const struct shape *s, struct holes *h)
{
    for (const struct shape_item *e = s->excluded; e; e = e->next) {
        for (size_t i = 0; i < json_array_size(e->json); i++) {
            const json_t *value = json_array_get(e->json, i);
            size_t k = h->n;

            if (!json_is_number(value))
                continue;
            if (h->n == MAX_INTERVALS)
                return schema_refuse(c, e->where, "not",
                                     "of more than 64 numbers cannot be "
                                     "enforced here");
            for (; k > 0 && json_number_value(h->values[k - 1]) > json_number_value(value); k--)
                h->values[k] = h->values[k - 1];
            h->values[k] = value;
            h->n++;
        }
    }
    return true;
}

/* The interval without the holes, part by part. */
static int32_t write_parts(struct digits *d, struct interval all, const struct holes *h)
{
    int32_t ways = NOWHERE;

    for (size_t i = 0; i < h->n; i++) {
        struct interval part = all;
        struct side hole = {.open = true, .said = true};

        decimal_of(&hole.at, h->values[i]);
        if (decimal_compare(&hole.at, &all.low.at) < 0)
            continue;
        if (decimal_compare(&hole.at, &all.high.at) > 0)
            break;
        part.high = hole;
        if (!is_empty(&part))
            ways = graph_split(&d->c->b, write_interval(d, &part), ways);
        all.low = hole;
    }
    return is_empty(&all) ? ways : graph_split(&d->c->b, write_interval(d, &all), ways);
}

/* ------------------------------------------------------------------ all of it */

/* The least number that all multiples are of; 0: the error is set. */
static int32_t multiple_of(struct schema_compiler *c, const struct shape *s, bool whole_only)
{
    int64_t all = 1;

    for (const struct shape_item *m = s->multiples; m; m = m->next) {
        double x = json_number_value(m->json);
        int64_t a = all;
        int64_t b = 0;

        if (whole_only && x > 0 && x < 1 && floor(1 / x) == 1 / x &&
            floor(x * 1048576) == x * 1048576)
            continue; /* 0.5 and the like: every whole number is one of theirs */
        if (!(x >= 1) || floor(x) != x || x > MAX_MULTIPLE)
            return schema_refuse(c, m->where, "multipleOf",
                                 "can be enforced for whole numbers from 1 to 10000 only");
        for (b = (int64_t)x; b != 0;) {
            int64_t rest = a % b;

            a = b;
            b = rest;
        }
        all = all / a * (int64_t)x;
        if (all > MAX_MULTIPLE)
            return schema_refuse(c, m->where, "multipleOf", "of so many numbers is too much here");
    }
    return (int32_t)all;
}

static int32_t write_run(struct schema_compiler *c, int most, int32_t next)
{
    int32_t entry = next;

    for (int i = 0; i < most; i++)
        entry = graph_split(&c->b, next, graph_byte(&c->b, '0', '9', entry));
    return entry;
}

/* -12.5e-3: a number without bounds. */
static int32_t write_free(struct schema_compiler *c, int32_t next)
{
    struct grammar_graph *b = &c->b;
    int32_t last = graph_byte(b, '0', '9', next);
    int32_t power = graph_split(b, last, graph_byte(b, '0', '9', last));
    int32_t sign = graph_split(
        b, power, graph_split(b, graph_text(b, "+", 1, power), graph_text(b, "-", 1, power)));
    int32_t end = graph_split(
        b, next, graph_split(b, graph_text(b, "e", 1, sign), graph_text(b, "E", 1, sign)));
    int32_t fraction = graph_byte(b, '0', '9', write_run(c, FREE_DIGITS - 1, end));
    int32_t point = graph_split(b, end, graph_text(b, ".", 1, fraction));
    int32_t whole = graph_split(b, graph_text(b, "0", 1, point),
                                graph_byte(b, '1', '9', write_run(c, FREE_DIGITS - 1, point)));

    return graph_split(b, whole, graph_text(b, "-", 1, whole));
}

/* Fewer where each remainder needs nodes of its own. */
static int32_t free_digits(const struct digits *d)
{
    if (!d->whole_only)
        return EXACT_DIGITS;
    if (d->multiple <= 20)
        return FREE_DIGITS;
    return d->multiple <= 200 ? 9 : 6;
}

int32_t schema_write_number(struct schema_compiler *c, const struct shape *s, int32_t next)
{
    bool has_multiple = s->multiples != NULL;
    struct digits d = {.c = c,
                       .next = next,
                       .whole_only = !(s->kinds & KIND_FRACTION) || has_multiple,
                       .fraction_only = !(s->kinds & KIND_INTEGER)};
    struct holes holes = {.n = 0};
    struct interval all;
    int32_t entry = NOWHERE;

    if (!find_holes(c, s, &holes))
        return NOWHERE;
    if (!s->bounds && !has_multiple && holes.n == 0 && !d.whole_only && !d.fraction_only)
        return write_free(c, next);
    d.multiple = multiple_of(c, s, !(s->kinds & KIND_FRACTION));
    if (d.multiple == 0 || (has_multiple && d.fraction_only))
        return NOWHERE;
    all = bounds_of(s, free_digits(&d));
    if (!is_empty(&all))
        entry = write_parts(&d, all, &holes);
    if (entry == NOWHERE && c->b.fault == GRAPH_FINE)
        schema_is_empty(c, s->where,
                        d.whole_only ? "no integer lies between its bounds"
                                     : "no number of at most 15 digits lies between its bounds");
    return entry;
}
