/*
 * match_grammar: see the header.
 */
#include "match_grammar.h"

#include "engine/guard.h"
#include "engine/llama_tokenizer.h"
#include "local/constraint.h"
#include "text/constraint/json_schema.h"

#include <stdlib.h>
#include <string.h>

static struct tokenizer tokenizer;
static struct token_texts *texts;
static int32_t of_byte[256], end;

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
    llama_tokenizer_describe(model, &tokenizer);
    texts = token_texts_create(&tokenizer);
    if (!texts)
        abort();
    for (int32_t t = 0; t < texts->n_vocab; t++) {
        if (texts->by_id[t].len == 1)
            of_byte[(unsigned char)texts->by_id[t].text[0]] = t;
        if (texts->kinds[t] == TOKEN_END)
            end = t;
    }
}

/* Takes the grammar. */
static int32_t match(struct grammar *grammar, inf_text text, bool *whole, inf_error *err)
{
    struct sampling_constraint c;
    int32_t code = constraint_create(&c, texts, grammar, err);

    *whole = true;
    if (code != INF_OK)
        return code;
    for (size_t i = 0; i < text.len && *whole; i++) {
        int32_t token = of_byte[(unsigned char)text.data[i]];

        *whole = c.allows(c.state, token);
        if (*whole && !c.accept(c.state, token))
            abort(); /* it takes what it allows */
    }
    *whole = *whole && c.allows(c.state, end);
    c.destroy(c.state);
    return INF_OK;
}

int32_t match_grammar(inf_text grammar, inf_text text, bool *whole, inf_error *err)
{
    struct grammar *g = NULL;
    int32_t code = INF_OK;

    if (!texts)
        load();
    code = constraint_read_gbnf(&g, &tokenizer, grammar, err);
    return code == INF_OK ? match(g, text, whole, err) : code;
}

int32_t match_schema(inf_text schema, inf_text text, bool *whole, inf_error *err)
{
    struct grammar *g = NULL;
    int32_t code = INF_OK;

    if (!texts)
        load();
    code = json_schema_compile(&g, schema, err);
    return code == INF_OK ? match(g, text, whole, err) : code;
}
