/*
 * path: which instructions the kernels of this folder use: the best that the CPU has, or what the
 * environment variable INFERENCE_KERNELS says: "portable", "avx2", or "none": nothing is computed here
 * (tests force each with it, benchmarks compare). Asked once; any thread.
 */
#ifndef INF_KERNELS_PATH_H
#define INF_KERNELS_PATH_H

#include <stdint.h>

enum kernel_path { KERNELS_NONE, KERNELS_PORTABLE, KERNELS_AVX2 };

int32_t kernel_path(void);

#endif
