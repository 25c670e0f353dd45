/* gbnf_nodes: rules, nodes and blocks of nodes of a grammar while it is compiled. */
#include "core/growing.h"
#include "core/hash.h"
#include "text/constraint/gbnf_parts.h"

#include <string.h>

bool gbnf_bad(struct parser *p, const char *why)
{
    int line = 1;

    for (const char *c = p->text; c < p->at; c++)
        line += *c == '\n';
    error_set_detail(p->err, INF_ERROR_INVALID_ARGUMENT, line, "grammar, line %d: %s", line, why);
    return false;
}

bool gbnf_no_memory(struct parser *p)
{
    error_no_memory(p->err);
    return false;
}

/* The builder has failed. */
bool gbnf_fault(struct parser *p, const char *too_large)
{
    return p->b.fault == GRAPH_NO_MEMORY ? gbnf_no_memory(p) : gbnf_bad(p, too_large);
}

/* ------------------------------------------------------------------ rules by name */

static bool new_rule(struct parser *p, const char *name, size_t len, int32_t *out)
{
    if (!GROW(p->names, p->names_cap, p->b.g->n_rules + 1))
        return gbnf_no_memory(p);
    *out = graph_rule(&p->b);
    if (*out == NOWHERE)
        return gbnf_fault(p, "too many rules");
    p->names[*out] = (struct rule_name){name, len, false};
    return true;
}

bool gbnf_named_rule(struct parser *p, const char *name, size_t len, int32_t *out)
{
    size_t b = hash_fnv(name, len) % p->n_buckets;

    for (; p->names && p->buckets[b]; b = (b + 1) % p->n_buckets) {
        const struct rule_name *r = &p->names[p->buckets[b] - 1];

        if (r->len == len && memcmp(r->name, name, len) == 0) {
            *out = p->buckets[b] - 1;
            return true;
        }
    }
    if (!new_rule(p, name, len, out))
        return false;
    p->buckets[b] = *out + 1;
    return true;
}

/* ------------------------------------------------------------------ nodes */

bool gbnf_add(struct parser *p, struct grammar_node node, int32_t *out)
{
    *out = graph_node(&p->b, node);
    return *out != NOWHERE || gbnf_fault(p, "its repetitions make it too large");
}

bool gbnf_add_jump(struct parser *p, int32_t *out)
{
    return gbnf_add(p, (struct grammar_node){.kind = GRAMMAR_JUMP, .next = NOWHERE}, out);
}

bool gbnf_add_split(struct parser *p, int32_t first, int32_t second, int32_t *out)
{
    return gbnf_add(p, (struct grammar_node){.kind = GRAMMAR_SPLIT, .next = first, .value = second},
                    out);
}

void gbnf_lead(struct parser *p, int32_t from, int32_t to)
{
    p->b.g->nodes[from].next = to;
}

/* A node with one way on, as a block of its own. */
bool gbnf_single(struct parser *p, struct grammar_node node, struct block *out)
{
    *out = (struct block){.at = p->b.g->n_nodes};
    node.next = (int32_t)p->b.g->n_nodes + 1;
    return gbnf_add(p, node, &out->entry) && gbnf_add_jump(p, &out->exit);
}

/* b, which was written last, behind a. */
void gbnf_join(struct parser *p, struct block *a, const struct block *b)
{
    if (b->empty)
        return;
    if (a->empty) {
        *a = *b;
        return;
    }
    gbnf_lead(p, a->exit, b->entry);
    a->exit = b->exit;
}

/* ------------------------------------------------------------------ repetitions */

static bool copy_block(struct parser *p, size_t at, size_t n)
{
    int32_t shift = (int32_t)(p->b.g->n_nodes - at);

    for (size_t i = 0; i < n; i++) {
        struct grammar_node node = p->b.g->nodes[at + i];
        int32_t copy = 0;

        if (node.next != NOWHERE)
            node.next += shift;
        if (node.kind == GRAMMAR_SPLIT)
            node.value += shift;
        if (!gbnf_add(p, node, &copy))
            return false;
    }
    return true;
}

/* S{min,max}: `max` copies, of which those behind the first `min` may be left out; endless: `min`
 * copies, one at least, and the last may come again. */
bool gbnf_repeat(struct parser *p, struct block *b, int64_t min, int64_t max, bool endless)
{
    size_t n = p->b.g->n_nodes - b->at;
    int64_t copies = !endless ? max : min > 0 ? min : 1;
    int32_t entry = b->entry - (int32_t)b->at;
    int32_t exit = b->exit - (int32_t)b->at;
    int32_t out = 0;
    int32_t before = NOWHERE; /* leads to the next copy */
    int32_t first = NOWHERE;

    if (copies == 0) {
        p->b.g->n_nodes = b->at;
        b->empty = true;
        return true;
    }
    for (int64_t k = 1; k < copies; k++)
        if (!copy_block(p, b->at, n))
            return false;
    if (!gbnf_add_jump(p, &out))
        return false;
    for (int64_t k = 0; k < copies; k++) {
        int32_t start = (int32_t)(b->at + (size_t)k * n) + entry;
        int32_t stop = (int32_t)(b->at + (size_t)k * n) + exit;
        int32_t split = NOWHERE;

        if (k >= min && !gbnf_add_split(p, start, out, &split))
            return false;
        if (split != NOWHERE)
            start = split;
        if (k == 0)
            first = start;
        else
            gbnf_lead(p, before, start);
        before = stop;
        if (endless && k == copies - 1) {
            /* min 0: the split before it; else one behind it. */
            if (split == NOWHERE && !gbnf_add_split(p, start, out, &split))
                return false;
            gbnf_lead(p, stop, split);
            before = NOWHERE;
        }
    }
    if (before != NOWHERE)
        gbnf_lead(p, before, out);
    b->entry = first;
    b->exit = out;
    return true;
}
