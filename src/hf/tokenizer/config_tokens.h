/*
 * config_tokens: what tokenizer_config.json, special_tokens_map.json and added_tokens.json say of tokens:
 * those that are added or made special, and which are bos, eos, ... The merge is transformers'. Internal to tokenizer.
 */
#ifndef INF_HF_TOKENIZER_CONFIG_TOKENS_H
#define INF_HF_TOKENIZER_CONFIG_TOKENS_H

#include "hf/tokenizer/tokenizer_parts.h"

/* After tokenizer.json was read. BAD_FORMAT, UNSUPPORTED, NO_MEMORY. */
int32_t config_tokens_read(struct hf_tokenizer *t, const struct hf_tokenizer_files *source,
                           inf_error *err);

#endif
