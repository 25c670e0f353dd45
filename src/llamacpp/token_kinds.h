/*
 * token_kinds: what each token of a GGUF file's vocabulary is to a text, by llama.cpp's rules: the file
 * gives types and ids, and some tokens are known by their texts, since many files say too little of them.
 * Made once, then immutable: any thread.
 */
#ifndef INF_LLAMACPP_TOKEN_KINDS_H
#define INF_LLAMACPP_TOKEN_KINDS_H

#include "gguf/file.h"

/* Bits of a token's kind. */
enum {
    KIND_CONTROL = 1,  /* found in texts where special tokens are, and not shown */
    KIND_DEFINED = 2,  /* found in every text, and shown */
    KIND_WITHOUT = 4,  /* it has no text */
    KIND_BYTE = 8,     /* a byte of what has no token */
    KIND_GUESSED = 16, /* control by its text alone: the file has it as text */
    KIND_END = 32      /* generation ends with it */
};

/* The ids of bos, eos, ... by their keys, or those that llama.cpp assumes. -1: none. */
struct token_ids {
    int32_t bos, eos;
};

/* kinds: one of each token, of which there are n (texts, without NULs); ids: what to assume, and what it
 * is then. */
void token_kinds_read(uint8_t *kinds, size_t n, const inf_text *texts, const struct gguf_file *file,
                      struct token_ids *ids);

#endif
