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
    static const uint32_t first[] = {0x10d40, 0x116d0, 0x116da, 0x11bf0, 0x11f50,
                                     0x16130, 0x16d70, 0x1ccf0, 0x1e4f0, 0x1e5f1};

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

/* With the numbers of Unicode 17: the library asks Rust here, elsewhere Oniguruma. */
bool char_is_number(uint32_t c)
{
    return (char_classes(c) & CHAR_NUMBER) || (c >= 0x11de0 && c <= 0x11de9) ||
           (c >= 0x16ff4 && c <= 0x16ff6);
}

/* What became punctuation after Unicode 8, which is what the library's Punctuation knows; and what no
 * longer is. */
static bool is_later_punctuation(uint32_t c)
{
    static const uint32_t runs[][2] = {
        {0x61d, 0x61d},     {0x9fd, 0x9fd},     {0xa76, 0xa76},     {0xc77, 0xc77},
        {0xc84, 0xc84},     {0x1b4e, 0x1b4f},   {0x1b7d, 0x1b7f},   {0x2e43, 0x2e4f},
        {0x2e52, 0x2e5d},   {0x10d6e, 0x10d6e}, {0x10ead, 0x10ead}, {0x10f55, 0x10f59},
        {0x10f86, 0x10f89}, {0x113d4, 0x113d5}, {0x113d7, 0x113d8}, {0x1144b, 0x1144f},
        {0x1145a, 0x1145b}, {0x1145d, 0x1145d}, {0x11660, 0x1166c}, {0x116b9, 0x116b9},
        {0x1183b, 0x1183b}, {0x11944, 0x11946}, {0x119e2, 0x119e2}, {0x11a3f, 0x11a46},
        {0x11a9a, 0x11a9c}, {0x11a9e, 0x11aa2}, {0x11b00, 0x11b09}, {0x11be1, 0x11be1},
        {0x11c41, 0x11c45}, {0x11c70, 0x11c71}, {0x11ef7, 0x11ef8}, {0x11f43, 0x11f4f},
        {0x11fff, 0x11fff}, {0x12ff1, 0x12ff2}, {0x16d6d, 0x16d6f}, {0x16e97, 0x16e9a},
        {0x16fe2, 0x16fe2}, {0x1e5ff, 0x1e5ff}, {0x1e95e, 0x1e95f}};

    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++)
        if (c <= runs[i][1])
            return c >= runs[i][0];
    return false;
}

static bool was_punctuation(uint32_t c)
{
    return c == 0x166d || c == 0x111c9;
}

bool char_is_punctuation(uint32_t c)
{
    unsigned classes = char_classes(c);

    if (c < 0x80)
        return classes & (CHAR_PUNCT | CHAR_SYMBOL);
    return classes & CHAR_PUNCT ? !is_later_punctuation(c) : was_punctuation(c);
}
