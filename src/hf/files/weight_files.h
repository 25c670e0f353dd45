/*
 * weight_files: the weights of a checkpoint: model.safetensors, or the files that
 * model.safetensors.index.json lists, mapped. Headers are checked as strictly as safetensors.h says; a
 * tensor that lies in two of them, or that the index promises and none has, is refused by name.
 *
 * Mapped files are read while the model computes: one that is cut short meanwhile ends the process
 * (SIGBUS), one that is written to changes the model. weight_files_check tells of both, when it is asked
 * in time. The maps and what they hold end with weight_files_close.
 * Threads: immutable once open.
 */
#ifndef INF_HF_FILES_WEIGHT_FILES_H
#define INF_HF_FILES_WEIGHT_FILES_H

#include "hf/files/safetensors.h"

struct weight_files;

struct weight {
    const struct safetensors_tensor *tensor; /* its name, dtype, shape and size */
    const void *data;                        /* mapped; aligned to nothing */
    size_t file;
};

/* IO, BAD_FORMAT, UNSUPPORTED (weights of another kind: pytorch_model.bin), NO_MEMORY. */
int32_t weight_files_open(struct weight_files **out, const char *dir, inf_error *err);
void weight_files_close(struct weight_files *f); /* NULL is ignored */

size_t weight_files_count(const struct weight_files *f); /* of weights */
/* Sorted by name, bytewise. */
const struct weight *weight_files_at(const struct weight_files *f, size_t index);
const struct weight *weight_files_find(const struct weight_files *f, const char *name);

/* The maps: n of them. */
size_t weight_files_maps(const struct weight_files *f);
const void *weight_files_map(const struct weight_files *f, size_t i, size_t *size);
uint64_t weight_files_bytes(const struct weight_files *f);
/* All of it is going to be read: the system may begin. */
void weight_files_will_need(const struct weight_files *f);
/* The pages of these bytes of a map are not needed any more (they can be read again). */
void weight_files_let_go(const void *data, size_t size);

/* IO when a file's size, time or inode is another than when it was mapped. Any thread. */
int32_t weight_files_check(const struct weight_files *f, inf_error *err);

#endif
