/* weight_files: see the header. Owns maps and descriptors; knows nothing of what weights mean. */
#include "hf/files/weight_files.h"

#include "core/file.h"
#include "core/growing.h"
#include "core/memory.h"
#include "hf/files/shard_index.h"

#include <errno.h>
#include <fcntl.h>
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
    size_t size;
    struct safetensors *tensors;
};

/* Pages of a file. */
struct piece {
    char *at;
    size_t size;
};

struct weight_files {
    struct mapped *files;
    size_t n_files, files_cap;
    struct piece *pieces; /* what is mapped: at first a piece a file */
    size_t n_pieces, pieces_cap;
    struct weight *weights;
    size_t n_weights;
};

/* ------------------------------------------------------------------ one file */

static int32_t map_file(struct weight_files *f, struct mapped *m, inf_error *err)
{
    uint64_t size = 0;
    void *map = NULL;
    int32_t code = file_open(&m->fd, &size, m->path, err);

    if (code != INF_OK)
        return code;
    if (fstat(m->fd, &m->status) != 0)
        return error_set_errno(err, errno, "read", m->path);
    if (size == 0)
        return error_set(err, INF_ERROR_BAD_FORMAT, "%s is empty", m->path);
    if (!GROW(f->pieces, f->pieces_cap, f->n_pieces + 1))
        return error_no_memory(err);
    m->size = (size_t)size;
    map = mmap(NULL, m->size, PROT_READ, MAP_SHARED, m->fd, 0);
    if (map == MAP_FAILED)
        return error_set_errno(err, errno, "map", m->path);
    f->pieces[f->n_pieces++] = (struct piece){map, m->size};
    code = safetensors_from_memory(&m->tensors, map, m->size, err);
    return code == INF_OK ? INF_OK : error_prefix(err, "%s", m->path);
}

static void close_file(struct mapped *m)
{
    safetensors_close(m->tensors);
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
    return map_file(f, &f->files[f->n_files++], err);
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
                .tensor = t, .data = f->pieces[i].at + t->offset, .file = i};
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

    for (size_t i = 0; i < index.paths.n && code == INF_OK; i++)
        code = add_file(f, mem_strdup(index.paths.items[i]), err);
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
    for (size_t i = 0; i < f->n_pieces; i++)
        munmap(f->pieces[i].at, f->pieces[i].size);
    for (size_t i = 0; i < f->n_files; i++)
        close_file(&f->files[i]);
    mem_free(f->pieces);
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
    return f->n_pieces;
}

const void *weight_files_map(const struct weight_files *f, size_t i, size_t *size)
{
    *size = f->pieces[i].size;
    return f->pieces[i].at;
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
        posix_fadvise(f->files[i].fd, 0, 0, POSIX_FADV_WILLNEED);
}

void weight_files_let_go(const struct weight_files *f)
{
    for (size_t i = 0; i < f->n_pieces; i++)
        madvise(f->pieces[i].at, f->pieces[i].size, MADV_DONTNEED);
}

/* ------------------------------------------------------------------ what stays mapped */

static int by_address(const void *a, const void *b)
{
    const char *x = (*(struct weight *const *)a)->data;
    const char *y = (*(struct weight *const *)b)->data;

    return (x > y) - (x < y);
}

static const char *end_of(const struct weight *w)
{
    return (const char *)w->data + w->tensor->size;
}

/* The piece that it lies in. */
static size_t piece_of(const struct weight_files *f, const char *at)
{
    size_t i = 0;

    while (at < f->pieces[i].at || at >= f->pieces[i].at + f->pieces[i].size)
        i++;
    return i;
}

/* Whole pages alone: the others have neighbours on them. A piece may become two. */
static int32_t drop(struct weight_files *f, const char *from, const char *to, inf_error *err)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    struct piece *p = NULL;
    size_t i = 0, before = 0, gone = 0;

    from += (page - (uintptr_t)from % page) % page;
    to -= (uintptr_t)to % page;
    if (from >= to)
        return INF_OK;
    if (!GROW(f->pieces, f->pieces_cap, f->n_pieces + 1))
        return error_no_memory(err);
    i = piece_of(f, from);
    p = &f->pieces[i];
    before = (size_t)(from - p->at);
    gone = (size_t)(to - from);
    if (munmap(p->at + before, gone) != 0)
        return INF_OK; /* too many pieces for the system: it stays */
    if (p->size > before + gone)
        f->pieces[f->n_pieces++] = (struct piece){p->at + before + gone, p->size - before - gone};
    p->size = before;
    return INF_OK;
}

/* Neighbours go together, so that the page that two of them share goes too. */
static int32_t drop_all(struct weight_files *f, struct weight *const *in_order, const bool *kept,
                        inf_error *err)
{
    int32_t code = INF_OK;

    for (size_t i = 0, k = 0; i < f->n_weights && code == INF_OK; i = k + 1) {
        k = i;
        if (kept[in_order[i] - f->weights])
            continue;
        while (k + 1 < f->n_weights && !kept[in_order[k + 1] - f->weights] &&
               in_order[k + 1]->data == end_of(in_order[k]))
            k++;
        code = drop(f, in_order[i]->data, end_of(in_order[k]), err);
    }
    return code;
}

int32_t weight_files_keep(struct weight_files *f, const bool *kept, inf_error *err)
{
    struct weight **in_order = mem_calloc(f->n_weights + 1, sizeof *in_order);
    int32_t code = INF_OK;

    if (!in_order)
        return error_no_memory(err);
    for (size_t i = 0; i < f->n_weights; i++)
        in_order[i] = &f->weights[i];
    qsort(in_order, f->n_weights, sizeof(*in_order), by_address);
    code = drop_all(f, in_order, kept, err);
    for (size_t i = 0; i < f->n_weights; i++)
        if (!kept[i])
            f->weights[i].data = NULL;
    mem_free(in_order);
    return code;
}

/* ------------------------------------------------------------------ changes, windows */

static int32_t check_file(const struct mapped *m, inf_error *err)
{
    struct stat now;

    if (fstat(m->fd, &now) != 0)
        return error_set_errno(err, errno, "read", m->path);
    if (!file_is_same(&m->status, &now))
        return error_set(err, INF_ERROR_IO,
                         "%s changed while the model was in use; unload the model, and load it "
                         "again when the file is whole",
                         m->path);
    return INF_OK;
}

int32_t weight_window_open(struct weight_window *out, const struct weight_files *f,
                           const struct weight *w, inf_error *err)
{
    const struct mapped *m = &f->files[w->file];
    uint64_t inside = w->tensor->offset % (uint64_t)sysconf(_SC_PAGESIZE);
    size_t size = (size_t)(w->tensor->size + inside);
    void *map = MAP_FAILED;
    int32_t code = check_file(
        m, err); /* beyond the end of a file that is shorter now nothing can be read */

    *out = (struct weight_window){.data = NULL};
    if (code != INF_OK)
        return code;
    map = mmap(NULL, size, PROT_READ, MAP_SHARED, m->fd, (off_t)(w->tensor->offset - inside));
    if (map == MAP_FAILED)
        return error_set_errno(err, errno, "map", m->path);
    *out = (struct weight_window){(const char *)map + inside, map, size};
    return INF_OK;
}

void weight_window_close(struct weight_window *w)
{
    if (w->map)
        munmap(w->map, w->size);
    *w = (struct weight_window){.data = NULL};
}

int32_t weight_files_check(const struct weight_files *f, inf_error *err)
{
    int32_t code = INF_OK;

    for (size_t i = 0; i < f->n_files && code == INF_OK; i++)
        code = check_file(&f->files[i], err);
    return code;
}
