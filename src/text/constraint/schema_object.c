/*
 * schema_object: objects. See schema_write.h.
 *
 * The named properties come as they are listed, with "x-order": "any" in any order; behind them others, where
 * the schema speaks of them (additionalProperties, patternProperties) or names none. No named property comes
 * twice. In any order the register is the set of those that came; as listed it counts, when a number of
 * properties is asked for.
 */
#include "text/constraint/schema_write.h"

#include "text/constraint/schema_kinds.h"
#include "text/constraint/schema_value.h"

#include <string.h>

#define MAX_COUNTED 1000000000
#define MAX_PROPERTIES 1000
#define MAX_PATTERNS 60
#define FOR_NAMED 62 /* the number of the names that are listed */
#define FOR_NAMES 61 /* and of what is said of names; 60: what is not to be */

struct property {
    const char *name;
    int32_t rule;
    bool required;
};

/* A way on behind the names that match these patterns. */
struct others_way {
    uint64_t matched;
    int32_t node;
};

struct object {
    struct schema_compiler *c;
    const struct shape *s;
    struct property *properties; /* (count_names) */
    size_t n;
    bool open; /* others may come */
    bool counts;
    int32_t close, after;         /* "}"; where it goes on behind another property */
    struct regex_automaton names; /* of others */
    const char *patterns[MAX_PATTERNS];
    size_t n_patterns;
    struct others_way ways[MAX_PATTERNS + 2];
    size_t n_ways;
};

/* ------------------------------------------------------------------ what a property obeys */

static bool fits(struct object *o, const json_t *schema, const char *pattern, const char *name,
                 bool *out)
{
    return schema_matches(o->c, schema, pattern, name, strlen(name), out);
}

/* What one schema says of a name. */
static bool add_claims(struct object *o, json_t *schema, const char *name,
                       struct schema_claims *claims)
{
    json_t *own = json_object_get(json_object_get(schema, "properties"), name);
    json_t *others = json_object_get(schema, "additionalProperties");
    bool spoken_of = own != NULL;
    const char *pattern = NULL;
    json_t *claim = NULL;

    if (own && !schema_claims_add(o->c, claims, own, false))
        return false;
    json_object_foreach(json_object_get(schema, "patternProperties"), pattern, claim)
    {
        bool yes = false;

        if (!fits(o, schema, pattern, name, &yes) ||
            (yes && !schema_claims_add(o->c, claims, claim, false)))
            return false;
        spoken_of = spoken_of || yes;
    }
    return spoken_of || !others || schema_claims_add(o->c, claims, others, false);
}

static bool name_may_be(struct object *o, const char *name)
{
    json_t *text = o->s->names ? json_string(name) : NULL;
    bool may = true;

    if (o->s->names && !text)
        schema_no_memory(o->c);
    for (const struct shape_item *n = o->s->names; n && text && may; n = n->next) {
        enum schema_verdict so = schema_judge(o->c, n->json, text);

        may = so == SCHEMA_OBEYS;
        if (so == SCHEMA_UNSURE)
            schema_refuse(o->c, n->where, "propertyNames", "cannot be enforced here");
    }
    json_decref(text);
    for (const struct shape_item *a = o->s->absent; a && may; a = a->next)
        may = strcmp(a->name, name) != 0;
    return may;
}

static bool is_listed_somewhere(const struct object *o, const char *name)
{
    for (const struct shape_item *m = o->s->objects; m; m = m->next)
        if (!m->negated && json_object_get(json_object_get(m->json, "properties"), name))
            return true;
    return false;
}

static int32_t rule_of_name(struct object *o, const char *name)
{
    struct schema_claims claims = {0};

    if (!name_may_be(o, name) || (o->s->closed && !is_listed_somewhere(o, name)))
        return NOWHERE;
    for (const struct shape_item *m = o->s->objects; m; m = m->next)
        if (!add_claims(o, m->json, name, &claims))
            return NOWHERE;
    for (const struct shape_item *e = o->s->extras; e; e = e->next)
        if (strcmp(e->name, name) == 0 && !schema_claims_add(o->c, &claims, e->json, e->negated))
            return NOWHERE;
    return schema_rule_of(o->c, &claims);
}

/* ------------------------------------------------------------------ the named properties */

static struct property *find(struct object *o, const char *name)
{
    for (size_t i = 0; i < o->n; i++)
        if (strcmp(o->properties[i].name, name) == 0)
            return &o->properties[i];
    return NULL;
}

static struct property *list(struct object *o, const char *name)
{
    struct property *known = find(o, name);

    if (known)
        return known;
    if (o->n == MAX_PROPERTIES) {
        schema_refuse(o->c, o->s->where, NULL, "more than 1000 properties in one object");
        return NULL;
    }
    if (!schema_step(o->c, 1 + o->n / 16))
        return NULL;
    o->properties[o->n] = (struct property){.name = name, .rule = rule_of_name(o, name)};
    return o->c->failed ? NULL : &o->properties[o->n++];
}

/* The lists of a shape have their last first. */
static bool list_members(struct object *o, const struct shape_item *m)
{
    const char *name = NULL;
    json_t *value = NULL;

    if (!m)
        return true;
    if (!list_members(o, m->next))
        return false;
    json_object_foreach(json_object_get(m->json, "properties"), name, value)
    {
        if (!list(o, name))
            return false;
    }
    return true;
}

static bool list_required(struct object *o, const struct shape_item *r)
{
    struct property *p = NULL;

    if (!r)
        return true;
    if (!list_required(o, r->next))
        return false;
    p = list(o, r->name);
    if (p)
        p->required = true;
    return p != NULL;
}

/* Named, so that it is not among the others. */
static bool list_absent(struct object *o)
{
    for (const struct shape_item *a = o->s->absent; a; a = a->next)
        if (!list(o, a->name))
            return false;
    return true;
}

/* Names that propertyNames lists: there are no others then. */
static bool list_names(struct object *o)
{
    for (const struct shape_item *n = o->s->names; n && o->open; n = n->next) {
        const json_t *names = json_object_get(n->json, "enum");

        if (json_is_false(n->json))
            o->open = false;
        for (size_t i = 0; i < json_array_size(names); i++) {
            const json_t *name = json_array_get(names, i);

            o->open = false;
            if (json_is_string(name) &&
                strlen(json_string_value(name)) == json_string_length(name) &&
                !list(o, json_string_value(name)))
                return false;
        }
    }
    return true;
}

/* ------------------------------------------------------------------ other properties */

static bool may_have_others(const struct object *o)
{
    bool names_some = false;
    bool speaks_of_others = false;

    for (const struct shape_item *m = o->s->objects; m; m = m->next) {
        const json_t *others = json_object_get(m->json, "additionalProperties");
        const json_t *by_pattern = json_object_get(m->json, "patternProperties");

        names_some = names_some || json_object_get(m->json, "properties");
        speaks_of_others = speaks_of_others || (others && !json_is_false(others)) ||
                           json_object_size(by_pattern) > 0;
        if (json_is_false(others) && json_object_size(by_pattern) == 0)
            return false;
    }
    return speaks_of_others || !names_some;
}

static int number_of(struct object *o, const char *pattern)
{
    for (size_t i = 0; i < o->n_patterns; i++)
        if (strcmp(o->patterns[i], pattern) == 0)
            return (int)i;
    if (o->n_patterns == MAX_PATTERNS) {
        schema_refuse(o->c, o->s->where, "patternProperties", "of more than 60 patterns");
        return -1;
    }
    o->patterns[o->n_patterns] = pattern;
    return (int)o->n_patterns++;
}

/* What others obey whose names match these patterns and no others. */
static bool claims_of_others(struct object *o, uint64_t matched, struct schema_claims *claims)
{
    for (const struct shape_item *m = o->s->objects; m; m = m->next) {
        json_t *others = json_object_get(m->json, "additionalProperties");
        const char *pattern = NULL;
        json_t *claim = NULL;
        bool spoken_of = false;

        json_object_foreach(json_object_get(m->json, "patternProperties"), pattern, claim)
        {
            int number = number_of(o, pattern);

            if (number < 0 || !(matched >> number & 1))
                continue;
            spoken_of = true;
            if (!schema_claims_add(o->c, claims, claim, false))
                return false;
        }
        if (!spoken_of && others && !schema_claims_add(o->c, claims, others, false))
            return false;
    }
    return !o->c->failed;
}

static bool within_not(const struct object *o)
{
    for (const struct shape_item *m = o->s->objects; m; m = m->next)
        if (m->negated)
            return true;
    return false;
}

/* The quote behind the name, the value, and on. */
static int32_t leave_name(void *arg, uint64_t matched)
{
    struct object *o = arg;
    struct schema_claims claims = {0};
    uint64_t ours = matched & ((UINT64_C(1) << MAX_PATTERNS) - 1);
    int32_t node = NOWHERE;

    if (matched >> FOR_NAMED & 1 || (o->s->closed && (ours == 0 || within_not(o))) ||
        (o->s->names && !(matched >> FOR_NAMES & 1)))
        return NOWHERE;
    for (size_t i = 0; i < o->n_ways; i++)
        if (o->ways[i].matched == ours)
            return o->ways[i].node;
    if (o->n_ways == MAX_PATTERNS + 2) {
        schema_refuse(o->c, o->s->where, "patternProperties", "match names in too many ways");
        return NOWHERE;
    }
    if (!claims_of_others(o, ours, &claims))
        return NOWHERE;
    node = schema_write_space(o->c, graph_call(&o->c->b, schema_rule_of(o->c, &claims),
                                               schema_write_space(o->c, o->after)));
    node = graph_text(&o->c->b, "\"", 1,
                      schema_write_space(o->c, graph_text(&o->c->b, ":", 1, node)));
    o->ways[o->n_ways++] = (struct others_way){ours, node};
    return node;
}

/* Its type lets strings, as names are, through. */
static bool is_of_strings(const json_t *schema)
{
    const json_t *type = json_object_get(schema, "type");
    bool is = !type || strcmp(json_is_string(type) ? json_string_value(type) : "", "string") == 0;

    for (size_t i = 0; i < json_array_size(type); i++)
        is = is || strcmp(json_string_value(json_array_get(type, i)), "string") == 0;
    return is;
}

/* propertyNames may say one pattern; that is one of the automaton's. */
static const char *pattern_of_names(struct object *o)
{
    const struct shape_item *names = o->s->names;
    const char *pattern = names ? json_string_value(json_object_get(names->json, "pattern")) : NULL;
    const char *key = NULL;
    json_t *value = NULL;
    bool any = true;

    if (!names || json_is_true(names->json))
        return "";
    json_object_foreach(names->json, key, value)
    {
        bool passed = schema_key_of(key) == KEY_ANNOTATION || strcmp(key, "type") == 0;

        any = any && passed;
        if (strcmp(key, "pattern") != 0 && !passed)
            pattern = NULL;
    }
    if (any && !names->next && is_of_strings(names->json))
        return "";
    if (!pattern || names->next)
        schema_refuse(o->c, names->where, "propertyNames",
                      "other than one pattern can be enforced for named properties only");
    return pattern;
}

static bool add_patterns(struct object *o, struct regex_set *set)
{
    const char *of_names = pattern_of_names(o);
    const char *why = NULL;

    for (const struct shape_item *m = o->s->objects; m; m = m->next) {
        const char *pattern = NULL;
        json_t *claim = NULL;

        json_object_foreach(json_object_get(m->json, "patternProperties"), pattern, claim)
        {
            size_t before = o->n_patterns;
            int number = number_of(o, pattern);

            if (number < 0)
                return false;
            if (o->n_patterns > before &&
                !regex_set_add(set, number, pattern, strlen(pattern), &why))
                return schema_bad_pattern(o->c, m->json, why);
        }
    }
    if (o->s->names && of_names && !regex_set_add(set, FOR_NAMES, of_names, strlen(of_names), &why))
        return schema_bad_pattern(o->c, o->s->names->json, why);
    for (size_t i = 0; i < o->n; i++)
        if (!regex_set_add_text(set, FOR_NAMED, o->properties[i].name,
                                strlen(o->properties[i].name), &why))
            return schema_bad_pattern(o->c, o->s->where, why);
    return !o->c->failed;
}

/* Any text is a name: an automaton without patterns needs one to be of. */
static int32_t write_others(struct object *o)
{
    struct regex_set *set = regex_set_create();
    int32_t entry = NOWHERE;

    if (!set) {
        schema_no_memory(o->c);
        return NOWHERE;
    }
    if (add_patterns(o, set)) {
        if (schema_finish_patterns(o->c, o->s->where, set, &o->names))
            entry = schema_write_text(o->c, &o->names, 0, -1, leave_name, o);
    }
    regex_automaton_free(&o->names);
    regex_set_free(set);
    return graph_text(&o->c->b, "\"", 1, entry);
}

/* ------------------------------------------------------------------ as they are listed */

/* "name": value, and on. */
static int32_t write_property(struct object *o, const struct property *p, int32_t next)
{
    struct grammar_graph *b = &o->c->b;
    int32_t value = graph_call(b, p->rule, schema_write_space(o->c, next));
    int32_t colon = graph_text(b, ":", 1, schema_write_space(o->c, value));

    return p->rule == NOWHERE ? NOWHERE
                              : schema_write_name(o->c, p->name, schema_write_space(o->c, colon));
}

static int32_t write_comma(struct object *o, int32_t next)
{
    return graph_text(&o->c->b, ",", 1, schema_write_space(o->c, next));
}

/* What can still come from each place of the list on. */
struct left {
    int32_t needed, possible;
};

static int32_t counted(struct object *o, int32_t next)
{
    int64_t most = o->s->max_properties >= 0 ? o->s->max_properties : o->s->min_properties;

    return o->counts ? graph_count(&o->c->b, (int32_t)most, next) : next;
}

/* Passes while the count is from min to max, so that the properties behind can make it a right one. */
static int32_t checked(struct object *o, int64_t min, int64_t max, int32_t next)
{
    if (!o->counts || (min <= 0 && max >= MAX_COUNTED))
        return next;
    return graph_check(&o->c->b, min > 0 ? (int32_t)min : 0, (int32_t)max, next);
}

static int64_t most_of(const struct object *o)
{
    return o->s->max_properties >= 0 ? o->s->max_properties : MAX_COUNTED;
}

/* Behind a property: the end, or a comma and what may come next. */
static int32_t write_behind(struct object *o, struct left left, int32_t next_one)
{
    struct grammar_graph *b = &o->c->b;
    int32_t close = left.needed > 0 ? NOWHERE : o->close;
    int64_t room = left.needed > 0 ? MAX_COUNTED : most_of(o) - 1;

    if (o->s->min_properties > 0)
        close = checked(o, o->s->min_properties, MAX_COUNTED, close);
    return graph_split(b, close, checked(o, 0, room, write_comma(o, next_one)));
}

static int32_t write_listed(struct object *o)
{
    struct grammar_graph *b = &o->c->b;
    struct left left = {0, 0};
    int32_t loop = graph_jump(b); /* behind another property */
    int32_t next_one = NOWHERE;   /* what may come at this place */
    int32_t behind = NOWHERE;

    o->after = counted(o, loop);
    if (o->open)
        next_one = write_others(o);
    next_one = checked(o, 0, most_of(o) - 1, next_one);
    behind = write_behind(o, left, next_one);
    graph_lead(b, loop, behind);
    if (o->open)
        left.possible = MAX_COUNTED / 2;
    for (size_t i = o->n; i-- > 0;) {
        const struct property *p = &o->properties[i];
        int32_t this = NOWHERE;

        if (p->rule == NOWHERE && !p->required)
            continue;
        this = write_property(o, p, counted(o, behind));
        this = checked(o, o->s->min_properties - left.possible - 1, most_of(o) - 1 - left.needed,
                       this);
        next_one = p->required ? this : graph_split(b, this, next_one);
        left.needed += p->required;
        left.possible++;
        behind = write_behind(o, left, next_one);
    }
    return graph_split(b, left.needed > 0 || o->s->min_properties > 0 ? NOWHERE : o->close,
                       o->s->max_properties == 0 ? NOWHERE : next_one);
}

/* ------------------------------------------------------------------ in any order */

static int32_t write_end(struct object *o)
{
    struct grammar_graph *b = &o->c->b;
    int32_t end = o->close;

    for (size_t i = 0; i < o->n; i++)
        if (o->properties[i].required)
            end = graph_member(b, GRAMMAR_HAS, (int32_t)i, false, end);
    if (o->s->min_properties > 1)
        end = graph_check_members(b, (int32_t)o->s->min_properties, MAX_COUNTED, end);
    return end;
}

static int32_t write_any_order(struct object *o)
{
    struct grammar_graph *b = &o->c->b;
    int32_t loop = graph_jump(b);
    int32_t one = NOWHERE;
    int32_t comma = NOWHERE;
    int32_t more = NOWHERE;
    bool needs = o->s->min_properties > 0;

    o->after = loop;
    if (o->open)
        one = write_others(o);
    for (size_t i = o->n; i-- > 0;) {
        int32_t then = graph_member(b, GRAMMAR_ADD, (int32_t)i, false, loop);
        int32_t this = write_property(o, &o->properties[i], then);

        one = graph_split(b, graph_member(b, GRAMMAR_HAS, (int32_t)i, true, this), one);
        needs = needs || o->properties[i].required;
    }
    comma = write_comma(o, one);
    more = o->open ? comma : NOWHERE;
    for (size_t i = 0; i < o->n && !o->open; i++)
        if (o->properties[i].rule != NOWHERE)
            more = graph_split(b, graph_member(b, GRAMMAR_HAS, (int32_t)i, true, comma), more);
    graph_lead(b, loop, graph_split(b, write_end(o), more));
    return graph_split(b, needs ? NOWHERE : o->close, one);
}

/* ------------------------------------------------------------------ all of it */

/* Others may come twice under one name, which counts once for a reader. false: there is no such object,
 * or the error is set. */
static bool check_counts(struct object *o)
{
    int64_t named = 0;
    int64_t required = 0;

    for (size_t i = 0; i < o->n; i++) {
        named += o->properties[i].rule != NOWHERE;
        required += o->properties[i].required;
        if (o->properties[i].required && o->properties[i].rule == NOWHERE)
            return false;
    }
    if ((!o->open && o->s->min_properties > named) ||
        (o->s->max_properties >= 0 && o->s->max_properties < required))
        return false;
    if (o->s->any_order && o->s->max_properties >= 0 && (o->open || o->s->max_properties < named))
        return schema_refuse(o->c, o->s->where, "maxProperties",
                             "in any order cannot be enforced here");
    if (o->open && o->s->min_properties > 1 && o->s->min_properties > required)
        return schema_refuse(o->c, o->s->where, "minProperties",
                             "beside properties of any name cannot be enforced here");
    o->counts = (o->s->max_properties >= 0 && (o->open || o->s->max_properties < named)) ||
                o->s->min_properties > required;
    return true;
}

/* At most so many are listed. */
static size_t count_names(const struct shape *s)
{
    size_t n = 0;

    for (const struct shape_item *m = s->objects; m; m = m->next)
        n += json_object_size(json_object_get(m->json, "properties"));
    for (const struct shape_item *r = s->required; r; r = r->next)
        n++;
    for (const struct shape_item *a = s->absent; a; a = a->next)
        n++;
    for (const struct shape_item *names = s->names; names; names = names->next)
        n += json_array_size(json_object_get(names->json, "enum"));
    return n < MAX_PROPERTIES ? n : MAX_PROPERTIES;
}

int32_t schema_write_object(struct schema_compiler *c, const struct shape *s, int32_t next)
{
    struct object *o = schema_alloc(c, sizeof *o);
    int32_t entry = NOWHERE;

    if (!o)
        return NOWHERE;
    *o = (struct object){.c = c, .s = s, .close = graph_text(&c->b, "}", 1, next)};
    o->properties = schema_alloc(c, (count_names(s) + 1) * sizeof *o->properties);
    if (!o->properties || !list_members(o, s->objects) || !list_required(o, s->required) ||
        !list_absent(o))
        return NOWHERE;
    o->open = may_have_others(o);
    if (!list_names(o) || !check_counts(o) ||
        (s->max_properties >= 0 && s->min_properties > s->max_properties))
        return NOWHERE;
    entry = s->any_order ? write_any_order(o) : write_listed(o);
    return graph_text(&c->b, "{", 1, schema_write_space(c, entry));
}
