/*
 * schema_refs: see the header.
 */
#include "text/constraint/schema_refs.h"

#include "core/ascii.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_REFS 64 /* a $ref that is a $ref ... */
#define MAX_NAME 1000

static bool read_escape(const char *s, size_t left, char *out)
{
    uint32_t code = 0;

    if (left < 3 || !read_hex_digits(s + 1, 2, &code) || code == 0)
        return false;
    *out = (char)code;
    return true;
}

/* One part of a pointer, decoded. false: too long, or a % or ~ that is no escape. */
static bool decode(char key[MAX_NAME + 1], const char *part, size_t len)
{
    size_t n = 0;
    size_t k = 0;

    for (size_t i = 0; i < len; i++, n++) {
        if (n == MAX_NAME)
            return false;
        key[n] = part[i];
        if (part[i] == '%') {
            if (!read_escape(part + i, len - i, &key[n]))
                return false;
            i += 2;
        }
    }
    for (size_t i = 0; i < n; i++, k++) {
        key[k] = key[i];
        if (key[i] == '~') {
            if (++i == n || (key[i] != '0' && key[i] != '1'))
                return false;
            key[k] = key[i] == '0' ? '~' : '/';
        }
    }
    key[k] = '\0';
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

/* The schema with that $anchor. Values of const, enum and the like are looked into too: a name in one of
 * them that is also one of a schema is not worth more. */
static json_t *find_anchor(json_t *in, const char *name)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_t *found = NULL;
    const char *anchor = json_string_value(json_object_get(in, "$anchor"));

    if (anchor && strcmp(anchor, name) == 0)
        return in;
    json_object_foreach(in, key, value)
    {
        if (!found && strcmp(key, "const") != 0 && strcmp(key, "enum") != 0)
            found = find_anchor(value, name);
    }
    for (size_t i = 0; !found && i < json_array_size(in); i++)
        found = find_anchor(json_array_get(in, i), name);
    return found;
}

json_t *schema_resolve(json_t *root, const json_t *ref)
{
    const char *at = json_string_value(ref);
    const char *id = json_string_value(json_object_get(root, "$id"));

    if (!at || strlen(at) != json_string_length(ref))
        return NULL;
    if (id && strncmp(at, id, strlen(id)) == 0 && *id && !strchr(id, '#')) {
        at += strlen(id);
        if (!*at)
            return root;
    }
    if (*at != '#')
        return NULL;
    if (at[1] && at[1] != '/')
        return find_anchor(root, at + 1);
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
