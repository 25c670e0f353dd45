/*
 * schema_text: strings and white space. See schema_write.h.
 *
 * A string that is only counted has every escape that JSON has. One that an automaton follows has one way
 * to write each character: as itself, or the escape that it needs.
 */
#include "text/constraint/schema_write.h"

#include <string.h>

#define MAX_PRODUCT ((size_t)60000) /* states times counts */
#define MAX_INDENT 20
#define FOR_EXCLUDED 62 /* the pattern's number of texts that must not come */
#define MAX_COUNTED 1000000000

static void add_to(struct grammar_set *set, uint32_t byte)
{
    set->bits[byte / 64] |= UINT64_C(1) << byte % 64;
}

static struct grammar_set set_of(const char *bytes)
{
    struct grammar_set set = {.most = -1};

    for (; *bytes; bytes++)
        add_to(&set, (unsigned char)*bytes);
    return set;
}

static int32_t one_of(struct schema_compiler *c, const char *bytes, int32_t next)
{
    struct grammar_set set = set_of(bytes);

    return graph_set(&c->b, &set, next);
}

/* ------------------------------------------------------------------ white space */

/* Nothing, a space, or one or two line ends with an indentation. */
static int32_t write_space(struct schema_compiler *c)
{
    struct grammar_graph *b = &c->b;
    int32_t rule = graph_rule(b);
    int32_t end = graph_finish(b);
    int32_t loop = graph_jump(b);
    int32_t indent = graph_check(b, 0, MAX_INDENT - 1,
                                 one_of(c, " \t", graph_count(b, MAX_INDENT, loop)));
    int32_t lines = NOWHERE;

    graph_lead(b, loop, graph_split(b, end, indent));
    lines = graph_split(b, loop, graph_text(b, "\n", 1, loop));
    graph_define(
        b, rule,
        graph_split(b, end,
                    graph_split(b, graph_text(b, " ", 1, end), graph_text(b, "\n", 1, lines))));
    return rule;
}

int32_t schema_write_space(struct schema_compiler *c, int32_t next)
{
    if (c->space == NOWHERE)
        c->space = write_space(c);
    return graph_call(&c->b, c->space, next);
}

/* ------------------------------------------------------------------ characters, each with its escape */

static bool is_plain(uint32_t code)
{
    return code >= 0x20 && code != '"' && code != '\\';
}

static bool in_ranges(const struct code_range *ranges, size_t n, uint32_t code)
{
    for (size_t i = 0; i < n; i++)
        if (code >= ranges[i].low && code <= ranges[i].high)
            return true;
    return false;
}

/* All characters beyond ASCII but the surrogates, which are none. */
static bool has_all_beyond(const struct code_range *ranges, size_t n)
{
    uint32_t next = 0x80;

    for (size_t i = 0; i < n; i++) {
        if (ranges[i].low <= next && ranges[i].high >= next)
            next = ranges[i].high + 1;
        if (next == 0xD800)
            next = 0xE000;
    }
    return next > LAST_CODE;
}

/* The letter of \n and its like; 0: it has none. */
static char letter_of(uint32_t code)
{
    switch (code) {
    case '"':
    case '\\':
        return (char)code;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return '\0';
    }
}

/* \u00XX of control characters without a letter, of those that begin with 0 or with 1. */
static int32_t write_controls(struct schema_compiler *c, const struct code_range *ranges, size_t n,
                              uint32_t sixteen, int32_t next)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    struct grammar_set set = {.most = -1};

    for (uint32_t i = 0; i < 16; i++) {
        uint32_t code = sixteen * 16 + i;

        if (letter_of(code) || !in_ranges(ranges, n, code))
            continue;
        add_to(&set, (unsigned char)digits[i]);
        if (i >= 10)
            add_to(&set, (unsigned char)digits[i + 6]);
    }
    return graph_text(&c->b, sixteen ? "1" : "0", 1, graph_set(&c->b, &set, next));
}

static int32_t write_escapes(struct schema_compiler *c, const struct code_range *ranges, size_t n,
                             int32_t next)
{
    struct grammar_set letters = {.most = -1};
    int32_t controls = NOWHERE;

    for (uint32_t code = 0; code < 0x80; code++)
        if (letter_of(code) && in_ranges(ranges, n, code))
            add_to(&letters, (unsigned char)letter_of(code));
    controls = graph_split(&c->b, write_controls(c, ranges, n, 0, next),
                           write_controls(c, ranges, n, 1, next));
    return graph_text(&c->b, "\\", 1,
                      graph_split(&c->b, graph_set(&c->b, &letters, next),
                                  graph_text(&c->b, "u00", 3, controls)));
}

/* A character of the ranges; `loops`: behind it the text stands where it stood. */
static int32_t write_class(struct schema_compiler *c, const struct code_range *ranges, size_t n,
                           bool loops, int32_t next)
{
    struct grammar_set plain = {.most = -1, .loops = loops};
    int32_t rest = NOWHERE;

    for (uint32_t code = 0; code < 0x80; code++)
        if (is_plain(code) && in_ranges(ranges, n, code))
            add_to(&plain, code);
    plain.beyond_ascii = has_all_beyond(ranges, n);
    rest = graph_split(&c->b, graph_beyond_ascii(&c->b, ranges, n, next),
                       write_escapes(c, ranges, n, next));
    return graph_split(&c->b, graph_set(&c->b, &plain, next), rest);
}

/* ------------------------------------------------------------------ strings that are only counted */

static int32_t write_hex(struct schema_compiler *c, int digits, int32_t next)
{
    while (digits-- > 0)
        next = one_of(c, "0123456789abcdefABCDEF", next);
    return next;
}

/* \u and four digits that are no half of a pair, or two halves of one. */
static int32_t write_code(struct schema_compiler *c, int32_t next)
{
    struct grammar_graph *b = &c->b;
    int32_t low = graph_text(b, "\\u", 2,
                             one_of(c, "dD", one_of(c, "cdefCDEF", write_hex(c, 2, next))));
    int32_t pair = one_of(c, "89abAB", write_hex(c, 2, low));
    int32_t below = one_of(c, "01234567", write_hex(c, 2, next));

    return graph_text(b, "u", 1,
                      graph_split(b, one_of(c, "0123456789abcefABCEF", write_hex(c, 3, next)),
                                  one_of(c, "dD", graph_split(b, below, pair))));
}

static int32_t write_any_character(struct schema_compiler *c, int64_t max, int32_t next)
{
    static const struct code_range beyond = {0x80, LAST_CODE};
    struct grammar_graph *b = &c->b;
    struct grammar_set plain = {.most = (int32_t)max, .loops = true, .beyond_ascii = true};
    int32_t escape = graph_text(b, "\\", 1,
                                graph_split(b, one_of(c, "\"\\bfnrt", next), write_code(c, next)));

    for (uint32_t code = 0; code < 0x80; code++)
        if (is_plain(code))
            add_to(&plain, code);
    return graph_split(b, graph_set(b, &plain, next),
                       graph_split(b, graph_beyond_ascii(b, &beyond, 1, next), escape));
}

/* A rule of its own, whose register counts. */
static int32_t write_counted(struct schema_compiler *c, int64_t min, int64_t max)
{
    struct grammar_graph *b = &c->b;
    int32_t rule = graph_rule(b);
    int32_t close = graph_text(b, "\"", 1, graph_finish(b));
    int32_t loop = graph_jump(b);
    int32_t counted = loop;
    int32_t more = NOWHERE;

    if (max >= 0 || min > 0)
        counted = graph_count(b, (int32_t)(max >= 0 ? max : min), loop);
    more = write_any_character(c, max, counted);
    if (max >= 0)
        more = graph_check(b, 0, (int32_t)max - 1, more);
    if (min > 0)
        close = graph_check(b, (int32_t)min, MAX_COUNTED, close);
    graph_lead(b, loop, graph_split(b, close, more));
    graph_define(b, rule, graph_text(b, "\"", 1, loop));
    return rule;
}

static int32_t write_any_string(struct schema_compiler *c, int64_t min, int64_t max, int32_t next)
{
    if (min > 0 || max >= 0)
        return graph_call(&c->b, write_counted(c, min, max), next);
    if (c->string == NOWHERE)
        c->string = write_counted(c, 0, -1);
    return graph_call(&c->b, c->string, next);
}

/* ------------------------------------------------------------------ strings that an automaton follows */

struct text_writer {
    struct schema_compiler *c;
    const struct regex_automaton *a;
    int64_t min, max;
    int32_t counts; /* how many are told apart, from 0 */
    int32_t *nodes; /* (n_states * counts) a jump, or 0 */
    int32_t *work;  /* (n_states * counts) */
    size_t n_work;
    int32_t *leaves;           /* (n_states) */
    bool *alive;               /* (n_states) leads to where it may be left */
    struct code_range *ranges; /* of the edges to one state; as many as there are edges */
};

static void find_alive(struct text_writer *w)
{
    bool changed = true;

    for (size_t i = 0; i < w->a->n_states; i++)
        w->alive[i] = w->leaves[i] != NOWHERE;
    while (changed) {
        changed = false;
        for (size_t i = w->a->n_states; i-- > 0;) {
            const struct regex_state *s = &w->a->states[i];

            for (int32_t k = 0; k < s->n_edges && !w->alive[i]; k++)
                if (w->alive[w->a->edges[s->first_edge + k].to])
                    w->alive[i] = changed = true;
        }
    }
}

/* The jump of a state at a count, which is written when its turn comes. */
static int32_t node_of(struct text_writer *w, int32_t state, int32_t count)
{
    size_t i = (size_t)state * (size_t)w->counts + (size_t)count;

    if (!w->nodes[i]) {
        w->nodes[i] = graph_jump(&w->c->b) + 1;
        w->work[w->n_work++] = (int32_t)i;
    }
    return w->nodes[i] - 1;
}

static size_t gather(struct text_writer *w, const struct regex_state *s, int32_t from)
{
    const struct regex_edge *edges = &w->a->edges[s->first_edge];
    size_t n = 0;

    for (int32_t k = from; k < s->n_edges; k++)
        if (edges[k].to == edges[from].to)
            w->ranges[n++] = (struct code_range){edges[k].low, edges[k].high};
    return n;
}

static bool was_before(const struct regex_edge *edges, int32_t k)
{
    for (int32_t i = 0; i < k; i++)
        if (edges[i].to == edges[k].to)
            return true;
    return false;
}

/* -1: one character more is too much. */
static int32_t next_count(const struct text_writer *w, int32_t count)
{
    if (w->max >= 0)
        return count < w->max ? count + 1 : -1;
    return count + 1 < w->counts ? count + 1 : count;
}

static void write_state(struct text_writer *w, int32_t state, int32_t count)
{
    const struct regex_state *s = &w->a->states[state];
    const struct regex_edge *edges = &w->a->edges[s->first_edge];
    int32_t next = next_count(w, count);
    int32_t ways = count >= w->min ? w->leaves[state] : NOWHERE;

    for (int32_t k = 0; next >= 0 && k < s->n_edges; k++) {
        bool loops = edges[k].to == state && next == count;

        if (!w->alive[edges[k].to] || was_before(edges, k))
            continue;
        ways = graph_split(
            &w->c->b,
            write_class(w->c, w->ranges, gather(w, s, k), loops, node_of(w, edges[k].to, next)),
            ways);
    }
    graph_lead(&w->c->b, node_of(w, state, count), ways);
}

static bool prepare(struct text_writer *w, schema_leave_fn leave, void *arg)
{
    size_t n = w->a->n_states;
    size_t most = 1;

    for (size_t i = 0; i < n; i++)
        if ((size_t)w->a->states[i].n_edges > most)
            most = (size_t)w->a->states[i].n_edges;
    w->nodes = schema_alloc(w->c, n * (size_t)w->counts * sizeof *w->nodes);
    w->work = schema_alloc(w->c, n * (size_t)w->counts * sizeof *w->work);
    w->leaves = schema_alloc(w->c, n * sizeof *w->leaves);
    w->alive = schema_alloc(w->c, n * sizeof *w->alive);
    w->ranges = schema_alloc(w->c, most * sizeof *w->ranges);
    if (!w->nodes || !w->work || !w->leaves || !w->alive || !w->ranges)
        return false;
    for (size_t i = 0; i < n; i++)
        w->leaves[i] = leave(arg, w->a->states[i].matched);
    find_alive(w);
    return !w->c->failed;
}

int32_t schema_write_text(struct schema_compiler *c, const struct regex_automaton *a, int64_t min,
                          int64_t max, schema_leave_fn leave, void *arg)
{
    struct text_writer w = {.c = c, .a = a, .min = min, .max = max};
    int64_t counts = max >= 0 ? max + 1 : min + 1;
    int32_t entry = NOWHERE;

    if (counts > (int64_t)MAX_PRODUCT || a->n_states * (size_t)counts > MAX_PRODUCT) {
        schema_refuse(
            c, NULL, NULL,
            "a pattern or format together with so large a length cannot be enforced here");
        return NOWHERE;
    }
    w.counts = (int32_t)counts;
    if (!schema_step(c, a->n_states * (size_t)counts) || !prepare(&w, leave, arg) || !w.alive[0])
        return NOWHERE;
    entry = node_of(&w, 0, 0);
    while (w.n_work > 0 && c->b.fault == GRAPH_FINE) {
        int32_t i = w.work[--w.n_work];

        write_state(&w, i / w.counts, i % w.counts);
    }
    return entry;
}

/* ------------------------------------------------------------------ any string of a shape */

struct wanted {
    uint64_t all, none; /* patterns that it matches, or does not */
    int32_t next;
};

static int32_t leave_string(void *arg, uint64_t matched)
{
    const struct wanted *w = arg;

    return (matched & w->all) == w->all && (matched & w->none) == 0 ? w->next : NOWHERE;
}

static bool add_patterns(struct schema_compiler *c, struct regex_set *set, const struct shape *s,
                         struct wanted *w)
{
    int number = 0;

    for (const struct shape_item *p = s->patterns; p; p = p->next, number++) {
        const char *source = p->name ? p->name : json_string_value(p->json);
        const char *why = NULL;

        if (number == FOR_EXCLUDED)
            return schema_refuse(c, p->where, "pattern", "of so many at once cannot be enforced");
        if (!regex_set_add(set, number, source, strlen(source), &why))
            return schema_bad_pattern(c, p->where, why);
        *(p->negated ? &w->none : &w->all) |= UINT64_C(1) << number;
    }
    return true;
}

static bool add_excluded(struct schema_compiler *c, struct regex_set *set, const struct shape *s,
                         struct wanted *w)
{
    w->none |= UINT64_C(1) << FOR_EXCLUDED;
    for (const struct shape_item *e = s->excluded; e; e = e->next) {
        for (size_t i = 0; i < json_array_size(e->json); i++) {
            const json_t *value = json_array_get(e->json, i);
            const char *why = NULL;

            if (json_is_string(value) &&
                !regex_set_add_text(set, FOR_EXCLUDED, json_string_value(value),
                                    json_string_length(value), &why))
                return schema_bad_pattern(c, e->where, why);
        }
    }
    return true;
}

static bool excludes_strings(const struct shape *s)
{
    for (const struct shape_item *e = s->excluded; e; e = e->next)
        for (size_t i = 0; i < json_array_size(e->json); i++)
            if (json_is_string(json_array_get(e->json, i)))
                return true;
    return false;
}

static int32_t write_followed(struct schema_compiler *c, struct regex_set *set,
                              const struct shape *s, int32_t next)
{
    struct wanted w = {.next = graph_text(&c->b, "\"", 1, next)};
    struct regex_automaton a = {0};
    int32_t entry = NOWHERE;

    if (!add_patterns(c, set, s, &w) || !add_excluded(c, set, s, &w))
        return NOWHERE;
    if (schema_finish_patterns(c, s->patterns ? s->patterns->where : s->where, set, &a))
        entry = schema_write_text(c, &a, s->min_length, s->max_length, leave_string, &w);
    regex_automaton_free(&a);
    return graph_text(&c->b, "\"", 1, entry);
}

int32_t schema_write_string(struct schema_compiler *c, const struct shape *s, int32_t next)
{
    struct regex_set *set = NULL;
    int32_t entry = NOWHERE;

    if (s->max_length >= 0 && s->min_length > s->max_length) {
        schema_is_empty(c, s->where, "no text has a length between its bounds");
        return NOWHERE;
    }
    if (!s->patterns && !excludes_strings(s))
        return write_any_string(c, s->min_length, s->max_length, next);
    set = regex_set_create();
    if (set)
        entry = write_followed(c, set, s, next);
    else
        schema_no_memory(c);
    regex_set_free(set);
    return entry;
}
