/* json_line: see the header. */
#include "cli/json_line.h"

#include "cli/input.h"

#include <ctype.h>
#include <string.h>

static bool in_word(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("+-.", c));
}

/* The end of the piece that begins at `at`: a string, a word or number, or one byte. */
static size_t piece_end(inf_text text, size_t at)
{
    size_t end = at + 1;

    if (text.data[at] == '"') {
        while (end < text.len && text.data[end] != '"')
            end += text.data[end] == '\\' ? 2 : 1;
        return end + 1;
    }
    while (in_word(text.data[at]) && end < text.len && in_word(text.data[end]))
        end++;
    return end;
}

/* jansson tells the end of what it could not take. */
static int column_of(inf_text text, size_t position)
{
    size_t begin = 0;
    size_t end = 0;
    int column = 1;

    while (end < position && end < text.len) {
        begin = end;
        end = piece_end(text, begin);
    }
    for (size_t i = 0; i < begin; i++)
        if (((unsigned char)text.data[i] & 0xC0) != 0x80)
            column++;
    return column;
}

json_t *json_line_parse(inf_text text, const char *what, inf_error *err)
{
    json_error_t why;
    json_t *value = json_loadb(text.data, text.len,
                               JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);

    if (!value)
        command_error(err, INF_ERROR_INVALID_ARGUMENT, "not %s: %s (column %d)", what, why.text,
                      column_of(text, why.position > 0 ? (size_t)why.position : 0));
    return value;
}
