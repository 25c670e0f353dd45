/*
 * peft: a PEFT LoRA adapter, checked as far as it can be without its base model.
 *
 * A directory with adapter_config.json and adapter_model.safetensors, or the bytes of both. Its
 * tensors come as pairs
 *     [base_model.model.]<module>.lora_A[.<adapter name>].weight   (rank, n_in)
 *     [base_model.model.]<module>.lora_B[.<adapter name>].weight   (n_out, rank)
 * in F32, F16 or BF16. Anything else in the file is refused by name, except a copy of a targeted
 * module's own weight, <module>.base_layer.weight, which peft writes for output layers: it is
 * listed apart, for whoever knows the base model to compare.
 *
 * Threads: immutable but for the pattern scratch inside the config: one thread at a time.
 */
#ifndef INF_HF_FILES_PEFT_H
#define INF_HF_FILES_PEFT_H

#include "core/buffer.h"
#include "hf/files/peft_config.h"
#include "hf/files/safetensors.h"

struct peft_module {
    const char *name; /* as in the base model, "model.layers.0.self_attn.q_proj" */
    const struct safetensors_tensor *a;    /* (rank, n_in) */
    const struct safetensors_tensor *b;    /* (n_out, rank) */
    const struct safetensors_tensor *base; /* (n_out, n_in), a copy of the base weight, or NULL */
    int32_t rank;
    float scale;
};

struct peft_adapter {
    struct peft_config *config;
    struct safetensors *weights;
    struct peft_module *modules; /* sorted by name */
    size_t n_modules;            /* at least 1 */
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

/* peft_open, and every weight read: NOT_FINITE names the tensor that holds a NaN or infinity. */
int32_t peft_check(const char *dir, inf_error *err);

/*
 * Appends a JSON object that describes the adapter: kind, format, peft_type, rank, alpha, scale,
 * use_rslora, dtype, targets (last parts of the module names, sorted), n_modules, n_tensors, size,
 * base_model. Errors: NO_MEMORY.
 */
int32_t peft_describe(struct buffer *out, const struct peft_adapter *p, inf_error *err);

#endif
