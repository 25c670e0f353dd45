/*
 * avx2: how functions of AVX2, FMA and F16C are written here, with either compiler. Only where
 * INF_KERNELS_X86 is 1.
 */
#ifndef INF_KERNELS_AVX2_H
#define INF_KERNELS_AVX2_H

#include <immintrin.h>
#include <stddef.h>

#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define INLINE AVX2 static inline __attribute__((always_inline))
/* Of each type, and number of rows, a function of its own, in which it is a constant. */
#define INSTANCE AVX2 __attribute__((noinline)) static
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#define ROLLED _Pragma("clang loop unroll(disable)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#define ROLLED _Pragma("GCC unroll 1")
#endif

/* In loops that gcc unrolls, and where it gives a sum a second register, it runs out of them: then a sum lies in
 * memory, for which each step waits. This one has a register. */
#define KEEP(v) __asm__("" : "+x"(v))

/* Several rows of weights that are read at once are no stream that the CPU foresees: the next ones are
 * asked for, a part with each step. */
INLINE void ask_for(const void *p, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64)
        _mm_prefetch((const char *)p + i, _MM_HINT_T1);
}

#endif
