/* weight_files: see the header. Owns maps and descriptors; knows nothing of what weights mean. */
#include "hf/files/weight_files.h"

#include "core/file.h"
#include "core/growing.h"
#include "core/memory.h"
#include "hf/files/shard_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define INDEX_NAME "model.safetensors.index.json"

struct mapped {
    char *path;
    int fd;
    struct stat status;
    void *map;
    size_t size;
    struct safetensors *tensors;
};

struct weight_files {
    struct mapped *files;
    size_t n_files, files_cap;
    struct weight *weights;
    size_t n_weights;
};

/* ------------------------------------------------------------------ one file */

static int32_t map_file(struct mapped *m, inf_error *err)
{
    uint64_t size = 0;
    int32_t code = file_open(&m->fd, &size, m->path, err);

    if (code != INF_OK)
        return code;
    if (fstat(m->fd, &m->status) != 0)
        return error_set_errno(err, errno, "read", m->path);
    if (size == 0)
        return error_set(err, INF_ERROR_BAD_FORMAT, "%s is empty", m->path);
    m->size = (size_t)size;
    m->map = mmap(NULL, m->size, PROT_READ, MAP_SHARED, m->fd, 0);
    if (m->map == MAP_FAILED) {
        m->map = NULL;
        return error_set_errno(err, errno, "map", m->path);
    }
    code = safetensors_from_memory(&m->tensors, m->map, m->size, err);
    return code == INF_OK ? INF_OK : error_prefix(err, "%s", m->path);
}

static void unmap(struct mapped *m)
{
    safetensors_close(m->tensors);
    if (m->map)
        munmap(m->map, m->size);
    if (m->fd >= 0)
        close(m->fd);
    mem_free(m->path);
}

/* Takes path over. */
static int32_t add_file(struct weight_files *f, char *path, inf_error *err)
{
    if (!path)
        return error_no_memory(err);
    if (!GROW(f->files, f->files_cap, f->n_files + 1)) {
        mem_free(path);
        return error_no_memory(err);
    }
    f->files[f->n_files] = (struct mapped){.path = path, .fd = -1};
    return map_file(&f->files[f->n_files++], err);
}

/* ------------------------------------------------------------------ all weights */

static int by_name(const void *a, const void *b)
{
    const struct weight *x = a;
    const struct weight *y = b;

    return strcmp(x->tensor->name, y->tensor->name);
}

static int32_t list_weights(struct weight_files *f, inf_error *err)
{
    size_t n = 0;

    for (size_t i = 0; i < f->n_files; i++)
        n += safetensors_count(f->files[i].tensors);
    f->weights = mem_calloc(n ? n : 1, sizeof *f->weights);
    if (!f->weights)
        return error_no_memory(err);
    for (size_t i = 0; i < f->n_files; i++)
        for (size_t k = 0; k < safetensors_count(f->files[i].tensors); k++) {
            const struct safetensors_tensor *t = safetensors_at(f->files[i].tensors, k);

            f->weights[f->n_weights++] = (struct weight){
                .tensor = t, .data = (const char *)f->files[i].map + t->offset, .file = i};
        }
    qsort(f->weights, f->n_weights, sizeof *f->weights, by_name);
    for (size_t i = 1; i < f->n_weights; i++)
        if (by_name(&f->weights[i - 1], &f->weights[i]) == 0)
            return error_set(err, INF_ERROR_BAD_FORMAT,
                             "the tensor \"%.160s\" lies in two files: %.160s and %.160s",
                             f->weights[i].tensor->name, f->files[f->weights[i - 1].file].path,
                             f->files[f->weights[i].file].path);
    return INF_OK;
}

/* ------------------------------------------------------------------ opening */

static int32_t open_single(struct weight_files *f, const char *dir, inf_error *err)
{
    int32_t code = add_file(f, path_join(dir, "model.safetensors"), err);

    return code == INF_OK ? list_weights(f, err) : code;
}

static bool has_weight(const void *files, const char *name)
{
    return weight_files_find(files, name) != NULL;
}

static int32_t open_index(struct weight_files *f, const char *dir, inf_error *err)
{
    struct shard_index index;
    int32_t code = shard_index_open(&index, dir, INDEX_NAME, err);

    for (size_t i = 0; i < index.n && code == INF_OK; i++)
        code = add_file(f, mem_strdup(index.paths[i]), err);
    if (code == INF_OK)
        code = list_weights(f, err);
    if (code == INF_OK)
        code = shard_index_check(&index, has_weight, f, err);
    shard_index_free(&index);
    return code;
}

static int32_t nothing_there(const char *dir, inf_error *err)
{
    if (path_exists(dir, "pytorch_model.bin") || path_exists(dir, "pytorch_model.bin.index.json"))
        return error_set(
            err, INF_ERROR_UNSUPPORTED,
            "%s has its weights in pytorch_model.bin, which only Python can read; save "
            "it as safetensors",
            dir);
    return error_set_detail(err, INF_ERROR_IO, ENOENT,
                            "%s has neither model.safetensors nor " INDEX_NAME, dir);
}

/* With model.safetensors beside an index, the single file is used, as by transformers. */
int32_t weight_files_open(struct weight_files **out, const char *dir, inf_error *err)
{
    struct weight_files *f = mem_calloc(1, sizeof *f);
    int32_t code = INF_OK;

    *out = NULL;
    if (!f)
        return error_no_memory(err);
    if (path_exists(dir, "model.safetensors"))
        code = open_single(f, dir, err);
    else if (path_exists(dir, INDEX_NAME))
        code = open_index(f, dir, err);
    else
        code = nothing_there(dir, err);
    if (code == INF_OK)
        *out = f;
    else
        weight_files_close(f);
    return code;
}

void weight_files_close(struct weight_files *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n_files; i++)
        unmap(&f->files[i]);
    mem_free(f->files);
    mem_free(f->weights);
    mem_free(f);
}

/* ------------------------------------------------------------------ looking */

size_t weight_files_count(const struct weight_files *f)
{
    return f->n_weights;
}

const struct weight *weight_files_at(const struct weight_files *f, size_t index)
{
    return &f->weights[index];
}

const struct weight *weight_files_find(const struct weight_files *f, const char *name)
{
    struct safetensors_tensor tensor = {.name = name};
    struct weight key = {.tensor = &tensor};

    return f->n_weights == 0 ? NULL
                             : bsearch(&key, f->weights, f->n_weights, sizeof *f->weights, by_name);
}

size_t weight_files_maps(const struct weight_files *f)
{
    return f->n_files;
}

const void *weight_files_map(const struct weight_files *f, size_t i, size_t *size)
{
    *size = f->files[i].size;
    return f->files[i].map;
}

uint64_t weight_files_bytes(const struct weight_files *f)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < f->n_files; i++)
        bytes += f->files[i].size;
    return bytes;
}

void weight_files_will_need(const struct weight_files *f)
{
    for (size_t i = 0; i < f->n_files; i++)
        madvise(f->files[i].map, f->files[i].size, MADV_WILLNEED);
}

/* Whole pages alone: the others have neighbours on them. */
void weight_files_let_go(const void *data, size_t size)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)data + page - 1) / page * page;
    uintptr_t to = ((uintptr_t)data + size) / page * page;

    if (from < to)
        madvise((void *)from, to - from, MADV_DONTNEED);
}

int32_t weight_files_check(const struct weight_files *f, inf_error *err)
{
    struct stat now;

    for (size_t i = 0; i < f->n_files; i++) {
        const struct mapped *m = &f->files[i];

        if (fstat(m->fd, &now) != 0)
            return error_set_errno(err, errno, "read", m->path);
        if (now.st_size != m->status.st_size || now.st_ino != m->status.st_ino ||
            now.st_mtim.tv_sec != m->status.st_mtim.tv_sec ||
            now.st_mtim.tv_nsec != m->status.st_mtim.tv_nsec)
            return error_set(err, INF_ERROR_IO,
                             "%s changed while the model was in use; unload the model, and load it "
                             "again when the file is whole",
                             m->path);
    }
    return INF_OK;
}
