/*
 * char_kind: kinds of characters as the tokenizers library's regular expressions and functions
 * understand them. The tables are spread out once, by char_kinds_init; then any thread may read them.
 */
#ifndef INF_HF_TOKENIZER_CHAR_KIND_H
#define INF_HF_TOKENIZER_CHAR_KIND_H

#include <stdbool.h>
#include <stdint.h>

enum char_class {
    CHAR_LETTER = 1 << 0, /* L */
    CHAR_NUMBER = 1 << 1, /* N */
    CHAR_SPACE = 1 << 2,  /* White_Space */
    CHAR_MARK = 1 << 3,   /* M */
    CHAR_PUNCT = 1 << 4,  /* P */
    CHAR_SYMBOL = 1 << 5, /* S */
    CHAR_UPPER = 1 << 6,  /* Lu, Lt */
    CHAR_LOWER = 1 << 7   /* Ll; letters that are neither are Lm and Lo */
};

/* What a normalizer may do to a character, by the older Unicode of the library's normalizers. */
enum char_form {
    FORM_NONSTARTER = 1 << 0, /* of a combining class */
    FORM_CANONICAL = 1 << 1,  /* has a canonical decomposition, */
    FORM_COMPATIBLE = 1 << 2, /* or a compatible one */
    FORM_SECOND = 1 << 3,     /* may be composed with what stands before it */
    FORM_ACCENT = 1 << 4,     /* StripAccents takes it away */
    FORM_NONSPACING = 1 << 5, /* so does BertNormalizer, as an accent, */
    FORM_OTHER = 1 << 6       /* or as a control character */
};

enum { CHAR_CODES = 0x110000 };

/* Before anything below. Again is nothing. */
void char_kinds_init(void);

extern uint8_t char_class_table[CHAR_CODES]; /* read it through this: */
static inline unsigned char_classes(uint32_t c)
{
    return char_class_table[c];
}

extern uint8_t char_form_table[CHAR_CODES]; /* and this through this: */
static inline unsigned char_forms(uint32_t c)
{
    return char_form_table[c];
}

static inline bool char_is_space(uint32_t c)
{
    return char_classes(c) & CHAR_SPACE;
}

bool char_is_word(uint32_t c);        /* \w */
bool char_is_number(uint32_t c);      /* N as of Unicode 17 */
bool char_is_punctuation(uint32_t c); /* P as of Unicode 8, and all of ASCII's */

#endif
