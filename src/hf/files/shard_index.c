/* shard_index: see the header. */
#include "hf/files/shard_index.h"

#include "core/buffer.h"
#include "core/file.h"
#include "core/memory.h"

#include <string.h>

#define MAX_INDEX ((uint64_t)256 << 20)

/* A file beside the index: no other folder's. */
static bool is_plain_name(const char *name, size_t len)
{
    return len > 0 && len < 256 && strlen(name) == len && !strchr(name, '/') && name[0] != '.';
}

static int32_t add_path(struct shard_index *x, const char *dir, const char *name, inf_error *err)
{
    char *path = path_join(dir, name);
    bool added = path && name_set_add(&x->paths, path);

    mem_free(path);
    if (!added)
        return error_no_memory(err);
    if (x->paths.n > SHARD_INDEX_MAX_FILES)
        return error_set(err, INF_ERROR_BAD_FORMAT, "%s lists more than %d files", x->name,
                         SHARD_INDEX_MAX_FILES);
    return INF_OK;
}

static int32_t add_file(struct shard_index *x, const char *dir, struct json_span value,
                        struct buffer *name, inf_error *err)
{
    buffer_clear(name);
    if (!scan_is_string(value) || !scan_unescape(name, value) ||
        !is_plain_name(name->data ? name->data : "", name->len))
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         "%s: weight_map must name files beside it, and has %.*s", x->name,
                         value.len < 60 ? (int)value.len : 60, value.data);
    return add_path(x, dir, name->data, err);
}

static int32_t add_files(struct shard_index *x, const char *dir, inf_error *err)
{
    struct json_span key, value;
    struct json_walk w;
    struct buffer name;
    int32_t code = INF_OK;

    if (!scan_object(&w, x->map))
        return error_set(err, INF_ERROR_BAD_FORMAT, "%s has no weight_map", x->name);
    buffer_init(&name, 4096);
    while (code == INF_OK && scan_next_member(&w, &key, &value))
        code = add_file(x, dir, value, &name, err);
    buffer_free(&name);
    if (code == INF_OK && x->paths.n == 0)
        return error_set(err, INF_ERROR_BAD_FORMAT, "%s: weight_map is empty", x->name);
    return code;
}

int32_t shard_index_open(struct shard_index *out, const char *dir, const char *name, inf_error *err)
{
    struct json_span root = {0};
    size_t len = 0;
    int32_t code = INF_OK;

    *out = (struct shard_index){.name = name};
    code = file_read_in(&out->text, &len, dir, name, MAX_INDEX, err);
    if (code == INF_OK && !scan_json(&root, out->text, len))
        code = error_set(err, INF_ERROR_BAD_FORMAT, "%s is no JSON", name);
    if (code != INF_OK)
        return code;
    out->map = scan_member(root, "weight_map");
    return add_files(out, dir, err);
}

int32_t shard_index_check(const struct shard_index *x,
                          bool (*has)(const void *files, const char *tensor), const void *files,
                          inf_error *err)
{
    struct json_span key, value;
    struct json_walk w;
    struct buffer name;
    int32_t code = INF_OK;

    buffer_init(&name, 65536);
    scan_object(&w, x->map);
    while (code == INF_OK && scan_next_member(&w, &key, &value)) {
        buffer_clear(&name);
        if (!scan_unescape(&name, key) || !name.data || !has(files, name.data))
            code = error_set(err, INF_ERROR_BAD_FORMAT,
                             "%s lists the tensor \"%.*s\", which none of its files has; "
                             "download them again",
                             x->name, key.len > 2 && key.len < 200 ? (int)key.len - 2 : 0,
                             key.data + 1);
    }
    buffer_free(&name);
    return code;
}

void shard_index_free(struct shard_index *x)
{
    name_set_free(&x->paths);
    mem_free(x->text);
    *x = (struct shard_index){0};
}
