/*
 * llama_engine: local/engine.h over a llama.cpp context: one stream of KV cache a slot.
 *
 * Slots never share a stream: with a unified cache one sequence's NaN would reach the others
 * through masked cells. Each decode call is one ubatch of equal rows, so that rows of the graph
 * are known to belong to rows of the call.
 * Adapters: all in one call through lora_eval (host memory), or llama.cpp's own adapters, one
 * call a (generation, scale) (devices).
 *
 * Threads: created on a preparation thread, then owned by the scheduler's worker.
 */
#ifndef INF_ENGINE_LLAMA_ENGINE_H
#define INF_ENGINE_LLAMA_ENGINE_H

#include "gguf/model.h"
#include "local/engine.h"

#include <llama.h>
#include <stdatomic.h>

struct llama_engine;

struct llama_engine_options {
    inf_context *log;              /* llama.cpp's log lines go there */
    struct llama_model *model;     /* borrowed */
    const struct gguf_model *base; /* borrowed: the model's header */
    int32_t n_threads;
    int32_t max_slots;
    int32_t max_context;
    int32_t flash_attention; /* enum inf_flash_attention */
    bool native_adapters;
    bool kv_f32;               /* for logits: exact rather than small and fast */
    _Atomic int64_t *kv_bytes; /* kept up to date; may be NULL */
};

/* Bytes of KV cache that one token takes, f16. */
size_t llama_engine_token_bytes(const struct gguf_model *base);

int32_t llama_engine_create(struct llama_engine **out, const struct llama_engine_options *options,
                            inf_error *err);
void llama_engine_free(struct llama_engine *e); /* NULL is ignored; not while decoding */
/* The engine as the scheduler wants it. */
void llama_engine_describe(struct llama_engine *e, struct engine *out);

#endif
