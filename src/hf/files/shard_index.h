/*
 * shard_index: "model.safetensors.index.json" and its like: which files beside it the tensors lie in. Owns the
 * text and the files' paths; opens none of them. Immutable once open; any thread.
 */
#ifndef INF_HF_FILES_SHARD_INDEX_H
#define INF_HF_FILES_SHARD_INDEX_H

#include "core/error.h"
#include "core/json.h"
#include "core/name_set.h"

enum { SHARD_INDEX_MAX_FILES = 4096 };

struct shard_index {
    const char *name; /* of the index, for messages; borrowed */
    char *text;
    struct json_span map;  /* weight_map */
    struct name_set paths; /* of the files */
};

/* Fills an empty index; whatever comes out, the caller frees it. IO, BAD_FORMAT (no JSON, no weight_map, a name that
 * is no file's beside it, too many), NO_MEMORY. */
int32_t shard_index_open(struct shard_index *out, const char *dir, const char *name,
                         inf_error *err);
/* What the index promises is there: each of its tensors is in `files`, as `has` says. BAD_FORMAT. */
int32_t shard_index_check(const struct shard_index *x,
                          bool (*has)(const void *files, const char *tensor), const void *files,
                          inf_error *err);
void shard_index_free(struct shard_index *x);

#endif
