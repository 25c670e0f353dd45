/*
 * schema_disjoint: see the header.
 */
#include "text/constraint/schema_disjoint.h"

#include "text/constraint/schema_kinds.h"
#include "text/constraint/schema_refs.h"
#include "text/constraint/schema_value.h"

#include <stdint.h>
#include <string.h>

#define MAX_DEPTH 8

/* The values that a schema names; NULL: it names none. Of const it is the value itself. */
static const json_t *values_of(const json_t *schema, const json_t **one)
{
    *one = json_object_get(schema, "const");
    return json_object_get(schema, "enum");
}

/* `meant`: a schema without a type means what it speaks of. */
static unsigned kinds_of(const json_t *schema, bool meant)
{
    const json_t *type = json_object_get(schema, "type");
    const json_t *one = NULL;
    const json_t *values = values_of(schema, &one);
    unsigned spoken_of = 0;
    const char *name = NULL;
    json_t *value = NULL;

    if (type)
        return schema_kinds_of_type(type);
    if (one)
        return schema_kind_of(one);
    if (values)
        return schema_kinds_of_values(values);
    json_object_foreach((json_t *)(uintptr_t)schema, name, value)
    {
        enum schema_key key = schema_key_of(name);

        spoken_of |= schema_kinds_spoken_of(key);
        if (key >= KEY_REF && key < KEY_MINIMUM)
            return KIND_ALL; /* others speak too */
    }
    return spoken_of && meant ? spoken_of : KIND_ALL;
}

/* Every value that a names disobeys b. */
static bool values_disobey(struct schema_compiler *c, const json_t *a, json_t *b)
{
    const json_t *one = NULL;
    const json_t *values = values_of(a, &one);

    if (one)
        return schema_judge(c, b, (json_t *)(uintptr_t)one) == SCHEMA_DISOBEYS;
    for (size_t i = 0; i < json_array_size(values); i++)
        if (schema_judge(c, b, json_array_get(values, i)) != SCHEMA_DISOBEYS)
            return false;
    return values != NULL;
}

static bool disjoint(struct schema_compiler *c, json_t *a, json_t *b, int depth);

static bool has_name(const json_t *names, const char *name)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *one = json_string_value(json_array_get(names, i));

        if (one && strcmp(one, name) == 0)
            return true;
    }
    return false;
}

/* A property that both have, with values that exclude each other, or that one has and the other may
 * not have. */
static bool members_exclude(struct schema_compiler *c, json_t *a, json_t *b, int depth)
{
    const json_t *needs_a = json_object_get(a, "required");
    const json_t *needs_b = json_object_get(b, "required");
    json_t *of_a = json_object_get(a, "properties");
    json_t *of_b = json_object_get(b, "properties");

    for (size_t i = 0; i < json_array_size(needs_a); i++) {
        const char *name = json_string_value(json_array_get(needs_a, i));
        json_t *x = json_object_get(of_a, name);
        json_t *y = json_object_get(of_b, name);

        if (x && y && has_name(needs_b, name) && disjoint(c, x, y, depth + 1))
            return true;
        if (!y && json_is_false(json_object_get(b, "additionalProperties")) &&
            !json_object_get(b, "patternProperties"))
            return true;
    }
    return false;
}

static bool part_is_disjoint(struct schema_compiler *c, json_t *a, json_t *b, int depth)
{
    static const char *const all_must[] = {"anyOf", "oneOf"};
    const json_t *parts = json_object_get(a, "allOf");

    for (size_t i = 0; i < json_array_size(parts); i++)
        if (disjoint(c, json_array_get(parts, i), b, depth + 1))
            return true;
    for (size_t k = 0; k < 2; k++) {
        const json_t *ways = json_object_get(a, all_must[k]);
        bool all = json_array_size(ways) > 0;

        for (size_t i = 0; all && i < json_array_size(ways); i++)
            all = disjoint(c, json_array_get(ways, i), b, depth + 1);
        if (all)
            return true;
    }
    return json_object_get(a, "$ref") &&
           disjoint(c, schema_resolve(c->root, json_object_get(a, "$ref")), b, depth + 1);
}

static bool disjoint(struct schema_compiler *c, json_t *a, json_t *b, int depth)
{
    unsigned common = 0;

    if (json_is_false(a) || json_is_false(b))
        return true;
    if (!json_is_object(a) || !json_is_object(b) || depth > MAX_DEPTH || !schema_step(c, 1))
        return false;
    common = kinds_of(a, depth == 0) & kinds_of(b, false);
    return common == 0 || values_disobey(c, a, b) || values_disobey(c, b, a) ||
           (common == KIND_OBJECT &&
            (members_exclude(c, a, b, depth) || members_exclude(c, b, a, depth))) ||
           part_is_disjoint(c, a, b, depth) || part_is_disjoint(c, b, a, depth);
}

bool schema_are_disjoint(struct schema_compiler *c, json_t *a, json_t *b)
{
    return disjoint(c, schema_follow(c->root, a), schema_follow(c->root, b), 0);
}

unsigned schema_kinds_meant(struct schema_compiler *c, json_t *schema)
{
    const json_t *at = schema_follow(c->root, schema);

    return json_is_object(at) ? kinds_of(at, true) : KIND_ALL;
}
