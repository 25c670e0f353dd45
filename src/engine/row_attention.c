/*
 * row_attention: flash attention of a graph by the kernels of src/kernels. Threads share heads and tokens;
 * segments of a long cache too, where there are few of them.
 */
#include "engine/row_nodes.h"

#include "kernels/attention.h"

#include <math.h>

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

/* llama.cpp makes half floats of keys and values for flash attention, also where the cache has floats: those
 * are what is read here. */
static const struct ggml_tensor *in_cache(const struct ggml_tensor *t)
{
    const struct ggml_tensor *from = t->op == GGML_OP_CPY ? t->src[0] : NULL;

    return from && from->type == GGML_TYPE_F32 && from->view_src &&
                   from->view_src->op == GGML_OP_NONE
               ? from
               : t;
}

static bool is_cache_rows(const struct ggml_tensor *t)
{
    return (t->type == GGML_TYPE_F16 || t->type == GGML_TYPE_F32) &&
           t->nb[0] == ggml_type_size(t->type) && t->ne[0] % 8 == 0 &&
           t->ne[0] <= ATTENTION_MAX_HEAD;
}

bool row_attention_takes(const struct ggml_tensor *node)
{
    const struct ggml_tensor *q = node->src[0];
    const struct ggml_tensor *k = in_cache(node->src[1]);
    const struct ggml_tensor *v = in_cache(node->src[2]);
    const struct ggml_tensor *mask = node->src[3];

    return row_is_f32(node) && row_is_f32(q) && is_cache_rows(k) && is_cache_rows(v) &&
           k->type == v->type && q->ne[0] == k->ne[0] && q->ne[2] % k->ne[2] == 0 &&
           q->ne[3] % k->ne[3] == 0 && k->ne[2] == v->ne[2] && k->ne[3] == v->ne[3] &&
           k->ne[1] <= INT32_MAX / 2 && q->ne[2] / k->ne[2] <= QUERIES_AT_ONCE &&
           (!mask || (mask->type == GGML_TYPE_F16 && mask->nb[0] == 2));
}

static struct attention_node describe(struct ggml_tensor *node)
{
    const float *params = (const float *)(const void *)node->op_params;
    struct attention_node a = {.q = node->src[0],
                               .k = in_cache(node->src[1]),
                               .v = in_cache(node->src[2]),
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
    struct attention_query query = {.q = tensor_at(a->q, token, head, item->stream),
                                    .slope = slope_of(a, head)};

    if (a->mask)
        query.mask = tensor_at(a->mask, token, head % a->mask->ne[2],
                               item->stream % a->mask->ne[3]);
    return query;
}

static struct attention_cells cells_of(const struct attention_node *a, const struct item *item)
{
    int64_t stream = item->stream / (a->q->ne[3] / a->k->ne[3]);

    return (struct attention_cells){.k = tensor_at(a->k, 0, item->head, stream),
                                    .v = tensor_at(a->v, 0, item->head, stream),
                                    .k_stride = a->k->nb[1],
                                    .v_stride = a->v->nb[1],
                                    .dk = (int32_t)a->k->ne[0],
                                    .dv = (int32_t)a->v->ne[0],
                                    .is_float = a->k->type == GGML_TYPE_F32};
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

        attention_finish(states + (size_t)i * attention_state_size(dv),
                         a->sinks ? (const float *)a->sinks->data + head : NULL,
                         tensor_at(a->result, head, token, item->stream), dv);
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

void row_attention_compute(const struct cpu_thread *thread, struct ggml_tensor *node)
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
