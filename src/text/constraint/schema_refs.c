/*
 * schema_refs: see the header.
 */
#include "text/constraint/schema_refs.h"

#include "core/growing.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_REFS 64 /* a $ref that is a $ref ... */
#define MAX_NAME 200

/* One part of a pointer, decoded. false: too long, or a ~ that is no escape. */
static bool decode(char key[MAX_NAME + 1], const char *part, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++, n++) {
        if (n == MAX_NAME)
            return false;
        key[n] = part[i];
        if (part[i] == '~') {
            if (++i == len || (part[i] != '0' && part[i] != '1'))
                return false;
            key[n] = part[i] == '0' ? '~' : '/';
        }
    }
    key[n] = '\0';
    return true;
}

static json_t *descend(json_t *from, const char *part, size_t len)
{
    char key[MAX_NAME + 1];

    if (!decode(key, part, len))
        return NULL;
    if (json_is_object(from))
        return json_object_get(from, key);
    if (!json_is_array(from) || len == 0 || len > 9 || strspn(key, "0123456789") != len)
        return NULL;
    return json_array_get(from, strtoul(key, NULL, 10));
}

json_t *schema_resolve(json_t *root, const json_t *ref)
{
    const char *at = json_string_value(ref);

    if (!at || *at != '#' || strlen(at) != json_string_length(ref))
        return NULL;
    for (at++; root && *at == '/';) {
        size_t len = strcspn(++at, "/");

        root = descend(root, at, len);
        at += len;
    }
    return *at ? NULL : root;
}

json_t *schema_follow(json_t *root, json_t *schema)
{
    for (int i = 0; i < MAX_REFS; i++) {
        const json_t *ref = json_object_get(schema, "$ref");

        if (!ref)
            return schema;
        schema = schema_resolve(root, ref);
    }
    return NULL;
}

size_t schema_list_number(struct schema_list *list, json_t *schema)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i] == schema)
            return i;
    if (!GROW(list->items, list->cap, list->n + 1))
        return SIZE_MAX;
    list->items[list->n] = schema;
    return list->n++;
}

void schema_list_free(struct schema_list *list)
{
    mem_free(list->items);
    *list = (struct schema_list){0};
}
