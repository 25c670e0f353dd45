/*
 * pattern: see the header for the dialect.
 *
 * The emitter makes a program of the parser's nodes (counted repetition is copied out), and the
 * matcher walks the text once with the set of program counters that are alive. A lookahead runs its
 * own small walk. Nesting, program size and work are bounded.
 */
#include "hf/files/pattern.h"

#include "core/growing.h"
#include "hf/files/pattern_parts.h"

#include <string.h>

/* ---------------------------------------------------------------- emitter */

static void emit(struct parser *s, int32_t index);

static int32_t put(struct parser *s, int32_t op, int32_t x, int32_t y, int32_t detail)
{
    struct pattern *p = s->p;

    if (s->code != INF_OK)
        return 0;
    if (p->n_program == MAX_PROGRAM) {
        pattern_fail(s, INF_ERROR_UNSUPPORTED, "is too large");
        return 0;
    }
    if (!GROW(p->program, p->cap_program, (size_t)p->n_program + 1)) {
        pattern_no_memory(s);
        return 0;
    }
    p->program[p->n_program] = (struct instruction){.op = op, .x = x, .y = y, .detail = detail};
    return p->n_program++;
}

/* Points an instruction emitted before at what comes next. Returns where it pointed. */
static int32_t land(struct parser *s, int32_t at)
{
    int32_t before = -1;

    if (s->code != INF_OK)
        return -1;
    before = s->p->program[at].y;
    s->p->program[at].y = s->p->n_program;
    return before;
}

static void emit_alternatives(struct parser *s, int32_t index)
{
    int32_t exits = -1; /* jumps to the end, chained through y */

    while (s->code == INF_OK && s->p->nodes[index].next >= 0) {
        int32_t split = put(s, OP_SPLIT, s->p->n_program + 1, 0, 0);

        emit(s, s->p->nodes[index].first);
        exits = put(s, OP_JUMP, 0, exits, 0);
        land(s, split);
        index = s->p->nodes[index].next;
    }
    if (s->code == INF_OK)
        emit(s, s->p->nodes[index].first);
    while (exits >= 0)
        exits = land(s, exits);
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
        put(s, OP_JUMP, 0, split, 0);
        land(s, split);
    }
    for (int32_t i = min; i < max && s->code == INF_OK; i++) {
        skips = put(s, OP_SPLIT, s->p->n_program + 1, skips, 0);
        emit(s, first);
    }
    while (skips >= 0)
        skips = land(s, skips);
}

static void emit_look(struct parser *s, int32_t index)
{
    int32_t look = put(s, OP_LOOK, s->p->n_program + 1, 0, s->p->nodes[index].detail);

    emit(s, s->p->nodes[index].first);
    put(s, OP_MATCH, 0, 0, 0);
    land(s, look);
}

static void emit(struct parser *s, int32_t index)
{
    for (; index >= 0 && s->code == INF_OK; index = s->p->nodes[index].next) {
        const struct node node = s->p->nodes[index];

        if (++s->emitted > MAX_EMITTED) {
            pattern_fail(s, INF_ERROR_UNSUPPORTED, "is too large");
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
    int32_t root = -1;

    for (const char *c = s->start; c < s->end; c++)
        if ((unsigned char)*c >= 0x80)
            return pattern_fail(s, INF_ERROR_UNSUPPORTED,
                                "is not plain ASCII, which is not supported");
    root = pattern_parse(s);
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
    struct parser s = {.text = text, .start = text, .end = text + len, .err = err};
    int32_t code = INF_OK;

    if (len > PATTERN_MAX_LENGTH)
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         "a pattern of %zu bytes is too long (at most %d)", len,
                         (int)PATTERN_MAX_LENGTH);
    s.p = mem_calloc(1, sizeof *s.p);
    if (!s.p)
        return error_no_memory(err);
    compile(&s);
    code = s.code == INF_OK ? make_walks(s.p, err) : s.code;
    if (code == INF_OK)
        *out = s.p;
    else
        pattern_free(s.p);
    return code;
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
    bool before = at > 0 && pattern_is_word((unsigned char)m->text[at - 1]);
    bool after = at < m->len && pattern_is_word((unsigned char)m->text[at]);

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
    bool found = false;

    m->look++;
    found = walk(m, i->x, at, false);
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
        const struct instruction *i = NULL;

        pc = w->stack[--depth];
        if (w->seen[pc] == w->mark || --*m->budget < 0)
            continue;
        i = &m->p->program[pc];
        w->seen[pc] = w->mark;
        if (i->op == OP_SPLIT) {
            w->stack[depth++] = i->y;
            w->stack[depth++] = i->x;
        } else if (i->op == OP_JUMP) {
            w->stack[depth++] = i->y;
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
    int32_t n = 0;

    next_mark(m);
    n = add_states(m, now, 0, start, at);
    for (;; at++) {
        int32_t *swap = now;
        int32_t n_then = 0;

        next_mark(m);
        for (int32_t k = 0; k < n; k++) {
            const struct instruction *i = &m->p->program[now[k]];

            if (i->op == OP_MATCH) {
                if (!full || at == m->len)
                    return true;
            } else if (at < m->len &&
                       pattern_set_has(&m->p->sets[i->detail], (unsigned char)m->text[at])) {
                n_then = add_states(m, then, n_then, now[k] + 1, at + 1);
            }
        }
        if (n_then == 0 || *m->budget < 0)
            return false;
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
