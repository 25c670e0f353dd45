/* cpu_features: see the header. */
#include "core/cpu_features.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <stdatomic.h>

/* Once: CPUID leaves a virtual machine and costs more than a small matrix. (Not every compiler's
 * __builtin_cpu_supports knows f16c.) */
bool cpu_has_avx2(void)
{
    static atomic_int known; /* 0: not yet; 1: no; 2: yes */
    int have = atomic_load_explicit(&known, memory_order_relaxed);
    unsigned a = 0, b = 0, c = 0, d = 0;

    if (have == 0) {
        have = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C) && __builtin_cpu_supports("avx2") &&
                       __builtin_cpu_supports("fma")
                   ? 2
                   : 1;
        atomic_store_explicit(&known, have, memory_order_relaxed);
    }
    return have == 2;
}

bool cpu_has_avx512vl(void)
{
    return cpu_has_avx2() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512vl");
}

#else

bool cpu_has_avx2(void)
{
    return false;
}

bool cpu_has_avx512vl(void)
{
    return false;
}

#endif
