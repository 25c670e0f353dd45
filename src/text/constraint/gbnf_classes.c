/* gbnf_classes: classes of characters, as they are read. */
#include "text/constraint/gbnf_parts.h"

/* ------------------------------------------------------------------ characters as bytes */

bool gbnf_add_range(struct parser *p, uint32_t low, uint32_t high)
{
    if (p->n_ranges == MAX_RANGES)
        return gbnf_bad(p, "a character class of more than 4096 parts");
    p->ranges[p->n_ranges++] = (struct code_range){low, high};
    return true;
}

/* Sorted, without overlaps. Insertion: a class is written by hand. */
void gbnf_sort_ranges(struct parser *p)
{
    size_t n = 0;

    for (size_t i = 1; i < p->n_ranges; i++) {
        struct code_range r = p->ranges[i];
        size_t k = i;

        for (; k > 0 && p->ranges[k - 1].low > r.low; k--)
            p->ranges[k] = p->ranges[k - 1];
        p->ranges[k] = r;
    }
    for (size_t i = 0; i < p->n_ranges; i++) {
        struct code_range r = p->ranges[i];

        if (n > 0 && r.low <= p->ranges[n - 1].high + 1) {
            if (r.high > p->ranges[n - 1].high)
                p->ranges[n - 1].high = r.high;
        } else {
            p->ranges[n++] = r;
        }
    }
    p->n_ranges = n;
}

/* Sorted ranges become what lies between them. */
bool gbnf_complement(struct parser *p)
{
    uint32_t from = 0;
    size_t n = 0;

    for (size_t i = 0; i < p->n_ranges; i++) {
        struct code_range r = p->ranges[i];

        if (r.low > from) /* at most as many as were read */
            p->ranges[n++] = (struct code_range){from, r.low - 1};
        from = r.high + 1;
    }
    p->n_ranges = n;
    return from > LAST_CODE || gbnf_add_range(p, from, LAST_CODE);
}

/* The ranges that were read, as a block. A class of nothing (all surrogates) matches nothing. */
bool gbnf_write_class(struct parser *p, struct block *out)
{
    *out = (struct block){.at = p->b.g->n_nodes};
    if (!gbnf_add_jump(p, &out->exit))
        return false;
    out->entry = graph_class(&p->b, p->ranges, p->n_ranges, out->exit);
    if (p->b.fault != GRAPH_FINE)
        return gbnf_fault(p, "its repetitions make it too large");
    return out->entry != NOWHERE ||
           gbnf_add(
               p,
               (struct grammar_node){.kind = GRAMMAR_RANGE, .low = 1, .high = 0, .next = out->exit},
               &out->entry);
}
