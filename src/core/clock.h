/* clock: the monotonic clock, in microseconds. Every deadline and timing in the library uses it. */
#ifndef INF_CORE_CLOCK_H
#define INF_CORE_CLOCK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

int64_t clock_us(void);

#ifdef __cplusplus
}
#endif

#endif
