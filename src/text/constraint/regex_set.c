/*
 * regex_set: see the header. Thompson's construction, then the sets of places that a text can lead to,
 * each of them once ("subset construction"). Bounded: what needs more states is refused.
 */
#include "text/constraint/regex_set.h"

#include "core/growing.h"
#include "core/utf8.h"
#include "text/constraint/regex_parts.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PLACES 30000
#define MAX_STATES 5000
#define MAX_WORK ((size_t)30 * 1000 * 1000)

static const char too_large[] = "too many ways to match (repetitions in repetitions)";

enum place_kind {
    PLACE_CLASS, /* a character of the part, then next */
    PLACE_SPLIT, /* next, or other */
    PLACE_START, /* next, at the beginning of the text */
    PLACE_END,   /* next, at its end */
    PLACE_MATCH, /* of the pattern `number`, whatever follows */
    PLACE_WHOLE  /* the same, but only at the end of the text */
};

struct place {
    enum place_kind kind;
    int number;
    int32_t next, other;
    const struct regex_part *part;
};

struct regex_set {
    struct arena arena;
    struct place *places;
    size_t n_places, places_cap;
    int32_t *starts;
    size_t n_starts, starts_cap;
    bool no_memory, large;
};

/* ------------------------------------------------------------------ places */

static int32_t add(struct regex_set *set, struct place p)
{
    if (set->n_places >= MAX_PLACES)
        set->large = true;
    if (set->large || set->no_memory)
        return 0;
    if (!GROW(set->places, set->places_cap, set->n_places + 1)) {
        set->no_memory = true;
        return 0;
    }
    set->places[set->n_places] = p;
    return (int32_t)set->n_places++;
}

static int32_t split(struct regex_set *set, int number, int32_t next, int32_t other)
{
    return add(set, (struct place){PLACE_SPLIT, number, next, other, NULL});
}

static int32_t write(struct regex_set *set, int number, const struct regex_part *part,
                     int32_t next);

static int32_t write_either(struct regex_set *set, int number, const struct regex_part *part,
                            int32_t next)
{
    int32_t entry = write(set, number, part->b, next);

    for (part = part->a; part->kind == REGEX_EITHER; part = part->a)
        entry = split(set, number, write(set, number, part->b, next), entry);
    return split(set, number, write(set, number, part, next), entry);
}

/* min copies, then max - min that may be left out, each within the one before; or a loop. */
static int32_t write_repeat(struct regex_set *set, int number, const struct regex_part *part,
                            int32_t next)
{
    int32_t entry = next;

    if (part->max < 0) {
        int32_t loop = split(set, number, 0, next);
        int32_t body = write(set, number, part->a, loop);

        if (set->no_memory || set->large)
            return 0;
        set->places[loop].next = body;
        entry = loop;
    }
    for (int32_t i = part->min; i < part->max && !set->large && !set->no_memory; i++)
        entry = split(set, number, write(set, number, part->a, entry), next);
    for (int32_t i = 0; i < part->min && !set->large && !set->no_memory; i++)
        entry = write(set, number, part->a, entry);
    return entry;
}

/* Along a sequence and along alternatives it goes in a loop; it recurses as deep as groups are nested. */
static int32_t write(struct regex_set *set, int number, const struct regex_part *part, int32_t next)
{
    for (; part->kind == REGEX_BOTH; part = part->a)
        next = write(set, number, part->b, next);
    if (set->no_memory || set->large)
        return 0;
    switch (part->kind) {
    case REGEX_CLASS:
        return add(set, (struct place){PLACE_CLASS, number, next, 0, part});
    case REGEX_EITHER:
        return write_either(set, number, part, next);
    case REGEX_REPEAT:
        return write_repeat(set, number, part, next);
    case REGEX_START:
        return add(set, (struct place){PLACE_START, number, next, 0, NULL});
    case REGEX_END:
        return add(set, (struct place){PLACE_END, number, next, 0, NULL});
    default:
        return next;
    }
}

static bool add_start(struct regex_set *set, int32_t start, const char **why)
{
    if (!set->no_memory && !set->large && GROW(set->starts, set->starts_cap, set->n_starts + 1)) {
        set->starts[set->n_starts++] = start;
        return true;
    }
    *why = set->large ? too_large : NULL;
    return false;
}

bool regex_set_add(struct regex_set *set, int number, const char *s, size_t n, const char **why)
{
    static const struct code_range any = {0, LAST_CODE};
    const struct regex_part *part = regex_parse(&set->arena, s, n, why);
    const struct regex_part *skip = part ? regex_class(&set->arena, &any, 1) : NULL;
    int32_t start = 0;
    int32_t loop = 0;

    if (!skip)
        return false;
    start = write(set, number, part, add(set, (struct place){PLACE_MATCH, number, 0, 0, NULL}));
    loop = split(set, number, start, 0);
    start = add(set, (struct place){PLACE_CLASS, number, loop, 0, skip});
    if (!set->no_memory && !set->large)
        set->places[loop].other = start;
    return add_start(set, loop, why);
}

bool regex_set_add_text(struct regex_set *set, int number, const char *s, size_t n,
                        const char **why)
{
    int32_t *at = n ? arena_alloc(&set->arena, n * sizeof *at) : NULL;
    size_t length = 0;
    int32_t next = add(set, (struct place){PLACE_WHOLE, number, 0, 0, NULL});

    *why = NULL;
    if (n && !at)
        return false;
    for (size_t i = 0; i < n; length++) {
        at[length] = (int32_t)i;
        i += utf8_width(s[i]);
    }
    for (size_t end = n; length-- > 0 && !set->no_memory && !set->large;) {
        struct code_range one;
        const struct regex_part *part = NULL;

        one.low = one.high = utf8_decode(s + at[length], end - (size_t)at[length]);
        part = regex_class(&set->arena, &one, 1);
        if (!part)
            return false;
        end = (size_t)at[length];
        next = add(set, (struct place){PLACE_CLASS, number, next, 0, part});
    }
    return add_start(set, next, why);
}

struct regex_set *regex_set_create(void)
{
    return mem_calloc(1, sizeof(struct regex_set));
}

void regex_set_free(struct regex_set *set)
{
    if (!set)
        return;
    arena_free(&set->arena);
    mem_free(set->places);
    mem_free(set->starts);
    mem_free(set);
}

/* ------------------------------------------------------------------ sets of places */

/* A state's places lie in `members`, sorted: those at a character, and the matches. */
struct members {
    size_t first, n;
};

struct finish {
    const struct regex_set *set;
    struct regex_automaton *out;
    struct members *of; /* (n_states) */
    size_t of_cap;
    int32_t *members;
    size_t n_members, members_cap;
    int32_t *buckets; /* of states + 1 */
    size_t n_buckets;
    uint32_t *seen; /* (n_places) the step that came by */
    uint32_t step;
    int32_t *work;  /* (2 * n_places + n_starts) */
    int32_t *found; /* (n_places) */
    size_t n_found;
    uint32_t *cuts; /* where the classes of a state begin and end */
    size_t n_cuts, cuts_cap;
    size_t done;
    bool large;
};

static int by_number(const void *a, const void *b)
{
    const int32_t *x = a;
    const int32_t *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* A pattern that matches whatever follows needs no other place of its own. */
static void drop_matched(struct finish *f, uint64_t for_good)
{
    size_t n = 0;

    for (size_t i = 0; i < f->n_found; i++) {
        const struct place *p = &f->set->places[f->found[i]];

        if (p->kind == PLACE_MATCH || !(for_good >> p->number & 1))
            f->found[n++] = f->found[i];
    }
    f->n_found = n;
}

/* From the n_work places in `work` to those that wait, in `found`. The patterns that match the text as
 * it stands are returned. */
static uint64_t close_places(struct finish *f, size_t n_work, bool at_start, bool at_end)
{
    uint64_t matched = 0;
    uint64_t for_good = 0;

    f->step++;
    f->n_found = 0;
    while (n_work > 0) {
        int32_t at = f->work[--n_work];
        const struct place *p = &f->set->places[at];

        f->done++;
        if (f->seen[at] == f->step)
            continue;
        f->seen[at] = f->step;
        if (p->kind == PLACE_CLASS || p->kind == PLACE_END || p->kind == PLACE_MATCH ||
            p->kind == PLACE_WHOLE)
            f->found[f->n_found++] = at;
        if (p->kind == PLACE_MATCH || p->kind == PLACE_WHOLE)
            matched |= UINT64_C(1) << p->number;
        if (p->kind == PLACE_MATCH)
            for_good |= UINT64_C(1) << p->number;
        if (p->kind == PLACE_SPLIT)
            f->work[n_work++] = p->other;
        if (p->kind == PLACE_SPLIT || (p->kind == PLACE_START && at_start) ||
            (p->kind == PLACE_END && at_end))
            f->work[n_work++] = p->next;
    }
    if (!at_end)
        drop_matched(f, for_good);
    qsort(f->found, f->n_found, sizeof *f->found, by_number);
    return matched;
}

static uint64_t hash_of(const int32_t *members, size_t n)
{
    uint64_t h = n;

    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint32_t)members[i]) * UINT64_C(0x9e3779b97f4a7c15);
    return h >> 20;
}

static bool same_as_found(const struct finish *f, size_t state)
{
    return f->of[state].n == f->n_found &&
           memcmp(f->members + f->of[state].first, f->found, f->n_found * sizeof *f->found) == 0;
}

static bool new_state(struct finish *f)
{
    struct regex_automaton *a = f->out;

    if (a->n_states >= MAX_STATES) {
        f->large = true;
        return false;
    }
    if (!GROW(a->states, a->states_cap, a->n_states + 1) ||
        !GROW(f->of, f->of_cap, a->n_states + 1) ||
        !GROW(f->members, f->members_cap, f->n_members + f->n_found + 1))
        return false;
    f->of[a->n_states] = (struct members){f->n_members, f->n_found};
    memcpy(f->members + f->n_members, f->found, f->n_found * sizeof *f->found);
    f->n_members += f->n_found;
    a->states[a->n_states++] = (struct regex_state){0};
    return true;
}

/* The state of the places in `found`; at the start of the text it is one of its own, the first. What
 * it matches is found behind its places' ends. */
static bool state_of(struct finish *f, bool at_start, int32_t *out)
{
    size_t b = hash_of(f->found, f->n_found) % f->n_buckets;

    for (; !at_start && f->buckets[b]; b = (b + 1) % f->n_buckets) {
        if (same_as_found(f, (size_t)f->buckets[b] - 1)) {
            *out = f->buckets[b] - 1;
            return true;
        }
    }
    if (!new_state(f))
        return false;
    *out = (int32_t)f->out->n_states - 1;
    if (!at_start)
        f->buckets[b] = *out + 1;
    memcpy(f->work, f->found, f->n_found * sizeof *f->work);
    f->out->states[*out].matched = close_places(f, f->n_found, at_start, true);
    return true;
}

/* ------------------------------------------------------------------ characters that lead on */

static bool in_class(const struct regex_part *part, uint32_t code)
{
    size_t low = 0;
    size_t high = part->n_ranges;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (part->ranges[middle].high < code)
            low = middle + 1;
        else
            high = middle;
    }
    return low < part->n_ranges && part->ranges[low].low <= code;
}

static bool cut(struct finish *f, uint32_t at)
{
    if (!GROW(f->cuts, f->cuts_cap, f->n_cuts + 1))
        return false;
    f->cuts[f->n_cuts++] = at;
    return true;
}

static int by_code(const void *a, const void *b)
{
    const uint32_t *x = a;
    const uint32_t *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* Between two neighbouring cuts every character leads to the same places. */
static bool find_cuts(struct finish *f, struct members m)
{
    size_t n = 0;

    f->n_cuts = 0;
    if (!cut(f, 0))
        return false;
    for (size_t i = 0; i < m.n; i++) {
        const struct place *p = &f->set->places[f->members[m.first + i]];

        for (size_t k = 0; p->kind == PLACE_CLASS && k < p->part->n_ranges; k++)
            if (!cut(f, p->part->ranges[k].low) || !cut(f, p->part->ranges[k].high + 1))
                return false;
    }
    qsort(f->cuts, f->n_cuts, sizeof *f->cuts, by_code);
    for (size_t i = 0; i < f->n_cuts; i++)
        if (n == 0 || f->cuts[n - 1] != f->cuts[i])
            f->cuts[n++] = f->cuts[i];
    f->n_cuts = n;
    return true;
}

static size_t follow(struct finish *f, struct members m, uint32_t code)
{
    size_t n = 0;

    for (size_t i = 0; i < m.n; i++) {
        int32_t at = f->members[m.first + i];
        const struct place *p = &f->set->places[at];

        f->done++;
        if (p->kind == PLACE_MATCH)
            f->work[n++] = at;
        else if (p->kind == PLACE_CLASS && in_class(p->part, code))
            f->work[n++] = p->next;
    }
    return n;
}

static bool add_edge(struct regex_automaton *a, int32_t from, struct regex_edge edge)
{
    struct regex_state *state = &a->states[from];
    struct regex_edge *last = state->n_edges ? &a->edges[a->n_edges - 1] : NULL;

    if (last && last->to == edge.to && last->high + 1 == edge.low) {
        last->high = edge.high;
        return true;
    }
    if (!GROW(a->edges, a->edges_cap, a->n_edges + 1))
        return false;
    a->edges[a->n_edges++] = edge;
    state->n_edges++;
    return true;
}

/* Every character leads somewhere: to the state that matches nothing more, in the end. */
static bool add_edges(struct finish *f, int32_t state)
{
    struct members m = f->of[state];

    f->out->states[state].first_edge = (int32_t)f->out->n_edges;
    if (!find_cuts(f, m))
        return false;
    for (size_t i = 0; i < f->n_cuts && f->cuts[i] <= LAST_CODE; i++) {
        uint32_t high = i + 1 < f->n_cuts ? f->cuts[i + 1] - 1 : LAST_CODE;
        int32_t to = 0;

        close_places(f, follow(f, m, f->cuts[i]), false, false);
        if (!state_of(f, false, &to) ||
            !add_edge(f->out, state, (struct regex_edge){f->cuts[i], high, to}))
            return false;
        f->large = f->large || f->done > MAX_WORK;
        if (f->large)
            return false;
    }
    return true;
}

static bool fill(struct finish *f)
{
    const struct regex_set *set = f->set;
    int32_t start = 0;

    f->n_buckets = 2 * MAX_STATES;
    f->buckets = mem_calloc(f->n_buckets, sizeof *f->buckets);
    f->seen = mem_calloc(set->n_places + 1, sizeof *f->seen);
    f->work = mem_calloc(3 * set->n_places + set->n_starts + 1, sizeof *f->work);
    f->found = mem_calloc(set->n_places + 1, sizeof *f->found);
    if (!f->buckets || !f->seen || !f->work || !f->found)
        return false;
    if (set->n_starts)
        memcpy(f->work, set->starts, set->n_starts * sizeof *f->work);
    close_places(f, set->n_starts, true, false);
    if (!state_of(f, true, &start))
        return false;
    for (int32_t state = 0; (size_t)state < f->out->n_states; state++)
        if (!add_edges(f, state))
            return false;
    return true;
}

bool regex_set_finish(struct regex_set *set, struct regex_automaton *out, const char **why)
{
    struct finish f = {.set = set, .out = out};
    bool ok = false;

    *out = (struct regex_automaton){0};
    ok = fill(&f);
    *why = f.large ? too_large : NULL;
    out->work = f.done + set->n_places;
    mem_free(f.of);
    mem_free(f.members);
    mem_free(f.buckets);
    mem_free(f.seen);
    mem_free(f.work);
    mem_free(f.found);
    mem_free(f.cuts);
    return ok;
}

void regex_automaton_free(struct regex_automaton *a)
{
    mem_free(a->states);
    mem_free(a->edges);
    *a = (struct regex_automaton){0};
}

uint64_t regex_automaton_match(const struct regex_automaton *a, const char *s, size_t n)
{
    const struct regex_state *state = &a->states[0];

    for (size_t i = 0; i < n;) {
        uint32_t code = utf8_step(s, &i);
        const struct regex_edge *e = &a->edges[state->first_edge];

        while (e->high < code)
            e++;
        state = &a->states[e->to];
    }
    return state->matched;
}
