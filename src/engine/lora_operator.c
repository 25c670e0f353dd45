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
 */
#include "engine/lora_operator.h"

#include "core/growing.h"
#include "engine/cpu_operators.h"
#include "lora/kernels.h"

#include <ggml.h>
#include <stdatomic.h>
#include <string.h>

/* Consecutive rows of the graph under an adapter; a row under several is in as many segments, in their
 * order. */
struct segment {
    int32_t first, n;
    const struct llamacpp_adapter *adapter;
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

struct lora_operator {
    struct cpu_operators *place;
    const struct gguf_file *base;
    size_t n_tensors;
    struct weight_entry *table; /* (table_size), open addressing */
    size_t table_size;          /* a power of two, twice the tensors */

    struct segments by_token, by_output;
    bool *touched; /* (n_tensors) by an adapter of the call */
    bool any;
    atomic_bool failed;

    float *scratch; /* (scratch_size) floats: A x of all segments */
    size_t scratch_size;
};

/* ------------------------------------------------------------------ the registered adapter */

int32_t llamacpp_adapter_create(struct llamacpp_adapter **out, struct lora_weights *weights,
                                const struct gguf_file *base, inf_error *err)
{
    struct llamacpp_adapter *a = mem_calloc(1, sizeof *a);
    size_t n = gguf_file_tensor_count(base);

    *out = NULL;
    if (a)
        a->by_tensor = mem_calloc(n ? n : 1, sizeof *a->by_tensor);
    if (!a || !a->by_tensor) {
        mem_free(a);
        lora_weights_free(weights);
        return error_no_memory(err);
    }
    a->weights = weights;
    a->n_tensors = n;
    for (size_t i = 0; i < weights->n_modules; i++)
        a->by_tensor[weights->modules[i].index] = &weights->modules[i];
    a->bytes = weights->bytes + sizeof *a + n * sizeof *a->by_tensor;
    *out = a;
    return INF_OK;
}

void llamacpp_adapter_free(void *adapter)
{
    struct llamacpp_adapter *a = adapter;

    if (!a)
        return;
    lora_weights_free(a->weights);
    mem_free(a->by_tensor);
    mem_free(a);
}

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

static const struct lora_module *module_of(const struct delta *d, const struct segment *s)
{
    return s->adapter->by_tensor[d->tensor];
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

/* This thread's share of B h, added to the result. */
static void expand(const struct lora_operator *o, const struct delta *d, const struct cpu_thread *t)
{
    for (int32_t i = 0; i < d->segments->n; i++) {
        const struct segment *s = &d->segments->list[i];
        const struct lora_module *m = module_of(d, s);
        struct lora_rows y = rows_of(&d->y, s);
        struct lora_rows h;
        int32_t first = 0;
        int32_t end = 0;

        if (!m)
            continue;
        h = shrunk_rows(o, s, m);
        first = share(m->n_out, LORA_COLUMNS, t->index, t->n);
        end = share(m->n_out, LORA_COLUMNS, t->index + 1, t->n);
        if (first < end)
            lora_expand(m, &h, first, end - first, &y);
    }
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

static bool prepare_delta(const struct lora_operator *o, struct delta *d,
                          const struct ggml_tensor *t)
{
    const struct ggml_tensor *x = t->src[1];

    int64_t n = count_rows(t);

    if (!is_rows(t) || !is_rows(x) || count_rows(x) != n)
        return false;
    d->x = rows_in(x);
    d->y = rows_in(t);
    d->segments = n == o->by_token.n_rows    ? &o->by_token
                  : n == o->by_output.n_rows ? &o->by_output
                                             : NULL;
    return d->segments != NULL;
}

/* See cpu_operators.h. */
static bool compute(void *owner, const struct cpu_thread *thread, struct ggml_tensor *t)
{
    struct lora_operator *o = owner;
    struct delta d = {0};

    if (!o->any || count_rows(t) == 0)
        return false;
    d.tensor = weight_index(o, t->src[0]);
    if (d.tensor < 0 || !o->touched[d.tensor])
        return false;
    if (!prepare_delta(o, &d, t)) {
        atomic_store(&o->failed, true);
        return false;
    }
    shrink(o, &d, thread);
    cpu_operators_matmul(thread, t);
    cpu_operators_barrier(thread);
    expand(o, &d, thread);
    return true;
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
        n += (size_t)s->list[i].n * (size_t)s->list[i].adapter->weights->max_rank;
    }
    return n;
}

static void touch(struct lora_operator *o, const struct llamacpp_adapter *a)
{
    for (size_t i = 0; i < a->n_tensors; i++)
        o->touched[i] = o->touched[i] || a->by_tensor[i];
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
    atomic_store(&o->failed, false);
    for (int32_t i = 0; i < n_rows; i++)
        if (!add_run(&o->by_token, &rows[i], n_tokens) ||
            !add_run(&o->by_output, &rows[i], rows[i].want_logits))
            return error_no_memory(err);
    if (!o->by_token.n)
        return INF_OK;
    lay_out(&o->by_output); /* never more than by_token takes */
    if (!reserve_scratch(o, lay_out(&o->by_token)))
        return error_no_memory(err);
    memset(o->touched, 0, o->n_tensors * sizeof *o->touched);
    for (int32_t i = 0; i < o->by_token.n; i++)
        touch(o, o->by_token.list[i].adapter);
    return INF_OK;
}

bool lora_operator_end(struct lora_operator *o)
{
    o->any = false;
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
