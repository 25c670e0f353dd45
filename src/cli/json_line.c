/* json_line: see the header. */
#include "cli/json_line.h"

#include "cli/message.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINE_FLAGS (JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL)

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

/* In characters, from 1: where the piece begins whose end jansson told, which is the end of what it could
 * not take. */
static int column_of(inf_text text, size_t position)
{
    int column = 1;
    size_t begin = 0;
    size_t end = 0;

    while (end < position && end < text.len) {
        begin = end;
        end = piece_end(text, begin);
    }
    for (size_t i = 0; i < begin; i++)
        column += ((unsigned char)text.data[i] & 0xC0) != 0x80;
    return column;
}

static size_t position_of(const json_error_t *why)
{
    return why->position > 0 ? (size_t)why->position : 0;
}

/* ------------------------------------------------------------------ numbers of 64 bits without a sign */

/* jansson's integers have a sign: from 2^63 on a number is put in quotes, where a key's value may be one
 * of these, and only there. */

static bool needs_quotes(const char *digits, size_t n)
{
    char copy[24];
    char *end = NULL;
    unsigned long long value = 0;

    if (n < 19 || n > 20 || !isdigit((unsigned char)digits[0]))
        return false;
    memcpy(copy, digits, n);
    copy[n] = '\0';
    errno = 0;
    value = strtoull(copy, &end, 10);
    return errno == 0 && *end == '\0' && value > INT64_MAX;
}

/* The next such number at or behind `from`: where it begins; text.len when there is none. */
static size_t find_wide(inf_text text, size_t from, wide_key_fn is_wide)
{
    inf_text key = {"", 0};
    int depth = 0;
    bool is_value = false;

    for (size_t at = 0, end = 0; at < text.len; at = end) {
        const char *piece = text.data + at;

        end = piece_end(text, at);
        end = end < text.len ? end : text.len;
        if (strchr(" \t\r\n", *piece) && *piece)
            continue;
        if (at >= from && depth == 1 && is_value && is_wide(key) && needs_quotes(piece, end - at))
            return at;
        depth += (*piece == '{' || *piece == '[') - (*piece == '}' || *piece == ']');
        is_value = *piece == ':';
        if (*piece == '"' && end - at >= 2)
            key = (inf_text){piece + 1, end - at - 2};
    }
    return text.len;
}

/* A copy with quotes (malloc), or NULL when none are needed or memory is short. */
static char *with_quotes(inf_text text, wide_key_fn is_wide, size_t *len, size_t *first)
{
    size_t at = find_wide(text, 0, is_wide);
    char *copy = at < text.len ? malloc(2 * text.len) : NULL; /* quotes: 2 for 19 digits or more */
    size_t n = 0;
    size_t done = 0;

    *first = at;
    for (; copy && at < text.len; at = find_wide(text, done, is_wide)) {
        size_t end = piece_end(text, at);

        memcpy(copy + n, text.data + done, at - done);
        n += at - done;
        copy[n++] = '"';
        memcpy(copy + n, text.data + at, end - at);
        n += end - at;
        copy[n++] = '"';
        done = end;
    }
    if (copy)
        memcpy(copy + n, text.data + done, text.len - done);
    *len = n + text.len - done;
    return copy;
}

/* After an overflow. *why is of the text as it was given, but for its position behind a quoted number. */
static json_t *parse_wide(inf_text text, wide_key_fn is_wide, json_error_t *why)
{
    size_t len = 0;
    size_t first = 0;
    char *copy = with_quotes(text, is_wide, &len, &first);
    json_t *value = NULL;

    if (!copy)
        return NULL;
    value = json_loadb(copy, len, LINE_FLAGS, why);
    if (!value && position_of(why) > first + 2)
        why->position -= 2;
    free(copy);
    return value;
}

/* ------------------------------------------------------------------ all of it */

json_t *json_line_parse(inf_text text, const char *what, wide_key_fn is_wide, inf_error *err)
{
    json_error_t why;
    json_t *value = json_loadb(text.data, text.len, LINE_FLAGS, &why);

    if (!value && is_wide && json_error_code(&why) == json_error_numeric_overflow)
        value = parse_wide(text, is_wide, &why);
    if (!value)
        command_error(err, INF_ERROR_INVALID_ARGUMENT, "not %s: %s (column %d)", what, why.text,
                      column_of(text, position_of(&why)));
    return value;
}
