/*
 * safetensors_header: the JSON of a safetensors header, checked: names, dtypes, shapes, and that the
 * tensors tile the data. It is read in place, so that its cost is linear in its size, where a tree
 * of a hostile 100 MB header would cost gigabytes. Not for others than safetensors.c.
 */
#ifndef INF_HF_FILES_SAFETENSORS_HEADER_H
#define INF_HF_FILES_SAFETENSORS_HEADER_H

#include "core/buffer.h"
#include "hf/files/safetensors.h"

enum { SAFETENSORS_LENGTH_BYTES = 8 }; /* before the header */

struct safetensors_table {
    struct safetensors_tensor *tensors; /* sorted by name */
    size_t n, cap;
    struct buffer names; /* every name, NUL-terminated, one after another */
};

/* Fills an empty table from a header of n bytes in a file of file_size; whatever comes out, the
 * caller frees the table. Errors: BAD_FORMAT, NO_MEMORY. */
int32_t safetensors_read_header(struct safetensors_table *out, const char *header, size_t n,
                                uint64_t file_size, inf_error *err);
void safetensors_table_free(struct safetensors_table *table);

/* By name. */
int safetensors_compare(const void *a, const void *b);

#endif
