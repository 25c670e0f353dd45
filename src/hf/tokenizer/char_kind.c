/* char_kind: see the header. The tables are utf8proc's. */
#include "hf/tokenizer/char_kind.h"

#include <utf8proc.h>

static const uint8_t of_category[] = {
    [UTF8PROC_CATEGORY_LU] = CHAR_LETTER | CHAR_UPPER,
    [UTF8PROC_CATEGORY_LL] = CHAR_LETTER | CHAR_LOWER,
    [UTF8PROC_CATEGORY_LT] = CHAR_LETTER | CHAR_UPPER,
    [UTF8PROC_CATEGORY_LM] = CHAR_LETTER,
    [UTF8PROC_CATEGORY_LO] = CHAR_LETTER,
    [UTF8PROC_CATEGORY_MN] = CHAR_MARK,
    [UTF8PROC_CATEGORY_MC] = CHAR_MARK,
    [UTF8PROC_CATEGORY_ME] = CHAR_MARK,
    [UTF8PROC_CATEGORY_ND] = CHAR_NUMBER,
    [UTF8PROC_CATEGORY_NL] = CHAR_NUMBER,
    [UTF8PROC_CATEGORY_NO] = CHAR_NUMBER,
    [UTF8PROC_CATEGORY_PC] = CHAR_PUNCT,
    [UTF8PROC_CATEGORY_PD] = CHAR_PUNCT,
    [UTF8PROC_CATEGORY_PS] = CHAR_PUNCT,
    [UTF8PROC_CATEGORY_PE] = CHAR_PUNCT,
    [UTF8PROC_CATEGORY_PI] = CHAR_PUNCT,
    [UTF8PROC_CATEGORY_PF] = CHAR_PUNCT,
    [UTF8PROC_CATEGORY_PO] = CHAR_PUNCT,
    [UTF8PROC_CATEGORY_SM] = CHAR_SYMBOL,
    [UTF8PROC_CATEGORY_SC] = CHAR_SYMBOL,
    [UTF8PROC_CATEGORY_SK] = CHAR_SYMBOL,
    [UTF8PROC_CATEGORY_SO] = CHAR_SYMBOL,
    [UTF8PROC_CATEGORY_CO] = CHAR_OTHER,
};

unsigned char_classes(uint32_t c)
{
    unsigned category = (unsigned)utf8proc_category((utf8proc_int32_t)c);

    return of_category[category] | (char_is_space(c) ? CHAR_SPACE : 0u);
}

/* Circled and squared letters, which are alphabetic though they are symbols. */
static bool is_enclosed_letter(uint32_t c)
{
    return (c >= 0x24b6 && c <= 0x24e9) || (c >= 0x1f130 && c <= 0x1f149) ||
           (c >= 0x1f150 && c <= 0x1f169) || (c >= 0x1f170 && c <= 0x1f189);
}

bool char_is_word(uint32_t c)
{
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);

    return (char_classes(c) & (CHAR_LETTER | CHAR_MARK)) || category == UTF8PROC_CATEGORY_ND ||
           category == UTF8PROC_CATEGORY_NL || category == UTF8PROC_CATEGORY_PC || c == 0x200c ||
           c == 0x200d || is_enclosed_letter(c);
}

bool char_is_number(uint32_t c)
{
    return char_classes(c) & CHAR_NUMBER;
}

bool char_is_punctuation(uint32_t c)
{
    return c < 0x80 ? (char_classes(c) & (CHAR_PUNCT | CHAR_SYMBOL)) != 0
                    : (char_classes(c) & CHAR_PUNCT) != 0;
}
