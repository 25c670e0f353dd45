/*
 * Fuzz target: JSON schemas. The input is a schema, or a schema, a NUL byte and a text. Whatever it
 * is, there is an answer in bounded time; a schema that is taken has a text that follows it, and a text
 * that follows it is JSON.
 */
#include "match_grammar.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LONGEST_TEXT = 24 };

static void check_text(inf_text text)
{
    json_t *parsed = json_loadb(text.data, text.len,
                                JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);

    if (!parsed)
        abort();
    json_decref(parsed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *cut = size ? memchr(data, 0, size) : NULL;
    inf_text schema = {(const char *)data, cut ? (size_t)(cut - data) : size};
    inf_text text = {"", 0};
    inf_error err = {0};
    bool whole = false;
    int32_t code = INF_OK;

    if (cut)
        text = (inf_text){(const char *)cut + 1, size - schema.len - 1};
    if (text.len > LONGEST_TEXT)
        text.len = LONGEST_TEXT;
    code = match_schema(schema, text, &whole, &err);
    if (code == INF_OK && whole)
        check_text(text);
    if (code != INF_OK &&
        (code != INF_ERROR_INVALID_ARGUMENT || strncmp(err.message, "json_schema", 11) != 0))
        abort();
    return 0;
}
