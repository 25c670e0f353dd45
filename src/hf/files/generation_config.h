/*
 * generation_config: how a checkpoint wants text to be generated: generation_config.json, or, without
 * one, what config.json says of it, as transformers 5 takes it. Pure function over bytes.
 */
#ifndef INF_HF_FILES_GENERATION_CONFIG_H
#define INF_HF_FILES_GENERATION_CONFIG_H

#include "hf/files/model_config.h"

enum { GENERATION_MAX_EOS = 64 };

struct generation_config {
    bool do_sample; /* false: greedy */
    float temperature, top_p, min_p, repetition_penalty;
    int32_t top_k; /* 0: off */
    int64_t eos[GENERATION_MAX_EOS];
    int32_t n_eos;
    char ignored[120]; /* names of options that are set and that nothing here computes; or "" */
};

/* IO, BAD_FORMAT, NO_MEMORY. config: of the same directory, or NULL. */
int32_t generation_config_open(struct generation_config *out, const char *dir,
                               const struct model_config *config, inf_error *err);

#endif
