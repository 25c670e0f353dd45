/* path: see the header. A name that is unknown, or that this CPU cannot run, changes nothing. */
#include "kernels/path.h"

#include "core/numbers.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { FORCED = 16, ASKED = 32 };

static int32_t choose(void)
{
    static const char *const names[] = {
        [KERNELS_NONE] = "none", [KERNELS_PORTABLE] = "portable", [KERNELS_AVX2] = "avx2"};
    const char *wanted = getenv("INFERENCE_KERNELS");

    for (int32_t i = KERNELS_NONE; wanted && i <= KERNELS_AVX2; i++)
        if (strcmp(wanted, names[i]) == 0 && (i != KERNELS_AVX2 || cpu_has_avx2()))
            return i | FORCED;
    return cpu_has_avx2() ? KERNELS_AVX2 : KERNELS_NONE;
}

static int32_t chosen(void)
{
    static atomic_int once;
    int32_t choice = atomic_load_explicit(&once, memory_order_relaxed);

    if (!(choice & ASKED)) {
        choice = choose() | ASKED;
        atomic_store_explicit(&once, choice, memory_order_relaxed);
    }
    return choice;
}

int32_t kernel_path(void)
{
    return chosen() & (FORCED - 1);
}

bool kernel_path_is_forced(void)
{
    return chosen() & FORCED;
}
