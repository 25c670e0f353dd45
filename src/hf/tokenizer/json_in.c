/* json_in: see the header. */
#include "hf/tokenizer/json_in.h"

#include "core/utf8.h"

#include <string.h>

void json_in_init(struct json_in *in, char *text, size_t len)
{
    *in = (struct json_in){text, text + len, text, NULL};
}

bool json_in_fail(struct json_in *in, const char *what)
{
    if (!in->failed)
        in->failed = what;
    return false;
}

static void skip_space(struct json_in *in)
{
    while (in->at < in->end && scan_is_space(*in->at))
        in->at++;
}

char json_in_peek(struct json_in *in)
{
    if (in->failed)
        return 0;
    skip_space(in);
    if (in->at == in->end)
        return 0;
    return is_digit(*in->at) || *in->at == '-' ? '0' : *in->at;
}

bool json_in_open(struct json_in *in, char bracket)
{
    if (json_in_peek(in) != bracket)
        return json_in_fail(in, bracket == '{' ? "an object is expected" : "an array is expected");
    in->at++;
    return true;
}

/* The comma before all but the first; false at the closing bracket, which is then behind us. */
static bool at_next(struct json_in *in, bool *first, char closing)
{
    if (json_in_peek(in) == closing) {
        in->at++;
        return false;
    }
    if (!*first && (json_in_peek(in) != ',' || (in->at++, json_in_peek(in) == closing)))
        return json_in_fail(in, "a comma or a closing bracket is expected");
    *first = false;
    return true;
}

bool json_in_member(struct json_in *in, bool *first, struct json_span *key)
{
    if (in->failed || !at_next(in, first, '}') || !json_in_string(in, key))
        return false;
    if (json_in_peek(in) != ':')
        return json_in_fail(in, "a colon is expected");
    in->at++;
    return true;
}

bool json_in_item(struct json_in *in, bool *first)
{
    return !in->failed && at_next(in, first, ']');
}

/* The escape at in->at, written to `to`; how many bytes, 0: none. */
static size_t take_escape(struct json_in *in, char *to)
{
    uint32_t code = 0;
    const char *behind = scan_escape(in->at, in->end, &code);
    char bytes[4];
    size_t n = 0;

    if (!behind || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    n = utf8_encode(bytes, code);
    memcpy(to, bytes, n);
    in->at += behind - in->at;
    return n;
}

/* From the first escape on: what follows is moved down, over it. */
static bool unescape(struct json_in *in, struct json_span *out)
{
    char *to = in->at;

    while (in->at < in->end && *in->at != '"') {
        size_t n = 1;

        if ((unsigned char)*in->at < 0x20)
            return json_in_fail(in, "a control character in a string");
        if (*in->at == '\\')
            n = take_escape(in, to);
        else
            *to = *in->at++;
        if (n == 0)
            return json_in_fail(in, "a damaged escape in a string");
        to += n;
    }
    if (in->at == in->end)
        return json_in_fail(in, "a string does not end");
    out->len = (size_t)(to - out->data);
    in->at++;
    return true;
}

bool json_in_string(struct json_in *in, struct json_span *out)
{
    char *at = NULL;

    if (json_in_peek(in) != '"')
        return json_in_fail(in, "a string is expected");
    at = ++in->at;
    out->data = at;
    at += scan_plain(at, (size_t)(in->end - at));
    in->at = at;
    if (at == in->end || *at != '"')
        return unescape(in, out);
    out->len = (size_t)(at - out->data);
    in->at++;
    return true;
}

bool json_in_id(struct json_in *in, uint32_t *out)
{
    uint64_t n = 0;
    char *begin = NULL;

    if (json_in_peek(in) != '0')
        return json_in_fail(in, "a number is expected");
    for (begin = in->at; in->at < in->end && is_digit(*in->at); in->at++)
        if ((n = n * 10 + (uint64_t)(*in->at - '0')) > UINT32_MAX)
            return json_in_fail(in, "a number is too large");
    if (in->at == begin || (*begin == '0' && in->at - begin > 1) ||
        (in->at < in->end && strchr(".eE", *in->at) && *in->at))
        return json_in_fail(in, "a whole number from 0 on is expected");
    *out = (uint32_t)n;
    return true;
}

bool json_in_real(struct json_in *in, double *out)
{
    struct json_span number;

    return json_in_peek(in) == '0' ? json_in_skip(in, &number) && scan_real(number, out)
                                   : json_in_fail(in, "a number is expected");
}

static bool take_word(struct json_in *in, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(in->end - in->at) < n || memcmp(in->at, word, n) != 0)
        return json_in_fail(in, "a value is expected");
    in->at += n;
    return true;
}

bool json_in_null(struct json_in *in)
{
    return json_in_peek(in) == 'n' && take_word(in, "null");
}

bool json_in_bool(struct json_in *in, bool *out, bool absent)
{
    char c = json_in_peek(in);

    *out = c == 'n' ? absent : c == 't';
    if (c == 'n' || c == 't' || c == 'f')
        return take_word(in, c == 'n' ? "null" : c == 't' ? "true" : "false");
    return json_in_fail(in, "true or false is expected");
}

static bool pass_number(struct json_in *in)
{
    const char *behind = scan_number_end(in->at, in->end);

    if (!behind)
        return json_in_fail(in, "a number is damaged");
    in->at += behind - in->at;
    return true;
}

/* Strings stay as they stand in the file. */
static bool pass_string(struct json_in *in)
{
    for (in->at++; in->at < in->end && *in->at != '"'; in->at++) {
        if ((unsigned char)*in->at < 0x20)
            return json_in_fail(in, "a control character in a string");
        if (*in->at == '\\' && ++in->at == in->end)
            break;
    }
    if (in->at == in->end)
        return json_in_fail(in, "a string does not end");
    in->at++;
    return true;
}

static bool pass_scalar(struct json_in *in)
{
    switch (json_in_peek(in)) {
    case '"':
        return pass_string(in);
    case 't':
        return take_word(in, "true");
    case 'f':
        return take_word(in, "false");
    case 'n':
        return take_word(in, "null");
    case '0':
        return pass_number(in);
    default:
        return json_in_fail(in, "a value is expected");
    }
}

/* Brackets are only counted here: scan_json looks at what was skipped once it is wanted. */
static bool pass_nested(struct json_in *in)
{
    unsigned depth = 0;

    do {
        char c = json_in_peek(in);

        if (c == '{' || c == '[') {
            if (++depth > JSON_IN_DEPTH)
                return json_in_fail(in, "it is nested too deeply");
            in->at++;
        } else if (c == '}' || c == ']') {
            depth--;
            in->at++;
        } else if (c == ',' || c == ':') {
            in->at++;
        } else if (!pass_scalar(in)) {
            return false;
        }
    } while (depth > 0);
    return true;
}

bool json_in_skip(struct json_in *in, struct json_span *out)
{
    char c = json_in_peek(in);

    out->data = in->at;
    if (c == '{' || c == '[' ? !pass_nested(in) : !pass_scalar(in))
        return false;
    out->len = (size_t)(in->at - out->data);
    return true;
}

bool json_in_end(struct json_in *in)
{
    if (in->failed)
        return false;
    skip_space(in);
    return in->at == in->end || json_in_fail(in, "something follows its end");
}
