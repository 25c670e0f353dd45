/* config: what a provider's configuration asks of a checkpoint: where it lies, and in what numbers. */
#ifndef INF_TRANSFORMERS_CONFIG_H
#define INF_TRANSFORMERS_CONFIG_H

#include "core/error.h"

/* The directory of a checkpoint: a path, or an id that is looked up in the hub's local cache (mem_*, the
 * caller's). IO, INVALID_ARGUMENT, NO_MEMORY. */
int32_t checkpoint_directory(char **dir, const char *model, inf_error *err);

/* The directory of an id that the hub's local cache has (mem_*, the caller's); NULL for a path, and for
 * anything else. May do I/O. */
char *transformers_cached(const char *path);

/* enum weight_type of a name as dtype has it, WEIGHT_TYPE_AUTO of NULL and "auto". INVALID_ARGUMENT. */
int32_t weight_type_of(int32_t *type, const char *dtype, inf_error *err);
/* "float32", ...; of a type that dtype can name. */
const char *weight_type_name(int32_t type);

#endif
