/*
 * hub_cache: the local cache of the Hugging Face hub, looked into, never written: which folder holds the
 * files of a model's revision. Links are followed, whatever number of steps they take.
 * Reads the environment at each call. Any thread.
 */
#ifndef INF_HF_HUB_CACHE_H
#define INF_HF_HUB_CACHE_H

#include "core/error.h"

/* "name", "owner/name", or either with "@revision" (a branch, a tag, or a commit's 40 digits). */
bool hub_is_id(const char *id);

/* The snapshot's folder (mem_*, the caller's). INVALID_ARGUMENT: no id. IO: it is not in the cache, with
 * what to do. NO_MEMORY. */
int32_t hub_cache_find(char **dir, const char *id, inf_error *err);

#endif
