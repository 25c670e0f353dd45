/*
 * tokenizer: made of parts that no tokenizer.json holds; see tokenizer.h. The vocabulary and the merges
 * come as they lie where they are; the small parts are written as in a tokenizer.json and read by the
 * same code.
 */
#include "hf/tokenizer/tokenizer_parts.h"

#include "core/utf8.h"
#include "hf/tokenizer/char_kind.h"
#include "hf/tokenizer/merge_list.h"

#include <string.h>

static int shown(size_t n)
{
    return (int)(n < 60 ? n : 60);
}

/* ------------------------------------------------------------------ vocabulary and merges */

static int32_t add_token(struct vocab *v, inf_text text, uint32_t id, inf_error *err)
{
    enum vocab_added added = VOCAB_ADDED;

    if (!text.data)
        return INF_OK;
    if (!utf8_valid(text.data, text.len))
        return error_set(err, INF_ERROR_BAD_FORMAT, "token %u is not UTF-8", (unsigned)id);
    added = vocab_add(v, text.data, text.len, id);
    if (added == VOCAB_ADDED)
        return INF_OK;
    if (added == VOCAB_NO_MEMORY)
        return error_no_memory(err);
    return error_set(err, INF_ERROR_BAD_FORMAT, "token %u, \"%.*s\", %s", (unsigned)id,
                     shown(text.len), text.data,
                     added == VOCAB_ID_LARGE ? "is one too many" : "is there twice");
}

static int32_t make_vocab(struct vocab *v, const struct hf_tokenizer_parts *parts, inf_error *err)
{
    inf_text text = {0};
    int32_t code = INF_OK;

    vocab_init(v);
    if (!vocab_reserve(v, parts->n_tokens, parts->n_bytes))
        return error_no_memory(err);
    for (uint32_t id = 0; code == INF_OK && parts->next_token(parts->user, &text); id++)
        code = add_token(v, text, id, err);
    return code;
}

static enum merge_done add_merge(struct merge_list *list, inf_text text)
{
    const char *space = text.len ? memchr(text.data, ' ', text.len) : NULL;
    size_t n = space ? (size_t)(space - text.data) : 0;

    if (!space || memchr(space + 1, ' ', text.len - n - 1)) {
        list->unknown = (struct vocab_query){.text = text.len ? text.data : "", .len = text.len};
        return MERGE_UNKNOWN;
    }
    return merge_list_add(list, (inf_text){text.data, n}, (inf_text){space + 1, text.len - n - 1});
}

static int32_t make_merges(struct token_model *m, const struct hf_tokenizer_parts *parts,
                           inf_error *err)
{
    struct merge_list list;
    enum merge_done done = MERGE_DONE;
    inf_text text = {0};
    int32_t code = INF_OK;

    merge_list_init(&list, &m->vocab, 0);
    while (done == MERGE_DONE && parts->next_merge(parts->user, &text))
        done = add_merge(&list, text);
    if (done == MERGE_DONE)
        done = merge_list_finish(&list, &m->bpe);
    if (done == MERGE_NO_MEMORY)
        code = error_no_memory(err);
    else if (done == MERGE_UNKNOWN)
        code = error_set(err, INF_ERROR_BAD_FORMAT, "a merge needs \"%.*s\", which is no token",
                         shown(list.unknown.len), list.unknown.text);
    merge_list_free(&list);
    return code;
}

static int32_t make_model(struct token_model *m, const struct hf_tokenizer_parts *parts,
                          inf_error *err)
{
    int32_t code = make_vocab(&m->vocab, parts, err);

    m->kind = MODEL_BPE;
    m->bpe.unk = -1;
    m->bpe.ignore_merges = parts->ignore_merges;
    return code == INF_OK ? make_merges(m, parts, err) : code;
}

/* ------------------------------------------------------------------ the small parts */

static int32_t span_of(struct json_span *out, const char *text, inf_error *err)
{
    *out = (struct json_span){NULL, 0};
    if (text && !scan_json(out, text, strlen(text)))
        return error_set(err, INF_ERROR_BAD_FORMAT, "a part is not JSON");
    return INF_OK;
}

static int32_t read_parts(struct hf_tokenizer *t, const struct hf_tokenizer_parts *parts,
                          inf_error *err)
{
    struct json_span normalizer, pre, decoder;
    int32_t code = span_of(&normalizer, parts->normalizer, err);

    if (code == INF_OK)
        code = span_of(&pre, parts->pre_tokenizer, err);
    if (code == INF_OK)
        code = span_of(&decoder, parts->decoder, err);
    if (code == INF_OK)
        code = normalizer_read(&t->normalizer, normalizer, err);
    if (code == INF_OK)
        code = pre_tokenizer_read(&t->pre, pre, err);
    if (code == INF_OK)
        code = token_decoder_read(&t->decoder, decoder, err);
    return code;
}

static bool put_around(struct post_processor *post, int32_t before, int32_t behind)
{
    return (before < 0 || id_push(&post->parts, before)) && id_push(&post->parts, POST_SEQUENCE) &&
           (behind < 0 || id_push(&post->parts, behind));
}

static int32_t add_added(struct hf_tokenizer *t, const struct hf_tokenizer_parts *parts,
                         inf_error *err)
{
    int32_t code = INF_OK;

    added_tokens_begin(&t->added, &t->model.vocab);
    for (size_t i = 0; i < parts->n_added && code == INF_OK; i++) {
        const struct hf_added_token *a = parts->added + i;
        struct added_token token = {
            .content = (char *)(uintptr_t)a->text.data, .len = a->text.len, .special = a->special};

        code = added_tokens_add(&t->added, &t->model.vocab, t->normalizer, &token, err);
    }
    if (code == INF_OK && !added_tokens_finish(&t->added))
        code = error_no_memory(err);
    return code;
}

int32_t tokenizer_make(struct hf_tokenizer *t, const struct hf_tokenizer_parts *parts,
                       inf_error *err)
{
    bool raw = false;
    int32_t code = INF_OK;

    char_kinds_init();
    added_tokens_init(&t->added);
    code = make_model(&t->model, parts, err);
    if (code == INF_OK)
        code = read_parts(t, parts, err);
    if (code == INF_OK)
        code = token_model_finish(&t->model, pre_tokenizer_ends_in_bytes(t->pre), &raw, err);
    if (raw)
        pre_tokenizer_keep_bytes(t->pre);
    if (code == INF_OK && !put_around(&t->post, parts->before, parts->behind))
        code = error_no_memory(err);
    if (code == INF_OK)
        code = add_added(t, parts, err);
    t->size = (int32_t)t->model.vocab.n_ids;
    return code;
}
