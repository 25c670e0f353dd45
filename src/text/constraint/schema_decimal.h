/*
 * schema_decimal: numbers as their decimal digits, for bounds that are met digit by digit. Pure functions.
 */
#ifndef INF_TEXT_CONSTRAINT_SCHEMA_DECIMAL_H
#define INF_TEXT_CONSTRAINT_SCHEMA_DECIMAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define DECIMAL_WHOLE 24     /* more digits before the point: all nines */
#define DECIMAL_FRACTION 344 /* of the smallest double */

/* Its digits, 0 to 9; a whole part has no leading zeros but is one digit at least. */
struct decimal {
    bool negative;
    int32_t n_whole, n_fraction;
    uint8_t whole[DECIMAL_WHOLE];
    uint8_t fraction[DECIMAL_FRACTION];
};

/* Of a finite number: the shortest digits that are read as it. */
void decimal_of(struct decimal *out, const json_t *number);
/* n nines. */
void decimal_nines(struct decimal *out, int32_t n, bool negative);
/* -1, 0, 1 */
int decimal_compare(const struct decimal *a, const struct decimal *b);
/* The digit at a place counted from the first whole one; 0 behind the last. */
int decimal_digit(const struct decimal *d, int32_t place);
/* All digits from there on are 0. */
bool decimal_ends_at(const struct decimal *d, int32_t place);

#endif
