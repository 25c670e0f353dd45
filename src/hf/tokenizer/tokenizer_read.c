/*
 * tokenizer: read from its files; see tokenizer_parts.h. tokenizer.json is gone through once, its
 * strings unescaped in place; its small parts are kept as spans until the model is
 * there.
 */
#include "hf/tokenizer/tokenizer_parts.h"

#include "core/memory.h"
#include "core/utf8.h"
#include "hf/tokenizer/char_kind.h"
#include "hf/tokenizer/config_tokens.h"

#include <string.h>

struct parts {
    struct json_span added, normalizer, pre_tokenizer, post_processor, decoder;
    bool model;
};

static int32_t damaged(const struct json_in *in, const char *name, inf_error *err)
{
    return error_set(err, INF_ERROR_BAD_FORMAT, "%s: %s (byte %zu)", name,
                     in->failed ? in->failed : "it is damaged", (size_t)(in->at - in->begin));
}

/* A member of the whole. A part that is kept is looked at whole: later code need not. */
static int32_t read_member(struct hf_tokenizer *t, struct parts *parts, struct json_in *in,
                           struct json_span key, const char *name, inf_error *err)
{
    struct json_span skipped, version;
    struct json_span *kept = json_in_is(key, "added_tokens")     ? &parts->added
                             : json_in_is(key, "normalizer")     ? &parts->normalizer
                             : json_in_is(key, "pre_tokenizer")  ? &parts->pre_tokenizer
                             : json_in_is(key, "post_processor") ? &parts->post_processor
                             : json_in_is(key, "decoder")        ? &parts->decoder
                             : json_in_is(key, "version")        ? &version
                                                                 : &skipped;

    if (json_in_is(key, "model")) {
        if (parts->model)
            return error_set(err, INF_ERROR_BAD_FORMAT, "%s: it has two models", name);
        parts->model = true;
        return token_model_read(&t->model, in, name, err);
    }
    if (!json_in_skip(in, &skipped))
        return damaged(in, name, err);
    if (kept != &skipped && !scan_json(kept, skipped.data, skipped.len))
        return error_set(err, INF_ERROR_BAD_FORMAT, "%s: %.*s is not JSON", name, (int)key.len,
                         key.data);
    if (kept == &version && !scan_equals(version, "1.0"))
        return error_set(err, INF_ERROR_UNSUPPORTED, "%s: its version is not 1.0", name);
    return INF_OK;
}

static int32_t read_members(struct hf_tokenizer *t, struct parts *parts, struct json_in *in,
                            const char *name, inf_error *err)
{
    struct json_span key;
    bool first = true;
    int32_t code = INF_OK;

    if (!json_in_open(in, '{'))
        return damaged(in, name, err);
    while (code == INF_OK && json_in_member(in, &first, &key))
        code = read_member(t, parts, in, key, name, err);
    if (code == INF_OK && !json_in_end(in))
        return damaged(in, name, err);
    if (code == INF_OK && !parts->model)
        return error_set(err, INF_ERROR_BAD_FORMAT, "%s: it has no model", name);
    return code;
}

/* ------------------------------------------------------------------ added tokens */

static int32_t read_added_token(struct hf_tokenizer *t, struct json_span json, inf_error *err)
{
    struct json_span content = scan_member(json, "content");
    struct added_token token = {.normalized = scan_is_true(scan_member(json, "normalized")),
                                .special = scan_is_true(scan_member(json, "special")),
                                .single_word = scan_is_true(scan_member(json, "single_word")),
                                .lstrip = scan_is_true(scan_member(json, "lstrip")),
                                .rstrip = scan_is_true(scan_member(json, "rstrip"))};
    struct buffer text;
    int32_t code = INF_OK;

    if (!scan_is_string(content))
        return error_set(err, INF_ERROR_BAD_FORMAT, "added_tokens: a token without content");
    buffer_init(&text, BUFFER_NO_LIMIT);
    if (!scan_unescape(&text, content))
        code = error_no_memory(err);
    else if (!utf8_valid(text.data ? text.data : "", text.len))
        code = error_set(err, INF_ERROR_BAD_FORMAT, "added_tokens: a token that is no text");
    token.content = text.data;
    token.len = text.len;
    if (code == INF_OK)
        code = added_tokens_add(&t->added, &t->model.vocab, t->normalizer, &token, err);
    buffer_free(&text);
    return code;
}

static int32_t read_added(struct hf_tokenizer *t, struct json_span json, inf_error *err)
{
    struct json_span token;
    struct json_walk w;
    int32_t code = INF_OK;

    if (json.data && !scan_array(&w, json))
        return error_set(err, INF_ERROR_BAD_FORMAT, "added_tokens is no array");
    added_tokens_begin(&t->added, &t->model.vocab);
    while (json.data && code == INF_OK && scan_next_item(&w, &token))
        code = read_added_token(t, token, err);
    return code;
}

/* ------------------------------------------------------------------ the whole */

static int32_t read_parts(struct hf_tokenizer *t, const struct parts *parts, inf_error *err)
{
    bool raw = false;
    int32_t code = normalizer_read(&t->normalizer, parts->normalizer, err);

    if (code == INF_OK)
        code = pre_tokenizer_read(&t->pre, parts->pre_tokenizer, err);
    if (code == INF_OK)
        code = post_processor_read(&t->post, parts->post_processor, err);
    if (code == INF_OK)
        code = token_decoder_read(&t->decoder, parts->decoder, err);
    if (code == INF_OK)
        code = token_model_finish(&t->model, pre_tokenizer_ends_in_bytes(t->pre), &raw, err);
    if (code == INF_OK && raw)
        pre_tokenizer_keep_bytes(t->pre);
    return code == INF_OK ? read_added(t, parts->added, err) : code;
}

static int32_t read_json(struct hf_tokenizer *t, char *text, size_t n, const char *name,
                         inf_error *err)
{
    struct parts parts = {.model = false};
    struct json_in in;
    int32_t code = INF_OK;

    if (!utf8_valid(text, n))
        return error_set(err, INF_ERROR_BAD_FORMAT, "%s: it is not UTF-8", name);
    json_in_init(&in, text, n);
    code = read_members(t, &parts, &in, name, err);
    if (code != INF_OK)
        return code;
    code = read_parts(t, &parts, err);
    return code == INF_OK ? INF_OK : error_prefix(err, "%s", name);
}

static int32_t count_ids(struct hf_tokenizer *t)
{
    size_t n = t->model.vocab.n_ids;

    return (int32_t)(t->added.n_of_id > n ? t->added.n_of_id : n);
}

int32_t tokenizer_read(struct hf_tokenizer *t, const struct hf_tokenizer_files *source,
                       inf_error *err)
{
    int32_t code = INF_OK;

    char_kinds_init();
    added_tokens_init(&t->added);
    code = read_json(t, source->json, source->len, source->names[0], err);
    if (code == INF_OK)
        code = config_tokens_read(t, source, err);
    if (code == INF_OK && !added_tokens_finish(&t->added))
        code = error_no_memory(err);
    t->size = count_ids(t);
    return code;
}
