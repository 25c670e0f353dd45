/*
 * text: tokenize and detokenize of the in-process provider. They need no weights: when the model is not
 * loaded its tokenizer alone is.
 */
#include "local/provider.h"

/* ------------------------------------------------------------------ tokenize */

static void run_tokenize(struct preparation *base)
{
    struct bytes_preparation *t = (struct bytes_preparation *)(void *)base;
    struct op_output *o = op_output(base->op);
    struct instance *i = NULL;
    inf_error err = {0};
    int32_t n = 0;

    if (provider_acquire(base->provider, base->op, true, &i, &err) == INF_OK &&
        i->loaded.tokenizer.ops->encode(i->loaded.tokenizer.impl, (inf_text){t->bytes, t->len},
                                        t->choice, true, &o->token_ids, &n, &err) == INF_OK)
        o->n_token_ids = (size_t)n;
    instance_unref(i);
    preparation_end(base, &err);
}

int32_t local_tokenize(void *impl, inf_op *op, inf_text text, bool add_special, inf_error *err)
{
    return preparation_of_bytes(impl, op, text.data, text.len, add_special, run_tokenize, err);
}

/* ------------------------------------------------------------------ detokenize */

static int32_t detokenize(const struct tokenizer *tokenizer, const struct bytes_preparation *d,
                          struct buffer *out, inf_error *err)
{
    const int32_t *ids = (const int32_t *)(const void *)d->bytes;
    size_t n = d->len / sizeof *ids;
    int32_t code = tokenizer_check_ids(tokenizer, "token", ids, n, err);

    return code == INF_OK ? tokenizer->ops->decode(tokenizer->impl, ids, n, d->choice, out, err)
                          : code;
}

static void run_detokenize(struct preparation *base)
{
    struct bytes_preparation *d = (struct bytes_preparation *)(void *)base;
    struct instance *i = NULL;
    inf_error err = {0};

    if (provider_acquire(base->provider, base->op, true, &i, &err) == INF_OK)
        detokenize(&i->loaded.tokenizer, d, &op_output(base->op)->text, &err);
    instance_unref(i);
    preparation_end(base, &err);
}

int32_t local_detokenize(void *impl, inf_op *op, const int32_t *ids, size_t n, bool skip_special,
                         inf_error *err)
{
    return preparation_of_bytes(impl, op, ids, n * sizeof *ids, skip_special, run_detokenize, err);
}
