/*
 * schema_keys: see the header.
 */
#include "text/constraint/schema_keys.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

struct keyword {
    const char *name;
    enum schema_key key;
};

static const struct keyword keywords[] = {
    {"title", KEY_ANNOTATION},
    {"description", KEY_ANNOTATION},
    {"$schema", KEY_ANNOTATION},
    {"$comment", KEY_ANNOTATION},
    {"$anchor", KEY_ANNOTATION},
    {"$vocabulary", KEY_ANNOTATION},
    {"default", KEY_ANNOTATION},
    {"example", KEY_ANNOTATION},
    {"examples", KEY_ANNOTATION},
    {"readOnly", KEY_ANNOTATION},
    {"writeOnly", KEY_ANNOTATION},
    {"deprecated", KEY_ANNOTATION},
    {"discriminator", KEY_ANNOTATION},
    {"externalDocs", KEY_ANNOTATION},
    {"xml", KEY_ANNOTATION},
    {"nullable",
     KEY_ANNOTATION}, /* OpenAPI 3.0's; to a reader of JSON Schema null is no value of it */
    {"propertyOrdering", KEY_ANNOTATION},
    {"enumNames", KEY_ANNOTATION},
    {"enumDescriptions", KEY_ANNOTATION},
    {"markdownDescription", KEY_ANNOTATION},
    {"markdownEnumDescriptions", KEY_ANNOTATION},
    {"errorMessage", KEY_ANNOTATION},
    {"contentEncoding", KEY_ANNOTATION},
    {"contentMediaType", KEY_ANNOTATION},
    {"contentSchema", KEY_ANNOTATION},
    {"$defs", KEY_DEFINITIONS},
    {"definitions", KEY_DEFINITIONS},
    {"$id", KEY_ID},
    {"x-order", KEY_ORDER},
    {"$ref", KEY_REF},
    {"type", KEY_TYPE},
    {"const", KEY_CONST},
    {"enum", KEY_ENUM},
    {"allOf", KEY_ALL_OF},
    {"anyOf", KEY_ANY_OF},
    {"oneOf", KEY_ONE_OF},
    {"not", KEY_NOT},
    {"if", KEY_IF},
    {"then", KEY_THEN},
    {"else", KEY_ELSE},
    {"minimum", KEY_MINIMUM},
    {"maximum", KEY_MAXIMUM},
    {"exclusiveMinimum", KEY_ABOVE},
    {"exclusiveMaximum", KEY_BELOW},
    {"multipleOf", KEY_MULTIPLE_OF},
    {"minLength", KEY_MIN_LENGTH},
    {"maxLength", KEY_MAX_LENGTH},
    {"pattern", KEY_PATTERN},
    {"format", KEY_FORMAT},
    {"items", KEY_ITEMS},
    {"prefixItems", KEY_PREFIX_ITEMS},
    {"additionalItems", KEY_ADDITIONAL_ITEMS},
    {"unevaluatedItems", KEY_UNEVALUATED_ITEMS},
    {"contains", KEY_CONTAINS},
    {"minContains", KEY_MIN_CONTAINS},
    {"maxContains", KEY_MAX_CONTAINS},
    {"uniqueItems", KEY_UNIQUE_ITEMS},
    {"minItems", KEY_MIN_ITEMS},
    {"maxItems", KEY_MAX_ITEMS},
    {"properties", KEY_PROPERTIES},
    {"patternProperties", KEY_PATTERN_PROPERTIES},
    {"additionalProperties", KEY_ADDITIONAL_PROPERTIES},
    {"unevaluatedProperties", KEY_UNEVALUATED_PROPERTIES},
    {"propertyNames", KEY_PROPERTY_NAMES},
    {"required", KEY_REQUIRED},
    {"minProperties", KEY_MIN_PROPERTIES},
    {"maxProperties", KEY_MAX_PROPERTIES},
    {"dependentRequired", KEY_DEPENDENT_REQUIRED},
    {"dependentSchemas", KEY_DEPENDENT_SCHEMAS},
    {"dependencies", KEY_DEPENDENCIES},
};

/* The others are FORM_ANY. */
static const uint8_t forms[N_SCHEMA_KEYS] = {
    [KEY_DEFINITIONS] = FORM_SCHEMA_MAP,
    [KEY_ID] = FORM_TEXT,
    [KEY_ORDER] = FORM_TEXT,
    [KEY_REF] = FORM_TEXT,
    [KEY_TYPE] = FORM_TYPE,
    [KEY_ENUM] = FORM_LIST,
    [KEY_ALL_OF] = FORM_SCHEMAS,
    [KEY_ANY_OF] = FORM_SCHEMAS,
    [KEY_ONE_OF] = FORM_SCHEMAS,
    [KEY_NOT] = FORM_SCHEMA,
    [KEY_IF] = FORM_SCHEMA,
    [KEY_THEN] = FORM_SCHEMA,
    [KEY_ELSE] = FORM_SCHEMA,
    [KEY_MINIMUM] = FORM_NUMBER,
    [KEY_MAXIMUM] = FORM_NUMBER,
    [KEY_ABOVE] = FORM_NUMBER,
    [KEY_BELOW] = FORM_NUMBER,
    [KEY_MULTIPLE_OF] = FORM_NUMBER,
    [KEY_MIN_LENGTH] = FORM_COUNT,
    [KEY_MAX_LENGTH] = FORM_COUNT,
    [KEY_PATTERN] = FORM_TEXT,
    [KEY_FORMAT] = FORM_TEXT,
    [KEY_ITEMS] = FORM_ITEMS,
    [KEY_PREFIX_ITEMS] = FORM_SCHEMAS,
    [KEY_ADDITIONAL_ITEMS] = FORM_SCHEMA,
    [KEY_UNEVALUATED_ITEMS] = FORM_SCHEMA,
    [KEY_CONTAINS] = FORM_SCHEMA,
    [KEY_MIN_CONTAINS] = FORM_COUNT,
    [KEY_MAX_CONTAINS] = FORM_COUNT,
    [KEY_UNIQUE_ITEMS] = FORM_FLAG,
    [KEY_MIN_ITEMS] = FORM_COUNT,
    [KEY_MAX_ITEMS] = FORM_COUNT,
    [KEY_PROPERTIES] = FORM_SCHEMA_MAP,
    [KEY_PATTERN_PROPERTIES] = FORM_SCHEMA_MAP,
    [KEY_ADDITIONAL_PROPERTIES] = FORM_SCHEMA,
    [KEY_UNEVALUATED_PROPERTIES] = FORM_SCHEMA,
    [KEY_PROPERTY_NAMES] = FORM_SCHEMA,
    [KEY_REQUIRED] = FORM_NAMES,
    [KEY_MIN_PROPERTIES] = FORM_COUNT,
    [KEY_MAX_PROPERTIES] = FORM_COUNT,
    [KEY_DEPENDENT_REQUIRED] = FORM_NAMES_MAP,
    [KEY_DEPENDENT_SCHEMAS] = FORM_SCHEMA_MAP,
    [KEY_DEPENDENCIES] = FORM_DEPENDENCIES,
};

enum schema_key schema_key_of(const char *name)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (strcmp(keywords[i].name, name) == 0)
            return keywords[i].key;
    return strncmp(name, "x-", 2) == 0 ? KEY_ANNOTATION : KEY_UNKNOWN;
}

enum schema_form schema_form_of(enum schema_key key)
{
    return (enum schema_form)forms[key];
}

/* ------------------------------------------------------------------ forms */

static bool is_schema(const json_t *value)
{
    return json_is_object(value) || json_is_boolean(value);
}

/* A text without NUL bytes: what names things. */
static bool is_plain_text(const json_t *value)
{
    return json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value);
}

static bool is_names(const json_t *value)
{
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!is_plain_text(json_array_get(value, i)))
            return false;
    return json_is_array(value);
}

static bool is_schemas(const json_t *value)
{
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!is_schema(json_array_get(value, i)))
            return false;
    return json_array_size(value) > 0;
}

static bool is_map(const json_t *value, bool schemas, bool names)
{
    const char *name = NULL;
    json_t *one = NULL;

    json_object_foreach((json_t *)(uintptr_t)value, name, one)
    {
        if (!(schemas && is_schema(one)) && !(names && is_names(one)))
            return false;
    }
    return json_is_object(value);
}

static bool is_type(const json_t *value)
{
    static const char *const types[] = {"object", "array",   "string", "integer",
                                        "number", "boolean", "null"};

    for (size_t i = 0; i < sizeof types / sizeof *types && is_plain_text(value); i++)
        if (strcmp(types[i], json_string_value(value)) == 0)
            return true;
    return false;
}

static const char *type_fault(const json_t *value)
{
    static const char expected[] =
        "is none of object, array, string, integer, number, boolean, null";

    if (!json_is_string(value) && !json_is_array(value))
        return "must be a text or a list of texts";
    if (json_is_string(value))
        return is_type(value) ? NULL : expected;
    if (json_array_size(value) == 0)
        return "must not be an empty list";
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (!is_type(json_array_get(value, i)))
            return expected;
        for (size_t k = 0; k < i; k++)
            if (json_equal(json_array_get(value, i), json_array_get(value, k)))
                return "has the same type twice";
    }
    return NULL;
}

/* 2.0 is a whole number too. */
static bool is_count(const json_t *value)
{
    double x = json_number_value(value);

    return json_is_number(value) && x >= 0 && floor(x) == x;
}

const char *schema_form_fault(enum schema_form form, const json_t *value)
{
    switch (form) {
    case FORM_TEXT:
        return is_plain_text(value) ? NULL : "must be a text";
    case FORM_FLAG:
        return json_is_boolean(value) ? NULL : "must be true or false";
    case FORM_NUMBER:
        return json_is_number(value) ? NULL : "must be a number";
    case FORM_COUNT:
        return is_count(value) ? NULL : "must be a whole number from 0";
    case FORM_TYPE:
        return type_fault(value);
    case FORM_LIST:
        return json_array_size(value) > 0 ? NULL : "must be a list of values";
    case FORM_NAMES:
        return is_names(value) ? NULL : "must be a list of names";
    case FORM_SCHEMA:
        return is_schema(value) ? NULL : "must be a schema (an object, true or false)";
    case FORM_SCHEMAS:
        return is_schemas(value) ? NULL : "must be a list of schemas";
    case FORM_SCHEMA_MAP:
        return is_map(value, true, false) ? NULL : "must be an object of schemas";
    case FORM_NAMES_MAP:
        return is_map(value, false, true) ? NULL : "must be an object of lists of names";
    case FORM_ITEMS:
        return is_schema(value) || is_schemas(value) ? NULL : "must be a schema or a list of them";
    case FORM_DEPENDENCIES:
        return is_map(value, true, true) ? NULL : "must be an object of schemas or lists of names";
    default:
        return NULL;
    }
}
