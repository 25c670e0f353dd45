/* write: see the header. */
#include "gguf/write.h"

#include "core/numbers.h"
#include "gguf/file.h"

#include <string.h>

#define ALIGNMENT 32
#define VERSION 3

void gguf_writer_init(struct gguf_writer *w)
{
    *w = (struct gguf_writer){.n_keys = 0};
    buffer_init(&w->keys, BUFFER_NO_LIMIT);
    buffer_init(&w->tensors, BUFFER_NO_LIMIT);
}

void gguf_writer_free(struct gguf_writer *w)
{
    buffer_free(&w->keys);
    buffer_free(&w->tensors);
}

/* ------------------------------------------------------------------ little-endian */

static bool append_u32(struct buffer *b, uint32_t v)
{
    unsigned char bytes[4];

    for (int i = 0; i < 4; i++)
        bytes[i] = (unsigned char)(v >> 8 * i);
    return buffer_append(b, bytes, sizeof bytes);
}

static bool append_u64(struct buffer *b, uint64_t v)
{
    return append_u32(b, (uint32_t)v) && append_u32(b, (uint32_t)(v >> 32));
}

static bool append_bytes(struct buffer *b, const char *s, size_t len)
{
    return append_u64(b, len) && buffer_append(b, s, len);
}

static bool append_text(struct buffer *b, const char *s)
{
    return append_bytes(b, s, strlen(s));
}

/* ------------------------------------------------------------------ keys */

/* The key and its type; what follows is its value. */
static void begin(struct gguf_writer *w, const char *key, int32_t kind)
{
    w->failed = w->failed || !append_text(&w->keys, key) || !append_u32(&w->keys, (uint32_t)kind);
    w->n_keys++;
}

static void begin_array(struct gguf_writer *w, const char *key, int32_t item, size_t n)
{
    begin(w, key, GGUF_ARRAY);
    w->failed = w->failed || !append_u32(&w->keys, (uint32_t)item) || !append_u64(&w->keys, n);
}

static void put_u32(struct gguf_writer *w, uint32_t v)
{
    w->failed = w->failed || !append_u32(&w->keys, v);
}

static void put_byte(struct gguf_writer *w, bool v)
{
    w->failed = w->failed || !buffer_append(&w->keys, v ? "\1" : "\0", 1);
}

void gguf_put_u32(struct gguf_writer *w, const char *key, uint32_t value)
{
    begin(w, key, GGUF_U32);
    put_u32(w, value);
}

void gguf_put_f32(struct gguf_writer *w, const char *key, float value)
{
    begin(w, key, GGUF_F32);
    put_u32(w, bits_of_f32(value));
}

void gguf_put_text(struct gguf_writer *w, const char *key, const char *value)
{
    begin(w, key, GGUF_TEXT);
    w->failed = w->failed || !append_text(&w->keys, value);
}

void gguf_put_i32s(struct gguf_writer *w, const char *key, const int32_t *values, size_t n)
{
    begin_array(w, key, GGUF_I32, n);
    for (size_t i = 0; i < n; i++)
        put_u32(w, (uint32_t)values[i]);
}

void gguf_put_bools(struct gguf_writer *w, const char *key, const bool *values, size_t n)
{
    begin_array(w, key, GGUF_BOOL, n);
    for (size_t i = 0; i < n; i++)
        put_byte(w, values[i]);
}

void gguf_put_value(struct gguf_writer *w, inf_text key, int32_t kind, int32_t item, size_t count,
                    const void *data, size_t size)
{
    struct buffer *b = &w->keys;
    bool ok = !w->failed && append_bytes(b, key.data, key.len) && append_u32(b, (uint32_t)kind);

    if (kind == GGUF_ARRAY)
        ok = ok && append_u32(b, (uint32_t)item) && append_u64(b, count);
    w->failed = !ok || !buffer_append(b, data, size);
    w->n_keys++;
}

/* ------------------------------------------------------------------ tensors */

void gguf_put_tensor(struct gguf_writer *w, const char *name, int32_t type, int32_t n_dims,
                     const int64_t *ne, size_t size)
{
    struct buffer *b = &w->tensors;
    bool ok = !w->failed && append_text(b, name) && append_u32(b, (uint32_t)n_dims);

    for (int32_t d = 0; d < n_dims && ok; d++)
        ok = append_u64(b, (uint64_t)ne[d]);
    w->failed = !ok || !append_u32(b, (uint32_t)type) || !append_u64(b, w->offset);
    w->offset += (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    w->n_tensors++;
}

bool gguf_pad(struct buffer *b)
{
    static const char zeros[ALIGNMENT];

    return buffer_append(b, zeros, (ALIGNMENT - b->len % ALIGNMENT) % ALIGNMENT);
}

int32_t gguf_writer_finish(const struct gguf_writer *w, struct buffer *out, inf_error *err)
{
    bool ok = !w->failed && buffer_append(out, "GGUF", 4) && append_u32(out, VERSION) &&
              append_u64(out, w->n_tensors) && append_u64(out, w->n_keys) &&
              buffer_append(out, w->keys.data, w->keys.len) &&
              buffer_append(out, w->tensors.data, w->tensors.len) && gguf_pad(out);

    return ok ? INF_OK : error_no_memory(err);
}
