/*
 * tokenizer: from text to a model's tokens and back, as a front door gives it.
 *
 * Immutable; any thread, but for decoders: each belongs to one text and whoever generates it.
 * Which tokens end a generation is part of it, whatever file says so.
 */
#ifndef INF_LOCAL_TOKENIZER_H
#define INF_LOCAL_TOKENIZER_H

#include "core/buffer.h"
#include "core/error.h"

enum token_kind {
    TOKEN_TEXT,  /* its text is part of what is generated */
    TOKEN_END,   /* generation ends with it */
    TOKEN_HIDDEN /* neither: it has a text, which is not shown */
};

struct decoder; /* the text of tokens as they come; a tokenizer's own */

/* Ids are within the vocabulary. bool: false when out of memory. */
struct tokenizer_ops {
    /* The ids of a text (mem_*, the caller's). add_special: also those that the model wants around a
     * text. parse_special: special tokens are recognised by their texts, else those are text.
     * INVALID_ARGUMENT when it is too long, NO_MEMORY, BACKEND. */
    int32_t (*encode)(void *impl, inf_text text, bool add_special, bool parse_special,
                      int32_t **ids, int32_t *n, inf_error *err);
    /* The text of whole ids, appended to out. INVALID_ARGUMENT when there are too many, NO_MEMORY. */
    int32_t (*decode)(void *impl, const int32_t *ids, size_t n, bool skip_special,
                      struct buffer *out, inf_error *err);
    enum token_kind (*kind)(void *impl, int32_t id);
    /* The bytes that a token stands for by itself, also where it is not shown; appended to out. */
    bool (*token_text)(void *impl, int32_t id, struct buffer *out);

    /* Where a token stands for the same bytes wherever it stands, create, finish and free are NULL, and
     * push is given the tokenizer itself. */
    struct decoder *(*decoder_create)(void *impl); /* NULL: out of memory */
    /* Appends the bytes that can be told now: some tokens show nothing, some only with a later one. */
    bool (*decoder_push)(struct decoder *d, int32_t id, struct buffer *out);
    /* The end: appends what was kept back. */
    bool (*decoder_finish)(struct decoder *d, struct buffer *out);
    void (*decoder_free)(struct decoder *d); /* NULL is ignored */
};

struct tokenizer {
    const struct tokenizer_ops *ops;
    void *impl;
    int32_t n_vocab;
};

/* Whether ids that were given from outside are the vocabulary's; `what` begins the message ("token").
 * INVALID_ARGUMENT. */
int32_t tokenizer_check_ids(const struct tokenizer *t, const char *what, const int32_t *ids,
                            size_t n, inf_error *err);

#endif
