/* adapter_source: see the header. */
#include "core/adapter_source.h"

#include "core/memory.h"
#include "core/structs.h"
#include "core/utf8.h"

#include <string.h>

enum { ALIGNMENT = 64 };

/* ------------------------------------------------------------------ what is given */

void inf_adapter_source_default(inf_adapter_source *source, size_t size)
{
    inf_adapter_source defaults = {.struct_size = sizeof defaults};

    struct_write(source, size, &defaults, sizeof defaults);
}

static int32_t check_path(const char *path, inf_error *err)
{
    return utf8_valid(path, strlen(path))
               ? INF_OK
               : error_set(err, INF_ERROR_INVALID_ARGUMENT, "adapter: the path is not valid UTF-8");
}

static int32_t check_source(const inf_adapter_source *s, inf_error *err)
{
    bool path = s->path && *s->path;

    if (path == (s->weights.data != NULL))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "adapter: give either a path or the weights' bytes");
    if (path && s->config.data)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "adapter: config goes with weights from memory, not with a path");
    return path ? check_path(s->path, err) : INF_OK;
}

int32_t adapter_source_read(struct adapter_source *out, const inf_adapter_source *source,
                            inf_error *err)
{
    inf_adapter_source read;
    int32_t code = INF_OK;

    *out = (struct adapter_source){0};
    if (!source)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "source is NULL");
    inf_adapter_source_default(&read, sizeof read);
    code = struct_read(&read, sizeof read, source, "inf_adapter_source", err);
    if (code == INF_OK)
        code = check_source(&read, err);
    if (code != INF_OK)
        return code;
    if (read.weights.data)
        *out = (struct adapter_source){.config = read.config, .weights = read.weights};
    else
        out->path = read.path;
    return INF_OK;
}

/* ------------------------------------------------------------------ the copy */

/* What comes with a config is safetensors: 8 bytes with the length of a header, the header, numbers. Where the
 * numbers begin; 0: there are none to tell. */
static size_t header_of(const struct adapter_source *s)
{
    uint64_t length = 0;

    if (!s->config.data || s->weights.len < sizeof length)
        return 0;
    memcpy(&length, s->weights.data, sizeof length);
    return length <= s->weights.len - sizeof length ? (size_t)length + sizeof length : 0;
}

/* It begins where the numbers can be used in place. */
static bool copy_weights(struct adapter_source *out, const struct adapter_source *from)
{
    size_t lead = (0 - header_of(from)) % ALIGNMENT;

    out->block = block_take(from->weights.len + lead);
    if (!out->block)
        return false;
    memcpy(out->block->data + lead, from->weights.data, from->weights.len);
    out->weights = (inf_text){out->block->data + lead, from->weights.len};
    return true;
}

int32_t adapter_source_copy(struct adapter_source *out, const struct adapter_source *from,
                            inf_error *err)
{
    bool ok = true;

    *out = (struct adapter_source){
        .path = mem_strdup(from->path),
        .config = {mem_strndup(from->config.data, from->config.len), from->config.len}};
    ok = !out->path == !from->path && !out->config.data == !from->config.data &&
         (from->path || copy_weights(out, from));
    if (ok)
        return INF_OK;
    adapter_source_free(out);
    return error_no_memory(err);
}

void adapter_source_free(struct adapter_source *s)
{
    mem_free((char *)(uintptr_t)s->path);
    mem_free((char *)(uintptr_t)s->config.data);
    block_give(s->block);
    *s = (struct adapter_source){0};
}
