/* token_decoder_steps: the steps of a decoder. Internal to token_decoder. */
#ifndef INF_HF_TOKENIZER_TOKEN_DECODER_STEPS_H
#define INF_HF_TOKENIZER_TOKEN_DECODER_STEPS_H

#include "hf/tokenizer/token_decoder.h"

enum { DECODER_MOST_GROWTH = 1 << 20 }; /* bytes that a step may add to a token */

enum decoder_kind {
    DECODE_BYTE_LEVEL,
    DECODE_REPLACE, /* pattern by content */
    DECODE_BYTE_FALLBACK,
    DECODE_FUSE,
    DECODE_STRIP,     /* content, a character, at most start and stop times */
    DECODE_METASPACE, /* content: the character; flag: not before the first token */
    DECODE_WORDPIECE, /* content: the prefix; flag: cleanup */
    DECODE_BPE,       /* content: the suffix */
    DECODE_CTC,       /* content: padding; second: between words; flag: cleanup */
    DECODE_JOIN       /* a blank between tokens */
};

struct decoder_step {
    enum decoder_kind kind;
    struct text_pattern *pattern;
    bool one_character; /* the pattern is one: it never begins in one part of a token and ends in
                           another */
    struct buffer content, second;
    bool flag;
    size_t start, stop;
};

struct token_decoder {
    struct decoder_step steps[DECODER_STEPS];
    size_t n;
};

/* The byte of "<0x0A>", or -1. */
int decoder_fallback_byte(const char *token, size_t n);
/* Appends a text with every `old` replaced; an empty one is nowhere. */
bool decoder_replace(struct buffer *out, const char *s, size_t n, const char *old,
                     const char *replacement);
/* And one with the matches of the step's pattern replaced by its content. */
bool decoder_replace_matches(struct buffer *out, const struct decoder_step *step,
                             struct text_pattern_work *work, const char *s, size_t n);

#endif
