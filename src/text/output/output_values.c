/*
 * output_values: see the header.
 */
#include "text/output/output_values.h"

#include "core/json.h"
#include "text/constraint/schema_refs.h"
#include "text/output/output_scan.h"

#include <string.h>
#include <strings.h>

#define MAX_DEPTH 8

/* ------------------------------------------------------------------ what a schema says */

static unsigned kind_named(const char *type)
{
    static const struct {
        const char *name;
        unsigned kind;
    } names[] = {{"null", VALUE_NULL},       {"integer", VALUE_INTEGER}, {"number", VALUE_NUMBER},
                 {"boolean", VALUE_BOOLEAN}, {"object", VALUE_OBJECT},   {"array", VALUE_ARRAY},
                 {"string", VALUE_STRING}};

    for (size_t i = 0; type && i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i].name, type) == 0)
            return names[i].kind;
    return 0;
}

static unsigned kind_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return VALUE_OBJECT;
    case JSON_ARRAY:
        return VALUE_ARRAY;
    case JSON_STRING:
        return VALUE_STRING;
    case JSON_INTEGER:
        return VALUE_INTEGER;
    case JSON_REAL:
        return VALUE_NUMBER;
    case JSON_NULL:
        return VALUE_NULL;
    default:
        return VALUE_BOOLEAN;
    }
}

static unsigned kinds_of(json_t *root, json_t *schema, int depth)
{
    static const char *const choices[] = {"anyOf", "oneOf", "allOf"};
    const json_t *type = NULL;
    const json_t *constant = NULL;
    unsigned kinds = 0;

    if (json_object_get(schema, "$ref"))
        schema = schema_follow(root, schema);
    if (!json_is_object(schema) || depth == MAX_DEPTH)
        return 0;
    type = json_object_get(schema, "type");
    constant = json_object_get(schema, "const");
    kinds = kind_named(json_string_value(type)) | (constant ? kind_of(constant) : 0);
    for (size_t i = 0; i < json_array_size(type); i++)
        kinds |= kind_named(json_string_value(json_array_get(type, i)));
    for (size_t i = 0; i < json_array_size(json_object_get(schema, "enum")); i++)
        kinds |= kind_of(json_array_get(json_object_get(schema, "enum"), i));
    for (size_t c = 0; c < sizeof choices / sizeof *choices; c++) {
        const json_t *list = json_object_get(schema, choices[c]);

        for (size_t i = 0; i < json_array_size(list); i++)
            kinds |= kinds_of(root, json_array_get(list, i), depth + 1);
    }
    return kinds;
}

unsigned output_value_kinds(json_t *parameters, const char *name, size_t len)
{
    const json_t *properties = json_object_get(parameters, "properties");

    return kinds_of(parameters, json_object_getn(properties, name, len), 0);
}

/* ------------------------------------------------------------------ values */

static bool is_word(inf_text text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.data, word, text.len) == 0;
}

/* As JSON writes it: no plus, no zeros in front. false: it is no whole number. */
static bool whole_number(inf_text *text, bool *negative)
{
    inf_text digits = *text;

    *negative = digits.len && *digits.data == '-';
    if (digits.len && (*digits.data == '-' || *digits.data == '+')) {
        digits.data++;
        digits.len--;
    }
    if (digits.len == 0 || digits.len > 400)
        return false;
    for (size_t i = 0; i < digits.len; i++)
        if (digits.data[i] < '0' || digits.data[i] > '9')
            return false;
    while (digits.len > 1 && *digits.data == '0') {
        digits.data++;
        digits.len--;
    }
    *text = digits;
    return true;
}

static const char *boolean_of(inf_text text)
{
    if (is_word(text, "true") || is_word(text, "1"))
        return "true";
    return is_word(text, "false") || is_word(text, "0") ? "false" : NULL;
}

static bool append(struct buffer *out, inf_text text)
{
    return buffer_append(out, text.data, text.len);
}

bool output_value_write(struct buffer *out, unsigned kinds, const char *text, size_t len)
{
    inf_text value = output_piece(text, 0, len);
    inf_text digits = value;
    struct json_span json = {NULL, 0};
    bool negative = false;

    if (kinds == 0)
        return write_json_string(out, text, len);
    if ((kinds & VALUE_NULL) && is_word(value, "null"))
        return buffer_append_str(out, "null");
    if ((kinds & (VALUE_INTEGER | VALUE_NUMBER)) && whole_number(&digits, &negative))
        return buffer_append_str(out, negative ? "-" : "") && append(out, digits);
    if (value.len && !scan_json(&json, value.data, value.len))
        json = (struct json_span){NULL, 0};
    if ((kinds & VALUE_NUMBER) && json.data && scan_is_number(json))
        return append(out, value);
    if ((kinds & VALUE_BOOLEAN) && boolean_of(value))
        return buffer_append_str(out, boolean_of(value));
    if (json.data && ((kinds & (VALUE_OBJECT | VALUE_ARRAY)) || !(kinds & VALUE_STRING)))
        return append(out, value);
    return write_json_string(out, text, len);
}

static bool is_beginning(inf_text text, const char *word)
{
    return text.len <= strlen(word) && strncasecmp(text.data, word, text.len) == 0;
}

static bool in_number(inf_text text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!strchr("0123456789+-.eE", text.data[i]) || !text.data[i])
            return false;
    return true;
}

/* Whether what there is of the value may become something else than a string. */
static bool begins_other(unsigned kinds, inf_text value)
{
    if (kinds == 0 || kinds == VALUE_STRING)
        return false;
    if (!(kinds & VALUE_STRING) || value.len == 0)
        return true;
    return ((kinds & VALUE_NULL) && is_beginning(value, "null")) ||
           ((kinds & (VALUE_INTEGER | VALUE_NUMBER)) && in_number(value)) ||
           ((kinds & VALUE_BOOLEAN) &&
            (is_beginning(value, "true") || is_beginning(value, "false"))) ||
           ((kinds & VALUE_ARRAY) && *value.data == '[') ||
           ((kinds & VALUE_OBJECT) && *value.data == '{');
}

bool output_value_begin(struct buffer *out, unsigned kinds, const char *text, size_t len)
{
    inf_text value = output_piece(text, 0, len);

    if (begins_other(kinds, value))
        return append(out, value);
    if (!write_json_string(out, text, len))
        return false;
    out->len--; /* its last quote */
    return true;
}
