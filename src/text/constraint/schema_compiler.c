/*
 * schema_compiler: see the header.
 */
#include "text/constraint/schema_compiler.h"

#include "core/buffer.h"
#include "core/growing.h"
#include "text/constraint/schema_keys.h"
#include "text/constraint/schema_refs.h"

#include <stdlib.h>
#include <string.h>

#define MAX_WORK ((size_t)4 * 1000 * 1000)
#define MAX_RULES 20000
#define MAX_CHAIN 64 /* a $ref that is a $ref ... */

bool schema_compiler_begin(struct schema_compiler *c, json_t *root, inf_error *err)
{
    *c = (struct schema_compiler){.root = root, .err = err, .space = NOWHERE, .string = NOWHERE};
    c->owned = json_array();
    if (c->owned && graph_begin(&c->b))
        return true;
    return schema_no_memory(c);
}

void schema_compiler_end(struct schema_compiler *c)
{
    for (struct schema_pattern *p = c->patterns; p; p = p->next)
        regex_automaton_free(&p->automaton);
    graph_drop(&c->b);
    mem_free(c->rules);
    arena_free(&c->arena);
    json_decref(c->owned);
}

/* ------------------------------------------------------------------ errors */

/* One step of a JSON pointer (RFC 6901). */
static bool append_step(struct buffer *path, const char *key)
{
    bool ok = buffer_append_str(path, "/");

    for (; ok && *key; key++)
        ok = *key == '~'   ? buffer_append_str(path, "~0")
             : *key == '/' ? buffer_append_str(path, "~1")
                           : buffer_append(path, key, 1);
    return ok;
}

static bool find_place(const json_t *from, const json_t *what, struct buffer *path)
{
    size_t before = path->len;
    const char *key = NULL;
    json_t *value = NULL;
    size_t i = 0;

    if (from == what)
        return true;
    json_object_foreach((json_t *)(uintptr_t)from, key, value)
    {
        path->len = before;
        if (append_step(path, key) && find_place(value, what, path))
            return true;
    }
    for (; i < json_array_size(from); i++) {
        path->len = before;
        if (buffer_printf(path, "/%zu", i) && find_place(json_array_get(from, i), what, path))
            return true;
    }
    path->len = before;
    return false;
}

bool schema_refuse(struct schema_compiler *c, const json_t *where, const char *key, const char *why)
{
    struct buffer path;

    if (c->failed)
        return false;
    c->failed = true;
    buffer_init(&path, 400);
    if (where)
        find_place(c->root, where, &path);
    error_set(c->err, INF_ERROR_INVALID_ARGUMENT, "json_schema, at #%.*s: %s%s%s", (int)path.len,
              path.data ? path.data : "", key ? key : "", key ? " " : "", why);
    buffer_free(&path);
    return false;
}

bool schema_no_memory(struct schema_compiler *c)
{
    if (!c->failed)
        error_no_memory(c->err);
    c->failed = true;
    return false;
}

bool schema_bad_pattern(struct schema_compiler *c, const json_t *where, const char *what)
{
    char why[200];

    if (!what)
        return schema_no_memory(c);
    snprintf(why, sizeof why, "has %s, which cannot be enforced here", what);
    return schema_refuse(c, where, "pattern", why);
}

bool schema_finish_patterns(struct schema_compiler *c, const json_t *where, struct regex_set *set,
                            struct regex_automaton *out)
{
    const char *why = NULL;

    if (!regex_set_finish(set, out, &why))
        return schema_bad_pattern(c, where, why);
    return schema_step(c, out->work / 8);
}

bool schema_step(struct schema_compiler *c, size_t n)
{
    c->work += n;
    return c->work <= MAX_WORK ||
           schema_refuse(c, NULL, NULL,
                         "its grammar would be too large; use fewer alternatives and properties");
}

void schema_is_empty(struct schema_compiler *c, json_t *where, const char *why)
{
    if (c->empty_why)
        return;
    c->empty = where;
    c->empty_why = why;
}

void *schema_alloc(struct schema_compiler *c, size_t size)
{
    void *p = arena_alloc(&c->arena, size);

    if (!p)
        schema_no_memory(c);
    return p;
}

/* ------------------------------------------------------------------ claims and rules */

/* What a schema that is nothing but a $ref stands for: the same rule then serves both. */
static json_t *behind_ref(struct schema_compiler *c, json_t *schema)
{
    for (int i = 0; i < MAX_CHAIN && json_object_get(schema, "$ref"); i++) {
        const char *name = NULL;
        json_t *value = NULL;

        json_object_foreach(schema, name, value)
        {
            enum schema_key key = schema_key_of(name);

            if (key != KEY_REF && key != KEY_ANNOTATION && key != KEY_DEFINITIONS && key != KEY_ID)
                return schema;
        }
        schema = schema_resolve(c->root, json_object_get(schema, "$ref"));
    }
    return schema;
}

bool schema_claims_add(struct schema_compiler *c, struct schema_claims *claims, json_t *schema,
                       bool negated)
{
    schema = behind_ref(c, schema);
    if (json_is_boolean(schema) && json_is_true(schema) != negated)
        return true;
    if (claims->n == claims->cap) {
        size_t cap = claims->cap ? claims->cap * 2 : 4;
        struct schema_claim *grown = schema_alloc(c, cap * sizeof *grown);

        if (!grown)
            return false;
        if (claims->n)
            memcpy(grown, claims->items, claims->n * sizeof *grown);
        claims->items = grown;
        claims->cap = cap;
    }
    claims->items[claims->n++] = (struct schema_claim){schema, negated};
    return true;
}

static int by_address(const void *a, const void *b)
{
    const struct schema_claim *x = a;
    const struct schema_claim *y = b;

    if (x->schema != y->schema)
        return (uintptr_t)x->schema < (uintptr_t)y->schema ? -1 : 1;
    return (int)x->negated - (int)y->negated;
}

/* false: they contradict each other. */
static bool tidy(struct schema_claims *claims)
{
    size_t n = 0;

    if (claims->n)
        qsort(claims->items, claims->n, sizeof *claims->items, by_address);
    for (size_t i = 0; i < claims->n; i++) {
        struct schema_claim claim = claims->items[i];

        if (json_is_boolean(claim.schema))
            return false;
        if (n > 0 && claims->items[n - 1].schema == claim.schema) {
            if (claims->items[n - 1].negated != claim.negated)
                return false;
        } else {
            claims->items[n++] = claim;
        }
    }
    claims->n = n;
    return true;
}

static bool same_claims(const struct schema_claims *a, const struct schema_claims *b)
{
    for (size_t i = 0; i < a->n && a->n == b->n; i++)
        if (by_address(&a->items[i], &b->items[i]) != 0)
            return false;
    return a->n == b->n;
}

static int32_t *bucket_of(struct schema_compiler *c, const struct schema_claims *claims)
{
    uint64_t h = claims->n;

    for (size_t i = 0; i < claims->n; i++)
        h = (h ^ (uintptr_t)claims->items[i].schema ^ claims->items[i].negated) *
            UINT64_C(0x9e3779b97f4a7c15);
    return &c->buckets[h >> 32 & (SCHEMA_BUCKETS - 1)];
}

static bool is_dead(const struct schema_compiler *c, const struct schema_claims *claims)
{
    for (const struct schema_dead *d = c->dead; d; d = d->next)
        if (same_claims(&d->claims, claims))
            return true;
    return false;
}

int32_t schema_rule_of(struct schema_compiler *c, struct schema_claims *claims)
{
    int32_t *bucket = NULL;

    if (c->failed || !tidy(claims) || is_dead(c, claims))
        return NOWHERE;
    bucket = bucket_of(c, claims);
    for (int32_t i = *bucket; i; i = c->rules[i - 1].older)
        if (same_claims(&c->rules[i - 1].claims, claims))
            return c->rules[i - 1].rule;
    if (c->n_rules >= MAX_RULES || !schema_step(c, 1)) {
        schema_refuse(c, NULL, NULL, "its grammar would be too large; it has too many rules");
        return NOWHERE;
    }
    if (!GROW(c->rules, c->rules_cap, c->n_rules + 1)) {
        schema_no_memory(c);
        return NOWHERE;
    }
    c->rules[c->n_rules] = (struct schema_rule){*claims, graph_rule(&c->b), *bucket};
    *bucket = (int32_t)c->n_rules + 1;
    return c->rules[c->n_rules++].rule;
}

bool schema_compiler_again(struct schema_compiler *c, const struct grammar *g)
{
    bool found = false;

    for (size_t i = 0; i < c->n_rules; i++) {
        struct schema_dead *d = NULL;

        if (c->rules[i].rule == NOWHERE || g->rules[c->rules[i].rule] != NOWHERE)
            continue;
        d = schema_alloc(c, sizeof *d);
        if (!d)
            return false;
        *d = (struct schema_dead){c->rules[i].claims, c->dead};
        c->dead = d;
        found = true;
    }
    return found;
}

bool schema_compiler_restart(struct schema_compiler *c)
{
    graph_drop(&c->b);
    c->n_rules = 0;
    c->space = c->string = NOWHERE;
    memset(c->buckets, 0, sizeof c->buckets);
    return graph_begin(&c->b) || schema_no_memory(c);
}

/* ------------------------------------------------------------------ patterns */

static struct schema_pattern *pattern_of(struct schema_compiler *c, const json_t *where,
                                         const char *source)
{
    struct schema_pattern *p = c->patterns;
    struct regex_set *set = NULL;
    const char *why = NULL;

    while (p && strcmp(p->source, source) != 0)
        p = p->next;
    if (p)
        return p;
    p = schema_alloc(c, sizeof *p);
    set = p ? regex_set_create() : NULL;
    if (!set) {
        schema_no_memory(c);
        return NULL;
    }
    p->source = source;
    p->next = c->patterns;
    c->patterns = p;
    if (!regex_set_add(set, 0, source, strlen(source), &why))
        schema_bad_pattern(c, where, why);
    else
        schema_finish_patterns(c, where, set, &p->automaton);
    if (c->failed)
        p = NULL;
    regex_set_free(set);
    return p;
}

bool schema_matches(struct schema_compiler *c, const json_t *where, const char *source,
                    const char *text, size_t n, bool *out)
{
    const struct schema_pattern *p = c->failed ? NULL : pattern_of(c, where, source);

    if (p)
        *out = regex_automaton_match(&p->automaton, text, n) & 1;
    return p != NULL;
}
