/* tokenizer: see the header. */
#include "transformers/tokenizer.h"

#include "core/memory.h"

/* A tokenizer may have tokens that were added after the model's matrices were made. */
static int32_t check_ids(const struct checkpoint_tokenizer *t, const int32_t *ids, int32_t n,
                         inf_error *err)
{
    for (int32_t i = 0; t->n_model > 0 && i < n; i++)
        if (ids[i] >= t->n_model)
            return error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, ids[i],
                                    "the text has the token %d, which the tokenizer knows and the "
                                    "model, whose vocabulary has %d, does not",
                                    ids[i], t->n_model);
    return INF_OK;
}

static int32_t encode(void *impl, inf_text text, bool add_special, bool parse_special,
                      int32_t **ids, int32_t *n, inf_error *err)
{
    struct checkpoint_tokenizer *t = impl;
    int32_t code = INF_OK;

    if (!t->hf)
        return error_copy(err, &t->missing);
    code = hf_tokenizer_encode(t->hf, text, add_special, parse_special, ids, n, err);
    if (code != INF_OK)
        return code;
    code = check_ids(t, *ids, *n, err);
    if (code != INF_OK) {
        mem_free(*ids);
        *ids = NULL;
        *n = 0;
    }
    return code;
}

static int32_t decode(void *impl, const int32_t *ids, size_t n, bool skip_special,
                      struct buffer *out, inf_error *err)
{
    const struct checkpoint_tokenizer *t = impl;

    return t->hf ? hf_tokenizer_decode(t->hf, ids, n, skip_special, out, err)
                 : error_copy(err, &t->missing);
}

/* Rows of the model that no token has are shown as nothing. */
static enum token_kind kind(void *impl, int32_t id)
{
    const struct checkpoint_tokenizer *t = impl;

    for (int32_t i = 0; i < t->n_eos; i++)
        if (t->eos[i] == id)
            return TOKEN_END;
    return !t->hf || id >= hf_tokenizer_size(t->hf) || hf_tokenizer_is_special(t->hf, id)
               ? TOKEN_HIDDEN
               : TOKEN_TEXT;
}

static bool token_text(void *impl, int32_t id, struct buffer *out)
{
    const struct checkpoint_tokenizer *t = impl;

    return !t->hf || id >= hf_tokenizer_size(t->hf) || hf_tokenizer_token_text(t->hf, id, out);
}

/* A tokenizer's decoders and ours are the same objects. */
static struct decoder *decoder_create(void *impl)
{
    const struct checkpoint_tokenizer *t = impl;

    return t->hf ? (struct decoder *)hf_decoder_create(t->hf, true) : NULL;
}

static bool decoder_push(struct decoder *d, int32_t id, struct buffer *out)
{
    return hf_decoder_push((struct hf_decoder *)d, id, out);
}

static bool decoder_finish(struct decoder *d, struct buffer *out)
{
    return hf_decoder_finish((struct hf_decoder *)d, out);
}

static void decoder_free(struct decoder *d)
{
    hf_decoder_free((struct hf_decoder *)d);
}

void checkpoint_tokenizer_describe(struct checkpoint_tokenizer *t, struct tokenizer *out)
{
    static const struct tokenizer_ops ops = {.encode = encode,
                                             .decode = decode,
                                             .kind = kind,
                                             .token_text = token_text,
                                             .decoder_create = decoder_create,
                                             .decoder_push = decoder_push,
                                             .decoder_finish = decoder_finish,
                                             .decoder_free = decoder_free};
    int32_t n = t->hf ? hf_tokenizer_size(t->hf) : 0;

    *out = (struct tokenizer){.ops = &ops, .impl = t, .n_vocab = t->n_model ? t->n_model : n};
}
