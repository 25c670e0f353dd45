/*
 * llama_model: see the header.
 */
#include "engine/llama_model.h"

#include "core/context.h"
#include "engine/guard.h"
#include "engine/llama_tokenizer.h"
#include "engine/row_operators.h"

#include <stdio.h>
#include <string.h>

static bool on_progress(float progress, void *user_data)
{
    inf_op *op = user_data;

    if (op_kind(op) == OP_MODEL_LOAD || op_kind(op) == OP_GENERATE)
        op_progress(op, progress);
    return op_stop_code(op) == INF_OK;
}

/* A file's vocabulary, said to be none. The last one is the list's end. */
enum { N_OVERRIDES = 3 };

static void leave_out_vocabulary(struct llama_model_kv_override overrides[N_OVERRIDES],
                                 const struct llama_model_source *source)
{
    memset(overrides, 0, N_OVERRIDES * sizeof *overrides);
    snprintf(overrides[0].key, sizeof overrides[0].key, "tokenizer.ggml.model");
    overrides[0].tag = LLAMA_KV_OVERRIDE_TYPE_STR;
    snprintf(overrides[0].val_str, sizeof overrides[0].val_str, "no_vocab");
    snprintf(overrides[1].key, sizeof overrides[1].key, "%s.vocab_size", source->architecture);
    overrides[1].tag = LLAMA_KV_OVERRIDE_TYPE_INT;
    overrides[1].val_i64 = source->n_tokens;
}

int32_t engine_load_model(struct llama_model **out, struct tokenizer *tokenizer,
                          const struct llama_model_source *source, inf_error *err)
{
    struct llama_model_params p = llama_model_default_params();
    struct llama_model_kv_override overrides[N_OVERRIDES];

    if (source->n_tokens > 0) {
        leave_out_vocabulary(overrides, source);
        p.kv_overrides = overrides;
    }
    p.n_gpu_layers = source->n_gpu_layers;
    /* Laid out anew, weights are copies, and no kernel of ours knows them. */
    p.use_extra_bufts = !row_operators_compute();
    p.vocab_only = source->tokenizer_only;
    p.progress_callback = on_progress;
    p.progress_callback_user_data = source->op;
    guard_start();
    guard_log_to(op_context(source->op));
    *out = guard_load_model(source->path, p, err);
    guard_log_to(NULL);
    if (*out) {
        if (source->n_tokens == 0)
            llama_tokenizer_describe(*out, tokenizer);
        return INF_OK;
    }
    return op_stop_code(source->op) != INF_OK ? op_stop_error(source->op, err) : INF_ERROR_BACKEND;
}

void engine_free_model(struct llama_model *model)
{
    llama_model_free(model);
}
