/*
 * grammar: see the header.
 */
#include "llamacpp/grammar.h"

#include "hf/text/big_stack.h"
#include "llamacpp/guard.h"

#include <cmath>
#include <cstdint>
#include <ctime>
#include <llama.h>
#include <new>
#include <string>
#include <vector>

extern "C" {
#include "llamacpp/gbnf_check.h"
}

namespace {

constexpr int32_t LONGEST = 1024; /* bytes of a token: the matcher recurses over them */

/* Where in a UTF-8 sequence the text so far ends: llama.cpp's matcher takes overlong forms and
 * continuation bytes that are none, so that a quote could hide in them. */
struct utf8_state {
    int32_t missing = 0;             /* bytes of the sequence */
    unsigned char low = 0, high = 0; /* of the next one */
};

bool utf8_next(utf8_state &s, unsigned char c)
{
    if (s.missing > 0) {
        bool ok = c >= s.low && c <= s.high;

        s = {s.missing - 1, 0x80, 0xBF};
        return ok;
    }
    if (c < 0x80)
        return true;
    s.low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
    s.high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    s.missing = c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
    return c >= 0xC2 && c <= 0xF4;
}

enum token_kind : uint8_t { PLAIN, NOT_ASCII, HIDDEN };

struct grammar_state {
    llama_sampler *matcher = nullptr;
    const llama_vocab *vocab = nullptr;
    std::vector<token_kind> kinds;
    std::vector<llama_token_data> candidates;
    utf8_state text;
    bool too_slow = false;

    grammar_state() = default;
    ~grammar_state()
    {
        if (matcher)
            llama_sampler_free(matcher);
    }
    grammar_state(const grammar_state &) = delete;
    grammar_state &operator=(const grammar_state &) = delete;
};

int32_t piece_of(const llama_vocab *vocab, llama_token token, char *piece)
{
    return llama_token_to_piece(vocab, token, piece, LONGEST, 0, true);
}

/* A control token's text would count for the grammar and be missing from the output. */
token_kind kind_of(const llama_vocab *vocab, llama_token token)
{
    char piece[LONGEST];
    int32_t n = 0;

    if (llama_vocab_is_eog(vocab, token))
        return PLAIN;
    n = llama_vocab_is_control(vocab, token) ? -1 : piece_of(vocab, token, piece);
    for (int32_t i = 0; i < n; i++) {
        if ((unsigned char)piece[i] >= 0x80)
            return NOT_ASCII;
    }
    return n < 0 ? HIDDEN : PLAIN;
}

/* Moves s behind the token; false: the text would not be UTF-8. */
bool follows(const llama_vocab *vocab, llama_token token, utf8_state &s)
{
    char piece[LONGEST];
    int32_t n = piece_of(vocab, token, piece);

    for (int32_t i = 0; i < n; i++) {
        if (!utf8_next(s, (unsigned char)piece[i]))
            return false;
    }
    return n >= 0;
}

bool is_possible(const grammar_state *g, llama_token token)
{
    utf8_state s = g->text;

    if (g->too_slow)
        return false;
    if (g->kinds[(size_t)token] == PLAIN)
        return g->text.missing == 0;
    return g->kinds[(size_t)token] == NOT_ASCII && follows(g->vocab, token, s);
}

/* An ambiguous grammar may double the matcher's work with each letter. The step that takes too long
 * is the last one, so that the others that decode are not held up for longer. */
class stopwatch {
  public:
    explicit stopwatch(grammar_state *g) : g_(g), start_(now())
    {
    }
    ~stopwatch()
    {
        g_->too_slow = g_->too_slow || now() - start_ > 0.5;
    }
    stopwatch(const stopwatch &) = delete;
    stopwatch &operator=(const stopwatch &) = delete;

  private:
    /* Seconds that this thread has computed, not those that it waited for a processor. */
    static double now()
    {
        timespec t = {};

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
    }

    grammar_state *g_;
    double start_;
};

/* What the matcher leaves of the candidates: -INFINITY is forbidden. */
void mask(grammar_state *g)
{
    llama_token_data_array array = {g->candidates.data(), g->candidates.size(), -1, false};
    stopwatch watch(g);

    llama_sampler_apply(g->matcher, &array);
}

void apply(void *state, float *logits, int32_t n_vocab)
{
    grammar_state *g = static_cast<grammar_state *>(state);

    try {
        if (g->too_slow)
            throw std::bad_alloc();
        g->candidates.resize((size_t)n_vocab);
        for (int32_t i = 0; i < n_vocab; i++)
            g->candidates[(size_t)i] = {i, logits[i], 0.0f};
        mask(g);
        for (int32_t i = 0; i < n_vocab; i++)
            logits[i] = g->candidates[(size_t)i].logit > -INFINITY && is_possible(g, i)
                            ? g->candidates[(size_t)i].logit
                            : -INFINITY;
    } catch (...) { /* out of memory or time: nothing is allowed, and the request ends */
        for (int32_t i = 0; i < n_vocab; i++)
            logits[i] = -INFINITY;
    }
}

bool allows(void *state, int32_t token)
{
    grammar_state *g = static_cast<grammar_state *>(state);

    if (!is_possible(g, token))
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
    grammar_state *g = static_cast<grammar_state *>(state);

    try {
        stopwatch watch(g);

        llama_sampler_accept(g->matcher, token);
    } catch (...) {
        return false;
    }
    return llama_vocab_is_eog(g->vocab, token) || follows(g->vocab, token, g->text);
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
    int32_t n = llama_vocab_n_tokens(g->vocab);

    g->kinds.reserve((size_t)n);
    for (int32_t i = 0; i < n; i++)
        g->kinds.push_back(kind_of(g->vocab, i));

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
