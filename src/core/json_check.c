/* json_check: see the header. */
#include "core/json_check.h"

#include "core/error.h"
#include "core/growing.h"
#include "core/hash.h"
#include "core/json.h"
#include "core/memory.h"
#include "core/utf8.h"

#include <stdlib.h>
#include <string.h>

/* A key, and the object that it stands in: objects are counted as they open. */
struct key {
    size_t object;
    uint64_t hash;
    struct json_span text; /* with its quotes */
};

struct check {
    const char *at, *end;
    size_t open[JSON_MAX_DEPTH]; /* the objects around; a list has the number of none */
    size_t depth, n_objects;
    struct key *keys;
    size_t n_keys, capacity;
};

/* What the string means; its bytes as they stand are borrowed, else they are in `memory`. */
static bool meaning_of(struct json_span *out, struct buffer *memory, struct json_span string)
{
    *out = (struct json_span){string.data + 1, string.len - 2};
    if (!memchr(out->data, '\\', out->len))
        return true;
    buffer_clear(memory);
    if (!scan_unescape(memory, string))
        return false;
    *out = (struct json_span){memory->data ? memory->data : "", memory->len};
    return true;
}

static bool add_key(struct check *c, struct json_span string)
{
    struct json_span meaning = {NULL, 0};
    struct buffer memory;
    bool ok = GROW(c->keys, c->capacity, c->n_keys + 1);

    buffer_init(&memory, BUFFER_NO_LIMIT);
    ok = ok && meaning_of(&meaning, &memory, string);
    if (ok)
        c->keys[c->n_keys++] = (struct key){c->open[c->depth - 1],
                                            hash_fnv(meaning.data, meaning.len), string};
    buffer_free(&memory);
    return ok;
}

/* The first escape in a scanned string that is half of a pair, or NULL. */
static const char *half_pair(struct json_span string)
{
    const char *end = string.data + string.len - 1;
    bool high = false; /* one stands right before */

    for (const char *at = string.data + 1; at < end;) {
        bool is_unit = *at == '\\' && at[1] == 'u' && (at[2] == 'd' || at[2] == 'D');
        bool is_high = is_unit && strchr("89abAB", at[3]);
        bool is_low = is_unit && strchr("cdefCDEF", at[3]);

        if (high != is_low)
            return high ? at - 6 : at;
        high = is_high;
        at += is_unit || (*at == '\\' && at[1] == 'u') ? 6 : *at == '\\' ? 2 : 1;
    }
    return high ? end - 6 : NULL;
}

static int32_t refuse(inf_error *err, const char *field, inf_text text, const char *at,
                      const char *what, struct json_span key)
{
    size_t line = 1;
    size_t column = 1; /* in characters */

    for (const char *p = text.data; p < at; p++) {
        column += !utf8_goes_on(*p);
        if (*p == '\n') {
            line++;
            column = 1;
        }
    }
    return error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, at - text.data,
                            "%s: line %zu column %zu: %s%.*s", field, line, column, what,
                            (int)(key.len < 400 ? key.len : 400), key.data);
}

/* A string of a scanned text stands at c->at. */
static int32_t take_string(struct check *c, inf_text text, const char *field, inf_error *err)
{
    struct json_span string = {c->at, (size_t)(scan_string_end(c->at, c->end) - c->at)};
    const char *half = half_pair(string);
    const char *behind = c->at + string.len;

    c->at = behind;
    if (half)
        return refuse(err, field, text, half, "half of a surrogate pair, which is no character: ",
                      (struct json_span){half, 6});
    while (behind < c->end && strchr(" \t\r\n", *behind))
        behind++;
    if (behind < c->end && *behind == ':' && !add_key(c, string))
        return error_no_memory(err);
    return INF_OK;
}

static int32_t collect(struct check *c, inf_text text, const char *field, inf_error *err)
{
    int32_t code = INF_OK;

    while (c->at < c->end && code == INF_OK) {
        char byte = *c->at;

        if (byte == '"') {
            code = take_string(c, text, field, err);
            continue;
        }
        if (byte == '{' || byte == '[')
            c->open[c->depth++] = c->n_objects += byte == '{';
        c->depth -= byte == '}' || byte == ']';
        c->at++;
    }
    return code;
}

static int by_object(const void *a, const void *b)
{
    const struct key *x = a;
    const struct key *y = b;

    if (x->object != y->object)
        return x->object < y->object ? -1 : 1;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->text.data < y->text.data ? -1 : x->text.data > y->text.data;
}

/* Of the same hash. */
static bool same_key(const struct key *a, const struct key *b)
{
    struct json_span x, y;
    struct buffer memory[2];
    bool same = false;

    buffer_init(&memory[0], BUFFER_NO_LIMIT);
    buffer_init(&memory[1], BUFFER_NO_LIMIT);
    same = meaning_of(&x, &memory[0], a->text) && meaning_of(&y, &memory[1], b->text) &&
           x.len == y.len && memcmp(x.data, y.data, x.len) == 0;
    buffer_free(&memory[0]);
    buffer_free(&memory[1]);
    return same;
}

/* The first key that stands in its object already, or NULL. */
static const struct key *find_double(struct check *c)
{
    const struct key *found = NULL;

    if (c->n_keys)
        qsort(c->keys, c->n_keys, sizeof *c->keys, by_object);
    for (size_t i = 1; i < c->n_keys; i++) {
        const struct key *a = &c->keys[i - 1];
        const struct key *b = &c->keys[i];

        if (a->object == b->object && a->hash == b->hash &&
            (!found || b->text.data < found->text.data) && same_key(a, b))
            found = b;
    }
    return found;
}

int32_t json_check(inf_text text, const char *field, inf_error *err)
{
    struct check c = {0};
    struct json_span all;
    const struct key *twice = NULL;
    int32_t code = INF_OK;

    if (!text.data || !scan_json(&all, text.data, text.len))
        return INF_OK;
    c.at = all.data;
    c.end = all.data + all.len;
    code = collect(&c, text, field, err);
    twice = code == INF_OK ? find_double(&c) : NULL;
    if (twice)
        code = refuse(err, field, text, twice->text.data,
                      "a key stands twice in an object: ", twice->text);
    mem_free(c.keys);
    return code;
}
