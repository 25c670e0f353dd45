/*
 * safetensors: a file or bytes in memory. Owns the file's descriptor; the header is
 * safetensors_header.c's. Refuses to know what the tensors mean.
 */
#include "hf/files/safetensors.h"

#include "core/file.h"
#include "core/memory.h"
#include "hf/files/safetensors_header.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALIGNMENT = 64 };

struct safetensors {
    struct safetensors_table table;
    const char *memory; /* borrowed; NULL for a file */
    int fd;             /* -1 for memory */
    uint64_t size, data_start;
    char *path; /* NULL for memory */
    /* joined: the parts, and which of them each tensor lies in; else NULL */
    struct safetensors **parts;
    size_t n_parts;
    uint32_t *part_of;
};

/* The header's length from the first 8 bytes, checked against the file's size. */
static int32_t header_length(const struct safetensors *st, const unsigned char *bytes, size_t *out,
                             inf_error *err)
{
    uint64_t n = 0;

    if (memcmp(bytes, "version ", SAFETENSORS_LENGTH_BYTES) == 0)
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         "this is a Git LFS pointer, not the file itself: run git lfs pull");
    for (int i = SAFETENSORS_LENGTH_BYTES - 1; i >= 0; i--)
        n = n << 8 | bytes[i];
    if (n > SAFETENSORS_MAX_HEADER || n > st->size - SAFETENSORS_LENGTH_BYTES)
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         "not a safetensors file, or cut short: its header would be %llu bytes",
                         (unsigned long long)n);
    *out = (size_t)n;
    return INF_OK;
}

static int32_t check_size(const struct safetensors *st, inf_error *err)
{
    if (st->size < SAFETENSORS_LENGTH_BYTES + 2)
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         "not a safetensors file, or cut short: it has %llu bytes",
                         (unsigned long long)st->size);
    return INF_OK;
}

/* n bytes of the file or of the memory. */
static int32_t bytes_at(const void **out, const struct safetensors *st, void *scratch, size_t n,
                        uint64_t offset, inf_error *err)
{
    *out = st->memory ? st->memory + offset : scratch;
    return st->memory ? INF_OK : file_read_at(st->fd, scratch, n, offset, st->path, err);
}

static int32_t read_header(struct safetensors *st, inf_error *err)
{
    char first[SAFETENSORS_LENGTH_BYTES];
    char *scratch = NULL;
    const void *bytes = NULL;
    size_t n = 0;
    int32_t code = check_size(st, err);

    if (code == INF_OK)
        code = bytes_at(&bytes, st, first, sizeof first, 0, err);
    if (code == INF_OK)
        code = header_length(st, bytes, &n, err);
    if (code != INF_OK)
        return code;
    st->data_start = SAFETENSORS_LENGTH_BYTES + n;
    scratch = st->memory ? NULL : mem_alloc(n);
    if (!st->memory && !scratch)
        return error_no_memory(err);
    code = bytes_at(&bytes, st, scratch, n, SAFETENSORS_LENGTH_BYTES, err);
    if (code == INF_OK)
        code = safetensors_read_header(&st->table, bytes, n, st->size, err);
    mem_free(scratch);
    return code;
}

/* path or memory. */
static int32_t open_either(struct safetensors **out, const char *path, const void *memory,
                           size_t size, inf_error *err)
{
    struct safetensors *st = mem_calloc(1, sizeof *st);
    int32_t code = INF_OK;

    if (!st)
        return error_no_memory(err);
    *st = (struct safetensors){.memory = memory, .fd = -1, .size = size, .path = mem_strdup(path)};
    if (path)
        code = st->path ? file_open(&st->fd, &st->size, path, err) : error_no_memory(err);
    if (code == INF_OK) {
        code = read_header(st, err);
        if (code == INF_ERROR_BAD_FORMAT && path)
            error_prefix(err, "%s", path);
    }
    if (code == INF_OK)
        *out = st;
    else
        safetensors_close(st);
    return code;
}

int32_t safetensors_from_memory(struct safetensors **out, const void *bytes, size_t size,
                                inf_error *err)
{
    return open_either(out, NULL, bytes, size, err);
}

int32_t safetensors_open(struct safetensors **out, const char *path, inf_error *err)
{
    return open_either(out, path, NULL, 0, err);
}

void safetensors_close(struct safetensors *st)
{
    if (!st)
        return;
    if (st->fd >= 0)
        close(st->fd);
    for (size_t i = 0; i < st->n_parts; i++)
        safetensors_close(st->parts[i]);
    mem_free(st->parts);
    mem_free(st->part_of);
    safetensors_table_free(&st->table);
    mem_free(st->path);
    mem_free(st);
}

/* ---------------------------------------------------------------- parts */

/* A tensor, and which part it lies in. */
struct placed {
    struct safetensors_tensor tensor;
    uint32_t part;
};

static int by_placed(const void *a, const void *b)
{
    return safetensors_compare(&((const struct placed *)a)->tensor,
                               &((const struct placed *)b)->tensor);
}

static int32_t merge(struct safetensors *st, struct placed *all, size_t n, inf_error *err)
{
    size_t at = 0;

    for (size_t i = 0; i < st->n_parts; i++)
        for (size_t k = 0; k < st->parts[i]->table.n; k++)
            all[at++] = (struct placed){st->parts[i]->table.tensors[k], (uint32_t)i};
    if (n > 1)
        qsort(all, n, sizeof *all, by_placed);
    for (size_t i = 0; i < n; i++) {
        st->table.tensors[i] = all[i].tensor;
        st->part_of[i] = all[i].part;
        if (i > 0 && by_placed(&all[i - 1], &all[i]) == 0)
            return error_set(err, INF_ERROR_BAD_FORMAT,
                             "the tensor \"%.160s\" lies in two files: %.160s and %.160s",
                             all[i].tensor.name, st->parts[all[i - 1].part]->path,
                             st->parts[all[i].part]->path);
    }
    st->table.n = n;
    return INF_OK;
}

static int32_t list_parts(struct safetensors *st, inf_error *err)
{
    struct placed *all = NULL;
    size_t n = 0;
    int32_t code = INF_OK;

    for (size_t i = 0; i < st->n_parts; i++) {
        n += st->parts[i]->table.n;
        st->size += st->parts[i]->size;
    }
    all = mem_calloc(n, sizeof *all);
    st->table.tensors = mem_calloc(n, sizeof *st->table.tensors);
    st->part_of = mem_calloc(n, sizeof *st->part_of);
    code = all && st->table.tensors && st->part_of ? merge(st, all, n, err) : error_no_memory(err);
    mem_free(all);
    return code;
}

int32_t safetensors_join(struct safetensors **out, struct safetensors *const *parts, size_t n,
                         inf_error *err)
{
    struct safetensors *st = mem_calloc(1, sizeof *st);
    struct safetensors **own = mem_calloc(n, sizeof *own);
    int32_t code = INF_OK;

    if (!st || !own) {
        for (size_t i = 0; i < n; i++)
            safetensors_close(parts[i]);
        mem_free(st);
        mem_free(own);
        return error_no_memory(err);
    }
    memcpy(own, parts, n * sizeof *own);
    *st = (struct safetensors){.fd = -1, .parts = own, .n_parts = n};
    code = list_parts(st, err);
    if (code == INF_OK)
        *out = st;
    else
        safetensors_close(st);
    return code;
}

/* ---------------------------------------------------------------- looking */

size_t safetensors_count(const struct safetensors *st)
{
    return st->table.n;
}

const struct safetensors_tensor *safetensors_at(const struct safetensors *st, size_t index)
{
    return &st->table.tensors[index];
}

const struct safetensors_tensor *safetensors_find(const struct safetensors *st, const char *name)
{
    struct safetensors_tensor key = {.name = name};

    return st->table.n == 0
               ? NULL
               : bsearch(&key, st->table.tensors, st->table.n, sizeof key, safetensors_compare);
}

uint64_t safetensors_file_size(const struct safetensors *st)
{
    return st->size;
}

bool safetensors_is_file(const struct safetensors *st)
{
    return st->fd >= 0;
}

int32_t safetensors_load(struct block **out, struct safetensors *st, inf_error *err)
{
    size_t lead = (size_t)(0 - st->data_start) % ALIGNMENT;
    struct block *b = st->size < SIZE_MAX - lead ? block_take((size_t)st->size + lead) : NULL;
    int32_t code = b ? file_read_at(st->fd, b->data + lead, (size_t)st->size, 0, st->path, err)
                     : error_no_memory(err);

    if (code != INF_OK) {
        block_give(b);
        return code;
    }
    st->memory = b->data + lead;
    *out = b;
    return INF_OK;
}

int32_t safetensors_data(const void **out, const struct safetensors *st,
                         const struct safetensors_tensor *t, void *scratch, inf_error *err)
{
    if (st->parts)
        st = st->parts[st->part_of[t - st->table.tensors]];
    return bytes_at(out, st, scratch, t->size, t->offset, err);
}
