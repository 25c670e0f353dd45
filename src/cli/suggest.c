/* suggest: see the header. */
#include "cli/suggest.h"

#include <stdbool.h>
#include <string.h>

enum { LONGEST = 40 }; /* no option or command has a longer name */

/* Names are of small letters. */
static char spelled(char c)
{
    return c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same(char a, char b)
{
    return spelled(a) == spelled(b);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Letters to insert, to delete, to replace or to swap with their neighbour. */
static size_t distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t rows[3][LONGEST + 1];
    size_t *before = rows[0];
    size_t *above = rows[1];
    size_t *row = rows[2];

    for (size_t j = 0; j <= m; j++)
        above[j] = before[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *oldest = before;

        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            row[j] = least(least(above[j], row[j - 1]) + 1,
                           above[j - 1] + !same(a[i - 1], b[j - 1]));
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
                row[j] = least(row[j], before[j - 2] + 1);
        }
        before = above;
        above = row;
        row = oldest;
    }
    return above[m];
}

void suggest(struct suggestion *best, const char *word, size_t len, const char *name)
{
    size_t n = name ? strlen(name) : 0;
    size_t away = 0;

    if (len < 2 || len > LONGEST || n == 0 || n > LONGEST)
        return;
    away = distance(word, len, name, n);
    if (n > len && len >= 3 && distance(word, len, name, len) == 0)
        away = 1;
    if (away > (len + 1) / 3 || (best->name && away >= best->distance))
        return;
    best->name = name;
    best->distance = away;
}
