/*
 * engine_adapter: a registered adapter as the engine keeps it: its weights, and for each weight of the
 * model what it does there; and which of them may be in one request.
 * Immutable once created; any thread.
 */
#ifndef INF_ENGINE_ENGINE_ADAPTER_H
#define INF_ENGINE_ENGINE_ADAPTER_H

#include "engine/mapped_model.h"
#include "local/adapter_set.h"
#include "lora/weights.h"

/* The payload of a registered adapter. */
struct engine_adapter {
    struct lora_weights *weights;
    /* (tensors of the model) for each use: NULL where it changes nothing there; the whole array is NULL
     * where it changes nothing of that use. */
    const struct lora_module **by_tensor[LORA_USES];
    size_t n_tensors;
    size_t bytes; /* of everything */
};

/* What it is made for. */
struct adapter_base {
    const struct gguf_file *file;        /* the model's */
    const struct model_weights *weights; /* where they are when the file is a header; else NULL */
    bool native;                         /* llama.cpp's own adapters compute it */
};

/* What model_ops.adapter_load gives: an adapter, and its bytes. Takes `weights` over, also when it fails. For
 * DoRA it reads the weights of the base that the adapter changes. op, which may be NULL, is polled.
 * NO_MEMORY, CANCELLED, TIMEOUT, the errors of rows; UNSUPPORTED where native adapters cannot do it. */
int32_t engine_adapter_create(void **out, size_t *bytes, struct lora_weights *weights,
                              const struct adapter_base *base, const inf_op *op, inf_error *err);
void engine_adapter_free(void *adapter); /* NULL is ignored */

static inline const struct lora_module *engine_adapter_module(const struct engine_adapter *a,
                                                              size_t tensor, int32_t use)
{
    return a->by_tensor[use] ? a->by_tensor[use][tensor] : NULL;
}

/* Whether such adapters make sense together, with these scales: as in peft a part of the model that one
 * of them replaces is changed by no other, and what is replaced has no scale. INVALID_ARGUMENT. */
int32_t engine_adapters_check(const struct adapter_set *set, inf_error *err);

#endif
