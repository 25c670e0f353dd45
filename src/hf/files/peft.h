/*
 * peft: a PEFT LoRA adapter, checked as far as it can be without its base model.
 *
 * A directory with adapter_config.json and adapter_model.safetensors (or an index and the files that it lists),
 * or the bytes of both. What its
 * tensors are, behind "base_model.model." (which may be missing):
 *     <module>.lora_A.weight  .lora_B.weight        (rank, n_in), (n_out, rank)
 *     <module>.lora_B.bias                          (n_out), with lora_bias
 *     <module>.lora_magnitude_vector                (n_out), DoRA's
 *     <module>.lora_embedding_A  .lora_embedding_B  (rank, vocabulary), (width, rank)
 *     <module>.weight  .bias                        trained in full, of modules_to_save
 *     <module>.base_layer.bias  .bias               the same, with "bias" other than "none"
 *     <module>.token_adapter.trainable_tokens_delta (tokens, width): rows of an embedding, in full
 *     <module>.base_layer.weight                    a copy of the module's own weight, which peft writes
 *                                                   for heads and embeddings: for whoever knows the
 *                                                   base model to compare
 * the first ones also with the adapter's name behind the mark. With target_parameters the lora_A of a
 * module of stacked experts is (experts·rank, n_in), expert by expert, its lora_B (n_out, rank·experts),
 * rank by rank; the inner parameter of two has ".base_layer" behind the module's name.
 * In F32, F16 or BF16. Anything else in the file is refused by name.
 *
 * Threads: immutable but for the pattern scratch inside the config: one thread at a time.
 */
#ifndef INF_HF_FILES_PEFT_H
#define INF_HF_FILES_PEFT_H

#include "core/buffer.h"
#include "hf/files/peft_config.h"
#include "hf/files/safetensors.h"

enum peft_kind { PEFT_LINEAR, PEFT_EMBEDDING, PEFT_EXPERTS, PEFT_SAVED, PEFT_TOKENS };

struct peft_module {
    const char *name; /* as in the base model, "model.layers.0.self_attn.q_proj" */
    int32_t kind;     /* enum peft_kind */

    /* of the first three kinds: */
    const struct safetensors_tensor *a;    /* (rank, n_in) */
    const struct safetensors_tensor *b;    /* (n_out, rank) */
    const struct safetensors_tensor *base; /* (n_out, n_in), a copy of the base weight, or NULL */
    const struct safetensors_tensor *bias; /* (n_out), lora_B's, or NULL */
    const struct safetensors_tensor *magnitude; /* (n_out), or NULL: no DoRA */
    int32_t rank;                               /* of one expert */
    float scale;
    const char *parameter; /* EXPERTS: "gate_up_proj" or "down_proj"; static storage */

    const struct safetensors_tensor *whole; /* SAVED: its own, or NULL */
    const struct safetensors_tensor
        *whole_bias; /* SAVED, and LINEAR with "bias": its own, or NULL */

    const struct safetensors_tensor *rows; /* TOKENS */
    const int32_t *token_ids;              /* which those rows are */
};

struct peft_adapter {
    struct peft_config *config;
    struct safetensors *weights;
    struct peft_module *modules; /* sorted by name */
    size_t n_modules;            /* at least 1 */
    float scale;                 /* of the first that has one, else 1 */
    char *names;                 /* memory of the modules' names */
};

/*
 * Errors, with the tensor's or the feature's name: IO (missing or unreadable file), BAD_FORMAT
 * (damaged JSON or safetensors, A without B, a name twice, no LoRA at all), UNSUPPORTED (a feature,
 * a dtype, a tensor that is not LoRA, adapter_model.bin alone), MISMATCH (shapes against r or
 * rank_pattern, weights against target_modules), NO_MEMORY.
 */
int32_t peft_open(struct peft_adapter **out, const char *dir, inf_error *err);
/* The bytes of both files; `weights` is borrowed until peft_close. */
int32_t peft_from_memory(struct peft_adapter **out, const char *config, size_t config_len,
                         const void *weights, size_t weights_len, inf_error *err);
void peft_close(struct peft_adapter *p); /* NULL is ignored */

/* Whether it has nothing but LoRA pairs of linear layers. */
bool peft_is_plain(const struct peft_adapter *p);

/* The largest of its modules'; 0: it has no LoRA. */
int32_t peft_rank(const struct peft_adapter *p);

/* peft_open, and every weight read: NOT_FINITE names the tensor that holds a NaN or infinity. */
int32_t peft_check(const char *dir, inf_error *err);

/*
 * Appends a JSON object that describes the adapter: kind, format, peft_type, rank, alpha, scale,
 * use_rslora, dtype, targets (last parts of the module names, sorted), kinds ("lora", "use_dora", ...: what
 * it has), n_modules, n_tensors, size, base_model. Errors: NO_MEMORY.
 */
int32_t peft_describe(struct buffer *out, const struct peft_adapter *p, inf_error *err);

#endif
