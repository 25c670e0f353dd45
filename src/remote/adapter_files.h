/*
 * adapter_files: an adapter directory as this machine sees it, before its path goes to a server:
 * its full path, and which bytes it holds.
 *
 * Blocking file I/O: for the provider's control threads. Stateless.
 */
#ifndef INF_REMOTE_ADAPTER_FILES_H
#define INF_REMOTE_ADAPTER_FILES_H

#include "core/error.h"

#include <stdbool.h>

/* Which bytes a directory held. */
struct files_digest {
    uint64_t words[2];
    bool known; /* the directory could be read here */
};

/* A relative path that exists here is made absolute; any other is copied as it is: it may be one
 * that only the server knows. Errors: NO_MEMORY, IO. */
int32_t adapter_files_path(char **out, const char *path, inf_error *err);

/* True when this machine can read an adapter there. */
bool adapter_files_readable(const char *dir);

/* Of adapter_config.json and every weight file, names and bytes; not known when the directory
 * cannot be read. It tells apart what changed, not what was forged. */
void adapter_files_digest(struct files_digest *out, const char *dir);

/* A regular file of that name that this machine can read. */
bool adapter_files_has(const char *dir, const char *name);

#endif
