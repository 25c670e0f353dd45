/*
 * mapped_model: a model of llama.cpp from metadata and weights that lie in memory: where they are as
 * they are to be, llama.cpp's tensors point to them; the others are made, by all cores, in memory of the
 * model's own.
 *
 * The weights must outlive the model, and the model its engines. Loading runs on a preparation thread,
 * and on threads of its own while weights are made; the rest is immutable.
 */
#ifndef INF_ENGINE_MAPPED_MODEL_H
#define INF_ENGINE_MAPPED_MODEL_H

#include "core/op.h"
#include "gguf/file.h"

struct llama_model;
struct mapped_model;

/* Tensors by their index in file. The functions are called on several threads at once. */
struct model_weights {
    const void *header; /* of the GGUF file that it would be; file is the same, read */
    size_t header_size;
    const struct gguf_file *file;
    const void *impl;
    /* Its bytes, of the file's type, aligned to an element; NULL: it is to be made. */
    const void *(*ready)(const void *impl, size_t tensor);
    /* Rows [first, first + n) of one that is to be made (all of them where it has one dimension), as
     * f32, f16 or bf16 (ggml's number). */
    int32_t (*rows)(const void *impl, size_t tensor, int64_t first, int64_t n, int32_t type,
                    void *out, inf_error *err);
    /* The memory that ready tensors lie in: n_maps pieces, page-aligned. */
    size_t n_maps;
    const void *(*map)(const void *impl, size_t i, size_t *size);
};

struct mapped_options {
    int32_t n_gpu_layers;
    int32_t n_threads; /* that make weights */
    inf_op *op; /* gets the progress and llama.cpp's log lines; loading ends when it is to stop */
};

/* Whether weights of any type are best read where they lie: nothing lays them out anew, and this build's
 * llama.cpp takes them from memory. */
bool mapped_model_suits(void);

/* UNSUPPORTED (a llama.cpp without our edits), BACKEND, NO_MEMORY, CANCELLED, TIMEOUT, the errors of
 * rows. */
int32_t mapped_model_load(struct mapped_model **out, const struct model_weights *weights,
                          const struct mapped_options *options, inf_error *err);
/* With its engines gone; NULL is ignored. */
void mapped_model_free(struct mapped_model *m);

struct llama_model *mapped_model_llama(const struct mapped_model *m);

#endif
