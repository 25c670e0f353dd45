/*
 * text: tokenize, detokenize and render of the llama.cpp provider. They need no weights: when the
 * model is not loaded its vocabulary alone is.
 */
#include "core/memory.h"
#include "llamacpp/provider_state.h"

#include <string.h>

static int32_t copy_text(struct preparation *prep, inf_text text, inf_error *err)
{
    prep->text.data = mem_strndup(text.data, text.len);
    prep->text.len = text.len;
    return prep->text.data ? INF_OK : error_no_memory(err);
}

/* Ends prep's operation; the instance goes first. */
static void end(struct preparation *prep, struct instance *i, const inf_error *err)
{
    inf_op *op = prep->op;

    instance_unref(i);
    preparation_free(prep);
    op_finish(op, err);
}

/* ------------------------------------------------------------------ tokenize */

static void run_tokenize(struct preparation *prep)
{
    struct op_output *o = op_output(prep->op);
    struct instance *i = NULL;
    inf_error err = {0};
    int32_t n = 0;

    if (provider_acquire_vocabulary(prep->provider, prep->op, &i, &err) == INF_OK &&
        i->tokenizer.ops->encode(i->tokenizer.impl, prep->text, prep->flag, &o->token_ids, &n,
                                 &err) == INF_OK)
        o->n_token_ids = (size_t)n;
    end(prep, i, &err);
}

int32_t llamacpp_tokenize(void *impl, inf_op *op, inf_text text, bool add_special, inf_error *err)
{
    struct preparation *prep = preparation_create(impl, op, run_tokenize, err);

    if (!prep || copy_text(prep, text, err) != INF_OK) {
        preparation_free(prep);
        return INF_ERROR_NO_MEMORY;
    }
    prep->flag = add_special;
    preparation_submit(prep);
    return INF_OK;
}

/* ------------------------------------------------------------------ detokenize */

static int32_t detokenize(const struct tokenizer *t, const struct preparation *prep,
                          struct buffer *out, inf_error *err)
{
    for (size_t k = 0; k < prep->n_ids; k++)
        if (prep->ids[k] < 0 || prep->ids[k] >= t->n_vocab)
            return error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, prep->ids[k],
                                    "token %d is outside the vocabulary of %d tokens", prep->ids[k],
                                    t->n_vocab);
    return t->ops->decode(t->impl, prep->ids, prep->n_ids, prep->flag, out, err);
}

static void run_detokenize(struct preparation *prep)
{
    struct instance *i = NULL;
    inf_error err = {0};

    if (provider_acquire_vocabulary(prep->provider, prep->op, &i, &err) == INF_OK)
        detokenize(&i->tokenizer, prep, &op_output(prep->op)->text, &err);
    end(prep, i, &err);
}

int32_t llamacpp_detokenize(void *impl, inf_op *op, const int32_t *ids, size_t n, bool skip_special,
                            inf_error *err)
{
    struct preparation *prep = preparation_create(impl, op, run_detokenize, err);

    if (prep)
        prep->ids = mem_alloc(n ? n * sizeof *ids : 1);
    if (!prep || !prep->ids) {
        preparation_free(prep);
        return error_no_memory(err);
    }
    if (n)
        memcpy(prep->ids, ids, n * sizeof *ids);
    prep->n_ids = n;
    prep->flag = skip_special;
    preparation_submit(prep);
    return INF_OK;
}

/* ------------------------------------------------------------------ render */

static bool is_to_stop(void *op)
{
    return op_stop_code(op) != INF_OK;
}

int32_t provider_render(struct llamacpp_provider *p, inf_op *op, struct chat_input *input,
                        struct buffer *out, inf_error *err)
{
    const struct chat_template *compiled = NULL;
    int32_t code = provider_template(p, &compiled, err);

    if (code != INF_OK)
        return code;
    input->stop = (struct text_stop){is_to_stop, op};
    code = chat_template_render(compiled, input, out, err);
    return code == INF_ERROR_CANCELLED ? op_stop_error(op, err) : code;
}

static void run_render(struct preparation *prep)
{
    struct chat_input input = {.messages_json = prep->text, .add_generation_prompt = prep->flag};
    inf_error err = {0};

    provider_render(prep->provider, prep->op, &input, &op_output(prep->op)->text, &err);
    end(prep, NULL, &err);
}

int32_t llamacpp_render(void *impl, inf_op *op, inf_text messages_json, bool add_generation_prompt,
                        inf_error *err)
{
    struct preparation *prep = preparation_create(impl, op, run_render, err);

    if (!prep || copy_text(prep, messages_json, err) != INF_OK) {
        preparation_free(prep);
        return INF_ERROR_NO_MEMORY;
    }
    prep->flag = add_generation_prompt;
    preparation_submit(prep);
    return INF_OK;
}
