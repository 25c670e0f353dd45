/*
 * Fuzz target: JSON schemas. The input is a schema, or a schema, a NUL byte and a text. Whatever it
 * is, there is an answer in bounded time; a schema that is taken gives a grammar that is taken (or
 * refused for what a schema can do to it: size, circles), and a text that the grammar takes is JSON.
 */
#include "text/chat_template.h"
#include "match_grammar.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LONGEST_TEXT = 24 };

static bool is_fault_of_schema(const char *message)
{
    static const char *const faults[] = {"too large",   "too many rules", "nested deeper",
                                         "longer than", "ways",           "no text that follows"};

    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        if (strstr(message, faults[i]))
            return true;
    return false;
}

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
    struct buffer grammar;
    inf_error err = {0};
    bool whole = false;
    int32_t code = INF_OK;

    if (cut)
        text = (inf_text){(const char *)cut + 1, size - schema.len - 1};
    if (text.len > LONGEST_TEXT)
        text.len = LONGEST_TEXT;
    buffer_init(&grammar, BUFFER_NO_LIMIT);
    code = json_schema_to_grammar(schema, &grammar, &err);
    if (code == INF_OK) {
        code = match_grammar((inf_text){grammar.data, grammar.len}, text, &whole, &err);
        if (code != INF_OK && !is_fault_of_schema(err.message))
            abort();
        if (code == INF_OK && whole)
            check_text(text);
    } else if (code != INF_ERROR_INVALID_ARGUMENT || strncmp(err.message, "json_schema", 11) != 0) {
        abort();
    }
    buffer_free(&grammar);
    return 0;
}
