/* clock: the monotonic clock, in microseconds. Every deadline and timing in the library uses it. */
#ifndef INF_CORE_CLOCK_H
#define INF_CORE_CLOCK_H

#include <stdint.h>

int64_t clock_us(void);

#endif
