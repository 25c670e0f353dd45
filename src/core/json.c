/* json: see the header. */
#include "core/json.h"

#include "core/ascii.h"
#include "core/utf8.h"

#include <math.h>
#include <string.h>

/* ------------------------------------------------------------------ skipping, and so checking */

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && scan_is_space(*at))
        at++;
    return at;
}

struct json_span scan_trim(const char *text, size_t len)
{
    while (len && scan_is_space(text[len - 1]))
        len--;
    for (; len && scan_is_space(*text); len--)
        text++;
    return (struct json_span){text, len};
}

/* The code unit of the four digits at `at`, or -1. */
static int32_t hex_unit(const char *at, const char *end)
{
    uint32_t unit = 0;

    return end - at >= 4 && read_hex_digits(at, 4, &unit) ? (int32_t)unit : -1;
}

size_t scan_plain(const char *s, size_t n)
{
    const uint64_t ones = UINT64_MAX / 255;
    size_t i = 0;

    /* Eight are looked at together: a byte is found where subtracting borrows from its upper bit. */
    for (uint64_t x, found; i + sizeof x <= n; i += sizeof x) {
        uint64_t quote, slash;

        memcpy(&x, s + i, sizeof x);
        quote = x ^ (ones * '"');
        slash = x ^ (ones * '\\');
        found = ((x - ones * 0x20) & ~x) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash);
        if (found & (ones * 0x80))
            break;
    }
    while (i < n && (unsigned char)s[i] >= 0x20 && s[i] != '"' && s[i] != '\\')
        i++;
    return i;
}

const char *scan_escape(const char *at, const char *end, uint32_t *code)
{
    static const char names[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    const char *name = end - at < 2 || at[1] == '\0' ? NULL : strchr(names, at[1]);
    int32_t unit = -1, low = -1;

    if (name)
        *code = (unsigned char)meanings[name - names];
    if (name)
        return at + 2;
    if (end - at >= 6 && at[1] == 'u')
        unit = hex_unit(at + 2, end);
    if (unit < 0)
        return NULL;
    *code = (uint32_t)unit;
    at += 6;
    if (utf8_is_high(*code) && end - at >= 6 && at[0] == '\\' && at[1] == 'u')
        low = hex_unit(at + 2, end);
    if (!utf8_is_low((uint32_t)low))
        return at;
    *code = utf8_joined(*code, (uint32_t)low);
    return at + 6;
}

/* Behind the string whose quote stands at `at`, or NULL. */
static const char *skip_string(const char *at, const char *end)
{
    uint32_t code = 0;

    for (at++; at; at = scan_escape(at, end, &code)) {
        at += scan_plain(at, (size_t)(end - at));
        if (at == end || (unsigned char)*at < 0x20)
            return NULL;
        if (*at == '"')
            return at + 1;
    }
    return NULL;
}

static bool at_digit(const char *at, const char *end)
{
    return at < end && is_digit(*at);
}

static const char *skip_digits(const char *at, const char *end)
{
    if (!at_digit(at, end))
        return NULL;
    while (at_digit(at, end))
        at++;
    return at;
}

const char *scan_number_end(const char *at, const char *end)
{
    if (at < end && *at == '-')
        at++;
    if (at < end && *at == '0')
        at++;
    else
        at = skip_digits(at, end);
    if (at && at < end && *at == '.')
        at = skip_digits(at + 1, end);
    if (at && at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        at = skip_digits(at, end);
    }
    return at;
}

static const char *skip_word(const char *at, const char *end, const char *word)
{
    size_t n = strlen(word);

    return (size_t)(end - at) >= n && memcmp(at, word, n) == 0 ? at + n : NULL;
}

static const char *skip_scalar(const char *at, const char *end)
{
    switch (*at) {
    case '"':
        return skip_string(at, end);
    case 't':
        return skip_word(at, end, "true");
    case 'f':
        return skip_word(at, end, "false");
    case 'n':
        return skip_word(at, end, "null");
    default:
        return scan_number_end(at, end);
    }
}

/* Behind `"key" :`, or NULL. */
static const char *skip_key(const char *at, const char *end)
{
    at = skip_space(at, end);
    if (at == end || *at != '"')
        return NULL;
    at = skip_string(at, end);
    if (!at)
        return NULL;
    at = skip_space(at, end);
    return at < end && *at == ':' ? at + 1 : NULL;
}

/* What is open: a bit each, set for an object. */
struct nesting {
    uint64_t objects[JSON_MAX_DEPTH / 64];
    unsigned depth;
};

static bool open_one(struct nesting *n, bool object)
{
    uint64_t bit = UINT64_C(1) << (n->depth % 64);

    if (n->depth == JSON_MAX_DEPTH)
        return false;
    if (n->depth % 64 == 0)
        n->objects[n->depth / 64] = 0;
    if (object)
        n->objects[n->depth / 64] |= bit;
    else
        n->objects[n->depth / 64] &= ~bit;
    n->depth++;
    return true;
}

static bool in_object(const struct nesting *n)
{
    return n->objects[(n->depth - 1) / 64] >> ((n->depth - 1) % 64) & 1;
}

/* At a value's end: closes what ends there and stands where the next value begins; *over: the
 * outermost one has ended at the place returned. NULL: no JSON. */
static const char *after_value(struct nesting *n, const char *at, const char *end, bool *over)
{
    while (n->depth > 0) {
        at = skip_space(at, end);
        if (at == end)
            return NULL;
        if (*at == ',')
            return in_object(n) ? skip_key(at + 1, end) : at + 1;
        if (*at != (in_object(n) ? '}' : ']'))
            return NULL;
        n->depth--;
        at++;
    }
    *over = true;
    return at;
}

/* Behind the value at `at` (no white space before it), or NULL. */
static const char *skip_value(const char *at, const char *end)
{
    struct nesting n;
    bool over = false;

    n.depth = 0;
    while (at && !over) {
        at = skip_space(at, end);
        if (at == end)
            return NULL;
        if (*at != '{' && *at != '[') {
            at = skip_scalar(at, end);
        } else {
            bool object = *at == '{';
            const char *inside = skip_space(at + 1, end);

            if (inside == end || !open_one(&n, object))
                return NULL;
            if (*inside != (object ? '}' : ']')) {
                at = object ? skip_key(inside, end) : inside;
                continue;
            }
            at = inside; /* empty: after_value closes it */
        }
        if (at)
            at = after_value(&n, at, end, &over);
    }
    return at;
}

bool scan_json(struct json_span *out, const char *text, size_t len)
{
    const char *end = text + len;
    const char *begin = skip_space(text, end);
    const char *behind = begin == end ? NULL : skip_value(begin, end);

    *out = (struct json_span){NULL, 0};
    if (!behind || skip_space(behind, end) != end)
        return false;
    *out = (struct json_span){begin, (size_t)(behind - begin)};
    return true;
}

void json_step(struct json_place *p, char c)
{
    if (p->escaped) {
        p->escaped = false;
    } else if (p->in_string) {
        p->escaped = c == '\\';
        p->in_string = c != '"';
    } else if (c == '{' || c == '[') {
        p->depth++;
    } else if (c == '}' || c == ']') {
        p->depth -= p->depth > 0;
    } else {
        p->in_string = c == '"';
    }
}

/* ------------------------------------------------------------------ walking what was scanned */

static bool walk(struct json_walk *w, struct json_span v, char opening)
{
    *w = (struct json_walk){NULL, NULL};
    if (!v.data || *v.data != opening)
        return false;
    w->at = v.data + 1;
    w->end = v.data + v.len - 1; /* the closing bracket */
    return true;
}

bool scan_object(struct json_walk *w, struct json_span object)
{
    return walk(w, object, '{');
}

bool scan_array(struct json_walk *w, struct json_span array)
{
    return walk(w, array, '[');
}

/* At the next element; false when there is none. */
static bool at_element(struct json_walk *w)
{
    if (!w->at)
        return false;
    w->at = skip_space(w->at, w->end);
    if (w->at < w->end && *w->at == ',')
        w->at = skip_space(w->at + 1, w->end);
    return w->at < w->end;
}

/* What was scanned needs no second check: only where a string ends, */
const char *scan_string_end(const char *at, const char *end)
{
    size_t escapes = 1; /* an odd number of them escapes the quote */

    while (escapes % 2 && (at = memchr(at + 1, '"', (size_t)(end - at - 1))) != NULL)
        for (escapes = 0; at[-1 - (ptrdiff_t)escapes] == '\\'; escapes++) {
        }
    return at ? at + 1 : NULL;
}

/* or a value, or NULL. */
static const char *end_of_value(const char *at, const char *end)
{
    int depth = 0;

    if (*at != '"' && *at != '{' && *at != '[')
        return skip_scalar(at, end);
    do {
        if (*at == '"') {
            at = scan_string_end(at, end);
        } else {
            depth += (*at == '{' || *at == '[') - (*at == '}' || *at == ']');
            at++;
        }
    } while (at && at < end && depth > 0);
    return depth == 0 ? at : NULL;
}

static void take_value(struct json_walk *w, struct json_span *value)
{
    const char *begin = skip_space(w->at, w->end);
    const char *behind = begin < w->end ? end_of_value(begin, w->end) : NULL;

    *value = (struct json_span){begin, behind ? (size_t)(behind - begin) : 0};
    w->at = behind;
}

bool scan_next_member(struct json_walk *w, struct json_span *key, struct json_span *value)
{
    const char *begin = NULL;

    if (!at_element(w))
        return false;
    begin = w->at;
    w->at = scan_string_end(begin, w->end);
    if (!w->at)
        return false;
    *key = (struct json_span){begin, (size_t)(w->at - begin)};
    w->at = skip_space(w->at, w->end) + 1;
    take_value(w, value);
    return w->at != NULL;
}

bool scan_next_item(struct json_walk *w, struct json_span *item)
{
    if (!at_element(w))
        return false;
    take_value(w, item);
    return w->at != NULL;
}

struct json_span scan_member(struct json_span object, const char *name)
{
    struct json_span found = {NULL, 0};
    struct json_span key, value;
    struct json_walk w;

    scan_object(&w, object);
    while (scan_next_member(&w, &key, &value))
        if (scan_equals(key, name))
            found = value;
    return found;
}

bool scan_is_object(struct json_span v)
{
    return v.data && *v.data == '{';
}

bool scan_is_array(struct json_span v)
{
    return v.data && *v.data == '[';
}

bool scan_is_string(struct json_span v)
{
    return v.data && *v.data == '"';
}

bool scan_is_number(struct json_span v)
{
    return v.data && (*v.data == '-' || is_digit(*v.data));
}

bool scan_is_true(struct json_span v)
{
    return v.data && *v.data == 't';
}

bool scan_is_false(struct json_span v)
{
    return v.data && *v.data == 'f';
}

bool scan_is_none(struct json_span v)
{
    return !v.data || *v.data == 'n';
}

/* ------------------------------------------------------------------ strings */

/* What the escape at *at means, into out; its length. */
static size_t read_escape(char out[4], const char **at, const char *end)
{
    uint32_t code = 0;

    *at = scan_escape(*at, end, &code);
    return utf8_encode(out, code);
}

bool scan_unescape(struct buffer *out, struct json_span string)
{
    const char *at = string.data + 1;
    const char *end = string.data + string.len - 1;

    if (!buffer_reserve(out, (size_t)(end - at)))
        return false;
    while (at < end) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        char meaning[4];

        if (!escape)
            return buffer_append(out, at, (size_t)(end - at));
        if (!buffer_append(out, at, (size_t)(escape - at)))
            return false;
        at = escape;
        if (!buffer_append(out, meaning, read_escape(meaning, &at, end)))
            return false;
    }
    return true;
}

bool scan_equals(struct json_span string, const char *text)
{
    const char *at = NULL;
    const char *end = NULL;
    size_t n = strlen(text);

    if (!scan_is_string(string))
        return false;
    if (!memchr(string.data, '\\', string.len))
        return string.len == n + 2 && memcmp(string.data + 1, text, n) == 0;
    at = string.data + 1;
    end = string.data + string.len - 1;
    while (at < end) {
        char meaning[4];
        size_t length = 1;

        if (*at == '\\')
            length = read_escape(meaning, &at, end);
        else
            meaning[0] = *at++;
        for (size_t i = 0; i < length; i++)
            if (*text == '\0' || *text++ != meaning[i])
                return false;
    }
    return *text == '\0';
}

/* ------------------------------------------------------------------ numbers */

bool scan_integer(struct json_span v, int64_t *out)
{
    bool negative = scan_is_number(v) && *v.data == '-';
    uint64_t sum = 0;

    if (!scan_is_number(v))
        return false;
    for (size_t i = negative; i < v.len; i++) {
        unsigned digit = (unsigned)(v.data[i] - '0');

        if (digit > 9 || sum > ((uint64_t)INT64_MAX + negative - digit) / 10)
            return false;
        sum = sum * 10 + digit;
    }
    *out = (int64_t)(negative ? 0 - sum : sum);
    return true;
}

/* Digits into a whole number and a power of ten; digits beyond 19 count as zeros. */
static const char *read_digits(const char *at, const char *end, uint64_t *digits, int64_t *exponent,
                               int64_t step)
{
    for (; at_digit(at, end); at++) {
        if (*digits < UINT64_MAX / 10 - 1) {
            *digits = *digits * 10 + (uint64_t)(*at - '0');
            *exponent -= step;
        } else {
            *exponent += 1 - step;
        }
    }
    return at;
}

bool scan_real(struct json_span v, double *out)
{
    const char *end = NULL;
    const char *at = v.data;
    bool negative = false;
    uint64_t digits = 0;
    int64_t exponent = 0;

    if (!scan_is_number(v))
        return false;
    end = v.data + v.len;
    negative = *at == '-';
    at = read_digits(at + negative, end, &digits, &exponent, 0);
    if (at < end && *at == '.')
        at = read_digits(at + 1, end, &digits, &exponent, 1);
    if (at < end) {
        bool down = at[1] == '-';
        int64_t told = 0;

        for (at += 1 + (at[1] == '-' || at[1] == '+'); at < end; at++)
            told = told < 100000 ? told * 10 + (*at - '0') : told;
        exponent += down ? -told : told;
    }
    *out = (double)digits;
    if (digits && exponent < -300) /* in two steps: 10^-310 is no normal number */
        *out = *out / 1e300 * pow(10.0, (double)(exponent + 300));
    else if (digits && exponent < 0)
        *out /= pow(10.0, (double)-exponent);
    else if (digits)
        *out *= pow(10.0, (double)exponent);
    if (negative)
        *out = -*out;
    return true;
}
