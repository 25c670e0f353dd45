/* path: see the header. */
#include "kernels/path.h"

#include "core/cpu_features.h"
#include "kernels/blocks.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#if INF_KERNELS_ARM && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#elif INF_KERNELS_ARM && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

enum { ASKED = 32 };

static const char *const names[KERNEL_PATHS] = {[KERNELS_NONE] = "none",
                                                [KERNELS_PORTABLE] = "portable",
                                                [KERNELS_AVX2] = "avx2",
                                                [KERNELS_AVX512] = "avx512",
                                                [KERNELS_AVX512VNNI] = "avx512vnni",
                                                [KERNELS_AVX512BF16] = "avx512bf16",
                                                [KERNELS_NEON] = "neon",
                                                [KERNELS_NEONDOT] = "neondot"};

const char *kernel_path_name(int32_t path)
{
    return names[path];
}

#if INF_KERNELS_X86

/* The system's part, keeping the registers, is asked too. */
static bool has_avx512(void)
{
    return cpu_has_avx2() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}

bool kernel_path_exists(int32_t path)
{
    switch (path) {
    case KERNELS_AVX2:
        return cpu_has_avx2();
    case KERNELS_AVX512:
        return has_avx512();
    case KERNELS_AVX512VNNI:
        return has_avx512() && __builtin_cpu_supports("avx512vnni");
    case KERNELS_AVX512BF16:
        return kernel_path_exists(KERNELS_AVX512VNNI) && __builtin_cpu_supports("avx512bf16");
    default:
        return path <= KERNELS_PORTABLE;
    }
}

#else

static bool has_dots(void)
{
#if INF_KERNELS_ARM && defined(__linux__)
    return getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
#elif INF_KERNELS_ARM && defined(__APPLE__)
    int32_t has = 0;
    size_t size = sizeof has;

    return sysctlbyname("hw.optional.arm.FEAT_DotProd", &has, &size, NULL, 0) == 0 && has;
#else
    return false;
#endif
}

bool kernel_path_exists(int32_t path)
{
    return path <= KERNELS_PORTABLE || (INF_KERNELS_ARM && path == KERNELS_NEON) ||
           (path == KERNELS_NEONDOT && has_dots());
}

#endif

/* The one that INFERENCE_KERNELS names, if it can be run; KERNEL_PATHS otherwise. */
static int32_t wanted(const char *name)
{
    for (int32_t i = KERNELS_NONE; name && i < KERNEL_PATHS; i++)
        if (strcmp(name, names[i]) == 0 && kernel_path_exists(i))
            return i;
    return KERNEL_PATHS;
}

static int32_t choose(void)
{
    int32_t path = wanted(getenv("INFERENCE_KERNELS"));

    if (path < KERNEL_PATHS)
        return path;
    path = KERNEL_PATHS - 1;
    while (path > KERNELS_PORTABLE && !kernel_path_exists(path))
        path--;
    return path > KERNELS_PORTABLE ? path : KERNELS_NONE;
}

int32_t kernel_path(void)
{
    static atomic_int once;
    int32_t path = atomic_load_explicit(&once, memory_order_relaxed);

    if (!(path & ASKED)) {
        path = choose() | ASKED;
        atomic_store_explicit(&once, path, memory_order_relaxed);
    }
    return path & (ASKED - 1);
}

int32_t kernel_path_check(inf_error *err)
{
    const char *name = getenv("INFERENCE_KERNELS");
    char can[64] = "";

    if (!name || !*name || wanted(name) < KERNEL_PATHS)
        return INF_OK;
    for (int32_t i = KERNELS_NONE; i < KERNEL_PATHS; i++) {
        if (kernel_path_exists(i)) {
            strcat(can, i > KERNELS_NONE ? ", " : "");
            strcat(can, names[i]);
        }
    }
    return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                     "INFERENCE_KERNELS is \"%.32s\"; this CPU runs one of: %s", name, can);
}
