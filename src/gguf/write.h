/*
 * write: the header of a GGUF file (version 3) in memory: keys, then what tensors there are. What lies
 * behind it, the weights, is not its matter: gguf_file_from_header reads such a header alone.
 *
 * A call that fails (out of memory) makes every later one do nothing; gguf_writer_finish says so.
 * One thread.
 */
#ifndef INF_GGUF_WRITE_H
#define INF_GGUF_WRITE_H

#include "core/buffer.h"
#include "core/error.h"
#include "gguf/file.h"

struct gguf_writer {
    struct buffer keys, tensors;
    uint64_t n_keys, n_tensors;
    uint64_t offset; /* where the next tensor's data would lie */
    bool failed;
};

void gguf_writer_init(struct gguf_writer *w);
void gguf_writer_free(struct gguf_writer *w);

void gguf_put_u32(struct gguf_writer *w, const char *key, uint32_t value);
void gguf_put_f32(struct gguf_writer *w, const char *key, float value);
void gguf_put_text(struct gguf_writer *w, const char *key, const char *value);
void gguf_put_i32s(struct gguf_writer *w, const char *key, const int32_t *values, size_t n);
void gguf_put_bools(struct gguf_writer *w, const char *key, const bool *values, size_t n);
/* A value as it lies in a file: of an array of `count` items without what says how many. */
void gguf_put_value(struct gguf_writer *w, inf_text key, int32_t kind, int32_t item, size_t count,
                    const void *data, size_t size);

/* After the keys. size: bytes of its data. */
void gguf_put_tensor(struct gguf_writer *w, const char *name, int32_t type, int32_t n_dims,
                     const int64_t *ne, size_t size);

/* The header of a file's model, whose tokens are somebody else's: its keys without its tokenizer's and
 * without those of split files, all its tensors. Into an empty buffer; NO_MEMORY. */
int32_t gguf_write_without_tokens(const struct gguf_file *f, const char *architecture,
                                  uint32_t n_tokens, struct buffer *out, inf_error *err);

/* The header, padded, into an empty buffer. NO_MEMORY. */
int32_t gguf_writer_finish(const struct gguf_writer *w, struct buffer *out, inf_error *err);
/* Up to where the next tensor's data lies. false: out of memory. */
bool gguf_pad(struct buffer *out);

#endif
