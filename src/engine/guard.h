/*
 * guard: the calls of llama.cpp that may throw or log, made safe for C: every exception is caught
 * and becomes an error, and llama.cpp's own log lines go to the context whose call it is, the last
 * error line into the error.
 * Threads: any. llama.cpp's log is process-wide; a thread-local pointer says whose call runs.
 */
#ifndef INF_ENGINE_GUARD_H
#define INF_ENGINE_GUARD_H

#include "core/error.h"

#include <llama.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Starts llama.cpp once in the process and takes over its log. */
void guard_start(void);

/* The context that llama.cpp's lines of this thread are logged to from now; NULL: nowhere. */
void guard_log_to(inf_context *ctx);

/* Whether the thread's last call of those below failed for want of memory, as far as llama.cpp said. */
bool guard_out_of_memory(void);

/* NULL and err on failure: BACKEND or NO_MEMORY. */
struct llama_model *guard_load_model(const char *path, struct llama_model_params params,
                                     inf_error *err);
/* Without a file; `given` is asked for each tensor's bytes and must not throw. */
struct llama_model *guard_model_of(struct gguf_context *metadata,
                                   llama_model_set_tensor_data_t given, void *user_data,
                                   struct llama_model_params params, inf_error *err);
struct llama_context *guard_new_context(struct llama_model *model,
                                        struct llama_context_params params, inf_error *err);
/* llama_decode's status, -100 for an exception, or that there was no memory. */
#define GUARD_NO_MEMORY (-101)
int32_t guard_decode(struct llama_context *ctx, struct llama_batch batch);
/* llama_tokenize's result, or INT32_MIN for an exception. */
int32_t guard_tokenize(const struct llama_vocab *vocab, const char *text, int32_t len,
                       llama_token *tokens, int32_t n_max, bool add_special, bool parse_special);
/* llama_state_seq_*_ext: 0 on an exception. */
size_t guard_state_size(struct llama_context *ctx, int32_t slot, llama_state_seq_flags flags);
size_t guard_get_state(struct llama_context *ctx, void *out, size_t size, int32_t slot,
                       llama_state_seq_flags flags);
size_t guard_set_state(struct llama_context *ctx, const void *data, size_t size, int32_t slot,
                       llama_state_seq_flags flags);
struct llama_adapter_lora *guard_load_adapter(struct llama_model *model, FILE *file,
                                              inf_error *err);

#ifdef __cplusplus
}
#endif

#endif
