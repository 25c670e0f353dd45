/*
 * file: regular files, read and not mapped: whoever rewrites one meanwhile makes a read fail or
 * gives other bytes, never a signal. Blocking; any thread.
 */
#ifndef INF_CORE_FILE_H
#define INF_CORE_FILE_H

#include "core/error.h"

#include <stdbool.h>
#include <sys/stat.h>

/* A descriptor, which the caller closes, and the file's size. Waits for no FIFO. IO: missing,
 * unreadable, not a regular file; *fd is then -1. */
int32_t file_open(int *fd, uint64_t *size, const char *path, inf_error *err);
/* Exactly n bytes. IO, also when the file ends before. `path` is for messages. */
int32_t file_read_at(int fd, void *dst, size_t n, uint64_t offset, const char *path,
                     inf_error *err);
/* The whole file, 64-byte aligned, which the caller frees with mem_free. BAD_FORMAT: longer than
 * max, or a Git LFS pointer in its place. IO, NO_MEMORY. */
int32_t file_read(char **data, size_t *size, const char *path, uint64_t max, inf_error *err);

/* "dir/name", to be freed with mem_free; NULL when out of memory. */
char *path_join(const char *dir, const char *name);
/* The same of "dir/name". */
int32_t file_read_in(char **data, size_t *size, const char *dir, const char *name, uint64_t max,
                     inf_error *err);
/* The same; *data NULL where there is none. */
int32_t file_read_if_there(char **data, size_t *size, const char *dir, const char *name,
                           uint64_t max, inf_error *err);
/* Whether there is something at "dir/name", of whatever kind. */
bool path_exists(const char *dir, const char *name);
bool is_directory(const char *path);
/* Whether two looks at a file saw the same one, unchanged. */
bool file_is_same(const struct stat *before, const struct stat *now);

#endif
