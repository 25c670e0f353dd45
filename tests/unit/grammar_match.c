/*
 * grammar_match: see the header.
 */
#include "grammar_match.h"

#include "llamacpp/grammar.h"
#include "engine/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct llama_model *model;
static struct llama_vocab *vocab;
static llama_token of_byte[256];

int grammar_match_open(void **state)
{
    struct llama_model_params params = llama_model_default_params();
    inf_error err;

    (void)state;
    guard_start();
    params.vocab_only = true;
    model = guard_load_model(TEST_SOURCE_DIR "/parity/fixtures/one-layer/base.gguf", params, &err);
    assert_non_null(model);
    vocab = (struct llama_vocab *)(uintptr_t)llama_model_get_vocab(model);
    for (int byte = 0; byte < 256; byte++)
        of_byte[byte] = -1;
    for (llama_token t = 0; t < llama_vocab_n_tokens(vocab); t++) {
        char piece[64];

        if (llama_token_to_piece(vocab, t, piece, sizeof piece, 0, false) == 1)
            of_byte[(unsigned char)piece[0]] = t;
    }
    for (int byte = 1; byte < 256; byte++)
        assert_true(of_byte[byte] >= 0);
    return 0;
}

int grammar_match_close(void **state)
{
    (void)state;
    llama_model_free(model);
    return 0;
}

enum match grammar_match(inf_text grammar, inf_text text, inf_error *err)
{
    struct sampling_constraint c;
    enum match match = MATCH_WHOLE;

    if (grammar_constraint_create(&c, vocab, grammar, err) != INF_OK)
        return MATCH_REFUSED;
    for (size_t i = 0; i < text.len && match == MATCH_WHOLE; i++) {
        llama_token token = of_byte[(unsigned char)text.data[i]];

        if (!c.allows(c.state, token))
            match = MATCH_NOT;
        else
            assert_true(c.accept(c.state, token));
    }
    if (match == MATCH_WHOLE && !c.allows(c.state, llama_vocab_eos(vocab)))
        match = MATCH_UNFINISHED;
    c.destroy(c.state);
    return match;
}
