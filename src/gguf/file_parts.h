/*
 * file_parts: what the files that make up a gguf_file share: file.c opens and closes, parse.c reads
 * a part, metadata.c looks values up. Not for others.
 */
#ifndef INF_GGUF_FILE_PARTS_H
#define INF_GGUF_FILE_PARTS_H

#include "gguf/check.h"
#include "gguf/text_map.h"

#define GGUF_MAX_NAME 63   /* bytes of a tensor's name; ggml drops the rest */
#define GGUF_MARK_EVERY 16 /* text arrays: one remembered position for so many texts */

struct gguf_value {
    inf_text key;
    int32_t kind;          /* enum gguf_kind */
    int32_t item;          /* of an array */
    size_t count;          /* of an array, else 1 */
    const uint8_t *data;   /* the value, or the first item */
    const uint8_t **marks; /* text arrays: where texts 0, 16, 32, ... start */
};

/* The key-value pairs of a part. */
struct gguf_values {
    struct gguf_value *items;
    size_t n;
    struct text_map map;
};

struct gguf_part {
    void *mapping; /* NULL: borrowed */
    const uint8_t *bytes;
    size_t size;
    bool header_only; /* no data behind it */
};

struct gguf_file {
    size_t n_parts;
    struct gguf_part *parts;
    struct gguf_values values; /* of the first part */
    size_t n_tensors;
    struct gguf_tensor *tensors;
    char (*names)[GGUF_MAX_NAME + 1]; /* (n_tensors) */
    struct text_map tensor_map;
    size_t size;
    size_t alignment; /* the smallest of the parts' */
};

/* Bytes of a value of a kind; 0 of texts and arrays. */
extern const size_t gguf_kind_size[GGUF_KIND_COUNT];

static inline uint32_t gguf_load_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t gguf_load_u64(const uint8_t *p)
{
    return (uint64_t)gguf_load_u32(p) | (uint64_t)gguf_load_u32(p + 4) << 32;
}

/* parse.c. The pairs of a part into *values (empty), its tensors behind those of f. false: err says
 * why; values are to be freed all the same. */
bool gguf_parse_part(struct gguf_file *f, const struct gguf_part *p, struct gguf_values *values,
                     inf_error *err);

/* metadata.c */
const struct gguf_value *gguf_values_find(const struct gguf_values *values, const char *key);
void gguf_values_free(struct gguf_values *values);

#endif
