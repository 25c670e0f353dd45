/*
 * grammar_matcher: see the header.
 *
 * A place is a node, its frame and the frame's register there, so that two counts are two places. A
 * byte that leads from a place to where it stands already (within a JSON text's string, most do) makes
 * no new places: the level above shares those of the one below.
 *
 * Frames and edges lie in arrays that only grow while a text is tried: a frame gets its edges at the
 * point of the text where it was made, so taking bytes back is cutting the arrays. What no place leads
 * to any more is thrown away between tokens.
 */
#include "text/constraint/grammar_matcher.h"

#include "core/growing.h"
#include "text/constraint/member_sets.h"

#include <string.h>

#define MAX_STEP 200000              /* places looked at in one step */
#define MAX_FRAMES ((size_t)1 << 21) /* after what is not needed was thrown away */
#define COLLECT_AT 4096
#define NO_FRAME (-1)
#define NO_EDGE (-1)

struct place {
    int32_t node, frame;
    int32_t reg; /* a count, or the number of a set of members */
};

struct frame {
    int32_t edges; /* the first */
    uint32_t made; /* the step in which it was made */
    bool ended;    /* in that step its rule has come to its end, with nothing in it */
};

struct edge {
    struct place back; /* where the caller goes on */
    int32_t next;
};

/* One point of the text: its places that wait for a byte or a token, and what to cut back to. */
struct level {
    size_t first, n; /* of `places`; perhaps those of the level below */
    size_t n_places, n_frames, n_edges, n_sets;
    struct place
        origin; /* with `single`: the one place that the byte led to; all others follow from it */
    bool single;
    bool may_end;
    bool loops; /* some place is at a set that does */
};

struct seen {
    struct place place;
    uint32_t step;
};

struct grammar_matcher {
    const struct grammar *g;
    struct place *places;
    size_t n_places, places_cap;
    struct level *levels; /* [0]: the text; above it the bytes that are tried */
    size_t n_levels, levels_cap;
    struct frame *frames;
    size_t n_frames, frames_cap;
    struct edge *edges;
    size_t n_edges, edges_cap;
    struct place *work; /* of the step */
    size_t n_work, work_cap;
    struct seen *seen; /* (n_seen, a power of 2): places of the step, open addressing */
    size_t n_seen, seen_used;
    int32_t *frame_of; /* (n_rules): made in the step frame_step */
    uint32_t *frame_step;
    uint32_t step;
    int64_t work_done; /* since try_begin */
    size_t collect_at; /* frames */
    struct member_sets sets;
    bool gave_up;
};

static bool give_up(struct grammar_matcher *m)
{
    m->gave_up = true;
    return false;
}

/* ------------------------------------------------------------------ what a step has seen */

static size_t slot_of(const struct grammar_matcher *m, struct place p)
{
    uint64_t h = ((uint64_t)(uint32_t)p.node << 32 | (uint32_t)p.frame) *
                     UINT64_C(0x9e3779b97f4a7c15) +
                 (uint64_t)(uint32_t)p.reg * UINT64_C(0xc2b2ae3d27d4eb4f);

    return (size_t)(h >> 32) & (m->n_seen - 1);
}

static bool same_place(struct place a, struct place b)
{
    return a.node == b.node && a.frame == b.frame && a.reg == b.reg;
}

static void put_seen(struct grammar_matcher *m, struct place p)
{
    size_t i = slot_of(m, p);

    while (m->seen[i].step == m->step)
        i = (i + 1) & (m->n_seen - 1);
    m->seen[i] = (struct seen){p, m->step};
}

static bool grow_seen(struct grammar_matcher *m)
{
    struct seen *old = m->seen;
    size_t n_old = m->n_seen;
    struct seen *grown = mem_calloc(n_old ? n_old * 2 : 256, sizeof *grown);

    if (!grown)
        return give_up(m);
    m->seen = grown;
    m->n_seen = n_old ? n_old * 2 : 256;
    for (size_t i = 0; i < n_old; i++)
        if (old[i].step == m->step)
            put_seen(m, old[i].place);
    mem_free(old);
    return true;
}

/* true the first time in the step. */
static bool is_new(struct grammar_matcher *m, struct place p)
{
    size_t i = 0;

    if (m->seen_used * 2 >= m->n_seen && !grow_seen(m))
        return false;
    for (i = slot_of(m, p); m->seen[i].step == m->step; i = (i + 1) & (m->n_seen - 1))
        if (same_place(m->seen[i].place, p))
            return false;
    m->seen[i] = (struct seen){p, m->step};
    m->seen_used++;
    return true;
}

static void begin_step(struct grammar_matcher *m)
{
    if (++m->step == 0) { /* a number was used before: nothing of it may look like this step's */
        memset(m->seen, 0, m->n_seen * sizeof *m->seen);
        memset(m->frame_step, 0, m->g->n_rules * sizeof *m->frame_step);
        for (size_t i = 0; i < m->n_frames; i++)
            m->frames[i].made = 0;
        m->step = 1;
    }
    m->seen_used = 0;
    m->n_work = 0;
}

/* ------------------------------------------------------------------ frames */

static bool add_edge(struct grammar_matcher *m, int32_t frame, struct place back)
{
    if (m->n_edges >= MAX_FRAMES * 2 || !GROW(m->edges, m->edges_cap, m->n_edges + 1))
        return give_up(m);
    m->edges[m->n_edges] = (struct edge){back, m->frames[frame].edges};
    m->frames[frame].edges = (int32_t)m->n_edges++;
    return true;
}

/* The rule's frame at this point of the text; *made: it was not there. */
static bool find_frame(struct grammar_matcher *m, int32_t rule, int32_t *out, bool *made)
{
    *made = m->frame_step[rule] != m->step;
    if (*made) {
        if (m->n_frames >= MAX_FRAMES || !GROW(m->frames, m->frames_cap, m->n_frames + 1))
            return give_up(m);
        m->frames[m->n_frames] = (struct frame){NO_EDGE, m->step, false};
        m->frame_of[rule] = (int32_t)m->n_frames++;
        m->frame_step[rule] = m->step;
    }
    *out = m->frame_of[rule];
    return true;
}

/* ------------------------------------------------------------------ a step */

static bool push_work(struct grammar_matcher *m, struct place p)
{
    if (!GROW(m->work, m->work_cap, m->n_work + 1))
        return give_up(m);
    m->work[m->n_work++] = p;
    return true;
}

static bool keep(struct grammar_matcher *m, struct level *level, struct place p)
{
    const struct grammar_node *node = &m->g->nodes[p.node];

    if (node->kind == GRAMMAR_SET && m->g->sets[node->value].loops)
        level->loops = true;
    if (!GROW(m->places, m->places_cap, m->n_places + 1))
        return give_up(m);
    m->places[m->n_places++] = p;
    return true;
}

/* Enters a rule, once a point of the text; whoever calls is told when it ends. */
static bool call(struct grammar_matcher *m, const struct grammar_node *node, struct place caller)
{
    struct place back = {node->next, caller.frame, caller.reg};
    int32_t frame = 0;
    bool made = false;

    if (!find_frame(m, node->value, &frame, &made) || !add_edge(m, frame, back))
        return false;
    if (made)
        return push_work(m, (struct place){m->g->rules[node->value], frame, 0});
    return !m->frames[frame].ended || push_work(m, back);
}

static bool end_rule(struct grammar_matcher *m, struct level *level, int32_t frame)
{
    if (frame == NO_FRAME) {
        level->may_end = true;
        return true;
    }
    if (m->frames[frame].made == m->step)
        m->frames[frame].ended = true;
    for (int32_t e = m->frames[frame].edges; e != NO_EDGE; e = m->edges[e].next) {
        m->work_done++;
        if (!push_work(m, m->edges[e].back))
            return false;
    }
    return true;
}

static bool passes(const struct grammar_matcher *m, const struct grammar_node *node, int32_t reg)
{
    const struct grammar_span *span = NULL;
    int32_t count = reg;

    if (node->kind == GRAMMAR_HAS)
        return member_sets_has(&m->sets, reg, node->value) != node->negate;
    span = &m->g->spans[node->value];
    if (node->negate)
        count = member_sets_count(&m->sets, reg);
    return count >= span->low && count <= span->high;
}

/* The nodes that look at the register or change it. */
static bool visit_register(struct grammar_matcher *m, const struct grammar_node *node,
                           struct place p)
{
    if (node->kind == GRAMMAR_COUNT)
        p.reg += p.reg < node->value;
    else if (node->kind == GRAMMAR_ADD) {
        if (!member_sets_add(&m->sets, &p.reg, node->value))
            return give_up(m);
    } else if (!passes(m, node, p.reg)) {
        return true;
    }
    p.node = node->next;
    return push_work(m, p);
}

static bool visit(struct grammar_matcher *m, struct level *level, struct place p)
{
    const struct grammar_node *node = &m->g->nodes[p.node];

    while (node->kind == GRAMMAR_JUMP) {
        p.node = node->next;
        node = &m->g->nodes[p.node];
    }
    if (!is_new(m, p))
        return !m->gave_up;
    switch (node->kind) {
    case GRAMMAR_SPLIT:
        return push_work(m, (struct place){node->value, p.frame, p.reg}) &&
               push_work(m, (struct place){node->next, p.frame, p.reg});
    case GRAMMAR_CALL:
        return call(m, node, p);
    case GRAMMAR_END:
        return end_rule(m, level, p.frame);
    case GRAMMAR_RANGE:
    case GRAMMAR_SET:
    case GRAMMAR_TOKEN:
        return keep(m, level, p);
    default:
        return visit_register(m, node, p);
    }
}

/* From the places in `work` to those that wait. */
static bool close_step(struct grammar_matcher *m, struct level *level)
{
    int64_t limit = m->work_done + MAX_STEP;

    while (m->n_work > 0) {
        if (++m->work_done > limit)
            return give_up(m);
        if (!visit(m, level, m->work[--m->n_work]))
            return false;
    }
    return true;
}

static bool takes_byte(const struct grammar_matcher *m, const struct grammar_node *node,
                       unsigned char byte)
{
    if (node->kind == GRAMMAR_RANGE)
        return byte >= node->low && byte <= node->high;
    return node->kind == GRAMMAR_SET && (m->g->sets[node->value].bits[byte / 64] >> byte % 64 & 1);
}

/* Every place of `from` that the byte, or with byte < 0 the token, leads on from becomes work. */
static bool follow(struct grammar_matcher *m, const struct level *from, int byte, int32_t token)
{
    bool any = false;

    for (size_t i = 0; i < from->n; i++) {
        struct place p = m->places[from->first + i];
        const struct grammar_node *node = &m->g->nodes[p.node];
        bool takes = byte >= 0
                         ? takes_byte(m, node, (unsigned char)byte)
                         : node->kind == GRAMMAR_TOKEN && (node->value == token) != node->negate;

        if (takes && !push_work(m, (struct place){node->next, p.frame, p.reg}))
            return false;
        any = any || takes;
    }
    m->work_done += (int64_t)from->n;
    return any;
}

static struct level new_level(const struct grammar_matcher *m)
{
    return (struct level){.first = m->n_places,
                          .n_places = m->n_places,
                          .n_frames = m->n_frames,
                          .n_edges = m->n_edges,
                          .n_sets = m->sets.n};
}

static void cut_to(struct grammar_matcher *m, const struct level *level)
{
    m->n_places = level->n_places;
    m->n_frames = level->n_frames;
    m->n_edges = level->n_edges;
    member_sets_cut(&m->sets, level->n_sets);
}

/* From what the byte led to, in `work`, to the places that wait. */
static bool fill_level(struct grammar_matcher *m, struct level *level, const struct level *from)
{
    level->single = m->n_work == 1;
    if (level->single) {
        level->origin = m->work[0];
        if (from->single && same_place(from->origin, level->origin)) {
            level->first = from->first;
            level->n = from->n;
            level->may_end = from->may_end;
            level->loops = from->loops;
            return true;
        }
    }
    if (!close_step(m, level))
        return false;
    level->n = m->n_places - level->first;
    return true;
}

/* A new level on top, reached by the byte. */
static bool push_level(struct grammar_matcher *m, int byte, int32_t token, size_t from)
{
    struct level level = new_level(m);

    if (!GROW(m->levels, m->levels_cap, m->n_levels + 1))
        return give_up(m);
    begin_step(m);
    if (!follow(m, &m->levels[from], byte, token) || !fill_level(m, &level, &m->levels[from])) {
        cut_to(m, &level);
        return false;
    }
    m->levels[m->n_levels++] = level;
    return true;
}

/* ------------------------------------------------------------------ throwing away */

/* Numbers in `to` (n_frames): NO_FRAME for those that nothing leads to. The frames keep their order,
 * so that an older one keeps the smaller number. */
static bool mark(struct grammar_matcher *m, int32_t *to)
{
    const struct level *level = &m->levels[0];

    for (size_t i = 0; i < m->n_frames; i++)
        to[i] = NO_FRAME;
    m->n_work = 0;
    for (size_t i = 0; i < level->n; i++)
        if (!push_work(m, m->places[level->first + i]))
            return false;
    while (m->n_work > 0) {
        int32_t frame = m->work[--m->n_work].frame;

        if (frame == NO_FRAME || to[frame] != NO_FRAME)
            continue;
        to[frame] = 0;
        for (int32_t e = m->frames[frame].edges; e != NO_EDGE; e = m->edges[e].next)
            if (!push_work(m, m->edges[e].back))
                return false;
    }
    return true;
}

static int32_t moved(const int32_t *to, int32_t frame)
{
    return frame == NO_FRAME ? NO_FRAME : to[frame];
}

static void move_frames(struct grammar_matcher *m, int32_t *to, struct edge *edges)
{
    struct level *level = &m->levels[0];
    size_t n_frames = 0;
    size_t n_edges = 0;

    for (size_t i = 0; i < m->n_frames; i++)
        if (to[i] != NO_FRAME)
            to[i] = (int32_t)n_frames++;
    for (size_t i = 0; i < m->n_frames; i++) {
        int32_t first = NO_EDGE;

        if (to[i] == NO_FRAME)
            continue;
        for (int32_t e = m->frames[i].edges; e != NO_EDGE; e = m->edges[e].next) {
            struct place back = m->edges[e].back;

            back.frame = moved(to, back.frame);
            edges[n_edges] = (struct edge){back, first};
            first = (int32_t)n_edges++;
        }
        m->frames[to[i]] = (struct frame){first, m->frames[i].made, m->frames[i].ended};
    }
    for (size_t i = 0; i < level->n; i++)
        m->places[level->first + i].frame = moved(to, m->places[level->first + i].frame);
    level->single = false; /* its origin's frame has another number now */
    m->n_frames = n_frames;
    m->n_edges = n_edges;
}

static bool collect(struct grammar_matcher *m)
{
    int32_t *to = mem_alloc((m->n_frames + 1) * sizeof *to);
    struct edge *edges = mem_alloc((m->edges_cap + 1) * sizeof *edges);
    bool ok = to && edges && mark(m, to);

    if (ok) {
        move_frames(m, to, edges);
        mem_free(m->edges);
        m->edges = edges;
        m->edges_cap++;
        edges = NULL;
        m->collect_at = m->n_frames * 2 > COLLECT_AT ? m->n_frames * 2 : COLLECT_AT;
    }
    mem_free(edges);
    mem_free(to);
    return ok || give_up(m);
}

/* The levels from `first` on become the text: places of all of them together are level 0. */
static void settle(struct grammar_matcher *m, size_t first)
{
    struct level whole = m->levels[first];

    whole.n = 0;
    whole.single = whole.single && first + 1 == m->n_levels;
    for (size_t i = first; i < m->n_levels; i++) {
        const struct level *level = &m->levels[i];

        memmove(m->places + whole.n, m->places + level->first, level->n * sizeof *m->places);
        whole.may_end = whole.may_end || level->may_end;
        whole.loops = whole.loops || level->loops;
        whole.n += level->n;
    }
    whole.first = 0;
    m->n_places = whole.n;
    m->levels[0] = whole;
    m->n_levels = 1;
}

/* ------------------------------------------------------------------ the interface */

struct grammar_matcher *grammar_matcher_create(const struct grammar *grammar)
{
    struct grammar_matcher *m = mem_calloc(1, sizeof *m);
    struct level start = {0};

    if (!m)
        return NULL;
    m->g = grammar;
    m->collect_at = COLLECT_AT;
    m->frame_of = mem_calloc(grammar->n_rules, sizeof *m->frame_of);
    m->frame_step = mem_calloc(grammar->n_rules, sizeof *m->frame_step);
    m->levels = mem_calloc(64, sizeof *m->levels);
    m->levels_cap = 64;
    if (m->frame_of && m->frame_step && m->levels && grow_seen(m) &&
        member_sets_start(&m->sets, grammar->n_members)) {
        begin_step(m);
        if (push_work(m, (struct place){grammar->rules[grammar->root], NO_FRAME, 0}))
            close_step(m, &start);
        start.n = m->n_places;
        m->levels[m->n_levels++] = start;
        return m;
    }
    grammar_matcher_free(m);
    return NULL;
}

void grammar_matcher_free(struct grammar_matcher *m)
{
    if (!m)
        return;
    mem_free(m->places);
    mem_free(m->levels);
    mem_free(m->frames);
    mem_free(m->edges);
    mem_free(m->work);
    mem_free(m->seen);
    mem_free(m->frame_of);
    mem_free(m->frame_step);
    member_sets_free(&m->sets);
    mem_free(m);
}

bool grammar_matcher_may_end(const struct grammar_matcher *m)
{
    return !m->gave_up && m->levels[m->n_levels - 1].may_end;
}

bool grammar_matcher_is_stuck(const struct grammar_matcher *m)
{
    const struct level *last = &m->levels[m->n_levels - 1];

    return m->gave_up || (last->n == 0 && !last->may_end);
}

bool grammar_matcher_wants_token(const struct grammar_matcher *m)
{
    const struct level *text = &m->levels[0];

    for (size_t i = 0; i < text->n; i++)
        if (m->g->nodes[m->places[text->first + i].node].kind == GRAMMAR_TOKEN)
            return true;
    return false;
}

bool grammar_matcher_takes_token(const struct grammar_matcher *m, int32_t token)
{
    const struct level *text = &m->levels[0];

    for (size_t i = 0; i < text->n; i++) {
        const struct grammar_node *node = &m->g->nodes[m->places[text->first + i].node];

        if (node->kind == GRAMMAR_TOKEN && (node->value == token) != node->negate)
            return true;
    }
    return false;
}

void grammar_matcher_try_begin(struct grammar_matcher *m)
{
    m->work_done = 0;
}

bool grammar_matcher_try_push(struct grammar_matcher *m, unsigned char byte)
{
    return !m->gave_up && push_level(m, byte, -1, m->n_levels - 1);
}

void grammar_matcher_try_pop(struct grammar_matcher *m, size_t n)
{
    if (n == 0)
        return;
    m->n_levels -= n;
    cut_to(m, &m->levels[m->n_levels]);
}

void grammar_matcher_try_drop(struct grammar_matcher *m, size_t n)
{
    grammar_matcher_try_pop(m, n);
    m->gave_up = false;
}

void grammar_matcher_next_bytes(const struct grammar_matcher *m, uint64_t bits[4])
{
    const struct level *top = &m->levels[m->n_levels - 1];

    memset(bits, 0, 4 * sizeof *bits);
    for (size_t i = 0; i < top->n && !m->gave_up; i++) {
        const struct grammar_node *node = &m->g->nodes[m->places[top->first + i].node];

        for (int k = 0; node->kind == GRAMMAR_SET && k < 4; k++)
            bits[k] |= m->g->sets[node->value].bits[k];
        for (unsigned b = node->low; node->kind == GRAMMAR_RANGE && b <= node->high; b++)
            bits[b / 64] |= UINT64_C(1) << b % 64;
    }
}

static bool loops_on(const struct grammar_set *set, int32_t count, const struct grammar_bytes *any)
{
    return set->loops && (any->ascii[0] & ~set->bits[0]) == 0 &&
           (any->ascii[1] & ~set->bits[1]) == 0 && (!any->beyond_ascii || set->beyond_ascii) &&
           (set->most < 0 || set->most - count >= any->longest);
}

bool grammar_matcher_takes_all(const struct grammar_matcher *m, const struct grammar_bytes *any)
{
    const struct level *top = &m->levels[m->n_levels - 1];

    if (!top->loops || m->gave_up)
        return false;
    for (size_t i = 0; i < top->n; i++) {
        struct place p = m->places[top->first + i];
        const struct grammar_node *node = &m->g->nodes[p.node];

        if (node->kind == GRAMMAR_SET && loops_on(&m->g->sets[node->value], p.reg, any))
            return true;
    }
    return false;
}

int64_t grammar_matcher_try_work(const struct grammar_matcher *m)
{
    return m->work_done;
}

/* The bytes first; the number on top of them, so that both ways together are the last levels. */
bool grammar_matcher_accept(struct grammar_matcher *m, int32_t token, const char *bytes, size_t n)
{
    size_t done = 0;
    size_t first = 0;

    m->work_done = 0;
    while (done < n && grammar_matcher_try_push(m, (unsigned char)bytes[done]))
        done++;
    if (m->gave_up)
        return false;
    if (n == 0 || done < n)
        grammar_matcher_try_pop(m, done);
    first = m->n_levels - (n > 0 && done == n);
    if (grammar_matcher_takes_token(m, token))
        push_level(m, -1, token, 0);
    if (m->gave_up || first == m->n_levels)
        return false;
    settle(m, first);
    return m->n_frames < m->collect_at || collect(m);
}

bool grammar_matcher_gave_up(const struct grammar_matcher *m)
{
    return m->gave_up;
}
