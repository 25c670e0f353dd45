/*
 * weights: an adapter as the llama.cpp provider holds it: for each weight of the base model
 * that it changes, A and B in memory, ready for the kernels of lora_delta and for native export.
 *
 *     y += gain * B (A x)     A: (rank, n_in), B: (n_out, rank), stored transposed: (rank, n_out)
 *
 * Sources: a PEFT directory or its bytes (through hf/files), or a GGUF LoRA file. Tensor names,
 * q/k row permutation (architectures whose GGUF has it), fan_in_fan_out, rank and alpha patterns,
 * rslora and alpha are all resolved here; nothing later knows where the adapter came from.
 * Precision: f32 when the base weight is F32; else f16, each tensor multiplied by a power of two
 * that brings its largest magnitude to [2^13, 2^14), which `gain` undoes: no value overflows, and
 * f16 and bf16 sources lose nothing that matters (docs say how much).
 * Immutable after creation, one block of memory; any thread.
 */
#ifndef INF_LORA_WEIGHTS_H
#define INF_LORA_WEIGHTS_H

#include "core/provider.h"
#include "gguf/model.h"

enum lora_type { LORA_F32 = 0, LORA_F16 = 1 };

struct lora_module {
    const char *tensor; /* name of the base weight in the GGUF, e.g. "blk.0.attn_q.weight" */
    int32_t n_in, n_out, rank;
    int32_t type;   /* enum lora_type, of a and b */
    float scale;    /* alpha/rank or alpha/sqrt(rank), as PEFT applies it */
    float gain;     /* scale, times the powers of two undone */
    const void *a;  /* (rank, n_in), 64-byte aligned, rows padded to padded_in elements */
    const void *bt; /* (rank, n_out), 64-byte aligned, rows padded to padded_out elements */
    int32_t padded_in, padded_out; /* multiples of 16, padding zero */
};

struct lora_weights {
    size_t n_modules;
    struct lora_module *modules; /* sorted by tensor name, each once */
    int32_t max_rank;
    size_t bytes;   /* of everything */
    int32_t format; /* enum inf_adapter_format */
    int32_t n_tensors;
};

/*
 * Reads the source (path or memory) and converts it for `model`.
 * Errors: IO, BAD_FORMAT, UNSUPPORTED (PEFT feature or architecture, by name), MISMATCH (names the
 * first tensor that does not fit, and how many), NOT_FINITE (names the tensor), NO_MEMORY,
 * CANCELLED or TIMEOUT when op_to_poll (may be NULL) was asked to stop, polled between tensors.
 * report: format, rank, scale, n_modules, n_tensors, bytes are filled in.
 */
int32_t lora_weights_load(struct lora_weights **out, const struct adapter_source *source,
                          const struct gguf_model *model, const inf_op *op_to_poll,
                          inf_adapter_report *report, inf_error *err);
void lora_weights_free(struct lora_weights *w); /* NULL is ignored */

/* The module of a base weight, or NULL. Binary search. */
const struct lora_module *lora_weights_find(const struct lora_weights *w, const char *tensor);

/* UNSUPPORTED when llama.cpp's own adapters cannot do what these weights do. */
int32_t lora_weights_check_native(const struct lora_weights *w, inf_error *err);

/*
 * The adapter as a GGUF LoRA file in memory (f32, alpha 0 with gain folded into B), for
 * llama.cpp's native adapters. The caller frees out. NO_MEMORY. UNSUPPORTED when it changes a
 * weight that native adapters cannot (a tied output).
 */
int32_t lora_weights_to_gguf(struct buffer *out, const struct lora_weights *w,
                             const struct gguf_model *model, inf_error *err);

/* adapter.lora.alpha of a GGUF adapter; 0 when the file has none, as in llama.cpp. NOT_FINITE,
 * BAD_FORMAT when it is no number. */
int32_t gguf_adapter_alpha(double *alpha, const struct gguf_file *adapter, inf_error *err);

#endif
