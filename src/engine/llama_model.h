/*
 * llama_model: a model of llama.cpp from a GGUF file whose header was checked, and the tokenizer that
 * comes with it. Loading runs on a preparation thread.
 */
#ifndef INF_ENGINE_LLAMA_MODEL_H
#define INF_ENGINE_LLAMA_MODEL_H

#include "core/op.h"
#include "local/tokenizer.h"

struct llama_model;

struct llama_model_source {
    const char *path;
    int32_t n_gpu_layers;
    bool tokenizer_only;
    /* The tokenizer is somebody else's: llama.cpp learns that there are so many tokens, and nothing of
     * them. 0: it reads the file's vocabulary. */
    int32_t n_tokens;
    const char *architecture; /* for that */
    inf_op *op; /* gets the progress and llama.cpp's log lines; loading ends when it is to stop */
};

/* tokenizer: set where the vocabulary is llama.cpp's. BACKEND, CANCELLED, TIMEOUT. */
int32_t engine_load_model(struct llama_model **out, struct tokenizer *tokenizer,
                          const struct llama_model_source *source, inf_error *err);
/* With its engines gone. */
void engine_free_model(struct llama_model *model);

#endif
