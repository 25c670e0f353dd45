/*
 * file: a GGUF file read by a reader of our own, which trusts no byte of it, before llama.cpp
 * (which aborts the process on some damaged files) sees it.
 *
 * Format (little-endian): magic "GGUF", version u32 (2 or 3), n_tensors u64, n_kv u64; key-value
 * pairs (string key, u32 type, value); tensor infos (string name, u32 n_dims, u64 ne[n_dims],
 * u32 ggml type, u64 offset into the data section); padding to general.alignment; data. A string
 * is a u64 length and its bytes; an array is a u32 item type, a u64 count and the items. Tensors
 * lie in the order of their infos, each padded to the alignment, without holes.
 *
 * A model may be split over several files, <prefix>-00001-of-00003.gguf and so on: opening the
 * first opens them all, and the tensors of all parts are found here.
 *
 * The files are mapped read-only (or the bytes are borrowed); values point into the mapping. A file
 * that another process cuts short while it is open is beyond our help (SIGBUS).
 * Threads: immutable after opening.
 */
#ifndef INF_GGUF_FILE_H
#define INF_GGUF_FILE_H

#include "core/error.h"

struct gguf_file;

/* Types of values, as in the file. */
enum gguf_kind {
    GGUF_U8 = 0,
    GGUF_I8 = 1,
    GGUF_U16 = 2,
    GGUF_I16 = 3,
    GGUF_U32 = 4,
    GGUF_I32 = 5,
    GGUF_F32 = 6,
    GGUF_BOOL = 7,
    GGUF_TEXT = 8,
    GGUF_ARRAY = 9,
    GGUF_U64 = 10,
    GGUF_I64 = 11,
    GGUF_F64 = 12,
    GGUF_KIND_COUNT = 13
};

struct gguf_tensor {
    const char *name; /* NUL-terminated */
    int32_t type;     /* enum ggml_type */
    int32_t n_dims;
    int64_t ne[4];    /* fastest first; 1 beyond n_dims; never 0 */
    const void *data; /* within the mapping; NULL: of a header alone */
    size_t size;
};

/* A ggml type: elements and bytes of a block. */
struct gguf_weight_type {
    const char *name;
    uint32_t block;
    uint32_t bytes;
    bool computes; /* a weight of this type can be multiplied and looked up in */
};

/* NULL for a number that is no type, or a type that was removed. */
const struct gguf_weight_type *gguf_weight_type(int32_t type);

/* Errors: IO (missing, not readable, a directory), BAD_FORMAT (names what is wrong, and the byte
 * offset in detail), UNSUPPORTED (GGUF 1, big-endian, newer; not the first part of a split file),
 * NO_MEMORY. The message starts with the path. */
int32_t gguf_file_open(struct gguf_file **out, const char *path, inf_error *err);
/* `bytes` is borrowed until gguf_file_close. Part of a split file: UNSUPPORTED. */
int32_t gguf_file_from_memory(struct gguf_file **out, const void *bytes, size_t size,
                              inf_error *err);
/* The same of a header whose weights lie elsewhere: its tensors have no data. */
int32_t gguf_file_from_header(struct gguf_file **out, const void *bytes, size_t size,
                              inf_error *err);
bool gguf_file_is_header(const struct gguf_file *f);
void gguf_file_close(struct gguf_file *f); /* NULL is ignored */

/* The tensors are one array, in the order of the file (of the parts, one after another), and stay
 * where they are until gguf_file_close: what gguf_file_find returns points into the array that starts
 * at gguf_file_tensor(f, 0), so that the difference is the tensor's index. NULL: no such tensor. */
size_t gguf_file_tensor_count(const struct gguf_file *f);
const struct gguf_tensor *gguf_file_tensor(const struct gguf_file *f, size_t index);
const struct gguf_tensor *gguf_file_find(const struct gguf_file *f, const char *name); /* hashed */
size_t gguf_file_size(const struct gguf_file *f);      /* bytes of all parts */
size_t gguf_file_alignment(const struct gguf_file *f); /* of tensors, in bytes */
int32_t gguf_file_part_count(const struct gguf_file *f);
/* A part's bytes, which the tensors' data lies in: page-aligned, of a file that was opened. */
const void *gguf_file_part(const struct gguf_file *f, size_t part, size_t *size);
/* All of it will be read soon: the system may begin to. */
void gguf_file_will_need(const struct gguf_file *f);
/* Nothing of it will be for a while: the process gives its pages back (they can be read again). */
void gguf_file_let_go(const struct gguf_file *f);

/* Metadata. false when the key is missing or of another kind. Text is borrowed. Integers of every
 * width convert when they fit. */
bool gguf_get_text(const struct gguf_file *f, const char *key, inf_text *out);
bool gguf_get_int(const struct gguf_file *f, const char *key, int64_t *out);
bool gguf_get_float(const struct gguf_file *f, const char *key, double *out);
bool gguf_get_bool(const struct gguf_file *f, const char *key, bool *out);
/* Arrays: the count; elements by index. */
bool gguf_get_array(const struct gguf_file *f, const char *key, size_t *count);
bool gguf_array_text(const struct gguf_file *f, const char *key, size_t index, inf_text *out);
bool gguf_array_int(const struct gguf_file *f, const char *key, size_t index, int64_t *out);
bool gguf_array_float(const struct gguf_file *f, const char *key, size_t index, double *out);

/* The items of an array of numbers or bools as they lie in the file, little-endian and unaligned;
 * NULL when the key is missing, or no array of items of that kind. */
const uint8_t *gguf_array_bytes(const struct gguf_file *f, const char *key, int32_t item,
                                size_t *count);

/* The kind of a key's value, and for an array the kind of its items. false: no such key. */
bool gguf_get_kind(const struct gguf_file *f, const char *key, int32_t *kind, int32_t *item);
/* "u32", "text", ... for messages. */
const char *gguf_kind_name(int32_t kind);

/* A walk over a text array, which for a whole vocabulary is faster than asking by index. */
struct gguf_texts {
    const uint8_t *at;
    size_t left;
};
/* false when the key is missing or no text array. */
bool gguf_texts_begin(const struct gguf_file *f, const char *key, struct gguf_texts *out);
/* The next text; false after the last one. */
bool gguf_texts_next(struct gguf_texts *it, inf_text *out);

/* "[576, 49152]" */
enum { GGUF_SHAPE_SIZE = 120 };
void gguf_show_shape(char out[GGUF_SHAPE_SIZE], const int64_t *shape, int32_t n);

#endif
