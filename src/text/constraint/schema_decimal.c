/*
 * schema_decimal: see the header.
 */
#include "text/constraint/schema_decimal.h"

#include "core/ascii.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Digits (n of them) with the point behind the first `point`, which may be beside them. */
static void place_digits(struct decimal *d, const char *digits, int32_t n, int32_t point)
{
    int32_t first = 0;

    while (first < n && digits[first] == '0')
        first++;
    if (point > DECIMAL_WHOLE) {
        decimal_nines(d, DECIMAL_WHOLE, d->negative);
        return;
    }
    for (int32_t i = first; i < point; i++)
        d->whole[d->n_whole++] = i < n ? (uint8_t)(digits[i] - '0') : 0;
    if (d->n_whole == 0)
        d->whole[d->n_whole++] = 0;
    for (int32_t i = point; i < n && d->n_fraction < DECIMAL_FRACTION; i++)
        d->fraction[d->n_fraction++] = i >= 0 ? (uint8_t)(digits[i] - '0') : 0;
    while (d->n_fraction > 0 && d->fraction[d->n_fraction - 1] == 0)
        d->n_fraction--;
}

void decimal_of(struct decimal *out, const json_t *number)
{
    char text[64];
    char digits[32];
    int32_t n = 0;
    const char *at = text;

    *out = (struct decimal){0};
    if (json_is_integer(number)) {
        snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(number));
        out->negative = *text == '-';
        at += out->negative;
        place_digits(out, at, (int32_t)strlen(at), (int32_t)strlen(at));
        return;
    }
    for (int precision = 14; precision <= 16; precision++) {
        double read = 0;

        snprintf(text, sizeof text, "%.*e", precision, json_real_value(number));
        read = strtod(text, NULL);
        if (memcmp(&read, &(double){json_real_value(number)}, sizeof read) == 0)
            break;
    }
    out->negative = *text == '-';
    for (at += out->negative; *at && *at != 'e'; at++)
        if (is_digit(*at))
            digits[n++] = *at;
    place_digits(out, digits, n, *at ? 1 + (int32_t)strtol(at + 1, NULL, 10) : n);
    if (decimal_ends_at(out, 0)) /* zero */
        out->negative = false;
}

void decimal_nines(struct decimal *out, int32_t n, bool negative)
{
    *out = (struct decimal){.negative = negative, .n_whole = n};
    memset(out->whole, 9, (size_t)n);
}

int decimal_digit(const struct decimal *d, int32_t place)
{
    if (place < d->n_whole)
        return d->whole[place];
    place -= d->n_whole;
    return place < d->n_fraction ? d->fraction[place] : 0;
}

bool decimal_ends_at(const struct decimal *d, int32_t place)
{
    for (; place < d->n_whole + d->n_fraction; place++)
        if (decimal_digit(d, place) != 0)
            return false;
    return true;
}

static int compare_sizes(const struct decimal *a, const struct decimal *b)
{
    if (a->n_whole != b->n_whole)
        return a->n_whole < b->n_whole ? -1 : 1;
    for (int32_t i = 0; i < a->n_whole + DECIMAL_FRACTION; i++) {
        int x = decimal_digit(a, i);
        int y = decimal_digit(b, i);

        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

int decimal_compare(const struct decimal *a, const struct decimal *b)
{
    if (a->negative != b->negative)
        return a->negative ? -1 : 1;
    return a->negative ? compare_sizes(b, a) : compare_sizes(a, b);
}
