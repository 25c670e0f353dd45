/*
 * schema_check: see the header.
 */
#include "text/constraint/schema_check.h"

#include "core/memory.h"
#include "text/constraint/schema_pattern.h"
#include "text/constraint/schema_refs.h"
#include "text/constraint/schema_rewrite.h"
#include "text/constraint/schema_work.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NAME 200       /* bytes of a property's name */
#define MAX_PROPERTIES 128 /* of one object; the converter's work grows with their cube */
#define MAX_COUNT 2000     /* repetitions in a grammar */
#define MAX_INTEGER 1e15   /* and more; the converter writes 16 digits */

struct checker {
    json_t *root;
    inf_error *err;
    struct schema_list targets; /* of every $ref, to be checked too */
    char path[512];             /* JSON pointer to the schema being checked, cut when too long */
};

static const char *const annotations[] = {
    "title",    "description", "$schema", "$id",     "$comment",    "default",    "examples",
    "readOnly", "writeOnly",   "$defs",   "$anchor", "definitions", "deprecated", NULL};

static bool is_one_of(const char *key, const char *const *list)
{
    for (; list && *list; list++)
        if (strcmp(key, *list) == 0)
            return true;
    return false;
}

static bool bad(const struct checker *c, const char *key, const char *why)
{
    error_set(c->err, INF_ERROR_INVALID_ARGUMENT, "json_schema, at #%s: %s%s%s", c->path,
              key ? key : "", key ? " " : "", why);
    return false;
}

/* Nothing but annotations and the keys of both lists. */
static bool only(const struct checker *c, const json_t *schema, const char *const *keys)
{
    const char *key = NULL;
    json_t *value = NULL;

    json_object_foreach((json_t *)(uintptr_t)schema, key, value)
    {
        if (!is_one_of(key, annotations) && !is_one_of(key, keys))
            return bad(c, key, "cannot be enforced here; leave it out");
    }
    return true;
}

/* ------------------------------------------------------------------ paths */

static size_t enter(struct checker *c, const char *key)
{
    size_t before = strlen(c->path);

    snprintf(c->path + before, sizeof c->path - before, "/%s", key);
    return before;
}

static void leave(struct checker *c, size_t before)
{
    c->path[before] = '\0';
}

static bool check_schema(struct checker *c, json_t *schema);

static bool check_at(struct checker *c, const char *key, json_t *schema)
{
    size_t before = enter(c, key);
    bool ok = check_schema(c, schema);

    if (ok)
        leave(c, before);
    return ok;
}

static bool check_list(struct checker *c, const char *key, const json_t *list)
{
    size_t before = enter(c, key);
    char index[24];

    if (!json_is_array(list) || json_array_size(list) == 0)
        return bad(c, NULL, "a list of schemas expected");
    for (size_t i = 0; i < json_array_size(list); i++) {
        snprintf(index, sizeof index, "%zu", i);
        if (!check_at(c, index, json_array_get(list, i)))
            return false;
    }
    leave(c, before);
    return true;
}

/* ------------------------------------------------------------------ $ref */

/* Where it leads is checked later, once. */
static bool check_ref(struct checker *c, json_t *schema)
{
    static const char *const keys[] = {"$ref", NULL};

    if (!only(c, schema, keys))
        return false;
    if (!json_is_object(schema_follow(c->root, schema)))
        return bad(c, "$ref", "leads to no schema of this document (\"#/...\"), or in a circle");
    if (schema_list_number(&c->targets, schema_resolve(c->root, json_object_get(schema, "$ref"))) !=
        SIZE_MAX)
        return true;
    error_no_memory(c->err);
    return false;
}

/* ------------------------------------------------------------------ numbers and counts */

static bool check_counts(const struct checker *c, const json_t *schema, const char *min_key,
                         const char *max_key)
{
    const json_t *min = json_object_get(schema, min_key);
    const json_t *max = json_object_get(schema, max_key);
    json_int_t low = min ? json_integer_value(min) : 0;

    if (min && (!json_is_integer(min) || low < 0 || low > MAX_COUNT))
        return bad(c, min_key, "must be a whole number from 0 to 2000");
    if (max && (!json_is_integer(max) || json_integer_value(max) < low ||
                json_integer_value(max) > MAX_COUNT))
        return bad(c, max_key, "must be a whole number from the minimum to 2000");
    return true;
}

static bool check_bound(const struct checker *c, const json_t *schema, const char *key,
                        const char *exclusive_key)
{
    const json_t *plain = json_object_get(schema, key);
    const json_t *exclusive = json_object_get(schema, exclusive_key);
    const json_t *value = plain ? plain : exclusive;

    if (plain && exclusive)
        return bad(c, exclusive_key, "and the other bound of that side together cannot be used");
    return !value || (json_is_number(value) && fabs(json_number_value(value)) < MAX_INTEGER) ||
           bad(c, plain ? key : exclusive_key, "must be a number of at most 15 digits");
}

static bool check_integer(const struct checker *c, const json_t *schema)
{
    static const char *const keys[] = {
        "type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", NULL};
    json_int_t low = 0;
    json_int_t high = 0;

    return only(c, schema, keys) && check_bound(c, schema, "minimum", "exclusiveMinimum") &&
           check_bound(c, schema, "maximum", "exclusiveMaximum") &&
           (schema_integer_bounds(schema, &low, &high) ||
            bad(c, NULL, "no integer lies between its bounds"));
}

/* ------------------------------------------------------------------ text */

static bool check_pattern(const struct checker *c, const json_t *pattern)
{
    struct buffer text;
    const char *why = NULL;
    bool ok = false;

    if (!json_is_string(pattern))
        return bad(c, "pattern", "must be a text");
    buffer_init(&text, BUFFER_NO_LIMIT);
    ok = schema_pattern_rewrite(json_string_value(pattern), json_string_length(pattern), &text,
                                &why);
    buffer_free(&text);
    if (ok)
        return true;
    if (why)
        error_set(c->err, INF_ERROR_INVALID_ARGUMENT,
                  "json_schema, at #%s: pattern has %s, which cannot be enforced here", c->path,
                  why);
    else
        error_no_memory(c->err);
    return false;
}

static bool check_string(const struct checker *c, const json_t *schema)
{
    static const char *const with_pattern[] = {"type", "pattern", NULL};
    static const char *const with_format[] = {"type", "format", NULL};
    static const char *const plain[] = {"type", "minLength", "maxLength", NULL};
    static const char *const formats[] = {"uuid",  "uuid1", "uuid2", "uuid3",     "uuid4",
                                          "uuid5", "date",  "time",  "date-time", NULL};
    const json_t *pattern = json_object_get(schema, "pattern");
    const json_t *format = json_object_get(schema, "format");

    if (pattern)
        return only(c, schema, with_pattern) && check_pattern(c, pattern);
    if (format && (!json_is_string(format) || !is_one_of(json_string_value(format), formats)))
        return bad(c, "format", "can be enforced for uuid, date, time and date-time only");
    if (format)
        return only(c, schema, with_format);
    return only(c, schema, plain) && check_counts(c, schema, "minLength", "maxLength");
}

/* ------------------------------------------------------------------ arrays and objects */

static bool check_array(struct checker *c, const json_t *schema)
{
    static const char *const list[] = {"type", "items", "minItems", "maxItems", NULL};
    static const char *const tuple[] = {"type", "items", "prefixItems", NULL};
    json_t *items = json_object_get(schema, "items");
    const json_t *prefix = json_object_get(schema, "prefixItems");

    if (items && prefix)
        return bad(c, "prefixItems", "together with items cannot be enforced here");
    if (json_is_array(items) || prefix)
        return only(c, schema, tuple) &&
               check_list(c, items ? "items" : "prefixItems", items ? items : prefix);
    return only(c, schema, list) && check_counts(c, schema, "minItems", "maxItems") &&
           (!items || check_at(c, "items", items));
}

static bool check_required(const struct checker *c, const json_t *required,
                           const json_t *properties)
{
    if (!required)
        return true;
    if (!json_is_array(required))
        return bad(c, "required", "must be a list of names");
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *name = json_string_value(json_array_get(required, i));

        if (!name || !json_object_get(properties, name))
            return bad(c, "required", "names something that is not among the properties");
    }
    return true;
}

static bool check_properties(struct checker *c, const json_t *properties)
{
    const char *name = NULL;
    json_t *value = NULL;
    size_t before = enter(c, "properties");

    if (properties && !json_is_object(properties))
        return bad(c, NULL, "an object expected");
    if (json_object_size(properties) > MAX_PROPERTIES)
        return bad(c, NULL, "more than 128 properties in one object");
    json_object_foreach((json_t *)(uintptr_t)properties, name, value)
    {
        if (strlen(name) > MAX_NAME)
            return bad(c, NULL, "a property's name is longer than 200 bytes");
        if (strcmp(name, "*") == 0) /* the converter's name for all others */
            return bad(c, NULL, "a property named * cannot be enforced here");
        if (!check_at(c, name, value))
            return false;
    }
    leave(c, before);
    return true;
}

static bool check_object(struct checker *c, const json_t *schema)
{
    static const char *const keys[] = {"type", "properties", "required", "additionalProperties",
                                       NULL};
    const json_t *properties = json_object_get(schema, "properties");
    json_t *additional = json_object_get(schema, "additionalProperties");

    if (!only(c, schema, keys) || !check_properties(c, properties) ||
        !check_required(c, json_object_get(schema, "required"), properties))
        return false;
    if (!additional || json_is_false(additional))
        return true;
    if (json_object_size(properties) > 0) /* the names that its grammar allows are not all JSON */
        return bad(c, "additionalProperties", "together with properties can only be false");
    return json_is_true(additional) || check_at(c, "additionalProperties", additional);
}

static json_t *properties_of(const struct checker *c, const json_t *parts, size_t index)
{
    return json_object_get(schema_follow(c->root, json_array_get(parts, index)), "properties");
}

static bool have_a_common_name(json_t *a, json_t *b)
{
    const char *name = NULL;
    json_t *value = NULL;

    json_object_foreach(a, name, value)
    {
        if (json_object_get(b, name))
            return true;
    }
    return false;
}

/* The converter joins the properties of all parts, and nothing else of them. */
static bool check_all_of(struct checker *c, const json_t *schema)
{
    static const char *const keys[] = {"type", "allOf", NULL};
    const json_t *parts = json_object_get(schema, "allOf");
    const json_t *type = json_object_get(schema, "type");

    if (!only(c, schema, keys) || !check_list(c, "allOf", parts))
        return false;
    if (type && (!json_is_string(type) || strcmp(json_string_value(type), "object") != 0))
        return bad(c, "allOf", "can be enforced for objects only");
    for (size_t i = 0; i < json_array_size(parts); i++) {
        if (!json_is_object(properties_of(c, parts, i)))
            return bad(c, "allOf", "can be enforced for objects with properties only");
        for (size_t k = 0; k < i; k++)
            if (have_a_common_name(properties_of(c, parts, i), properties_of(c, parts, k)))
                return bad(c, "allOf", "has a property in two of its parts");
    }
    return true;
}

/* ------------------------------------------------------------------ any schema */

static bool has_type(const json_t *value, const char *type)
{
    if (strcmp(type, "number") == 0)
        return json_is_number(value);
    if (strcmp(type, "integer") == 0)
        return json_is_integer(value);
    return (strcmp(type, "string") == 0 && json_is_string(value)) ||
           (strcmp(type, "boolean") == 0 && json_is_boolean(value)) ||
           (strcmp(type, "null") == 0 && json_is_null(value)) ||
           (strcmp(type, "array") == 0 && json_is_array(value)) ||
           (strcmp(type, "object") == 0 && json_is_object(value));
}

static bool check_values(const struct checker *c, const json_t *schema, const json_t *type)
{
    static const char *const keys[] = {"type", "const", "enum", NULL};
    const json_t *fixed = json_object_get(schema, "const");
    const json_t *values = json_object_get(schema, "enum");

    if (!only(c, schema, keys))
        return false;
    if (fixed && values)
        return bad(c, "enum", "together with const cannot be enforced here");
    if (values && (!json_is_array(values) || json_array_size(values) == 0))
        return bad(c, "enum", "must be a list of values");
    if (!type)
        return true;
    if (fixed && !has_type(fixed, json_string_value(type)))
        return bad(c, "const", "is not of that type");
    for (size_t i = 0; i < json_array_size(values); i++)
        if (!has_type(json_array_get(values, i), json_string_value(type)))
            return bad(c, "enum", "has a value that is not of that type");
    return true;
}

static bool check_typed(struct checker *c, const json_t *schema, const char *type)
{
    static const char *const bare[] = {"type", NULL};

    if (strcmp(type, "object") == 0)
        return json_object_get(schema, "allOf") ? check_all_of(c, schema) : check_object(c, schema);
    if (strcmp(type, "array") == 0)
        return check_array(c, schema);
    if (strcmp(type, "string") == 0)
        return check_string(c, schema);
    if (strcmp(type, "integer") == 0)
        return check_integer(c, schema);
    if (strcmp(type, "number") == 0 || strcmp(type, "boolean") == 0 || strcmp(type, "null") == 0)
        return only(c, schema, bare);
    return bad(c, "type", "is none of object, array, string, integer, number, boolean, null");
}

/* Without "type" the converter takes the first kind that one of its keys speaks of. */
static bool check_untyped(struct checker *c, const json_t *schema)
{
    static const char *const of_object[] = {"properties", "additionalProperties", "required", NULL};
    static const char *const of_array[] = {"items", "prefixItems", NULL};
    static const char *const of_string[] = {"pattern", "minLength", "maxLength", "format", NULL};
    const char *key = NULL;
    json_t *value = NULL;

    if (json_object_get(schema, "allOf"))
        return check_all_of(c, schema);
    json_object_foreach((json_t *)(uintptr_t)schema, key, value)
    {
        if (is_one_of(key, of_object))
            return check_object(c, schema);
        if (is_one_of(key, of_array))
            return check_array(c, schema);
        if (is_one_of(key, of_string))
            return check_string(c, schema);
    }
    return only(c, schema, NULL);
}

/* ["string", "null"] is a copy of the schema for each; keys of other kinds are then passed over. */
static bool check_types(struct checker *c, const json_t *schema, const json_t *types)
{
    static const char *const kinds[] = {"object", "array",   "string", "integer",
                                        "number", "boolean", "null",   NULL};
    static const char *const bare[] = {"type", NULL};
    const char *complex_type = NULL;

    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *type = json_string_value(json_array_get(types, i));

        if (!type || !is_one_of(type, kinds))
            return bad(c, "type", "has something that is no type");
        for (size_t k = 0; k < i; k++)
            if (strcmp(type, json_string_value(json_array_get(types, k))) == 0)
                return bad(c, "type", "has the same type twice");
        if (strcmp(type, "number") != 0 && strcmp(type, "boolean") != 0 &&
            strcmp(type, "null") != 0) {
            if (complex_type && !only(c, schema, bare))
                return bad(c, "type",
                           "with several such types and further keys cannot be "
                           "enforced here; use anyOf");
            complex_type = type;
        }
    }
    if (json_array_size(types) == 0)
        return bad(c, "type", "must not be an empty list");
    return complex_type ? check_typed(c, schema, complex_type) : only(c, schema, bare);
}

static bool check_schema(struct checker *c, json_t *schema)
{
    static const char *const any[] = {"anyOf", NULL};
    static const char *const one[] = {"oneOf", NULL};
    const json_t *type = json_object_get(schema, "type");

    if (!json_is_object(schema))
        return bad(c, NULL, "a schema (an object) expected");
    if (json_object_get(schema, "$ref"))
        return check_ref(c, schema);
    if (json_object_get(schema, "anyOf"))
        return only(c, schema, any) && check_list(c, "anyOf", json_object_get(schema, "anyOf"));
    if (json_object_get(schema, "oneOf"))
        return only(c, schema, one) && check_list(c, "oneOf", json_object_get(schema, "oneOf"));
    if (type && !json_is_string(type) && !json_is_array(type))
        return bad(c, "type", "must be a text or a list of texts");
    if (json_object_get(schema, "const") || json_object_get(schema, "enum"))
        return json_is_array(type) ? bad(c, "type", "must be one text beside const and enum")
                                   : check_values(c, schema, type);
    if (json_is_array(type))
        return check_types(c, schema, type);
    return type ? check_typed(c, schema, json_string_value(type)) : check_untyped(c, schema);
}

/* What $ref may lead to. The converter sees only what is referred to; wrong is wrong anyway. */
static bool check_definitions(struct checker *c, const char *key)
{
    const json_t *all = json_object_get(c->root, key);
    const char *name = NULL;
    json_t *value = NULL;
    size_t before = enter(c, key);

    json_object_foreach((json_t *)(uintptr_t)all, name, value)
    {
        if (strlen(name) > MAX_NAME)
            return bad(c, NULL, "a definition's name is longer than 200 bytes");
        if (!check_at(c, name, value))
            return false;
    }
    leave(c, before);
    return true;
}

/* A $ref may lead into what is an annotation elsewhere. The list grows meanwhile. */
static bool check_targets(struct checker *c)
{
    for (size_t i = 0; i < c->targets.n; i++)
        if (!check_at(c, "(what a $ref leads to)", c->targets.items[i]))
            return false;
    return true;
}

int32_t schema_check(json_t *schema, inf_error *err)
{
    inf_error failed = {0};
    struct checker c = {.root = schema, .err = &failed};
    bool ok = check_schema(&c, schema) && check_definitions(&c, "$defs") &&
              check_definitions(&c, "definitions") && check_targets(&c);

    if (ok && !schema_work_fits(schema, &c.targets))
        ok = bad(&c, NULL,
                 "its grammar would be too large or without end; use fewer properties, and $ref in "
                 "allOf only where it does not lead back");
    schema_list_free(&c.targets);
    if (ok)
        return error_none(err);
    if (err)
        *err = failed;
    return failed.code;
}
