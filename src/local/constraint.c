/*
 * constraint: see the header.
 */
#include "local/constraint.h"

#include "core/memory.h"
#include "text/constraint/gbnf.h"
#include "text/constraint/grammar_matcher.h"

#include <math.h>
#include <string.h>

#define MAX_WORK 20000000 /* of one look at the vocabulary: well below a second */

struct constraint {
    const struct token_texts *texts;
    struct gbnf *grammar;
    struct grammar_matcher *matcher;
};

/* ------------------------------------------------------------------ which tokens may come */

static size_t common(const struct token_text *a, const struct token_text *b)
{
    size_t n = 0;

    while (n < a->len && n < b->len && a->text[n] == b->text[n])
        n++;
    return n;
}

/* Pushes what is left of the token on `pushed` bytes of it. true: all of it follows. */
static bool push_rest(struct grammar_matcher *m, const struct token_text *t, size_t *pushed)
{
    while (*pushed < t->len && grammar_matcher_try_push(m, (unsigned char)t->text[*pushed]))
        ++*pushed;
    return *pushed == t->len;
}

/* Gives every token whose text follows its logit back; false: it was too much work. */
static bool each_that_follows(struct constraint *c, float *logits, const float *given)
{
    struct grammar_matcher *m = c->matcher;
    const struct token_text *last = NULL; /* the last that was tried: `pushed` bytes of it stand */
    size_t pushed = 0;
    bool blocked = false;
    bool ok = true;

    grammar_matcher_try_begin(m);
    for (size_t i = 0; i < c->texts->n_sorted && ok; i++) {
        const struct token_text *t = &c->texts->sorted[i];
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

static bool may_come(const struct constraint *c, int32_t token)
{
    struct grammar_matcher *m = c->matcher;
    const struct token_text *t = &c->texts->by_id[token];
    size_t pushed = 0;
    bool follows = false;

    if (grammar_matcher_gave_up(m))
        return false;
    if (c->texts->kinds[token] == TOKEN_END && grammar_matcher_may_end(m))
        return true;
    if (grammar_matcher_takes_token(m, token))
        return true;
    if (t->len == 0)
        return false;
    grammar_matcher_try_begin(m);
    follows = push_rest(m, t, &pushed);
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
    struct constraint *c = state;
    float *given = mem_alloc((size_t)n_vocab * sizeof *given);
    bool by_number = grammar_matcher_wants_token(c->matcher);
    bool ok = given != NULL;

    if (ok)
        memcpy(given, logits, (size_t)n_vocab * sizeof *given);
    for (int32_t i = 0; i < n_vocab; i++)
        logits[i] = -INFINITY;
    ok = ok && !grammar_matcher_gave_up(c->matcher) && each_that_follows(c, logits, given);
    for (int32_t i = 0; i < n_vocab && ok; i++)
        if ((c->texts->kinds[i] == TOKEN_END || by_number) && logits[i] == -INFINITY &&
            may_come(c, i))
            logits[i] = given[i];
    for (int32_t i = 0; i < n_vocab && !ok; i++)
        logits[i] = -INFINITY; /* out of memory or too much work: the request ends */
    mem_free(given);
}

static bool accept(void *state, int32_t token)
{
    struct constraint *c = state;
    const struct token_text *t = &c->texts->by_id[token];

    if (c->texts->kinds[token] == TOKEN_END && grammar_matcher_may_end(c->matcher))
        return true;
    return grammar_matcher_accept(c->matcher, token, t->text, t->len);
}

static void destroy(void *state)
{
    struct constraint *c = state;

    grammar_matcher_free(c->matcher);
    gbnf_free(c->grammar);
    mem_free(c);
}

struct names {
    const struct tokenizer *tokenizer;
    bool no_memory;
};

static int32_t find_token(void *arg, const char *text, size_t len)
{
    struct names *names = arg;
    const struct tokenizer *t = names->tokenizer;
    int32_t *ids = NULL;
    int32_t n = 0;
    int32_t id = -1;
    int32_t code = t->ops->encode(t->impl, (inf_text){text, len}, false, true, &ids, &n, NULL);

    names->no_memory = names->no_memory || code == INF_ERROR_NO_MEMORY;
    if (code == INF_OK && n == 1)
        id = ids[0];
    mem_free(ids);
    return id;
}

static int32_t compile(struct constraint *c, const struct tokenizer *tokenizer, inf_text grammar,
                       inf_error *err)
{
    struct names names = {.tokenizer = tokenizer};
    int32_t code = gbnf_compile(&c->grammar, grammar, find_token, &names, err);

    if (names.no_memory)
        return error_no_memory(err);
    if (code != INF_OK)
        return code;
    c->matcher = grammar_matcher_create(c->grammar);
    if (!c->matcher)
        return error_no_memory(err);
    if (grammar_matcher_is_stuck(c->matcher))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         grammar_matcher_gave_up(c->matcher)
                             ? "grammar: it begins in too many ways"
                             : "grammar: there is no text that follows it");
    return INF_OK;
}

int32_t constraint_create(struct sampling_constraint *out, const struct tokenizer *tokenizer,
                          const struct token_texts *texts, inf_text grammar, inf_error *err)
{
    struct constraint *c = mem_calloc(1, sizeof *c);
    int32_t code = INF_OK;

    if (!c)
        return error_no_memory(err);
    c->texts = texts;
    code = compile(c, tokenizer, grammar, err);
    if (code != INF_OK) {
        destroy(c);
        return code;
    }
    *out = (struct sampling_constraint){c, apply, allows, accept, destroy};
    return INF_OK;
}
