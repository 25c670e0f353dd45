/*
 * schema_check: see the header.
 */
#include "text/constraint/schema_check.h"

#include "core/growing.h"
#include "text/constraint/schema_keys.h"
#include "text/constraint/schema_refs.h"

#include <stdint.h>
#include <string.h>

struct checker {
    struct schema_compiler *c;
    json_t **seen; /* (n_seen, a power of 2) open addressing */
    size_t n_seen, used;
    json_t **targets; /* of $ref, to be checked too */
    size_t n_targets, targets_cap;
};

static size_t slot_of(const struct checker *k, const json_t *schema)
{
    size_t i = (size_t)((uintptr_t)schema >> 4) * 0x9e3779b1u & (k->n_seen - 1);

    while (k->seen[i] && k->seen[i] != schema)
        i = (i + 1) & (k->n_seen - 1);
    return i;
}

static bool grow(struct checker *k)
{
    struct checker grown = *k;

    grown.n_seen = k->n_seen ? k->n_seen * 2 : 64;
    grown.seen = mem_calloc(grown.n_seen, sizeof *grown.seen);
    if (!grown.seen)
        return schema_no_memory(k->c);
    for (size_t i = 0; i < k->n_seen; i++)
        if (k->seen[i])
            grown.seen[slot_of(&grown, k->seen[i])] = k->seen[i];
    mem_free(k->seen);
    *k = grown;
    return true;
}

static bool check(struct checker *k, json_t *schema);

static bool check_list(struct checker *k, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!check(k, json_array_get(list, i)))
            return false;
    return true;
}

static bool check_map(struct checker *k, const json_t *map)
{
    const char *name = NULL;
    json_t *value = NULL;

    json_object_foreach((json_t *)(uintptr_t)map, name, value)
    {
        if (!json_is_array(value) && !check(k, value))
            return false;
    }
    return true;
}

static bool check_ref(struct checker *k, json_t *schema)
{
    json_t *target = schema_follow(k->c->root, schema);

    if (!json_is_object(target) && !json_is_boolean(target))
        return schema_refuse(k->c, schema, "$ref",
                             "leads to no schema of this document (\"#/...\"), or in a circle");
    if (!GROW(k->targets, k->targets_cap, k->n_targets + 1))
        return schema_no_memory(k->c);
    k->targets[k->n_targets++] = schema_resolve(k->c->root, json_object_get(schema, "$ref"));
    return true;
}

static bool has_ref(const json_t *in)
{
    const char *key = NULL;
    json_t *value = NULL;
    bool found = json_object_get(in, "$ref") != NULL;

    json_object_foreach((json_t *)(uintptr_t)in, key, value)
    {
        found = found || has_ref(value);
    }
    for (size_t i = 0; !found && i < json_array_size(in); i++)
        found = has_ref(json_array_get(in, i));
    return found;
}

static bool check_key(struct checker *k, json_t *schema, const char *name, json_t *value)
{
    enum schema_key key = schema_key_of(name);
    enum schema_form form = schema_form_of(key);
    const char *fault = schema_form_fault(form, value);

    if (key == KEY_UNKNOWN)
        return schema_refuse(k->c, schema, name, "cannot be enforced here; leave it out");
    if (fault)
        return schema_refuse(k->c, schema, name, fault);
    if (key == KEY_ORDER && strcmp(json_string_value(value), "any") != 0 &&
        strcmp(json_string_value(value), "listed") != 0)
        return schema_refuse(k->c, schema, name, "is \"any\" or \"listed\"");
    if (key == KEY_REF)
        return check_ref(k, schema);
    if (key == KEY_ID && schema != k->c->root && has_ref(schema))
        return schema_refuse(k->c, schema, name,
                             "within a document that $ref leads about in cannot be enforced here");
    if (form == FORM_SCHEMAS || (form == FORM_ITEMS && json_is_array(value)))
        return check_list(k, value);
    if (form == FORM_SCHEMA_MAP || form == FORM_DEPENDENCIES)
        return check_map(k, value);
    return (form != FORM_SCHEMA && form != FORM_ITEMS) || check(k, value);
}

/* As deep as the document is nested. */
static bool check(struct checker *k, json_t *schema)
{
    const char *key = NULL;
    json_t *value = NULL;
    size_t slot = 0;

    if (json_is_boolean(schema))
        return true;
    if (!json_is_object(schema))
        return schema_refuse(k->c, schema, NULL, "a schema (an object, true or false) expected");
    if (k->used * 2 >= k->n_seen && !grow(k))
        return false;
    slot = slot_of(k, schema);
    if (k->seen[slot])
        return true;
    k->seen[slot] = schema;
    k->used++;
    json_object_foreach(schema, key, value)
    {
        if (!check_key(k, schema, key, value))
            return false;
    }
    return true;
}

bool schema_check(struct schema_compiler *c)
{
    struct checker k = {.c = c};
    bool ok = check(&k, c->root);

    for (size_t i = 0; ok && i < k.n_targets; i++)
        ok = check(&k, k.targets[i]);
    mem_free(k.seen);
    mem_free(k.targets);
    return ok;
}
