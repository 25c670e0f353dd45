/* gbnf_classes: characters and classes of them as bytes of UTF-8. */
#include "core/growing.h"
#include "core/utf8.h"
#include "text/constraint/gbnf_parts.h"

/* ------------------------------------------------------------------ characters as bytes */

bool gbnf_add_range(struct parser *p, uint32_t low, uint32_t high)
{
    if (p->n_ranges == MAX_RANGES)
        return gbnf_bad(p, "a character class of more than 4096 parts");
    p->ranges[p->n_ranges++] = (struct range){low, high};
    return true;
}

/* Sorted, without overlaps. Insertion: a class is written by hand. */
void gbnf_sort_ranges(struct parser *p)
{
    size_t n = 0;

    for (size_t i = 1; i < p->n_ranges; i++) {
        struct range r = p->ranges[i];
        size_t k = i;

        for (; k > 0 && p->ranges[k - 1].low > r.low; k--)
            p->ranges[k] = p->ranges[k - 1];
        p->ranges[k] = r;
    }
    for (size_t i = 0; i < p->n_ranges; i++) {
        struct range r = p->ranges[i];

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
        struct range r = p->ranges[i];

        if (r.low > from) /* at most as many as were read */
            p->ranges[n++] = (struct range){from, r.low - 1};
        from = r.high + 1;
    }
    p->n_ranges = n;
    return from > LAST_CODE || gbnf_add_range(p, from, LAST_CODE);
}

/* One more way through the class: a chain of nodes that ends at the block's exit. */
static bool add_way(struct parser *p, struct block *b, int32_t start)
{
    if (b->entry == NOWHERE) {
        b->entry = start;
        return true;
    }
    return gbnf_add_split(p, b->entry, start, &b->entry);
}

/* The sequences from low to high, whose bytes differ as ranges do: each place from its low to its
 * high byte. */
static bool add_bytes(struct parser *p, struct block *b, const char *low, const char *high,
                      size_t n)
{
    int32_t next = b->exit;

    for (size_t i = n; i-- > 0;)
        if (!gbnf_add(p,
                      (struct gbnf_node){.kind = GBNF_RANGE,
                                         .low = (unsigned char)low[i],
                                         .high = (unsigned char)high[i],
                                         .next = next},
                      &next))
            return false;
    return add_way(p, b, next);
}

/* Splits a range of code points whose sequences have one length until each part is such a product:
 * the places behind the first that differs run from 80 to BF. */
static bool add_codes(struct parser *p, struct block *b, uint32_t low, uint32_t high)
{
    char first[4], last[4];
    size_t n = utf8_encode(first, low);

    utf8_encode(last, high);
    for (size_t i = 1; i < n; i++) {
        uint32_t mask = ((uint32_t)1 << (6 * i)) - 1; /* of the last i places */

        if ((low & ~mask) == (high & ~mask))
            break;
        if ((low & mask) != 0)
            return add_codes(p, b, low, low | mask) && add_codes(p, b, (low | mask) + 1, high);
        if ((high & mask) != mask)
            return add_codes(p, b, low, (high & ~mask) - 1) && add_codes(p, b, high & ~mask, high);
    }
    return add_bytes(p, b, first, last, n);
}

/* Beyond ASCII, by the length of the sequence, and without the surrogates. */
static bool add_beyond_ascii(struct parser *p, struct block *b, struct range r)
{
    static const struct range parts[] = {
        {0x80, 0x7FF}, {0x800, 0xD7FF}, {0xE000, 0xFFFF}, {0x10000, LAST_CODE}};

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        uint32_t low = r.low > parts[i].low ? r.low : parts[i].low;
        uint32_t high = r.high < parts[i].high ? r.high : parts[i].high;

        if (low <= high && !add_codes(p, b, low, high))
            return false;
    }
    return true;
}

static bool add_ascii(struct parser *p, struct block *b)
{
    struct gbnf_set set = {{0}};
    bool any = false;
    int32_t node = 0;

    for (size_t i = 0; i < p->n_ranges; i++) {
        for (uint32_t k = p->ranges[i].low; k <= p->ranges[i].high && k < 0x80; k++) {
            set.bits[k / 64] |= UINT64_C(1) << k % 64;
            any = true;
        }
    }
    if (!any)
        return true;
    if (!GROW(p->g->sets, p->sets_cap, p->g->n_sets + 1))
        return gbnf_no_memory(p);
    p->g->sets[p->g->n_sets] = set;
    return gbnf_add(p,
                    (struct gbnf_node){
                        .kind = GBNF_SET, .value = (int32_t)p->g->n_sets++, .next = b->exit},
                    &node) &&
           add_way(p, b, node);
}

/* The ranges that were read, as a block. A class of nothing (all surrogates) matches nothing. */
bool gbnf_write_class(struct parser *p, struct block *out)
{
    int32_t never = 0;
    bool ok = false;

    *out = (struct block){.at = p->g->n_nodes, .entry = NOWHERE};
    ok = gbnf_add_jump(p, &out->exit) && add_ascii(p, out);
    for (size_t i = 0; ok && i < p->n_ranges; i++)
        ok = add_beyond_ascii(p, out, p->ranges[i]);
    if (ok && out->entry == NOWHERE) {
        ok = gbnf_add(
            p, (struct gbnf_node){.kind = GBNF_RANGE, .low = 1, .high = 0, .next = out->exit},
            &never);
        out->entry = never;
    }
    return ok;
}
