/*
 * constraint: see the header.
 */
#include "local/constraint.h"

#include "core/memory.h"
#include "text/constraint/gbnf.h"
#include "text/constraint/grammar_matcher.h"

#include <math.h>
#include <string.h>

#define MAX_WORK 20000000   /* of one look at the vocabulary: well below a second */
#define MAX_RUN_WORK 100000 /* of tokens that need not come */

struct constraint {
    const struct token_texts *texts;
    struct grammar *grammar;
    struct grammar_matcher *matcher;
    uint64_t *allowed;   /* bits of token ids */
    uint64_t (*next)[4]; /* behind so many bytes that are tried: those that may come */
};

/* ------------------------------------------------------------------ which tokens may come */

static bool has_bit(const uint64_t *bits, size_t i)
{
    return bits[i / 64] >> i % 64 & 1;
}

static void allow(struct constraint *c, const int32_t *tokens, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        c->allowed[tokens[i] / 64] |= UINT64_C(1) << tokens[i] % 64;
}

/* Steps onto a node whose byte may come. true: into what is below it. A text whose
 * last byte may come may come, so that one needs no push. */
static bool enter(struct constraint *c, const struct token_tree *tree,
                  const struct token_node *node, size_t *pushed)
{
    struct grammar_matcher *m = c->matcher;

    if (node->end == (int32_t)(node - tree->nodes) + 1) {
        allow(c, tree->tokens + node->token, node->ending);
        return false;
    }
    grammar_matcher_try_pop(m, *pushed - node->depth);
    *pushed = node->depth;
    if (!grammar_matcher_try_push(m, node->byte))
        return false;
    ++*pushed;
    if (node->whole && grammar_matcher_takes_all(m, &node->below)) {
        allow(c, tree->tokens + node->token, node->n_tokens);
        return false;
    }
    allow(c, tree->tokens + node->token, node->ending);
    return true;
}

/* Allows every token of the tree whose text follows; false: it was too much work. */
static bool allow_tree(struct constraint *c, const struct token_tree *tree)
{
    struct grammar_matcher *m = c->matcher;
    size_t pushed = 0;

    grammar_matcher_try_begin(m);
    grammar_matcher_next_bytes(m, c->next[0]);
    for (size_t i = 0; i < tree->n_nodes;) {
        const struct token_node *node = &tree->nodes[i];

        if (!has_bit(c->next[node->depth], node->byte) || !enter(c, tree, node, &pushed)) {
            i = (size_t)node->end;
            if (grammar_matcher_gave_up(m) || grammar_matcher_try_work(m) >= MAX_WORK)
                break;
            continue;
        }
        grammar_matcher_next_bytes(m, c->next[pushed]);
        i++;
    }
    grammar_matcher_try_pop(m, pushed);
    return !grammar_matcher_gave_up(m) && grammar_matcher_try_work(m) < MAX_WORK;
}

/* Within a string nearly all tokens may come: those of plain characters are known together. */
static bool allow_texts(struct constraint *c)
{
    size_t words = (size_t)c->texts->n_vocab / 64 + 1;

    if (!grammar_matcher_takes_all(c->matcher, &c->texts->of_plain)) {
        memset(c->allowed, 0, words * sizeof *c->allowed);
        return allow_tree(c, &c->texts->all);
    }
    memcpy(c->allowed, c->texts->plain, words * sizeof *c->allowed);
    return allow_tree(c, &c->texts->others);
}

static bool may_come(const struct constraint *c, int32_t token)
{
    struct grammar_matcher *m = c->matcher;
    const struct token_text *t = &c->texts->by_id[token];
    size_t pushed = 0;

    if (grammar_matcher_gave_up(m))
        return false;
    if (c->texts->kinds[token] == TOKEN_END && grammar_matcher_may_end(m))
        return true;
    if (grammar_matcher_takes_token(m, token))
        return true;
    if (t->len == 0)
        return false;
    grammar_matcher_try_begin(m);
    while (pushed < t->len && grammar_matcher_try_push(m, (unsigned char)t->text[pushed]))
        pushed++;
    grammar_matcher_try_pop(m, pushed);
    return pushed == t->len;
}

/* ------------------------------------------------------------------ the constraint */

static bool allows(void *state, int32_t token)
{
    return may_come(state, token);
}

/* The token's text on top of what is pushed. */
static bool push_text(struct grammar_matcher *m, const struct token_text *t, size_t *pushed)
{
    size_t n = 0;

    while (n < t->len && grammar_matcher_try_push(m, (unsigned char)t->text[n]))
        n++;
    *pushed += n;
    return t->len > 0 && n == t->len && grammar_matcher_try_work(m) < MAX_RUN_WORK;
}

/* What the grammar takes by number can be told of the first token alone. */
static int32_t allows_run(void *state, const int32_t *tokens, int32_t n)
{
    const struct constraint *c = state;
    struct grammar_matcher *m = c->matcher;
    size_t pushed = 0;
    int32_t taken = 0;

    if (n == 0 || grammar_matcher_gave_up(m))
        return 0;
    if (grammar_matcher_takes_token(m, tokens[0]) ||
        (c->texts->kinds[tokens[0]] == TOKEN_END && grammar_matcher_may_end(m)))
        return 1;
    grammar_matcher_try_begin(m);
    while (taken < n && push_text(m, &c->texts->by_id[tokens[taken]], &pushed))
        taken++;
    grammar_matcher_try_drop(m, pushed);
    return taken;
}

/* What the grammar takes by number, and the ends of a text. */
static void allow_by_number(struct constraint *c)
{
    bool by_number = grammar_matcher_wants_token(c->matcher);
    bool may_end = grammar_matcher_may_end(c->matcher);

    for (int32_t i = 0; i < c->texts->n_vocab && (by_number || may_end); i++)
        if ((may_end && c->texts->kinds[i] == TOKEN_END) ||
            (by_number && grammar_matcher_takes_token(c->matcher, i)))
            c->allowed[i / 64] |= UINT64_C(1) << i % 64;
}

/* Of 64 tokens, n of which there are. Mostly all or none of them may come. */
static void forbid(float *logits, int32_t n, uint64_t allowed)
{
    if (allowed == ~UINT64_C(0))
        return;
    for (int32_t i = 0; i < n; i++)
        if (!(allowed >> i & 1))
            logits[i] = -INFINITY;
}

static void apply(void *state, float *logits, int32_t n_vocab)
{
    struct constraint *c = state;
    bool ok = !grammar_matcher_gave_up(c->matcher) && allow_texts(c);

    if (ok)
        allow_by_number(c);
    else /* too much work: the request ends */
        memset(c->allowed, 0, ((size_t)c->texts->n_vocab / 64 + 1) * sizeof *c->allowed);
    for (int32_t i = 0; i < n_vocab; i += 64) {
        uint64_t allowed = i < c->texts->n_vocab ? c->allowed[i / 64] : 0;

        forbid(logits + i, n_vocab - i < 64 ? n_vocab - i : 64, allowed);
    }
}

static bool accept(void *state, int32_t token)
{
    struct constraint *c = state;
    const struct token_text *t = &c->texts->by_id[token];

    if (c->texts->kinds[token] == TOKEN_END && grammar_matcher_may_end(c->matcher))
        return true;
    return grammar_matcher_accept(c->matcher, token, t->text, t->len);
}

static bool complete(void *state)
{
    const struct constraint *c = state;
    uint64_t next[4] = {0};

    if (!grammar_matcher_may_end(c->matcher) || grammar_matcher_wants_token(c->matcher))
        return false;
    grammar_matcher_try_begin(c->matcher);
    grammar_matcher_next_bytes(c->matcher, next);
    return !(next[0] | next[1] | next[2] | next[3]);
}

static void destroy(void *state)
{
    struct constraint *c = state;

    grammar_matcher_free(c->matcher);
    grammar_free(c->grammar);
    mem_free(c->allowed);
    mem_free(c->next);
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

/* A name was not found for want of memory. */
static int32_t settle(struct grammar **out, const struct names *names, int32_t code, inf_error *err)
{
    if (!names->no_memory)
        return code;
    grammar_free(*out);
    *out = NULL;
    return error_no_memory(err);
}

int32_t constraint_read_gbnf(struct grammar **out, const struct tokenizer *tokenizer, inf_text text,
                             inf_error *err)
{
    struct names names = {.tokenizer = tokenizer};
    int32_t code = gbnf_compile(out, text, find_token, &names, err);

    return settle(out, &names, code, err);
}

int32_t constraint_read_calls(struct grammar **out, const struct tokenizer *tokenizer,
                              struct call_grammar_options *options, inf_error *err)
{
    struct names names = {.tokenizer = tokenizer};
    int32_t code = INF_OK;

    options->find_token = find_token;
    options->arg = &names;
    code = call_grammar_make(out, options, err);
    return settle(out, &names, code, err);
}

static int32_t start(struct constraint *c, inf_error *err)
{
    size_t words = (size_t)c->texts->n_vocab / 64 + 1;

    c->allowed = mem_calloc(words, sizeof *c->allowed);
    c->next = mem_calloc((size_t)c->texts->longest + 1, sizeof *c->next);
    c->matcher = grammar_matcher_create(c->grammar);
    if (!c->matcher || !c->allowed || !c->next)
        return error_no_memory(err);
    if (grammar_matcher_is_stuck(c->matcher))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         grammar_matcher_gave_up(c->matcher)
                             ? "grammar: it begins in too many ways"
                             : "grammar: there is no text that follows it");
    return INF_OK;
}

int32_t constraint_create(struct sampling_constraint *out, const struct token_texts *texts,
                          struct grammar *grammar, inf_error *err)
{
    struct constraint *c = mem_calloc(1, sizeof *c);
    int32_t code = INF_OK;

    if (!c) {
        grammar_free(grammar);
        return error_no_memory(err);
    }
    c->texts = texts;
    c->grammar = grammar;
    code = start(c, err);
    if (code != INF_OK) {
        destroy(c);
        return code;
    }
    *out = (struct sampling_constraint){c, apply, allows, accept, destroy, complete, allows_run};
    return INF_OK;
}
