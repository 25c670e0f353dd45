/* adapter_files: see the header. */
#include "remote/adapter_files.h"

#include "core/buffer.h"
#include "core/memory.h"
#include "hf/files/peft.h"
#include "remote/base_tensors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_MAX = 256, BLOCK = 1 << 16 };

/* ------------------------------------------------------------------ the path */

int32_t adapter_files_path(char **out, const char *path, inf_error *err)
{
    char here[PATH_MAX];
    struct buffer full;
    bool ok = true;

    if (path[0] == '/' || access(path, F_OK) != 0) {
        *out = mem_strdup(path);
        return *out ? INF_OK : error_no_memory(err);
    }
    *out = NULL;
    if (!getcwd(here, sizeof here))
        return error_set_errno(err, errno, "find", "the working directory");
    while (strncmp(path, "./", 2) == 0)
        path += 2;
    buffer_init(&full, BUFFER_NO_LIMIT);
    ok = buffer_append_str(&full, here) && buffer_append_str(&full, "/") &&
         buffer_append_str(&full, path);
    if (!ok) {
        buffer_free(&full);
        return error_no_memory(err);
    }
    *out = full.data;
    return INF_OK;
}

static size_t length_without_slashes(const char *path)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        n--;
    return n;
}

bool adapter_files_same_path(const char *a, const char *b)
{
    size_t n = length_without_slashes(a);
    struct stat one, two;

    if (n == length_without_slashes(b) && memcmp(a, b, n) == 0)
        return true;
    return stat(a, &one) == 0 && stat(b, &two) == 0 && one.st_dev == two.st_dev &&
           one.st_ino == two.st_ino;
}

static char *join_path(const char *dir, const char *name)
{
    struct buffer full;

    buffer_init(&full, PATH_MAX + 512);
    if (buffer_append_str(&full, dir) && buffer_append_str(&full, "/") &&
        buffer_append_str(&full, name))
        return full.data;
    buffer_free(&full);
    return NULL;
}

static bool is_file(const char *dir, const char *name)
{
    char *path = join_path(dir, name);
    struct stat info;
    bool ok = path && stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, R_OK) == 0;

    mem_free(path);
    return ok;
}

bool adapter_files_readable(const char *dir)
{
    return is_file(dir, "adapter_config.json");
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

static void mix(struct files_digest *d, const unsigned char *bytes, size_t n)
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
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    unsigned char *block = mem_alloc(BLOCK);
    uint64_t total = 0;
    bool ok = fd >= 0 && block;

    while (ok) {
        size_t have = 0;
        ssize_t n = 1;

        while (have < BLOCK && n > 0) {
            n = read(fd, block + have, BLOCK - have);
            if (n < 0 && errno == EINTR)
                n = 1;
            else if (n > 0)
                have += (size_t)n;
        }
        ok = n >= 0;
        total += have;
        if (ok)
            mix(d, block, have);
        if (have < BLOCK)
            break;
    }
    mix_word(d, total);
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
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t m = strlen(endings[i]);

        if (n > m && strcmp(name + n - m, endings[i]) == 0)
            return true;
    }
    return false;
}

static bool list_files(struct name_set *files, const char *dir)
{
    DIR *handle = opendir(dir);
    const struct dirent *entry = NULL;
    bool ok = handle != NULL;

    while (ok && (entry = readdir(handle)) != NULL) {
        if (is_adapter_file(entry->d_name))
            ok = files->n < FILES_MAX && name_set_add(files, entry->d_name);
    }
    if (handle)
        closedir(handle);
    return ok;
}

void adapter_files_digest(struct files_digest *out, const char *dir)
{
    struct adapter_names sorted = {0}; /* for its set of names */
    struct name_set *files = &sorted.used;

    *out = (struct files_digest){{1, 2}, false};
    out->known = adapter_files_readable(dir) && list_files(files, dir);
    for (size_t i = 0; i < files->n && out->known; i++) {
        char *path = join_path(dir, files->items[i]);

        mix(out, (const unsigned char *)files->items[i], strlen(files->items[i]));
        out->known = path && mix_file(out, path);
        mem_free(path);
    }
    adapter_names_free(&sorted);
}

/* ------------------------------------------------------------------ the check */

static int32_t check_tensor(const struct safetensors *st, const struct safetensors_tensor *t,
                            inf_error *err)
{
    void *scratch = NULL;
    const void *data = NULL;
    size_t width = t->dtype == SAFETENSORS_F32 ? 4 : 2;
    int32_t code = INF_OK;

    if (t->dtype > SAFETENSORS_BF16 || t->size == 0)
        return INF_OK;
    scratch = mem_alloc(t->size);
    if (!scratch)
        return error_no_memory(err);
    code = safetensors_data(&data, st, t, scratch, err);
    if (code == INF_OK && peft_first_not_finite(data, t->dtype, t->size / width) < t->size / width)
        code = error_set(err, INF_ERROR_NOT_FINITE,
                         "tensor %s holds a NaN or an infinity: one request with such an adapter "
                         "spoils every answer of a vLLM server",
                         t->name);
    mem_free(scratch);
    return code;
}

/* The weights alone, for an adapter whose configuration our reader refuses. */
static int32_t check_weights(const char *dir, inf_error *err)
{
    char *path = join_path(dir, "adapter_model.safetensors");
    struct safetensors *st = NULL;
    int32_t code = INF_OK;

    if (!path)
        return error_no_memory(err);
    if (access(path, R_OK) == 0)
        code = safetensors_open(&st, path, err);
    for (size_t i = 0; code == INF_OK && st && i < safetensors_count(st); i++)
        code = check_tensor(st, safetensors_at(st, i), err);
    safetensors_close(st);
    mem_free(path);
    return code;
}

static void fill_report(inf_adapter_report *report, const struct peft_adapter *p)
{
    report->scale = p->modules[0].scale;
    report->n_modules = (int32_t)p->n_modules;
    report->n_tensors = (int32_t)safetensors_count(p->weights);
    report->bytes = (int64_t)safetensors_file_size(p->weights);
    for (size_t i = 0; i < p->n_modules; i++) {
        if (p->modules[i].rank > report->rank)
            report->rank = p->modules[i].rank;
    }
}

static int32_t check_modules(const struct peft_adapter *p, const char *base_dir, inf_error *err)
{
    struct base_tensors *base = NULL;
    int32_t code = base_tensors_open(&base, base_dir, err);

    for (size_t i = 0; base && code == INF_OK && i < p->n_modules; i++)
        code = base_tensors_check(base, p->modules[i].name, p->modules[i].b->shape[0],
                                  p->modules[i].a->shape[1], p->modules[i].a->name, err);
    base_tensors_close(base);
    return code;
}

int32_t adapter_files_check(const char *dir, const char *base_dir, inf_adapter_report *report,
                            inf_error *err)
{
    struct peft_adapter *p = NULL;
    int32_t code = peft_open(&p, dir, err);

    if (code == INF_ERROR_UNSUPPORTED)
        return check_weights(dir, err);
    for (size_t i = 0; code == INF_OK && i < safetensors_count(p->weights); i++)
        code = check_tensor(p->weights, safetensors_at(p->weights, i), err);
    if (code == INF_OK && base_dir)
        code = check_modules(p, base_dir, err);
    if (code == INF_OK)
        fill_report(report, p);
    peft_close(p);
    return code == INF_OK ? error_none(err) : error_prefix(err, "%s", dir);
}
