/* adapter_files: see the header. */
#include "remote/adapter_files.h"

#include "core/ascii.h"
#include "core/file.h"
#include "core/memory.h"
#include "core/name_set.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_MAX = 256, BLOCK = 1 << 16 };

/* ------------------------------------------------------------------ the path */

int32_t adapter_files_path(char **out, const char *path, inf_error *err)
{
    char here[PATH_MAX];

    if (path[0] == '/' || access(path, F_OK) != 0) {
        *out = mem_strdup(path);
        return *out ? INF_OK : error_no_memory(err);
    }
    *out = NULL;
    if (!getcwd(here, sizeof here))
        return error_set_errno(err, errno, "find", "the working directory");
    while (strncmp(path, "./", 2) == 0)
        path += 2;
    *out = path_join(here, path);
    return *out ? INF_OK : error_no_memory(err);
}

bool adapter_files_has(const char *dir, const char *name)
{
    char *path = path_join(dir, name);
    struct stat info;
    bool ok = path && stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, R_OK) == 0;

    mem_free(path);
    return ok;
}

bool adapter_files_readable(const char *dir)
{
    return adapter_files_has(dir, "adapter_config.json");
}

/* ------------------------------------------------------------------ the digest */

/* Two lanes of multiply and rotate over blocks of eight bytes. */
static uint64_t rotate(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static void mix_word(struct files_digest *d, uint64_t word)
{
    d->words[0] = rotate(d->words[0] ^ (word * UINT64_C(0x9e3779b97f4a7c15)), 29) *
                  UINT64_C(0xbf58476d1ce4e5b9);
    d->words[1] = (rotate(d->words[1], 41) + d->words[0]) * UINT64_C(0x94d049bb133111eb) ^ word;
}

static void mix(struct files_digest *d, const char *bytes, size_t n)
{
    uint64_t word = 0;

    for (; n >= sizeof word; n -= sizeof word, bytes += sizeof word) {
        memcpy(&word, bytes, sizeof word);
        mix_word(d, word);
    }
    word = 0;
    if (n)
        memcpy(&word, bytes, n);
    mix_word(d, word ^ (uint64_t)n << 56);
}

static bool mix_file(struct files_digest *d, const char *path)
{
    char *block = mem_alloc(BLOCK);
    uint64_t size = 0;
    int fd = -1;
    bool ok = block && file_open(&fd, &size, path, NULL) == INF_OK;

    for (uint64_t at = 0; ok && at < size; at += BLOCK) {
        size_t n = size - at < BLOCK ? (size_t)(size - at) : BLOCK;

        ok = file_read_at(fd, block, n, at, path, NULL) == INF_OK;
        if (ok)
            mix(d, block, n);
    }
    mix_word(d, size);
    if (fd >= 0)
        close(fd);
    mem_free(block);
    return ok;
}

/* What the server reads: not the tokenizer, not the README. */
static bool is_adapter_file(const char *name)
{
    static const char *const endings[] = {".safetensors", ".bin", ".pt"};
    size_t n = strlen(name);

    if (strcmp(name, "adapter_config.json") == 0)
        return true;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (n > strlen(endings[i]) && text_ends(name, n, endings[i]))
            return true;
    return false;
}

static bool list_files(struct name_set *files, const char *dir)
{
    DIR *handle = opendir(dir);
    const struct dirent *entry = NULL;
    bool ok = handle != NULL;

    while (ok && (entry = readdir(handle)) != NULL)
        if (is_adapter_file(entry->d_name))
            ok = files->n < FILES_MAX && name_set_add(files, entry->d_name);
    if (handle)
        closedir(handle);
    return ok;
}

void adapter_files_digest(struct files_digest *out, const char *dir)
{
    struct name_set files = {0};

    *out = (struct files_digest){{1, 2}, false};
    out->known = adapter_files_readable(dir) && list_files(&files, dir);
    for (size_t i = 0; i < files.n && out->known; i++) {
        char *path = path_join(dir, files.items[i]);

        mix(out, files.items[i], strlen(files.items[i]));
        out->known = path && mix_file(out, path);
        mem_free(path);
    }
    name_set_free(&files);
}
