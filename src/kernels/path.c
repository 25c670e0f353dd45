/* path: see the header. A name that is unknown, or that this CPU cannot run, changes nothing. */
#include "kernels/path.h"

#include "core/numbers.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static int32_t choose(void)
{
    const char *wanted = getenv("INFERENCE_KERNELS");

    if (wanted && strcmp(wanted, "portable") == 0)
        return KERNELS_PORTABLE;
    if (wanted && strcmp(wanted, "none") == 0)
        return KERNELS_NONE;
    return cpu_has_avx2() ? KERNELS_AVX2 : KERNELS_PORTABLE;
}

int32_t kernel_path(void)
{
    static atomic_int chosen = -1;
    int32_t path = atomic_load_explicit(&chosen, memory_order_relaxed);

    if (path < 0) {
        path = choose();
        atomic_store_explicit(&chosen, path, memory_order_relaxed);
    }
    return path;
}
