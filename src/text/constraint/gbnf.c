/*
 * gbnf: see the header. A recursive descent over the text writes nodes as it goes. What a symbol, a
 * sequence or a group made is a block of neighbouring nodes that point nowhere outside, with one
 * entry and one exit: it is repeated by copying it.
 */
#include "text/constraint/gbnf.h"

#include "core/growing.h"
#include "core/utf8.h"

#include <string.h>

#define MAX_BYTES ((size_t)1 << 20)
#define MAX_DEPTH 100   /* groups in groups: the parser recurses */
#define MAX_REPEAT 2000 /* of one repetition */
#define MAX_RULES 65536
#define MAX_NODES 500000
#define MAX_RANGES 4096 /* in one class */
#define LAST_CODE 0x10FFFFu
#define NOWHERE (-1)

struct range {
    uint32_t low, high;
};

/* What has been written for something: from its first node to the end of the list. */
struct block {
    size_t at;
    int32_t entry, exit; /* the exit is a jump to nowhere yet */
    bool empty;          /* nothing was written, and there is no entry */
};

struct rule_name {
    const char *name;
    size_t len;
    bool defined;
};

struct parser {
    const char *text, *at, *end;
    struct gbnf *g;
    size_t nodes_cap, sets_cap, rules_cap, names_cap;
    struct rule_name *names; /* beside g->rules */
    int32_t *buckets;        /* by name, of rule numbers + 1 */
    size_t n_buckets;
    struct range *ranges; /* (MAX_RANGES) of the class that is read */
    size_t n_ranges;
    int32_t depth;
    gbnf_token_fn find_token;
    void *arg;
    inf_error *err;
};

static bool bad(struct parser *p, const char *why)
{
    int line = 1;

    for (const char *c = p->text; c < p->at; c++)
        line += *c == '\n';
    error_set_detail(p->err, INF_ERROR_INVALID_ARGUMENT, line, "grammar, line %d: %s", line, why);
    return false;
}

static bool no_memory(struct parser *p)
{
    error_no_memory(p->err);
    return false;
}

/* ------------------------------------------------------------------ rules by name */

static uint32_t hash(const char *s, size_t n)
{
    uint32_t h = 2166136261u; /* FNV-1a */

    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 16777619u;
    return h;
}

static bool new_rule(struct parser *p, const char *name, size_t len, int32_t *out)
{
    if (p->g->n_rules >= MAX_RULES)
        return bad(p, "too many rules");
    if (!GROW(p->g->rules, p->rules_cap, p->g->n_rules + 1) ||
        !GROW(p->names, p->names_cap, p->g->n_rules + 1))
        return no_memory(p);
    *out = (int32_t)p->g->n_rules;
    p->names[p->g->n_rules] = (struct rule_name){name, len, false};
    p->g->rules[p->g->n_rules++] = NOWHERE;
    return true;
}

static bool named_rule(struct parser *p, const char *name, size_t len, int32_t *out)
{
    size_t b = hash(name, len) % p->n_buckets;

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

static bool make_room(struct parser *p, size_t more)
{
    if (p->g->n_nodes + more > MAX_NODES)
        return bad(p, "its repetitions make it too large");
    return GROW(p->g->nodes, p->nodes_cap, p->g->n_nodes + more) || no_memory(p);
}

static bool add(struct parser *p, struct gbnf_node node, int32_t *out)
{
    if (!make_room(p, 1))
        return false;
    *out = (int32_t)p->g->n_nodes;
    p->g->nodes[p->g->n_nodes++] = node;
    return true;
}

static bool add_jump(struct parser *p, int32_t *out)
{
    return add(p, (struct gbnf_node){.kind = GBNF_JUMP, .next = NOWHERE}, out);
}

static bool add_split(struct parser *p, int32_t first, int32_t second, int32_t *out)
{
    return add(p, (struct gbnf_node){.kind = GBNF_SPLIT, .next = first, .value = second}, out);
}

static void lead(struct parser *p, int32_t from, int32_t to)
{
    p->g->nodes[from].next = to;
}

/* A node with one way on, as a block of its own. */
static bool single(struct parser *p, struct gbnf_node node, struct block *out)
{
    *out = (struct block){.at = p->g->n_nodes};
    node.next = (int32_t)p->g->n_nodes + 1;
    return add(p, node, &out->entry) && add_jump(p, &out->exit);
}

/* b, which was written last, behind a. */
static void join(struct parser *p, struct block *a, const struct block *b)
{
    if (b->empty)
        return;
    if (a->empty) {
        *a = *b;
        return;
    }
    lead(p, a->exit, b->entry);
    a->exit = b->exit;
}

/* ------------------------------------------------------------------ repetitions */

static bool copy_block(struct parser *p, size_t at, size_t n)
{
    size_t to = p->g->n_nodes;
    int32_t shift = (int32_t)(to - at);

    if (!make_room(p, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct gbnf_node node = p->g->nodes[at + i];

        if (node.next != NOWHERE)
            node.next += shift;
        if (node.kind == GBNF_SPLIT)
            node.value += shift;
        p->g->nodes[to + i] = node;
    }
    p->g->n_nodes += n;
    return true;
}

/* S{min,max}: `max` copies, of which those behind the first `min` may be left out; endless: `min`
 * copies, one at least, and the last may come again. */
static bool repeat(struct parser *p, struct block *b, int64_t min, int64_t max, bool endless)
{
    size_t n = p->g->n_nodes - b->at;
    int64_t copies = !endless ? max : min > 0 ? min : 1;
    int32_t entry = b->entry - (int32_t)b->at;
    int32_t exit = b->exit - (int32_t)b->at;
    int32_t out = 0;
    int32_t before = NOWHERE; /* leads to the next copy */
    int32_t first = NOWHERE;

    if (copies == 0) {
        p->g->n_nodes = b->at;
        b->empty = true;
        return true;
    }
    for (int64_t k = 1; k < copies; k++)
        if (!copy_block(p, b->at, n))
            return false;
    if (!add_jump(p, &out))
        return false;
    for (int64_t k = 0; k < copies; k++) {
        int32_t start = (int32_t)(b->at + (size_t)k * n) + entry;
        int32_t stop = (int32_t)(b->at + (size_t)k * n) + exit;
        int32_t split = NOWHERE;

        if (k >= min && !add_split(p, start, out, &split))
            return false;
        if (split != NOWHERE)
            start = split;
        if (k == 0)
            first = start;
        else
            lead(p, before, start);
        before = stop;
        if (endless && k == copies - 1) {
            /* min 0: the split before it; else one behind it. */
            if (split == NOWHERE && !add_split(p, start, out, &split))
                return false;
            lead(p, stop, split);
            before = NOWHERE;
        }
    }
    if (before != NOWHERE)
        lead(p, before, out);
    b->entry = first;
    b->exit = out;
    return true;
}

/* ------------------------------------------------------------------ characters as bytes */

static bool add_range(struct parser *p, uint32_t low, uint32_t high)
{
    if (p->n_ranges == MAX_RANGES)
        return bad(p, "a character class of more than 4096 parts");
    p->ranges[p->n_ranges++] = (struct range){low, high};
    return true;
}

/* Sorted, without overlaps. Insertion: a class is written by hand. */
static void sort_ranges(struct parser *p)
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
static bool complement(struct parser *p)
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
    return from > LAST_CODE || add_range(p, from, LAST_CODE);
}

/* One more way through the class: a chain of nodes that ends at the block's exit. */
static bool add_way(struct parser *p, struct block *b, int32_t start)
{
    if (b->entry == NOWHERE) {
        b->entry = start;
        return true;
    }
    return add_split(p, b->entry, start, &b->entry);
}

/* The sequences from low to high, whose bytes differ as ranges do: each place from its low to its
 * high byte. */
static bool add_bytes(struct parser *p, struct block *b, const char *low, const char *high,
                      size_t n)
{
    int32_t next = b->exit;

    for (size_t i = n; i-- > 0;)
        if (!add(p,
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
        return no_memory(p);
    p->g->sets[p->g->n_sets] = set;
    return add(p,
               (struct gbnf_node){
                   .kind = GBNF_SET, .value = (int32_t)p->g->n_sets++, .next = b->exit},
               &node) &&
           add_way(p, b, node);
}

/* The ranges that were read, as a block. A class of nothing (all surrogates) matches nothing. */
static bool write_class(struct parser *p, struct block *out)
{
    int32_t never = 0;
    bool ok = false;

    *out = (struct block){.at = p->g->n_nodes, .entry = NOWHERE};
    ok = add_jump(p, &out->exit) && add_ascii(p, out);
    for (size_t i = 0; ok && i < p->n_ranges; i++)
        ok = add_beyond_ascii(p, out, p->ranges[i]);
    if (ok && out->entry == NOWHERE) {
        ok = add(p, (struct gbnf_node){.kind = GBNF_RANGE, .low = 1, .high = 0, .next = out->exit},
                 &never);
        out->entry = never;
    }
    return ok;
}

/* ------------------------------------------------------------------ the syntax */

static bool more(const struct parser *p)
{
    return p->at < p->end;
}

static bool at(const struct parser *p, char c)
{
    return more(p) && *p->at == c;
}

static void skip_space(struct parser *p, bool newline_too)
{
    for (; more(p); p->at++) {
        char c = *p->at;

        if (c == '#')
            while (p->at + 1 < p->end && p->at[1] != '\n' && p->at[1] != '\r')
                p->at++;
        else if (c != ' ' && c != '\t' && !(newline_too && (c == '\n' || c == '\r')))
            return;
    }
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

static size_t skip_word(struct parser *p)
{
    const char *start = p->at;

    while (more(p) && is_word(*p->at))
        p->at++;
    return (size_t)(p->at - start);
}

static bool read_hex(struct parser *p, int digits, uint32_t *out)
{
    static const char known[] = "0123456789abcdefABCDEF";

    *out = 0;
    for (int i = 0; i < digits; i++, p->at++) {
        const char *digit = more(p) && *p->at ? strchr(known, *p->at) : NULL;
        uint32_t value = digit ? (uint32_t)(digit - known) : 0;

        if (!digit)
            return bad(p, "hexadecimal digits expected after the escape");
        *out = *out << 4 | (value < 16 ? value : value - 6);
    }
    if (*out > LAST_CODE)
        return bad(p, "an escape beyond the last character, 10FFFF");
    return true;
}

static bool read_escape(struct parser *p, uint32_t *out)
{
    char c = 0;

    if (!more(p))
        return bad(p, "it ends within an escape");
    c = *p->at++;
    *out = (unsigned char)c;
    switch (c) {
    case 'x':
        return read_hex(p, 2, out);
    case 'u':
        return read_hex(p, 4, out);
    case 'U':
        return read_hex(p, 8, out);
    case 't':
        *out = '\t';
        return true;
    case 'r':
        *out = '\r';
        return true;
    case 'n':
        *out = '\n';
        return true;
    case '\\':
    case '"':
    case '[':
    case ']':
    case '-':
        return true;
    default:
        p->at--;
        return bad(p, "unknown escape; known are \\x \\u \\U \\t \\r \\n \\\\ \\\" \\[ \\] \\-");
    }
}

/* The text is valid UTF-8. */
static bool read_character(struct parser *p, uint32_t *out)
{
    size_t n = utf8_sequence(p->at, (size_t)(p->end - p->at));

    *out = utf8_decode(p->at, n);
    p->at += n;
    return *out != '\\' || read_escape(p, out);
}

static bool add_character(struct parser *p, uint32_t code, struct block *b)
{
    char bytes[4];
    size_t n = utf8_encode(bytes, code);

    if (code >= 0xD800 && code <= 0xDFFF)
        return bad(p, "half of a surrogate pair is no character");
    for (size_t i = 0; i < n; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        struct block next;

        if (!single(p, (struct gbnf_node){.kind = GBNF_RANGE, .low = byte, .high = byte}, &next))
            return false;
        join(p, b, &next);
    }
    return true;
}

static bool parse_text(struct parser *p, struct block *out)
{
    uint32_t code = 0;

    *out = (struct block){.at = p->g->n_nodes, .empty = true};
    for (p->at++; !at(p, '"');) {
        if (!more(p))
            return bad(p, "a text without its closing \"");
        if (!read_character(p, &code) || !add_character(p, code, out))
            return false;
    }
    p->at++;
    return true;
}

/* a-z; a minus that stands last is itself. */
static bool parse_part(struct parser *p)
{
    uint32_t low = 0;
    uint32_t high = 0;

    if (!read_character(p, &low))
        return false;
    high = low;
    if (at(p, '-') && p->at + 1 < p->end && p->at[1] != ']') {
        p->at++;
        if (!read_character(p, &high))
            return false;
    }
    return low > high || add_range(p, low, high); /* [z-a] is empty */
}

static bool parse_class(struct parser *p, struct block *out)
{
    bool negated = false;
    const char *first = NULL;

    p->at++;
    negated = at(p, '^');
    p->at += negated;
    p->n_ranges = 0;
    for (first = p->at; !at(p, ']');) {
        if (!more(p))
            return bad(p, "a character class without its closing ]");
        if (!parse_part(p))
            return false;
    }
    if (p->at == first)
        return bad(p, "an empty character class");
    p->at++;
    sort_ranges(p);
    return (!negated || complement(p)) && write_class(p, out);
}

static bool any_character(struct parser *p, struct block *out)
{
    p->at++;
    p->n_ranges = 0;
    return add_range(p, 0, LAST_CODE) && write_class(p, out);
}

/* [id] after the <. */
static bool read_token_id(const char *s, size_t n, int32_t *out)
{
    size_t digits = 0;

    *out = 0;
    for (; digits + 1 < n && s[1 + digits] >= '0' && s[1 + digits] <= '9' && digits < 9; digits++)
        *out = *out * 10 + (s[1 + digits] - '0');
    return digits > 0 && n == digits + 2 && s[n - 1] == ']';
}

/* <name>, <[id]>, each with ! before it for "any other". */
static bool parse_token(struct parser *p, struct block *out)
{
    struct gbnf_node node = {.kind = GBNF_TOKEN, .negate = at(p, '!')};
    const char *start = NULL;
    size_t len = 0;
    bool known = false;

    p->at += node.negate;
    if (!at(p, '<'))
        return bad(p, "a token in angle brackets expected after !");
    for (start = p->at; !at(p, '>'); p->at++)
        if (!more(p) || *p->at == '\n')
            return bad(p, "a token without its closing >");
    p->at++;
    len = (size_t)(p->at - start);
    if (start[1] == '[') {
        known = read_token_id(start + 1, len - 2, &node.value);
    } else {
        node.value = p->find_token ? p->find_token(p->arg, start, len) : -1;
        known = node.value >= 0;
    }
    if (!known)
        return bad(p, "what stands in <> is not one token of the model; <[id]> names it by number");
    return single(p, node, out);
}

static bool parse_alternatives(struct parser *p, struct block *out, bool in_group);

static bool parse_group(struct parser *p, struct block *out)
{
    if (++p->depth > MAX_DEPTH)
        return bad(p, "groups nested deeper than 100");
    p->at++;
    skip_space(p, true);
    if (!parse_alternatives(p, out, true))
        return false;
    if (!at(p, ')'))
        return bad(p, "( without )");
    p->at++;
    p->depth--;
    return true;
}

static bool parse_reference(struct parser *p, struct block *out)
{
    const char *name = p->at;
    size_t len = skip_word(p);
    struct gbnf_node node = {.kind = GBNF_CALL};

    return named_rule(p, name, len, &node.value) && single(p, node, out);
}

/* One symbol; *none when there is none here. */
static bool parse_symbol(struct parser *p, struct block *out, bool *none)
{
    char c = more(p) ? *p->at : '\0';

    *none = false;
    switch (c) {
    case '"':
        return parse_text(p, out);
    case '[':
        return parse_class(p, out);
    case '<':
    case '!':
        return parse_token(p, out);
    case '(':
        return parse_group(p, out);
    case '.':
        return any_character(p, out);
    default:
        break;
    }
    *none = !is_word(c);
    return *none || parse_reference(p, out);
}

/* ------------------------------------------------------------------ repetitions, read */

static bool at_repetition(const struct parser *p)
{
    return more(p) && *p->at != '\0' && strchr("*+?{", *p->at);
}

static bool parse_number(struct parser *p, int64_t *out)
{
    if (!more(p) || *p->at < '0' || *p->at > '9')
        return bad(p, "a number expected in {}");
    for (*out = 0; more(p) && *p->at >= '0' && *p->at <= '9'; p->at++) {
        *out = *out * 10 + (*p->at - '0');
        if (*out > MAX_REPEAT)
            return bad(p, "more than 2000 repetitions");
    }
    return true;
}

/* min and max of ?, *, + and {}; *endless: there is no max. */
static bool parse_times(struct parser *p, int64_t *min, int64_t *max, bool *endless)
{
    char c = *p->at++;

    *min = c == '+';
    *max = 1;
    *endless = c == '*' || c == '+';
    if (c != '{')
        return true;
    skip_space(p, false);
    if (!parse_number(p, min))
        return false;
    *max = *min;
    skip_space(p, false);
    if (at(p, ',')) {
        p->at++;
        skip_space(p, false);
        *endless = at(p, '}');
        if (!*endless && !parse_number(p, max))
            return false;
        skip_space(p, false);
    }
    if (!at(p, '}'))
        return bad(p, "{ without }");
    p->at++;
    return *endless || *min <= *max || bad(p, "a repetition whose minimum is above its maximum");
}

static bool parse_repetitions(struct parser *p, struct block *b, bool in_group)
{
    skip_space(p, in_group);
    while (at_repetition(p)) {
        int64_t min = 0;
        int64_t max = 0;
        bool endless = false;

        if (b->empty)
            return bad(p, "nothing before * + ? or {");
        if (!parse_times(p, &min, &max, &endless) || !repeat(p, b, min, max, endless))
            return false;
        skip_space(p, in_group);
    }
    return true;
}

/* ------------------------------------------------------------------ sequences and rules */

static bool parse_sequence(struct parser *p, struct block *out, bool in_group)
{
    size_t start = p->g->n_nodes;

    *out = (struct block){.at = start, .empty = true};
    for (;;) {
        struct block b = {0};
        bool none = false;

        if (!parse_symbol(p, &b, &none))
            return false;
        if (none && at_repetition(p))
            return bad(p, "nothing before * + ? or {");
        if (none)
            break;
        if (!parse_repetitions(p, &b, in_group))
            return false;
        join(p, out, &b);
    }
    out->at = start;
    if (!out->empty)
        return true;
    out->empty = false; /* nothing at all is a way too */
    if (!add_jump(p, &out->entry))
        return false;
    out->exit = out->entry;
    return true;
}

static bool parse_alternatives(struct parser *p, struct block *out, bool in_group)
{
    int32_t exit = 0;

    if (!parse_sequence(p, out, in_group))
        return false;
    if (!at(p, '|'))
        return true;
    if (!add_jump(p, &exit))
        return false;
    lead(p, out->exit, exit);
    while (at(p, '|')) {
        struct block b;

        p->at++;
        skip_space(p, true);
        if (!parse_sequence(p, &b, in_group))
            return false;
        lead(p, b.exit, exit);
        if (!add_split(p, out->entry, b.entry, &out->entry))
            return false;
    }
    out->exit = exit;
    return true;
}

static bool parse_rule(struct parser *p)
{
    const char *name = p->at;
    size_t len = skip_word(p);
    struct block b;
    int32_t rule = 0;
    int32_t end = 0;

    if (len == 0)
        return bad(p, "the name of a rule expected");
    if (!named_rule(p, name, len, &rule))
        return false;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): named_rule made it */
    if (p->names[rule].defined)
        return bad(p, "this rule is defined twice");
    p->names[rule].defined = true;
    skip_space(p, false);
    if (p->end - p->at < 3 || memcmp(p->at, "::=", 3) != 0)
        return bad(p, "::= expected after the name of a rule");
    p->at += 3;
    skip_space(p, true);
    if (!parse_alternatives(p, &b, false) ||
        !add(p, (struct gbnf_node){.kind = GBNF_END, .next = NOWHERE}, &end))
        return false;
    lead(p, b.exit, end);
    p->g->rules[rule] = b.entry;
    if (more(p) && *p->at != '\n' && *p->at != '\r')
        return bad(p, "the end of the rule expected");
    skip_space(p, true);
    return true;
}

static bool check_defined(struct parser *p)
{
    for (size_t i = 0; p->names && i < p->g->n_rules; i++) {
        const struct rule_name *r = &p->names[i];

        if (!r->defined) {
            error_set(p->err, INF_ERROR_INVALID_ARGUMENT, "grammar: the rule '%.*s' is not defined",
                      (int)(r->len > 100 ? 100 : r->len), r->name);
            return false;
        }
    }
    if (!named_rule(p, "root", 4, &p->g->root))
        return false;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): named_rule made it */
    if (!p->names[p->g->root].defined) {
        error_set(p->err, INF_ERROR_INVALID_ARGUMENT,
                  "grammar: no rule 'root'; the text begins with it");
        return false;
    }
    return true;
}

/* ------------------------------------------------------------------ all of it */

static bool compile(struct parser *p)
{
    p->n_buckets = (size_t)MAX_RULES * 2;
    p->buckets = mem_calloc(p->n_buckets, sizeof *p->buckets);
    p->ranges = mem_alloc(MAX_RANGES * sizeof *p->ranges);
    if (!p->buckets || !p->ranges)
        return no_memory(p);
    skip_space(p, true);
    while (more(p))
        if (!parse_rule(p))
            return false;
    return check_defined(p);
}

int32_t gbnf_compile(struct gbnf **out, inf_text grammar, gbnf_token_fn find_token, void *arg,
                     inf_error *err)
{
    inf_error mine = {0};
    struct parser p = {.text = grammar.data,
                       .at = grammar.data,
                       .find_token = find_token,
                       .arg = arg,
                       .err = &mine};
    bool ok = false;

    *out = NULL;
    if (grammar.len > MAX_BYTES)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "grammar: longer than %zu bytes",
                         MAX_BYTES);
    if (memchr(grammar.data, 0, grammar.len) || !utf8_valid(grammar.data, grammar.len))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "grammar: not valid UTF-8, or with a NUL byte in it");
    p.end = grammar.data + grammar.len;
    p.g = mem_calloc(1, sizeof *p.g);
    ok = p.g ? compile(&p) : no_memory(&p);
    mem_free(p.names);
    mem_free(p.buckets);
    mem_free(p.ranges);
    if (ok) {
        *out = p.g;
        return error_none(err);
    }
    gbnf_free(p.g);
    if (err)
        *err = mine;
    return mine.code;
}

void gbnf_free(struct gbnf *g)
{
    if (!g)
        return;
    mem_free(g->nodes);
    mem_free(g->sets);
    mem_free(g->rules);
    mem_free(g);
}
