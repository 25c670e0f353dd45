/*
 * token_decoder: the "decoder" of a tokenizer.json: from tokens' texts to a text, as they come. What
 * is emitted is whole code points, and put together what the tokenizers library makes of all tokens
 * at once; what depends on tokens to come is kept back until they are there.
 *
 * The steps are read once, then immutable: any thread. A stream belongs to one text.
 */
#ifndef INF_HF_TOKENIZER_TOKEN_DECODER_H
#define INF_HF_TOKENIZER_TOKEN_DECODER_H

#include "core/buffer.h"
#include "core/error.h"
#include "core/json.h"
#include "hf/tokenizer/text_pattern.h"

enum { DECODER_STEPS = 16 };

struct token_decoder;

/* For null, tokens with a blank between. Errors: BAD_FORMAT, UNSUPPORTED, NO_MEMORY; their messages
 * say what of the decoder it is. What *out is then is to be freed all the same. */
int32_t token_decoder_read(struct token_decoder **out, struct json_span json, inf_error *err);
void token_decoder_free(struct token_decoder *d); /* NULL is ignored */

/* The bytes that a token stands for inside a text, appended to out. false: out of memory. */
bool token_decoder_bytes(const struct token_decoder *d, const char *token, size_t n,
                         struct buffer *out);

/* What a step keeps from one token to the next. */
struct decoder_state {
    struct buffer token; /* the part of a token that came already */
    struct buffer kept;  /* by the step's kind */
    bool begun;          /* a token came */
    bool inside;         /* a part of a token came, and more of it comes */
    size_t stripped;
};

struct decoder_stream {
    const struct token_decoder *decoder;
    struct text_pattern_work *patterns; /* made when one is needed */
    struct decoder_state states[DECODER_STEPS];
    struct buffer *out;
};

void decoder_stream_init(struct decoder_stream *s, const struct token_decoder *d);
void decoder_stream_free(struct decoder_stream *s);
/* A token's text. false: out of memory. */
bool decoder_stream_push(struct decoder_stream *s, const char *token, size_t n, struct buffer *out);
bool decoder_stream_finish(struct decoder_stream *s, struct buffer *out);

#endif
