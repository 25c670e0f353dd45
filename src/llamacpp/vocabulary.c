/* vocabulary: see the header. */
#include "llamacpp/vocabulary.h"

#include "core/growing.h"
#include "core/memory.h"
#include "hf/tokenizer/tokenizer.h"
#include "llamacpp/splitters.h"
#include "llamacpp/token_kinds.h"

#include <string.h>

struct vocabulary {
    struct hf_tokenizer *hf;
    uint8_t *kinds; /* (n) bits of token_kinds.h */
    int32_t n;
};

/* ------------------------------------------------------------------ its tokens */

/* What a file has, on the way into a tokenizer. */
struct reading {
    const struct gguf_file *file;
    const struct splitter *splitter;
    inf_text *texts; /* (n) */
    size_t n, n_bytes, next;
    struct gguf_texts merges;
    struct token_ids ids;
    struct hf_added_token *added;
    size_t n_added, added_cap;
};

static bool next_token(void *user, inf_text *text)
{
    struct reading *r = user;

    if (r->next == r->n)
        return false;
    *text = r->texts[r->next++];
    return true;
}

static bool next_merge(void *user, inf_text *text)
{
    return gguf_texts_next(&((struct reading *)user)->merges, text);
}

/* *usable false: a token has a text that llama.cpp reads as another. */
static int32_t read_texts(struct reading *r, bool *usable, inf_error *err)
{
    struct gguf_texts it;

    *usable = gguf_texts_begin(r->file, "tokenizer.ggml.tokens", &it) &&
              gguf_texts_begin(r->file, "tokenizer.ggml.merges", &r->merges);
    if (!*usable)
        return INF_OK;
    r->texts = mem_alloc((it.left + 1) * sizeof *r->texts);
    if (!r->texts)
        return error_no_memory(err);
    for (inf_text text; gguf_texts_next(&it, &text); r->n_bytes += text.len) {
        *usable = *usable && text.len > 0 && !memchr(text.data, '\0', text.len);
        r->texts[r->n++] = text;
    }
    return INF_OK;
}

/* Whether merges make a token of that text. */
static bool is_merged(const struct reading *r, inf_text token)
{
    struct gguf_texts it = r->merges;

    for (inf_text merge; gguf_texts_next(&it, &merge);) {
        const char *space = merge.len == token.len + 1 ? memchr(merge.data, ' ', merge.len) : NULL;
        size_t n = space ? (size_t)(space - merge.data) : 0;

        if (space && memcmp(merge.data, token.data, n) == 0 &&
            memcmp(space + 1, token.data + n, token.len - n) == 0)
            return true;
    }
    return false;
}

/* Whether it is looked for in texts. What looks like a special token may be text (Qwen3's "</s>"): one that
 * merges make was text when the vocabulary was made. */
static bool is_added(const struct reading *r, size_t id, uint8_t kind)
{
    return (kind & (KIND_CONTROL | KIND_DEFINED)) &&
           !((kind & KIND_GUESSED) && is_merged(r, r->texts[id]));
}

/* Special tokens and those that are found in every text; tokens without a text become holes. */
static int32_t sort_tokens(struct reading *r, const uint8_t *kinds, bool *usable, inf_error *err)
{
    for (size_t i = 0; i < r->n; i++) {
        if (kinds[i] & KIND_BYTE)
            *usable = false;
        if (is_added(r, i, kinds[i])) {
            if (!GROW(r->added, r->added_cap, r->n_added + 1))
                return error_no_memory(err);
            r->added[r->n_added++] = (struct hf_added_token){r->texts[i],
                                                             (kinds[i] & KIND_CONTROL) != 0};
        } else if (kinds[i] & KIND_WITHOUT) {
            r->texts[i] = (inf_text){NULL, 0};
        }
    }
    return INF_OK;
}

/* ------------------------------------------------------------------ the tokenizer */

static bool adds(const struct gguf_file *file, const char *key, bool otherwise)
{
    gguf_get_bool(file, key, &otherwise);
    return otherwise;
}

/* What is wrong with it for a tokenizer of ours, llama.cpp takes. */
static int32_t make_tokenizer(struct vocabulary *v, struct reading *r, bool *usable, inf_error *err)
{
    const struct splitter *s = r->splitter;
    bool bos = adds(r->file, "tokenizer.ggml.add_bos_token", s->bos);
    bool eos = adds(r->file, "tokenizer.ggml.add_eos_token", false);
    struct hf_tokenizer_parts parts = {.next_token = next_token,
                                       .next_merge = next_merge,
                                       .user = r,
                                       .n_tokens = r->n,
                                       .n_bytes = r->n_bytes,
                                       .added = r->added,
                                       .n_added = r->n_added,
                                       .normalizer = s->normalizer,
                                       .pre_tokenizer = s->pre_tokenizer,
                                       .decoder = splitter_decoder,
                                       .ignore_merges = s->whole_words,
                                       .before = bos ? r->ids.bos : -1,
                                       .behind = eos ? r->ids.eos : -1};
    int32_t code = hf_tokenizer_make(&v->hf, &parts, err);

    *usable = code == INF_OK;
    return code == INF_ERROR_NO_MEMORY ? code : error_none(err);
}

static int32_t read_tokens(struct vocabulary *v, struct reading *r, bool *usable, inf_error *err)
{
    int32_t code = read_texts(r, usable, err);

    if (code != INF_OK || !*usable)
        return code;
    v->n = (int32_t)r->n;
    v->kinds = mem_alloc(r->n);
    if (!v->kinds)
        return error_no_memory(err);
    token_kinds_read(v->kinds, r->n, r->texts, r->file, &r->ids);
    code = sort_tokens(r, v->kinds, usable, err);
    return code == INF_OK && *usable ? make_tokenizer(v, r, usable, err) : code;
}

int32_t vocabulary_count(const struct gguf_file *file)
{
    struct gguf_texts tokens;

    return splitter_of(file) && gguf_texts_begin(file, "tokenizer.ggml.tokens", &tokens)
               ? (int32_t)tokens.left
               : 0;
}

int32_t vocabulary_read(struct vocabulary **out, const struct gguf_file *file, inf_error *err)
{
    struct reading r = {.file = file, .splitter = splitter_of(file), .ids = {11, 11}};
    struct vocabulary *v = NULL;
    bool usable = false;
    int32_t code = INF_OK;

    *out = NULL;
    if (!r.splitter)
        return INF_OK;
    if (r.splitter->no_bos_id)
        r.ids.bos = -1;
    v = mem_calloc(1, sizeof *v);
    code = v ? read_tokens(v, &r, &usable, err) : error_no_memory(err);
    mem_free(r.texts);
    mem_free(r.added);
    if (code == INF_OK && usable) {
        *out = v;
        return INF_OK;
    }
    vocabulary_free(v);
    return code;
}

void vocabulary_free(struct vocabulary *v)
{
    if (!v)
        return;
    hf_tokenizer_free(v->hf);
    mem_free(v->kinds);
    mem_free(v);
}

/* ------------------------------------------------------------------ as local/tokenizer.h wants it */

static int32_t encode(void *impl, inf_text text, bool add_special, bool parse_special,
                      int32_t **ids, int32_t *n, inf_error *err)
{
    const struct vocabulary *v = impl;

    return hf_tokenizer_encode(v->hf, text, add_special, parse_special, ids, n, err);
}

static enum token_kind kind(void *impl, int32_t id)
{
    const struct vocabulary *v = impl;

    if (v->kinds[id] & KIND_END)
        return TOKEN_END;
    return v->kinds[id] & KIND_CONTROL ? TOKEN_HIDDEN : TOKEN_TEXT;
}

static bool token_text(void *impl, int32_t id, struct buffer *out)
{
    const struct vocabulary *v = impl;

    return hf_tokenizer_token_text(v->hf, id, out);
}

/* The bytes as they are, which may be parts of characters; holes have none. */
static bool append(const struct vocabulary *v, int32_t id, bool skip_special, struct buffer *out)
{
    return (skip_special && (v->kinds[id] & KIND_CONTROL)) ||
           hf_tokenizer_token_text(v->hf, id, out);
}

static int32_t decode(void *impl, const int32_t *ids, size_t n, bool skip_special,
                      struct buffer *out, inf_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (!append(impl, ids[i], skip_special, out))
            return error_no_memory(err);
    return INF_OK;
}

static bool decoder_push(struct decoder *d, int32_t id, struct buffer *out)
{
    return append((const struct vocabulary *)(const void *)d, id, true, out);
}

void vocabulary_describe(struct vocabulary *v, struct tokenizer *out)
{
    static const struct tokenizer_ops ops = {.encode = encode,
                                             .decode = decode,
                                             .kind = kind,
                                             .token_text = token_text,
                                             .decoder_push = decoder_push};

    *out = (struct tokenizer){.ops = &ops, .impl = v, .n_vocab = v->n};
}
