/*
 * tokenizer: a checkpoint's tokenizer (hf/tokenizer) as the in-process provider wants one, with the
 * tokens that end a generation. Immutable; any thread.
 */
#ifndef INF_TRANSFORMERS_TOKENIZER_H
#define INF_TRANSFORMERS_TOKENIZER_H

#include "hf/files/generation_config.h"
#include "hf/tokenizer/tokenizer.h"
#include "local/tokenizer.h"

struct checkpoint_tokenizer {
    struct hf_tokenizer *hf; /* NULL: there is none, and `missing` says why */
    inf_error missing;
    int64_t eos[GENERATION_MAX_EOS];
    int32_t n_eos;
    int32_t n_model; /* rows of the model's vocabulary; 0: no model */
};

/* Borrows t. */
void checkpoint_tokenizer_describe(struct checkpoint_tokenizer *t, struct tokenizer *out);

#endif
