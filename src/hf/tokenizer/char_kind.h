/*
 * char_kind: kinds of characters as the tokenizers library's regular expressions and functions
 * understand them. Pure functions.
 */
#ifndef INF_HF_TOKENIZER_CHAR_KIND_H
#define INF_HF_TOKENIZER_CHAR_KIND_H

#include <stdbool.h>
#include <stdint.h>

enum char_class {
    CHAR_OTHER = 0,
    CHAR_LETTER = 1 << 0, /* L */
    CHAR_NUMBER = 1 << 1, /* N */
    CHAR_SPACE = 1 << 2,  /* White_Space */
    CHAR_MARK = 1 << 3,   /* M */
    CHAR_PUNCT = 1 << 4,  /* P */
    CHAR_SYMBOL = 1 << 5, /* S */
    CHAR_UPPER = 1 << 6,  /* Lu, Lt */
    CHAR_LOWER = 1 << 7,  /* Ll; letters that are neither are Lm and Lo */
};

unsigned char_classes(uint32_t c);

static inline bool char_is_space(uint32_t c)
{
    return c < 0x80 ? c == ' ' || (c >= 9 && c <= 13)
                    : c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
                          c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool char_is_word(uint32_t c);        /* \w */
bool char_is_number(uint32_t c);      /* N */
bool char_is_punctuation(uint32_t c); /* P, and all of ASCII's */

#endif
