/* clock: the monotonic clock, in microseconds. Every deadline and timing in the library uses it. */
#ifndef INF_CORE_CLOCK_H
#define INF_CORE_CLOCK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

int64_t clock_us(void);
/* The time `ms` milliseconds from now; INT64_MAX (never) for a negative or an absurd one. */
int64_t clock_deadline_us(int64_t ms);

#ifdef __cplusplus
}
#endif

#endif
