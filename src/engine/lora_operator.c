/*
 * lora_operator: see the header.
 *
 * Weights are recognised by address: the first time a matmul's weight is seen, its name is looked
 * up in the model's file, and its index kept in a small hash table, which all threads fill. Weights
 * live as long as the model; other tensors (views of the KV cache) have no name there and are looked up
 * each time they are not leaves, which is a comparison.
 *
 * A matmul that an adapter touches takes three steps, with a barrier before the last: the threads share
 * the shrink of all rows (by rows where there are enough of them, else by ranks), then ggml's matmul,
 * then the expansion, of which each takes some of the columns, for all rows.
 *
 * ggml's matmul of stacked experts cannot be called, so that its delta comes when the next node is asked
 * about: each thread remembers the node. Nothing has been computed between the two, so that what it
 * was computed from is still there.
 */
#include "engine/lora_operator.h"

#include "core/growing.h"
#include "engine/cpu_operators.h"
#include "engine/engine_adapter.h"
#include "lora/dora.h"
#include "lora/replace.h"

#include <ggml.h>
#include <stdatomic.h>
#include <string.h>

/* Consecutive rows of the graph under an adapter; a row under several is in as many segments, in their
 * order. */
struct segment {
    int32_t first, n;
    const struct engine_adapter *adapter;
    float scale;
    size_t shrunk; /* where A x of its rows lies in the scratch, with room for the largest rank */
};

/* All segments of rows that have adapters: of the graph's tokens, or of those with logits. */
struct segments {
    struct segment *list;
    size_t capacity;
    int32_t n, n_rows;              /* rows without adapters count */
    const struct adapter_set *last; /* the last row's, while they are gathered */
    int32_t *of_last;               /* and its segments */
    size_t of_last_capacity;
};

/* Free, while tensor is NULL; then its index is UNKNOWN for a moment. */
struct weight_entry {
    const struct ggml_tensor *_Atomic tensor;
    _Atomic int32_t index; /* in the GGUF */
};
#define UNKNOWN INT32_MIN
#define MAX_THREADS 512 /* ggml's */

struct lora_operator {
    struct cpu_operators *place;
    const struct gguf_file *base;
    size_t n_tensors;
    struct weight_entry *table; /* (table_size), open addressing */
    size_t table_size;          /* a power of two, twice the tensors */

    struct segments by_token, by_output;
    uint8_t *touched; /* (n_tensors) by an adapter of the call: a bit for each use */
    uint32_t kinds;   /* a bit for each kind of module that the call has */
    bool any;
    atomic_bool failed;
    const struct ggml_tensor *stack[MAX_THREADS]; /* computed by ggml, its delta still to come */

    float *scratch; /* (scratch_size) floats: A x of all segments */
    size_t scratch_size;
};

/* ------------------------------------------------------------------ which weight is this */

static size_t hash_pointer(const void *p, size_t size)
{
    return (size_t)(((uintptr_t)p >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (size - 1);
}

static int32_t index_by_name(const struct lora_operator *o, const char *name)
{
    const struct gguf_tensor *found = gguf_file_find(o->base, name);

    return found ? (int32_t)(found - gguf_file_tensor(o->base, 0)) : -1;
}

/* The GGUF index of a weight, or -1 for a tensor that is none. */
static int32_t weight_index(struct lora_operator *o, const struct ggml_tensor *w)
{
    size_t i = hash_pointer(w, o->table_size);

    if (w->op != GGML_OP_NONE || w->view_src)
        return -1;
    for (size_t tries = 0; tries < o->table_size; tries++, i = (i + 1) & (o->table_size - 1)) {
        const struct ggml_tensor *there = atomic_load(&o->table[i].tensor);
        int32_t index = UNKNOWN;

        if (there == w)
            index = atomic_load(&o->table[i].index);
        if (index != UNKNOWN)
            return index;
        if (there && there != w)
            continue;
        index = index_by_name(o, w->name);
        if (index >= 0 && !there && atomic_compare_exchange_strong(&o->table[i].tensor, &there, w))
            atomic_store(&o->table[i].index, index);
        return index;
    }
    return index_by_name(o, w->name);
}

/* ------------------------------------------------------------------ the delta */

/* What a matmul's delta is computed from. */
struct delta {
    const struct segments *segments;
    int32_t tensor;
    struct lora_rows x, y;
};

static const struct lora_module *any_module(const struct delta *d, const struct segment *s)
{
    return engine_adapter_module(s->adapter, (size_t)d->tensor, LORA_MULTIPLIED);
}

/* Of those that have an A and a B for all rows. */
static const struct lora_module *module_of(const struct delta *d, const struct segment *s)
{
    const struct lora_module *m = any_module(d, s);

    return m && m->kind == LORA_DELTA ? m : NULL;
}

/* `rows` from s->first on, as many as it has. */
static struct lora_rows rows_of(const struct lora_rows *rows, const struct segment *s)
{
    return (struct lora_rows){lora_row(rows, s->first), rows->stride, s->n};
}

static struct lora_rows shrunk_rows(const struct lora_operator *o, const struct segment *s,
                                    const struct lora_module *m)
{
    return (struct lora_rows){o->scratch + s->shrunk, (size_t)m->rank, s->n};
}

static struct lora_rows part(struct lora_rows rows, int32_t first, int32_t end)
{
    return (struct lora_rows){lora_row(&rows, first), rows.stride, end - first};
}

/* Where the share of thread `index` of n begins, in steps of `step`. */
static int32_t share(int32_t total, int32_t step, int32_t index, int32_t n)
{
    int64_t steps = ((int64_t)total + step - 1) / step;
    int64_t at = steps * index / n * step;

    return at < total ? (int32_t)at : total;
}

static int32_t clamp(int64_t value, int32_t most)
{
    return value < 0 ? 0 : value > most ? most : (int32_t)value;
}

#define RANKS_AT_ONCE 4

static int32_t rank_steps(const struct lora_module *m)
{
    return (m->rank + RANKS_AT_ONCE - 1) / RANKS_AT_ONCE;
}

static int32_t min_i32(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

/* A single row's ranks are shared out, of all its adapters together. */
static void shrink_row(const struct lora_operator *o, const struct delta *d, int32_t steps,
                       const struct cpu_thread *t)
{
    int32_t begin = share(steps, 1, t->index, t->n);
    int32_t end = share(steps, 1, t->index + 1, t->n);
    int32_t before = 0;

    for (int32_t i = 0; i < d->segments->n; i++) {
        const struct segment *s = &d->segments->list[i];
        const struct lora_module *m = module_of(d, s);
        struct lora_rows x = rows_of(&d->x, s);
        struct lora_rows h;
        int32_t first = 0;
        int32_t last = 0;

        if (!m)
            continue;
        h = shrunk_rows(o, s, m);
        first = clamp(begin - before, rank_steps(m)) * RANKS_AT_ONCE;
        last = min_i32(clamp(end - before, rank_steps(m)) * RANKS_AT_ONCE, m->rank);
        before += rank_steps(m);
        if (first < last)
            lora_shrink(m, s->scale, &x, first, last - first, &h);
    }
}

/* The steps of a single row's ranks; 0 when more rows than one have work here. */
static int32_t steps_of_one_row(const struct delta *d)
{
    const struct segment *row = NULL;
    int32_t steps = 0;

    for (int32_t i = 0; i < d->segments->n; i++) {
        const struct segment *s = &d->segments->list[i];
        const struct lora_module *m = module_of(d, s);

        if (!m)
            continue;
        if (s->n > 1 || (row && row->first != s->first))
            return 0;
        row = s;
        steps += rank_steps(m);
    }
    return steps;
}

static int64_t work_of(const struct delta *d, const struct segment *s)
{
    const struct lora_module *m = module_of(d, s);

    return m ? (int64_t)s->n * m->rank : 0;
}

/* This thread's share of A x. Each takes an equal part of the work, cut between rows. */
static void shrink(const struct lora_operator *o, const struct delta *d, const struct cpu_thread *t)
{
    int64_t total = 0;
    int64_t before = 0;
    int64_t first = 0;
    int64_t end = 0;
    int32_t steps = steps_of_one_row(d);

    if (steps > 0) {
        shrink_row(o, d, steps, t);
        return;
    }
    for (int32_t i = 0; i < d->segments->n; i++)
        total += work_of(d, &d->segments->list[i]);
    first = total * t->index / t->n;
    end = total * (t->index + 1) / t->n;
    for (int32_t i = 0; i < d->segments->n; i++) {
        const struct segment *s = &d->segments->list[i];
        const struct lora_module *m = module_of(d, s);
        struct lora_rows x = rows_of(&d->x, s);
        struct lora_rows h;
        int32_t row = 0;
        int32_t last = 0;

        if (!m)
            continue;
        h = shrunk_rows(o, s, m);
        /* A row is that thread's in whose part its first rank lies. */
        row = clamp((first - before + m->rank - 1) / m->rank, s->n);
        last = clamp((end - before + m->rank - 1) / m->rank, s->n);
        before += work_of(d, s);
        if (row < last) {
            struct lora_rows from = part(x, row, last);
            struct lora_rows to = part(h, row, last);

            lora_shrink(m, s->scale, &from, 0, m->rank, &to);
        }
    }
}

/* The columns first .. first+n-1 of the result for a segment's rows. */
static void expand_segment(const struct lora_operator *o, const struct delta *d,
                           const struct segment *s, int32_t first, int32_t n)
{
    const struct lora_module *m = any_module(d, s);
    struct lora_rows x = rows_of(&d->x, s);
    struct lora_rows y = rows_of(&d->y, s);

    if (m->kind == LORA_WHOLE) {
        lora_multiply_whole(m, &x, first, n, &y);
    } else if (m->kind == LORA_ROWS) {
        lora_multiply_rows(m, &x, first, n, &y);
    } else {
        struct lora_rows h = shrunk_rows(o, s, m);

        lora_expand(m, &h, first, n, &y);
        if (m->bias)
            lora_add_bias(m, s->scale, first, n, &y);
        if (m->magnitude)
            dora_apply(m, s->scale, first, n, &y);
    }
}

/* This thread's share of B h, added to the result. */
static void expand(const struct lora_operator *o, const struct delta *d, const struct cpu_thread *t)
{
    for (int32_t i = 0; i < d->segments->n; i++) {
        const struct segment *s = &d->segments->list[i];
        const struct lora_module *m = any_module(d, s);
        int32_t first = 0;
        int32_t end = 0;

        if (!m)
            continue;
        first = share(m->n_out, LORA_COLUMNS, t->index, t->n);
        end = share(m->n_out, LORA_COLUMNS, t->index + 1, t->n);
        if (first < end)
            expand_segment(o, d, s, first, end - first);
    }
}

/* Whether nothing of what the base model computes is left: each row has one such adapter at most. */
static bool replaces_all(const struct delta *d)
{
    int32_t n = 0;

    for (int32_t i = 0; i < d->segments->n; i++) {
        const struct lora_module *m = any_module(d, &d->segments->list[i]);

        n += m && m->kind == LORA_WHOLE ? d->segments->list[i].n : 0;
    }
    return n == d->segments->n_rows;
}

/* All rows, also where the tokens of a sequence have a dimension of their own (delta nets). */
static int64_t count_rows(const struct ggml_tensor *t)
{
    return t->ne[1] * t->ne[2] * t->ne[3];
}

static struct lora_rows rows_in(const struct ggml_tensor *t)
{
    return (struct lora_rows){t->data, t->nb[1] / sizeof(float), (int32_t)count_rows(t)};
}

/* One behind another, evenly. */
static bool is_rows(const struct ggml_tensor *t)
{
    return t->type == GGML_TYPE_F32 && t->nb[0] == sizeof(float) &&
           (t->ne[2] == 1 || t->nb[2] == t->nb[1] * (size_t)t->ne[1]) &&
           (t->ne[3] == 1 || t->nb[3] == t->nb[2] * (size_t)t->ne[2]);
}

/* Those of n rows of a graph; NULL: it has others. */
static const struct segments *segments_of(const struct lora_operator *o, int64_t n)
{
    return n == o->by_token.n_rows ? &o->by_token : n == o->by_output.n_rows ? &o->by_output : NULL;
}

/* The index of a weight that an adapter in the call changes in that use, else -1. */
static int32_t touched(struct lora_operator *o, const struct ggml_tensor *w, int32_t use)
{
    int32_t index = weight_index(o, w);

    return index >= 0 && o->touched[index] & 1u << use ? index : -1;
}

static bool fail(struct lora_operator *o)
{
    atomic_store(&o->failed, true);
    return false;
}

static bool prepare_delta(const struct lora_operator *o, struct delta *d,
                          const struct ggml_tensor *t)
{
    const struct ggml_tensor *x = t->src[1];

    int64_t n = count_rows(t);

    if (!is_rows(t) || !is_rows(x) || count_rows(x) != n)
        return false;
    d->x = rows_in(x);
    d->y = rows_in(t);
    d->segments = segments_of(o, n);
    return d->segments != NULL;
}

static bool compute_matmul(struct lora_operator *o, const struct cpu_thread *thread,
                           struct ggml_tensor *t)
{
    struct delta d = {.tensor = touched(o, t->src[0], LORA_MULTIPLIED)};

    if (d.tensor < 0)
        return false;
    if (!prepare_delta(o, &d, t))
        return fail(o);
    shrink(o, &d, thread);
    if (!(o->kinds & 1u << LORA_WHOLE) || !replaces_all(&d))
        cpu_operators_matmul(thread, t);
    cpu_operators_barrier(thread);
    expand(o, &d, thread);
    return true;
}

/* ------------------------------------------------------------------ stacks of experts */

/* One token's row under one of its experts. */
struct expert_row {
    const struct segment *segment;
    struct lora_module module; /* the expert's alone */
    struct lora_rows x, h, y;
};

static void *at(const struct ggml_tensor *t, int64_t i1, int64_t i2)
{
    return (char *)t->data + (size_t)i1 * t->nb[1] + (size_t)i2 * t->nb[2];
}

/* An expert's part of a module. */
static struct lora_module expert_of(const struct lora_module *m, int32_t expert)
{
    size_t row = (size_t)expert * (size_t)m->rank;
    struct lora_module e = *m;

    e.a = (const char *)m->a + row * (size_t)m->padded_in * number_size(m->type);
    e.bt = (const char *)m->bt + row * (size_t)m->padded_out * number_size(m->type);
    e.n_experts = 0;
    return e;
}

/* Row `slot` of the token `at_token` of a segment; false: its expert's number makes no sense. */
static bool get_expert_row(struct expert_row *out, const struct lora_operator *o,
                           const struct ggml_tensor *t, const struct segment *s,
                           const struct lora_module *m, int32_t at_token, int64_t slot)
{
    const struct ggml_tensor *x = t->src[1];
    int64_t token = s->first + at_token;
    int32_t expert = *(const int32_t *)(const void *)((const char *)t->src[2]->data +
                                                      (size_t)slot * t->src[2]->nb[0] +
                                                      (size_t)token * t->src[2]->nb[1]);
    size_t width = lora_module_width(m);

    if (expert < 0 || expert >= m->n_experts)
        return false;
    out->segment = s;
    out->module = expert_of(m, expert);
    out->x = (struct lora_rows){at(x, slot % x->ne[1], token), 0, 1};
    out->y = (struct lora_rows){at(t, slot, token), 0, 1};
    out->h = (struct lora_rows){
        o->scratch + s->shrunk + (size_t)at_token * width + (size_t)expert * (size_t)m->rank, 0, 1};
    return true;
}

/* Each thread takes every so-many-th of the rows to shrink, and all of them for its columns. */
static void add_experts(const struct lora_operator *o, const struct ggml_tensor *t, int32_t tensor,
                        const struct segments *segments, const struct cpu_thread *thread,
                        bool expands)
{
    int64_t number = 0;

    for (int32_t i = 0; i < segments->n; i++) {
        const struct segment *s = &segments->list[i];
        const struct lora_module *m = engine_adapter_module(s->adapter, (size_t)tensor,
                                                            LORA_MULTIPLIED);
        struct expert_row row;
        int32_t first = m ? share(m->n_out, LORA_COLUMNS, thread->index, thread->n) : 0;
        int32_t end = m ? share(m->n_out, LORA_COLUMNS, thread->index + 1, thread->n) : 0;

        for (int32_t token = 0; m && token < s->n; token++) {
            for (int64_t slot = 0; slot < t->ne[1]; slot++, number++) {
                if ((!expands && number % thread->n != thread->index) ||
                    !get_expert_row(&row, o, t, s, m, token, slot))
                    continue;
                if (!expands)
                    lora_shrink(&row.module, s->scale, &row.x, 0, m->rank, &row.h);
                else if (first < end)
                    lora_expand(&row.module, &row.h, first, end - first, &row.y);
            }
        }
    }
}

static bool is_stack_known(const struct ggml_tensor *t)
{
    const struct ggml_tensor *x = t->src[1];

    return t->type == GGML_TYPE_F32 && x->type == GGML_TYPE_F32 && t->nb[0] == sizeof(float) &&
           x->nb[0] == sizeof(float) && t->ne[3] == 1 && x->ne[2] == t->ne[2] && x->ne[1] > 0 &&
           t->src[2]->type == GGML_TYPE_I32;
}

/* `next` is about to be computed: what it reads gets its delta. */
static void finish_stack(struct lora_operator *o, const struct cpu_thread *thread,
                         const struct ggml_tensor *next)
{
    const struct ggml_tensor *t = o->stack[thread->index];
    const struct segments *segments = segments_of(o, t->ne[2]);
    int32_t tensor = weight_index(o, t->src[0]);

    o->stack[thread->index] = NULL;
    if (!segments || !is_stack_known(t) ||
        (next->op != GGML_OP_MUL_MAT_ID && next->src[0] != t && next->src[1] != t)) {
        fail(o);
        return;
    }
    add_experts(o, t, tensor, segments, thread, false);
    cpu_operators_barrier(thread);
    add_experts(o, t, tensor, segments, thread, true);
    cpu_operators_barrier(thread);
}

/* ------------------------------------------------------------------ norms, biases, embeddings */

/* The vector that row `row` of a graph's rows has instead of the model's; NULL: the model's. */
static const float *vector_of(const struct segments *segments, int32_t tensor, int64_t row)
{
    const float *found = NULL;

    for (int32_t i = 0; i < segments->n; i++) {
        const struct segment *s = &segments->list[i];
        const struct lora_module *m = NULL;

        if (row < s->first || row >= s->first + s->n)
            continue;
        m = engine_adapter_module(s->adapter, (size_t)tensor, LORA_MULTIPLIED);
        if (m && m->kind == LORA_VECTOR)
            found = m->whole;
    }
    return found;
}

static bool is_vector(const struct ggml_tensor *w, const struct ggml_tensor *t)
{
    return w->type == GGML_TYPE_F32 && w->nb[0] == sizeof(float) && w->ne[0] == t->ne[0] &&
           w->ne[1] == 1 && w->ne[2] == 1 && w->ne[3] == 1;
}

/* y = x · w or x + w. y may be x. */
static void combine(float *y, const float *x, const float *w, int64_t n, bool product)
{
    if (product)
        for (int64_t i = 0; i < n; i++)
            y[i] = x[i] * w[i];
    else
        for (int64_t i = 0; i < n; i++)
            y[i] = x[i] + w[i];
}

static float *row_at(const struct ggml_tensor *t, int64_t row)
{
    int64_t i1 = row % t->ne[1];
    int64_t i2 = row / t->ne[1] % t->ne[2];
    int64_t i3 = row / t->ne[1] / t->ne[2];

    return (float *)(void *)((char *)t->data + (size_t)i1 * t->nb[1] + (size_t)i2 * t->nb[2] +
                             (size_t)i3 * t->nb[3]);
}

static bool is_elementwise_known(const struct ggml_tensor *t)
{
    const struct ggml_tensor *x = t->src[0];
    bool same = t->type == GGML_TYPE_F32 && x->type == GGML_TYPE_F32 && t->nb[0] == sizeof(float) &&
                x->nb[0] == sizeof(float);

    for (int d = 0; d < 4; d++)
        same = same && t->ne[d] == x->ne[d];
    return same && is_vector(t->src[1], t);
}

/* Several rows of a graph may be one token's: those of its heads. */
static bool compute_vector(struct lora_operator *o, const struct cpu_thread *thread,
                           struct ggml_tensor *t)
{
    int32_t tensor = o->kinds & 1u << LORA_VECTOR ? touched(o, t->src[1], LORA_MULTIPLIED) : -1;
    const struct segments *segments = NULL;
    int64_t rows = count_rows(t);
    int64_t each = 1;

    if (tensor < 0)
        return false;
    segments = segments_of(o, rows);
    if (!segments && rows % o->by_token.n_rows == 0) {
        segments = &o->by_token;
        each = rows / o->by_token.n_rows;
    }
    if (!segments || !is_elementwise_known(t))
        return fail(o);
    for (int64_t row = thread->index; row < rows; row += thread->n) {
        const float *w = vector_of(segments, tensor, row / each);

        combine(row_at(t, row), row_at(t->src[0], row), w ? w : t->src[1]->data, t->ne[0],
                t->op == GGML_OP_MUL);
    }
    return true;
}

static bool compute_lookup(struct lora_operator *o, const struct cpu_thread *thread,
                           struct ggml_tensor *t)
{
    int32_t tensor = touched(o, t->src[0], LORA_LOOKED_UP);
    struct lora_rows y = {0};

    if (tensor < 0)
        return false;
    if (!is_rows(t) || count_rows(t) != o->by_token.n_rows || t->src[1]->type != GGML_TYPE_I32)
        return fail(o);
    y = rows_in(t);
    cpu_operators_get_rows(thread, t);
    cpu_operators_barrier(thread);
    for (int32_t i = 0; i < o->by_token.n; i++) {
        const struct segment *s = &o->by_token.list[i];
        const struct lora_module *m = engine_adapter_module(s->adapter, (size_t)tensor,
                                                            LORA_LOOKED_UP);

        for (int32_t row = s->first; m && row < s->first + s->n; row++)
            if (row % thread->n == thread->index)
                lora_look_up(m, s->scale, ((const int32_t *)t->src[1]->data)[row],
                             lora_row(&y, row));
    }
    return true;
}

/* ------------------------------------------------------------------ any node */

/* See cpu_operators.h. */
static bool compute(void *owner, const struct cpu_thread *thread, struct ggml_tensor *t)
{
    struct lora_operator *o = owner;

    if (!o->any)
        return false;
    if (o->stack[thread->index])
        finish_stack(o, thread, t);
    if (count_rows(t) == 0)
        return false;
    switch (t->op) {
    case GGML_OP_MUL_MAT:
        return compute_matmul(o, thread, t);
    case GGML_OP_MUL_MAT_ID:
        if (o->kinds & 1u << LORA_EXPERTS && touched(o, t->src[0], LORA_MULTIPLIED) >= 0)
            o->stack[thread->index] = t;
        return false;
    case GGML_OP_GET_ROWS:
        return compute_lookup(o, thread, t);
    case GGML_OP_MUL:
    case GGML_OP_ADD:
        return compute_vector(o, thread, t);
    default:
        return false;
    }
}

/* A norm whose weight is another for some rows. */
static bool splits(void *owner, const struct ggml_tensor *product)
{
    struct lora_operator *o = owner;

    return o->any && o->kinds & 1u << LORA_VECTOR &&
           touched(o, product->src[1], LORA_MULTIPLIED) >= 0;
}

/* ------------------------------------------------------------------ the call */

static bool reserve_scratch(struct lora_operator *o, size_t n)
{
    float *scratch = NULL;

    if (n <= o->scratch_size)
        return true;
    scratch = mem_alloc(n * sizeof *scratch);
    if (!scratch)
        return false;
    mem_free(o->scratch);
    o->scratch = scratch;
    o->scratch_size = n;
    return true;
}

/* The next `count` rows of the graph are this row's. Adapters with which the row before begins too go
 * on in its segments, so that what many requests have in common is computed for all at once; a row's
 * segments stay in the order of its adapters, in which their deltas are added. */
static bool add_run(struct segments *s, const struct engine_row *row, int32_t count)
{
    const struct adapter_set *set = row->adapters;
    int32_t n = adapter_set_size(set);
    int32_t common = adapter_set_common(s->last, set);

    if (count == 0)
        return true;
    if (n > 0 && (!GROW(s->list, s->capacity, (size_t)(s->n + n - common)) ||
                  !GROW(s->of_last, s->of_last_capacity, (size_t)n)))
        return false;
    for (int32_t i = 0; i < common; i++)
        s->list[s->of_last[i]].n += count;
    for (int32_t i = common; i < n; i++) {
        const struct scaled_adapter *a = &set->list[i];

        s->of_last[i] = s->n;
        s->list[s->n++] = (struct segment){s->n_rows, count, a->adapter->payload, a->scale, 0};
    }
    s->n_rows += count;
    s->last = set;
    return true;
}

/* Gives each segment its place in the scratch. Returns the floats that all take. */
static size_t lay_out(struct segments *s)
{
    size_t n = 0;

    for (int32_t i = 0; i < s->n; i++) {
        s->list[i].shrunk = n;
        n += (size_t)s->list[i].n * s->list[i].adapter->weights->max_width;
    }
    return n;
}

static void touch(struct lora_operator *o, const struct engine_adapter *a)
{
    for (size_t i = 0; i < a->weights->n_modules; i++) {
        const struct lora_module *m = &a->weights->modules[i];

        o->touched[m->index] |= (uint8_t)(1u << lora_use_of(m->kind));
        o->kinds |= 1u << m->kind;
    }
    o->any = true;
}

static void clear(struct segments *s)
{
    s->n = s->n_rows = 0;
    s->last = NULL;
}

int32_t lora_operator_begin(struct lora_operator *o, const struct engine_row *rows, int32_t n_rows,
                            int32_t n_tokens, inf_error *err)
{
    clear(&o->by_token);
    clear(&o->by_output);
    o->any = false;
    o->kinds = 0;
    atomic_store(&o->failed, false);
    for (int32_t i = 0; i < n_rows; i++)
        if (!add_run(&o->by_token, &rows[i], n_tokens) ||
            !add_run(&o->by_output, &rows[i], rows[i].n_logits))
            return error_no_memory(err);
    cpu_operators_split(NULL, NULL);
    if (!o->by_token.n) {
        cpu_operators_split(o->place, splits);
        return INF_OK;
    }
    lay_out(&o->by_output); /* never more than by_token takes */
    if (!reserve_scratch(o, lay_out(&o->by_token)))
        return error_no_memory(err);
    memset(o->touched, 0, o->n_tensors * sizeof *o->touched);
    for (int32_t i = 0; i < o->by_token.n; i++)
        touch(o, o->by_token.list[i].adapter);
    cpu_operators_split(o->place, splits);
    return INF_OK;
}

bool lora_operator_end(struct lora_operator *o)
{
    cpu_operators_split(NULL, NULL);
    o->any = false;
    for (int32_t i = 0; o->kinds & 1u << LORA_EXPERTS && i < MAX_THREADS; i++)
        if (o->stack[i]) { /* a graph that ends with it, or a decode that failed */
            o->stack[i] = NULL;
            fail(o);
        }
    return !atomic_load(&o->failed);
}

/* ------------------------------------------------------------------ life */

int32_t lora_operator_create(struct lora_operator **out, const struct gguf_file *base,
                             struct ggml_threadpool *pool, inf_error *err)
{
    struct lora_operator *o = mem_calloc(1, sizeof *o);
    int32_t code = INF_OK;

    *out = NULL;
    if (!o)
        return error_no_memory(err);
    o->base = base;
    o->n_tensors = gguf_file_tensor_count(base);
    o->table_size = 64;
    while (o->table_size < o->n_tensors * 2)
        o->table_size *= 2;
    o->table = mem_calloc(o->table_size, sizeof *o->table);
    o->touched = mem_calloc(o->n_tensors + 1, sizeof *o->touched);
    if (!o->table || !o->touched)
        code = error_no_memory(err);
    for (size_t i = 0; code == INF_OK && i < o->table_size; i++)
        atomic_init(&o->table[i].index, UNKNOWN);
    if (code == INF_OK)
        code = cpu_operators_open(&o->place, pool, compute, o, err);
    if (code != INF_OK) {
        lora_operator_free(o);
        return code;
    }
    *out = o;
    return INF_OK;
}

void lora_operator_free(struct lora_operator *o)
{
    if (!o)
        return;
    cpu_operators_close(o->place);
    mem_free(o->table);
    mem_free(o->by_token.list);
    mem_free(o->by_token.of_last);
    mem_free(o->by_output.list);
    mem_free(o->by_output.of_last);
    mem_free(o->touched);
    mem_free(o->scratch);
    mem_free(o);
}
