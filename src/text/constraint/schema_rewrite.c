/*
 * schema_rewrite: see the header. A walk over schemas, not over values: what stands in const and
 * enum is copied as it is.
 */
#include "text/constraint/schema_rewrite.h"

#include "text/constraint/schema_pattern.h"
#include "text/constraint/schema_refs.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define LARGEST 999999999999999 /* 15 digits */

struct rewriter {
    json_t *root;
    struct schema_list targets;
};

static json_t *rewrite(struct rewriter *w, json_t *schema);

static bool is_one_of(const char *key, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(key, *list) == 0)
            return true;
    return false;
}

/* ------------------------------------------------------------------ numbers, texts, references */

static double bound(const json_t *schema, const char *key, const char *exclusive, double none)
{
    const json_t *plain = json_object_get(schema, key);
    const json_t *value = plain ? plain : json_object_get(schema, exclusive);
    double x = json_number_value(value);

    if (!value)
        return none;
    if (none < 0)
        return plain ? ceil(x) : floor(x) + 1;
    return plain ? floor(x) : ceil(x) - 1;
}

bool schema_integer_bounds(const json_t *schema, json_int_t *low, json_int_t *high)
{
    double min = bound(schema, "minimum", "exclusiveMinimum", (double)-LARGEST);
    double max = bound(schema, "maximum", "exclusiveMaximum", (double)LARGEST);

    *low = (json_int_t)fmax(min, (double)-LARGEST);
    *high = (json_int_t)fmin(max, (double)LARGEST);
    return *low <= *high && min <= (double)LARGEST && max >= (double)-LARGEST;
}

static json_t *rewrite_pattern(const json_t *pattern)
{
    struct buffer text;
    const char *why = NULL;
    json_t *rewritten = NULL;

    buffer_init(&text, BUFFER_NO_LIMIT);
    if (schema_pattern_rewrite(json_string_value(pattern), json_string_length(pattern), &text,
                               &why))
        rewritten = json_stringn(text.data, text.len);
    buffer_free(&text);
    return rewritten;
}

/* The name of the rule will be this behind "ref-defs-": every other rule's name has a '-' behind it,
 * or another beginning. */
static void name_of(char name[32], size_t number)
{
    snprintf(name, 32, "s%zux", number);
}

static json_t *reference(struct rewriter *w, json_t *target)
{
    size_t number = target ? schema_list_number(&w->targets, target) : SIZE_MAX;
    char pointer[48] = "#/$defs/";

    if (number == SIZE_MAX)
        return NULL;
    name_of(pointer + strlen(pointer), number);
    return json_pack("{s:s}", "$ref", pointer);
}

/* ------------------------------------------------------------------ schemas */

static json_t *rewrite_list(struct rewriter *w, json_t *list)
{
    json_t *copy = json_array();

    for (size_t i = 0; copy && i < json_array_size(list); i++) {
        if (json_array_append_new(copy, rewrite(w, json_array_get(list, i))) != 0) {
            json_decref(copy);
            return NULL;
        }
    }
    return copy;
}

static json_t *rewrite_map(struct rewriter *w, json_t *map)
{
    json_t *copy = json_object();
    const char *name = NULL;
    json_t *value = NULL;

    json_object_foreach(map, name, value)
    {
        if (json_object_set_new(copy, name, rewrite(w, value)) != 0) {
            json_decref(copy);
            return NULL;
        }
    }
    return copy;
}

static json_t *rewrite_value(struct rewriter *w, const char *key, json_t *value)
{
    static const char *const lists[] = {"anyOf", "oneOf", "allOf", "prefixItems", "items", NULL};

    if (strcmp(key, "properties") == 0)
        return rewrite_map(w, value);
    if (strcmp(key, "pattern") == 0)
        return rewrite_pattern(value);
    if (json_is_array(value) && is_one_of(key, lists))
        return rewrite_list(w, value);
    if (json_is_object(value) && (strcmp(key, "items") == 0 || strcmp(key, "prefixItems") == 0 ||
                                  strcmp(key, "additionalProperties") == 0))
        return rewrite(w, value);
    return json_deep_copy(value);
}

static bool set_bounds(json_t *copy, const json_t *schema)
{
    json_int_t low = 0;
    json_int_t high = 0;

    schema_integer_bounds(schema, &low, &high);
    return json_object_set_new(copy, "minimum", json_integer(low)) == 0 &&
           json_object_set_new(copy, "maximum", json_integer(high)) == 0;
}

static json_t *rewrite(struct rewriter *w, json_t *schema)
{
    static const char *const kept[] = {
        "type",     "const",     "enum",      "anyOf",   "oneOf",       "allOf",
        "required", "items",     "minItems",  "format",  "prefixItems", "additionalProperties",
        "maxItems", "minLength", "maxLength", "pattern", "properties",  NULL};
    static const char *const bounds[] = {"minimum", "maximum", "exclusiveMinimum",
                                         "exclusiveMaximum", NULL};
    json_t *ref = json_object_get(schema, "$ref");
    const char *key = NULL;
    json_t *value = NULL;
    json_t *copy = NULL;
    bool bounded = false;
    bool ok = true;

    if (ref)
        return reference(w, schema_resolve(w->root, ref));
    copy = json_object();
    json_object_foreach(schema, key, value)
    {
        bounded = bounded || is_one_of(key, bounds);
        if (ok && is_one_of(key, kept))
            ok = json_object_set_new(copy, key, rewrite_value(w, key, value)) == 0;
    }
    if (ok && bounded)
        ok = set_bounds(copy, schema);
    if (!ok) {
        json_decref(copy);
        return NULL;
    }
    return copy;
}

/* The list of targets grows while they are rewritten. */
static bool rewrite_targets(struct rewriter *w, json_t *definitions)
{
    for (size_t i = 0; i < w->targets.n; i++) {
        char name[32];

        name_of(name, i);
        if (json_object_set_new(definitions, name, rewrite(w, w->targets.items[i])) != 0)
            return false;
    }
    return true;
}

json_t *schema_rewrite(json_t *schema)
{
    struct rewriter w = {.root = schema};
    json_t *document = reference(&w, schema);
    json_t *definitions = document ? json_object() : NULL;

    if (!definitions || json_object_set_new(document, "$defs", definitions) != 0 ||
        !rewrite_targets(&w, definitions)) {
        json_decref(document);
        document = NULL;
    }
    schema_list_free(&w.targets);
    return document;
}
