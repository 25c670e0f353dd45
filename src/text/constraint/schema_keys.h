/*
 * schema_keys: the keywords of JSON Schema that are known here, and whether what stands under them in a
 * schema is of the right form. Knows no meaning.
 * Threads: any.
 */
#ifndef INF_TEXT_CONSTRAINT_SCHEMA_KEYS_H
#define INF_TEXT_CONSTRAINT_SCHEMA_KEYS_H

#include <jansson.h>
#include <stdbool.h>

enum schema_key {
    KEY_UNKNOWN,
    KEY_ANNOTATION, /* says nothing about what is valid */
    KEY_DEFINITIONS,
    KEY_ID,
    KEY_ORDER, /* "x-order" */
    KEY_REF,
    KEY_TYPE,
    KEY_CONST,
    KEY_ENUM,
    KEY_ALL_OF,
    KEY_ANY_OF,
    KEY_ONE_OF,
    KEY_NOT,
    KEY_IF,
    KEY_THEN,
    KEY_ELSE,
    KEY_MINIMUM,
    KEY_MAXIMUM,
    KEY_ABOVE, /* exclusiveMinimum */
    KEY_BELOW, /* exclusiveMaximum */
    KEY_MULTIPLE_OF,
    KEY_MIN_LENGTH,
    KEY_MAX_LENGTH,
    KEY_PATTERN,
    KEY_FORMAT,
    KEY_ITEMS,
    KEY_PREFIX_ITEMS,
    KEY_ADDITIONAL_ITEMS,
    KEY_UNEVALUATED_ITEMS,
    KEY_CONTAINS,
    KEY_MIN_CONTAINS,
    KEY_MAX_CONTAINS,
    KEY_UNIQUE_ITEMS,
    KEY_MIN_ITEMS,
    KEY_MAX_ITEMS,
    KEY_PROPERTIES,
    KEY_PATTERN_PROPERTIES,
    KEY_ADDITIONAL_PROPERTIES,
    KEY_UNEVALUATED_PROPERTIES,
    KEY_PROPERTY_NAMES,
    KEY_REQUIRED,
    KEY_MIN_PROPERTIES,
    KEY_MAX_PROPERTIES,
    KEY_DEPENDENT_REQUIRED,
    KEY_DEPENDENT_SCHEMAS,
    KEY_DEPENDENCIES,
    N_SCHEMA_KEYS
};

/* What stands under a key. */
enum schema_form {
    FORM_ANY,
    FORM_TEXT,
    FORM_FLAG,
    FORM_NUMBER,
    FORM_COUNT, /* a whole number from 0 */
    FORM_TYPE,  /* the name of a type, or a list of them */
    FORM_LIST,  /* of values, not empty */
    FORM_NAMES, /* a list of texts */
    FORM_SCHEMA,
    FORM_SCHEMAS,     /* a list, not empty */
    FORM_SCHEMA_MAP,  /* an object of schemas */
    FORM_NAMES_MAP,   /* an object of lists of texts */
    FORM_ITEMS,       /* a schema or a list of them */
    FORM_DEPENDENCIES /* an object of schemas or lists of texts */
};

enum schema_key schema_key_of(const char *name);
enum schema_form schema_form_of(enum schema_key key);

/* NULL, or what is expected there. Schemas within are not looked into, but they are objects, true or
 * false. */
const char *schema_form_fault(enum schema_form form, const json_t *value);

#endif
