/*
 * dots: numbers with a dot, on the calling thread, whatever locale the program chose: strtod and snprintf write and
 * read what it says otherwise.
 */
#ifndef INF_CORE_DOTS_H
#define INF_CORE_DOTS_H

#include <locale.h>

struct dots {
    locale_t plain, before;
};

/* Where there is no memory for it the program's own stays. */
void dots_begin(struct dots *d);
void dots_end(struct dots *d);

#endif
