/*
 * row_operators: see the header. Which nodes of a graph, and whether that is all of a model.
 */
#include "engine/row_operators.h"

#include "engine/row_nodes.h"
#include "gguf/model.h"
#include "kernels/attention.h"
#include "kernels/matmul.h"
#include "kernels/path.h"

#include <string.h>

bool row_operators_compute(void)
{
    return kernel_path() != KERNELS_NONE;
}

/* Nodes whose operator takes them: which, and its bytes of work. */
struct kind {
    enum ggml_op op;
    bool (*takes)(const struct ggml_tensor *node);
    size_t (*work)(const struct ggml_tensor *node); /* NULL: none, or as much as there is */
    void (*compute)(const struct cpu_thread *thread, struct ggml_tensor *node);
};

static const struct kind kinds[] = {
    {GGML_OP_MUL_MAT, row_matmul_takes, row_matmul_work, row_matmul_compute},
    {GGML_OP_MUL_MAT_ID, row_experts_take, row_experts_work, row_experts_compute},
    {GGML_OP_FLASH_ATTN_EXT, row_attention_takes, NULL, row_attention_compute}};

/* NULL: ggml's own code computes it. */
static const struct kind *kind_of(const struct ggml_tensor *node)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].op == node->op)
            return row_operators_compute() && kinds[i].takes(node) ? &kinds[i] : NULL;
    return NULL;
}

static size_t work_size(const struct ggml_tensor *node)
{
    const struct kind *kind = kind_of(node);

    return kind && kind->work ? kind->work(node) : 0;
}

static enum cpu_computed compute(const struct cpu_thread *thread, struct ggml_tensor *node,
                                 const struct cpu_after *after)
{
    const struct kind *kind = ggml_is_empty(node) ? NULL : kind_of(node);

    if (!kind || (kind->work && kind->work(node) > thread->work_size))
        return CPU_NOT_COMPUTED;
    if (after && row_matmul_calls(node)) {
        row_matmul_compute_with(thread, node, after);
        return CPU_COMPUTED_AND_AFTER;
    }
    kind->compute(thread, node);
    return CPU_COMPUTED;
}

static bool covers_weight(const struct gguf_tensor *t)
{
    int32_t type = row_matmul_type((enum ggml_type)t->type);

    return t->n_dims < 2 ||
           (t->n_dims <= 3 && type != WEIGHT_TYPES && t->ne[0] % matmul_block(type) == 0);
}

static bool is_of_state(const struct gguf_tensor *t)
{
    static const char *const parts[] = {".ssm_", ".time_mix_", ".shortconv."};

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strstr(t->name, parts[i]))
            return true;
    return false;
}

bool row_operators_attend(int32_t head_dim)
{
    return row_operators_compute() && head_dim % 8 == 0 && head_dim <= ATTENTION_MAX_HEAD;
}

bool row_operators_cover(const struct gguf_model *model, bool flash_attention,
                         bool states_independent)
{
    bool covers = row_operators_compute();
    bool has_states = model->state_bytes > 0;

    if (flash_attention)
        covers = covers && row_operators_attend(model->head_dim);
    for (size_t i = 0; covers && i < gguf_file_tensor_count(model->file); i++) {
        const struct gguf_tensor *t = gguf_file_tensor(model->file, i);

        covers = covers_weight(t);
        has_states = has_states || is_of_state(t);
    }
    return covers && (!has_states || states_independent);
}

const struct cpu_kernels *row_operators(void)
{
    static const struct cpu_kernels kernels = {work_size, compute};

    return &kernels;
}
