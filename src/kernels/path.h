/*
 * path: which instructions the kernels of this folder use: AVX2 where the CPU has it, else there are none that
 * are worth it; or what the environment variable INFERENCE_KERNELS says: "portable", "avx2", or "none":
 * nothing is computed here (tests force each with it, benchmarks compare). Asked once; any thread.
 */
#ifndef INF_KERNELS_PATH_H
#define INF_KERNELS_PATH_H

#include <stdbool.h>
#include <stdint.h>

enum kernel_path { KERNELS_NONE, KERNELS_PORTABLE, KERNELS_AVX2 };

int32_t kernel_path(void);
/* The environment says so: whoever calls the kernels has nothing to choose. */
bool kernel_path_is_forced(void);

#endif
