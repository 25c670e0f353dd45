/*
 * added_tokens: see the header. The order of things is the tokenizers library's: a match that is not
 * taken (no single word; a special token as text) is passed over whole.
 */
#include "hf/tokenizer/added_tokens.h"

#include "core/growing.h"
#include "core/memory.h"
#include "core/utf8.h"
#include "hf/tokenizer/char_kind.h"
#include "hf/tokenizer/normalizer.h"

#include <string.h>

void added_tokens_init(struct added_tokens *a)
{
    memset(a, 0, sizeof *a);
    vocab_init(&a->contents);
}

void added_tokens_free(struct added_tokens *a)
{
    for (size_t i = 0; i < a->n; i++) {
        mem_free(a->tokens[i].content);
        mem_free(a->tokens[i].normal);
    }
    mem_free(a->tokens);
    mem_free(a->of_id);
    vocab_free(&a->contents);
    token_trie_free(&a->plain);
    token_trie_free(&a->normal);
    memset(a, 0, sizeof *a);
}

void added_tokens_begin(struct added_tokens *a, const struct vocab *model)
{
    a->next_id = model->n;
    if (a->n_of_id > model->n) /* the largest added id is behind the model's */
        a->next_id = (uint32_t)a->n_of_id;
}

const struct added_token *added_token_of(const struct added_tokens *a, int32_t id)
{
    return id >= 0 && (size_t)id < a->n_of_id && a->of_id[id] >= 0 ? a->tokens + a->of_id[id]
                                                                   : NULL;
}

int32_t added_token_id(const struct added_tokens *a, const char *content, size_t len)
{
    int32_t at = vocab_find(&a->contents, content, len);

    return at >= 0 ? a->tokens[at].id : -1;
}

/* The token of an id, made when there is none. */
static struct added_token *token_of(struct added_tokens *a, int32_t id, const char *content,
                                    size_t len)
{
    struct added_token *t = NULL;

    if (added_token_of(a, id))
        return a->tokens + a->of_id[id];
    if (!GROW(a->tokens, a->cap, a->n + 1) || !GROW(a->of_id, a->of_id_cap, (size_t)id + 1))
        return NULL;
    t = a->tokens + a->n;
    memset(t, 0, sizeof *t);
    t->content = mem_strndup(content, len);
    if (!t->content || vocab_add(&a->contents, content, len, (uint32_t)a->n) != VOCAB_ADDED) {
        mem_free(t->content);
        return NULL;
    }
    for (; a->n_of_id <= (size_t)id; a->n_of_id++)
        a->of_id[a->n_of_id] = -1;
    t->len = len;
    t->id = id;
    a->of_id[id] = (int32_t)a->n++;
    return t;
}

static int32_t set_normal(struct added_token *t, const struct normalizer *normalizer,
                          inf_error *err)
{
    struct buffer out;
    int32_t code = INF_OK;

    mem_free(t->normal);
    t->normal = NULL;
    if (!t->normalized || !normalizer)
        return INF_OK;
    buffer_init(&out, BUFFER_NO_LIMIT);
    code = normalizer_apply_once(normalizer, t->content, t->len, &out, err);
    if (code == INF_OK && (out.len != t->len || memcmp(out.data, t->content, t->len) != 0)) {
        t->normal = out.data ? out.data : mem_strdup("");
        t->normal_len = out.len;
        if (!t->normal)
            code = error_no_memory(err);
        return code;
    }
    buffer_free(&out);
    return code;
}

int32_t added_tokens_add(struct added_tokens *a, const struct vocab *model,
                         const struct normalizer *normalizer, const struct added_token *token,
                         inf_error *err)
{
    int32_t id = added_token_id(a, token->content, token->len);
    struct added_token *t = NULL;

    if (token->len == 0)
        return INF_OK;
    if (token->len > ADDED_TOKEN_LONGEST)
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         "an added token of %zu bytes is too long: the longest is %d", token->len,
                         ADDED_TOKEN_LONGEST);
    if (id < 0)
        id = vocab_find(model, token->content, token->len);
    if (id < 0)
        id = (int32_t)a->next_id++;
    if (id >= VOCAB_MAX_IDS)
        return error_set(err, INF_ERROR_UNSUPPORTED, "more than %d tokens", VOCAB_MAX_IDS);
    t = token_of(a, id, token->content, token->len);
    if (!t)
        return error_no_memory(err);
    t->single_word = token->single_word;
    t->lstrip = token->lstrip;
    t->rstrip = token->rstrip;
    t->normalized = token->normalized;
    t->special = token->special;
    t->hidden = t->hidden || token->special;
    return set_normal(t, normalizer, err);
}

bool added_tokens_finish(struct added_tokens *a)
{
    bool ok = true;

    for (size_t i = 0; i < a->n && ok; i++) {
        const struct added_token *t = a->tokens + i;

        if (t->normal)
            ok = token_trie_add(&a->normal, t->normal, t->normal_len, t->id);
        else
            ok = token_trie_add(t->normalized ? &a->normal : &a->plain, t->content, t->len, t->id);
    }
    return ok;
}

/* ------------------------------------------------------------------ in a text */

void added_search_init(struct added_search *search, const struct added_tokens *tokens,
                       bool normalized, const char *s, size_t n, bool specials)
{
    *search = (struct added_search){.tokens = tokens,
                                    .trie = normalized ? &tokens->normal : &tokens->plain,
                                    .s = s,
                                    .n = n,
                                    .id = -1,
                                    .specials = specials};
}

static bool word_before(const char *s, size_t at)
{
    size_t begin = at ? utf8_back(s, at) : 0;

    return at && char_is_word(utf8_decode(s + begin, at - begin));
}

static bool word_behind(const char *s, size_t n, size_t at)
{
    return at < n && char_is_word(utf8_step(s, &at));
}

static size_t spaces_before(const char *s, size_t at)
{
    while (at > 0) {
        size_t begin = utf8_back(s, at);

        if (!char_is_space(utf8_decode(s + begin, at - begin)))
            break;
        at = begin;
    }
    return at;
}

static size_t spaces_behind(const char *s, size_t n, size_t at)
{
    while (at < n) {
        size_t next = at;

        if (!char_is_space(utf8_step(s, &next)))
            break;
        at = next;
    }
    return at;
}

/* A match that counts, with the white space it takes along: where it begins. */
static bool next_match(struct added_search *search, size_t *begin)
{
    size_t end = 0;
    int32_t id = -1;

    while (token_trie_find(search->trie, search->s, search->n, search->seen, begin, &end, &id)) {
        const struct added_token *t = added_token_of(search->tokens, id);

        search->seen = end;
        if (t->hidden && !search->specials)
            continue;
        if (t->single_word &&
            (word_before(search->s, *begin) || word_behind(search->s, search->n, end)))
            continue;
        if (t->lstrip)
            *begin = spaces_before(search->s, *begin);
        if (t->lstrip && *begin < search->at)
            *begin = search->at; /* the one before took that white space */
        if (t->rstrip)
            end = spaces_behind(search->s, search->n, end);
        search->id = id;
        search->id_end = end;
        return true;
    }
    return false;
}

static bool tell_text(struct added_search *search, struct added_piece *out, size_t end)
{
    *out = (struct added_piece){search->s + search->at, end - search->at, -1};
    search->at = end;
    return true;
}

/* A token may stand in white space that the one before took: the text then goes on behind it, which
 * is further to the front, as in the library. */
bool added_search_next(struct added_search *search, struct added_piece *out)
{
    size_t begin = 0;

    if (search->id < 0) {
        if (!next_match(search, &begin))
            return search->at < search->n && tell_text(search, out, search->n);
        if (search->at < begin)
            return tell_text(search, out, begin);
    }
    *out = (struct added_piece){NULL, 0, search->id};
    search->at = search->id_end;
    search->id = -1;
    return true;
}
