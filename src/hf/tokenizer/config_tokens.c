/*
 * config_tokens: see the header. As transformers 5 does it: added_tokens_decoder, where it is there,
 * says what tokens are like, and special_tokens_map.json and added_tokens.json then count for nothing; else
 * special_tokens_map.json goes before tokenizer_config.json, and what added_tokens.json has beside
 * tokenizer.json is added, in the order of its ids. Tokens that neither tokenizer.json nor
 * that list has become special ones, with the next free ids.
 */
#include "hf/tokenizer/config_tokens.h"

#include "core/memory.h"
#include "core/utf8.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_TOKENS = 1 << 20, MOST_NAMES = 256 };

const char *hf_token_name(enum hf_named_token which)
{
    static const char *const names[HF_NAMED_TOKENS] = {
        [HF_TOKEN_BOS] = "bos_token",  [HF_TOKEN_EOS] = "eos_token", [HF_TOKEN_UNK] = "unk_token",
        [HF_TOKEN_SEP] = "sep_token",  [HF_TOKEN_PAD] = "pad_token", [HF_TOKEN_CLS] = "cls_token",
        [HF_TOKEN_MASK] = "mask_token"};

    return names[which];
}

/* A token that shall be added. */
struct wanted {
    struct json_span json; /* an object with content, or a string */
    int64_t order;
    bool special; /* whatever it says */
};

struct merging {
    struct hf_tokenizer *t;
    struct json_span config, map, added;
    bool decoder;      /* added_tokens_decoder is there */
    const char *where; /* the file that is being read, for messages */
    const char *added_name;
    struct wanted *wanted;
    size_t n, cap;
    struct vocab contents; /* of those that are wanted */
    struct buffer text;    /* the last one that was read */
    inf_error *err;
};

/* ------------------------------------------------------------------ tokens in JSON */

static struct json_span content_of(struct json_span token)
{
    return scan_is_object(token) ? scan_member(token, "content") : token;
}

/* The text that a JSON string means, into m->text. BAD_FORMAT: half a surrogate pair. */
static int32_t read_text(struct merging *m, struct json_span string)
{
    buffer_clear(&m->text);
    if (!scan_unescape(&m->text, string) || !buffer_append(&m->text, "", 0))
        return error_no_memory(m->err);
    return utf8_valid(m->text.data, m->text.len)
               ? INF_OK
               : error_set(m->err, INF_ERROR_BAD_FORMAT, "a token that is no text");
}

/* That text, which is the caller's from now on. */
static char *take_text(struct merging *m)
{
    char *text = m->text.data;

    buffer_init(&m->text, BUFFER_NO_LIMIT);
    return text;
}

/* That text as one of a set. */
static int32_t note_text(struct merging *m, struct vocab *set)
{
    return vocab_add(set, m->text.data, m->text.len, set->n_ids) == VOCAB_NO_MEMORY
               ? error_no_memory(m->err)
               : INF_OK;
}

/* Whether tokenizer.json has that text. */
static bool is_there(const struct merging *m)
{
    return added_token_id(&m->t->added, m->text.data, m->text.len) >= 0;
}

static int32_t want(struct merging *m, struct json_span token, int64_t order, bool special)
{
    if (!scan_is_string(content_of(token)))
        return INF_OK;
    if (m->n == MOST_TOKENS)
        return error_set(m->err, INF_ERROR_BAD_FORMAT, "more than %d added tokens", MOST_TOKENS);
    if (!GROW(m->wanted, m->cap, m->n + 1))
        return error_no_memory(m->err);
    m->wanted[m->n++] = (struct wanted){token, order, special};
    return INF_OK;
}

/* Unless tokenizer.json or what is wanted already has it. */
static int32_t want_new(struct merging *m, struct json_span token)
{
    int32_t code = INF_OK;

    if (!scan_is_string(content_of(token)))
        return INF_OK;
    code = read_text(m, content_of(token));
    if (code != INF_OK || m->text.len == 0 || is_there(m) ||
        vocab_find(&m->contents, m->text.data, m->text.len) >= 0)
        return code;
    code = want(m, token, INT64_MAX, true);
    return code == INF_OK ? note_text(m, &m->contents) : code;
}

static int32_t add_text(struct merging *m, struct vocab *set, struct json_span token)
{
    int32_t code = INF_OK;

    if (!scan_is_string(content_of(token)))
        return INF_OK;
    code = read_text(m, content_of(token));
    return code == INF_OK ? note_text(m, set) : code;
}

/* ------------------------------------------------------------------ added_tokens_decoder */

/* {"151643": {"content": ..., "special": ...}, ...} */
static int32_t want_decoder(struct merging *m, struct json_span decoder)
{
    struct json_span key, token;
    struct json_walk w;
    int32_t code = INF_OK;

    scan_object(&w, decoder);
    while (code == INF_OK && scan_next_member(&w, &key, &token)) {
        int64_t order = 0;

        if (!scan_integer((struct json_span){key.data + 1, key.len - 2}, &order) ||
            !scan_is_string(content_of(token)) || !scan_is_object(token))
            return error_set(m->err, INF_ERROR_BAD_FORMAT,
                             "added_tokens_decoder: an id and a token are expected");
        code = want(m, token, order, false);
        if (code == INF_OK)
            code = add_text(m, &m->contents, token);
    }
    return code;
}

/* ------------------------------------------------------------------ the others */

/* The value of a key, from the file that counts for it. */
static struct json_span value_of(const struct merging *m, const char *key)
{
    struct json_span value = {NULL, 0};

    if (!m->decoder)
        value = scan_member(m->map, key);
    return value.data ? value : scan_member(m->config, key);
}

static int32_t add_list(struct merging *m, struct vocab *set, struct json_span list)
{
    struct json_span key, token;
    struct json_walk w;
    int32_t code = INF_OK;

    if (scan_array(&w, list))
        while (code == INF_OK && scan_next_item(&w, &token))
            code = add_text(m, set, token);
    else if (scan_object(&w, list))
        while (code == INF_OK && scan_next_member(&w, &key, &token))
            code = add_text(m, set, token);
    return code;
}

/* The tokens that the files name as bos, eos, ... or among the further special ones. */
static int32_t collect_special(struct merging *m, struct vocab *set)
{
    static const char *const lists[] = {"extra_special_tokens", "additional_special_tokens"};
    int32_t code = INF_OK;

    for (enum hf_named_token i = 0; i < HF_NAMED_TOKENS && code == INF_OK; i++)
        code = add_text(m, set, value_of(m, hf_token_name(i)));
    for (size_t i = 0; i < 2 && code == INF_OK; i++) {
        code = add_list(m, set, scan_member(m->config, lists[i]));
        if (code == INF_OK)
            code = add_list(m, set, scan_member(m->map, lists[i]));
    }
    return code;
}

static int32_t want_added_token(struct merging *m, struct json_span token, struct json_span id,
                                const struct vocab *special)
{
    int64_t order = 0;
    int32_t code = INF_OK;

    if (!scan_integer(id, &order))
        return error_set(m->err, INF_ERROR_BAD_FORMAT, "a token's id is no whole number");
    code = read_text(m, token);
    if (code != INF_OK || m->text.len == 0 || is_there(m))
        return code;
    code = want(m, token, order, vocab_find(special, m->text.data, m->text.len) >= 0);
    return code == INF_OK ? note_text(m, &m->contents) : code;
}

/* {"<tool>": 32000, ...}: those that tokenizer.json has are as it says. */
static int32_t want_added(struct merging *m)
{
    struct json_span token, id;
    struct json_walk w;
    struct vocab special;
    int32_t code = INF_OK;

    vocab_init(&special);
    code = collect_special(m, &special);
    scan_object(&w, m->added);
    while (code == INF_OK && scan_next_member(&w, &token, &id))
        code = want_added_token(m, token, id, &special);
    vocab_free(&special);
    return code;
}

static int32_t name_tokens(struct merging *m)
{
    int32_t code = INF_OK;

    for (enum hf_named_token i = 0; i < HF_NAMED_TOKENS && code == INF_OK; i++) {
        struct json_span content = content_of(value_of(m, hf_token_name(i)));

        if (!scan_is_string(content))
            continue;
        code = read_text(m, content);
        if (code == INF_OK) {
            m->t->named[i] = take_text(m);
            code = want_new(m, value_of(m, hf_token_name(i)));
        }
    }
    return code;
}

static bool is_named_already(const struct hf_tokenizer *t, const char *name)
{
    for (enum hf_named_token i = 0; i < HF_NAMED_TOKENS; i++)
        if (strcmp(hf_token_name(i), name) == 0)
            return true;
    for (size_t i = 0; i < t->n_extra; i++)
        if (strcmp(t->extra[i].name, name) == 0)
            return true;
    return false;
}

/* A name of the model's own for a token; the first of a name counts. */
static int32_t note_name(struct merging *m, struct json_span key, struct json_span token)
{
    struct hf_tokenizer *t = m->t;
    char *name = NULL;
    int32_t code = INF_OK;

    if (!scan_is_string(content_of(token)) || t->n_extra == MOST_NAMES)
        return INF_OK;
    code = read_text(m, key);
    if (code != INF_OK || is_named_already(t, m->text.data))
        return code;
    if (!GROW(t->extra, t->extra_cap, t->n_extra + 1))
        return error_no_memory(m->err);
    name = take_text(m);
    code = read_text(m, content_of(token));
    if (code == INF_OK)
        t->extra[t->n_extra++] = (struct extra_token){name, take_text(m)};
    else
        mem_free(name);
    return code;
}

/* Tokens of a list, or of an object by name. */
static int32_t want_all(struct merging *m, struct json_span tokens)
{
    struct json_span key, token;
    struct json_walk w;
    int32_t code = INF_OK;

    if (scan_array(&w, tokens))
        while (code == INF_OK && scan_next_item(&w, &token))
            code = want_new(m, token);
    else if (scan_object(&w, tokens))
        while (code == INF_OK && scan_next_member(&w, &key, &token)) {
            code = want_new(m, token);
            if (code == INF_OK)
                code = note_name(m, key, token);
        }
    return code;
}

/* Whether there is something in it. */
static bool is_filled(struct json_span list)
{
    struct json_span key, item;
    struct json_walk w;

    if (scan_array(&w, list))
        return scan_next_item(&w, &item);
    return scan_object(&w, list) && scan_next_member(&w, &key, &item);
}

static int32_t want_extra(struct merging *m)
{
    struct json_span extra = scan_member(m->config, "extra_special_tokens");
    int32_t code = INF_OK;

    if (!is_filled(extra))
        extra = scan_member(m->config, "additional_special_tokens");
    code = want_all(m, extra);
    if (code != INF_OK || m->decoder)
        return code;
    code = want_all(m, scan_member(m->map, "extra_special_tokens"));
    if (code == INF_OK && !is_filled(extra))
        code = want_all(m, scan_member(m->map, "additional_special_tokens"));
    return code;
}

/* "image_token": "<image>" and the like of tokenizer_config.json. */
static int32_t want_model_specific(struct merging *m)
{
    static const char ending[] = "_token\"";
    struct json_span key, value;
    struct json_walk w;
    int32_t code = INF_OK;

    scan_object(&w, m->config);
    while (code == INF_OK && scan_next_member(&w, &key, &value))
        if (scan_is_string(value) && key.len > sizeof ending &&
            memcmp(key.data + key.len - (sizeof ending - 1), ending, sizeof ending - 1) == 0) {
            code = want_new(m, value); /* the named ones are there already */
            if (code == INF_OK)
                code = note_name(m, key, value);
        }
    return code;
}

/* ------------------------------------------------------------------ adding */

static bool flag(struct json_span token, const char *name)
{
    return scan_is_object(token) && scan_is_true(scan_member(token, name));
}

static int32_t add(struct merging *m, const struct wanted *wanted)
{
    struct json_span json = wanted->json;
    struct json_span normalized = {NULL, 0};
    struct added_token token = {.special = wanted->special || flag(json, "special"),
                                .single_word = flag(json, "single_word"),
                                .lstrip = flag(json, "lstrip"),
                                .rstrip = flag(json, "rstrip")};
    int32_t code = read_text(m, content_of(json));

    if (scan_is_object(json))
        normalized = scan_member(json, "normalized");
    token.normalized = scan_is_none(normalized) ? !token.special : scan_is_true(normalized);
    token.content = m->text.data;
    token.len = m->text.len;
    if (code != INF_OK)
        return code;
    return added_tokens_add(&m->t->added, &m->t->model.vocab, m->t->normalizer, &token, m->err);
}

static int32_t add_all(struct merging *m)
{
    int32_t code = INF_OK;

    added_tokens_begin(&m->t->added, &m->t->model.vocab);
    for (size_t i = 0; i < m->n && code == INF_OK; i++)
        code = add(m, m->wanted + i);
    return code;
}

static int32_t parse(struct json_span *out, inf_text text, const char *name, inf_error *err)
{
    *out = (struct json_span){NULL, 0};
    if (!text.data)
        return INF_OK;
    if (!scan_json(out, text.data, text.len) || !scan_is_object(*out))
        return error_set(err, INF_ERROR_BAD_FORMAT, "%s: it is not a JSON object", name);
    return INF_OK;
}

static int by_order(const void *a, const void *b)
{
    const struct wanted *x = a, *y = b;

    return (x->order > y->order) - (x->order < y->order);
}

static int32_t merge(struct merging *m)
{
    int32_t code = INF_OK;

    if (m->decoder)
        code = want_decoder(m, scan_member(m->config, "added_tokens_decoder"));
    else if (m->added.data)
        code = want_added(m);
    if (m->n > 0)
        qsort(m->wanted, m->n, sizeof *m->wanted, by_order);
    if (code != INF_OK && !m->decoder)
        m->where = m->added_name;
    if (code == INF_OK)
        code = name_tokens(m);
    if (code == INF_OK)
        code = want_model_specific(m);
    if (code == INF_OK)
        code = want_extra(m);
    return code == INF_OK ? add_all(m) : code;
}

int32_t config_tokens_read(struct hf_tokenizer *t, const struct hf_tokenizer_files *source,
                           inf_error *err)
{
    const char *const *names = source->names;
    struct merging m = {
        .t = t, .err = err, .where = names[source->config.data ? 1 : 2], .added_name = names[3]};
    int32_t code = parse(&m.config, source->config, names[1], err);

    if (code == INF_OK)
        code = parse(&m.map, source->special_tokens, names[2], err);
    if (code == INF_OK)
        code = parse(&m.added, source->added_tokens, names[3], err);
    if (code != INF_OK)
        return code;
    m.decoder = scan_is_object(scan_member(m.config, "added_tokens_decoder"));
    vocab_init(&m.contents);
    buffer_init(&m.text, BUFFER_NO_LIMIT);
    code = merge(&m);
    vocab_free(&m.contents);
    buffer_free(&m.text);
    mem_free(m.wanted);
    return code == INF_OK ? INF_OK : error_prefix(err, "%s", m.where);
}
