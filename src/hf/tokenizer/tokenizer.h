/*
 * tokenizer: a Hugging Face tokenizer, from its files' bytes to ids and back. The ids are those of the
 * tokenizers library on tokenizer.json; which tokens are special, and which are bos, eos and pad, is
 * transformers' merge of tokenizer.json, tokenizer_config.json, special_tokens_map.json and added_tokens.json.
 *
 * Refuses to know models, requests and chat templates. Every byte of the files is hostile: time and
 * memory are bounded by their size, and what is wrong is one line.
 *
 * Threads: a tokenizer is immutable but for scratch memory behind a lock of its own: any number of
 * threads may use it at once. A decoder belongs to one text.
 */
#ifndef INF_HF_TOKENIZER_TOKENIZER_H
#define INF_HF_TOKENIZER_TOKENIZER_H

#include "core/buffer.h"
#include "core/error.h"

struct hf_tokenizer;
struct hf_decoder;

/* The files' bytes, which are borrowed for the call; data NULL: there is no such file. */
struct hf_tokenizer_files {
    char *json; /* tokenizer.json, which must be there; it is changed while it is read */
    size_t len;
    inf_text config;         /* tokenizer_config.json */
    inf_text special_tokens; /* special_tokens_map.json */
    inf_text added_tokens;   /* added_tokens.json */
    const char *names[4];    /* theirs in this order, which messages begin with */
};

/* BAD_FORMAT, UNSUPPORTED (a component that is not known, named), NO_MEMORY. */
int32_t hf_tokenizer_parse(struct hf_tokenizer **out, const struct hf_tokenizer_files *files,
                           inf_error *err);
/* The same from the files of a directory; IO when there is no tokenizer.json. Messages name the path. */
int32_t hf_tokenizer_open(struct hf_tokenizer **out, const char *dir, inf_error *err);

/* A byte-pair tokenizer whose vocabulary stands in no tokenizer.json. What is pointed to is borrowed for
 * the call. */
struct hf_tokenizer_parts {
    /* The tokens' texts in the order of their ids (data NULL: the id is a hole), then the merges' ("left
     * right") in theirs. false: there are no more. */
    bool (*next_token)(void *user, inf_text *text);
    bool (*next_merge)(void *user, inf_text *text);
    void *user;
    size_t n_tokens, n_bytes; /* of all tokens: memory for them is had at once */
    /* Those that are looked for in a text before anything else. */
    const struct hf_added_token {
        inf_text text; /* a token's */
        bool special;
    } *added;
    size_t n_added;
    const char *normalizer, *pre_tokenizer, *decoder; /* as in a tokenizer.json; NULL: null */
    bool ignore_merges;
    int32_t before, behind; /* tokens around a text; -1: none */
};
/* BAD_FORMAT, UNSUPPORTED, NO_MEMORY; it is the tokenizer that a tokenizer.json of these parts is. */
int32_t hf_tokenizer_make(struct hf_tokenizer **out, const struct hf_tokenizer_parts *parts,
                          inf_error *err);
void hf_tokenizer_free(struct hf_tokenizer *t); /* NULL is ignored */

/* One more than the largest id. Ids below it may be holes: they have no text. */
int32_t hf_tokenizer_size(const struct hf_tokenizer *t);

/*
 * The ids of a text (mem_*, the caller's; NULL for none). What is not UTF-8 counts as U+FFFD.
 * add_special: with what the post-processor puts around a text (bos, ...). parse_special: special
 * tokens are recognised by their texts, else those are text like any other.
 * INVALID_ARGUMENT: too long, or no token for a part of it and none for the unknown; UNSUPPORTED: a
 * regular expression of the file goes back and forth too long on it; NO_MEMORY.
 */
int32_t hf_tokenizer_encode(struct hf_tokenizer *t, inf_text text, bool add_special,
                            bool parse_special, int32_t **ids, int32_t *n, inf_error *err);
/* The text of whole ids, appended to out; ids that do not exist are nothing. Well-formed UTF-8.
 * skip_special leaves out special tokens. NO_MEMORY. */
int32_t hf_tokenizer_decode(const struct hf_tokenizer *t, const int32_t *ids, size_t n,
                            bool skip_special, struct buffer *out, inf_error *err);

/* Decoding leaves it out. */
bool hf_tokenizer_is_special(const struct hf_tokenizer *t, int32_t id);
/* The bytes that a token stands for by itself inside a text, also of a special one; appended to out.
 * They may be a part of a code point. false: out of memory. */
bool hf_tokenizer_token_text(const struct hf_tokenizer *t, int32_t id, struct buffer *out);

enum hf_named_token {
    HF_TOKEN_BOS,
    HF_TOKEN_EOS,
    HF_TOKEN_UNK,
    HF_TOKEN_SEP,
    HF_TOKEN_PAD,
    HF_TOKEN_CLS,
    HF_TOKEN_MASK,
    HF_NAMED_TOKENS
};
/* "bos_token", ...: what the files and chat templates call it. */
const char *hf_token_name(enum hf_named_token which);
/* Its text as the files write it, which chat templates get as bos_token, ...; NULL: not named. */
const char *hf_tokenizer_named_text(const struct hf_tokenizer *t, enum hf_named_token which);

/* Special tokens that a model has names of its own for ("image_token"), one a call; false past the end. */
bool hf_tokenizer_extra_text(const struct hf_tokenizer *t, size_t i, const char **name,
                             const char **text);

/* The text of tokens as they come; put together it is what hf_tokenizer_decode makes of them all.
 * Each push appends whole code points only. The tokenizer must outlive it. NULL: out of memory. */
struct hf_decoder *hf_decoder_create(const struct hf_tokenizer *t, bool skip_special);
bool hf_decoder_push(struct hf_decoder *d, int32_t id, struct buffer *out); /* false: no memory */
bool hf_decoder_finish(struct hf_decoder *d, struct buffer *out);           /* what was kept back */
void hf_decoder_free(struct hf_decoder *d);                                 /* NULL is ignored */

#endif
