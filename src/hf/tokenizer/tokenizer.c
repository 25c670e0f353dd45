/*
 * tokenizer: its life, and from texts to ids and back; see the header.
 *
 * The lock guards the idle scratch memories alone: a text takes one, or makes one, and gives it back
 * with the words it has learnt.
 */
#include "hf/tokenizer/tokenizer.h"

#include "core/file.h"
#include "core/memory.h"
#include "core/utf8.h"
#include "hf/tokenizer/tokenizer_parts.h"

#include <string.h>
#include <sys/stat.h>

enum { LARGEST_FILE = 512 * 1024 * 1024, LONGEST_TEXT = INT32_MAX / 8 };

struct hf_decoder {
    const struct hf_tokenizer *t;
    bool skip_special;
    struct decoder_stream stream;
};

/* ------------------------------------------------------------------ scratch memory */

static bool take_piece(struct pre_tokenizer_run *run, struct piece piece)
{
    struct tokenizer_work *w = run->user;

    run->code = token_model_encode(&w->tokenizer->model, &w->model, piece.s, piece.n, &w->ids,
                                   run->err);
    return run->code == INF_OK;
}

static void work_free(struct tokenizer_work *w)
{
    if (!w)
        return;
    token_model_work_free(&w->model);
    pre_tokenizer_run_free(&w->pre);
    text_pattern_work_free(w->patterns);
    buffer_free(&w->normal.a);
    buffer_free(&w->normal.b);
    buffer_free(&w->text);
    mem_free(w->ids.ids);
    mem_free(w);
}

static struct tokenizer_work *work_create(struct hf_tokenizer *t)
{
    struct tokenizer_work *w = mem_calloc(1, sizeof *w);

    if (!w)
        return NULL;
    w->tokenizer = t;
    w->patterns = text_pattern_work_create();
    buffer_init(&w->text, BUFFER_NO_LIMIT);
    buffer_init(&w->normal.a, BUFFER_NO_LIMIT);
    buffer_init(&w->normal.b, BUFFER_NO_LIMIT);
    w->normal.patterns = w->patterns;
    pre_tokenizer_run_init(&w->pre);
    w->pre.pre = t->pre;
    w->pre.patterns = w->patterns;
    w->pre.take = take_piece;
    w->pre.user = w;
    if (!token_model_work_init(&w->model) || !w->patterns) {
        work_free(w);
        return NULL;
    }
    return w;
}

static struct tokenizer_work *work_take(struct hf_tokenizer *t)
{
    struct tokenizer_work *w = NULL;

    pthread_mutex_lock(&t->lock);
    for (int i = 0; i < IDLE_WORKS && !w; i++) {
        w = t->idle[i];
        t->idle[i] = NULL;
    }
    pthread_mutex_unlock(&t->lock);
    return w ? w : work_create(t);
}

static void work_give(struct hf_tokenizer *t, struct tokenizer_work *w)
{
    pthread_mutex_lock(&t->lock);
    for (int i = 0; i < IDLE_WORKS && w; i++)
        if (!t->idle[i]) {
            t->idle[i] = w;
            w = NULL;
        }
    pthread_mutex_unlock(&t->lock);
    work_free(w);
}

/* ------------------------------------------------------------------ life */

/* From one of the two. */
static int32_t tokenizer_create(struct hf_tokenizer **out, const struct hf_tokenizer_files *source,
                                const struct hf_tokenizer_parts *parts, inf_error *err)
{
    struct hf_tokenizer *t = mem_calloc(1, sizeof *t);
    int32_t code = INF_OK;

    *out = NULL;
    if (!t)
        return error_no_memory(err);
    pthread_mutex_init(&t->lock, NULL);
    code = source ? tokenizer_read(t, source, err) : tokenizer_make(t, parts, err);
    if (code != INF_OK) {
        hf_tokenizer_free(t);
        return code;
    }
    *out = t;
    return error_none(err);
}

int32_t hf_tokenizer_make(struct hf_tokenizer **out, const struct hf_tokenizer_parts *parts,
                          inf_error *err)
{
    return tokenizer_create(out, NULL, parts, err);
}

int32_t hf_tokenizer_parse(struct hf_tokenizer **out, const struct hf_tokenizer_files *files,
                           inf_error *err)
{
    return tokenizer_create(out, files, NULL, err);
}

void hf_tokenizer_free(struct hf_tokenizer *t)
{
    if (!t)
        return;
    for (int i = 0; i < IDLE_WORKS; i++)
        work_free(t->idle[i]);
    for (int i = 0; i < HF_NAMED_TOKENS; i++)
        mem_free(t->named[i]);
    for (size_t i = 0; i < t->n_extra; i++) {
        mem_free(t->extra[i].name);
        mem_free(t->extra[i].text);
    }
    mem_free(t->extra);
    pthread_mutex_destroy(&t->lock);
    token_decoder_free(t->decoder);
    post_processor_free(&t->post);
    pre_tokenizer_free(t->pre);
    normalizer_free(t->normalizer);
    added_tokens_free(&t->added);
    token_model_free(&t->model);
    mem_free(t);
}

/* A file that need not be there; *data NULL when it is not. */
static int32_t read_file(char **data, size_t *n, const char *path, bool needed, inf_error *err)
{
    struct stat status;

    if (!needed && stat(path, &status) != 0)
        return INF_OK;
    return file_read(data, n, path, LARGEST_FILE, err);
}

int32_t hf_tokenizer_open(struct hf_tokenizer **out, const char *dir, inf_error *err)
{
    enum { FILES = 4 };
    static const char *const names[FILES] = {"tokenizer.json", "tokenizer_config.json",
                                             "special_tokens_map.json", "added_tokens.json"};
    char *paths[FILES] = {NULL}, *data[FILES] = {NULL};
    size_t n[FILES] = {0};
    int32_t code = INF_OK;

    *out = NULL;
    for (int i = 0; i < FILES && code == INF_OK; i++) {
        paths[i] = path_join(dir, names[i]);
        code = paths[i] ? read_file(&data[i], &n[i], paths[i], i == 0, err) : error_no_memory(err);
    }
    if (code == INF_OK)
        code = hf_tokenizer_parse(
            out,
            &(struct hf_tokenizer_files){.json = data[0],
                                         .len = n[0],
                                         .config = {data[1], n[1]},
                                         .special_tokens = {data[2], n[2]},
                                         .added_tokens = {data[3], n[3]},
                                         .names = {paths[0], paths[1], paths[2], paths[3]}},
            err);
    for (int i = 0; i < FILES; i++) {
        mem_free(paths[i]);
        mem_free(data[i]);
    }
    return code;
}

/* ------------------------------------------------------------------ encoding */

/* A text between added tokens that are found in what the normalizer made of it. */
static int32_t encode_text(struct tokenizer_work *w, inf_text text, bool first, inf_error *err)
{
    struct hf_tokenizer *t = w->tokenizer;
    struct added_search search;
    struct added_piece found;
    bool moved = false;
    int32_t code = normalizer_apply(t->normalizer, &w->normal, text, &text, &moved, err);

    added_search_init(&search, &t->added, true, text.data, text.len, w->specials);
    while (code == INF_OK && added_search_next(&search, &found)) {
        struct piece piece = {found.s, found.n, first && !moved && found.s == text.data};

        if (found.id >= 0) {
            if (!id_push(&w->ids, found.id))
                code = error_no_memory(err);
        } else if (!pre_tokenizer_apply(&w->pre, piece)) {
            code = w->pre.code;
        }
    }
    return code;
}

static int32_t encode(struct tokenizer_work *w, inf_text text, bool add_special, inf_error *err)
{
    struct added_search search;
    struct added_piece found;
    int32_t code = INF_OK;

    w->ids.n = 0;
    w->pre.err = err;
    added_search_init(&search, &w->tokenizer->added, false, text.data, text.len, w->specials);
    while (code == INF_OK && added_search_next(&search, &found))
        if (found.id < 0)
            code = encode_text(w, (inf_text){found.s, found.n}, found.s == text.data, err);
        else if (!id_push(&w->ids, found.id))
            code = error_no_memory(err);
    if (code == INF_OK && !post_processor_apply(&w->tokenizer->post, add_special, 0, &w->ids))
        code = error_no_memory(err);
    return code;
}

static bool make_valid(struct tokenizer_work *w, inf_text *text)
{
    if (utf8_valid(text->data, text->len))
        return true;
    buffer_clear(&w->text);
    if (!utf8_append(&w->text, text->data, text->len, NULL))
        return false;
    *text = (inf_text){w->text.data, w->text.len};
    return true;
}

/* The ids, exactly as long as they are. */
static int32_t copy_ids(const struct id_list *list, int32_t **ids, int32_t *n, inf_error *err)
{
    if (list->n > INT32_MAX)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "the text is too long to tokenize");
    *n = (int32_t)list->n;
    if (list->n == 0)
        return INF_OK;
    *ids = mem_alloc(list->n * sizeof **ids);
    if (!*ids)
        return error_no_memory(err);
    memcpy(*ids, list->ids, list->n * sizeof **ids);
    return INF_OK;
}

int32_t hf_tokenizer_encode(struct hf_tokenizer *t, inf_text text, bool add_special,
                            bool parse_special, int32_t **ids, int32_t *n, inf_error *err)
{
    struct tokenizer_work *w = NULL;
    int32_t code = INF_OK;

    *ids = NULL;
    *n = 0;
    if (text.len > LONGEST_TEXT)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "the text is too long to tokenize");
    w = work_take(t);
    if (!w)
        return error_no_memory(err);
    w->specials = parse_special;
    if (text.len == 0)
        text.data = "";
    code = make_valid(w, &text) ? encode(w, text, add_special, err) : error_no_memory(err);
    if (code == INF_OK)
        code = copy_ids(&w->ids, ids, n, err);
    work_give(t, w);
    return code;
}

/* ------------------------------------------------------------------ decoding */

/* The text of an id as decoding begins with it; NULL: it has none. */
static const char *id_text(const struct hf_tokenizer *t, int32_t id, size_t *n)
{
    const struct added_token *token = added_token_of(&t->added, id);

    if (!token)
        return id < 0 ? NULL : vocab_text(&t->model.vocab, (uint32_t)id, n);
    *n = token->normal ? token->normal_len : token->len;
    return token->normal ? token->normal : token->content;
}

bool hf_tokenizer_is_special(const struct hf_tokenizer *t, int32_t id)
{
    const struct added_token *token = added_token_of(&t->added, id);

    if (!token)
        return false;
    if (token->normal) /* the library asks for what is special by that text */
        token = added_token_of(&t->added,
                               added_token_id(&t->added, token->normal, token->normal_len));
    return token && token->hidden;
}

static void decoder_init(struct hf_decoder *d, const struct hf_tokenizer *t, bool skip_special)
{
    d->t = t;
    d->skip_special = skip_special;
    decoder_stream_init(&d->stream, t->decoder);
}

struct hf_decoder *hf_decoder_create(const struct hf_tokenizer *t, bool skip_special)
{
    struct hf_decoder *d = mem_alloc(sizeof *d);

    if (d)
        decoder_init(d, t, skip_special);
    return d;
}

void hf_decoder_free(struct hf_decoder *d)
{
    if (!d)
        return;
    decoder_stream_free(&d->stream);
    mem_free(d);
}

bool hf_decoder_push(struct hf_decoder *d, int32_t id, struct buffer *out)
{
    size_t n = 0;
    const char *text = id_text(d->t, id, &n);

    if (!text || (d->skip_special && hf_tokenizer_is_special(d->t, id)))
        return true;
    return decoder_stream_push(&d->stream, text, n, out);
}

bool hf_decoder_finish(struct hf_decoder *d, struct buffer *out)
{
    return decoder_stream_finish(&d->stream, out);
}

int32_t hf_tokenizer_decode(const struct hf_tokenizer *t, const int32_t *ids, size_t n,
                            bool skip_special, struct buffer *out, inf_error *err)
{
    struct hf_decoder d;
    bool ok = true;

    decoder_init(&d, t, skip_special);
    for (size_t i = 0; i < n && ok; i++)
        ok = hf_decoder_push(&d, ids[i], out);
    ok = ok && hf_decoder_finish(&d, out);
    decoder_stream_free(&d.stream);
    return ok ? INF_OK : error_no_memory(err);
}

/* ------------------------------------------------------------------ tokens */

int32_t hf_tokenizer_size(const struct hf_tokenizer *t)
{
    return t->size;
}

bool hf_tokenizer_token_text(const struct hf_tokenizer *t, int32_t id, struct buffer *out)
{
    size_t n = 0;
    const char *text = id_text(t, id, &n);

    return !text || token_decoder_bytes(t->decoder, text, n, out);
}

const char *hf_tokenizer_named_text(const struct hf_tokenizer *t, enum hf_named_token which)
{
    return t->named[which];
}

bool hf_tokenizer_extra_text(const struct hf_tokenizer *t, size_t i, const char **name,
                             const char **text)
{
    if (i >= t->n_extra)
        return false;
    *name = t->extra[i].name;
    *text = t->extra[i].text;
    return true;
}
