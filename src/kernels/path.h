/*
 * path: which instructions the kernels of this folder use: the best that the CPU has of AVX2, AVX-512, AVX-512 with
 * VNNI and with BF16, or of NEON and NEON with sums of products of bytes, else there are none that are worth it; or what the environment variable INFERENCE_KERNELS says: one of
 * kernel_path_name, "none": nothing is computed here (tests force each with it, benchmarks compare). All give the
 * same bits. Asked once; any thread.
 */
#ifndef INF_KERNELS_PATH_H
#define INF_KERNELS_PATH_H

#include "core/error.h"

#include <stdbool.h>

/* In the order in which they are chosen. */
enum kernel_path {
    KERNELS_NONE,
    KERNELS_PORTABLE,
    KERNELS_AVX2,
    KERNELS_AVX512,
    KERNELS_AVX512VNNI,
    KERNELS_AVX512BF16, /* has VNNI too */
    KERNELS_NEON,
    KERNELS_NEONDOT, /* with sums of products of bytes (dotprod) */
    KERNEL_PATHS
};

int32_t kernel_path(void);
const char *kernel_path_name(int32_t path);
/* Whether this CPU can run it. */
bool kernel_path_exists(int32_t path);
/* An invalid argument where INFERENCE_KERNELS names no path, or one that this CPU cannot run: whoever loads a model
 * asks first. (To kernel_path such a name is none.) */
int32_t kernel_path_check(inf_error *err);

#endif
