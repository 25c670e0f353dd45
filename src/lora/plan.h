/*
 * plan: what is to be converted, before it is: for each base weight that an adapter changes,
 * where its matrices are and how they are to be read. Made from a PEFT adapter (arch/peft_adapter.c) or
 * a GGUF LoRA file (arch/gguf_adapter.c), carried out by weights.c. It owns the module list only:
 * names and bytes belong to the adapter's file and to the model's.
 */
#ifndef INF_LORA_PLAN_H
#define INF_LORA_PLAN_H

#include "hf/files/peft.h"
#include "gguf/model.h"

enum lora_source { LORA_SOURCE_F32, LORA_SOURCE_F16, LORA_SOURCE_BF16 };

/* One matrix of the adapter. */
struct lora_matrix {
    const char *name;                        /* for messages */
    int32_t source;                          /* enum lora_source */
    size_t size;                             /* bytes */
    const void *data;                        /* in memory, aligned to nothing; or NULL: */
    const struct safetensors_tensor *tensor; /* to be read from the plan's weights */
};

struct lora_plan_module {
    const struct gguf_tensor *base; /* the model's weight: ne = {n_in, n_out} */
    struct lora_matrix a;           /* (rank, n_in) */
    struct lora_matrix b;           /* (n_out, rank) */
    int32_t rank;
    float scale;
    int32_t head_dim; /* 0: rows of b stay where they are; else see lora_source_row */
};

struct lora_plan {
    struct lora_plan_module *modules; /* sorted by base->name, each once */
    size_t n;
    const struct safetensors *weights; /* of matrices without data */
    int32_t format;                    /* enum inf_adapter_format */
    int32_t n_tensors;                 /* of the adapter's file */
};

/* Each fills an empty plan; lora_plan_free after either outcome. Errors as lora_weights_load. */
int32_t peft_to_lora(struct lora_plan *out, struct peft_adapter *adapter,
                     const struct gguf_model *model, inf_error *err);
int32_t gguf_adapter_to_lora(struct lora_plan *out, const struct gguf_file *adapter,
                             const struct gguf_model *model, inf_error *err);
void lora_plan_free(struct lora_plan *plan);

/* Sorts the modules; BAD_FORMAT when two are for the same weight. */
int32_t lora_plan_sort(struct lora_plan *plan, inf_error *err);

/* What the adapters of an architecture look like in Hugging Face's names and in GGUF's. */
struct lora_architecture;
/* UNSUPPORTED, naming the architecture and the supported ones. */
int32_t lora_architecture_find(const struct lora_architecture **out, const char *name,
                               inf_error *err);
/* True for the GGUF name of a linear layer that adapters of the architecture may change. */
bool lora_architecture_has(const struct lora_architecture *arch, const char *tensor);
/* The weight of the output matmul: output.weight, or token_embd.weight where it is tied. */
const struct gguf_tensor *lora_output_weight(const struct gguf_model *model);

/*
 * The row of Hugging Face's matrix that is row `row` of GGUF's. In architectures whose rope turns
 * neighbouring pairs, GGUF's q and k have each head's halves interleaved: row 2j + i of a head is
 * row i * head_dim/2 + j there.
 */
static inline int32_t lora_source_row(int32_t row, int32_t head_dim)
{
    if (head_dim == 0)
        return row;
    int32_t in_head = row % head_dim;
    return row - in_head + (in_head & 1) * (head_dim / 2) + in_head / 2;
}

#endif
