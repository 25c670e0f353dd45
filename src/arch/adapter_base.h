/* adapter_base: a model's weights, as adapters name them and as they are converted for. */
#ifndef INF_ARCH_ADAPTER_BASE_H
#define INF_ARCH_ADAPTER_BASE_H

#include "gguf/model.h"
#include "lora/plan.h"

/* The weight of the output matmul: output.weight, or token_embd.weight where it is tied. */
static inline const struct gguf_tensor *output_weight(const struct gguf_model *model)
{
    const struct gguf_tensor *output = gguf_file_find(model->file, "output.weight");

    return output ? output : gguf_file_find(model->file, "token_embd.weight");
}

static inline bool is_matrix(const struct gguf_tensor *t)
{
    return t->ne[2] == 1 && t->ne[3] == 1 && t->ne[0] <= INT32_MAX / 2 && t->ne[1] <= INT32_MAX / 2;
}

/* Of a tensor: its enum number_type, or -1 when it holds other numbers than those. */
static inline int32_t number_type_of(const struct gguf_tensor *t)
{
    enum { TYPE_F32 = 0, TYPE_F16 = 1, TYPE_BF16 = 30 }; /* ggml's numbers */

    return t->type == TYPE_F32    ? NUMBER_F32
           : t->type == TYPE_F16  ? NUMBER_F16
           : t->type == TYPE_BF16 ? NUMBER_BF16
                                  : -1;
}

/* The numbers of a weight in its order; without data: it has none that can be looked at. */
static inline struct gguf_numbers numbers_of(const struct gguf_model *model,
                                             const struct gguf_tensor *t)
{
    int32_t type = number_type_of(t);

    if (model->numbers)
        return model->numbers[t - gguf_file_tensor(model->file, 0)];
    return (struct gguf_numbers){type < 0 ? NULL : t->data, type};
}

/* A matrix of the model. */
static inline struct lora_base base_of(const struct gguf_model *model, const struct gguf_tensor *t)
{
    return (struct lora_base){.name = t->name,
                              .index = (size_t)(t - gguf_file_tensor(model->file, 0)),
                              .n_in = (int32_t)t->ne[0],
                              .n_out = (int32_t)t->ne[1],
                              .is_f32 = number_type_of(t) == NUMBER_F32};
}

#endif
