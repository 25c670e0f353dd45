/*
 * token_model: the "model" of a tokenizer.json: a vocabulary and how pieces become its tokens. Read
 * once, then immutable; scratch memory belongs to one text at a time.
 */
#ifndef INF_HF_TOKENIZER_TOKEN_MODEL_H
#define INF_HF_TOKENIZER_TOKEN_MODEL_H

#include "hf/tokenizer/bpe.h"
#include "hf/tokenizer/json_in.h"
#include "hf/tokenizer/unigram.h"
#include "hf/tokenizer/wordpiece.h"

#include "core/error.h"

enum token_model_kind { MODEL_BPE, MODEL_UNIGRAM, MODEL_WORDPIECE, MODEL_WORDLEVEL };

struct token_model {
    enum token_model_kind kind;
    struct vocab vocab; /* texts as the file writes them */
    struct vocab words; /* as pieces have them, where that is not the same (ignore_merges) */
    struct bpe bpe;
    struct unigram unigram;
    struct wordpiece wordpiece; /* and word level */
};

struct token_model_work {
    struct bpe_work bpe;
    struct unigram_work unigram;
};

/* Reads the value at `in`, an object. `name` is the file's, for messages. */
int32_t token_model_read(struct token_model *m, struct json_in *in, const char *name,
                         inf_error *err);
/* byte_level: pieces come out of a ByteLevel pre-tokenizer. *raw: they shall be bytes, not written in
 * its alphabet. */
int32_t token_model_finish(struct token_model *m, bool byte_level, bool *raw, inf_error *err);
void token_model_free(struct token_model *m);

bool token_model_work_init(struct token_model_work *w);
void token_model_work_free(struct token_model_work *w);
/* Appends the ids of a piece (well-formed UTF-8). INVALID_ARGUMENT: a part of it has no token. */
int32_t token_model_encode(const struct token_model *m, struct token_model_work *w,
                           const char *piece, size_t n, struct id_list *out, inf_error *err);

#endif
