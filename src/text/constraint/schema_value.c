/*
 * schema_value: see the header.
 */
#include "text/constraint/schema_value.h"

#include "core/utf8.h"
#include "text/constraint/schema_formats.h"
#include "text/constraint/schema_kinds.h"
#include "text/constraint/schema_refs.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define MAX_DEPTH 200

typedef enum schema_verdict verdict;

struct judge {
    struct schema_compiler *c;
    int depth;
};

static verdict judge(struct judge *j, json_t *schema, json_t *value);

static verdict when(bool obeys)
{
    return obeys ? SCHEMA_OBEYS : SCHEMA_DISOBEYS;
}

static verdict both(verdict a, verdict b)
{
    if (a == SCHEMA_DISOBEYS || b == SCHEMA_DISOBEYS)
        return SCHEMA_DISOBEYS;
    return a == SCHEMA_UNSURE ? a : b;
}

static verdict opposite(verdict a)
{
    return a == SCHEMA_UNSURE ? a : when(a == SCHEMA_DISOBEYS);
}

/* ------------------------------------------------------------------ equal values */

static bool same_items(const json_t *a, const json_t *b)
{
    for (size_t i = 0; i < json_array_size(a) && json_array_size(a) == json_array_size(b); i++)
        if (!schema_same_value(json_array_get(a, i), json_array_get(b, i)))
            return false;
    return json_array_size(a) == json_array_size(b);
}

static bool same_members(const json_t *a, const json_t *b)
{
    const char *name = NULL;
    json_t *value = NULL;

    json_object_foreach((json_t *)(uintptr_t)a, name, value)
    {
        if (!schema_same_value(value, json_object_get(b, name)))
            return false;
    }
    return json_object_size(a) == json_object_size(b);
}

bool schema_same_value(const json_t *a, const json_t *b)
{
    if (!a || !b)
        return false;
    if (json_is_integer(a) && json_is_integer(b))
        return json_integer_value(a) == json_integer_value(b);
    if (json_is_number(a) && json_is_number(b))
        return !(json_number_value(a) < json_number_value(b)) &&
               !(json_number_value(a) > json_number_value(b));
    if (json_typeof(a) != json_typeof(b))
        return false;
    if (json_is_array(a))
        return same_items(a, b);
    return json_is_object(a) ? same_members(a, b) : json_equal(a, b) != 0;
}

static bool is_among(const json_t *value, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (schema_same_value(value, json_array_get(list, i)))
            return true;
    return false;
}

/* ------------------------------------------------------------------ numbers, texts */

static verdict judge_number(enum schema_key key, const json_t *limit, const json_t *value)
{
    double x = json_number_value(value);
    double y = json_number_value(limit);

    switch (key) {
    case KEY_MINIMUM:
        return when(x >= y);
    case KEY_MAXIMUM:
        return when(x <= y);
    case KEY_ABOVE:
        return when(x > y);
    case KEY_BELOW:
        return when(x < y);
    default:
        return y > 0 && floor(y) == y ? when(fabs(fmod(x, y)) <= 0) : SCHEMA_UNSURE;
    }
}

static double characters(const json_t *text)
{
    return (double)utf8_count(json_string_value(text), json_string_length(text));
}

static verdict matches(struct judge *j, const json_t *schema, const char *source,
                       const json_t *text)
{
    bool yes = false;

    if (!schema_matches(j->c, schema, source, json_string_value(text), json_string_length(text),
                        &yes))
        return SCHEMA_UNSURE;
    return when(yes);
}

static verdict judge_text(struct judge *j, const json_t *schema, enum schema_key key,
                          const json_t *limit, const json_t *value)
{
    const struct schema_format *format = NULL;
    verdict so = SCHEMA_OBEYS;

    if (key == KEY_MIN_LENGTH)
        return when(characters(value) >= json_number_value(limit));
    if (key == KEY_MAX_LENGTH)
        return when(characters(value) <= json_number_value(limit));
    if (key == KEY_PATTERN)
        return matches(j, schema, json_string_value(limit), value);
    format = schema_format_of(json_string_value(limit));
    if (!format)
        return SCHEMA_UNSURE;
    if (!format->pattern)
        return SCHEMA_OBEYS;
    so = matches(j, schema, format->pattern, value);
    if (format->not_this)
        so = both(so, opposite(matches(j, schema, format->not_this, value)));
    /* For many readers a format is only an annotation, and ours are narrow: what is not of it may obey. */
    return so == SCHEMA_OBEYS ? so : SCHEMA_UNSURE;
}

/* ------------------------------------------------------------------ arrays */

static verdict judge_items(struct judge *j, const json_t *schema, const json_t *value)
{
    const json_t *prefix = json_object_get(schema, "prefixItems");
    json_t *items = json_object_get(schema, "items");
    verdict so = SCHEMA_OBEYS;

    if (json_is_array(items)) {
        prefix = items;
        items = json_object_get(schema, "additionalItems");
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        json_t *claim = i < json_array_size(prefix) ? json_array_get(prefix, i) : items;

        if (claim)
            so = both(so, judge(j, claim, json_array_get(value, i)));
    }
    return so;
}

static verdict judge_contains(struct judge *j, const json_t *schema, const json_t *value)
{
    const json_t *min = json_object_get(schema, "minContains");
    const json_t *max = json_object_get(schema, "maxContains");
    double sure = 0;
    double unsure = 0;

    for (size_t i = 0; i < json_array_size(value); i++) {
        verdict so = judge(j, json_object_get(schema, "contains"), json_array_get(value, i));

        sure += so == SCHEMA_OBEYS;
        unsure += so == SCHEMA_UNSURE;
    }
    if (unsure > 0)
        return SCHEMA_UNSURE;
    return when(sure >= (min ? json_number_value(min) : 1) &&
                (!max || sure <= json_number_value(max)));
}

static bool is_unique(const json_t *value)
{
    for (size_t i = 0; i < json_array_size(value); i++)
        for (size_t k = 0; k < i; k++)
            if (schema_same_value(json_array_get(value, i), json_array_get(value, k)))
                return false;
    return true;
}

static verdict judge_array(struct judge *j, const json_t *schema, enum schema_key key,
                           const json_t *limit, const json_t *value)
{
    double n = (double)json_array_size(value);

    switch (key) {
    case KEY_MIN_ITEMS:
        return when(n >= json_number_value(limit));
    case KEY_MAX_ITEMS:
        return when(n <= json_number_value(limit));
    case KEY_UNIQUE_ITEMS:
        return when(json_is_false(limit) || is_unique(value));
    case KEY_CONTAINS:
        return judge_contains(j, schema, value);
    case KEY_ITEMS:
    case KEY_PREFIX_ITEMS:
        return judge_items(j, schema, value);
    case KEY_UNEVALUATED_ITEMS:
        return json_is_true(limit) ? SCHEMA_OBEYS : SCHEMA_UNSURE;
    default:
        return SCHEMA_OBEYS;
    }
}

/* ------------------------------------------------------------------ objects */

/* One property by all that one schema says of its name. */
static verdict judge_property(struct judge *j, const json_t *schema, const char *name,
                              json_t *value)
{
    json_t *own = json_object_get(json_object_get(schema, "properties"), name);
    json_t *others = json_object_get(schema, "additionalProperties");
    const char *pattern = NULL;
    json_t *claim = NULL;
    bool spoken_of = own != NULL;
    verdict so = own ? judge(j, own, value) : SCHEMA_OBEYS;

    json_object_foreach(json_object_get(schema, "patternProperties"), pattern, claim)
    {
        bool fits = false;

        if (!schema_matches(j->c, schema, pattern, name, strlen(name), &fits))
            return SCHEMA_UNSURE;
        if (fits)
            so = both(so, judge(j, claim, value));
        spoken_of = spoken_of || fits;
    }
    return spoken_of || !others ? so : both(so, judge(j, others, value));
}

static verdict judge_properties(struct judge *j, const json_t *schema, json_t *value)
{
    const char *name = NULL;
    json_t *one = NULL;
    verdict so = SCHEMA_OBEYS;

    json_object_foreach(value, name, one)
    {
        so = both(so, judge_property(j, schema, name, one));
    }
    return so;
}

static verdict judge_names(struct judge *j, json_t *claim, json_t *value)
{
    const char *name = NULL;
    json_t *one = NULL;
    verdict so = SCHEMA_OBEYS;

    json_object_foreach(value, name, one)
    {
        json_t *text = json_string(name);

        so = both(so, text ? judge(j, claim, text) : SCHEMA_UNSURE);
        json_decref(text);
    }
    return so;
}

static bool has_all(const json_t *value, const json_t *names)
{
    for (size_t i = 0; i < json_array_size(names); i++)
        if (!json_object_get(value, json_string_value(json_array_get(names, i))))
            return false;
    return true;
}

static verdict judge_dependencies(struct judge *j, const json_t *map, json_t *value)
{
    const char *name = NULL;
    json_t *on = NULL;
    verdict so = SCHEMA_OBEYS;

    json_object_foreach((json_t *)(uintptr_t)map, name, on)
    {
        if (!json_object_get(value, name))
            continue;
        so = both(so, json_is_array(on) ? when(has_all(value, on)) : judge(j, on, value));
    }
    return so;
}

static verdict judge_object(struct judge *j, const json_t *schema, enum schema_key key,
                            json_t *limit, json_t *value)
{
    double n = (double)json_object_size(value);

    switch (key) {
    case KEY_MIN_PROPERTIES:
        return when(n >= json_number_value(limit));
    case KEY_MAX_PROPERTIES:
        return when(n <= json_number_value(limit));
    case KEY_REQUIRED:
        return when(has_all(value, limit));
    case KEY_PROPERTIES:
    case KEY_PATTERN_PROPERTIES:
    case KEY_ADDITIONAL_PROPERTIES:
        return judge_properties(j, schema, value);
    case KEY_PROPERTY_NAMES:
        return judge_names(j, limit, value);
    case KEY_UNEVALUATED_PROPERTIES:
        return json_is_true(limit) ? SCHEMA_OBEYS : SCHEMA_UNSURE;
    default:
        return judge_dependencies(j, limit, value);
    }
}

/* ------------------------------------------------------------------ schemas */

static verdict judge_all(struct judge *j, const json_t *schemas, json_t *value)
{
    verdict so = SCHEMA_OBEYS;

    for (size_t i = 0; i < json_array_size(schemas); i++)
        so = both(so, judge(j, json_array_get(schemas, i), value));
    return so;
}

static verdict judge_any(struct judge *j, const json_t *schemas, json_t *value)
{
    verdict none = SCHEMA_OBEYS;

    for (size_t i = 0; i < json_array_size(schemas); i++)
        none = both(none, opposite(judge(j, json_array_get(schemas, i), value)));
    return opposite(none);
}

static verdict judge_one(struct judge *j, const json_t *schemas, json_t *value)
{
    size_t obeyed = 0;

    for (size_t i = 0; i < json_array_size(schemas); i++) {
        verdict so = judge(j, json_array_get(schemas, i), value);

        if (so == SCHEMA_UNSURE)
            return so;
        obeyed += so == SCHEMA_OBEYS;
    }
    return when(obeyed == 1);
}

static verdict judge_if(struct judge *j, const json_t *schema, json_t *value)
{
    verdict condition = judge(j, json_object_get(schema, "if"), value);
    json_t *then = json_object_get(schema, condition == SCHEMA_OBEYS ? "then" : "else");

    if (condition == SCHEMA_UNSURE)
        return condition;
    return then ? judge(j, then, value) : SCHEMA_OBEYS;
}

static verdict judge_key(struct judge *j, json_t *schema, enum schema_key key, json_t *limit,
                         json_t *value)
{
    unsigned kinds = schema_kinds_spoken_of(key);

    switch (key) {
    case KEY_TYPE:
        return when((schema_kind_of(value) & schema_kinds_of_type(limit)) != 0);
    case KEY_CONST:
        return when(schema_same_value(value, limit));
    case KEY_ENUM:
        return when(is_among(value, limit));
    case KEY_REF:
        return judge(j, schema_resolve(j->c->root, limit), value);
    case KEY_ALL_OF:
        return judge_all(j, limit, value);
    case KEY_ANY_OF:
        return judge_any(j, limit, value);
    case KEY_ONE_OF:
        return judge_one(j, limit, value);
    case KEY_NOT:
        return opposite(judge(j, limit, value));
    case KEY_IF:
        return judge_if(j, schema, value);
    default:
        break;
    }
    if (!(kinds & schema_kind_of(value)))
        return SCHEMA_OBEYS;
    if (kinds == KIND_NUMBER)
        return judge_number(key, limit, value);
    if (kinds == KIND_STRING)
        return judge_text(j, schema, key, limit, value);
    return kinds == KIND_ARRAY ? judge_array(j, schema, key, limit, value)
                               : judge_object(j, schema, key, limit, value);
}

static verdict judge(struct judge *j, json_t *schema, json_t *value)
{
    const char *name = NULL;
    json_t *limit = NULL;
    verdict so = SCHEMA_OBEYS;

    if (json_is_boolean(schema))
        return when(json_is_true(schema));
    if (!schema_step(j->c, 1) || j->depth >= MAX_DEPTH)
        return SCHEMA_UNSURE;
    j->depth++;
    json_object_foreach(schema, name, limit)
    {
        if (so != SCHEMA_DISOBEYS)
            so = both(so, judge_key(j, schema, schema_key_of(name), limit, value));
    }
    j->depth--;
    return so;
}

enum schema_verdict schema_judge(struct schema_compiler *c, json_t *schema, json_t *value)
{
    struct judge j = {.c = c};

    return judge(&j, schema, value);
}

enum schema_verdict schema_judge_claims(struct schema_compiler *c,
                                        const struct schema_claims *claims, json_t *value)
{
    verdict so = SCHEMA_OBEYS;

    for (size_t i = 0; i < claims->n; i++) {
        verdict one = schema_judge(c, claims->items[i].schema, value);

        so = both(so, claims->items[i].negated ? opposite(one) : one);
    }
    return so;
}
