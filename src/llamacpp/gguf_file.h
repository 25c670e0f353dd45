/*
 * gguf_file: a GGUF file read by a reader of our own, which trusts no byte of it, before llama.cpp
 * (which aborts the process on some damaged files) sees it.
 *
 * Format (little-endian): magic "GGUF", version u32 (2 or 3), n_tensors u64, n_kv u64; key-value
 * pairs (string key, u32 type, value); tensor infos (string name, u32 n_dims, u64 ne[n_dims],
 * u32 ggml type, u64 offset into the data section); padding to general.alignment; data.
 *
 * The file is mapped read-only (or the bytes are borrowed); values point into the mapping.
 * Threads: immutable after opening.
 */
#ifndef INF_LLAMACPP_GGUF_FILE_H
#define INF_LLAMACPP_GGUF_FILE_H

#include "core/error.h"

struct gguf_file;

struct gguf_tensor {
    const char *name; /* NUL-terminated */
    int32_t type;     /* enum ggml_type */
    int32_t n_dims;
    int64_t ne[4]; /* fastest first; 1 beyond n_dims */
    const void *data; /* within the mapping */
    size_t size;
};

/* Errors: IO (missing, not readable), BAD_FORMAT (names what is wrong, and the byte offset in
 * detail), NO_MEMORY. */
int32_t gguf_file_open(struct gguf_file **out, const char *path, inf_error *err);
/* `bytes` is borrowed until gguf_file_close. */
int32_t gguf_file_from_memory(struct gguf_file **out, const void *bytes, size_t size,
                              inf_error *err);
void gguf_file_close(struct gguf_file *f); /* NULL is ignored */

size_t gguf_file_tensor_count(const struct gguf_file *f);
const struct gguf_tensor *gguf_file_tensor(const struct gguf_file *f, size_t index);
const struct gguf_tensor *gguf_file_find(const struct gguf_file *f, const char *name); /* hashed */
size_t gguf_file_size(const struct gguf_file *f);

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

/* What adapters and the scheduler need to know of a model, from its header alone. */
struct gguf_model {
    const struct gguf_file *file; /* borrowed */
    const char *architecture;     /* "llama", ... NUL-terminated */
    int32_t n_layer, n_embd, n_head, n_head_kv, n_ff, n_vocab, n_ctx_train;
    int32_t head_dim; /* attention.key_length, else n_embd / n_head */
    bool tied;        /* no output.weight */
};

/*
 * Everything we check of a model before llama.cpp opens it: required keys and their ranges for its
 * architecture, hyper-parameters against tensor shapes, vocabulary (counts, types, ids of special
 * tokens, merges), tensor types known and sizes right, split files refused or followed.
 * Errors: BAD_FORMAT, UNSUPPORTED (an adapter, projector or vocabulary-only file; unknown
 * architecture), each in one line that says what to do. The model borrows the file.
 */
int32_t gguf_model_check(struct gguf_model *out, const struct gguf_file *f, inf_error *err);

#endif
