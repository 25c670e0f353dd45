/*
 * match_grammar: see the header.
 */
#include "match_grammar.h"

#include "llamacpp/grammar.h"
#include "engine/guard.h"

#include <stdlib.h>
#include <string.h>

static struct llama_vocab *vocab;
static llama_token of_byte[256];

static void load(void)
{
    struct llama_model_params params = llama_model_default_params();
    struct llama_model *model = NULL;
    inf_error err;

    guard_start();
    params.vocab_only = true;
    model = guard_load_model(FUZZ_VOCABULARY, params, &err);
    if (!model)
        abort();
    vocab = (struct llama_vocab *)(uintptr_t)llama_model_get_vocab(model);
    for (llama_token t = 0; t < llama_vocab_n_tokens(vocab); t++) {
        char piece[64];

        if (llama_token_to_piece(vocab, t, piece, sizeof piece, 0, false) == 1)
            of_byte[(unsigned char)piece[0]] = t;
    }
}

int32_t match_grammar(inf_text grammar, inf_text text, bool *whole, inf_error *err)
{
    struct sampling_constraint c;
    int32_t code = INF_OK;

    *whole = true;
    if (!vocab)
        load();
    code = grammar_constraint_create(&c, vocab, grammar, err);
    if (code != INF_OK)
        return code;
    for (size_t i = 0; i < text.len && *whole; i++) {
        llama_token token = of_byte[(unsigned char)text.data[i]];

        *whole = c.allows(c.state, token);
        if (*whole && !c.accept(c.state, token))
            abort(); /* it takes what it allows */
    }
    *whole = *whole && c.allows(c.state, llama_vocab_eos(vocab));
    c.destroy(c.state);
    return INF_OK;
}
