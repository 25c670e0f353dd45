/*
 * weight_index: which tensor of a model's file a tensor of a graph is.
 *
 * Weights are recognised by address: the first time one is seen, its name is looked up in the model's file,
 * and its index kept. Weights live as long as the model; other tensors (views of the KV cache) have no name
 * there and are looked up each time they are not leaves, which is a comparison.
 * Threads: any, without a lock; created and freed with nobody looking.
 */
#ifndef INF_ENGINE_WEIGHT_INDEX_H
#define INF_ENGINE_WEIGHT_INDEX_H

#include "gguf/file.h"

struct ggml_tensor;

struct weight_index;

struct weight_index *weight_index_create(const struct gguf_file *file); /* NULL: no memory */
void weight_index_free(struct weight_index *index);                     /* NULL is ignored */
/* The index in the file, or -1 for a tensor that is no weight of it. */
int32_t weight_index_of(struct weight_index *index, const struct ggml_tensor *w);

#endif
