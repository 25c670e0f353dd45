/*
 * row_experts: matmuls of stacked experts (mixtures) by the kernels of src/kernels: the rows of a graph that
 * go to one expert are multiplied together, each as it would be alone.
 *
 * The first thread sorts the rows by expert while the others prepare activations; then the threads share
 * the columns of each expert that has rows. thread->work holds the prepared activations and, behind them,
 * the sorted rows.
 */
#include "engine/row_nodes.h"

#include "kernels/matmul.h"

#include <math.h>

/* The rows of an expert: n from `first` on. */
struct expert {
    int32_t index, first, n;
};

/* In thread->work. */
struct sorted {
    int32_t n_experts; /* that have rows */
    struct expert *experts;
    struct matmul_row *rows;
};

static int64_t count_rows(const struct ggml_tensor *node)
{
    return node->ne[1] * node->ne[2];
}

/* Rows one behind another, evenly, so that their number says where they are. */
static bool is_even(const struct ggml_tensor *t)
{
    return row_is_f32(t) && t->nb[2] == t->nb[1] * (size_t)t->ne[1] && t->ne[3] == 1;
}

bool row_experts_take(const struct ggml_tensor *node)
{
    const struct ggml_tensor *w = node->src[0];
    const struct ggml_tensor *x = node->src[1];
    const struct ggml_tensor *ids = node->src[2];

    return row_matmul_knows(w) && node->op_params[1] == 0 && is_even(node) && is_even(x) &&
           ids->type == GGML_TYPE_I32 && ids->nb[0] == sizeof(int32_t) &&
           ids->ne[0] == node->ne[1] && ids->ne[1] == node->ne[2] && x->ne[2] == node->ne[2] &&
           node->ne[1] % x->ne[1] == 0 && w->ne[2] <= INT32_MAX / 2 && w->ne[3] == 1 &&
           count_rows(node) <= INT32_MAX / 2;
}

static size_t prepared_size(bool exact, const struct ggml_tensor *node)
{
    return row_matmul_prepared(exact, node) * (size_t)ggml_nrows(node->src[1]);
}

/* Whoever computes it: exactly or not. */
size_t row_experts_work(const struct ggml_tensor *node)
{
    return prepared_size(false, node) + sizeof(struct sorted) +
           sizeof(struct expert) * (size_t)node->src[0]->ne[2] +
           sizeof(struct matmul_row) * (size_t)count_rows(node);
}

static struct sorted *sorted_in(const struct cpu_thread *thread, const struct ggml_tensor *node)
{
    return (struct sorted *)(void *)((char *)thread->work + prepared_size(thread->exact, node));
}

/* The expert of row number `row`; -1: of none that there is. */
static int32_t expert_of(const struct ggml_tensor *node, int64_t row)
{
    const int32_t *of_token = tensor_at(node->src[2], row / node->ne[1], 0, 0);
    int32_t expert = of_token[row % node->ne[1]];

    return expert >= 0 && expert < node->src[0]->ne[2] ? expert : -1;
}

/* What has no expert has no result. */
static void spoil(const struct ggml_tensor *node, int64_t row)
{
    float *y = (float *)(void *)((char *)node->data + (size_t)row * node->nb[1]);

    for (int64_t i = 0; i < node->ne[0]; i++)
        y[i] = NAN;
}

static void count(const struct ggml_tensor *node, struct expert *experts)
{
    int32_t before = 0;

    for (int32_t e = 0; e < node->src[0]->ne[2]; e++)
        experts[e] = (struct expert){.index = e};
    for (int64_t row = 0; row < count_rows(node); row++) {
        int32_t e = expert_of(node, row);

        if (e < 0)
            spoil(node, row);
        else
            experts[e].n++;
    }
    for (int32_t e = 0; e < node->src[0]->ne[2]; e++) {
        experts[e].first = before;
        before += experts[e].n;
    }
}

/* Several rows of a result may have one row of activations: ggml counts a token's modulo what it has. */
static void sort(const struct ggml_tensor *node, struct sorted *s)
{
    int32_t n_experts = (int32_t)node->src[0]->ne[2];
    int64_t in_token = node->src[1]->ne[1];

    s->experts = (struct expert *)(void *)(s + 1);
    s->rows = (struct matmul_row *)(void *)(s->experts + n_experts);
    s->n_experts = 0;
    count(node, s->experts);
    for (int64_t row = 0; row < count_rows(node); row++) {
        int64_t token = row / node->ne[1];
        int32_t e = expert_of(node, row);

        if (e >= 0)
            s->rows[s->experts[e].first++] = (struct matmul_row){
                (int32_t)(token * in_token + row % node->ne[1] % in_token), (int32_t)row};
    }
    for (int32_t e = 0; e < n_experts; e++) {
        struct expert expert = s->experts[e];

        expert.first -= expert.n;
        if (expert.n > 0)
            s->experts[s->n_experts++] = expert;
    }
}

static struct matmul matrix(const struct cpu_thread *thread, const struct ggml_tensor *node,
                            const struct sorted *s, const struct expert *expert)
{
    const struct ggml_tensor *w = node->src[0];
    size_t prepared = row_matmul_prepared(thread->exact, node);

    return (struct matmul){.type = row_matmul_kernel(thread->exact, node),
                           .n_in = (int32_t)w->ne[0],
                           .w = (const char *)w->data + (size_t)expert->index * w->nb[2],
                           .w_stride = w->nb[1],
                           .x = prepared ? thread->work : node->src[1]->data,
                           .x_stride = prepared ? prepared : node->src[1]->nb[1],
                           .n_rows = expert->n,
                           .rows = s->rows + expert->first,
                           .y = node->data,
                           .y_stride = node->nb[1] / sizeof(float)};
}

void row_experts_compute(const struct cpu_thread *thread, struct ggml_tensor *node)
{
    struct sorted *s = sorted_in(thread, node);
    int64_t n_columns = node->ne[0];
    int64_t at_once = 0;
    int64_t in_matrix = 0;

    if (thread->index == 0)
        sort(node, s);
    if (prepared_size(thread->exact, node) > 0)
        row_matmul_prepare(thread, node);
    cpu_operators_share(thread);
    at_once = row_matmul_columns(thread, n_columns, s->n_experts);
    in_matrix = pieces(n_columns, at_once);
    for (int64_t i = thread->index; i < in_matrix * s->n_experts; i = cpu_operators_next(thread)) {
        struct matmul m = matrix(thread, node, s, &s->experts[i / in_matrix]);
        int64_t first = i % in_matrix * at_once;

        matmul_columns(&m, (int32_t)first, (int32_t)min_i64(at_once, n_columns - first));
    }
}
