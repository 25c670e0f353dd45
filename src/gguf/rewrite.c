/* rewrite: a file's header written anew, without its tokens; see write.h. */
#include "core/ascii.h"
#include "gguf/file_parts.h"
#include "gguf/write.h"

#include <stdio.h>

static size_t size_of_texts(const struct gguf_value *v)
{
    const uint8_t *at = v->data;

    for (size_t i = 0; i < v->count; i++)
        at += 8 + (size_t)gguf_load_u64(at);
    return (size_t)(at - v->data);
}

/* Bytes of a value, of an array without what says how many. */
static size_t size_of(const struct gguf_value *v)
{
    int32_t kind = v->kind == GGUF_ARRAY ? v->item : v->kind;

    return kind == GGUF_TEXT ? size_of_texts(v) : v->count * gguf_kind_size[kind];
}

static void put_keys(struct gguf_writer *w, const struct gguf_file *f, const char *count_key)
{
    for (size_t i = 0; i < f->values.n; i++) {
        const struct gguf_value *v = &f->values.items[i];
        inf_text key = v->key;

        /* The writer has an alignment of its own, behind which nothing lies. */
        if (text_equals(key.data, key.len, count_key) ||
            text_begins(key.data, key.len, "tokenizer.") ||
            text_begins(key.data, key.len, "split.") ||
            text_equals(key.data, key.len, "general.alignment"))
            continue;
        gguf_put_value(w, key, v->kind, v->item, v->count, v->data, size_of(v));
    }
}

int32_t gguf_write_without_tokens(const struct gguf_file *f, const char *architecture,
                                  uint32_t n_tokens, struct buffer *out, inf_error *err)
{
    struct gguf_writer w;
    char count_key[128];
    int32_t code = INF_OK;

    snprintf(count_key, sizeof count_key, "%s.vocab_size", architecture);
    gguf_writer_init(&w);
    put_keys(&w, f, count_key);
    gguf_put_text(&w, "tokenizer.ggml.model", "no_vocab");
    gguf_put_u32(&w, count_key, n_tokens);
    for (size_t i = 0; i < f->n_tensors; i++) {
        const struct gguf_tensor *t = &f->tensors[i];

        gguf_put_tensor(&w, t->name, t->type, t->n_dims, t->ne, t->size);
    }
    code = gguf_writer_finish(&w, out, err);
    gguf_writer_free(&w);
    return code;
}
