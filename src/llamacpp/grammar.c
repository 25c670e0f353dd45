/*
 * grammar: see the header. The vocabulary's texts are kept sorted, so that looking which tokens may
 * follow tries each common beginning once.
 */
#include "llamacpp/grammar.h"

#include "core/buffer.h"
#include "core/memory.h"
#include "engine/guard.h"
#include "text/constraint/gbnf.h"
#include "text/constraint/grammar_matcher.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST 512       /* bytes of a token; longer ones are never chosen */
#define MAX_WORK 20000000 /* of one look at the vocabulary: well below a second */

enum token_kind { TEXT, END, HIDDEN };

struct token {
    const char *text; /* in texts.data */
    int32_t id;
    uint16_t len;
};

struct grammar_state {
    const struct llama_vocab *vocab;
    struct gbnf *grammar;
    struct grammar_matcher *matcher;
    int32_t n;
    uint8_t *kinds;       /* (n) enum token_kind */
    struct buffer texts;  /* of all tokens of kind TEXT, by id */
    uint32_t *at;         /* (n + 1) where each begins */
    struct token *sorted; /* (n_sorted) by text */
    size_t n_sorted;
};

/* ------------------------------------------------------------------ the vocabulary */

static int by_text(const void *a, const void *b)
{
    const struct token *x = a;
    const struct token *y = b;
    size_t n = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->text, y->text, n);

    return order ? order : (int)x->len - (int)y->len;
}

/* A control token's text would count for the grammar and be missing from the output. */
static bool read_token(struct grammar_state *g, int32_t id)
{
    char piece[LONGEST];
    int32_t n = 0;

    g->kinds[id] = TEXT;
    if (llama_vocab_is_eog(g->vocab, id))
        g->kinds[id] = END;
    else if (llama_vocab_is_control(g->vocab, id))
        g->kinds[id] = HIDDEN;
    else
        n = llama_token_to_piece(g->vocab, id, piece, sizeof piece, 0, true);
    if (n < 0) {
        g->kinds[id] = HIDDEN;
        n = 0;
    }
    g->at[id] = (uint32_t)g->texts.len;
    return buffer_append(&g->texts, piece, (size_t)n);
}

static bool read_vocabulary(struct grammar_state *g)
{
    g->n = llama_vocab_n_tokens(g->vocab);
    g->kinds = mem_alloc((size_t)g->n + 1);
    g->at = mem_alloc(((size_t)g->n + 1) * sizeof *g->at);
    g->sorted = mem_alloc(((size_t)g->n + 1) * sizeof *g->sorted);
    if (!g->kinds || !g->at || !g->sorted)
        return false;
    for (int32_t id = 0; id < g->n; id++)
        if (!read_token(g, id))
            return false;
    g->at[g->n] = (uint32_t)g->texts.len;
    for (int32_t id = 0; id < g->n; id++) {
        uint32_t len = g->at[id + 1] - g->at[id];

        if (len > 0)
            g->sorted[g->n_sorted++] = (struct token){g->texts.data + g->at[id], id, (uint16_t)len};
    }
    qsort(g->sorted, g->n_sorted, sizeof *g->sorted, by_text);
    return true;
}

/* ------------------------------------------------------------------ which tokens may come */

static size_t common(const struct token *a, const struct token *b)
{
    size_t n = 0;

    while (n < a->len && n < b->len && a->text[n] == b->text[n])
        n++;
    return n;
}

/* Pushes what is left of the token on `pushed` bytes of it. true: all of it follows. */
static bool push_rest(struct grammar_matcher *m, const struct token *t, size_t *pushed)
{
    while (*pushed < t->len && grammar_matcher_try_push(m, (unsigned char)t->text[*pushed]))
        ++*pushed;
    return *pushed == t->len;
}

/* Gives every token whose text follows its logit back; false: it was too much work. */
static bool each_that_follows(struct grammar_state *g, float *logits, const float *given)
{
    struct grammar_matcher *m = g->matcher;
    const struct token *last = NULL; /* the last that was tried: `pushed` bytes of it stand */
    size_t pushed = 0;
    bool blocked = false;
    bool ok = true;

    grammar_matcher_try_begin(m);
    for (size_t i = 0; i < g->n_sorted && ok; i++) {
        const struct token *t = &g->sorted[i];
        size_t same = last ? common(last, t) : 0;

        if (blocked && same > pushed)
            continue; /* the byte that did not follow is in this one too */
        if (same < pushed) {
            grammar_matcher_try_pop(m, pushed - same);
            pushed = same;
        }
        last = t;
        blocked = !push_rest(m, t, &pushed);
        if (!blocked) /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): n_sorted are there */
            logits[t->id] = given[t->id];
        ok = !grammar_matcher_gave_up(m) && grammar_matcher_try_work(m) < MAX_WORK;
    }
    grammar_matcher_try_pop(m, pushed);
    return ok;
}

static bool may_come(const struct grammar_state *g, int32_t token)
{
    struct grammar_matcher *m = g->matcher;
    size_t len = g->at[token + 1] - g->at[token];
    struct token t = {g->texts.data + g->at[token], token, (uint16_t)len};
    size_t pushed = 0;
    bool follows = false;

    if (grammar_matcher_gave_up(m))
        return false;
    if (g->kinds[token] == END && grammar_matcher_may_end(m))
        return true;
    if (grammar_matcher_takes_token(m, token))
        return true;
    if (len == 0)
        return false;
    grammar_matcher_try_begin(m);
    follows = push_rest(m, &t, &pushed);
    grammar_matcher_try_pop(m, pushed);
    return follows;
}

/* ------------------------------------------------------------------ the constraint */

static bool allows(void *state, int32_t token)
{
    return may_come(state, token);
}

static void apply(void *state, float *logits, int32_t n_vocab)
{
    struct grammar_state *g = state;
    float *given = mem_alloc((size_t)n_vocab * sizeof *given);
    bool by_number = grammar_matcher_wants_token(g->matcher);
    bool ok = given != NULL;

    if (ok)
        memcpy(given, logits, (size_t)n_vocab * sizeof *given);
    for (int32_t i = 0; i < n_vocab; i++)
        logits[i] = -INFINITY;
    ok = ok && !grammar_matcher_gave_up(g->matcher) && each_that_follows(g, logits, given);
    for (int32_t i = 0; i < n_vocab && ok; i++)
        if ((g->kinds[i] == END || by_number) && logits[i] == -INFINITY && may_come(g, i))
            logits[i] = given[i];
    for (int32_t i = 0; i < n_vocab && !ok; i++)
        logits[i] = -INFINITY; /* out of memory or too much work: the request ends */
    mem_free(given);
}

static bool accept(void *state, int32_t token)
{
    struct grammar_state *g = state;
    size_t len = g->at[token + 1] - g->at[token];

    if (g->kinds[token] == END && grammar_matcher_may_end(g->matcher))
        return true;
    return grammar_matcher_accept(g->matcher, token, g->texts.data + g->at[token], len);
}

static void destroy(void *state)
{
    struct grammar_state *g = state;

    grammar_matcher_free(g->matcher);
    gbnf_free(g->grammar);
    buffer_free(&g->texts);
    mem_free(g->kinds);
    mem_free(g->at);
    mem_free(g->sorted);
    mem_free(g);
}

static int32_t find_token(void *vocab, const char *text, size_t len)
{
    llama_token tokens[2];

    return guard_tokenize(vocab, text, (int32_t)len, tokens, 2, false, true) == 1 ? tokens[0] : -1;
}

int32_t grammar_constraint_create(struct sampling_constraint *out, void *vocab, inf_text grammar,
                                  inf_error *err)
{
    struct grammar_state *g = mem_calloc(1, sizeof *g);
    int32_t code = INF_OK;

    if (!g)
        return error_no_memory(err);
    g->vocab = vocab;
    buffer_init(&g->texts, BUFFER_NO_LIMIT);
    code = gbnf_compile(&g->grammar, grammar, find_token, vocab, err);
    if (code == INF_OK) {
        g->matcher = grammar_matcher_create(g->grammar);
        if (!g->matcher || !read_vocabulary(g))
            code = error_no_memory(err);
        else if (grammar_matcher_is_stuck(g->matcher))
            code = error_set(err, INF_ERROR_INVALID_ARGUMENT,
                             grammar_matcher_gave_up(g->matcher)
                                 ? "grammar: it begins in too many ways"
                                 : "grammar: there is no text that follows it");
    }
    if (code != INF_OK) {
        destroy(g);
        return code;
    }
    *out = (struct sampling_constraint){g, apply, allows, accept, destroy};
    return INF_OK;
}
