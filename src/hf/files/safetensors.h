/*
 * safetensors: the header of a .safetensors file, checked, and the bytes of its tensors.
 *
 * Format (little-endian): u64 length N of the header; N bytes of JSON, an object of
 *     "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}
 * and optionally "__metadata__": {string: string}; then the data, to which the offsets are
 * relative. The tensors tile the data: no hole, no overlap, nothing behind the last.
 *
 * A file is read, not mapped: whoever rewrites it meanwhile makes a read fail or gives other
 * numbers, never a signal. Bytes in memory are borrowed and not copied.
 * Threads: immutable after opening; any thread may read tensors.
 */
#ifndef INF_HF_FILES_SAFETENSORS_H
#define INF_HF_FILES_SAFETENSORS_H

#include "core/blocks.h"
#include "core/error.h"
#include "core/numbers.h"

enum {
    SAFETENSORS_MAX_DIMS = 8,
    SAFETENSORS_MAX_HEADER = 100 * 1000 * 1000 /* bytes, the format's own limit */
};

enum safetensors_dtype {
    SAFETENSORS_F32 = NUMBER_F32,
    SAFETENSORS_F16 = NUMBER_F16,
    SAFETENSORS_BF16 = NUMBER_BF16,
    SAFETENSORS_F64,
    SAFETENSORS_OTHER /* known by its size only: integers, booleans, 8 bits and less */
};

struct safetensors;

struct safetensors_tensor {
    const char *name;                    /* UTF-8, NUL-terminated, no NUL inside */
    const char *dtype_name;              /* as in the file, "BF16"; static storage */
    int32_t dtype;                       /* enum safetensors_dtype */
    int32_t n_dims;                      /* 0: a scalar */
    int64_t shape[SAFETENSORS_MAX_DIMS]; /* slowest first; 1 beyond n_dims */
    uint64_t offset;                     /* of its first byte in the file */
    size_t size;                         /* bytes */
};

/* Errors: IO (missing, unreadable, not a regular file), BAD_FORMAT (what is wrong; detail: the byte
 * offset in the file), NO_MEMORY. */
int32_t safetensors_open(struct safetensors **out, const char *path, inf_error *err);
/* `bytes` is borrowed until safetensors_close. */
int32_t safetensors_from_memory(struct safetensors **out, const void *bytes, size_t size,
                                inf_error *err);
/* The tensors of all parts as those of one file. Takes the parts over, also when it fails: BAD_FORMAT (a tensor in
 * two of them), NO_MEMORY. */
int32_t safetensors_join(struct safetensors **out, struct safetensors *const *parts, size_t n,
                         inf_error *err);
void safetensors_close(struct safetensors *st); /* NULL is ignored */

size_t safetensors_count(const struct safetensors *st);
/* Sorted by name, bytewise. */
const struct safetensors_tensor *safetensors_at(const struct safetensors *st, size_t index);
/* NULL when there is none of that name. Binary search. */
const struct safetensors_tensor *safetensors_find(const struct safetensors *st, const char *name);
/* Bytes of the whole file, or of all parts. */
uint64_t safetensors_file_size(const struct safetensors *st);

/*
 * Reads all of a file, at once, into a block that the caller gives back behind safetensors_close: from then on
 * it is memory. What follows the header is aligned to 64 bytes there. Errors: IO, NO_MEMORY; nothing has
 * changed then. false from safetensors_is_file: it cannot.
 */
bool safetensors_is_file(const struct safetensors *st);
int32_t safetensors_load(struct block **out, struct safetensors *st, inf_error *err);

/*
 * The bytes of a tensor: *out points into the borrowed memory, or to `scratch` (at least t->size
 * bytes), into which the file was read. They are aligned to nothing.
 * Errors: IO (also when the file shrank meanwhile).
 */
int32_t safetensors_data(const void **out, const struct safetensors *st,
                         const struct safetensors_tensor *t, void *scratch, inf_error *err);

#endif
