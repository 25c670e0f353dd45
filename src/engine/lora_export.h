/*
 * lora_export: an adapter as a GGUF LoRA file in memory, for llama.cpp's native adapters. Pure
 * functions; any thread.
 */
#ifndef INF_ENGINE_LORA_EXPORT_H
#define INF_ENGINE_LORA_EXPORT_H

#include "core/buffer.h"
#include "lora/weights.h"

/* UNSUPPORTED when it changes a weight that native adapters cannot (a tied output). */
int32_t lora_export_check(const struct lora_weights *w, inf_error *err);

/* Into an empty buffer, the file: f32, alpha 0 with the gain folded into B. NO_MEMORY, or as lora_export_check. */
int32_t lora_export(struct buffer *out, const struct lora_weights *w, const char *architecture,
                    inf_error *err);

#endif
