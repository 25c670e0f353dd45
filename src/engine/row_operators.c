/*
 * row_operators: see the header. How nodes become calls of kernels, and how threads share them.
 */
#include "engine/row_operators.h"

#include "gguf/model.h"
#include "kernels/attention.h"
#include "kernels/matmul.h"
#include "kernels/path.h"

#include <ggml-cpu.h>
#include <ggml.h>
#include <math.h>

static int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t pieces(int64_t n, int64_t size)
{
    return (n + size - 1) / size;
}

/* ------------------------------------------------------------------ matmuls */

enum { PREPARED_NUMBERS = 256 }; /* of a row, that a thread prepares at once */

static int32_t weight_type(enum ggml_type type)
{
    switch (type) {
    case GGML_TYPE_F32:
        return WEIGHT_F32;
    case GGML_TYPE_F16:
        return WEIGHT_F16;
    case GGML_TYPE_BF16:
        return WEIGHT_BF16;
    case GGML_TYPE_Q8_0:
        return WEIGHT_Q8_0;
    case GGML_TYPE_Q4_0:
        return WEIGHT_Q4_0;
    case GGML_TYPE_Q4_1:
        return WEIGHT_Q4_1;
    case GGML_TYPE_Q5_0:
        return WEIGHT_Q5_0;
    case GGML_TYPE_Q4_K:
        return WEIGHT_Q4_K;
    case GGML_TYPE_Q5_K:
        return WEIGHT_Q5_K;
    case GGML_TYPE_Q6_K:
        return WEIGHT_Q6_K;
    default:
        return WEIGHT_TYPES;
    }
}

static bool is_f32_rows(const struct ggml_tensor *t)
{
    return t->type == GGML_TYPE_F32 && t->nb[0] == sizeof(float) && t->nb[1] % sizeof(float) == 0 &&
           t->nb[2] % sizeof(float) == 0 && t->nb[3] % sizeof(float) == 0;
}

/* Weights with something in `extra` are laid out in a way of their own. A second parameter is a hint
 * that the weights are of a special kind. */
static bool takes_matmul(const struct ggml_tensor *node)
{
    const struct ggml_tensor *w = node->src[0];
    const struct ggml_tensor *x = node->src[1];
    int32_t type = weight_type(w->type);

    return type != WEIGHT_TYPES && !w->extra && node->op_params[1] == 0 && is_f32_rows(node) &&
           is_f32_rows(x) && w->nb[0] == ggml_type_size(w->type) && w->ne[0] > 0 &&
           w->ne[0] <= INT32_MAX / 2 && w->ne[0] % matmul_block(type) == 0 &&
           w->ne[1] <= INT32_MAX / 2 && x->ne[1] <= INT32_MAX / 2;
}

static size_t prepared_row(const struct ggml_tensor *node)
{
    return matmul_prepared_bytes(weight_type(node->src[0]->type), (int32_t)node->src[0]->ne[0]);
}

/* Rows of activations in order: those of a matrix, and of the matrices one after another. */
static const float *activation_row(const struct ggml_tensor *x, int64_t i)
{
    int64_t row = i % x->ne[1];
    int64_t second = i / x->ne[1] % x->ne[2];
    int64_t third = i / x->ne[1] / x->ne[2];

    return (const float *)(const void *)((const char *)x->data + (size_t)row * x->nb[1] +
                                         (size_t)second * x->nb[2] + (size_t)third * x->nb[3]);
}

/* This thread's share of the activations: pieces of rows. */
static void prepare(const struct cpu_thread *thread, const struct ggml_tensor *node)
{
    const struct ggml_tensor *x = node->src[1];
    int32_t type = weight_type(node->src[0]->type);
    int64_t in_row = pieces(x->ne[0], PREPARED_NUMBERS);
    int64_t n = in_row * ggml_nrows(x);
    int64_t end = n * (thread->index + 1) / thread->n;
    size_t piece = matmul_prepared_bytes(type, PREPARED_NUMBERS);
    size_t row = prepared_row(node);

    for (int64_t i = n * thread->index / thread->n; i < end; i++) {
        int64_t first = i % in_row * PREPARED_NUMBERS;

        matmul_prepare(type, (int32_t)min_i64(x->ne[0] - first, PREPARED_NUMBERS),
                       activation_row(x, i / in_row) + first,
                       (char *)thread->work + (size_t)(i / in_row) * row +
                           (size_t)(i % in_row) * piece);
    }
}

/* Matrix number i: of the activations, with the one of the weights that it is multiplied with. */
static struct matmul matrix(const struct cpu_thread *thread, const struct ggml_tensor *node,
                            int64_t i)
{
    const struct ggml_tensor *w = node->src[0];
    const struct ggml_tensor *x = node->src[1];
    int64_t second = i % x->ne[2];
    int64_t third = i / x->ne[2];
    size_t prepared = prepared_row(node);

    return (struct matmul){
        .type = weight_type(w->type),
        .n_in = (int32_t)w->ne[0],
        .w = (const char *)w->data + (size_t)(second / (x->ne[2] / w->ne[2])) * w->nb[2] +
             (size_t)(third / (x->ne[3] / w->ne[3])) * w->nb[3],
        .w_stride = w->nb[1],
        .x = prepared ? (const char *)thread->work + (size_t)(i * x->ne[1]) * prepared
                      : (const char *)activation_row(x, i * x->ne[1]),
        .x_stride = prepared ? prepared : x->nb[1],
        .n_rows = (int32_t)x->ne[1],
        .y = (float *)(void *)((char *)node->data + (size_t)second * node->nb[2] +
                               (size_t)third * node->nb[3]),
        .y_stride = node->nb[1] / sizeof(float)};
}

/* Columns that a thread takes at once: a multiple of what the kernels take, of 24 numbers too. */
static int64_t columns_at_once(const struct cpu_thread *thread, int64_t n_columns,
                               int64_t n_matrices)
{
    const int64_t step = 3 * MATMUL_COLUMNS;
    int64_t wanted = n_columns * n_matrices / (8 * thread->n);

    return min_i64(max_i64(pieces(wanted, step), 1), 8) * step;
}

static void compute_matmul(const struct cpu_thread *thread, struct ggml_tensor *node)
{
    int64_t n_columns = node->ne[0];
    int64_t n_matrices = node->src[1]->ne[2] * node->src[1]->ne[3];
    int64_t at_once = columns_at_once(thread, n_columns, n_matrices);
    int64_t in_matrix = pieces(n_columns, at_once);

    if (prepared_row(node) > 0)
        prepare(thread, node);
    cpu_operators_share(thread);
    for (int64_t i = thread->index; i < in_matrix * n_matrices; i = cpu_operators_next(thread)) {
        struct matmul m = matrix(thread, node, i / in_matrix);
        int64_t first = i % in_matrix * at_once;

        matmul_columns(&m, (int32_t)first, (int32_t)min_i64(at_once, n_columns - first));
    }
}

/* ------------------------------------------------------------------ attention */

enum { QUERIES_AT_ONCE = 48 };

/* ggml_flash_attn_ext's parameters and shapes. */
struct attention_node {
    const struct ggml_tensor *q, *k, *v, *mask, *sinks;
    struct ggml_tensor *result;
    struct attention_scores scores;
    float max_bias;
    int64_t group;    /* query heads with one head of keys */
    int64_t at_once;  /* tokens in an item */
    int64_t blocks;   /* of so many tokens */
    int64_t segments; /* of the cache */
};

static bool is_half_rows(const struct ggml_tensor *t)
{
    return t->type == GGML_TYPE_F16 && t->nb[0] == 2 && t->ne[0] % 8 == 0 &&
           t->ne[0] <= ATTENTION_MAX_HEAD;
}

static bool takes_attention(const struct ggml_tensor *node)
{
    const struct ggml_tensor *q = node->src[0];
    const struct ggml_tensor *k = node->src[1];
    const struct ggml_tensor *v = node->src[2];
    const struct ggml_tensor *mask = node->src[3];

    return is_f32_rows(node) && is_f32_rows(q) && is_half_rows(k) && is_half_rows(v) &&
           q->ne[0] == k->ne[0] && q->ne[2] % k->ne[2] == 0 && q->ne[3] % k->ne[3] == 0 &&
           k->ne[2] == v->ne[2] && k->ne[3] == v->ne[3] && k->ne[1] <= INT32_MAX / 2 &&
           q->ne[2] / k->ne[2] <= QUERIES_AT_ONCE &&
           (!mask || (mask->type == GGML_TYPE_F16 && mask->nb[0] == 2));
}

static struct attention_node describe(struct ggml_tensor *node)
{
    const float *params = (const float *)(const void *)node->op_params;
    struct attention_node a = {.q = node->src[0],
                               .k = node->src[1],
                               .v = node->src[2],
                               .mask = node->src[3],
                               .sinks = node->src[4],
                               .result = node,
                               .scores = {params[0], params[2]},
                               .max_bias = params[1]};

    if (a.scores.cap != 0)
        a.scores.scale /= a.scores.cap;
    a.group = a.q->ne[2] / a.k->ne[2];
    a.at_once = min_i64(a.q->ne[1], QUERIES_AT_ONCE / a.group);
    a.blocks = pieces(a.q->ne[1], a.at_once);
    a.segments = pieces(a.k->ne[1], ATTENTION_SEGMENT);
    return a;
}

/* ALiBi's, as ggml has it. */
static float slope_of(const struct attention_node *a, int64_t head)
{
    uint32_t n = 1;

    if (a->max_bias <= 0)
        return 1;
    while ((int64_t)n * 2 <= a->q->ne[2])
        n *= 2;
    return head < n ? powf(powf(2, -a->max_bias / (float)n), (float)(head + 1))
                    : powf(powf(2, -a->max_bias / 2 / (float)n), (float)(2 * (head - n) + 1));
}

/* Queries of a stream that share a head of keys: of some tokens, all heads of the group. */
struct item {
    int64_t stream, head, token; /* head: of the keys; token: the first */
    int64_t tokens;
    int32_t n; /* queries: tokens by heads of the group */
};

static struct item item_at(const struct attention_node *a, int64_t i)
{
    struct item item = {.stream = i / a->blocks / a->k->ne[2],
                        .head = i / a->blocks % a->k->ne[2],
                        .token = i % a->blocks * a->at_once};

    item.tokens = min_i64(a->at_once, a->q->ne[1] - item.token);
    item.n = (int32_t)(item.tokens * a->group);
    return item;
}

static int64_t query_head(const struct attention_node *a, const struct item *item, int32_t i)
{
    return item->head * a->group + i % a->group;
}

static struct attention_query query_at(const struct attention_node *a, const struct item *item,
                                       int32_t i)
{
    int64_t head = query_head(a, item, i);
    int64_t token = item->token + i / a->group;
    struct attention_query query = {
        .q = (const float *)(const void *)((const char *)a->q->data + (size_t)token * a->q->nb[1] +
                                           (size_t)head * a->q->nb[2] +
                                           (size_t)item->stream * a->q->nb[3]),
        .slope = slope_of(a, head)};

    if (a->mask)
        query.mask = (const uint16_t *)(const void *)((const char *)a->mask->data +
                                                      (size_t)token * a->mask->nb[1] +
                                                      (size_t)(head % a->mask->ne[2]) *
                                                          a->mask->nb[2] +
                                                      (size_t)(item->stream % a->mask->ne[3]) *
                                                          a->mask->nb[3]);
    return query;
}

static struct attention_cells cells_of(const struct attention_node *a, const struct item *item)
{
    size_t stream = (size_t)(item->stream / (a->q->ne[3] / a->k->ne[3]));

    return (struct attention_cells){
        .k = (const char *)a->k->data + (size_t)item->head * a->k->nb[2] + stream * a->k->nb[3],
        .v = (const char *)a->v->data + (size_t)item->head * a->v->nb[2] + stream * a->v->nb[3],
        .k_stride = a->k->nb[1],
        .v_stride = a->v->nb[1],
        .dk = (int32_t)a->k->ne[0],
        .dv = (int32_t)a->v->ne[0]};
}

/* One segment of the cache for an item's queries, into `states` (n of them). */
static void add_segment(const struct attention_node *a, const struct item *item, int64_t segment,
                        float *states)
{
    struct attention_cells cells = cells_of(a, item);
    struct attention_query queries[QUERIES_AT_ONCE];
    int64_t first = segment * ATTENTION_SEGMENT;

    for (int32_t i = 0; i < item->n; i++) {
        queries[i] = query_at(a, item, i);
        queries[i].state = states + (size_t)i * attention_state_size(cells.dv);
        attention_start(queries[i].state, cells.dv);
    }
    attention_add(&cells, (int32_t)first, (int32_t)min_i64(first + ATTENTION_SEGMENT, a->k->ne[1]),
                  &a->scores, queries, item->n);
}

static void finish(const struct attention_node *a, const struct item *item, const float *states)
{
    int32_t dv = (int32_t)a->v->ne[0];

    for (int32_t i = 0; i < item->n; i++) {
        int64_t head = query_head(a, item, i);
        int64_t token = item->token + i / a->group;
        char *out = (char *)a->result->data + (size_t)head * a->result->nb[1] +
                    (size_t)token * a->result->nb[2] + (size_t)item->stream * a->result->nb[3];

        attention_finish(states + (size_t)i * attention_state_size(dv),
                         a->sinks ? (const float *)a->sinks->data + head : NULL,
                         (float *)(void *)out, dv);
    }
}

static void merge_states(float *states, const float *later, int32_t n, int32_t dv)
{
    for (int32_t i = 0; i < n; i++)
        attention_merge(states + (size_t)i * attention_state_size(dv),
                        later + (size_t)i * attention_state_size(dv), dv);
}

#define STATES_AT_ONCE (QUERIES_AT_ONCE * (2 + ATTENTION_MAX_HEAD))

/* All segments of an item, one after another. */
static void compute_item(const struct attention_node *a, int64_t i)
{
    struct item item = item_at(a, i);
    float states[STATES_AT_ONCE];
    float later[STATES_AT_ONCE];

    add_segment(a, &item, 0, states);
    for (int64_t s = 1; s < a->segments; s++) {
        add_segment(a, &item, s, later);
        merge_states(states, later, item.n, (int32_t)a->v->ne[0]);
    }
    finish(a, &item, states);
}

/* Few queries over a long cache: the threads share the segments too. The same operations. */
static void compute_segments(const struct cpu_thread *thread, const struct attention_node *a,
                             int64_t n_items, size_t item_floats)
{
    float *states = thread->work;
    int64_t n = n_items * a->segments;

    for (int64_t i = thread->index; i < n; i = cpu_operators_next(thread)) {
        struct item item = item_at(a, i / a->segments);

        add_segment(a, &item, i % a->segments, states + (size_t)i * item_floats);
    }
    cpu_operators_barrier(thread);
    for (int64_t i = thread->index; i < n_items; i += thread->n) {
        struct item item = item_at(a, i);
        float *first = states + (size_t)(i * a->segments) * item_floats;

        for (int64_t s = 1; s < a->segments; s++)
            merge_states(first, first + (size_t)s * item_floats, item.n, (int32_t)a->v->ne[0]);
        finish(a, &item, first);
    }
}

static void compute_attention(const struct cpu_thread *thread, struct ggml_tensor *node)
{
    struct attention_node a = describe(node);
    int64_t n_items = a.q->ne[3] * a.k->ne[2] * a.blocks;
    size_t item_floats = (size_t)(a.at_once * a.group) * attention_state_size((int32_t)a.v->ne[0]);
    bool has_room = (size_t)(n_items * a.segments) * item_floats * sizeof(float) <=
                    thread->work_size;

    cpu_operators_share(thread);
    if (a.segments > 1 && n_items < 8 * (int64_t)thread->n && has_room) {
        compute_segments(thread, &a, n_items, item_floats);
        return;
    }
    for (int64_t i = thread->index; i < n_items; i = cpu_operators_next(thread))
        compute_item(&a, i);
}

/* ------------------------------------------------------------------ the kernels */

bool row_operators_compute(void)
{
    return kernel_path() != KERNELS_NONE && (kernel_path_is_forced() || !ggml_cpu_has_avx512());
}

static size_t work_size(const struct ggml_tensor *node)
{
    if (node->op != GGML_OP_MUL_MAT || !row_operators_compute() || !takes_matmul(node))
        return 0;
    return prepared_row(node) * (size_t)ggml_nrows(node->src[1]);
}

static bool compute(const struct cpu_thread *thread, struct ggml_tensor *node)
{
    if (ggml_is_empty(node) || !row_operators_compute())
        return false;
    if (node->op == GGML_OP_MUL_MAT) {
        if (!takes_matmul(node) || work_size(node) > thread->work_size)
            return false;
        compute_matmul(thread, node);
        return true;
    }
    if (node->op != GGML_OP_FLASH_ATTN_EXT || !takes_attention(node))
        return false;
    compute_attention(thread, node);
    return true;
}

static bool covers_weight(const struct gguf_tensor *t)
{
    int32_t type = weight_type((enum ggml_type)t->type);

    return t->n_dims < 2 ||
           (t->n_dims == 2 && type != WEIGHT_TYPES && t->ne[0] % matmul_block(type) == 0);
}

bool row_operators_cover(const struct gguf_model *model, bool flash_attention)
{
    bool covers = row_operators_compute() && model->state_bytes == 0;

    if (flash_attention)
        covers = covers && model->head_dim % 8 == 0 && model->head_dim <= ATTENTION_MAX_HEAD;
    for (size_t i = 0; covers && i < gguf_file_tensor_count(model->file); i++)
        covers = covers_weight(gguf_file_tensor(model->file, i));
    return covers;
}

const struct cpu_kernels *row_operators(void)
{
    static const struct cpu_kernels kernels = {work_size, compute};

    return &kernels;
}
