/*
 * token_texts: see the header.
 */
#include "local/token_texts.h"

#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

#define LONGEST 512

static int by_text(const void *a, const void *b)
{
    const struct token_text *x = a;
    const struct token_text *y = b;
    size_t n = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->text, y->text, n);

    return order ? order : (int)x->len - (int)y->len;
}

/* A hidden token's text would count for a grammar and be missing from the output. */
static bool read_token(struct token_texts *t, const struct tokenizer *tokenizer, int32_t id)
{
    enum token_kind kind = tokenizer->ops->kind(tokenizer->impl, id);
    size_t begin = t->bytes.len;
    size_t len = 0;

    if (kind == TOKEN_TEXT && !tokenizer->ops->token_text(tokenizer->impl, id, &t->bytes))
        return false;
    len = t->bytes.len - begin;
    if (len > LONGEST) {
        kind = TOKEN_HIDDEN;
        len = 0;
        t->bytes.len = begin;
    }
    t->kinds[id] = (uint8_t)kind;
    t->by_id[id] = (struct token_text){NULL, id, (uint16_t)len};
    return true;
}

static bool read_all(struct token_texts *t, const struct tokenizer *tokenizer)
{
    const char *text = NULL;

    for (int32_t id = 0; id < t->n_vocab; id++)
        if (!read_token(t, tokenizer, id))
            return false;
    text = t->bytes.data ? t->bytes.data : ""; /* it no longer moves */
    for (int32_t id = 0; id < t->n_vocab; id++) {
        t->by_id[id].text = text;
        text += t->by_id[id].len;
        if (t->by_id[id].len)
            t->sorted[t->n_sorted++] = t->by_id[id];
    }
    qsort(t->sorted, t->n_sorted, sizeof *t->sorted, by_text);
    return true;
}

struct token_texts *token_texts_create(const struct tokenizer *tokenizer)
{
    struct token_texts *t = mem_calloc(1, sizeof *t);
    size_t n = (size_t)tokenizer->n_vocab;

    if (!t)
        return NULL;
    t->n_vocab = tokenizer->n_vocab;
    buffer_init(&t->bytes, BUFFER_NO_LIMIT);
    t->kinds = mem_calloc(n, sizeof *t->kinds);
    t->by_id = mem_calloc(n, sizeof *t->by_id);
    t->sorted = mem_calloc(n, sizeof *t->sorted);
    if (t->kinds && t->by_id && t->sorted && read_all(t, tokenizer))
        return t;
    token_texts_free(t);
    return NULL;
}

void token_texts_free(struct token_texts *t)
{
    if (!t)
        return;
    buffer_free(&t->bytes);
    mem_free(t->kinds);
    mem_free(t->by_id);
    mem_free(t->sorted);
    mem_free(t);
}
