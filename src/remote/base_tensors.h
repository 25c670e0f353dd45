/*
 * base_tensors: names and shapes of a checkpoint's tensors, to tell whether an adapter fits it.
 * Reads headers only. Blocking file I/O; one thread at a time.
 */
#ifndef INF_REMOTE_BASE_TENSORS_H
#define INF_REMOTE_BASE_TENSORS_H

#include "core/error.h"

struct base_tensors;

/* *out is NULL, and that is no error, when there is no safetensors checkpoint here that can be
 * read. Errors: NO_MEMORY. */
int32_t base_tensors_open(struct base_tensors **out, const char *dir, inf_error *err);
void base_tensors_close(struct base_tensors *b); /* NULL is ignored */

/*
 * A module of an adapter that turns n_in into n_out numbers. MISMATCH, with the adapter's tensor in
 * the message, when the checkpoint has no such module or one of another shape. A module whose weight
 * is packed (quantized), or an output layer that shares the embedding's, is taken for good.
 */
int32_t base_tensors_check(const struct base_tensors *b, const char *module, int64_t n_out,
                           int64_t n_in, const char *tensor, inf_error *err);

struct safetensors_tensor;

/* A tensor of an adapter that takes the place of the base model's tensor `name`
 * ("model.norm.weight"). MISMATCH as above, shapes being the same or not. An output layer that the
 * checkpoint lacks is compared with the embedding. */
int32_t base_tensors_check_whole(const struct base_tensors *b, const char *name,
                                 const struct safetensors_tensor *tensor, inf_error *err);

#endif
