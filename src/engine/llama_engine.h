/*
 * llama_engine: local/engine.h over a llama.cpp context: one stream of KV cache a slot.
 *
 * Slots never share a stream: with a unified cache one sequence's NaN would reach the others
 * through masked cells. Each decode call is one ubatch of equal rows, so that rows of the graph
 * are known to belong to rows of the call.
 * Adapters: all in one call through lora_operator (host memory), or llama.cpp's own adapters, one
 * call a (generation, scale) (devices).
 *
 * Threads: created on a preparation thread, then owned by the scheduler's worker.
 */
#ifndef INF_ENGINE_LLAMA_ENGINE_H
#define INF_ENGINE_LLAMA_ENGINE_H

#include "gguf/model.h"
#include "local/engine.h"

struct llama_model;

struct llama_engine_source {
    inf_context *log;              /* llama.cpp's log lines go there */
    struct llama_model *model;     /* borrowed */
    const struct gguf_model *base; /* borrowed: the model's header */
    int32_t flash_attention;       /* enum inf_flash_attention; an exact engine has none */
    bool states_independent;       /* what is computed beside them changes no recurrent states */
    bool float_cache;              /* keys and values stay f32, else f16 */
    bool native_adapters;
    bool on_device; /* a part of the model may be computed elsewhere than on the CPU */
    /* Asked before each decode and after it: whether the weights are still what they were. An error is that of the
     * decode. NULL: not asked. */
    int32_t (*check)(const void *arg, inf_error *err);
    const void *check_arg;
};

/* Bytes of KV cache that a window of n tokens takes, f32 or f16. */
size_t llama_engine_window_bytes(const struct gguf_model *base, int32_t n, bool float_cache);

/* NO_MEMORY. The model outlives it. */
int32_t llama_engine_create(struct engine *out, const struct llama_engine_source *source,
                            const struct engine_options *options, inf_error *err);

#endif
