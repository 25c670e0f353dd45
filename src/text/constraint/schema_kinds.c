/*
 * schema_kinds: see the header.
 */
#include "text/constraint/schema_kinds.h"

#include <math.h>
#include <string.h>

unsigned schema_kind_of(const json_t *value)
{
    double x = json_number_value(value);

    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return KIND_OBJECT;
    case JSON_ARRAY:
        return KIND_ARRAY;
    case JSON_STRING:
        return KIND_STRING;
    case JSON_TRUE:
        return KIND_TRUE;
    case JSON_FALSE:
        return KIND_FALSE;
    case JSON_NULL:
        return KIND_NULL;
    default:
        return floor(x) == x ? KIND_INTEGER : KIND_FRACTION;
    }
}

static unsigned kinds_of_name(const char *name)
{
    static const struct {
        const char *name;
        unsigned kinds;
    } types[] = {{"object", KIND_OBJECT}, {"array", KIND_ARRAY},
                 {"string", KIND_STRING}, {"integer", KIND_INTEGER},
                 {"number", KIND_NUMBER}, {"boolean", KIND_TRUE | KIND_FALSE},
                 {"null", KIND_NULL}};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, name) == 0)
            return types[i].kinds;
    return 0;
}

unsigned schema_kinds_of_type(const json_t *type)
{
    unsigned kinds = json_is_string(type) ? kinds_of_name(json_string_value(type)) : 0;

    for (size_t i = 0; i < json_array_size(type); i++)
        kinds |= kinds_of_name(json_string_value(json_array_get(type, i)));
    return kinds;
}

unsigned schema_kinds_of_values(const json_t *values)
{
    unsigned kinds = 0;

    for (size_t i = 0; i < json_array_size(values); i++)
        kinds |= schema_kind_of(json_array_get(values, i));
    return kinds;
}

unsigned schema_kinds_spoken_of(enum schema_key key)
{
    if (key >= KEY_MINIMUM && key <= KEY_MULTIPLE_OF)
        return KIND_NUMBER;
    if (key >= KEY_MIN_LENGTH && key <= KEY_FORMAT)
        return KIND_STRING;
    if (key >= KEY_ITEMS && key <= KEY_MAX_ITEMS)
        return KIND_ARRAY;
    return key >= KEY_PROPERTIES ? KIND_OBJECT : 0;
}
