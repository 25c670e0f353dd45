/*
 * checkpoint: a Hugging Face checkpoint directory as a model of llama.cpp's: config and mapped weights,
 * checked against each other, and the header of the GGUF file that it would be. Immutable once open;
 * any thread. Blocking file I/O.
 */
#ifndef INF_ARCH_CHECKPOINT_H
#define INF_ARCH_CHECKPOINT_H

#include "arch/blueprint.h"
#include "gguf/model.h"

/* What numbers the weights are to be: the checkpoint's own, or those. */
#define WEIGHT_TYPE_AUTO (-1)

struct checkpoint {
    struct model_config config;
    struct weight_files *files;
    struct blueprint blueprint;
    struct buffer header;          /* the GGUF header, whole */
    struct gguf_file *header_file; /* the same, read */
    struct gguf_model model;
    struct gguf_numbers *numbers; /* model.numbers */
    int32_t own_type;             /* what WEIGHT_TYPE_AUTO means here */
};

/* type: enum weight_type, or WEIGHT_TYPE_AUTO. IO, BAD_FORMAT (damaged files, shapes that are not those
 * of the config, tensors that are missing), UNSUPPORTED (a model type, a value of the config that
 * llama.cpp computes otherwise, a tensor that nothing uses), NO_MEMORY. */
int32_t checkpoint_open(struct checkpoint **out, const char *dir, int32_t type, inf_error *err);
void checkpoint_close(struct checkpoint *c); /* NULL is ignored */

/* The window that the graph computes as transformers does, at most n. */
int32_t checkpoint_window(const struct checkpoint *c, int32_t n);

#endif
