/*
 * unicode: see the header.
 */
#include "text/template/unicode.h"

static size_t run_of(uint32_t c)
{
    size_t low = 0;
    size_t high = N_UNICODE_RUNS;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (UNICODE_RUNS[middle] >> 11 <= c)
            low = middle;
        else
            high = middle;
    }
    return low;
}

unsigned unicode_flags(uint32_t c)
{
    if (c < 0x80) {
        if ((c >= 'a' && c <= 'z'))
            return U_ALPHA | U_LOWER | U_PRINTABLE | U_NAME_START | U_NAME;
        if (c >= ' ' && c <= '"')
            return U_PRINTABLE;
    }
    return UNICODE_RUNS[run_of(c)] & 0x7ff;
}

bool unicode_space(uint32_t c)
{
    if (c <= 0x20)
        return c == 0x20 || (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x1f);
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
           c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool unicode_line_end(uint32_t c)
{
    return (c >= 10 && c <= 13) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
}

int unicode_decimal(uint32_t c)
{
    size_t run;

    if (c < 0x80)
        return c >= '0' && c <= '9' ? (int)c - '0' : -1;
    run = run_of(c);
    if (!(UNICODE_RUNS[run] & U_DECIMAL))
        return -1;
    /* Digits of several scripts may follow one another, always ten by ten. */
    return (int)((c - (UNICODE_RUNS[run] >> 11)) % 10);
}

static bool map_many(const struct case_table *table, uint32_t c, uint32_t out[3], size_t *n)
{
    for (size_t i = 0; i < table->n_many; i++) {
        if (table->many[i].c != c)
            continue;
        for (*n = 0; *n < 3 && table->many[i].to[*n]; (*n)++)
            out[*n] = table->many[i].to[*n];
        return true;
    }
    return false;
}

static bool map_one(const struct case_table *table, uint32_t c, uint32_t *to)
{
    size_t low = 0;
    size_t high = table->n_runs;

    while (low < high) { /* the first run that starts beyond c */
        size_t middle = low + (high - low) / 2;

        if (table->runs[middle].first <= c)
            low = middle + 1;
        else
            high = middle;
    }
    /* Runs of stride 2 may hold a run between their elements. */
    for (size_t i = low; i-- > 0 && i + 3 > low;) {
        const struct case_run *run = &table->runs[i];
        uint32_t off = c - run->first;

        if (off % run->stride == 0 && off / run->stride < run->count) {
            *to = (uint32_t)((int64_t)c + run->distance);
            return true;
        }
    }
    return false;
}

size_t unicode_map(const struct case_table *table, uint32_t c, uint32_t out[3])
{
    size_t n = 1;

    for (; table; table = table->rest)
        if ((c >= 0x80 && map_many(table, c, out, &n)) || map_one(table, c, out))
            return n;
    out[0] = c;
    return 1;
}
