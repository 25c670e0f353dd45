/*
 * llama_tokenizer: see the header.
 */
#include "engine/llama_tokenizer.h"

#include "core/memory.h"
#include "engine/guard.h"

#define USUAL_PIECE 512

static int32_t encode(void *impl, inf_text text, bool add_special, bool parse_special,
                      int32_t **ids, int32_t *n, inf_error *err)
{
    size_t room = text.len + 16; /* no more tokens than bytes, but for special ones */
    int32_t *tokens = NULL;

    if (text.len > (size_t)INT32_MAX / 8)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "the text is too long to tokenize");
    tokens = mem_alloc(room * sizeof *tokens);
    if (!tokens)
        return error_no_memory(err);
    *n = guard_tokenize(impl, text.len ? text.data : "", (int32_t)text.len, tokens, (int32_t)room,
                        add_special, parse_special);
    if (*n < 0) {
        mem_free(tokens);
        return guard_out_of_memory()
                   ? error_no_memory(err)
                   : error_set(err, INF_ERROR_BACKEND, "llama.cpp cannot tokenize the text");
    }
    *ids = tokens;
    return INF_OK;
}

static bool append_piece(const struct llama_vocab *vocab, int32_t id, bool special,
                         struct buffer *out)
{
    int32_t n = 0;

    if (!buffer_reserve(out, USUAL_PIECE))
        return false;
    n = llama_token_to_piece(vocab, id, out->data + out->len, USUAL_PIECE, 0, special);
    if (n < 0) {
        if (!buffer_reserve(out, (size_t)-n))
            return false;
        n = llama_token_to_piece(vocab, id, out->data + out->len, -n, 0, special);
    }
    if (n > 0)
        out->len += (size_t)n;
    out->data[out->len] = '\0';
    return n >= 0;
}

/* As generated text is made: llama_detokenize takes the space before some punctuation away, for some
 * of these models. */
static int32_t join_pieces(const struct llama_vocab *vocab, const int32_t *ids, size_t n,
                           bool skip_special, struct buffer *out, inf_error *err)
{
    for (size_t k = 0; k < n; k++)
        if (!append_piece(vocab, ids[k], !skip_special, out))
            return error_no_memory(err);
    return INF_OK;
}

static int32_t decode(void *impl, const int32_t *ids, size_t n, bool skip_special,
                      struct buffer *out, inf_error *err)
{
    int32_t room = 64;
    int32_t len = 0;

    if (llama_vocab_type(impl) == LLAMA_VOCAB_TYPE_BPE)
        return join_pieces(impl, ids, n, skip_special, out, err);
    if (n > (size_t)INT32_MAX / 256)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "too many tokens to detokenize");
    for (room += (int32_t)n * 8;; room = -len) {
        if (!buffer_reserve(out, (size_t)room))
            return error_no_memory(err);
        len = llama_detokenize(impl, ids, (int32_t)n, out->data + out->len, room, skip_special,
                               !skip_special);
        if (len >= 0)
            break;
    }
    out->len += (size_t)len;
    out->data[out->len] = '\0';
    return INF_OK;
}

static enum token_kind kind(void *impl, int32_t id)
{
    int hidden = LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN;

    if (llama_vocab_is_eog(impl, id))
        return TOKEN_END;
    return (int)llama_vocab_get_attr(impl, id) & hidden ? TOKEN_HIDDEN : TOKEN_TEXT;
}

static bool token_text(void *impl, int32_t id, struct buffer *out)
{
    return append_piece(impl, id, true, out);
}

static bool decoder_push(struct decoder *d, int32_t id, struct buffer *out)
{
    return append_piece((const struct llama_vocab *)(const void *)d, id, false, out);
}

void llama_tokenizer_describe(const struct llama_model *model, struct tokenizer *out)
{
    static const struct tokenizer_ops ops = {.encode = encode,
                                             .decode = decode,
                                             .kind = kind,
                                             .token_text = token_text,
                                             .decoder_push = decoder_push};
    const struct llama_vocab *vocab = llama_model_get_vocab(model);

    *out = (struct tokenizer){&ops, (void *)(uintptr_t)vocab, llama_vocab_n_tokens(vocab)};
}
