/*
 * schema_literal: values as they are printed, those that begin alike once. See schema_write.h.
 */
#include "text/constraint/schema_write.h"

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

/* The arena's copy of a printed value. */
static bool print(struct schema_compiler *c, const json_t *value, struct literal *out)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    size_t n = text ? strlen(text) : 0;
    char *copy = text ? schema_alloc(c, n + 1) : NULL;

    if (copy)
        memcpy(copy, text, n);
    else if (!text)
        schema_no_memory(c);
    free(text);
    *out = (struct literal){copy, n};
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
