/*
 * text: tokenize and detokenize of the in-process provider. They need no weights: when the model is not
 * loaded its tokenizer alone is.
 */
#include "local/provider.h"

#include <string.h>

/* ------------------------------------------------------------------ tokenize */

struct tokenize {
    struct preparation base;
    bool add_special;
    size_t len;
    char text[];
};

static void run_tokenize(struct preparation *base)
{
    struct tokenize *t = (struct tokenize *)(void *)base;
    struct op_output *o = op_output(base->op);
    struct instance *i = NULL;
    inf_error err = {0};
    int32_t n = 0;

    if (provider_acquire_tokenizer(base->provider, base->op, &i, &err) == INF_OK &&
        i->loaded.tokenizer.ops->encode(i->loaded.tokenizer.impl, (inf_text){t->text, t->len},
                                        t->add_special, true, &o->token_ids, &n, &err) == INF_OK)
        o->n_token_ids = (size_t)n;
    instance_unref(i);
    preparation_end(base, &err);
}

int32_t local_tokenize(void *impl, inf_op *op, inf_text text, bool add_special, inf_error *err)
{
    struct tokenize *t = preparation_create(sizeof *t + text.len, impl, op, run_tokenize, err);

    if (!t)
        return INF_ERROR_NO_MEMORY;
    t->add_special = add_special;
    t->len = text.len;
    if (text.len)
        memcpy(t->text, text.data, text.len);
    preparation_submit(&t->base);
    return INF_OK;
}

/* ------------------------------------------------------------------ detokenize */

struct detokenize {
    struct preparation base;
    bool skip_special;
    size_t n;
    int32_t ids[];
};

static int32_t detokenize(const struct tokenizer *tokenizer, const struct detokenize *d,
                          struct buffer *out, inf_error *err)
{
    for (size_t k = 0; k < d->n; k++)
        if (d->ids[k] < 0 || d->ids[k] >= tokenizer->n_vocab)
            return error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, d->ids[k],
                                    "token %d is outside the vocabulary of %d tokens", d->ids[k],
                                    tokenizer->n_vocab);
    return tokenizer->ops->decode(tokenizer->impl, d->ids, d->n, d->skip_special, out, err);
}

static void run_detokenize(struct preparation *base)
{
    struct detokenize *d = (struct detokenize *)(void *)base;
    struct instance *i = NULL;
    inf_error err = {0};

    if (provider_acquire_tokenizer(base->provider, base->op, &i, &err) == INF_OK)
        detokenize(&i->loaded.tokenizer, d, &op_output(base->op)->text, &err);
    instance_unref(i);
    preparation_end(base, &err);
}

int32_t local_detokenize(void *impl, inf_op *op, const int32_t *ids, size_t n, bool skip_special,
                         inf_error *err)
{
    struct detokenize *d = preparation_create(sizeof *d + n * sizeof *ids, impl, op, run_detokenize,
                                              err);

    if (!d)
        return INF_ERROR_NO_MEMORY;
    d->skip_special = skip_special;
    d->n = n;
    if (n)
        memcpy(d->ids, ids, n * sizeof *ids);
    preparation_submit(&d->base);
    return INF_OK;
}
