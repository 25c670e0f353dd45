/*
 * grammar_match: see the header.
 */
#include "grammar_match.h"

#include "engine/guard.h"
#include "engine/llama_tokenizer.h"
#include "local/constraint.h"
#include "text/constraint/json_schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct llama_model *model;
static struct tokenizer tokenizer;
static struct token_texts *texts;
static int32_t of_byte[256], end;

int grammar_match_open(void **state)
{
    struct llama_model_params params = llama_model_default_params();
    inf_error err;

    (void)state;
    guard_start();
    params.vocab_only = true;
    model = guard_load_model(TEST_SOURCE_DIR "/parity/fixtures/one-layer/base.gguf", params, &err);
    assert_non_null(model);
    llama_tokenizer_describe(model, &tokenizer);
    texts = token_texts_create(&tokenizer);
    assert_non_null(texts);
    for (int byte = 0; byte < 256; byte++)
        of_byte[byte] = -1;
    for (int32_t t = 0; t < texts->n_vocab; t++) {
        if (texts->by_id[t].len == 1)
            of_byte[(unsigned char)texts->by_id[t].text[0]] = t;
        if (texts->kinds[t] == TOKEN_END)
            end = t;
    }
    for (int byte = 1; byte < 256; byte++)
        assert_true(of_byte[byte] >= 0);
    return 0;
}

int grammar_match_close(void **state)
{
    (void)state;
    token_texts_free(texts);
    llama_model_free(model);
    return 0;
}

/* Takes the grammar. */
static enum match match(struct grammar *grammar, inf_text text, inf_error *err)
{
    struct sampling_constraint c;
    enum match match = MATCH_WHOLE;

    if (constraint_create(&c, texts, grammar, err) != INF_OK)
        return MATCH_REFUSED;
    for (size_t i = 0; i < text.len && match == MATCH_WHOLE; i++) {
        int32_t token = of_byte[(unsigned char)text.data[i]];

        if (!c.allows(c.state, token))
            match = MATCH_NOT;
        else
            assert_true(c.accept(c.state, token));
    }
    if (match == MATCH_WHOLE && !c.allows(c.state, end))
        match = MATCH_UNFINISHED;
    c.destroy(c.state);
    return match;
}

enum match grammar_match(inf_text grammar, inf_text text, inf_error *err)
{
    struct grammar *g = NULL;

    if (constraint_read_gbnf(&g, &tokenizer, grammar, err) != INF_OK)
        return MATCH_REFUSED;
    return match(g, text, err);
}

enum match schema_match(inf_text schema, inf_text text, inf_error *err)
{
    struct grammar *g = NULL;

    if (json_schema_compile(&g, schema, err) != INF_OK)
        return MATCH_REFUSED;
    return match(g, text, err);
}
