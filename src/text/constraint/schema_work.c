/*
 * schema_work: see the header. The units are about 20 ns each, as measured; the names of rules are
 * as long as the paths to them, and the converter reads them again and again.
 */
#include "text/constraint/schema_work.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WORK ((size_t)20 * 1000 * 1000)
#define MAX_DEPTH 200 /* what allOf leads to included */
#define EACH_SCHEMA 1024
#define EACH_RULE 64 /* and its name */
#define RULES_OF_PROPERTY 8
#define EACH_PATTERN_BYTE 64
#define EACH_VALUE_BYTE 4

struct walk {
    json_t *root;
    size_t work;
    size_t depth;
};

static bool visit(struct walk *w, json_t *schema, size_t name);

static bool visit_properties(struct walk *w, json_t *properties, bool combined, size_t name)
{
    size_t n = json_object_size(properties);
    const char *key = NULL;
    json_t *value = NULL;

    w->work += (RULES_OF_PROPERTY * n + (combined ? n * n / 2 : 0)) * (EACH_RULE + name);
    json_object_foreach(properties, key, value)
    {
        if (!visit(w, value, name + 1 + strlen(key)))
            return false;
    }
    return true;
}

static bool visit_list(struct walk *w, const json_t *list, size_t name)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!visit(w, json_array_get(list, i), name + 4))
            return false;
    return true;
}

static bool visit_all_of(struct walk *w, const json_t *parts, size_t name)
{
    for (size_t i = 0; i < json_array_size(parts); i++) {
        json_t *part = schema_follow(w->root, json_array_get(parts, i));

        if (!visit_properties(w, json_object_get(part, "properties"), false, name))
            return false;
    }
    return true;
}

static size_t value_bytes(const json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    size_t n = text ? strlen(text) : 0;

    free(text);
    return n;
}

static bool visit(struct walk *w, json_t *schema, size_t name)
{
    bool ok = true;

    if (!json_is_object(schema) || json_object_get(schema, "$ref")) /* the name of a rule */
        return true;
    w->work += EACH_SCHEMA +
               EACH_PATTERN_BYTE * json_string_length(json_object_get(schema, "pattern")) +
               EACH_VALUE_BYTE * (value_bytes(json_object_get(schema, "enum")) +
                                  value_bytes(json_object_get(schema, "const")));
    if (w->work > MAX_WORK || ++w->depth > MAX_DEPTH)
        return false;
    ok = visit_properties(w, json_object_get(schema, "properties"), true, name) &&
         visit_all_of(w, json_object_get(schema, "allOf"), name) &&
         visit_list(w, json_object_get(schema, "anyOf"), name) &&
         visit_list(w, json_object_get(schema, "oneOf"), name) &&
         visit_list(w, json_object_get(schema, "prefixItems"), name) &&
         visit(w, json_object_get(schema, "items"), name + 5) &&
         visit(w, json_object_get(schema, "additionalProperties"), name + 17);
    w->depth--;
    return ok;
}

bool schema_work_fits(json_t *schema, const struct schema_list *targets)
{
    struct walk w = {.root = schema};
    bool ok = visit(&w, schema, 0);

    for (size_t i = 0; ok && i < targets->n; i++)
        ok = visit(&w, targets->items[i], 0);
    return ok && w.work <= MAX_WORK;
}
