/*
 * grammar: see the header.
 */
#include "llamacpp/grammar.h"

#include "hf/text/big_stack.h"
#include "llamacpp/guard.h"

#include <cmath>
#include <llama.h>
#include <new>
#include <string>
#include <vector>

extern "C" {
#include "llamacpp/gbnf_check.h"
}

namespace {

struct grammar_state {
    llama_sampler *matcher = nullptr;
    const llama_vocab *vocab = nullptr;
    std::vector<llama_token_data> candidates;

    grammar_state() = default;
    ~grammar_state()
    {
        if (matcher)
            llama_sampler_free(matcher);
    }
    grammar_state(const grammar_state &) = delete;
    grammar_state &operator=(const grammar_state &) = delete;
};

/* A control token's text would count for the grammar and be missing from the output. */
bool is_hidden(const llama_vocab *vocab, llama_token token)
{
    return llama_vocab_is_control(vocab, token) && !llama_vocab_is_eog(vocab, token);
}

/* What the matcher leaves of the candidates: -INFINITY is forbidden. */
void mask(grammar_state *g)
{
    llama_token_data_array array = {g->candidates.data(), g->candidates.size(), -1, false};

    llama_sampler_apply(g->matcher, &array);
}

void apply(void *state, float *logits, int32_t n_vocab)
{
    grammar_state *g = static_cast<grammar_state *>(state);

    try {
        g->candidates.resize((size_t)n_vocab);
        for (int32_t i = 0; i < n_vocab; i++)
            g->candidates[(size_t)i] = {i, logits[i], 0.0f};
        mask(g);
        for (int32_t i = 0; i < n_vocab; i++)
            logits[i] = is_hidden(g->vocab, i) ? -INFINITY : g->candidates[(size_t)i].logit;
    } catch (...) { /* out of memory: nothing is allowed, and the request ends */
        for (int32_t i = 0; i < n_vocab; i++)
            logits[i] = -INFINITY;
    }
}

bool allows(void *state, int32_t token)
{
    grammar_state *g = static_cast<grammar_state *>(state);

    if (is_hidden(g->vocab, token))
        return false;
    try {
        g->candidates.assign(1, {token, 0.0f, 0.0f});
        mask(g);
        return g->candidates[0].logit > -INFINITY;
    } catch (...) {
        return false;
    }
}

bool accept(void *state, int32_t token)
{
    try {
        llama_sampler_accept(static_cast<grammar_state *>(state)->matcher, token);
        return true;
    } catch (...) {
        return false;
    }
}

void destroy(void *state)
{
    delete static_cast<grammar_state *>(state);
}

/* As llama.cpp's parser asks. */
bool is_token(void *vocab, const char *text, size_t len)
{
    llama_token tokens[2];

    return guard_tokenize(static_cast<const llama_vocab *>(vocab), text, (int32_t)len, tokens, 2,
                          false, true) == 1;
}

struct parsing {
    grammar_state *state;
    const char *text;
};

/* llama.cpp's parser recurses over groups and rules. */
void parse(void *arg)
{
    const parsing *p = static_cast<const parsing *>(arg);

    try {
        p->state->matcher = llama_sampler_init_grammar(p->state->vocab, p->text, "root");
    } catch (...) {
        p->state->matcher = nullptr;
    }
}

int32_t create(grammar_state *g, inf_text grammar, inf_error *err)
{
    std::string text(grammar.data, grammar.len);
    parsing p = {g, text.c_str()};

    if (!hf_text::run_on_big_stack(parse, &p))
        return error_no_memory(err);
    if (!g->matcher)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "grammar: llama.cpp cannot use it");
    return INF_OK;
}

} // namespace

extern "C" int32_t grammar_constraint_create(struct sampling_constraint *out, void *vocab,
                                             inf_text grammar, inf_error *err)
{
    grammar_state *g = nullptr;
    int32_t code = gbnf_check(grammar, is_token, vocab, err);

    if (code != INF_OK)
        return code;
    g = new (std::nothrow) grammar_state;
    if (!g)
        return error_no_memory(err);
    g->vocab = static_cast<const llama_vocab *>(vocab);
    try {
        code = create(g, grammar, err);
    } catch (...) {
        code = error_no_memory(err);
    }
    if (code != INF_OK) {
        delete g;
        return code;
    }
    *out = {g, apply, allows, accept, destroy};
    return INF_OK;
}
