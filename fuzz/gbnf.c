/*
 * Fuzz target: GBNF grammars. The input is a grammar, or a grammar, a NUL byte and a text to match.
 * Whatever it is, there is an answer in bounded time.
 */
#include "match_grammar.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LONGEST_TEXT = 200 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *cut = size ? memchr(data, 0, size) : NULL;
    inf_text grammar = {(const char *)data, cut ? (size_t)(cut - data) : size};
    inf_text text = {"", 0};
    inf_error err = {0};
    bool whole = false;

    if (cut)
        text = (inf_text){(const char *)cut + 1, size - grammar.len - 1};
    if (text.len > LONGEST_TEXT)
        text.len = LONGEST_TEXT;
    if (match_grammar(grammar, text, &whole, &err) == INF_OK)
        return 0;
    if (err.code != INF_ERROR_INVALID_ARGUMENT)
        abort();
    return 0;
}
