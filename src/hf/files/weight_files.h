/*
 * weight_files: the weights of a checkpoint: model.safetensors, or the files that
 * model.safetensors.index.json lists, mapped. Headers are checked as strictly as safetensors.h says; a
 * tensor that lies in two of them, or that the index promises and none has, is refused by name.
 *
 * Mapped files are read while the model computes: one that is cut short meanwhile ends the process
 * (SIGBUS), one that is written to changes the model. weight_files_check tells of both, when it is asked
 * in time. The maps and what they hold end with weight_files_close.
 * Threads: immutable once open and weight_files_keep was called; then any thread.
 */
#ifndef INF_HF_FILES_WEIGHT_FILES_H
#define INF_HF_FILES_WEIGHT_FILES_H

#include "hf/files/safetensors.h"

struct weight_files;

struct weight {
    const struct safetensors_tensor *tensor; /* its name, dtype, shape and size */
    const void *data; /* mapped, aligned to nothing; NULL: only through a window */
    size_t file;
};

/* IO, BAD_FORMAT, UNSUPPORTED (weights of another kind: pytorch_model.bin), NO_MEMORY. */
int32_t weight_files_open(struct weight_files **out, const char *dir, inf_error *err);
void weight_files_close(struct weight_files *f); /* NULL is ignored */

size_t weight_files_count(const struct weight_files *f); /* of weights */
/* Sorted by name, bytewise. */
const struct weight *weight_files_at(const struct weight_files *f, size_t index);
const struct weight *weight_files_find(const struct weight_files *f, const char *name);

/* Only these weights are read where they lie, one flag each: the address space of the others is given back, and
 * their data is NULL. NO_MEMORY: the rest is still mapped. */
int32_t weight_files_keep(struct weight_files *f, const bool *kept, inf_error *err);

/* What is mapped: n pieces, page-aligned. */
size_t weight_files_maps(const struct weight_files *f);
const void *weight_files_map(const struct weight_files *f, size_t i, size_t *size);
uint64_t weight_files_bytes(const struct weight_files *f);
/* All of it is going to be read: the system may begin. */
void weight_files_will_need(const struct weight_files *f);
/* Nothing of it is needed any more: its pages may go (it can be read again). */
void weight_files_let_go(const struct weight_files *f);

/* One weight's bytes for a while, kept or not. */
struct weight_window {
    const void *data;
    void *map;
    size_t size;
};

/* IO, NO_MEMORY. Ends with weight_window_close, which an empty one ({0}) takes too. */
int32_t weight_window_open(struct weight_window *out, const struct weight_files *f,
                           const struct weight *w, inf_error *err);
void weight_window_close(struct weight_window *w);

/* IO when a file's size, time or inode is another than when it was mapped. Any thread. */
int32_t weight_files_check(const struct weight_files *f, inf_error *err);

#endif
