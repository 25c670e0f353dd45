/*
 * schema_array: arrays. See schema_write.h.
 *
 * The first items may each have a schema of their own (prefixItems); all after them obey what "items" says.
 * An array that says what its first items are and not what may follow has these and no others.
 */
#include "text/constraint/schema_write.h"

#include "text/constraint/schema_kinds.h"
#include "text/constraint/schema_value.h"

#define MAX_COUNTED 1000000000
#define MAX_UNIQUE 1000 /* values that are told apart */

struct array {
    struct schema_compiler *c;
    const struct shape *s;
    int64_t min, max; /* max -1: none */
    int64_t n_first;  /* items with schemas of their own */
    int32_t close;    /* "]" */
};

/* ------------------------------------------------------------------ what items obey */

static const json_t *first_of(const json_t *schema)
{
    const json_t *items = json_object_get(schema, "items");

    return json_is_array(items) ? items : json_object_get(schema, "prefixItems");
}

/* NULL: nothing is said. */
static json_t *rest_of(const json_t *schema)
{
    json_t *items = json_object_get(schema, "items");

    return json_is_array(items) ? json_object_get(schema, "additionalItems") : items;
}

/* Of the item at a place; place n_first stands for all from there on. false: the error is set. */
static bool claims_at(struct array *a, int64_t place, struct schema_claims *out)
{
    for (const struct shape_item *i = a->s->arrays; i; i = i->next) {
        const json_t *first = first_of(i->json);
        json_t *claim = place < (int64_t)json_array_size(first)
                            ? json_array_get(first, (size_t)place)
                            : rest_of(i->json);

        if (claim && !schema_claims_add(a->c, out, claim, false))
            return false;
    }
    return true;
}

/* An item and the white space behind it. */
static int32_t write_item(struct array *a, int64_t place, json_t *also, int32_t next)
{
    struct schema_claims claims = {0};

    if (!claims_at(a, place, &claims) || (also && !schema_claims_add(a->c, &claims, also, false)))
        return NOWHERE;
    return graph_call(&a->c->b, schema_rule_of(a->c, &claims), schema_write_space(a->c, next));
}

static int32_t write_comma(struct array *a, int32_t next)
{
    return graph_text(&a->c->b, ",", 1, schema_write_space(a->c, next));
}

/* ------------------------------------------------------------------ items that are all alike */

/* All behind the n that are there: the register counts them. With a maximum or a minimum the count is
 * looked at before a comma, so that there is always a way on. `found`: where the loop is gone on with
 * behind an item that obeys `contained` too. */
static int32_t write_loop(struct array *a, json_t *contained, int32_t found)
{
    struct grammar_graph *b = &a->c->b;
    int64_t min = a->min > a->n_first ? a->min - a->n_first : 0;
    int64_t max = a->max >= 0 ? a->max - a->n_first : -1;
    int32_t loop = graph_jump(b);
    bool counts = min > 0 || max >= 0;
    int32_t back = counts ? graph_count(b, (int32_t)(max >= 0 ? max : min), loop) : loop;
    int32_t to = counts ? graph_count(b, (int32_t)(max >= 0 ? max : min), found) : found;
    int32_t more = write_comma(a, write_item(a, a->n_first, NULL, back));
    int32_t close = contained ? NOWHERE : a->close;

    if (max >= 0) /* room for it, and for the one that must still come */
        more = graph_check(b, 0, (int32_t)max - (contained ? 2 : 1), more);
    if (contained) {
        int32_t that = write_comma(a, write_item(a, a->n_first, contained, to));

        more = graph_split(b, max >= 0 ? graph_check(b, 0, (int32_t)max - 1, that) : that, more);
    }
    if (min > 0 && !contained)
        close = more == NOWHERE ? NOWHERE : graph_check(b, (int32_t)min, MAX_COUNTED, close);
    graph_lead(b, loop, graph_split(b, close, more));
    return loop;
}

/* With a comma between items, of which the first has none before it. */
static int32_t write_alike(struct array *a, json_t *contained)
{
    struct grammar_graph *b = &a->c->b;
    struct array behind = *a;
    int32_t more = NOWHERE;
    int32_t entry = NOWHERE;
    int32_t more_without = NOWHERE;

    behind.n_first = 1; /* the first is written here */
    if (a->max == 0)
        return contained ? NOWHERE : a->close;
    more = write_loop(&behind, NULL, NOWHERE);
    if (!contained) {
        entry = write_item(a, 0, NULL, more);
        return a->min > 0 ? entry : graph_split(b, a->close, entry);
    }
    more_without = a->max == 1 ? NOWHERE : write_loop(&behind, contained, more);
    return graph_split(b, write_item(a, 0, contained, more), write_item(a, 0, NULL, more_without));
}

/* ------------------------------------------------------------------ unique items of few values */

static bool add_fixed(json_t *values, unsigned kinds)
{
    return (!(kinds & KIND_NULL) || json_array_append_new(values, json_null()) == 0) &&
           (!(kinds & KIND_FALSE) || json_array_append_new(values, json_false()) == 0) &&
           (!(kinds & KIND_TRUE) || json_array_append_new(values, json_true()) == 0);
}

/* The values that items can have, when they are named; NULL: they are not, or the error is set. */
static json_t *named_values(struct array *a, const struct schema_claims *claims)
{
    json_t *values = json_array();
    struct shape *shapes = NULL;
    bool ok = values && json_array_append_new(a->c->owned, values) == 0;

    if (!schema_shapes(a->c, claims, &shapes))
        return NULL;
    for (; ok && shapes; shapes = shapes->next) {
        if (!shapes->choices && shapes->kinds & ~(unsigned)(KIND_NULL | KIND_FALSE | KIND_TRUE))
            return NULL;
        ok = shapes->choices ? json_array_extend(values, shapes->choices->json) == 0
                             : add_fixed(values, shapes->kinds);
    }
    if (!ok)
        schema_no_memory(a->c);
    return ok ? values : NULL;
}

/* Those that obey, each once. */
static bool keep_unique(struct array *a, const struct schema_claims *claims, json_t *values)
{
    for (size_t i = 0; i < json_array_size(values);) {
        json_t *value = json_array_get(values, i);
        enum schema_verdict so = schema_judge_claims(a->c, claims, value);
        bool again = false;

        if (so == SCHEMA_UNSURE)
            return schema_refuse(a->c, a->s->where, "uniqueItems", "cannot be enforced here");
        for (size_t k = 0; k < i && !again; k++)
            again = schema_same_value(value, json_array_get(values, k));
        if (so == SCHEMA_OBEYS && !again)
            i++;
        else
            json_array_remove(values, i);
    }
    return json_array_size(values) <= MAX_UNIQUE ||
           schema_refuse(a->c, a->s->where, "uniqueItems", "of more than 1000 values");
}

static int32_t unique_item(struct array *a, json_t *values, int32_t next)
{
    struct grammar_graph *b = &a->c->b;
    int32_t ways = NOWHERE;

    for (size_t i = 0; i < json_array_size(values); i++) {
        json_t *one = json_pack("[O]", json_array_get(values, i));
        int32_t there = graph_member(b, GRAMMAR_ADD, (int32_t)i, false, next);
        int32_t text = one ? schema_write_values(a->c, one, there) : NOWHERE;

        if (!one)
            schema_no_memory(a->c);
        json_decref(one);
        ways = graph_split(b, graph_member(b, GRAMMAR_HAS, (int32_t)i, true, text), ways);
    }
    return ways;
}

static int32_t any_left(struct array *a, size_t n, int32_t next)
{
    int32_t ways = NOWHERE;

    for (size_t i = 0; i < n; i++)
        ways = graph_split(&a->c->b, graph_member(&a->c->b, GRAMMAR_HAS, (int32_t)i, true, next),
                           ways);
    return ways;
}

static int32_t write_unique(struct array *a)
{
    struct grammar_graph *b = &a->c->b;
    struct schema_claims claims = {0};
    json_t *values = NULL;
    int32_t loop = graph_jump(b);
    int32_t item = NOWHERE;
    int32_t n = 0;

    if (a->n_first > 0 || a->s->contains || !claims_at(a, 0, &claims)) {
        schema_refuse(a->c, a->s->where, "uniqueItems", "beside these keywords cannot be enforced");
        return NOWHERE;
    }
    values = named_values(a, &claims);
    if (!values || !keep_unique(a, &claims, values)) {
        schema_refuse(a->c, a->s->where, "uniqueItems",
                      "cannot be enforced but for items of an enum");
        return NOWHERE;
    }
    n = (int32_t)json_array_size(values);
    if (a->max >= 0 && a->max < n)
        n = (int32_t)a->max;
    item = unique_item(a, values, schema_write_space(a->c, loop));
    graph_lead(
        b, loop,
        graph_split(b, graph_check_members(b, (int32_t)a->min, n, a->close),
                    graph_check_members(
                        b, 0, n - 1, any_left(a, json_array_size(values), write_comma(a, item)))));
    return graph_split(b, a->min > 0 ? NOWHERE : a->close, n > 0 && a->min <= n ? item : NOWHERE);
}

/* ------------------------------------------------------------------ all of it */

/* An item that "false" is said of. */
static bool never_comes(const struct array *a, int64_t place)
{
    for (const struct shape_item *i = a->s->arrays; i; i = i->next) {
        const json_t *first = first_of(i->json);
        const json_t *claim = place < (int64_t)json_array_size(first)
                                  ? json_array_get(first, (size_t)place)
                                  : rest_of(i->json);

        if (json_is_false(claim))
            return true;
    }
    return false;
}

static void count_first(struct array *a)
{
    bool open = false;

    for (const struct shape_item *i = a->s->arrays; i; i = i->next) {
        int64_t n = (int64_t)json_array_size(first_of(i->json));

        if (i->negated && a->s->closed_items)
            continue;
        open = open || rest_of(i->json) != NULL;
        if (n > a->n_first)
            a->n_first = n;
    }
    if (!open && (a->s->arrays || a->s->closed_items) && (a->max < 0 || a->max > a->n_first))
        a->max = a->n_first;
    for (int64_t k = 0; k < a->n_first && a->min < 0; k++)
        if (never_comes(a, k))
            a->min = k;
    if (a->min < 0)
        a->min = a->max >= 0 && a->max < a->n_first ? a->max : a->n_first;
}

/* One after the other, those that may be left out with a way to the end before them. */
static int32_t write_first(struct array *a)
{
    struct grammar_graph *b = &a->c->b;
    int64_t n = a->max >= 0 && a->max < a->n_first ? a->max : a->n_first;
    bool more = a->max < 0 || a->max > n;
    int32_t entry = more ? write_loop(a, NULL, NOWHERE) : a->close;

    if (!more && a->min > n)
        return NOWHERE;
    for (int64_t i = n; i-- > 0;) {
        entry = write_item(a, i, NULL, entry);
        if (i > 0)
            entry = write_comma(a, entry);
        if (a->min <= i)
            entry = graph_split(b, a->close, entry);
    }
    return entry;
}

/* "contains" is one item at least; NULL: there is none, or the error is set. */
static json_t *contained_by(struct array *a)
{
    const struct shape_item *one = NULL;

    for (const struct shape_item *i = a->s->contains; i; i = i->next) {
        const json_t *min = json_object_get(i->json, "minContains");
        bool none = min && json_number_value(min) <= 0;

        if (json_object_get(i->json, "maxContains") || (min && json_number_value(min) > 1) ||
            (one && !none) || (a->n_first > 0 && !none)) {
            schema_refuse(a->c, i->where, "contains",
                          "can be enforced once, without minContains, maxContains and first items");
            return NULL;
        }
        if (!none)
            one = i;
    }
    return one ? json_object_get(one->json, "contains") : NULL;
}

int32_t schema_write_array(struct schema_compiler *c, const struct shape *s, int32_t next)
{
    struct array a = {.c = c, .s = s, .min = s->min_items, .max = s->max_items};
    json_t *contained = NULL;
    int32_t entry = NOWHERE;

    a.close = graph_text(&c->b, "]", 1, next);
    count_first(&a);
    contained = contained_by(&a);
    if (c->failed)
        return NOWHERE;
    if (a.max >= 0 && a.min > a.max)
        schema_is_empty(c, s->where, "no array has a length between its bounds");
    else if (s->unique && (a.max < 0 || a.max > 1))
        entry = write_unique(&a);
    else
        entry = a.n_first > 0 ? write_first(&a) : write_alike(&a, contained);
    return graph_text(&c->b, "[", 1, schema_write_space(c, entry));
}
