/* file: see the header. */
#include "core/file.h"

#include "core/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ALIGNMENT = 64 };

int32_t file_open(int *fd, uint64_t *size, const char *path, inf_error *err)
{
    struct stat info;
    int32_t code = INF_OK;

    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0 || fstat(*fd, &info) != 0)
        code = error_set_errno(err, errno, "open", path);
    else if (!S_ISREG(info.st_mode))
        code = error_set(err, INF_ERROR_IO, "cannot read %s: it is not a regular file", path);
    else
        *size = (uint64_t)info.st_size;
    if (code != INF_OK && *fd >= 0) {
        close(*fd);
        *fd = -1;
    }
    return code;
}

int32_t file_read_at(int fd, void *dst, size_t n, uint64_t offset, const char *path, inf_error *err)
{
    char *p = dst;

    while (n > 0) {
        ssize_t got = pread(fd, p, n, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(err, errno, "read", path);
        if (got == 0)
            return error_set(err, INF_ERROR_IO, "cannot read %s: it shrank while being read", path);
        p += got;
        n -= (size_t)got;
        offset += (uint64_t)got;
    }
    return INF_OK;
}

/* What a checkout without Git LFS has in place of a file. */
static int32_t check_pointer(const char *data, size_t n, const char *path, inf_error *err)
{
    static const char mark[] = "version https://git-lfs.github.com/spec/";

    if (n < sizeof mark - 1 || memcmp(data, mark, sizeof mark - 1) != 0)
        return INF_OK;
    return error_set(err, INF_ERROR_BAD_FORMAT,
                     "%s is a Git LFS pointer, not the file itself: run git lfs pull", path);
}

int32_t file_read(char **data, size_t *size, const char *path, uint64_t max, inf_error *err)
{
    int fd = -1;
    uint64_t n = 0;
    int32_t code = file_open(&fd, &n, path, err);

    *data = NULL;
    if (code == INF_OK && n > max)
        code = error_set(err, INF_ERROR_BAD_FORMAT, "%s is too long: %llu bytes", path,
                         (unsigned long long)n);
    if (code == INF_OK && !(*data = mem_aligned(ALIGNMENT, (size_t)n)))
        code = error_no_memory(err);
    if (code == INF_OK)
        code = file_read_at(fd, *data, (size_t)n, 0, path, err);
    if (code == INF_OK)
        code = check_pointer(*data, (size_t)n, path, err);
    if (fd >= 0)
        close(fd);
    *size = (size_t)n;
    if (code != INF_OK) {
        mem_free(*data);
        *data = NULL;
    }
    return code;
}

char *path_join(const char *dir, const char *name)
{
    size_t n = strlen(dir);
    size_t size = 0;
    char *path = size_add(n, strlen(name) + 2, &size) ? mem_alloc(size) : NULL;

    if (path)
        snprintf(path, size, "%s%s%s", dir, n > 0 && dir[n - 1] == '/' ? "" : "/", name);
    return path;
}

int32_t file_read_in(char **data, size_t *size, const char *dir, const char *name, uint64_t max,
                     inf_error *err)
{
    char *path = path_join(dir, name);
    int32_t code = path ? file_read(data, size, path, max, err) : error_no_memory(err);

    if (!path)
        *data = NULL;
    mem_free(path);
    return code;
}

/* Without memory: want of it must not pass for a file that is not there. */
int32_t file_read_if_there(char **data, size_t *size, const char *dir, const char *name,
                           uint64_t max, inf_error *err)
{
    char *path = path_join(dir, name);
    struct stat info;
    int32_t code = INF_OK;

    *data = NULL;
    *size = 0;
    if (!path)
        return error_no_memory(err);
    if (stat(path, &info) == 0 || (errno != ENOENT && errno != ENOTDIR))
        code = file_read(data, size, path, max, err);
    mem_free(path);
    return code;
}

bool path_exists(const char *dir, const char *name)
{
    char path[PATH_MAX];
    struct stat info;
    int n = snprintf(path, sizeof path, "%s/%s", dir, name);

    return n > 0 && (size_t)n < sizeof path && stat(path, &info) == 0;
}

bool is_directory(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool file_is_same(const struct stat *before, const struct stat *now)
{
    return now->st_dev == before->st_dev && now->st_ino == before->st_ino &&
           now->st_size == before->st_size && now->st_mtim.tv_sec == before->st_mtim.tv_sec &&
           now->st_mtim.tv_nsec == before->st_mtim.tv_nsec;
}
