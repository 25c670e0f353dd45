/*
 * gguf_edit: a GGUF file taken apart, changed and put together again, well formed unless told
 * otherwise: counts, offsets and padding follow. For tests: it trusts its input, a fixture.
 */
#ifndef TEST_GGUF_EDIT_H
#define TEST_GGUF_EDIT_H

#include <stddef.h>
#include <stdint.h>

#define MAX_ITEMS 4096

enum { U32 = 4, I32 = 5, F32 = 6, BOOL = 7, TEXT = 8, ARRAY = 9 };

struct bytes {
    uint8_t *data; /* malloc */
    size_t len;
};

struct pair {
    struct bytes key;
    uint32_t kind;
    struct bytes value; /* as in the file */
};

struct tensor {
    struct bytes name;
    uint32_t n_dims;
    uint64_t ne[8];
    uint32_t type;
    struct bytes data;
};

struct document {
    uint32_t version;
    uint64_t alignment;
    size_t n_pairs, n_tensors;
    struct pair pairs[MAX_ITEMS];
    struct tensor tensors[MAX_ITEMS];
};

struct document *document_read(const uint8_t *p, size_t size);
struct bytes document_write(const struct document *d);
void document_free(struct document *d);

/* NULL when there is none. */
struct pair *document_find(struct document *d, const char *key);
struct tensor *document_tensor(struct document *d, const char *name);

/* Replaces the value of a key, or adds the key. */
void document_set(struct document *d, const char *key, uint32_t kind, const void *value, size_t n);
void document_set_u32(struct document *d, const char *key, uint32_t v);
void document_set_f32(struct document *d, const char *key, float v);
void document_set_text(struct document *d, const char *key, const char *v);
void document_remove(struct document *d, size_t pair);
void document_remove_tensor(struct document *d, size_t tensor);
/* Another shape; the data grows with zeros or is cut. */
void document_fit(struct tensor *t);

/* Text item i of an array becomes v. */
void document_set_item(struct document *d, const char *key, uint64_t i, const char *v, size_t n);
/* Keeps the first `keep` items, then appends copies of item `from` until there are n. */
void document_resize(struct pair *p, uint64_t keep, uint64_t n, uint64_t from);
/* Where item i of an array's value starts. */
size_t document_item(const struct bytes *v, uint64_t i);

void bytes_append(struct bytes *b, const void *data, size_t n);
struct bytes bytes_copy(const void *data, size_t n);
void bytes_append_u32(struct bytes *b, uint32_t v);
void bytes_append_u64(struct bytes *b, uint64_t v);
void bytes_replace(struct bytes *b, const void *data, size_t n);
uint32_t get_u32(const uint8_t *p);
uint64_t get_u64(const uint8_t *p);
size_t kind_size(uint32_t kind); /* 0 for texts and arrays */
size_t tensor_bytes(const struct tensor *t);

#endif
