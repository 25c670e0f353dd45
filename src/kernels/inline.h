/*
 * inline: how functions of vectors are written here, with either compiler. A part of vectors.h and neon.h, which say
 * first what their functions are built for (TARGET).
 */
#ifndef INF_KERNELS_INLINE_H
#define INF_KERNELS_INLINE_H

#include <stdint.h>

#define INLINE TARGET static inline __attribute__((always_inline))
/* Of each type, and number of rows, a function of its own, in which it is a constant. */
#define INSTANCE TARGET __attribute__((noinline)) static
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#define ROLLED _Pragma("clang loop unroll(disable)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#define ROLLED _Pragma("GCC unroll 1")
#endif

/* Of a table. */
#define AT(index) [index] =

/* How many of `left` rows are computed together: at most so many, and not three times four and one. */
static inline int32_t together(int32_t left, int32_t most)
{
    int32_t passes = (left + most - 1) / most;

    return (left + passes - 1) / passes;
}

#endif
