/*
 * token_model: read from a tokenizer.json; see token_model.h. One pass: the vocabulary and the merges
 * are megabytes. Merges that stand before the vocabulary are come back to.
 */
#include "hf/tokenizer/token_model.h"

#include "core/memory.h"
#include "hf/tokenizer/merge_list.h"

#include <string.h>

struct reading {
    struct token_model *m;
    struct json_in *in;
    const char *name;
    inf_error *err;
    int32_t code; /* an error that was set */
    struct json_span type, unk_token, prefix, suffix;
    char *merges; /* where they begin, when they are not read yet */
    bool has_vocab, has_merges, scored, has_chars, has_unk_id;
    uint32_t unk_id;
    double dropout;
};

static bool refuse(struct reading *r, int32_t code)
{
    r->code = code;
    return false;
}

static int shown(size_t n)
{
    return (int)(n < 60 ? n : 60);
}

static bool add_token(struct reading *r, struct json_span text, uint32_t id)
{
    switch (vocab_add(&r->m->vocab, text.data, text.len, id)) {
    case VOCAB_ADDED:
        return true;
    case VOCAB_TEXT_TWICE:
        return refuse(r,
                      error_set(r->err, INF_ERROR_BAD_FORMAT, "%s: model.vocab has \"%.*s\" twice",
                                r->name, shown(text.len), text.data));
    case VOCAB_ID_TWICE:
        return refuse(r, error_set(r->err, INF_ERROR_BAD_FORMAT,
                                   "%s: model.vocab has the id %u twice, the second time for "
                                   "\"%.*s\"",
                                   r->name, (unsigned)id, shown(text.len), text.data));
    case VOCAB_ID_LARGE:
        return refuse(r, error_set(r->err, INF_ERROR_BAD_FORMAT,
                                   "%s: model.vocab has the id %u for \"%.*s\": the largest is %d",
                                   r->name, (unsigned)id, shown(text.len), text.data,
                                   VOCAB_MAX_IDS - 1));
    case VOCAB_NO_MEMORY:
        break;
    }
    return refuse(r, error_no_memory(r->err));
}

/* {"text": id, ...} */
static bool read_vocab(struct reading *r)
{
    struct json_span text;
    bool first = true;
    uint32_t id = 0;

    json_in_open(r->in, '{');
    while (json_in_member(r->in, &first, &text))
        if (!json_in_id(r->in, &id) || !add_token(r, text, id))
            return false;
    return !r->in->failed;
}

static bool add_score(struct reading *r, double score)
{
    struct unigram *u = &r->m->unigram;

    if (!GROW(u->scores, u->scores_cap, u->n_scores + 1))
        return refuse(r, error_no_memory(r->err));
    u->scores[u->n_scores++] = score;
    return true;
}

/* [["text", score], ...] */
static bool read_scored_vocab(struct reading *r)
{
    bool first = true;

    json_in_open(r->in, '[');
    r->scored = true;
    for (uint32_t id = 0; json_in_item(r->in, &first); id++) {
        struct json_span text;
        double score = 0;
        bool inner = true;

        if (!json_in_open(r->in, '[') || !json_in_item(r->in, &inner) ||
            !json_in_string(r->in, &text) || !json_in_item(r->in, &inner) ||
            !json_in_real(r->in, &score))
            return json_in_fail(r->in, "a token and its score are expected");
        if (json_in_item(r->in, &inner))
            return json_in_fail(r->in, "a token and its score are expected, and no more");
        if (!add_token(r, text, id) || !add_score(r, score))
            return false;
    }
    return !r->in->failed;
}

/* ------------------------------------------------------------------ merges */

/* false when there was an error, which is set. */
static bool listed(struct reading *r, const struct merge_list *all, enum merge_done done)
{
    const struct vocab_query *q = &all->unknown;

    if (done == MERGE_DONE)
        return true;
    if (done == MERGE_NO_MEMORY)
        return refuse(r, error_no_memory(r->err));
    return refuse(r, error_set(r->err, INF_ERROR_BAD_FORMAT,
                               "%s: model.merges[%zu] needs the token \"%.*s\", which model.vocab "
                               "does not have",
                               r->name, all->n_list, shown(q->len), q->text));
}

/* "left right" */
static bool split_merge(struct reading *r, struct json_span text, struct json_span *left,
                        struct json_span *right)
{
    const char *space = memchr(text.data, ' ', text.len);
    size_t n = space ? (size_t)(space - text.data) : 0;

    if (!space || memchr(space + 1, ' ', text.len - n - 1))
        return json_in_fail(r->in, "a merge of two tokens with one space between is expected");
    *left = (struct json_span){text.data, n};
    *right = (struct json_span){space + 1, text.len - n - 1};
    return true;
}

static bool read_pair(struct reading *r, struct json_span *left, struct json_span *right)
{
    bool first = true;

    if (!json_in_open(r->in, '[') || !json_in_item(r->in, &first) || !json_in_string(r->in, left) ||
        !json_in_item(r->in, &first) || !json_in_string(r->in, right) ||
        json_in_item(r->in, &first))
        return json_in_fail(r->in, "a merge of two tokens is expected");
    return true;
}

/* A merge in one form or the other; *skip: it is a comment. */
static bool read_merge(struct reading *r, struct json_span *left, struct json_span *right,
                       bool *skip)
{
    struct json_span text;

    *skip = false;
    if (json_in_peek(r->in) == '[')
        return read_pair(r, left, right);
    if (!json_in_string(r->in, &text))
        return false;
    *skip = text.len >= 8 && memcmp(text.data, "#version", 8) == 0;
    return *skip || split_merge(r, text, left, right);
}

static bool read_all_merges(struct reading *r, struct merge_list *all)
{
    struct json_span left, right;
    bool first = true, skip = false;

    if (!json_in_open(r->in, '['))
        return false;
    while (json_in_item(r->in, &first)) {
        if (!read_merge(r, &left, &right, &skip))
            return false;
        if (!skip && !listed(r, all,
                             merge_list_add(all, (inf_text){left.data, left.len},
                                            (inf_text){right.data, right.len})))
            return false;
    }
    return !r->in->failed && listed(r, all, merge_list_finish(all, &r->m->bpe));
}

static bool read_merges(struct reading *r)
{
    struct merge_list all;
    bool ok = true;

    merge_list_init(&all, &r->m->vocab, r->prefix.data ? r->prefix.len : 0);
    ok = read_all_merges(r, &all);
    merge_list_free(&all);
    return ok;
}

/* ------------------------------------------------------------------ members */

static bool read_optional_string(struct reading *r, struct json_span *out)
{
    return json_in_null(r->in) || json_in_string(r->in, out);
}

static bool read_large(struct reading *r, struct json_span key)
{
    struct json_span skipped;

    if (key.len == 5) {
        r->has_vocab = true;
        return json_in_peek(r->in) == '[' ? read_scored_vocab(r) : read_vocab(r);
    }
    r->has_merges = true;
    json_in_peek(r->in);
    r->merges = r->in->at;
    return json_in_skip(r->in, &skipped);
}

static bool read_strings(struct reading *r, struct json_span key, bool *known)
{
    const struct {
        const char *name;
        struct json_span *value;
    } strings[] = {{"type", &r->type},
                   {"unk_token", &r->unk_token},
                   {"continuing_subword_prefix", &r->prefix},
                   {"end_of_word_suffix", &r->suffix}};

    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++)
        if (json_in_is(key, strings[i].name)) {
            *known = true;
            return read_optional_string(r, strings[i].value);
        }
    return true;
}

static bool read_flags(struct reading *r, struct json_span key, bool *known)
{
    struct bpe *bpe = &r->m->bpe;
    bool *flag = json_in_is(key, "fuse_unk")        ? &bpe->fuse_unk
                 : json_in_is(key, "byte_fallback") ? &bpe->byte_fallback
                 : json_in_is(key, "ignore_merges") ? &bpe->ignore_merges
                                                    : NULL;

    *known = flag != NULL;
    return !flag || json_in_bool(r->in, flag, false);
}

static bool read_numbers(struct reading *r, struct json_span key)
{
    struct json_span skipped;

    if (json_in_is(key, "max_input_chars_per_word")) {
        r->has_chars = true;
        return json_in_id(r->in, &r->m->wordpiece.chars);
    }
    if (json_in_is(key, "unk_id") && !json_in_null(r->in)) {
        r->has_unk_id = true;
        return json_in_id(r->in, &r->unk_id);
    }
    if (json_in_is(key, "unk_id"))
        return true;
    if (json_in_is(key, "dropout"))
        return json_in_null(r->in) || json_in_real(r->in, &r->dropout);
    return json_in_skip(r->in, &skipped);
}

static bool read_member(struct reading *r, struct json_span key)
{
    bool known = false;

    if ((json_in_is(key, "vocab") && !r->has_vocab) ||
        (json_in_is(key, "merges") && !r->has_merges))
        return read_large(r, key);
    if (json_in_is(key, "vocab") || json_in_is(key, "merges"))
        return json_in_fail(r->in, "it stands here for the second time");
    if (!read_strings(r, key, &known) || known)
        return known && !r->in->failed;
    if (!read_flags(r, key, &known) || known)
        return known && !r->in->failed;
    return read_numbers(r, key);
}

/* ------------------------------------------------------------------ what kind it is */

static bool choose_kind(struct reading *r)
{
    static const char *const names[] = {"BPE", "Unigram", "WordPiece", "WordLevel"};

    if (!r->type.data) {
        r->m->kind = r->scored                        ? MODEL_UNIGRAM
                     : r->has_merges                  ? MODEL_BPE
                     : r->prefix.data && r->has_chars ? MODEL_WORDPIECE
                                                      : MODEL_WORDLEVEL;
        return true;
    }
    for (int i = 0; i < 4; i++)
        if (json_in_is(r->type, names[i])) {
            r->m->kind = (enum token_model_kind)i;
            return true;
        }
    return refuse(r, error_set(r->err, INF_ERROR_UNSUPPORTED,
                               "%s: the model \"%.*s\" is not known (BPE, Unigram, WordPiece and "
                               "WordLevel are)",
                               r->name, shown(r->type.len), r->type.data));
}

static bool missing(struct reading *r, const char *what)
{
    return refuse(r, error_set(r->err, INF_ERROR_BAD_FORMAT, "%s: model has no %s", r->name, what));
}

static bool check_kind(struct reading *r)
{
    enum token_model_kind kind = r->m->kind;
    bool words = kind == MODEL_WORDPIECE || kind == MODEL_WORDLEVEL;

    if (!r->has_vocab || r->scored != (kind == MODEL_UNIGRAM))
        return missing(r, kind == MODEL_UNIGRAM ? "vocab of tokens with scores" : "vocab");
    if (kind == MODEL_BPE && !r->has_merges)
        return missing(r, "merges");
    if (words && !r->unk_token.data)
        return missing(r, "unk_token");
    if (kind == MODEL_WORDPIECE && (!r->prefix.data || !r->has_chars))
        return missing(r, r->has_chars ? "continuing_subword_prefix" : "max_input_chars_per_word");
    if (kind == MODEL_BPE && r->dropout != 0)
        return refuse(r, error_set(r->err, INF_ERROR_UNSUPPORTED,
                                   "%s: model.dropout makes tokens at random; set it to null",
                                   r->name));
    if (r->has_unk_id && r->unk_id >= r->m->vocab.n_ids)
        return refuse(r, error_set(r->err, INF_ERROR_BAD_FORMAT,
                                   "%s: model.unk_id is %u, and the vocabulary has %u tokens",
                                   r->name, (unsigned)r->unk_id, (unsigned)r->m->vocab.n_ids));
    return true;
}

/* A copy, or NULL for an empty or absent string. */
static bool take_string(struct reading *r, char **out, struct json_span s)
{
    *out = s.len > 0 && s.data ? mem_strndup(s.data, s.len) : NULL;
    return *out || !s.data || s.len == 0 || refuse(r, error_no_memory(r->err));
}

static bool take_options(struct reading *r)
{
    struct token_model *m = r->m;
    int32_t unk = r->unk_token.data ? vocab_find(&m->vocab, r->unk_token.data, r->unk_token.len)
                                    : -1;

    m->unigram.byte_fallback = m->bpe.byte_fallback;
    m->unigram.unk = r->has_unk_id ? (int32_t)r->unk_id : -1;
    m->bpe.unk = m->wordpiece.unk = unk;
    m->bpe.has_unk = r->unk_token.data != NULL;
    if (m->kind == MODEL_WORDPIECE) {
        m->wordpiece.prefix = mem_strndup(r->prefix.data, r->prefix.len);
        return m->wordpiece.prefix || refuse(r, error_no_memory(r->err));
    }
    return m->kind != MODEL_BPE ||
           (take_string(r, &m->bpe.prefix, r->prefix) && take_string(r, &m->bpe.suffix, r->suffix));
}

static bool read_kept_merges(struct reading *r)
{
    char *behind = r->in->at;

    if (r->m->kind != MODEL_BPE)
        return true;
    r->in->at = r->merges;
    if (!read_merges(r))
        return false;
    r->in->at = behind;
    return true;
}

static bool read_all(struct reading *r)
{
    struct json_span key;
    bool first = true;

    json_in_open(r->in, '{');
    while (json_in_member(r->in, &first, &key))
        if (!read_member(r, key))
            return false;
    return !r->in->failed && choose_kind(r) && check_kind(r) && read_kept_merges(r) &&
           take_options(r);
}

int32_t token_model_read(struct token_model *m, struct json_in *in, const char *name,
                         inf_error *err)
{
    struct reading r = {.m = m, .in = in, .name = name, .err = err};
    bool ok = true;

    vocab_init(&m->vocab);
    ok = read_all(&r);
    if (ok)
        return INF_OK;
    if (r.code != INF_OK)
        return r.code;
    return error_set(err, INF_ERROR_BAD_FORMAT, "%s: model: %s (byte %zu)", name,
                     in->failed ? in->failed : "it is damaged", (size_t)(in->at - in->begin));
}
