/*
 * grammar_graph: see the header.
 */
#include "text/constraint/grammar_graph.h"

#include "core/growing.h"
#include "core/utf8.h"

#include <string.h>

static int32_t fail(struct grammar_graph *b, enum graph_fault fault)
{
    if (b->fault == GRAPH_FINE)
        b->fault = fault;
    return NOWHERE;
}

/* ------------------------------------------------------------------ rules and nodes */

bool graph_begin(struct grammar_graph *b)
{
    *b = (struct grammar_graph){.g = mem_calloc(1, sizeof *b->g)};
    return b->g != NULL;
}

void graph_drop(struct grammar_graph *b)
{
    grammar_free(b->g);
    b->g = NULL;
}

void grammar_free(struct grammar *g)
{
    if (!g)
        return;
    mem_free(g->nodes);
    mem_free(g->sets);
    mem_free(g->spans);
    mem_free(g->rules);
    mem_free(g);
}

int32_t graph_rule(struct grammar_graph *b)
{
    if (b->fault != GRAPH_FINE)
        return NOWHERE;
    if (b->g->n_rules >= GRAMMAR_MAX_RULES)
        return fail(b, GRAPH_TOO_LARGE);
    if (!GROW(b->g->rules, b->rules_cap, b->g->n_rules + 1))
        return fail(b, GRAPH_NO_MEMORY);
    b->g->rules[b->g->n_rules] = NOWHERE;
    return (int32_t)b->g->n_rules++;
}

void graph_define(struct grammar_graph *b, int32_t rule, int32_t entry)
{
    if (rule != NOWHERE)
        b->g->rules[rule] = entry;
}

int32_t graph_node(struct grammar_graph *b, struct grammar_node node)
{
    if (b->fault != GRAPH_FINE)
        return NOWHERE;
    if (b->g->n_nodes >= GRAMMAR_MAX_NODES)
        return fail(b, GRAPH_TOO_LARGE);
    if (!GROW(b->g->nodes, b->nodes_cap, b->g->n_nodes + 1))
        return fail(b, GRAPH_NO_MEMORY);
    b->g->nodes[b->g->n_nodes] = node;
    return (int32_t)b->g->n_nodes++;
}

static int32_t before(struct grammar_graph *b, struct grammar_node node)
{
    return node.next == NOWHERE ? NOWHERE : graph_node(b, node);
}

int32_t graph_finish(struct grammar_graph *b)
{
    return graph_node(b, (struct grammar_node){.kind = GRAMMAR_END, .next = NOWHERE});
}

int32_t graph_jump(struct grammar_graph *b)
{
    return graph_node(b, (struct grammar_node){.kind = GRAMMAR_JUMP, .next = NOWHERE});
}

void graph_lead(struct grammar_graph *b, int32_t jump, int32_t to)
{
    if (jump != NOWHERE)
        b->g->nodes[jump].next = to;
}

int32_t graph_split(struct grammar_graph *b, int32_t first, int32_t second)
{
    if (first == NOWHERE || first == second)
        return second;
    if (second == NOWHERE)
        return first;
    return graph_node(b,
                      (struct grammar_node){.kind = GRAMMAR_SPLIT, .next = first, .value = second});
}

int32_t graph_byte(struct grammar_graph *b, int low, int high, int32_t next)
{
    return before(
        b, (struct grammar_node){
               .kind = GRAMMAR_RANGE, .low = (uint8_t)low, .high = (uint8_t)high, .next = next});
}

int32_t graph_text(struct grammar_graph *b, const char *text, size_t n, int32_t next)
{
    while (n-- > 0)
        next = graph_byte(b, (unsigned char)text[n], (unsigned char)text[n], next);
    return next;
}

int32_t graph_set(struct grammar_graph *b, const struct grammar_set *set, int32_t next)
{
    if (b->fault != GRAPH_FINE || next == NOWHERE ||
        (set->bits[0] | set->bits[1] | set->bits[2] | set->bits[3]) == 0)
        return NOWHERE;
    if (!GROW(b->g->sets, b->sets_cap, b->g->n_sets + 1))
        return fail(b, GRAPH_NO_MEMORY);
    b->g->sets[b->g->n_sets] = *set;
    return graph_node(b, (struct grammar_node){
                             .kind = GRAMMAR_SET, .value = (int32_t)b->g->n_sets++, .next = next});
}

int32_t graph_call(struct grammar_graph *b, int32_t rule, int32_t next)
{
    return rule == NOWHERE
               ? NOWHERE
               : before(b,
                        (struct grammar_node){.kind = GRAMMAR_CALL, .value = rule, .next = next});
}

int32_t graph_token(struct grammar_graph *b, int32_t token, int32_t next)
{
    return before(b, (struct grammar_node){.kind = GRAMMAR_TOKEN, .value = token, .next = next});
}

/* ------------------------------------------------------------------ a grammar within another */

/* What the numbers of an embedded grammar are from where it stands. */
struct shifts {
    int32_t nodes, rules, sets, spans;
};

static struct grammar_node shifted(struct grammar_node n, const struct shifts *by)
{
    if (n.next != NOWHERE)
        n.next += by->nodes;
    if (n.kind == GRAMMAR_SPLIT)
        n.value += by->nodes;
    else if (n.kind == GRAMMAR_CALL)
        n.value += by->rules;
    else if (n.kind == GRAMMAR_SET)
        n.value += by->sets;
    else if (n.kind == GRAMMAR_CHECK)
        n.value += by->spans;
    return n;
}

static bool reserve_for(struct grammar_graph *b, const struct grammar *g)
{
    struct grammar *to = b->g;

    if (to->n_nodes + g->n_nodes > GRAMMAR_MAX_NODES ||
        to->n_rules + g->n_rules > GRAMMAR_MAX_RULES) {
        fail(b, GRAPH_TOO_LARGE);
        return false;
    }
    if (!GROW(to->nodes, b->nodes_cap, to->n_nodes + g->n_nodes) ||
        !GROW(to->rules, b->rules_cap, to->n_rules + g->n_rules) ||
        !GROW(to->sets, b->sets_cap, to->n_sets + g->n_sets) ||
        !GROW(to->spans, b->spans_cap, to->n_spans + g->n_spans)) {
        fail(b, GRAPH_NO_MEMORY);
        return false;
    }
    return true;
}

int32_t graph_embed(struct grammar_graph *b, const struct grammar *g)
{
    struct grammar *to = b->g;
    struct shifts by = {0};

    if (b->fault != GRAPH_FINE || !reserve_for(b, g))
        return NOWHERE;
    by = (struct shifts){(int32_t)to->n_nodes, (int32_t)to->n_rules, (int32_t)to->n_sets,
                         (int32_t)to->n_spans};
    for (size_t i = 0; i < g->n_nodes; i++)
        to->nodes[to->n_nodes++] = shifted(g->nodes[i], &by);
    for (size_t i = 0; i < g->n_rules; i++)
        to->rules[to->n_rules++] = g->rules[i] == NOWHERE ? NOWHERE : g->rules[i] + by.nodes;
    for (size_t i = 0; i < g->n_sets; i++)
        to->sets[to->n_sets++] = g->sets[i];
    for (size_t i = 0; i < g->n_spans; i++)
        to->spans[to->n_spans++] = g->spans[i];
    if (g->n_members > to->n_members)
        to->n_members = g->n_members;
    return g->root + by.rules;
}

/* ------------------------------------------------------------------ text up to a word */

#define MAX_WORD 64

/* Behind `seen` bytes of the word and then this one: how many of it the text ends with (Knuth, Morris, Pratt,
 * "Fast Pattern Matching in Strings", 1977; words are short, so that it is looked for each time). */
static size_t word_seen(const char *word, size_t seen, char byte)
{
    char tail[MAX_WORD + 1];

    memcpy(tail, word, seen);
    tail[seen] = byte;
    for (size_t n = seen + 1; n > 0; n--)
        if (memcmp(tail + seen + 1 - n, word, n) == 0)
            return n;
    return 0;
}

/* The bytes that lead from one state of the text to another; beyond ASCII all lead to the first. */
static int32_t step_to(struct grammar_graph *b, const char *word, size_t from, size_t to,
                       int32_t next)
{
    static const struct code_range others = {0x80, LAST_CODE};
    struct grammar_set set = {
        .most = -1, .loops = from == 0 && to == 0, .beyond_ascii = from == 0 && to == 0};

    for (int byte = 0; byte < 0x80; byte++)
        if (word_seen(word, from, (char)byte) == to)
            set.bits[byte / 64] |= UINT64_C(1) << byte % 64;
    return graph_split(b, to == 0 ? graph_beyond_ascii(b, &others, 1, next) : NOWHERE,
                       graph_set(b, &set, next));
}

int32_t graph_until(struct grammar_graph *b, const char *word, int32_t token, int32_t next)
{
    size_t n = strlen(word);
    int32_t states[MAX_WORD];

    for (size_t i = 0; i < n; i++)
        states[i] = graph_jump(b);
    for (size_t i = 0; i < n; i++) {
        int32_t way = token >= 0 ? graph_token(b, token, next) : NOWHERE;

        for (size_t to = 0; to <= i + 1; to++)
            way = graph_split(b, step_to(b, word, i, to, to == n ? next : states[to]), way);
        graph_lead(b, states[i], way);
    }
    return states[0];
}

/* ------------------------------------------------------------------ the register */

int32_t graph_count(struct grammar_graph *b, int32_t most, int32_t next)
{
    return before(b, (struct grammar_node){.kind = GRAMMAR_COUNT, .value = most, .next = next});
}

static int32_t check(struct grammar_graph *b, int32_t low, int32_t high, bool members, int32_t next)
{
    if (b->fault != GRAPH_FINE || next == NOWHERE || low > high)
        return NOWHERE;
    if (!GROW(b->g->spans, b->spans_cap, b->g->n_spans + 1))
        return fail(b, GRAPH_NO_MEMORY);
    b->g->spans[b->g->n_spans] = (struct grammar_span){low, high};
    return graph_node(b, (struct grammar_node){.kind = GRAMMAR_CHECK,
                                               .negate = members,
                                               .value = (int32_t)b->g->n_spans++,
                                               .next = next});
}

int32_t graph_check(struct grammar_graph *b, int32_t low, int32_t high, int32_t next)
{
    return check(b, low, high, false, next);
}

int32_t graph_check_members(struct grammar_graph *b, int32_t low, int32_t high, int32_t next)
{
    return check(b, low, high, true, next);
}

int32_t graph_member(struct grammar_graph *b, enum grammar_kind kind, int32_t member, bool negate,
                     int32_t next)
{
    if ((size_t)member + 1 > b->g->n_members)
        b->g->n_members = (size_t)member + 1;
    return before(b, (struct grammar_node){
                         .kind = (uint8_t)kind, .negate = negate, .value = member, .next = next});
}

/* ------------------------------------------------------------------ characters as bytes */

/* The sequences from low to high, whose bytes differ as ranges do: each place from its low to its
 * high byte. */
static int32_t add_bytes(struct grammar_graph *b, const char *low, const char *high, size_t n,
                         int32_t next)
{
    while (n-- > 0)
        next = graph_byte(b, (unsigned char)low[n], (unsigned char)high[n], next);
    return next;
}

/* Splits a range of code points whose sequences have one length until each part is such a product:
 * the places behind the first that differs run from 80 to BF. */
static int32_t add_codes(struct grammar_graph *b, uint32_t low, uint32_t high, int32_t next)
{
    char first[4], last[4];
    size_t n = utf8_encode(first, low);

    utf8_encode(last, high);
    for (size_t i = 1; i < n; i++) {
        uint32_t mask = ((uint32_t)1 << (6 * i)) - 1; /* of the last i places */

        if ((low & ~mask) == (high & ~mask))
            break;
        if ((low & mask) != 0)
            return graph_split(b, add_codes(b, low, low | mask, next),
                               add_codes(b, (low | mask) + 1, high, next));
        if ((high & mask) != mask)
            return graph_split(b, add_codes(b, low, (high & ~mask) - 1, next),
                               add_codes(b, high & ~mask, high, next));
    }
    return add_bytes(b, first, last, n, next);
}

/* By the length of the sequence, and without the surrogates. */
static int32_t add_range(struct grammar_graph *b, struct code_range r, int32_t next)
{
    static const struct code_range parts[] = {
        {0x80, 0x7FF}, {0x800, 0xD7FF}, {0xE000, 0xFFFF}, {0x10000, LAST_CODE}};
    int32_t entry = NOWHERE;

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        uint32_t low = r.low > parts[i].low ? r.low : parts[i].low;
        uint32_t high = r.high < parts[i].high ? r.high : parts[i].high;

        if (low <= high)
            entry = graph_split(b, add_codes(b, low, high, next), entry);
    }
    return entry;
}

int32_t graph_beyond_ascii(struct grammar_graph *b, const struct code_range *ranges, size_t n,
                           int32_t next)
{
    int32_t entry = NOWHERE;

    if (next == NOWHERE)
        return NOWHERE;
    for (size_t i = 0; i < n; i++)
        entry = graph_split(b, add_range(b, ranges[i], next), entry);
    return entry;
}

int32_t graph_class(struct grammar_graph *b, const struct code_range *ranges, size_t n,
                    int32_t next)
{
    struct grammar_set set = {.most = -1};

    for (size_t i = 0; i < n; i++)
        for (uint32_t k = ranges[i].low; k <= ranges[i].high && k < 0x80; k++)
            set.bits[k / 64] |= UINT64_C(1) << k % 64;
    return graph_split(b, graph_beyond_ascii(b, ranges, n, next), graph_set(b, &set, next));
}

/* ------------------------------------------------------------------ what leads nowhere */

/* Things are nodes and, behind them, rules. Who leads to a thing: lists of links, two of a node (the
 * second for SPLIT's other way and for a CALL's rule), then one of a rule. */
struct ways_back {
    const struct grammar *g;
    int32_t *first_of; /* (things) a link + 1 */
    int32_t *next;     /* (links) a link + 1 */
    bool *alive;       /* (things) leads to an end */
    int32_t *work;     /* (things) */
    size_t n_work;
};

static void link_back(struct ways_back *w, size_t to, size_t link)
{
    w->next[link] = w->first_of[to];
    w->first_of[to] = (int32_t)link + 1;
}

static void wake(struct ways_back *w, size_t thing)
{
    if (w->alive[thing])
        return;
    w->alive[thing] = true;
    w->work[w->n_work++] = (int32_t)thing;
}

/* A CALL needs both its rule and what follows; everything else one way. */
static void wake_from(struct ways_back *w, size_t link)
{
    size_t n_nodes = w->g->n_nodes;
    size_t thing = link < 2 * n_nodes ? link / 2 : link - n_nodes;
    const struct grammar_node *n = thing < n_nodes ? &w->g->nodes[thing] : NULL;

    if (!n || n->kind != GRAMMAR_CALL ||
        (n->next != NOWHERE && w->alive[n->next] && w->alive[n_nodes + (size_t)n->value]))
        wake(w, thing);
}

static void link_all(struct ways_back *w)
{
    const struct grammar *g = w->g;

    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct grammar_node *n = &g->nodes[i];

        if (n->next != NOWHERE)
            link_back(w, (size_t)n->next, 2 * i);
        if (n->kind == GRAMMAR_SPLIT)
            link_back(w, (size_t)n->value, 2 * i + 1);
        else if (n->kind == GRAMMAR_CALL)
            link_back(w, g->n_nodes + (size_t)n->value, 2 * i + 1);
    }
    for (size_t r = 0; r < g->n_rules; r++)
        if (g->rules[r] != NOWHERE)
            link_back(w, (size_t)g->rules[r], 2 * g->n_nodes + r);
}

static void find_alive(struct ways_back *w)
{
    for (size_t i = 0; i < w->g->n_nodes; i++)
        if (w->g->nodes[i].kind == GRAMMAR_END)
            wake(w, i);
    while (w->n_work > 0) {
        size_t thing = (size_t)w->work[--w->n_work];

        for (int32_t link = w->first_of[thing]; link; link = w->next[link - 1])
            wake_from(w, (size_t)link - 1);
    }
}

static void cut_dead(struct grammar *g, const bool *alive)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        struct grammar_node *n = &g->nodes[i];

        if (n->kind != GRAMMAR_SPLIT || (alive[n->next] && alive[n->value]))
            continue;
        n->kind = GRAMMAR_JUMP;
        n->next = alive[n->next] ? n->next : n->value;
    }
    for (size_t r = 0; r < g->n_rules; r++)
        if (!alive[g->n_nodes + r])
            g->rules[r] = NOWHERE;
}

/* false: a fault, or the root has no whole text. */
static bool prune(struct grammar_graph *b, int32_t root)
{
    size_t things = b->g->n_nodes + b->g->n_rules;
    struct ways_back w = {.g = b->g};
    bool ok = false;

    w.first_of = mem_calloc(things, sizeof *w.first_of);
    w.next = mem_calloc(2 * b->g->n_nodes + b->g->n_rules, sizeof *w.next);
    w.alive = mem_calloc(things, sizeof *w.alive);
    w.work = mem_calloc(things, sizeof *w.work);
    if (w.first_of && w.next && w.alive && w.work) {
        link_all(&w);
        find_alive(&w);
        cut_dead(b->g, w.alive);
        ok = w.alive[b->g->n_nodes + (size_t)root];
    } else {
        fail(b, GRAPH_NO_MEMORY);
    }
    mem_free(w.first_of);
    mem_free(w.next);
    mem_free(w.alive);
    mem_free(w.work);
    return ok;
}

struct grammar *graph_end(struct grammar_graph *b, int32_t root)
{
    struct grammar *g = b->g;

    if (b->fault != GRAPH_FINE || root == NOWHERE)
        return NULL;
    g->root = root;
    b->g = NULL;
    return g;
}

struct grammar *graph_end_pruned(struct grammar_graph *b, int32_t root)
{
    if (b->fault != GRAPH_FINE || root == NOWHERE || !prune(b, root))
        return NULL;
    return graph_end(b, root);
}
