/* tokenizer_parts: what a tokenizer is made of. Internal to tokenizer. */
#ifndef INF_HF_TOKENIZER_TOKENIZER_PARTS_H
#define INF_HF_TOKENIZER_TOKENIZER_PARTS_H

#include "hf/tokenizer/added_tokens.h"
#include "hf/tokenizer/normalizer.h"
#include "hf/tokenizer/post_processor.h"
#include "hf/tokenizer/pre_tokenizer.h"
#include "hf/tokenizer/token_decoder.h"
#include "hf/tokenizer/token_model.h"
#include "hf/tokenizer/tokenizer.h"

#include <pthread.h>

enum { IDLE_WORKS = 4 };

/* Scratch memory of one text that is encoded. */
struct tokenizer_work {
    struct token_model_work model;
    struct normalizer_work normal;
    struct pre_tokenizer_run pre;
    struct text_pattern_work *patterns;
    struct buffer text; /* made well-formed */
    struct hf_tokenizer *tokenizer;
    struct id_list ids;
    bool specials;
};

/* "image_token": "<image>" and the like. */
struct extra_token {
    char *name, *text;
};

struct hf_tokenizer {
    struct token_model model;
    struct added_tokens added;
    struct normalizer *normalizer;
    struct pre_tokenizer *pre;
    struct post_processor post;
    struct token_decoder *decoder;
    char *named[HF_NAMED_TOKENS]; /* their texts; NULL: not named */
    struct extra_token *extra;
    size_t n_extra, extra_cap;
    int32_t size;
    pthread_mutex_t lock; /* of idle */
    struct tokenizer_work *idle[IDLE_WORKS];
};

/* tokenizer_read.c: all but the lock. */
int32_t tokenizer_read(struct hf_tokenizer *t, const struct hf_tokenizer_files *source,
                       inf_error *err);

/* tokenizer_make.c: the same of parts. */
int32_t tokenizer_make(struct hf_tokenizer *t, const struct hf_tokenizer_parts *parts,
                       inf_error *err);

#endif
