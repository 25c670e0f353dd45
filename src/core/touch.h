/*
 * touch: tells the thread sanitizer what is read and written by code that is built without it, since each
 * load of a vector would be a call there. In other builds nothing. Any thread.
 */
#ifndef INF_CORE_TOUCH_H
#define INF_CORE_TOUCH_H

#include <stddef.h>

#ifdef INF_SANITIZE_THREAD
/* Of the sanitizer's runtime, in no header of gcc or clang. */
void __tsan_read_range(void *p, unsigned long size);
void __tsan_write_range(void *p, unsigned long size);
#endif

static inline void touch_read(const void *p, size_t size)
{
#ifdef INF_SANITIZE_THREAD
    __tsan_read_range((void *)p, size);
#else
    (void)p;
    (void)size;
#endif
}

static inline void touch_write(void *p, size_t size)
{
#ifdef INF_SANITIZE_THREAD
    __tsan_write_range(p, size);
#else
    (void)p;
    (void)size;
#endif
}

#endif
