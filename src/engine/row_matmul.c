/*
 * row_matmul: matmuls of a graph by the kernels of src/kernels. Threads share the preparation of the
 * activations, then columns of the result.
 */
#include "engine/row_nodes.h"

#include "kernels/matmul.h"

enum {
    PREPARED_NUMBERS = 256, /* of a row, that a thread prepares at once */
    CACHE_BYTES = 256 << 10
};

int32_t row_matmul_type(enum ggml_type type)
{
    static const struct {
        enum ggml_type ggml;
        int32_t own;
    } types[] = {{GGML_TYPE_F32, WEIGHT_F32},   {GGML_TYPE_F16, WEIGHT_F16},
                 {GGML_TYPE_BF16, WEIGHT_BF16}, {GGML_TYPE_Q8_0, WEIGHT_Q8_0},
                 {GGML_TYPE_Q4_0, WEIGHT_Q4_0}, {GGML_TYPE_Q4_1, WEIGHT_Q4_1},
                 {GGML_TYPE_Q5_0, WEIGHT_Q5_0}, {GGML_TYPE_Q4_K, WEIGHT_Q4_K},
                 {GGML_TYPE_Q5_K, WEIGHT_Q5_K}, {GGML_TYPE_Q6_K, WEIGHT_Q6_K}};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].ggml == type)
            return types[i].own;
    return WEIGHT_TYPES;
}

/* Weights with something in `extra` are laid out in a way of their own. */
bool row_matmul_knows(const struct ggml_tensor *w)
{
    int32_t type = row_matmul_type(w->type);

    return type != WEIGHT_TYPES && !w->extra && w->nb[0] == ggml_type_size(w->type) &&
           w->ne[0] > 0 && w->ne[0] <= INT32_MAX / 2 && w->ne[0] % matmul_block(type) == 0 &&
           w->ne[1] <= INT32_MAX / 2;
}

/* A second parameter is a hint that the weights are of a special kind. */
bool row_matmul_takes(const struct ggml_tensor *node)
{
    const struct ggml_tensor *x = node->src[1];

    return row_matmul_knows(node->src[0]) && node->op_params[1] == 0 && row_is_f32(node) &&
           row_is_f32(x) && x->ne[1] <= INT32_MAX / 2;
}

/* A graph may ask for activations of f32 itself: ggml_prec_set_src(node, GGML_PREC_F32, 1). */
int32_t row_matmul_kernel(bool exact, const struct ggml_tensor *node)
{
    int32_t type = row_matmul_type(node->src[0]->type);

    exact = exact || node->op_params[3] == GGML_PREC_F32;
    return type == WEIGHT_BF16 && !exact && matmul_rounds_bf16() ? WEIGHT_BF16_ROUNDED : type;
}

size_t row_matmul_prepared(bool exact, const struct ggml_tensor *node)
{
    return matmul_prepared_bytes(row_matmul_kernel(exact, node), (int32_t)node->src[0]->ne[0]);
}

/* Whoever computes it: exactly or not. */
size_t row_matmul_work(const struct ggml_tensor *node)
{
    return row_matmul_prepared(false, node) * (size_t)ggml_nrows(node->src[1]);
}

/* In pieces of rows. */
void row_matmul_prepare(const struct cpu_thread *thread, const struct ggml_tensor *node)
{
    const struct ggml_tensor *x = node->src[1];
    int32_t type = row_matmul_kernel(thread->exact, node);
    int64_t in_row = pieces(x->ne[0], PREPARED_NUMBERS);
    int64_t n = in_row * ggml_nrows(x);
    int64_t end = n * (thread->index + 1) / thread->n;
    size_t piece = matmul_prepared_bytes(type, PREPARED_NUMBERS);
    size_t row = row_matmul_prepared(thread->exact, node);

    for (int64_t i = n * thread->index / thread->n; i < end; i++) {
        int64_t first = i % in_row * PREPARED_NUMBERS;

        matmul_prepare(type, (int32_t)min_i64(x->ne[0] - first, PREPARED_NUMBERS),
                       (const float *)tensor_row(x, i / in_row) + first,
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
    size_t prepared = row_matmul_prepared(thread->exact, node);

    return (struct matmul){
        .type = row_matmul_kernel(thread->exact, node),
        .n_in = (int32_t)w->ne[0],
        .w = tensor_at(w, 0, second / (x->ne[2] / w->ne[2]), third / (x->ne[3] / w->ne[3])),
        .w_stride = w->nb[1],
        .x = prepared ? (const char *)thread->work + (size_t)(i * x->ne[1]) * prepared
                      : (const char *)tensor_row(x, i * x->ne[1]),
        .x_stride = prepared ? prepared : x->nb[1],
        .n_rows = (int32_t)x->ne[1],
        .y = tensor_at(node, 0, second, third),
        .y_stride = node->nb[1] / sizeof(float)};
}

/* A multiple of what the kernels take, of 24 numbers too. */
int64_t row_matmul_columns(const struct cpu_thread *thread, int64_t n_columns, int64_t n_matrices)
{
    const int64_t step = 3 * MATMUL_COLUMNS;
    int64_t wanted = n_columns * n_matrices / (8 * thread->n);

    return min_i64(max_i64(pieces(wanted, step), 1), 8) * step;
}

bool row_matmul_calls(const struct ggml_tensor *node)
{
    return node->op == GGML_OP_MUL_MAT && node->src[1]->ne[2] * node->src[1]->ne[3] == 1;
}

/* So few columns that their results are still in a near cache when they are handed on. */
static int64_t columns_in_cache(int64_t at_once, int64_t n_rows)
{
    const int64_t step = 3 * MATMUL_COLUMNS;

    return min_i64(at_once,
                   max_i64(CACHE_BYTES / (int64_t)sizeof(float) / n_rows / step, 1) * step);
}

void row_matmul_compute_with(const struct cpu_thread *thread, struct ggml_tensor *node,
                             const struct cpu_after *after)
{
    int64_t n_columns = node->ne[0];
    int64_t n_matrices = node->src[1]->ne[2] * node->src[1]->ne[3];
    int64_t at_once = row_matmul_columns(thread, n_columns, n_matrices);
    int64_t in_matrix = 0;
    int64_t next = 0; /* piece of this thread's, known a piece before: its weights are asked for */

    if (after)
        at_once = columns_in_cache(at_once, node->ne[1]);
    in_matrix = pieces(n_columns, at_once);
    if (row_matmul_prepared(thread->exact, node) > 0)
        row_matmul_prepare(thread, node);
    cpu_operators_share(thread);
    next = cpu_operators_next(thread);
    for (int64_t i = thread->index; i < in_matrix * n_matrices;
         i = next, next = cpu_operators_next(thread)) {
        struct matmul m = matrix(thread, node, i / in_matrix);
        int32_t first = (int32_t)(i % in_matrix * at_once);
        int32_t n = (int32_t)min_i64(at_once, n_columns - first);

        if (next / in_matrix == i / in_matrix)
            m.after = (const char *)m.w + (size_t)(next % in_matrix * at_once) * m.w_stride;
        if (after)
            after->coming(after->owner, first, n);
        matmul_columns(&m, first, n);
        if (after)
            after->columns(after->owner, first, n);
    }
}

void row_matmul_compute(const struct cpu_thread *thread, struct ggml_tensor *node)
{
    row_matmul_compute_with(thread, node, NULL);
}
