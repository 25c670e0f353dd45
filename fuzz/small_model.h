/*
 * small_model: a Llama of one block, as far as adapters look at a model: names, shapes and types of
 * its weights, and its heads. For fuzz targets that load adapters.
 */
#ifndef FUZZ_SMALL_MODEL_H
#define FUZZ_SMALL_MODEL_H

#include "gguf/model.h"

/* Made at the first call, the same ever after. 8 wide, 2 heads and 1 key-value head of 4 rows. */
const struct gguf_model *small_model(void);

#endif
