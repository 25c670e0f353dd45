/*
 * blueprint: a checkpoint as llama.cpp is to see it: metadata, and for each tensor where it lies in the
 * mapped files, or how its rows are made of what lies there. Made once, by a family's tables; from then
 * on immutable, any thread.
 */
#ifndef INF_ARCH_BLUEPRINT_H
#define INF_ARCH_BLUEPRINT_H

#include "arch/family.h"
#include "core/error.h"
#include "gguf/write.h"
#include "hf/files/model_config.h"
#include "hf/files/weight_files.h"

/* ggml's numbers of the types that weights may have here. */
enum weight_type {
    WEIGHT_TYPE_F32 = 0,
    WEIGHT_TYPE_F16 = 1,
    WEIGHT_TYPE_Q4_0 = 2,
    WEIGHT_TYPE_Q8_0 = 8,
    WEIGHT_TYPE_Q4_K = 12,
    WEIGHT_TYPE_BF16 = 30
};

struct blueprint_tensor {
    char name[64];
    int32_t type; /* enum weight_type */
    int32_t n_dims;
    int64_t ne[WEIGHT_DIMS]; /* fastest first; 1 beyond n_dims */
    const void *data;        /* it lies there as it is to be; NULL: it is to be made */

    /* for one that is to be made: */
    const struct weight_change *change;
    const struct weight *const *sources; /* (n_sources) equal ones, one behind another */
    size_t n_sources;
    float *values; /* computed, not from a file; (ne[0]) */
};

struct blueprint {
    const struct family *family;
    const struct weight_files *files; /* borrowed */
    int32_t type;                     /* of matrices, enum weight_type */
    int32_t plain_type;               /* of those that cannot be quantised so */

    /* what describe sets: */
    int64_t size[SIZE_COUNT];
    int32_t n_layer, n_head, n_head_kv;
    uint32_t features;
    uint32_t block_features[FAMILY_MAX_BLOCKS]; /* that a block has beside those */
    struct gguf_writer header;
    int32_t exact_window; /* tokens a text may have; INT32_MAX: any number */
    char window_reason[120];

    struct blueprint_tensor *tensors;
    size_t n_tensors, tensors_cap;
    bool *asked;     /* (weights of the files) */
    char prefix[64]; /* before the list of blocks in this checkpoint */
};

/* For describe: */

/* "<architecture>.<suffix>" in buf, which is returned. */
const char *blueprint_key(const struct blueprint *b, const char *suffix, char buf[128]);
/* Up to n tokens the graph computes what transformers does, and not beyond, because of `why`. */
void blueprint_limit_window(struct blueprint *b, int64_t n, const char *why);
/* A tensor of one dimension that is computed, not read. NO_MEMORY goes to the reader. */
void blueprint_add_values(struct blueprint *b, struct config_reader *r, const char *name,
                          const float *values, int64_t n);
/* Whether the checkpoint has a tensor of that whole name. */
bool blueprint_has(const struct blueprint *b, const char *name);

/* The embedding or the output layer, by llama.cpp's name. */
bool blueprint_is_head(const char *name);

/* A dtype of safetensors and a weight_type. */
bool blueprint_is_same_type(int32_t dtype, int32_t type);

/* For checkpoint.c: */
int32_t blueprint_make(struct blueprint *out, const struct family *family,
                       const struct model_config *config, const struct weight_files *files,
                       int32_t type, int32_t plain_type, inf_error *err);
void blueprint_free(struct blueprint *b);

/* Rows [first, first + n) of a tensor that is to be made, as numbers of `type` (F32, F16 or BF16).
 * NOT_FINITE where a number does not fit f16; IO, NO_MEMORY. */
int32_t blueprint_rows(const struct blueprint *b, const struct blueprint_tensor *t, int64_t first,
                       int64_t n, int32_t type, void *out, inf_error *err);

#endif
