/*
 * pattern: see the header for the dialect.
 *
 * A recursive-descent parser makes nodes, the emitter makes a program from them (counted
 * repetition is copied out), and the matcher walks the text once with the set of program counters
 * that are alive. A lookahead runs its own small walk. Nesting, program size and work are bounded.
 */
#include "hf/files/pattern.h"

#include "core/growing.h"

#include <string.h>

enum {
    MAX_DEPTH = 64,      /* of groups in each other */
    MAX_LOOK = 3,        /* of lookaheads in each other */
    MAX_PROGRAM = 16384, /* instructions */
    MAX_EMITTED = 4 * MAX_PROGRAM,
    MAX_COUNT = 1000, /* in {m,n} */
    UNBOUNDED = -1
};

enum node_type { NODE_EMPTY, NODE_SET, NODE_CAT, NODE_ALT, NODE_REPEAT, NODE_AT, NODE_LOOK };
enum at_type { AT_START, AT_END, AT_DOLLAR, AT_WORD, AT_NOT_WORD };

/* One node of the parsed pattern; CAT and ALT are lists chained through `next`. */
struct node {
    int32_t type;     /* enum node_type */
    int32_t first;    /* child */
    int32_t next;     /* rest of the list, -1 at its end */
    int32_t min, max; /* REPEAT; max may be UNBOUNDED */
    int32_t detail;   /* SET: index; AT: enum at_type; LOOK: 1 when negative */
};

struct set {
    uint32_t bits[8];
};

enum opcode { OP_SET, OP_AT, OP_SPLIT, OP_JUMP, OP_LOOK, OP_MATCH };

struct instruction {
    int32_t op;     /* enum opcode */
    int32_t x, y;   /* SPLIT: both ways; JUMP: x; LOOK: x its program, y what follows */
    int32_t detail; /* as the node's */
};

/* The states alive at one position, and the stack that finds them. */
struct walk {
    int32_t *now, *then; /* program counters */
    int32_t *stack;
    uint32_t *seen; /* per instruction: the mark of the position it was added at */
    uint32_t mark;
};

struct pattern {
    struct node *nodes;
    int32_t n_nodes, n_sets, n_program;
    size_t cap_nodes, cap_sets, cap_program;
    struct set *sets;
    struct instruction *program;
    struct walk walks[MAX_LOOK + 1];
    int32_t *scratch; /* of the walks */
};

struct parser {
    struct pattern *p;
    const char *text, *end, *start;
    int32_t depth, looks;
    int32_t emitted; /* nodes so far: a repetition of nothing makes no program, but takes time */
    int32_t code;    /* the first error */
    inf_error *err;
};

/* ---------------------------------------------------------------- building blocks */

static int32_t fail(struct parser *s, int32_t code, const char *what)
{
    if (s->code == INF_OK)
        s->code = error_set_detail(s->err, code, s->text - s->start,
                                   "the pattern \"%.*s\" %s (at character %d)",
                                   (int)(s->end - s->start > 120 ? 120 : s->end - s->start),
                                   s->start, what, (int)(s->text - s->start) + 1);
    return -1;
}

static int32_t invalid(struct parser *s, const char *what)
{
    return fail(s, INF_ERROR_BAD_FORMAT, what);
}

static int32_t no_memory(struct parser *s)
{
    if (s->code == INF_OK)
        s->code = error_no_memory(s->err);
    return -1;
}

static int32_t new_node(struct parser *s, int32_t type, int32_t first)
{
    struct pattern *p = s->p;

    if (s->code != INF_OK)
        return -1;
    if (!GROW(p->nodes, p->cap_nodes, (size_t)p->n_nodes + 1))
        return no_memory(s);
    p->nodes[p->n_nodes] = (struct node){.type = type, .first = first, .next = -1};
    return p->n_nodes++;
}

static int32_t new_set(struct parser *s, const struct set *set)
{
    struct pattern *p = s->p;
    int32_t node = new_node(s, NODE_SET, -1);

    if (node < 0)
        return -1;
    if (!GROW(p->sets, p->cap_sets, (size_t)p->n_sets + 1))
        return no_memory(s);
    p->sets[p->n_sets] = *set;
    p->nodes[node].detail = p->n_sets++;
    return node;
}

static void set_add(struct set *set, unsigned c)
{
    set->bits[c / 32] |= 1u << (c % 32);
}

static bool set_has(const struct set *set, unsigned char c)
{
    return set->bits[c / 32] >> (c % 32) & 1;
}

static bool is_word(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Adds what \d, \w or \s (or, in capitals, their complements) stands for; false for another. */
static bool set_add_category(struct set *set, char category)
{
    bool negative = category >= 'A' && category <= 'Z';
    char kind = (char)(category | 0x20);

    if (kind != 'd' && kind != 'w' && kind != 's')
        return false;
    for (unsigned c = 0; c < 256; c++) {
        bool in = kind == 'd'   ? c >= '0' && c <= '9'
                  : kind == 'w' ? is_word((unsigned char)c)
                                : c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f);

        if (in != negative)
            set_add(set, c);
    }
    return true;
}

static bool at_end(const struct parser *s)
{
    return s->text >= s->end;
}

static bool take(struct parser *s, char c)
{
    if (at_end(s) || *s->text != c)
        return false;
    s->text++;
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* ---------------------------------------------------------------- parser */

static int32_t parse_alternatives(struct parser *s);

/* The character after a backslash that stands for one character; -1 with the error set. */
static int32_t escaped_character(struct parser *s)
{
    static const char letters[] = "afnrtv";
    static const char values[] = "\a\f\n\r\t\v";
    char c = *s->text++;
    const char *at = strchr(letters, c);

    if (c && at)
        return values[at - letters];
    if (c == 'x') {
        int high = s->end - s->text >= 2 ? hex_value(s->text[0]) : -1;
        int low = high >= 0 ? hex_value(s->text[1]) : -1;

        if (low < 0)
            return invalid(s, "has a bad \\x escape");
        s->text += 2;
        if (high * 16 + low >= 0x80)
            return fail(s, INF_ERROR_UNSUPPORTED, "is not plain ASCII, which is not supported");
        return high * 16 + low;
    }
    if (is_digit(c))
        return fail(s, INF_ERROR_UNSUPPORTED,
                    "has a back reference or octal escape, which is not supported");
    if (is_word((unsigned char)c) && c != '_')
        return fail(s, INF_ERROR_UNSUPPORTED, "has an escape that is not supported");
    return (unsigned char)c;
}

/* One member of a class: a category (returns 256), or a character; -1 with the error set. */
static int32_t class_member(struct parser *s, struct set *set)
{
    if (at_end(s))
        return invalid(s, "has a class [ that does not end");
    if (!take(s, '\\'))
        return (unsigned char)*s->text++;
    if (at_end(s))
        return invalid(s, "ends in a backslash");
    if (set_add_category(set, *s->text)) {
        s->text++;
        return 256;
    }
    return take(s, 'b') ? '\b' : escaped_character(s);
}

/* After "[". */
static int32_t parse_class(struct parser *s)
{
    struct set set = {{0}};
    bool negative = take(s, '^');

    for (bool first = true; first || at_end(s) || *s->text != ']'; first = false) {
        int32_t low = class_member(s, &set), high = low;

        if (low < 0)
            return -1;
        if (s->end - s->text >= 2 && s->text[0] == '-' && s->text[1] != ']') {
            s->text++;
            high = class_member(s, &set);
            if (high < 0 || low == 256 || high == 256 || high < low)
                return invalid(s, "has a bad range in a class");
        }
        for (int32_t c = low; c <= high && c < 256; c++)
            set_add(&set, (unsigned)c);
    }
    s->text++;
    for (int i = 0; negative && i < 8; i++)
        set.bits[i] = ~set.bits[i];
    return new_set(s, &set);
}

static int32_t parse_at(struct parser *s, int32_t what)
{
    int32_t node = new_node(s, NODE_AT, -1);

    if (node >= 0)
        s->p->nodes[node].detail = what;
    return node;
}

/* After a backslash, outside a class. */
static int32_t parse_escape(struct parser *s)
{
    static const char marks[] = "AZbB";
    static const int32_t meanings[] = {AT_START, AT_END, AT_WORD, AT_NOT_WORD};
    struct set set = {{0}};

    if (at_end(s))
        return invalid(s, "ends in a backslash");
    const char *mark = *s->text ? strchr(marks, *s->text) : NULL;
    if (mark) {
        s->text++;
        return parse_at(s, meanings[mark - marks]);
    }
    if (set_add_category(&set, *s->text)) {
        s->text++;
    } else {
        int32_t c = escaped_character(s);

        if (c < 0)
            return -1;
        set_add(&set, (unsigned)c);
    }
    return new_set(s, &set);
}

/* What follows "(?P": a name. */
static bool take_group_name(struct parser *s)
{
    if (!take(s, '<'))
        return false;
    const char *first = s->text;
    while (!at_end(s) && is_word((unsigned char)*s->text))
        s->text++;
    return s->text > first && !is_digit(*first) && take(s, '>');
}

/* After "(". */
static int32_t parse_group(struct parser *s)
{
    bool negative = false, look = false;

    if (take(s, '?')) {
        negative = take(s, '!');
        look = negative || take(s, '=');
        if (!look && !take(s, ':') && !(take(s, 'P') && take_group_name(s)))
            return fail(s, INF_ERROR_UNSUPPORTED,
                        "has a group (?... of a kind that is not supported");
    }
    if (s->depth == MAX_DEPTH || (look && s->looks == MAX_LOOK))
        return fail(s, INF_ERROR_UNSUPPORTED, "is nested too deeply");
    s->depth++;
    s->looks += look;
    int32_t node = parse_alternatives(s);
    s->depth--;
    s->looks -= look;
    if (node >= 0 && !take(s, ')'))
        return invalid(s, "has a group ( that does not end");
    if (node >= 0 && look) {
        node = new_node(s, NODE_LOOK, node);
        if (node >= 0)
            s->p->nodes[node].detail = negative;
    }
    return node;
}

static bool take_braces(struct parser *s, int32_t *min, int32_t *max);

static int32_t parse_atom(struct parser *s)
{
    struct set set = {{0}};
    int32_t min = 0, max = 0;

    if (take_braces(s, &min, &max))
        return invalid(s, "has a repetition of nothing");
    char c = *s->text++;
    switch (c) {
    case '(':
        return parse_group(s);
    case '[':
        return parse_class(s);
    case '\\':
        return parse_escape(s);
    case '^':
        return parse_at(s, AT_START);
    case '$':
        return parse_at(s, AT_DOLLAR);
    case '*':
    case '+':
    case '?':
        s->text--;
        return invalid(s, "has a repetition of nothing");
    case '.':
        memset(&set, 0xff, sizeof set);
        set.bits['\n' / 32] &= ~(1u << ('\n' % 32));
        return new_set(s, &set);
    default:
        set_add(&set, (unsigned char)c);
        return new_set(s, &set);
    }
}

/* Digits to a count; `missing` when there are none. */
static int32_t take_count(struct parser *s, int32_t missing)
{
    int32_t n = missing;

    for (; !at_end(s) && is_digit(*s->text); s->text++) {
        n = (n < 0 || n == missing ? 0 : n) * 10 + (*s->text - '0');
        n = n > MAX_COUNT ? MAX_COUNT + 1 : n;
    }
    return n;
}

/* "{m,n}" and its short forms; false, and nothing taken, when the brace is a literal. */
static bool take_braces(struct parser *s, int32_t *min, int32_t *max)
{
    const char *before = s->text;

    if (!take(s, '{') || take(s, '}')) {
        s->text = before;
        return false;
    }
    bool digits = !at_end(s) && is_digit(*s->text);
    int32_t low = take_count(s, 0), high = low;
    if (take(s, ',')) {
        high = take_count(s, UNBOUNDED);
        digits = true;
    }
    if (!digits || !take(s, '}')) {
        s->text = before;
        return false;
    }
    *min = low;
    *max = high;
    return true;
}

/* A quantifier, when there is one. */
static bool take_quantifier(struct parser *s, int32_t *min, int32_t *max)
{
    *min = 0;
    *max = UNBOUNDED;
    if (take(s, '*'))
        return true;
    if (take(s, '+')) {
        *min = 1;
        return true;
    }
    if (take(s, '?')) {
        *max = 1;
        return true;
    }
    return take_braces(s, min, max);
}

static int32_t parse_repeat(struct parser *s)
{
    int32_t min = 0, max = 0, ignored_min = 0, ignored_max = 0;
    int32_t node = parse_atom(s);

    if (node < 0 || !take_quantifier(s, &min, &max))
        return node;
    if (s->p->nodes[node].type == NODE_AT)
        return invalid(s, "has a repetition of nothing");
    if (min > MAX_COUNT || max > MAX_COUNT)
        return fail(s, INF_ERROR_UNSUPPORTED, "repeats more than 1000 times");
    if (max != UNBOUNDED && max < min)
        return invalid(s, "has a repetition {m,n} with m above n");
    take(s, '?'); /* lazy: the same language */
    if (!at_end(s) && *s->text == '+')
        return fail(s, INF_ERROR_UNSUPPORTED,
                    "has a possessive repetition, which is not supported");
    if (take_quantifier(s, &ignored_min, &ignored_max))
        return invalid(s, "has a repetition of a repetition");
    node = new_node(s, NODE_REPEAT, node);
    if (node >= 0) {
        s->p->nodes[node].min = min;
        s->p->nodes[node].max = max;
    }
    return node;
}

/* A list node of `type` around item, linked behind `last` when there is one. */
static int32_t append_item(struct parser *s, int32_t type, int32_t item, int32_t last)
{
    int32_t node = item < 0 ? -1 : new_node(s, type, item);

    if (node >= 0 && last >= 0)
        s->p->nodes[last].next = node;
    return node;
}

static int32_t parse_sequence(struct parser *s)
{
    int32_t head = -1, last = -1;

    while (!at_end(s) && *s->text != '|' && *s->text != ')') {
        last = append_item(s, NODE_CAT, parse_repeat(s), last);
        if (last < 0)
            return -1;
        head = head < 0 ? last : head;
    }
    return head < 0 ? new_node(s, NODE_EMPTY, -1) : head;
}

static int32_t parse_alternatives(struct parser *s)
{
    int32_t head = -1, last = -1;

    do {
        last = append_item(s, NODE_ALT, parse_sequence(s), last);
        if (last < 0)
            return -1;
        head = head < 0 ? last : head;
    } while (take(s, '|'));
    return head;
}

/* ---------------------------------------------------------------- emitter */

static void emit(struct parser *s, int32_t index);

static int32_t put(struct parser *s, int32_t op, int32_t x, int32_t y, int32_t detail)
{
    struct pattern *p = s->p;

    if (s->code != INF_OK)
        return 0;
    if (p->n_program == MAX_PROGRAM) {
        fail(s, INF_ERROR_UNSUPPORTED, "is too large");
        return 0;
    }
    if (!GROW(p->program, p->cap_program, (size_t)p->n_program + 1)) {
        no_memory(s);
        return 0;
    }
    p->program[p->n_program] = (struct instruction){.op = op, .x = x, .y = y, .detail = detail};
    return p->n_program++;
}

/* Points an instruction emitted before at what comes next. */
static void land(struct parser *s, int32_t at, bool second)
{
    if (s->code == INF_OK && second)
        s->p->program[at].y = s->p->n_program;
    else if (s->code == INF_OK)
        s->p->program[at].x = s->p->n_program;
}

static void emit_alternatives(struct parser *s, int32_t index)
{
    int32_t exits = -1; /* jumps to the end, chained through x */

    while (s->code == INF_OK && s->p->nodes[index].next >= 0) {
        int32_t split = put(s, OP_SPLIT, s->p->n_program + 1, 0, 0);

        emit(s, s->p->nodes[index].first);
        exits = put(s, OP_JUMP, exits, 0, 0);
        land(s, split, true);
        index = s->p->nodes[index].next;
    }
    if (s->code == INF_OK)
        emit(s, s->p->nodes[index].first);
    while (s->code == INF_OK && exits >= 0) {
        int32_t before = s->p->program[exits].x;

        land(s, exits, false);
        exits = before;
    }
}

static void emit_repeat(struct parser *s, int32_t index)
{
    int32_t first = s->p->nodes[index].first;
    int32_t min = s->p->nodes[index].min, max = s->p->nodes[index].max;
    int32_t skips = -1; /* the optional copies' ways out, chained through y */

    for (int32_t i = 0; i < min && s->code == INF_OK; i++)
        emit(s, first);
    if (max == UNBOUNDED) {
        int32_t split = put(s, OP_SPLIT, s->p->n_program + 1, 0, 0);

        emit(s, first);
        put(s, OP_JUMP, split, 0, 0);
        land(s, split, true);
    }
    for (int32_t i = min; i < max && s->code == INF_OK; i++) {
        skips = put(s, OP_SPLIT, s->p->n_program + 1, skips, 0);
        emit(s, first);
    }
    while (s->code == INF_OK && skips >= 0) {
        int32_t before = s->p->program[skips].y;

        land(s, skips, true);
        skips = before;
    }
}

static void emit_look(struct parser *s, int32_t index)
{
    int32_t look = put(s, OP_LOOK, s->p->n_program + 1, 0, s->p->nodes[index].detail);

    emit(s, s->p->nodes[index].first);
    put(s, OP_MATCH, 0, 0, 0);
    land(s, look, true);
}

static void emit(struct parser *s, int32_t index)
{
    for (; index >= 0 && s->code == INF_OK; index = s->p->nodes[index].next) {
        const struct node node = s->p->nodes[index];

        if (++s->emitted > MAX_EMITTED) {
            fail(s, INF_ERROR_UNSUPPORTED, "is too large");
            return;
        }
        switch (node.type) {
        case NODE_CAT:
            emit(s, node.first);
            continue;
        case NODE_SET:
            put(s, OP_SET, 0, 0, node.detail);
            return;
        case NODE_AT:
            put(s, OP_AT, 0, 0, node.detail);
            return;
        case NODE_ALT:
            emit_alternatives(s, index);
            return;
        case NODE_REPEAT:
            emit_repeat(s, index);
            return;
        case NODE_LOOK:
            emit_look(s, index);
            return;
        default:
            return; /* EMPTY */
        }
    }
}

/* ---------------------------------------------------------------- compile */

/* Scratch for every walk in one block: now, then, stack (2n + 2), seen. */
static int32_t make_walks(struct pattern *p, inf_error *err)
{
    size_t n = (size_t)p->n_program, each = 5 * n + 2;

    p->scratch = mem_calloc(each * (MAX_LOOK + 1), sizeof *p->scratch);
    if (!p->scratch)
        return error_no_memory(err);
    for (size_t i = 0; i <= MAX_LOOK; i++) {
        int32_t *at = p->scratch + i * each;

        p->walks[i] = (struct walk){
            .now = at, .then = at + n, .stack = at + 2 * n, .seen = (uint32_t *)(at + 4 * n + 2)};
    }
    return INF_OK;
}

static int32_t compile(struct parser *s)
{
    for (const char *c = s->start; c < s->end; c++)
        if ((unsigned char)*c >= 0x80)
            return fail(s, INF_ERROR_UNSUPPORTED, "is not plain ASCII, which is not supported");
    int32_t root = parse_alternatives(s);
    if (root >= 0 && !at_end(s))
        invalid(s, "has a ) too many");
    if (s->code == INF_OK) {
        emit(s, root);
        put(s, OP_MATCH, 0, 0, 0);
    }
    mem_free(s->p->nodes);
    s->p->nodes = NULL;
    return s->code;
}

int32_t pattern_compile(struct pattern **out, const char *text, size_t len, inf_error *err)
{
    if (len > PATTERN_MAX_LENGTH)
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         "a pattern of %zu bytes is too long (at most %d)", len,
                         (int)PATTERN_MAX_LENGTH);
    struct pattern *p = mem_calloc(1, sizeof *p);
    if (!p)
        return error_no_memory(err);
    struct parser s = {.p = p, .text = text, .start = text, .end = text + len, .err = err};
    compile(&s);
    int32_t code = s.code == INF_OK ? make_walks(p, err) : s.code;
    if (code != INF_OK) {
        pattern_free(p);
        return code;
    }
    *out = p;
    return INF_OK;
}

int32_t pattern_size(const struct pattern *p)
{
    return p->n_program;
}

void pattern_free(struct pattern *p)
{
    if (!p)
        return;
    mem_free(p->nodes);
    mem_free(p->sets);
    mem_free(p->program);
    mem_free(p->scratch);
    mem_free(p);
}

/* ---------------------------------------------------------------- matcher */

struct match {
    struct pattern *p;
    const char *text;
    size_t len;
    int64_t *budget;
    int32_t look; /* how many lookaheads we are in: the walk in use */
};

static bool holds(const struct match *m, int32_t what, size_t at)
{
    bool before = at > 0 && is_word((unsigned char)m->text[at - 1]);
    bool after = at < m->len && is_word((unsigned char)m->text[at]);

    switch (what) {
    case AT_START:
        return at == 0;
    case AT_END:
        return at == m->len;
    case AT_DOLLAR:
        return at == m->len || (at + 1 == m->len && m->text[at] == '\n');
    case AT_WORD:
        return before != after;
    default: /* AT_NOT_WORD; in Python never in an empty text */
        return before == after && m->len > 0;
    }
}

static bool walk(struct match *m, int32_t start, size_t at, bool full);

/* Whether the lookahead at `pc` holds at a position. */
static bool looks(struct match *m, int32_t pc, size_t at)
{
    const struct instruction *i = &m->p->program[pc];

    m->look++;
    bool found = walk(m, i->x, at, false);
    m->look--;
    return found != (i->detail != 0);
}

/* Adds to `list` every SET and MATCH that is reachable from pc without a character. */
static int32_t add_states(struct match *m, int32_t *list, int32_t n, int32_t pc, size_t at)
{
    struct walk *w = &m->p->walks[m->look];
    int32_t depth = 0;

    w->stack[depth++] = pc;
    while (depth > 0) {
        pc = w->stack[--depth];
        if (w->seen[pc] == w->mark || --*m->budget < 0)
            continue;
        const struct instruction *i = &m->p->program[pc];
        w->seen[pc] = w->mark;
        if (i->op == OP_SPLIT) {
            w->stack[depth++] = i->y;
            w->stack[depth++] = i->x;
        } else if (i->op == OP_JUMP) {
            w->stack[depth++] = i->x;
        } else if (i->op == OP_AT) {
            if (holds(m, i->detail, at))
                w->stack[depth++] = pc + 1;
        } else if (i->op == OP_LOOK) {
            if (looks(m, pc, at))
                w->stack[depth++] = i->y;
        } else {
            list[n++] = pc;
        }
    }
    return n;
}

static void next_mark(struct match *m)
{
    struct walk *w = &m->p->walks[m->look];

    if (++w->mark == 0) {
        memset(w->seen, 0, (size_t)m->p->n_program * sizeof *w->seen);
        w->mark = 1;
    }
}

/* Whether the program at `start` matches from `at` on: to the end when `full`, else anywhere. */
static bool walk(struct match *m, int32_t start, size_t at, bool full)
{
    struct walk *w = &m->p->walks[m->look];
    int32_t *now = w->now, *then = w->then;

    next_mark(m);
    int32_t n = add_states(m, now, 0, start, at);
    for (;; at++) {
        int32_t n_then = 0;

        next_mark(m);
        for (int32_t k = 0; k < n; k++) {
            const struct instruction *i = &m->p->program[now[k]];

            if (i->op == OP_MATCH) {
                if (!full || at == m->len)
                    return true;
            } else if (at < m->len && set_has(&m->p->sets[i->detail], (unsigned char)m->text[at])) {
                n_then = add_states(m, then, n_then, now[k] + 1, at + 1);
            }
        }
        if (n_then == 0 || *m->budget < 0)
            return false;
        int32_t *swap = now;
        now = then;
        then = swap;
        n = n_then;
    }
}

int32_t pattern_fullmatch(bool *out, struct pattern *p, const char *text, size_t len,
                          int64_t *budget, inf_error *err)
{
    struct match m = {.p = p, .text = text, .len = len, .budget = budget};
    bool found = walk(&m, 0, 0, true);

    if (*budget < 0)
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         "the patterns of the configuration take too long to match; simplify them");
    *out = found;
    return INF_OK;
}
