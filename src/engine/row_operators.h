/*
 * row_operators: matmuls (of experts too) and attention of llama.cpp's graphs by the kernels of src/kernels, among ggml's
 * threads: what is faster for few rows, and what makes a row's result independent of the others.
 *
 * A type of weights is computed here at every number of rows, or at none. Weights that llama.cpp has laid
 * out anew, types and shapes that the kernels do not know, are left to ggml.
 */
#ifndef INF_ENGINE_ROW_OPERATORS_H
#define INF_ENGINE_ROW_OPERATORS_H

#include "engine/cpu_operators.h"

struct gguf_model;

#ifdef __cplusplus
extern "C" {
#endif

const struct cpu_kernels *row_operators(void);

/* Whether they compute anything: not where the CPU has no AVX2, nor where INFERENCE_KERNELS says so. */
bool row_operators_compute(void);

/* Whether they compute flash attention with heads of such a size; from a cache of floats then as it is, where
 * ggml would make half floats of it. */
bool row_operators_attend(int32_t head_dim);

/* Whether all that a model computes of a row does not depend on what is computed beside it: not where types
 * of weights are left to ggml, nor where recurrent layers do. flash_attention: it may be used. states_independent:
 * recurrent layers, if it has any, do not. */
bool row_operators_cover(const struct gguf_model *model, bool flash_attention,
                         bool states_independent);

#ifdef __cplusplus
}
#endif

#endif
