/* clock: the monotonic clock, in microseconds. Every deadline and timing in the library uses it. */
#ifndef INF_CORE_CLOCK_H
#define INF_CORE_CLOCK_H

#include <pthread.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

int64_t clock_us(void);
/* The time `ms` milliseconds from now; INT64_MAX (never) for a negative or an absurd one. */
int64_t clock_deadline_us(int64_t ms);

/* A condition whose timed waits are on this clock: setting the wall clock does not stretch them. */
void monotonic_cond_init(pthread_cond_t *cond);
/* pthread_cond_wait that returns by that time at the latest; INT64_MAX: without end. */
void cond_wait_until_us(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_us);

#ifdef __cplusplus
}
#endif

#endif
