/* dots: see the header. */
#include "core/dots.h"

void dots_begin(struct dots *d)
{
    d->plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    d->before = d->plain ? uselocale(d->plain) : (locale_t)0;
}

void dots_end(struct dots *d)
{
    if (!d->plain)
        return;
    uselocale(d->before);
    freelocale(d->plain);
}
