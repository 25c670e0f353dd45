/*
 * schema_literal: values as they are printed, those that begin alike once. See schema_write.h.
 */
#include "text/constraint/schema_write.h"

#include "core/buffer.h"

#include <stdlib.h>
#include <string.h>

struct literal {
    const char *text;
    size_t len;
};

static int by_text(const void *a, const void *b)
{
    const struct literal *x = a;
    const struct literal *y = b;
    size_t n = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->text, y->text, n);

    return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* A number that is no integer by the fewest digits that are read as it; else the text, which json_dumps gives. */
static char *print_one(const json_t *value)
{
    for (size_t precision = 15; json_is_real(value) && precision < 17; precision++) {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(precision));

        if (text && strtod(text, NULL) == json_real_value(value))
            return text;
        free(text);
    }
    return json_dumps(value, JSON_ENCODE_ANY);
}

static bool append_printed(struct buffer *b, const json_t *value);

static bool append_members(struct buffer *b, const json_t *object)
{
    const char *separator = "{";
    const char *key = NULL;
    json_t *value = NULL;

    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        json_t *name = json_string(key);
        bool ok = name && buffer_append_str(b, separator) && append_printed(b, name) &&
                  buffer_append_str(b, ":") && append_printed(b, value);

        json_decref(name);
        if (!ok)
            return false;
        separator = ",";
    }
    return (json_object_size(object) > 0 || buffer_append_str(b, "{")) && buffer_append_str(b, "}");
}

static bool append_items(struct buffer *b, const json_t *array)
{
    bool ok = buffer_append_str(b, "[");

    for (size_t i = 0; ok && i < json_array_size(array); i++)
        ok = (i == 0 || buffer_append_str(b, ",")) && append_printed(b, json_array_get(array, i));
    return ok && buffer_append_str(b, "]");
}

/* As deep as the schema, which is bounded. */
static bool append_printed(struct buffer *b, const json_t *value)
{
    char *text = NULL;
    bool ok;

    if (json_is_object(value))
        return append_members(b, value);
    if (json_is_array(value))
        return append_items(b, value);
    text = print_one(value);
    ok = text && buffer_append_str(b, text);
    free(text);
    return ok;
}

/* The arena's copy of a printed value. */
static bool print(struct schema_compiler *c, const json_t *value, struct literal *out)
{
    struct buffer b;
    char *copy = NULL;

    buffer_init(&b, BUFFER_NO_LIMIT);
    if (!append_printed(&b, value))
        schema_no_memory(c);
    else
        copy = schema_alloc(c, b.len + 1);
    if (copy)
        memcpy(copy, b.data, b.len);
    *out = (struct literal){copy, b.len};
    buffer_free(&b);
    return copy != NULL;
}

/* How many bytes all of the sorted texts begin with. */
static size_t common(const struct literal *first, const struct literal *last, size_t from)
{
    while (from < first->len && from < last->len && first->text[from] == last->text[from])
        from++;
    return from;
}

/* What is left of sorted texts behind their first `from` bytes, which they share. As deep as the longest
 * text has places where they part. */
static int32_t write(struct schema_compiler *c, const struct literal *all, size_t n, size_t from,
                     int32_t next)
{
    size_t same = n ? common(&all[0], &all[n - 1], from) : 0;
    int32_t ways = NOWHERE;
    size_t i = 0;

    while (i < n && all[i].len == same) {
        ways = next;
        i++;
    }
    while (i < n) {
        size_t k = i;

        while (k < n && all[k].text[same] == all[i].text[same])
            k++;
        ways = graph_split(
            &c->b,
            graph_text(&c->b, all[i].text + same, 1, write(c, all + i, k - i, same + 1, next)),
            ways);
        i = k;
    }
    return n ? graph_text(&c->b, all[0].text + from, same - from, ways) : NOWHERE;
}

int32_t schema_write_values(struct schema_compiler *c, const json_t *values, int32_t next)
{
    size_t n = json_array_size(values);
    struct literal *all = n ? schema_alloc(c, n * sizeof *all) : NULL;

    for (size_t i = 0; all && i < n; i++)
        if (!print(c, json_array_get(values, i), &all[i]))
            return NOWHERE;
    if (!all)
        return NOWHERE;
    qsort(all, n, sizeof *all, by_text);
    return write(c, all, n, 0, next);
}

int32_t schema_write_name(struct schema_compiler *c, const char *name, int32_t next)
{
    json_t *text = json_string(name);
    struct literal printed = {NULL, 0};
    bool ok = text ? print(c, text, &printed) : schema_no_memory(c);

    json_decref(text);
    return ok ? graph_text(&c->b, printed.text, printed.len, next) : NOWHERE;
}
