/* cpu_features: which vector instructions this CPU, and its system, have. Any thread. */
#ifndef INF_CORE_CPU_FEATURES_H
#define INF_CORE_CPU_FEATURES_H

#include <stdbool.h>

/* AVX2, FMA and F16C. Asked once. */
bool cpu_has_avx2(void);
/* And AVX-512 F and VL: 32 registers for the same instructions. */
bool cpu_has_avx512vl(void);

#endif
