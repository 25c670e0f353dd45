/*
 * output_values: arguments that a model writes as bare texts, a name and a value each, as the JSON that the
 * tool's schema says they are. Pure functions.
 */
#ifndef INF_TEXT_OUTPUT_OUTPUT_VALUES_H
#define INF_TEXT_OUTPUT_OUTPUT_VALUES_H

#include "core/buffer.h"
#include "text/output/output_tools.h"

/* Kinds of values that a schema speaks of, as bits. */
enum output_kind {
    VALUE_NULL = 1,
    VALUE_INTEGER = 2,
    VALUE_NUMBER = 4,
    VALUE_BOOLEAN = 8,
    VALUE_OBJECT = 16,
    VALUE_ARRAY = 32,
    VALUE_STRING = 64
};

/* Of the property of that name; 0: nothing is said about it. parameters: a tool's, or NULL. */
unsigned output_value_kinds(json_t *parameters, const char *name, size_t len);

/*
 * Appends the value as JSON: the first of null, a whole number, a number, true and false, JSON that kinds have and
 * the text is, as vLLM does it; else a string. 0 kinds: a string. false: out of memory.
 */
bool output_value_write(struct buffer *out, unsigned kinds, const char *text, size_t len);

/* The same of a value that breaks off: a string stays open. */
bool output_value_begin(struct buffer *out, unsigned kinds, const char *text, size_t len);

#endif
