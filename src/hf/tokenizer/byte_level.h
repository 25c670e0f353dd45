/*
 * byte_level: the alphabet in which byte-level vocabularies are written: a character for each byte.
 * Pure functions.
 */
#ifndef INF_HF_TOKENIZER_BYTE_LEVEL_H
#define INF_HF_TOKENIZER_BYTE_LEVEL_H

#include "core/buffer.h"

#include <stdint.h>

/* The character of a byte, and back (-1: it stands for none). */
uint32_t byte_level_char(uint8_t byte);
int byte_level_byte(uint32_t c);

/* The bytes that a text of the alphabet means, into out (len bytes at most); SIZE_MAX when one of its
 * characters is none. Well-formed UTF-8. */
size_t byte_level_read(char *out, const char *text, size_t len);
/* Appends the text for bytes. false: out of memory. */
bool byte_level_write(struct buffer *out, const char *bytes, size_t n);

#endif
