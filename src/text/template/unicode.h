/*
 * unicode: what Python's str knows of a code point: properties and full case mappings.
 * The tables come from Python itself (scripts/make_unicode_tables.py). Pure functions.
 */
#ifndef INF_TEXT_TEMPLATE_UNICODE_H
#define INF_TEXT_TEMPLATE_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum unicode_flag {
    U_ALPHA = 1,
    U_DECIMAL = 2,
    U_DIGIT = 4,
    U_NUMERIC = 8,
    U_LOWER = 16,
    U_UPPER = 32,
    U_TITLE = 64,
    U_PRINTABLE = 128,
    U_IGNORABLE = 256, /* when a final sigma is looked for */
    U_NAME_START = 512,
    U_NAME = 1024,
};
#define U_ALNUM (U_ALPHA | U_DECIMAL | U_DIGIT | U_NUMERIC)
#define U_CASED (U_LOWER | U_UPPER | U_TITLE)

struct case_run {
    uint32_t first;
    uint16_t count;
    uint16_t stride;
    int32_t distance;
};
struct case_many {
    uint32_t c;
    uint16_t to[3]; /* 0 ends it */
};
/* The mappings of one kind. */
struct case_table {
    const struct case_table *rest; /* what is not here is mapped as there; NULL: to itself */
    const struct case_run *runs;
    size_t n_runs;
    const struct case_many *many;
    size_t n_many;
};

extern const struct case_table UNICODE_LOWER;
extern const struct case_table UNICODE_UPPER;
extern const struct case_table UNICODE_TITLE;
extern const struct case_table UNICODE_CASEFOLD;
/* Starts of runs with the same flags: code point << 11 | flags. */
extern const uint32_t UNICODE_RUNS[];
extern const size_t N_UNICODE_RUNS;

unsigned unicode_flags(uint32_t c);
bool unicode_space(uint32_t c);
bool unicode_line_end(uint32_t c); /* where str.splitlines cuts */
/* 0 to 9; -1: no decimal digit. */
int unicode_decimal(uint32_t c);
/* Writes 1 to 3 code points and returns how many. */
size_t unicode_map(const struct case_table *table, uint32_t c, uint32_t out[3]);

#endif
