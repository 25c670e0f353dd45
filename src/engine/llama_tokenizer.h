/* llama_tokenizer: local/tokenizer.h over llama.cpp's vocabulary, whose pieces need no state. */
#ifndef INF_ENGINE_LLAMA_TOKENIZER_H
#define INF_ENGINE_LLAMA_TOKENIZER_H

#include "local/tokenizer.h"

struct llama_model;

/* It lives as long as the model. */
void llama_tokenizer_describe(const struct llama_model *model, struct tokenizer *out);

#endif
