/*
 * adapter_files: an adapter directory as this machine sees it, before its path goes to a server:
 * its full path, which bytes it holds, whether its weights are sound and fit the base model.
 *
 * Blocking file I/O: for the provider's control threads. Stateless.
 */
#ifndef INF_REMOTE_ADAPTER_FILES_H
#define INF_REMOTE_ADAPTER_FILES_H

#include "core/error.h"
#include "remote/adapter_names.h"

/* A relative path that exists here is made absolute; any other is copied as it is: it may be one
 * that only the server knows. Errors: NO_MEMORY, IO. */
int32_t adapter_files_path(char **out, const char *path, inf_error *err);

/* Two spellings of one path, as far as can be told: the same but for slashes at the end, or the same
 * file here. */
bool adapter_files_same_path(const char *a, const char *b);

/* True when this machine can read an adapter there. */
bool adapter_files_readable(const char *dir);

/* Of adapter_config.json and every weight file, names and bytes; not known when the directory
 * cannot be read. It tells apart what changed, not what was forged. */
void adapter_files_digest(struct files_digest *out, const char *dir);

/* "dir/name" from mem_*; NULL: out of memory, or longer than a path may be. */
char *adapter_files_join(const char *dir, const char *name);
/* A regular file of that name that this machine can read. */
bool adapter_files_has(const char *dir, const char *name);

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
int32_t adapter_files_check(const char *dir, const char *base_dir, inf_adapter_report *report,
                            inf_error *err);

#endif
