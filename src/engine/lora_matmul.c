/*
 * lora_matmul: the deltas of matmuls.
 *
 * A matmul that an adapter touches takes three steps: the threads share the shrink of all rows (by rows where there
 * are enough of them, else by ranks), then our matmul, whose columns are expanded for all rows by the thread that has just
 * computed them; after ggml's matmul the threads meet, then each expands some of the columns.
 */
#include "engine/lora_nodes.h"

#include "core/min_max.h"
#include "lora/dora.h"
#include "lora/replace.h"

/* What a matmul's delta is computed from. */
struct delta {
    const struct lora_operator *o;
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

static int32_t clamp(int64_t value, int32_t most)
{
    return value < 0 ? 0 : value > most ? most : (int32_t)value;
}

#define RANKS_AT_ONCE 4

static int32_t rank_steps(const struct lora_module *m)
{
    return (m->rank + RANKS_AT_ONCE - 1) / RANKS_AT_ONCE;
}

/* Whether no more rows than one have work here. */
static bool is_one_row(const struct delta *d)
{
    const struct segment *row = NULL;

    for (int32_t i = 0; i < d->segments->n; i++) {
        const struct segment *s = &d->segments->list[i];

        if (!module_of(d, s))
            continue;
        if (s->n > 1 || (row && row->first != s->first))
            return false;
        row = s;
    }
    return true;
}

/* Of A x for a segment; of a single row in steps. */
static int64_t work_of(const struct delta *d, const struct segment *s, bool one_row)
{
    const struct lora_module *m = module_of(d, s);

    return !m ? 0 : one_row ? rank_steps(m) : (int64_t)s->n * m->rank;
}

/* What lies from begin to end of that work. A row is that thread's in whose part its first rank lies. */
static void shrink_part(const struct delta *d, const struct segment *s, bool one_row, int64_t begin,
                        int64_t end)
{
    const struct lora_module *m = module_of(d, s);
    int32_t most = one_row ? rank_steps(m) : s->n, each = one_row ? 1 : m->rank;
    int32_t first = clamp((begin + each - 1) / each, most);
    int32_t last = clamp((end + each - 1) / each, most);
    struct lora_rows x = rows_of(&d->x, s), h = shrunk_rows(d->o, s, m);

    if (first >= last)
        return;
    if (one_row) {
        first *= RANKS_AT_ONCE;
        last = min_i32(last * RANKS_AT_ONCE, m->rank);
        lora_shrink(m, s->scale, &x, first, last - first, &h);
    } else {
        x = part(x, first, last);
        h = part(h, first, last);
        lora_shrink(m, s->scale, &x, 0, m->rank, &h);
    }
}

/* Each thread takes an equal part of the work on A x: of many rows cut between rows, of a single one between
 * its ranks, of all its adapters together. */
static void shrink(const struct delta *d, const struct cpu_thread *t)
{
    bool one_row = is_one_row(d);
    int64_t total = 0, before = 0;

    for (int32_t i = 0; i < d->segments->n; i++)
        total += work_of(d, &d->segments->list[i], one_row);
    for (int32_t i = 0; i < d->segments->n; i++) {
        const struct segment *s = &d->segments->list[i];
        int64_t work = work_of(d, s, one_row);

        if (work > 0)
            shrink_part(d, s, one_row, total * t->index / t->n - before,
                        total * (t->index + 1) / t->n - before);
        before += work;
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

/* Of many adapters a few columns each: no stream that the CPU foresees. */
static void ask_for_columns(void *delta, int32_t first, int32_t n)
{
    const struct delta *d = delta;

    for (int32_t i = 0; i < d->segments->n; i++) {
        const struct lora_module *m = module_of(d, &d->segments->list[i]);

        if (m)
            lora_ask_for(m, first, n);
    }
}

/* B h, added to columns of the result. */
static void expand_columns(void *delta, int32_t first, int32_t n)
{
    const struct delta *d = delta;

    for (int32_t i = 0; i < d->segments->n; i++) {
        const struct segment *s = &d->segments->list[i];

        if (any_module(d, s))
            expand_segment(d->o, d, s, first, n);
    }
}

/* This thread's share. */
static void expand(struct delta *d, const struct cpu_thread *t, int32_t n_columns)
{
    int32_t first = share(n_columns, LORA_COLUMNS, t->index, t->n);
    int32_t end = share(n_columns, LORA_COLUMNS, t->index + 1, t->n);

    if (first < end)
        expand_columns(d, first, end - first);
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

static bool prepare_delta(const struct lora_operator *o, struct delta *d,
                          const struct ggml_tensor *t)
{
    const struct ggml_tensor *x = t->src[1];

    int64_t n = ggml_nrows(t);

    if (!is_rows(t) || !is_rows(x) || ggml_nrows(x) != n)
        return false;
    d->x = rows_in(x);
    d->y = rows_in(t);
    d->segments = segments_of(o, n);
    return d->segments != NULL;
}

bool lora_matmul_compute(struct lora_operator *o, const struct cpu_thread *thread,
                         struct ggml_tensor *t)
{
    struct delta d = {.o = o, .tensor = lora_touched(o, t->src[0], LORA_MULTIPLIED)};
    const struct cpu_after after = {ask_for_columns, expand_columns, &d};

    if (d.tensor < 0)
        return false;
    if (!prepare_delta(o, &d, t))
        return fail(o);
    shrink(&d, thread);
    if ((o->kinds & 1u << LORA_WHOLE && replaces_all(&d)) ||
        !cpu_operators_matmul(thread, t, &after)) {
        cpu_operators_barrier(thread);
        expand(&d, thread, (int32_t)t->ne[0]);
    }
    return true;
}
