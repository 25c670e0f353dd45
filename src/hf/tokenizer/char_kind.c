/* char_kind: see the header. What is no class of a regular expression is utf8proc's. */
#include "hf/tokenizer/char_kind.h"

#include "hf/tokenizer/char_tables.h"

#include <pthread.h>
#include <string.h>
#include <utf8proc.h>

uint8_t char_class_table[CHAR_CODES], char_form_table[CHAR_CODES];

static pthread_once_t spread_once = PTHREAD_ONCE_INIT;

/* Pages of nothing but characters of no kind are left alone. */
static void spread_runs(uint8_t *table, const uint32_t *runs, size_t n, unsigned mask)
{
    for (size_t i = 0; i < n; i++) {
        struct char_run run = char_run_at(runs, n, i);

        if (run.kind & mask)
            memset(table + run.first, (int)(run.kind & mask), run.end - run.first);
    }
}

static void spread(void)
{
    static const uint16_t spaces[][2] = {
        {9, 13},          {' ', ' '},       {0x85, 0x85},     {0xa0, 0xa0},     {0x1680, 0x1680},
        {0x2000, 0x200a}, {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}};

    spread_runs(char_class_table, char_runs, char_runs_n, UINT8_MAX & ~RUN_MODIFIER);
    spread_runs(char_form_table, char_runs_form, char_runs_form_n, UINT8_MAX);
    for (size_t i = 0; i < sizeof spaces / sizeof spaces[0]; i++)
        for (uint32_t c = spaces[i][0]; c <= spaces[i][1]; c++)
            char_class_table[c] |= CHAR_SPACE;
}

void char_kinds_init(void)
{
    pthread_once(&spread_once, spread);
}

/* Circled and squared letters, which are alphabetic though they are symbols. */
static bool is_enclosed_letter(uint32_t c)
{
    return (c >= 0x24b6 && c <= 0x24e9) || (c >= 0x1f130 && c <= 0x1f149) ||
           (c >= 0x1f150 && c <= 0x1f169) || (c >= 0x1f170 && c <= 0x1f189);
}

/* Digits of Unicode 15 and 16, which utf8proc may be too old for. */
static bool is_newer_digit(uint32_t c)
{
    static const uint32_t first[] = {0x10d40, 0x116d0, 0x116da, 0x11bf0,
                                     0x11f50, 0x1ccf0, 0x1e4f0, 0x1e5f1};

    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++)
        if (c >= first[i] && c < first[i] + 10)
            return true;
    return false;
}

bool char_is_word(uint32_t c)
{
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);

    return (char_classes(c) & (CHAR_LETTER | CHAR_MARK)) || category == UTF8PROC_CATEGORY_ND ||
           category == UTF8PROC_CATEGORY_NL || category == UTF8PROC_CATEGORY_PC || c == 0x200c ||
           c == 0x200d || is_enclosed_letter(c) || is_newer_digit(c);
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
