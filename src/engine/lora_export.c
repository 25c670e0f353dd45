/* lora_export: see the header. The format is at the top of gguf/file.h; this writes version 3, every
 * tensor F32. */
#include "engine/lora_export.h"

#include "core/memory.h"

#include <string.h>

enum {
    GGUF_VERSION = 3,
    TYPE_TEXT = 8, /* GGUF's value types */
    TYPE_FLOAT = 6,
    ALIGNMENT = 32 /* GGUF's default */
};

/* ---------------------------------------------------------------- writing */

static bool put_u32(struct buffer *b, uint32_t v)
{
    unsigned char bytes[4];

    for (int i = 0; i < 4; i++)
        bytes[i] = (unsigned char)(v >> (8 * i));
    return buffer_append(b, bytes, sizeof bytes);
}

static bool put_u64(struct buffer *b, uint64_t v)
{
    return put_u32(b, (uint32_t)v) && put_u32(b, (uint32_t)(v >> 32));
}

static bool put_text(struct buffer *b, const char *s)
{
    return put_u64(b, strlen(s)) && buffer_append_str(b, s);
}

static bool put_text_value(struct buffer *b, const char *key, const char *value)
{
    return put_text(b, key) && put_u32(b, TYPE_TEXT) && put_text(b, value);
}

static bool put_padding(struct buffer *b)
{
    static const char zeros[ALIGNMENT] = {0};
    size_t over = b->len % ALIGNMENT;

    return over == 0 || buffer_append(b, zeros, ALIGNMENT - over);
}

/* ne = {fast, slow}; moves *offset behind the tensor. */
static bool put_tensor(struct buffer *b, const char *tensor, const char *suffix, int32_t fast,
                       int32_t slow, uint64_t *offset)
{
    uint64_t size = (uint64_t)fast * (uint64_t)slow * sizeof(float);
    bool fits = put_u64(b, strlen(tensor) + strlen(suffix)) && buffer_append_str(b, tensor) &&
                buffer_append_str(b, suffix) && put_u32(b, 2) && put_u64(b, (uint64_t)fast) &&
                put_u64(b, (uint64_t)slow) && put_u32(b, 0) && put_u64(b, *offset);

    *offset += (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return fits;
}

static bool put_header(struct buffer *b, const struct lora_weights *w, const char *architecture)
{
    uint64_t offset = 0;
    bool fits = buffer_append(b, "GGUF", 4) && put_u32(b, GGUF_VERSION) &&
                put_u64(b, 2 * (uint64_t)w->n_modules) && put_u64(b, 4) &&
                put_text_value(b, "general.type", "adapter") &&
                put_text_value(b, "general.architecture", architecture) &&
                put_text_value(b, "adapter.type", "lora") && put_text(b, "adapter.lora.alpha") &&
                put_u32(b, TYPE_FLOAT) && put_u32(b, 0);

    for (size_t i = 0; i < w->n_modules && fits; i++) {
        const struct lora_module *m = &w->modules[i];

        fits = put_tensor(b, m->tensor, ".lora_a", m->n_in, m->rank, &offset) &&
               put_tensor(b, m->tensor, ".lora_b", m->rank, m->n_out, &offset);
    }
    return fits && put_padding(b);
}

/* ---------------------------------------------------------------- numbers */

/* Room for n more floats at the end of the buffer, which grows by them; NULL when there is none. */
static float *extend(struct buffer *b, size_t n)
{
    size_t bytes = 0;
    float *at = NULL;

    if (!size_mul(n, sizeof(float), &bytes) || !buffer_reserve(b, bytes))
        return NULL;
    at = (float *)(void *)(b->data + b->len);
    b->len += bytes;
    b->data[b->len] = '\0';
    return at;
}

/* (rank, n_in) without the padding. */
static bool put_a(struct buffer *b, const struct lora_module *m)
{
    float *to = extend(b, (size_t)m->rank * (size_t)m->n_in);

    for (int32_t r = 0; to && r < m->rank; r++)
        for (int32_t c = 0; c < m->n_in; c++)
            *to++ = number_at(m->a, m->type, (size_t)r * (size_t)m->padded_in + (size_t)c);
    return to && put_padding(b);
}

/* (n_out, rank), the gain folded in. */
static bool put_b(struct buffer *b, const struct lora_module *m)
{
    float *to = extend(b, (size_t)m->rank * (size_t)m->n_out);

    for (int32_t o = 0; to && o < m->n_out; o++)
        for (int32_t r = 0; r < m->rank; r++)
            *to++ = m->gain *
                    number_at(m->bt, m->type, (size_t)r * (size_t)m->padded_out + (size_t)o);
    return to && put_padding(b);
}

static const char *what_else(const struct lora_module *m)
{
    return m->kind == LORA_EXPERTS                               ? "LoRA on experts"
           : m->magnitude                                        ? "DoRA"
           : m->bias                                             ? "biases of lora_B (lora_bias)"
           : m->kind == LORA_LOOKUP                              ? "LoRA on embeddings"
           : m->kind == LORA_ROWS || m->kind == LORA_ROWS_LOOKUP ? "trained tokens"
           : m->kind != LORA_DELTA ? "modules trained in full (modules_to_save)"
                                   : NULL;
}

int32_t lora_export_check(const struct lora_weights *w, inf_error *err)
{
    for (size_t i = 0; i < w->n_modules; i++)
        if (what_else(&w->modules[i]))
            return error_set(err, INF_ERROR_UNSUPPORTED,
                             "the adapter has %s (%s), which native adapters have not; use shared "
                             "execution, with the weights in host memory",
                             what_else(&w->modules[i]), w->modules[i].tensor);
    if (lora_weights_find(w, "token_embd.weight"))
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         "the adapter changes the output layer of a model that shares it with its "
                         "token embeddings, which native adapters cannot; use shared execution");
    return INF_OK;
}

int32_t lora_export(struct buffer *out, const struct lora_weights *w, const char *architecture,
                    inf_error *err)
{
    int32_t code = lora_export_check(w, err);
    bool fits = false;

    if (code != INF_OK)
        return code;
    fits = put_header(out, w, architecture);
    for (size_t i = 0; i < w->n_modules && fits; i++)
        fits = put_a(out, &w->modules[i]) && put_b(out, &w->modules[i]);
    return fits ? INF_OK : error_no_memory(err);
}
