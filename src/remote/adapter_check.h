/*
 * adapter_check: whether an adapter directory is sound and fits the base model, before a server is told
 * to load it. Blocking file I/O: for the provider's control threads. Stateless.
 */
#ifndef INF_REMOTE_ADAPTER_CHECK_H
#define INF_REMOTE_ADAPTER_CHECK_H

#include "core/error.h"

/*
 * The adapter's format and every weight, of the file that vLLM would read: adapter_model.safetensors,
 * else adapter_model.bin, else adapter_model.pt. report: rank, scale, modules, tensors and bytes are
 * filled in, as far as our own reader knows the adapter.
 *
 * Every floating-point number must be finite, in f32 too: also F64 and 8-bit ones, the scale, and the
 * scale times each number of a B. A PEFT feature that our reader does not know is the server's to
 * judge, but its numbers are checked all the same. With the base model's directory (NULL, or one that
 * cannot be read, or has no safetensors: left out) names and shapes are compared too: of the LoRA
 * pairs and of modules trained in full (modules_to_save).
 *
 * A .bin or .pt is a pickle, which is not read here: it must be a whole zip archive or an old
 * torch.save stream; what numbers it holds, only the server finds out.
 *
 * Errors: BAD_FORMAT, MISMATCH, NOT_FINITE, each with the tensor's name; IO, NO_MEMORY.
 */
int32_t adapter_check(const char *dir, const char *base_dir, inf_adapter_report *report,
                      inf_error *err);

#endif
