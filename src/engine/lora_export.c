/* lora_export: see the header. Every tensor is F32. */
#include "engine/lora_export.h"

#include "core/memory.h"
#include "gguf/write.h"

#include <stdio.h>

/* ---------------------------------------------------------------- the header */

/* ne = {fast, slow} */
static void put_tensor(struct gguf_writer *w, const char *tensor, const char *suffix, int32_t fast,
                       int32_t slow)
{
    const int64_t ne[] = {fast, slow};
    char name[128];

    snprintf(name, sizeof name, "%s%s", tensor, suffix);
    gguf_put_tensor(w, name, 0, 2, ne, (size_t)fast * (size_t)slow * sizeof(float));
}

static int32_t put_header(struct buffer *out, const struct lora_weights *weights,
                          const char *architecture, inf_error *err)
{
    struct gguf_writer w;
    int32_t code = INF_OK;

    gguf_writer_init(&w);
    gguf_put_text(&w, "general.type", "adapter");
    gguf_put_text(&w, "general.architecture", architecture);
    gguf_put_text(&w, "adapter.type", "lora");
    gguf_put_f32(&w, "adapter.lora.alpha", 0);
    for (size_t i = 0; i < weights->n_modules; i++) {
        const struct lora_module *m = &weights->modules[i];

        put_tensor(&w, m->tensor, ".lora_a", m->n_in, m->rank);
        put_tensor(&w, m->tensor, ".lora_b", m->rank, m->n_out);
    }
    code = gguf_writer_finish(&w, out, err);
    gguf_writer_free(&w);
    return code;
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
    return to && gguf_pad(b);
}

/* (n_out, rank), the gain folded in. */
static bool put_b(struct buffer *b, const struct lora_module *m)
{
    float *to = extend(b, (size_t)m->rank * (size_t)m->n_out);

    for (int32_t o = 0; to && o < m->n_out; o++)
        for (int32_t r = 0; r < m->rank; r++)
            *to++ = m->gain *
                    number_at(m->bt, m->type, (size_t)r * (size_t)m->padded_out + (size_t)o);
    return to && gguf_pad(b);
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
    bool fits = true;

    if (code == INF_OK)
        code = put_header(out, w, architecture, err);
    if (code != INF_OK)
        return code;
    for (size_t i = 0; i < w->n_modules && fits; i++)
        fits = put_a(out, &w->modules[i]) && put_b(out, &w->modules[i]);
    return fits ? INF_OK : error_no_memory(err);
}
