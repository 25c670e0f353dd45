/*
 * file: a GGUF file or its bytes, opened and closed, with the parts of a split one. It knows nothing
 * of architectures (model.c does).
 */
#include "core/file.h"
#include "core/memory.h"
#include "gguf/file_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_PARTS 512

/* ---------------------------------------------------------------- parts */

static int32_t map_part(struct gguf_part *p, const char *path, inf_error *err)
{
    int fd = -1;
    uint64_t size = 0;
    int32_t code = file_open(&fd, &size, path, err);

    if (code == INF_ERROR_IO && is_directory(path))
        return error_set_detail(err, INF_ERROR_IO, EISDIR,
                                "%s is a directory: give the path of a .gguf file (a directory "
                                "with safetensors is for the transformers provider)",
                                path);
    if (code != INF_OK)
        return code;
    *p = (struct gguf_part){.bytes = (const uint8_t *)"", .size = (size_t)size};
    if (size > 0) {
        void *mapping = mmap(NULL, p->size, PROT_READ, MAP_SHARED, fd, 0);

        if (mapping == MAP_FAILED)
            code = error_set_errno(err, errno, "map", path);
        else
            p->bytes = p->mapping = mapping;
    }
    close(fd);
    return code;
}

static struct gguf_file *new_file(inf_error *err)
{
    struct gguf_file *f = mem_calloc(1, sizeof *f);

    if (f)
        f->parts = mem_calloc(1, sizeof *f->parts);
    if (f && f->parts) {
        f->n_parts = 1;
        return f;
    }
    mem_free(f);
    error_no_memory(err);
    return NULL;
}

void gguf_file_close(struct gguf_file *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n_parts; i++)
        if (f->parts[i].mapping)
            munmap(f->parts[i].mapping, f->parts[i].size);
    gguf_values_free(&f->values);
    text_map_free(&f->tensor_map);
    mem_free(f->tensors);
    mem_free(f->names);
    mem_free(f->parts);
    mem_free(f);
}

/* ---------------------------------------------------------------- split files */

/* A u16 key, which llama.cpp reads without asking for its type. false: missing; -1: another type. */
static bool split_number(const struct gguf_values *values, const char *key, int32_t *out)
{
    const struct gguf_value *v = gguf_values_find(values, key);

    if (!v)
        return false;
    *out = v->kind == GGUF_U16 ? (int32_t)(v->data[0] | v->data[1] << 8) : -1;
    return true;
}

/* 1 for a file of its own, the number of parts, or 0 after an error. */
static int32_t split_count(const struct gguf_file *f, inf_error *err)
{
    int32_t count = 0;
    int32_t no = 0;

    if (!split_number(&f->values, "split.count", &count) || count == 0 || count == 1)
        return 1;
    if (count < 0 || count > MAX_PARTS || !split_number(&f->values, "split.no", &no) || no < 0 ||
        no >= count) {
        error_set(err, INF_ERROR_BAD_FORMAT,
                  "the keys split.count and split.no make no sense: " GGUF_AGAIN);
        return 0;
    }
    if (no != 0) {
        error_set(err, INF_ERROR_UNSUPPORTED,
                  "this is part %" PRId32 " of %" PRId32
                  " of a model: give the path of the first part (...-00001-of-%05" PRId32 ".gguf)",
                  no + 1, count, count);
        return 0;
    }
    return count;
}

/* The path of part i, from that of the first; NULL after an error. */
static char *part_path(const char *first, int32_t i, int32_t count, inf_error *err)
{
    char ending[64];
    char wanted[64];
    size_t len = strlen(first);
    size_t n = 0;
    char *path = NULL;

    snprintf(ending, sizeof ending, "-%05d-of-%05d.gguf", 1, (int)count);
    snprintf(wanted, sizeof wanted, "-%05d-of-%05d.gguf", (int)i + 1, (int)count);
    n = strlen(ending); /* as long as wanted: both numbers are below 100,000 */
    if (len <= n || strcmp(first + len - n, ending) != 0) {
        error_set(err, INF_ERROR_BAD_FORMAT,
                  "this is the first of %" PRId32
                  " parts, but its name does not end in %s: give the parts their names back",
                  count, ending);
        return NULL;
    }
    path = mem_strdup(first);
    if (!path) {
        error_no_memory(err);
        return NULL;
    }
    memcpy(path + len - n, wanted, n);
    return path;
}

/* Opens part i, after the first. Its keys are checked and dropped, as llama.cpp does. */
static int32_t open_part(struct gguf_file *f, const char *first, int32_t i, int32_t count,
                         inf_error *err)
{
    int32_t code = INF_OK;
    int32_t no = -1;
    struct gguf_values values = {0};
    inf_error local = {0};
    char *path = part_path(first, i, count, err);

    if (!path)
        return err ? err->code : INF_ERROR_BAD_FORMAT;
    code = map_part(&f->parts[i], path, &local);
    if (code == INF_OK) {
        f->n_parts = (size_t)i + 1;
        f->size += f->parts[i].size;
        if (!gguf_parse_part(f, &f->parts[i], &values, &local)) {
            code = error_prefix(&local, "%s", path);
        } else if (!split_number(&values, "split.no", &no) || no != i) {
            code = error_set(&local, INF_ERROR_BAD_FORMAT,
                             "%s is not part %d of the model: " GGUF_AGAIN, path, (int)i + 1);
        }
    } else if (local.detail == ENOENT) {
        code = error_set_detail(&local, INF_ERROR_IO, ENOENT,
                                "%s is missing: the model has %d parts, download them all", path,
                                (int)count);
    }
    if (err)
        *err = local;
    gguf_values_free(&values);
    mem_free(path);
    return code;
}

static int32_t open_parts(struct gguf_file *f, const char *path, int32_t count, inf_error *err)
{
    int32_t code = INF_OK;
    int64_t claimed = 0;
    struct gguf_part *parts = mem_realloc(f->parts, (size_t)count * sizeof *parts);

    if (!parts)
        return error_no_memory(err);
    f->parts = parts;
    memset(parts + 1, 0, ((size_t)count - 1) * sizeof *parts);
    for (int32_t i = 1; i < count && code == INF_OK; i++)
        code = open_part(f, path, i, count, err);
    if (code != INF_OK)
        return code;
    if (!gguf_get_int(f, "split.tensors.count", &claimed) || claimed != (int64_t)f->n_tensors)
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         "%s: split.tensors.count is not the %zu tensors found in %d parts: "
                         "download them again",
                         path, f->n_tensors, (int)count);
    return INF_OK;
}

/* ---------------------------------------------------------------- opening */

/* The keys and tensors of the first part. How many parts there are; 0 after an error. */
static int32_t read_first(struct gguf_file *f, inf_error *err)
{
    f->size = f->parts[0].size;
    return gguf_parse_part(f, &f->parts[0], &f->values, err) ? split_count(f, err) : 0;
}

static int32_t opened(struct gguf_file **out, struct gguf_file *f, int32_t code,
                      const inf_error *why, inf_error *err)
{
    *out = code == INF_OK ? f : NULL;
    if (code == INF_OK)
        return error_none(err);
    gguf_file_close(f);
    if (err)
        *err = *why;
    return code;
}

int32_t gguf_file_open(struct gguf_file **out, const char *path, inf_error *err)
{
    inf_error local = {0};
    int32_t count = 1;
    struct gguf_file *f = new_file(&local);
    int32_t code = f ? map_part(&f->parts[0], path, &local) : local.code;

    if (code == INF_OK && (count = read_first(f, &local)) == 0)
        code = error_prefix(&local, "%s", path);
    if (count > 1)
        code = open_parts(f, path, count, &local);
    return opened(out, f, code, &local, err);
}

static int32_t from_memory(struct gguf_file **out, const void *bytes, size_t size, bool header_only,
                           inf_error *err)
{
    inf_error local = {0};
    int32_t count = 0;
    struct gguf_file *f = new_file(&local);

    if (f) {
        f->parts[0] = (struct gguf_part){
            .bytes = size > 0 ? bytes : "", .size = size, .header_only = header_only};
        count = read_first(f, &local);
    }
    if (count > 1)
        error_set(&local, INF_ERROR_UNSUPPORTED,
                  "a model in %" PRId32 " parts is read from its files, not from memory", count);
    return opened(out, f, count == 1 ? INF_OK : local.code, &local, err);
}

int32_t gguf_file_from_memory(struct gguf_file **out, const void *bytes, size_t size,
                              inf_error *err)
{
    return from_memory(out, bytes, size, false, err);
}

int32_t gguf_file_from_header(struct gguf_file **out, const void *bytes, size_t size,
                              inf_error *err)
{
    return from_memory(out, bytes, size, true, err);
}

bool gguf_file_is_header(const struct gguf_file *f)
{
    return f->parts[0].header_only;
}

/* ---------------------------------------------------------------- tensors */

size_t gguf_file_tensor_count(const struct gguf_file *f)
{
    return f->n_tensors;
}

const struct gguf_tensor *gguf_file_tensor(const struct gguf_file *f, size_t index)
{
    return index < f->n_tensors ? &f->tensors[index] : NULL;
}

const struct gguf_tensor *gguf_file_find(const struct gguf_file *f, const char *name)
{
    uint32_t i = text_map_find(&f->tensor_map, (inf_text){name, strlen(name)});

    return i == TEXT_MAP_NONE ? NULL : &f->tensors[i];
}

size_t gguf_file_size(const struct gguf_file *f)
{
    return f->size;
}

size_t gguf_file_alignment(const struct gguf_file *f)
{
    return f->alignment;
}

int32_t gguf_file_part_count(const struct gguf_file *f)
{
    return (int32_t)f->n_parts;
}

const void *gguf_file_part(const struct gguf_file *f, size_t part, size_t *size)
{
    *size = f->parts[part].size;
    return f->parts[part].bytes;
}

static void advise(const struct gguf_file *f, int advice)
{
    for (size_t i = 0; i < f->n_parts; i++)
        if (f->parts[i].mapping)
            madvise(f->parts[i].mapping, f->parts[i].size, advice);
}

void gguf_file_will_need(const struct gguf_file *f)
{
    advise(f, MADV_WILLNEED);
}

void gguf_file_let_go(const struct gguf_file *f)
{
    advise(f, MADV_DONTNEED);
}
