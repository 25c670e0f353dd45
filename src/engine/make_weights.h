/* make_weights: weights that cannot be pointed to, made by several threads: rows of the source,
 * converted, or quantised by ggml. */
#ifndef INF_ENGINE_MAKE_WEIGHTS_H
#define INF_ENGINE_MAKE_WEIGHTS_H

#include "engine/mapped_model.h"

/* Bytes that all weights to be made take, each aligned to MADE_ALIGNMENT. */
#define MADE_ALIGNMENT 64
size_t make_weights_size(const struct model_weights *w);
/* Makes them all in `arena`, of that size; places[tensor] (per tensor of the file) gets its address,
 * NULL for those that are ready. CANCELLED, TIMEOUT, NO_MEMORY, the errors of rows. */
int32_t make_weights(const struct model_weights *w, const struct mapped_options *options,
                     char *arena, void **places, inf_error *err);

#endif
