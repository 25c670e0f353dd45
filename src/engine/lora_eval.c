/*
 * lora_eval: see the header.
 *
 * Weights are recognised by address: the first time a matmul's weight is seen, its name is looked
 * up in the model's file, and its index kept in a small hash table. Weights live as long as the
 * model; other tensors (views of the KV cache) have no name there and are looked up each time they
 * are not leaves, which is a comparison.
 */
#include "engine/lora_eval.h"

#include "core/memory.h"
#include "lora/kernels.h"

#include <ggml-cpu.h>
#include <string.h>

/* Multiply-adds below which waking the other threads costs more than it saves. */
#define MIN_PARALLEL_WORK (1 << 16)

/* Consecutive rows of the graph under one adapter. */
struct segment {
    int32_t first, n;
    const struct llamacpp_adapter *adapter; /* NULL: base */
    float scale;
};

struct weight_entry {
    const struct ggml_tensor *tensor;
    int32_t index; /* in the GGUF */
};

struct delta {
    struct lora_eval *eval;
    const struct segment *segments;
    int32_t n_segments, n_rows, tensor;
    const float *x;
    float *y;
    size_t x_stride, y_stride; /* floats */
};

struct lora_eval {
    const struct gguf_file *base;
    size_t n_tensors;
    struct weight_entry *table; /* (table_size), open addressing */
    size_t table_size;          /* a power of two, twice the tensors */

    struct segment *by_token;  /* (max_rows) one entry a run of tokens */
    struct segment *by_output; /* (max_rows) the same for rows with logits */
    int32_t max_rows, n_by_token, n_by_output, n_token_rows, n_output_rows;
    bool *touched; /* (n_tensors) by an adapter of the call */
    bool any, failed;

    float *scratch; /* (n_threads, LORA_SCRATCH_ROWS * max_rank) */
    size_t scratch_stride;
    int32_t n_threads;

    struct ggml_context *ggml; /* the one-node graph that runs a delta on the pool */
    struct ggml_cgraph *graph;
    struct ggml_cplan plan;
    struct delta delta;
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

static int32_t index_by_name(const struct lora_eval *e, const char *name)
{
    const struct gguf_tensor *found = gguf_file_find(e->base, name);

    return found ? (int32_t)(found - gguf_file_tensor(e->base, 0)) : -1;
}

/* The GGUF index of a weight, or -1 for a tensor that is none. */
static int32_t weight_index(struct lora_eval *e, const struct ggml_tensor *w)
{
    size_t i = hash_pointer(w, e->table_size);

    if (w->op != GGML_OP_NONE || w->view_src)
        return -1;
    for (size_t tries = 0; tries < e->table_size; tries++, i = (i + 1) & (e->table_size - 1)) {
        if (e->table[i].tensor == w)
            return e->table[i].index;
        if (!e->table[i].tensor) {
            int32_t index = index_by_name(e, w->name);

            if (index >= 0)
                e->table[i] = (struct weight_entry){w, index};
            return index;
        }
    }
    return index_by_name(e, w->name);
}

/* ------------------------------------------------------------------ the delta */

static void apply_segment(const struct delta *d, const struct segment *s, int32_t from, int32_t to,
                          float *scratch)
{
    const struct lora_module *m = s->adapter ? s->adapter->by_tensor[d->tensor] : NULL;
    int32_t first = s->first > from ? s->first : from;
    int32_t end = s->first + s->n < to ? s->first + s->n : to;

    if (m && first < end)
        lora_apply(m, s->scale, d->x + (size_t)first * d->x_stride, d->x_stride,
                   d->y + (size_t)first * d->y_stride, d->y_stride, end - first, scratch);
}

/* Rows from .. to-1 of the delta. */
static void apply_rows(const struct delta *d, int32_t from, int32_t to, float *scratch)
{
    for (int32_t i = 0; i < d->n_segments; i++)
        apply_segment(d, &d->segments[i], from, to, scratch);
}

/* The graph's one node: each thread takes an equal share of the rows. */
static void apply_share(struct ggml_tensor *dst, int ith, int nth, void *userdata)
{
    struct lora_eval *e = userdata;
    const struct delta *d = &e->delta;
    int32_t from = (int32_t)((int64_t)d->n_rows * ith / nth);
    int32_t to = (int32_t)((int64_t)d->n_rows * (ith + 1) / nth);

    (void)dst;
    apply_rows(d, from, to, e->scratch + (size_t)ith * e->scratch_stride);
}

static int64_t work_of(const struct delta *d)
{
    int64_t work = 0;

    for (int32_t i = 0; i < d->n_segments; i++) {
        const struct segment *s = &d->segments[i];
        const struct lora_module *m = s->adapter ? s->adapter->by_tensor[d->tensor] : NULL;

        if (m)
            work += (int64_t)s->n * m->rank * (m->n_in + m->n_out);
    }
    return work;
}

static bool reserve_scratch(struct lora_eval *e, int32_t rank)
{
    size_t stride = (size_t)LORA_SCRATCH_ROWS * (size_t)rank + 16;
    float *scratch = NULL;

    if (stride <= e->scratch_stride)
        return true;
    scratch = mem_alloc(stride * (size_t)e->n_threads * sizeof *scratch);
    if (!scratch)
        return false;
    mem_free(e->scratch);
    e->scratch = scratch;
    e->scratch_stride = stride;
    return true;
}

static bool prepare_delta(struct lora_eval *e, struct ggml_tensor *t)
{
    const struct ggml_tensor *x = t->src[1];
    struct delta *d = &e->delta;

    if (t->type != GGML_TYPE_F32 || x->type != GGML_TYPE_F32 || t->ne[2] != 1 || t->ne[3] != 1 ||
        x->ne[1] != t->ne[1] || t->nb[0] != sizeof(float) || x->nb[0] != sizeof(float))
        return false;
    *d = (struct delta){.eval = e,
                        .n_rows = (int32_t)t->ne[1],
                        .tensor = weight_index(e, t->src[0]),
                        .x = x->data,
                        .y = t->data,
                        .x_stride = x->nb[1] / sizeof(float),
                        .y_stride = t->nb[1] / sizeof(float)};
    if (t->ne[1] == e->n_token_rows) {
        d->segments = e->by_token;
        d->n_segments = e->n_by_token;
    } else if (t->ne[1] == e->n_output_rows) {
        d->segments = e->by_output;
        d->n_segments = e->n_by_output;
    } else {
        return false;
    }
    return true;
}

bool lora_eval_callback(struct ggml_tensor *t, bool ask, void *user_data)
{
    struct lora_eval *e = user_data;
    int32_t index = -1;

    if (!e->any || t->op != GGML_OP_MUL_MAT)
        return !ask;
    if (ask) {
        index = weight_index(e, t->src[0]);
        return index >= 0 && e->touched[index];
    }
    if (e->failed || t->ne[1] == 0)
        return true;
    if (!prepare_delta(e, t)) {
        e->failed = true;
        return true;
    }
    if (e->plan.n_threads > 1 && e->delta.n_rows > 1 && work_of(&e->delta) >= MIN_PARALLEL_WORK)
        ggml_graph_compute(e->graph, &e->plan);
    else
        apply_rows(&e->delta, 0, e->delta.n_rows, e->scratch);
    return true;
}

/* ------------------------------------------------------------------ the call */

static int32_t add_run(struct segment *segments, int32_t n, const struct engine_row *row,
                       int32_t first, int32_t count)
{
    const struct llamacpp_adapter *adapter = row->adapter ? row->adapter->payload : NULL;
    struct segment *last = n ? &segments[n - 1] : NULL;

    if (count == 0)
        return n;
    if (last && last->adapter == adapter && (!adapter || last->scale == row->scale)) {
        last->n += count;
        return n;
    }
    segments[n] = (struct segment){first, count, adapter, row->scale};
    return n + 1;
}

static void touch(struct lora_eval *e, const struct llamacpp_adapter *a)
{
    for (size_t i = 0; i < a->n_tensors; i++)
        e->touched[i] = e->touched[i] || a->by_tensor[i];
    e->any = true;
    if (!reserve_scratch(e, a->weights->max_rank))
        e->failed = true;
}

void lora_eval_begin(struct lora_eval *e, const struct engine_row *rows, int32_t n_rows,
                     int32_t n_tokens)
{
    int32_t token_row = 0;
    int32_t output_row = 0;

    e->n_by_token = e->n_by_output = 0;
    e->any = e->failed = false;
    memset(e->touched, 0, e->n_tensors * sizeof *e->touched);
    for (int32_t i = 0; i < n_rows; i++) {
        e->n_by_token = add_run(e->by_token, e->n_by_token, &rows[i], token_row, n_tokens);
        e->n_by_output = add_run(e->by_output, e->n_by_output, &rows[i], output_row,
                                 rows[i].want_logits);
        token_row += n_tokens;
        output_row += rows[i].want_logits;
    }
    for (int32_t i = 0; i < e->n_by_token; i++)
        if (e->by_token[i].adapter)
            touch(e, e->by_token[i].adapter);
    e->n_token_rows = token_row;
    e->n_output_rows = output_row;
}

bool lora_eval_end(struct lora_eval *e)
{
    e->any = false;
    return !e->failed;
}

void lora_eval_use_threads(struct lora_eval *e, int32_t n)
{
    e->plan = ggml_graph_plan(e->graph, n, e->plan.threadpool);
}

/* ------------------------------------------------------------------ life */

static int32_t create_graph(struct lora_eval *e, struct ggml_threadpool *pool, inf_error *err)
{
    struct ggml_init_params params = {.mem_size = ggml_tensor_overhead() * 4 +
                                                  ggml_graph_overhead_custom(8, false) + 1024,
                                      .mem_buffer = NULL,
                                      .no_alloc = false};
    struct ggml_tensor *node = NULL;

    e->ggml = ggml_init(params);
    if (!e->ggml)
        return error_no_memory(err);
    node = ggml_custom_4d(e->ggml, GGML_TYPE_F32, 1, 1, 1, 1, NULL, 0, apply_share,
                          GGML_N_TASKS_MAX, e);
    e->graph = ggml_new_graph_custom(e->ggml, 8, false);
    ggml_build_forward_expand(e->graph, node);
    e->plan = ggml_graph_plan(e->graph, e->n_threads, pool);
    if (e->plan.work_size)
        return error_set(err, INF_ERROR_BACKEND, "ggml asks for memory for a custom node");
    return INF_OK;
}

int32_t lora_eval_create(struct lora_eval **out, const struct gguf_file *base,
                         struct ggml_threadpool *pool, int32_t n_threads, int32_t max_rows,
                         inf_error *err)
{
    struct lora_eval *e = mem_calloc(1, sizeof *e);
    int32_t code = INF_ERROR_NO_MEMORY;

    *out = NULL;
    if (!e)
        return error_no_memory(err);
    e->base = base;
    e->n_tensors = gguf_file_tensor_count(base);
    e->table_size = 64;
    while (e->table_size < e->n_tensors * 2)
        e->table_size *= 2;
    e->max_rows = max_rows;
    e->n_threads = n_threads;
    e->table = mem_calloc(e->table_size, sizeof *e->table);
    e->by_token = mem_calloc((size_t)max_rows, sizeof *e->by_token);
    e->by_output = mem_calloc((size_t)max_rows, sizeof *e->by_output);
    e->touched = mem_calloc(e->n_tensors + 1, sizeof *e->touched);
    if (!e->table || !e->by_token || !e->by_output || !e->touched || !reserve_scratch(e, 64))
        error_no_memory(err);
    else
        code = create_graph(e, pool, err);
    if (code != INF_OK) {
        lora_eval_free(e);
        return code;
    }
    *out = e;
    return INF_OK;
}

void lora_eval_free(struct lora_eval *e)
{
    if (!e)
        return;
    ggml_free(e->ggml);
    mem_free(e->table);
    mem_free(e->by_token);
    mem_free(e->by_output);
    mem_free(e->touched);
    mem_free(e->scratch);
    mem_free(e);
}
