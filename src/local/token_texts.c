/*
 * token_texts: see the header.
 */
#include "local/token_texts.h"

#include "core/memory.h"
#include "core/utf8.h"

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
        if (t->by_id[id].len > t->longest)
            t->longest = t->by_id[id].len;
    }
    return true;
}

/* ------------------------------------------------------------------ trees */

static size_t common(const struct token_text *a, const struct token_text *b)
{
    size_t n = 0;

    while (n < a->len && n < b->len && a->text[n] == b->text[n])
        n++;
    return n;
}

static size_t count_nodes(const struct token_text *sorted, size_t n)
{
    size_t nodes = 0;

    for (size_t i = 0; i < n; i++)
        nodes += sorted[i].len - (i ? common(&sorted[i - 1], &sorted[i]) : 0);
    return nodes;
}

/* The nodes of the path to the last text, from the root down. */
struct path {
    int32_t nodes[LONGEST];
    size_t depth;
};

static void close_path(struct token_tree *t, struct path *p, size_t depth)
{
    while (p->depth > depth) {
        struct token_node *node = &t->nodes[p->nodes[--p->depth]];

        node->end = (int32_t)t->n_nodes;
        node->n_tokens = (int32_t)t->n_tokens - node->token;
    }
}

static void add_text(struct token_tree *t, struct path *p, const struct token_text *text)
{
    while (p->depth < text->len) {
        p->nodes[p->depth] = (int32_t)t->n_nodes;
        t->nodes[t->n_nodes++] = (struct token_node){.byte = (uint8_t)text->text[p->depth],
                                                     .depth = (uint16_t)p->depth,
                                                     .token = (int32_t)t->n_tokens};
        p->depth++;
    }
    t->nodes[p->nodes[text->len - 1]].ending++;
    t->tokens[t->n_tokens++] = text->id;
}

/* What of a text is behind a node: of whole plain characters, or not. */
static void look_below(struct token_node *node, const char *rest, size_t n)
{
    if ((int32_t)n > node->below.longest)
        node->below.longest = (int32_t)n;
    for (size_t i = 0; i < n;) {
        size_t len = utf8_sequence(rest + i, n - i);
        unsigned char byte = (unsigned char)rest[i];

        if (len == 0) {
            node->whole = false;
            return;
        }
        if (len == 1)
            node->below.ascii[byte / 64] |= UINT64_C(1) << byte % 64;
        else
            node->below.beyond_ascii = true;
        i += len;
    }
}

static bool make_tree(struct token_tree *t, const struct token_text *sorted, size_t n)
{
    struct path path = {.depth = 0};

    t->nodes = mem_calloc(count_nodes(sorted, n) + 1, sizeof *t->nodes);
    t->tokens = mem_calloc(n + 1, sizeof *t->tokens);
    if (!t->nodes || !t->tokens)
        return false;
    for (size_t i = 0; i < n; i++) {
        close_path(t, &path, i ? common(&sorted[i - 1], &sorted[i]) : 0);
        add_text(t, &path, &sorted[i]);
    }
    close_path(t, &path, 0);
    for (size_t i = 0; i < t->n_nodes; i++)
        t->nodes[i].whole = true;
    return true;
}

/* Walks along each text once more, to tell every node of it what is behind. */
static void look_at_all(struct token_tree *t, const struct token_text *by_id)
{
    int32_t path[LONGEST];

    for (size_t i = 0; i < t->n_nodes; i++) {
        const struct token_node *node = &t->nodes[i];

        path[node->depth] = (int32_t)i;
        for (int32_t k = 0; k < node->ending; k++) {
            const struct token_text *text = &by_id[t->tokens[node->token + k]];

            for (size_t d = 0; d < text->len; d++)
                look_below(&t->nodes[path[d]], text->text + d + 1, text->len - d - 1);
        }
    }
}

/* ------------------------------------------------------------------ plain ones and others */

static bool is_plain(const struct token_text *t, struct grammar_bytes *of)
{
    struct token_node all = {.whole = true};

    look_below(&all, t->text, t->len);
    if (!all.whole || all.below.ascii[0] & UINT64_C(0x4FFFFFFFF) ||
        all.below.ascii[1] & UINT64_C(0x10000000))
        return false;
    of->ascii[0] |= all.below.ascii[0];
    of->ascii[1] |= all.below.ascii[1];
    of->beyond_ascii = of->beyond_ascii || all.below.beyond_ascii;
    if (all.below.longest > of->longest)
        of->longest = all.below.longest;
    return true;
}

static bool sort_all(struct token_texts *t, struct token_text *sorted)
{
    size_t n = 0;
    size_t n_others = 0;

    for (int32_t id = 0; id < t->n_vocab; id++)
        if (t->by_id[id].len)
            sorted[n++] = t->by_id[id];
    qsort(sorted, n, sizeof *sorted, by_text);
    if (!make_tree(&t->all, sorted, n))
        return false;
    look_at_all(&t->all, t->by_id);
    for (size_t i = 0; i < n; i++)
        if (is_plain(&sorted[i], &t->of_plain))
            t->plain[sorted[i].id / 64] |= UINT64_C(1) << sorted[i].id % 64;
        else
            sorted[n_others++] = sorted[i];
    if (!make_tree(&t->others, sorted, n_others))
        return false;
    look_at_all(&t->others, t->by_id);
    return true;
}

struct token_texts *token_texts_create(const struct tokenizer *tokenizer)
{
    struct token_texts *t = mem_calloc(1, sizeof *t);
    struct token_text *sorted = NULL;
    size_t n = (size_t)tokenizer->n_vocab;
    bool ok = false;

    if (!t)
        return NULL;
    t->n_vocab = tokenizer->n_vocab;
    buffer_init(&t->bytes, BUFFER_NO_LIMIT);
    t->kinds = mem_calloc(n, sizeof *t->kinds);
    t->by_id = mem_calloc(n, sizeof *t->by_id);
    t->plain = mem_calloc(n / 64 + 1, sizeof *t->plain);
    sorted = mem_calloc(n, sizeof *sorted);
    ok = t->kinds && t->by_id && t->plain && sorted && read_all(t, tokenizer) &&
         sort_all(t, sorted);
    mem_free(sorted);
    if (ok)
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
    mem_free(t->plain);
    mem_free(t->all.nodes);
    mem_free(t->all.tokens);
    mem_free(t->others.nodes);
    mem_free(t->others.tokens);
    mem_free(t);
}
