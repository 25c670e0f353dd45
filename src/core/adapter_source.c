/* adapter_source: see the header. */
#include "core/adapter_source.h"

#include "core/memory.h"
#include "core/structs.h"
#include "core/utf8.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum {
    ALIGNMENT = 64,
    LATE_FROM = 256 << 10, /* bytes: less is copied at once */
    PIECE = 256 << 10
};

/* It goes with the last of the two who know it. */
struct late_copy {
    pthread_mutex_t lock; /* of there */
    pthread_cond_t more;
    char *there; /* up to here it is copied */
    pthread_t maker;
    bool dropped; /* of the maker's thread alone: nobody wants it any more */
    atomic_int refs;
    char *to;
    const char *from;
    size_t n;
};

static void release(struct late_copy *late)
{
    if (atomic_fetch_sub(&late->refs, 1) != 1)
        return;
    pthread_cond_destroy(&late->more);
    pthread_mutex_destroy(&late->lock);
    mem_free(late);
}

static void arrive(struct late_copy *late, size_t n)
{
    pthread_mutex_lock(&late->lock);
    late->there = late->to + n;
    pthread_cond_signal(&late->more);
    pthread_mutex_unlock(&late->lock);
}

void adapter_source_finish(struct late_copy *late)
{
    if (!late)
        return;
    for (size_t at = 0; at < late->n && !late->dropped;) {
        size_t n = late->n - at < PIECE ? late->n - at : PIECE;

        memcpy(late->to + at, late->from + at, n);
        at += n;
        arrive(late, at);
    }
    release(late);
}

static void wait_until(struct late_copy *late, const char *end)
{
    pthread_mutex_lock(&late->lock);
    while (late->there < end)
        pthread_cond_wait(&late->more, &late->lock);
    pthread_mutex_unlock(&late->lock);
}

void adapter_source_wait_for(const struct adapter_source *s, const void *end)
{
    if (s->late)
        wait_until(s->late, end);
}

void adapter_source_wait(struct adapter_source *s)
{
    if (!s->late)
        return;
    if (pthread_equal(s->late->maker, pthread_self()))
        s->late->dropped = true;
    else
        wait_until(s->late, s->late->to + s->late->n);
    release(s->late);
    s->late = NULL;
}

void adapter_source_free(struct adapter_source *s)
{
    adapter_source_wait(s);
    mem_free(s->path);
    mem_free(s->config);
    block_give(s->block);
    *s = (struct adapter_source){0};
}

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

/* ------------------------------------------------------------------ the copy */

/* What comes with a config is safetensors: 8 bytes with the length of a header, the header, numbers. *header: where
 * the numbers begin; 0: there are none to tell. */
static size_t header_of(const inf_adapter_source *s)
{
    uint64_t length = 0;

    if (!s->config.data || s->weights.len < sizeof length)
        return 0;
    memcpy(&length, s->weights.data, sizeof length);
    return length <= s->weights.len - sizeof length ? (size_t)length + sizeof length : 0;
}

/* All of it, or the first bytes now and the rest later. */
static bool copy_from(struct adapter_source *out, const char *from, size_t first)
{
    size_t rest = out->weights_len - first;
    struct late_copy *late = NULL;

    if (first == 0 || rest < LATE_FROM) {
        memcpy(out->weights, from, out->weights_len);
        return true;
    }
    late = mem_calloc(1, sizeof *late);
    if (!late)
        return false;
    *late = (struct late_copy){.maker = pthread_self(),
                               .there = out->weights + first,
                               .to = out->weights + first,
                               .from = from + first,
                               .n = rest};
    atomic_init(&late->refs, 2);
    pthread_mutex_init(&late->lock, NULL);
    pthread_cond_init(&late->more, NULL);
    memcpy(out->weights, from, first);
    out->late = late;
    return true;
}

/* The one copy that is made of an adapter's numbers: it begins where they can be used in place. */
static bool copy_weights(struct adapter_source *out, const inf_adapter_source *s)
{
    size_t header = header_of(s);
    size_t lead = (0 - header) % ALIGNMENT;

    out->block = block_take(s->weights.len + lead);
    if (!out->block)
        return false;
    out->weights = out->block->data + lead;
    out->weights_len = s->weights.len;
    return copy_from(out, s->weights.data, header);
}

static int32_t copy_source(struct adapter_source *out, const inf_adapter_source *s, inf_error *err)
{
    bool ok = true;

    *out = (struct adapter_source){0};
    if (s->weights.data) {
        if (s->config.data) {
            out->config = mem_strndup(s->config.data, s->config.len);
            out->config_len = s->config.len;
        }
        ok = (!s->config.data || out->config) && copy_weights(out, s);
    } else {
        out->path = mem_strdup(s->path);
        ok = out->path != NULL;
    }
    if (ok)
        return INF_OK;
    adapter_source_free(out);
    return error_no_memory(err);
}

int32_t adapter_source_copy(struct adapter_source *out, const inf_adapter_source *source,
                            inf_error *err)
{
    inf_adapter_source read;
    int32_t code = INF_OK;

    if (!source)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "source is NULL");
    inf_adapter_source_default(&read, sizeof read);
    code = struct_read(&read, sizeof read, source, "inf_adapter_source", err);
    if (code == INF_OK)
        code = check_source(&read, err);
    return code == INF_OK ? copy_source(out, &read, err) : code;
}
