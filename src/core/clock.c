/* clock: see the header. */
#include "core/clock.h"

#include <time.h>

int64_t clock_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_deadline_us(int64_t ms)
{
    return ms < 0 || ms > INT64_MAX / 2000 ? INT64_MAX : clock_us() + ms * 1000;
}
