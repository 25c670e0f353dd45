/*
 * lora_eval: every row of a llama.cpp decode under its own adapter.
 *
 * llama.cpp's evaluation callback stops the graph after each matmul whose weight an adapter in the
 * call changes; there the rows of the result get s·B(Ax) of their own adapter added, in place,
 * before anything reads them. The graph never changes with the adapters, so nothing is reserved
 * again, and adapters that are registered but not in the call cost nothing.
 * Only for weights and results in host memory.
 *
 * Threads: owned by the thread that decodes; large deltas run on the same thread pool as the graph,
 * which is idle while the callback runs.
 */
#ifndef INF_ENGINE_LORA_EVAL_H
#define INF_ENGINE_LORA_EVAL_H

#include "gguf/file.h"
#include "lora/weights.h"
#include "local/engine.h"

struct ggml_tensor;
struct ggml_threadpool;

/* The payload of a registered adapter. */
struct llamacpp_adapter {
    struct lora_weights *weights;
    const struct lora_module **by_tensor; /* (tensors of the GGUF) NULL where unchanged */
    size_t n_tensors;
    size_t bytes; /* of everything */
};

/* Takes `weights` over, also when it fails. NO_MEMORY. */
int32_t llamacpp_adapter_create(struct llamacpp_adapter **out, struct lora_weights *weights,
                                const struct gguf_file *base, inf_error *err);
void llamacpp_adapter_free(void *adapter); /* NULL is ignored */

struct lora_eval;

/* base: the model's own file, which must outlive it. */
int32_t lora_eval_create(struct lora_eval **out, const struct gguf_file *base,
                         struct ggml_threadpool *pool, int32_t n_threads, int32_t max_rows,
                         inf_error *err);
void lora_eval_free(struct lora_eval *e);

/* From the next call on: 1 to the n_threads it was made with. */
void lora_eval_use_threads(struct lora_eval *e, int32_t n);

/* Says which adapter each row of the next decode has. Rows are in the order of the batch, n_tokens
 * tokens each. */
void lora_eval_begin(struct lora_eval *e, const struct engine_row *rows, int32_t n_rows,
                     int32_t n_tokens);
/* After the decode: false when the graph had a shape that the callback does not know; then the
 * adapters were not applied and the results must not be used. */
bool lora_eval_end(struct lora_eval *e);

/* For llama_context_params.cb_eval; user_data is the lora_eval. */
bool lora_eval_callback(struct ggml_tensor *t, bool ask, void *user_data);

#endif
