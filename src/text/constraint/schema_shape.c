/*
 * schema_shape: see the header. Lists only grow at their front, so that shapes share them: a copy of a
 * shape is a copy of its heads.
 */
#include "text/constraint/schema_shape.h"

#include "text/constraint/schema_disjoint.h"
#include "text/constraint/schema_formats.h"
#include "text/constraint/schema_lookahead.h"
#include "text/constraint/schema_kinds.h"
#include "text/constraint/schema_refs.h"

#include <string.h>

#define MAX_ALIVE 400 /* shapes of one value */
#define MAX_DEPTH 100

/* The schemas that are being taken apart, for those that lead to themselves. */
struct active {
    const struct active *outer;
    const json_t *schema;
    bool negated;
    int depth;
};

struct expansion {
    struct schema_compiler *c;
    const struct active *active;
    bool alone; /* what is taken apart is the only claim */
    bool within_not;
};

static bool apply(struct expansion *x, struct shape **list, json_t *schema, bool negated);

/* ------------------------------------------------------------------ lists of shapes */

static struct shape *copy_of(struct expansion *x, const struct shape *list)
{
    struct shape *first = NULL;
    struct shape **end = &first;

    for (; list; list = list->next) {
        struct shape *s = schema_step(x->c, 1) ? schema_alloc(x->c, sizeof *s) : NULL;

        if (!s)
            return NULL;
        *s = *list;
        s->next = NULL;
        *end = s;
        end = &s->next;
    }
    return first;
}

/* Those of no kind are gone. */
static bool put_behind(struct expansion *x, struct shape **list, struct shape *more)
{
    size_t n = 0;

    for (; *list; list = &(*list)->next)
        n++;
    while (more) {
        struct shape *next = more->next;

        more->next = NULL;
        if (more->kinds) {
            *list = more;
            list = &more->next;
            n++;
        }
        more = next;
    }
    return n <= MAX_ALIVE ||
           schema_refuse(x->c, NULL, NULL, "its alternatives combine in too many ways");
}

/* One alternative more for `*sum`: the shapes of `list` with this claim too. */
static bool add_way(struct expansion *x, struct shape **sum, const struct shape *list,
                    json_t *schema, bool negated)
{
    struct shape *way = copy_of(x, list);

    return !x->c->failed && apply(x, &way, schema, negated) && put_behind(x, sum, way);
}

static bool push(struct expansion *x, const struct shape_item **list, struct shape_item item)
{
    struct shape_item *added = schema_alloc(x->c, sizeof *added);

    if (!added)
        return false;
    *added = item;
    added->next = *list;
    *list = added;
    return true;
}

static void restrict_kinds(struct shape *list, unsigned kinds)
{
    for (; list; list = list->next) {
        list->kinds &= kinds;
        list->typed = true;
    }
}

static void mention(struct shape *list, unsigned kinds)
{
    for (; list; list = list->next)
        list->mentioned |= kinds;
}

/* ------------------------------------------------------------------ values */

/* A list of what const says, kept by the compiler. */
static json_t *list_of_one(struct expansion *x, json_t *value)
{
    json_t *list = json_pack("[O]", value);

    if (list && json_array_append_new(x->c->owned, list) == 0)
        return list;
    schema_no_memory(x->c);
    return NULL;
}

static bool choose(struct expansion *x, struct shape *list, json_t *where, json_t *values,
                   bool negated)
{
    if (!values)
        return false;
    if (!negated)
        restrict_kinds(list, schema_kinds_of_values(values));
    for (; list; list = list->next)
        if (!push(x, negated ? &list->excluded : &list->choices,
                  (struct shape_item){.json = values, .where = where}))
            return false;
    return true;
}

/* ------------------------------------------------------------------ counts and numbers */

static int64_t count_of(const json_t *value)
{
    double x = json_number_value(value);

    return x > 1e9 ? 1000000000 : (int64_t)x;
}

/* max -1 is none, and so is one beyond all texts. */
static void at_most(int64_t *max, int64_t value)
{
    if (value < 1000000000 && (*max < 0 || value < *max))
        *max = value;
}

static void at_least(int64_t *min, int64_t value)
{
    if (value > *min)
        *min = value;
}

/* minX: n as it stands, or its denial "maxX: n - 1"; false when nothing obeys that. */
static bool set_count(int64_t *min, int64_t *max, int64_t n, bool is_min, bool negated)
{
    if (is_min == negated && negated && n == 0)
        return false;
    if (is_min != negated)
        at_least(min, negated ? n + 1 : n);
    else
        at_most(max, negated ? n - 1 : n);
    return true;
}

static bool apply_count(struct shape *s, enum schema_key key, const json_t *value, bool negated)
{
    int64_t n = count_of(value);

    switch (key) {
    case KEY_MIN_LENGTH:
    case KEY_MAX_LENGTH:
        return set_count(&s->min_length, &s->max_length, n, key == KEY_MIN_LENGTH, negated);
    case KEY_MIN_ITEMS:
    case KEY_MAX_ITEMS:
        return set_count(&s->min_items, &s->max_items, n, key == KEY_MIN_ITEMS, negated);
    default:
        return set_count(&s->min_properties, &s->max_properties, n, key == KEY_MIN_PROPERTIES,
                         negated);
    }
}

static const char *bound_of(enum schema_key key, bool negated)
{
    switch (key) {
    case KEY_MINIMUM:
        return negated ? "exclusiveMaximum" : "minimum";
    case KEY_MAXIMUM:
        return negated ? "exclusiveMinimum" : "maximum";
    case KEY_ABOVE:
        return negated ? "maximum" : "exclusiveMinimum";
    default:
        return negated ? "minimum" : "exclusiveMaximum";
    }
}

/* ------------------------------------------------------------------ one keyword, as a fact */

static bool add_names(struct expansion *x, struct shape *s, json_t *where, const json_t *names)
{
    for (size_t i = 0; i < json_array_size(names); i++)
        if (!push(x, &s->required,
                  (struct shape_item){.where = where,
                                      .name = json_string_value(json_array_get(names, i))}))
            return false;
    return true;
}

/* A bound that a format has. */
static bool add_bound(struct expansion *x, struct shape *s, json_t *schema, const char *name,
                      const char *value)
{
    json_t *number = value ? json_loads(value, JSON_DECODE_ANY, NULL) : NULL;

    if (!value)
        return true;
    if (!number || json_array_append_new(x->c->owned, number) != 0)
        return schema_no_memory(x->c);
    return push(x, &s->bounds, (struct shape_item){.json = number, .where = schema, .name = name});
}

/* Look-ahead at the beginning is further patterns. */
static bool add_pattern(struct expansion *x, struct shape *s, struct shape_item item)
{
    struct pattern_part parts[LOOKAHEAD_PARTS];
    size_t n = schema_look_ahead(x->c, json_string_value(item.json), parts);

    for (size_t i = 0; i < n; i++) {
        item.name = parts[i].source;
        item.negated = parts[i].negated;
        if (!push(x, &s->patterns, item))
            return false;
    }
    return !x->c->failed && (n > 0 || push(x, &s->patterns, item));
}

static bool add_format(struct expansion *x, struct shape *s, json_t *schema, const json_t *value)
{
    const struct schema_format *format = schema_format_of(json_string_value(value));

    if (!format)
        return schema_refuse(x->c, schema, "format",
                             "can be enforced for date, time, date-time, duration, uuid, email, "
                             "hostname, ipv4, ipv6, uri and json-pointer only");
    if (!add_bound(x, s, schema, "minimum", format->minimum) ||
        !add_bound(x, s, schema, "maximum", format->maximum))
        return false;
    if (!format->pattern)
        return true;
    return push(x, &s->patterns, (struct shape_item){.where = schema, .name = format->pattern}) &&
           (!format->not_this ||
            push(x, &s->patterns,
                 (struct shape_item){.where = schema, .name = format->not_this, .negated = true}));
}

/* A reference that stands alone, to what it leads to. */
static json_t *names_of(json_t *root, json_t *names)
{
    json_t *target = json_object_size(names) == 1 && json_object_get(names, "$ref")
                         ? schema_follow(root, names)
                         : NULL;

    return target ? target : names;
}

static bool set_fact(struct expansion *x, struct shape *s, json_t *schema, enum schema_key key,
                     json_t *value)
{
    struct shape_item item = {.json = value, .where = schema};

    switch (key) {
    case KEY_MINIMUM:
    case KEY_MAXIMUM:
    case KEY_ABOVE:
    case KEY_BELOW:
        item.name = bound_of(key, false);
        return push(x, &s->bounds, item);
    case KEY_MULTIPLE_OF:
        return push(x, &s->multiples, item);
    case KEY_PATTERN:
        return add_pattern(x, s, item);
    case KEY_FORMAT:
        return add_format(x, s, schema, value);
    case KEY_REQUIRED:
        return add_names(x, s, schema, value);
    case KEY_PROPERTY_NAMES:
        item.json = names_of(x->c->root, value);
        return push(x, &s->names, item);
    case KEY_UNIQUE_ITEMS:
        s->unique = s->unique || json_is_true(value);
        return true;
    case KEY_CONTAINS:
        item.json = schema;
        return push(x, &s->contains, item);
    case KEY_UNEVALUATED_ITEMS:
        s->closed_items = s->closed_items || json_is_false(value);
        return true;
    case KEY_UNEVALUATED_PROPERTIES:
        s->closed = s->closed || json_is_false(value);
        return true;
    default:
        return apply_count(s, key, value, false);
    }
}

/* Members of a group are one fact together: what "additionalProperties" means depends on the others. */
static bool is_of_group(enum schema_key key)
{
    return key == KEY_ITEMS || key == KEY_PREFIX_ITEMS || key == KEY_ADDITIONAL_ITEMS ||
           (key >= KEY_PROPERTIES && key <= KEY_ADDITIONAL_PROPERTIES);
}

static bool add_groups(struct expansion *x, struct shape *s, json_t *schema)
{
    struct shape_item item = {.json = schema, .where = schema, .negated = x->within_not};
    bool of_array = json_object_get(schema, "items") || json_object_get(schema, "prefixItems");
    bool of_object = json_object_get(schema, "properties") ||
                     json_object_get(schema, "patternProperties") ||
                     json_object_get(schema, "additionalProperties");
    const char *order = json_string_value(json_object_get(schema, "x-order"));

    s->any_order = s->any_order || (order && strcmp(order, "any") == 0);
    s->where = schema;
    return (!of_array || push(x, &s->arrays, item)) && (!of_object || push(x, &s->objects, item));
}

static bool add_fact(struct expansion *x, struct shape **list, json_t *schema, enum schema_key key,
                     json_t *value)
{
    const char *rest = key == KEY_UNEVALUATED_ITEMS        ? "unevaluatedItems"
                       : key == KEY_UNEVALUATED_PROPERTIES ? "unevaluatedProperties"
                                                           : NULL;

    if (rest && json_is_object(value) && json_object_size(value) > 0)
        return schema_refuse(x->c, schema, rest,
                             "other than true or false cannot be enforced here");
    if (rest && json_is_false(value) && !x->alone)
        return schema_refuse(x->c, schema, rest,
                             "beside other schemas of the same value cannot be enforced here");
    mention(*list, schema_kinds_spoken_of(key));
    for (struct shape *s = *list; s && !is_of_group(key); s = s->next)
        if (!set_fact(x, s, schema, key, value))
            return false;
    return true;
}

/* ------------------------------------------------------------------ keywords that hold schemas */

static bool apply_each(struct expansion *x, struct shape **list, const json_t *schemas,
                       bool negated)
{
    for (size_t i = 0; i < json_array_size(schemas); i++)
        if (!apply(x, list, json_array_get(schemas, i), negated))
            return false;
    return true;
}

static bool apply_one_way(struct expansion *x, struct shape **list, const json_t *schemas,
                          bool negated)
{
    struct shape *sum = NULL;

    for (size_t i = 0; i < json_array_size(schemas); i++)
        if (!add_way(x, &sum, *list, json_array_get(schemas, i), negated))
            return false;
    *list = sum;
    return true;
}

/* The others are denied unless they are seen to exclude it; a schema without a type means what it speaks
 * of. */
static bool exactly_one(struct expansion *x, struct shape **list, const json_t *schemas)
{
    struct shape *sum = NULL;

    for (size_t i = 0; i < json_array_size(schemas); i++) {
        json_t *this = json_array_get(schemas, i);
        struct shape *way = copy_of(x, *list);

        if (x->c->failed || !apply(x, &way, this, false))
            return false;
        for (struct shape *one = way; one; one = one->next)
            one->kinds &= schema_kinds_meant(x->c, this);
        for (size_t k = 0; k < json_array_size(schemas); k++) {
            json_t *other = json_array_get(schemas, k);

            if (k != i && !schema_are_disjoint(x->c, this, other) && !apply(x, &way, other, true))
                return false;
        }
        if (!put_behind(x, &sum, way))
            return false;
    }
    *list = sum;
    return true;
}

/* None, or two of them. */
static bool not_exactly_one(struct expansion *x, struct shape **list, const json_t *schemas)
{
    struct shape *sum = copy_of(x, *list);

    if (x->c->failed || !apply_each(x, &sum, schemas, true))
        return false;
    for (size_t i = 0; i < json_array_size(schemas); i++) {
        struct shape *one = copy_of(x, *list);

        if (x->c->failed || !apply(x, &one, json_array_get(schemas, i), false))
            return false;
        for (size_t k = i + 1; k < json_array_size(schemas); k++)
            if (!add_way(x, &sum, one, json_array_get(schemas, k), false))
                return false;
    }
    *list = sum;
    return true;
}

/* "if and then" or "not if and else", the second parts denied when the whole is. */
static bool apply_if(struct expansion *x, struct shape **list, const json_t *schema, bool negated)
{
    json_t *condition = json_object_get(schema, "if");
    json_t *then = json_object_get(schema, "then");
    json_t *otherwise = json_object_get(schema, "else");
    struct shape *yes = copy_of(x, *list);
    struct shape *no = copy_of(x, *list);
    struct shape *sum = NULL;

    if (x->c->failed || (!then && !otherwise))
        return !x->c->failed;
    if (!apply(x, &yes, condition, false) || !apply(x, &yes, then ? then : json_true(), negated) ||
        !apply(x, &no, condition, true) ||
        !apply(x, &no, otherwise ? otherwise : json_true(), negated) || !put_behind(x, &sum, yes) ||
        !put_behind(x, &sum, no))
        return false;
    *list = sum;
    return true;
}

/* ------------------------------------------------------------------ properties that depend on others */

static bool name_all(struct expansion *x, struct shape *list, json_t *where, const char *name,
                     bool there)
{
    for (; list; list = list->next)
        if (!push(x, there ? &list->required : &list->absent,
                  (struct shape_item){.name = name, .where = where}))
            return false;
    return true;
}

/* The property is not there, or the schema, or the names, hold. */
static bool depends(struct expansion *x, struct shape **list, json_t *where, const char *name,
                    json_t *on)
{
    struct shape *without = copy_of(x, *list);
    struct shape *with = copy_of(x, *list);
    struct shape *sum = NULL;

    if (x->c->failed || !name_all(x, without, where, name, false) ||
        !name_all(x, with, where, name, true))
        return false;
    restrict_kinds(with, KIND_OBJECT);
    for (size_t i = 0; i < json_array_size(on); i++)
        if (!name_all(x, with, where, json_string_value(json_array_get(on, i)), true))
            return false;
    if ((!json_is_array(on) && !apply(x, &with, on, false)) || !put_behind(x, &sum, without) ||
        !put_behind(x, &sum, with))
        return false;
    *list = sum;
    return true;
}

static bool apply_dependencies(struct expansion *x, struct shape **list, json_t *where,
                               const json_t *map)
{
    const char *name = NULL;
    json_t *on = NULL;

    mention(*list, KIND_OBJECT);
    json_object_foreach((json_t *)(uintptr_t)map, name, on)
    {
        if (!depends(x, list, where, name, on))
            return false;
    }
    return true;
}

/* Denied: some property is there, and what depends on it is not so. */
static bool deny_dependencies(struct expansion *x, struct shape **list, json_t *where,
                              const json_t *map)
{
    struct shape *sum = NULL;
    const char *name = NULL;
    json_t *on = NULL;

    restrict_kinds(*list, KIND_OBJECT);
    json_object_foreach((json_t *)(uintptr_t)map, name, on)
    {
        for (size_t i = 0; i == 0 || i < json_array_size(on); i++) {
            struct shape *way = copy_of(x, *list);
            const char *missing = json_string_value(json_array_get(on, i));

            if (x->c->failed || !name_all(x, way, where, name, true))
                return false;
            if (json_is_array(on) && !missing)
                continue;
            if (missing ? !name_all(x, way, where, missing, false) : !apply(x, &way, on, true))
                return false;
            if (!put_behind(x, &sum, way))
                return false;
        }
    }
    *list = sum;
    return true;
}

/* ------------------------------------------------------------------ keywords denied */

static bool deny_required(struct expansion *x, struct shape **list, json_t *where,
                          const json_t *names)
{
    struct shape *sum = NULL;

    restrict_kinds(*list, KIND_OBJECT);
    for (size_t i = 0; i < json_array_size(names); i++) {
        struct shape *way = copy_of(x, *list);

        if (x->c->failed ||
            !name_all(x, way, where, json_string_value(json_array_get(names, i)), false) ||
            !put_behind(x, &sum, way))
            return false;
    }
    *list = sum;
    return true;
}

/* Some property is there, and its value is not so. */
static bool deny_properties(struct expansion *x, struct shape **list, json_t *where,
                            const json_t *map)
{
    struct shape *sum = NULL;
    const char *name = NULL;
    json_t *schema = NULL;

    restrict_kinds(*list, KIND_OBJECT);
    json_object_foreach((json_t *)(uintptr_t)map, name, schema)
    {
        struct shape *way = json_is_true(schema) ? NULL : copy_of(x, *list);

        if (x->c->failed || !name_all(x, way, where, name, true))
            return false;
        for (struct shape *s = way; s; s = s->next)
            if (!push(x, &s->extras,
                      (struct shape_item){
                          .json = schema, .where = where, .name = name, .negated = true}))
                return false;
        if (!put_behind(x, &sum, way))
            return false;
    }
    *list = sum;
    return true;
}

static bool deny_fact(struct expansion *x, struct shape **list, json_t *schema, enum schema_key key,
                      json_t *value)
{
    restrict_kinds(*list, schema_kinds_spoken_of(key));
    for (struct shape *s = *list; s; s = s->next) {
        struct shape_item item = {.json = value, .where = schema, .negated = true};
        bool ok = true;

        if (key == KEY_PATTERN) {
            ok = push(x, &s->patterns, item);
        } else if (key >= KEY_MINIMUM && key <= KEY_BELOW) {
            item.name = bound_of(key, true);
            ok = push(x, &s->bounds, item);
        } else if (!apply_count(s, key, value, true)) {
            s->kinds = 0;
        }
        if (!ok)
            return false;
    }
    return true;
}

/* A keyword of which cannot be said where it does not hold, and that is not the only one. */
static bool deny_nothing(struct shape **list)
{
    *list = NULL;
    return true;
}

/* A keyword that has schemas: false in *known when it has none. */
static bool deny_schemas(struct expansion *x, struct shape **list, json_t *schema,
                         enum schema_key key, json_t *value, bool *known)
{
    *known = true;
    switch (key) {
    case KEY_REF:
        return apply(x, list, schema_resolve(x->c->root, value), true);
    case KEY_ALL_OF:
        return apply_one_way(x, list, value, true);
    case KEY_ANY_OF:
        return apply_each(x, list, value, true);
    case KEY_ONE_OF:
        return not_exactly_one(x, list, value);
    case KEY_NOT:
        return apply(x, list, value, false);
    case KEY_IF:
        return json_object_get(schema, "then") || json_object_get(schema, "else")
                   ? apply_if(x, list, schema, true)
                   : deny_nothing(list);
    case KEY_PROPERTIES:
        return deny_properties(x, list, schema, value);
    case KEY_DEPENDENT_REQUIRED:
    case KEY_DEPENDENT_SCHEMAS:
    case KEY_DEPENDENCIES:
        return deny_dependencies(x, list, schema, value);
    default:
        *known = false;
        return true;
    }
}

/* `*list` becomes the shapes in which this keyword does not hold: none for those of which that cannot be
 * said. */
static bool deny(struct expansion *x, struct shape **list, json_t *schema, enum schema_key key,
                 json_t *value)
{
    bool known = false;
    bool ok = deny_schemas(x, list, schema, key, value, &known);

    if (known)
        return ok;
    switch (key) {
    case KEY_TYPE:
        restrict_kinds(*list, KIND_ALL & ~schema_kinds_of_type(value));
        return true;
    case KEY_CONST:
        return choose(x, *list, schema, list_of_one(x, value), true);
    case KEY_ENUM:
        return choose(x, *list, schema, value, true);
    case KEY_REQUIRED:
        return deny_required(x, list, schema, value);
    case KEY_MINIMUM:
    case KEY_MAXIMUM:
    case KEY_ABOVE:
    case KEY_BELOW:
    case KEY_MIN_LENGTH:
    case KEY_MAX_LENGTH:
    case KEY_PATTERN:
    case KEY_MIN_ITEMS:
    case KEY_MAX_ITEMS:
    case KEY_MIN_PROPERTIES:
    case KEY_MAX_PROPERTIES:
        return deny_fact(x, list, schema, key, value);
    case KEY_ANNOTATION:
    case KEY_DEFINITIONS:
    case KEY_ID:
    case KEY_ORDER:
    case KEY_THEN:
    case KEY_ELSE:
        return deny_nothing(list);
    default:
        schema_is_empty(
            x->c, schema,
            "what it says cannot be denied (by not, else or the others of a oneOf), and "
            "nothing else is left");
        return deny_nothing(list);
    }
}

static bool deny_one_of_all(struct expansion *x, struct shape **list, json_t *schema)
{
    struct shape *sum = NULL;
    const char *name = NULL;
    json_t *value = NULL;

    json_object_foreach(schema, name, value)
    {
        struct shape *way = copy_of(x, *list);

        if (x->c->failed || !deny(x, &way, schema, schema_key_of(name), value) ||
            !put_behind(x, &sum, way))
            return false;
    }
    *list = sum;
    return true;
}

/* ------------------------------------------------------------------ keywords as they stand */

static bool hold(struct expansion *x, struct shape **list, json_t *schema, enum schema_key key,
                 json_t *value)
{
    switch (key) {
    case KEY_ANNOTATION:
    case KEY_DEFINITIONS:
    case KEY_ID:
    case KEY_ORDER:
    case KEY_THEN:
    case KEY_ELSE:
    case KEY_MIN_CONTAINS:
    case KEY_MAX_CONTAINS:
        return true;
    case KEY_TYPE:
        restrict_kinds(*list, schema_kinds_of_type(value));
        return true;
    case KEY_CONST:
        return choose(x, *list, schema, list_of_one(x, value), false);
    case KEY_ENUM:
        return choose(x, *list, schema, value, false);
    case KEY_REF:
        return apply(x, list, schema_resolve(x->c->root, value), false);
    case KEY_ALL_OF:
        return apply_each(x, list, value, false);
    case KEY_ANY_OF:
        return apply_one_way(x, list, value, false);
    case KEY_ONE_OF:
        return exactly_one(x, list, value);
    case KEY_NOT:
        return apply(x, list, value, true);
    case KEY_IF:
        return apply_if(x, list, schema, false);
    case KEY_DEPENDENT_REQUIRED:
    case KEY_DEPENDENT_SCHEMAS:
    case KEY_DEPENDENCIES:
        return apply_dependencies(x, list, schema, value);
    default:
        return add_fact(x, list, schema, key, value);
    }
}

static bool hold_all(struct expansion *x, struct shape **list, json_t *schema)
{
    const char *name = NULL;
    json_t *value = NULL;

    for (struct shape *s = *list; s; s = s->next)
        if (!add_groups(x, s, schema))
            return false;
    json_object_foreach(schema, name, value)
    {
        if (*list && !hold(x, list, schema, schema_key_of(name), value))
            return false;
    }
    return true;
}

static bool is_active(const struct expansion *x, const json_t *schema, bool negated)
{
    for (const struct active *a = x->active; a; a = a->outer)
        if (a->schema == schema && a->negated == negated)
            return true;
    return false;
}

/* A schema that leads back to itself with no value between adds nothing to what its other ways say. */
static bool apply(struct expansion *x, struct shape **list, json_t *schema, bool negated)
{
    struct active here = {x->active, schema, negated, x->active ? x->active->depth + 1 : 0};
    bool alone = x->alone;
    bool within_not = x->within_not;
    bool ok = true;

    if (!*list)
        return true;
    if (json_is_boolean(schema)) {
        if (json_is_true(schema) == negated)
            *list = NULL;
        return true;
    }
    if (is_active(x, schema, negated)) {
        *list = NULL;
        return !negated || schema_refuse(x->c, schema, "not", "of what leads back to it");
    }
    if (here.depth > MAX_DEPTH)
        return schema_refuse(x->c, schema, NULL, "schemas lead to each other too deep");
    x->active = &here;
    x->alone = alone && !here.outer && !negated;
    x->within_not = within_not || negated;
    ok = negated ? deny_one_of_all(x, list, schema) : hold_all(x, list, schema);
    x->active = here.outer;
    x->alone = alone;
    x->within_not = within_not;
    return ok;
}

/* Without a type, the kinds of values that were spoken of. */
static void take_as_meant(struct shape *list)
{
    for (; list; list = list->next)
        if (!list->typed && list->mentioned)
            list->kinds &= list->mentioned;
}

bool schema_shapes(struct schema_compiler *c, const struct schema_claims *claims,
                   struct shape **out)
{
    struct expansion x = {.c = c, .alone = claims->n == 1};
    struct shape *all = schema_alloc(c, sizeof *all);
    struct shape *alive = NULL;

    *out = NULL;
    if (!all)
        return false;
    *all = (struct shape){.kinds = KIND_ALL,
                          .max_length = -1,
                          .min_items = -1,
                          .max_items = -1,
                          .max_properties = -1};
    for (size_t i = 0; i < claims->n; i++)
        if (!apply(&x, &all, claims->items[i].schema, claims->items[i].negated))
            return false;
    take_as_meant(all);
    if (!put_behind(&x, &alive, all))
        return false;
    *out = alive;
    return true;
}
