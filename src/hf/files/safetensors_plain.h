/*
 * safetensors_plain: a header as the safetensors libraries write it, read in one pass: names in ASCII without
 * escapes, the three keys of a tensor in the order that these have. Whatever else JSON may look like is for
 * safetensors_header.c, which reads all of it again. Not for others.
 */
#ifndef INF_HF_FILES_SAFETENSORS_PLAIN_H
#define INF_HF_FILES_SAFETENSORS_PLAIN_H

#include "core/json.h"
#include "hf/files/safetensors.h"

struct plain_entry {
    struct json_span name, dtype; /* without quotes */
    int32_t n_dims;
    int64_t shape[SAFETENSORS_MAX_DIMS];
    int64_t offsets[2];
};

struct plain_walk {
    const char *at, *end;
    bool begun;
};

enum plain_step { PLAIN_ENTRY, PLAIN_END, PLAIN_OTHER };

/* The next entry, "__metadata__" passed over; OTHER: it is not so plain. */
enum plain_step plain_next(struct plain_walk *w, struct plain_entry *out);

#endif
