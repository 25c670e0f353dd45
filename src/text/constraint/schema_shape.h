/*
 * schema_shape: claims about a value, taken apart into alternatives without "or": shapes. Knows what the
 * keywords of JSON Schema mean, nothing of how a value is written.
 *
 * anyOf is a shape for each alternative, oneOf the same with the others denied unless they are seen to
 * exclude each other, if/then/else is "if and then" or "not if and else"; a denied schema is a shape for each
 * of its keywords denied. What can be denied of no keyword makes no shape: less comes out, never something
 * wrong.
 *
 * A schema that speaks of some kinds of values only (by "properties", say) and names no type is taken to
 * mean these kinds.
 */
#ifndef INF_TEXT_CONSTRAINT_SCHEMA_SHAPE_H
#define INF_TEXT_CONSTRAINT_SCHEMA_SHAPE_H

#include "text/constraint/schema_compiler.h"

/* One of a list: what it is depends on the list. */
struct shape_item {
    const struct shape_item *next;
    json_t *json;
    json_t *where; /* the schema that says so */
    const char *name;
    bool negated;
};

struct shape {
    struct shape *next;
    unsigned kinds, mentioned;
    bool typed; /* some keyword names kinds outright */
    bool any_order, closed, closed_items, unique;
    json_t *where;                  /* the last schema that took part */
    int64_t min_length, max_length; /* max -1: none */
    int64_t min_items, max_items;   /* min -1: not said */
    int64_t min_properties, max_properties;
    const struct shape_item *choices;  /* json: a list of values; the value is of each list */
    const struct shape_item *excluded; /* json: a list of values; the value is of none */
    const struct shape_item *bounds;   /* json: a number; name: the keyword */
    const struct shape_item *multiples;
    const struct shape_item *patterns; /* json: a string, or name: an expression of a format */
    const struct shape_item
        *arrays; /* json: a schema that speaks of items; negated: within a "not",
                                        * where nothing counts as spoken of for unevaluatedItems */
    const struct shape_item *contains; /* json: the schema with "contains" */
    const struct shape_item
        *objects; /* json: a schema that speaks of properties; negated as above */
    const struct shape_item *required; /* name */
    const struct shape_item *absent;   /* name */
    const struct shape_item *extras;   /* name, and a claim about its value */
    const struct shape_item *names;    /* a claim about names */
};

/* *out: the alternatives, perhaps none. false: the error is set. */
bool schema_shapes(struct schema_compiler *c, const struct schema_claims *claims,
                   struct shape **out);

#endif
