/*
 * json_schema: see the header. Rules are written one after the other, the root's first; what a rule calls is
 * written when its turn comes, so that nothing here recurses as deep as schemas are nested.
 */
#include "text/constraint/json_schema.h"

#include "core/dots.h"
#include "text/constraint/schema_check.h"
#include "text/constraint/schema_kinds.h"
#include "text/constraint/schema_value.h"
#include "text/constraint/schema_write.h"
#include "text/json_text.h"

#define MAX_ROUNDS 8

static const struct json_limits limits = {(size_t)256 * 1024, 48, 20000};

/* ------------------------------------------------------------------ values by name */

/* The values that one shape names and that obey everything. */
static bool add_choices(struct schema_compiler *c, const struct schema_claims *claims,
                        const struct shape *s, json_t *obeying)
{
    for (size_t i = 0; i < json_array_size(s->choices->json); i++) {
        json_t *value = json_array_get(s->choices->json, i);
        enum schema_verdict so = schema_judge_claims(c, claims, value);

        if (so == SCHEMA_UNSURE)
            return schema_refuse(c, s->choices->where, NULL,
                                 "whether its fixed values obey the other keywords cannot be told "
                                 "here; leave those out");
        if (so == SCHEMA_OBEYS && json_array_append(obeying, value) != 0)
            return schema_no_memory(c);
    }
    return true;
}

static int32_t write_choices(struct schema_compiler *c, const struct schema_claims *claims,
                             const struct shape *shapes, int32_t next)
{
    json_t *obeying = json_array();
    bool ok = obeying || schema_no_memory(c);
    bool any = false;
    int32_t entry = NOWHERE;

    for (const struct shape *s = shapes; s && ok; s = s->next) {
        any = any || s->choices;
        ok = !s->choices || add_choices(c, claims, s, obeying);
    }
    if (ok && json_array_size(obeying) > 0)
        entry = schema_write_values(c, obeying, next);
    else if (ok && any)
        schema_is_empty(c, shapes->where, "none of its fixed values obeys the rest");
    json_decref(obeying);
    return entry;
}

/* ------------------------------------------------------------------ values by kind */

/* Values that must not come: those of one value as a kind less; of arrays and objects only the empty
 * one can be told. */
static bool leave_out(struct schema_compiler *c, struct shape *s)
{
    for (const struct shape_item *e = s->excluded; e; e = e->next) {
        for (size_t i = 0; i < json_array_size(e->json); i++) {
            const json_t *value = json_array_get(e->json, i);
            unsigned kind = schema_kind_of(value) & s->kinds;

            if (kind & (KIND_NULL | KIND_FALSE | KIND_TRUE))
                s->kinds &= ~kind;
            if (!(kind & (KIND_ARRAY | KIND_OBJECT)))
                continue;
            if (json_array_size(value) > 0 || json_object_size(value) > 0)
                return schema_refuse(c, e->where, "not",
                                     "of a fixed array or object cannot be enforced here");
            if (kind == KIND_ARRAY && s->min_items < 1)
                s->min_items = 1;
            if (kind == KIND_OBJECT && s->min_properties < 1)
                s->min_properties = 1;
        }
    }
    return true;
}

static int32_t write_shape(struct schema_compiler *c, struct shape *s, int32_t next)
{
    struct grammar_graph *b = &c->b;
    int32_t entry = NOWHERE;

    if (!leave_out(c, s))
        return NOWHERE;
    if (s->kinds & KIND_NULL)
        entry = graph_split(b, graph_text(b, "null", 4, next), entry);
    if (s->kinds & KIND_FALSE)
        entry = graph_split(b, graph_text(b, "false", 5, next), entry);
    if (s->kinds & KIND_TRUE)
        entry = graph_split(b, graph_text(b, "true", 4, next), entry);
    if (s->kinds & KIND_NUMBER)
        entry = graph_split(b, schema_write_number(c, s, next), entry);
    if (s->kinds & KIND_STRING)
        entry = graph_split(b, schema_write_string(c, s, next), entry);
    if (s->kinds & KIND_ARRAY)
        entry = graph_split(b, schema_write_array(c, s, next), entry);
    if (s->kinds & KIND_OBJECT)
        entry = graph_split(b, schema_write_object(c, s, next), entry);
    return entry;
}

/* ------------------------------------------------------------------ rules */

/* By number: the list of rules grows meanwhile, and may move. */
static bool write_rule(struct schema_compiler *c, size_t number)
{
    struct schema_claims claims = c->rules[number].claims;
    int32_t rule = c->rules[number].rule;
    int32_t end = graph_finish(&c->b);
    struct shape *shapes = NULL;
    int32_t entry = NOWHERE;

    if (!schema_shapes(c, &claims, &shapes))
        return false;
    entry = write_choices(c, &claims, shapes, end);
    for (struct shape *s = shapes; s && !c->failed; s = s->next)
        if (!s->choices)
            entry = graph_split(&c->b, write_shape(c, s, end), entry);
    graph_define(&c->b, rule, entry);
    return !c->failed && c->b.fault == GRAPH_FINE;
}

static struct grammar *write_all(struct schema_compiler *c, json_t *part)
{
    struct schema_claims claims = {0};
    int32_t root = NOWHERE;

    if (!schema_claims_add(c, &claims, part, false))
        return NULL;
    root = schema_rule_of(c, &claims);
    for (size_t i = 0; i < c->n_rules; i++)
        if (!write_rule(c, i))
            return NULL;
    return c->failed ? NULL : graph_end_pruned(&c->b, root);
}

static struct grammar *write_until_alive(struct schema_compiler *c, json_t *part)
{
    for (int round = 0;; round++) {
        struct grammar *g = write_all(c, part);

        if (!g || round == MAX_ROUNDS || !schema_compiler_again(c, g))
            return g;
        grammar_free(g);
        if (c->failed || !schema_compiler_restart(c))
            return NULL;
    }
}

static struct grammar *compile(struct schema_compiler *c, json_t *part)
{
    struct grammar *g = schema_check(c) ? write_until_alive(c, part) : NULL;

    if (g)
        return g;
    if (c->b.fault == GRAPH_NO_MEMORY || c->arena.failed)
        schema_no_memory(c);
    else if (c->b.fault == GRAPH_TOO_LARGE)
        schema_refuse(c, NULL, NULL, "its grammar would be too large");
    else
        schema_refuse(c, c->empty, NULL, c->empty_why ? c->empty_why : "no JSON text obeys it");
    return NULL;
}

int32_t json_schema_compile_part(struct grammar **out, json_t *document, json_t *part,
                                 inf_error *err)
{
    struct schema_compiler c;
    struct dots dots;
    inf_error mine = {0};

    *out = NULL;
    dots_begin(&dots);
    if (schema_compiler_begin(&c, document, &mine))
        *out = compile(&c, part);
    schema_compiler_end(&c);
    dots_end(&dots);
    if (*out)
        return error_none(err);
    if (err)
        *err = mine;
    return mine.code;
}

int32_t json_schema_compile(struct grammar **out, inf_text schema, inf_error *err)
{
    json_t *parsed = NULL;
    int32_t code = json_text_parse(&parsed, schema, "json_schema", &limits, err);

    *out = NULL;
    if (code == INF_OK)
        code = json_schema_compile_part(out, parsed, parsed, err);
    json_decref(parsed);
    return code;
}
