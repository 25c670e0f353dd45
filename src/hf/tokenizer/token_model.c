/*
 * token_model: which model a file has, and handing pieces to it; see the header. Reading is
 * token_model_read.c's.
 */
#include "hf/tokenizer/token_model.h"

#include "core/memory.h"
#include "hf/tokenizer/byte_level.h"

#include <string.h>

/* The vocabulary as pieces of bytes have it. Texts beyond the alphabet never come as a piece. */
static int32_t read_words(struct token_model *m, inf_error *err)
{
    char *bytes = NULL;
    size_t cap = 0;
    bool ok = true;

    vocab_init(&m->words);
    if (!vocab_reserve(&m->words, m->vocab.n_ids, m->vocab.n_bytes))
        return error_no_memory(err);
    for (uint32_t id = 0; id < m->vocab.n_ids && ok; id++) {
        size_t n = 0;
        const char *text = vocab_text(&m->vocab, id, &n);

        if (!text)
            continue;
        ok = GROW(bytes, cap, n + 1);
        n = ok ? byte_level_read(bytes, text, n) : SIZE_MAX;
        ok = ok && (n == SIZE_MAX || vocab_add(&m->words, bytes, n, id) != VOCAB_NO_MEMORY);
    }
    mem_free(bytes);
    return ok ? INF_OK : error_no_memory(err);
}

static int32_t finish_bpe(struct token_model *m, bool byte_level, bool *raw, inf_error *err)
{
    m->bpe.vocab = m->bpe.words = &m->vocab;
    if (!bpe_finish(&m->bpe, byte_level))
        return error_no_memory(err);
    *raw = m->bpe.bytes;
    if (!m->bpe.bytes || !m->bpe.ignore_merges)
        return INF_OK;
    m->bpe.words = &m->words;
    return read_words(m, err);
}

static int32_t finished(enum model_done done, inf_error *err)
{
    if (done == MODEL_NO_MEMORY)
        return error_no_memory(err);
    if (done == MODEL_TOO_LONG)
        return error_set(err, INF_ERROR_UNSUPPORTED, "model: a token is longer than %d bytes",
                         UNIGRAM_LONGEST);
    return INF_OK;
}

int32_t token_model_finish(struct token_model *m, bool byte_level, bool *raw, inf_error *err)
{
    *raw = false;
    switch (m->kind) {
    case MODEL_BPE:
        return finish_bpe(m, byte_level, raw, err);
    case MODEL_UNIGRAM:
        m->unigram.vocab = &m->vocab;
        return finished(unigram_finish(&m->unigram), err);
    case MODEL_WORDPIECE:
        m->wordpiece.vocab = &m->vocab;
        return finished(wordpiece_finish(&m->wordpiece), err);
    case MODEL_WORDLEVEL:
        m->wordpiece.vocab = &m->vocab;
        break;
    }
    return INF_OK;
}

void token_model_free(struct token_model *m)
{
    bpe_free(&m->bpe);
    unigram_free(&m->unigram);
    wordpiece_free(&m->wordpiece);
    vocab_free(&m->words);
    vocab_free(&m->vocab);
}

bool token_model_work_init(struct token_model_work *w)
{
    memset(w, 0, sizeof *w);
    return bpe_work_init(&w->bpe);
}

void token_model_work_free(struct token_model_work *w)
{
    bpe_work_free(&w->bpe);
    unigram_work_free(&w->unigram);
}

static enum model_done encode(const struct token_model *m, struct token_model_work *w,
                              const char *piece, size_t n, struct id_list *out)
{
    switch (m->kind) {
    case MODEL_BPE:
        return bpe_encode(&m->bpe, &w->bpe, piece, n, out);
    case MODEL_UNIGRAM:
        return unigram_encode(&m->unigram, &w->unigram, piece, n, out);
    case MODEL_WORDPIECE:
        return wordpiece_encode(&m->wordpiece, piece, n, out);
    case MODEL_WORDLEVEL:
        break;
    }
    return wordlevel_encode(&m->wordpiece, piece, n, out);
}

int32_t token_model_encode(const struct token_model *m, struct token_model_work *w,
                           const char *piece, size_t n, struct id_list *out, inf_error *err)
{
    enum model_done done = encode(m, w, piece, n, out);

    if (done == MODEL_NO_MEMORY)
        return error_no_memory(err);
    if (done == MODEL_NO_UNK)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "the tokenizer has no token for a part of the text (\"%.*s\"), and none "
                         "for what is unknown",
                         (int)(n < 40 ? n : 40), piece);
    return INF_OK;
}
