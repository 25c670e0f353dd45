/* base_model: the header of a model that an adapter is held against: a GGUF file's, or a checkpoint's. */
#ifndef INF_ARCH_BASE_MODEL_H
#define INF_ARCH_BASE_MODEL_H

#include "arch/checkpoint.h"

struct base_model {
    struct gguf_model model;
    struct gguf_file *file; /* one of the two */
    struct checkpoint *checkpoint;
};

/* A file or a directory. The errors of gguf_file_open, gguf_model_check and checkpoint_open, which name
 * the path. */
int32_t base_model_open(struct base_model *out, const char *path, inf_error *err);
void base_model_close(struct base_model *b);

#endif
