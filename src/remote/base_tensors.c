/* base_tensors: see the header. */
#include "remote/base_tensors.h"

#include "core/ascii.h"
#include "core/file.h"
#include "core/growing.h"
#include "hf/files/safetensors.h"

#include <dirent.h>
#include <string.h>

enum { SHARDS_MAX = 1024 };

struct base_tensors {
    struct safetensors **shards;
    size_t n, cap;
};

static bool is_shard(const char *name)
{
    size_t n = strlen(name);

    return n > strlen(".safetensors") && text_ends(name, n, ".safetensors") &&
           !text_begins(name, n, "adapter_");
}

static int32_t add_shard(struct base_tensors *b, const char *dir, const char *name, inf_error *err)
{
    char *path = path_join(dir, name);
    int32_t code = path && GROW(b->shards, b->cap, b->n + 1)
                       ? safetensors_open(&b->shards[b->n], path, err)
                       : error_no_memory(err);

    b->n += code == INF_OK;
    mem_free(path);
    return code;
}

int32_t base_tensors_open(struct base_tensors **out, const char *dir, inf_error *err)
{
    struct base_tensors *b = mem_calloc(1, sizeof *b);
    DIR *handle = b ? opendir(dir) : NULL;
    const struct dirent *entry = NULL;
    int32_t code = b ? INF_OK : error_no_memory(err);

    *out = NULL;
    while (handle && code == INF_OK && (entry = readdir(handle)) != NULL)
        if (is_shard(entry->d_name))
            code = b->n < SHARDS_MAX ? add_shard(b, dir, entry->d_name, err) : INF_ERROR_LIMIT;
    if (handle)
        closedir(handle);
    if (code == INF_OK && b->n > 0) {
        *out = b;
        return INF_OK;
    }
    base_tensors_close(b);
    /* A checkpoint we cannot read whole tells nothing about the adapter. */
    return code == INF_ERROR_NO_MEMORY ? code : INF_OK;
}

void base_tensors_close(struct base_tensors *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->n; i++)
        safetensors_close(b->shards[i]);
    mem_free(b->shards);
    mem_free(b);
}

/* ------------------------------------------------------------------ finding a module */

/* The part of a module's name from its numbered layer on, which checkpoints and classes agree on
 * when what stands before it differs: "model.layers.0.q" and "language_model.layers.0.q". */
static const char *tail_of(const char *module)
{
    for (const char *at = strchr(module, '.'); at; at = strchr(at + 1, '.')) {
        if (at[1] >= '0' && at[1] <= '9') {
            const char *begin = at;

            while (begin > module && begin[-1] != '.')
                begin--;
            return begin;
        }
    }
    return module;
}

/* The tensor of that name, whole or from its tail on, with the ending; or NULL. */
static const struct safetensors_tensor *find(const struct base_tensors *b, const char *name,
                                             const char *ending)
{
    const char *tail = tail_of(name);
    size_t m = strlen(tail);
    size_t whole = m + strlen(ending);

    for (size_t s = 0; s < b->n; s++) {
        for (size_t i = 0; i < safetensors_count(b->shards[s]); i++) {
            const struct safetensors_tensor *t = safetensors_at(b->shards[s], i);
            size_t n = strlen(t->name);
            const char *at = n >= whole ? t->name + n - whole : NULL;

            if (at && memcmp(at, tail, m) == 0 && strcmp(at + m, ending) == 0 &&
                (at == t->name || at[-1] == '.'))
                return t;
        }
    }
    return NULL;
}

/* The module's weight is there in another form. */
static bool is_packed(const struct base_tensors *b, const char *module)
{
    return find(b, module, ".qweight") || find(b, module, ".weight_packed") ||
           find(b, module, ".weight_scale") || find(b, module, ".scales");
}

static bool is_output(const char *module)
{
    return text_ends(module, strlen(module), "lm_head");
}

/* A checkpoint may hold its experts as one tensor, which an adapter names one by one. */
static bool is_expert(const char *module)
{
    return strstr(module, ".experts") != NULL;
}

int32_t base_tensors_check(const struct base_tensors *b, const char *module, int64_t n_out,
                           int64_t n_in, const char *tensor, inf_error *err)
{
    const struct safetensors_tensor *t = find(b, module, ".weight");

    if (!t && (is_output(module) || is_expert(module) || is_packed(b, module)))
        return INF_OK;
    if (!t)
        return error_set(err, INF_ERROR_MISMATCH,
                         "tensor %s: the server's base model has no module %s; vLLM would take the "
                         "adapter and not use this part of it",
                         tensor, module);
    /* Two dimensions of 16 or 32 bits are a plain weight; GPT-2's are the other way round. */
    if (t->n_dims != 2 || t->dtype == SAFETENSORS_OTHER ||
        (t->shape[0] == n_out && t->shape[1] == n_in) ||
        (t->shape[0] == n_in && t->shape[1] == n_out))
        return INF_OK;
    return error_set(err, INF_ERROR_MISMATCH,
                     "tensor %s: the adapter is for a module of %lld to %lld, but %s of the "
                     "server's base model goes from %lld to %lld",
                     tensor, (long long)n_in, (long long)n_out, module, (long long)t->shape[1],
                     (long long)t->shape[0]);
}

int32_t base_tensors_check_whole(const struct base_tensors *b, const char *name,
                                 const struct safetensors_tensor *tensor, inf_error *err)
{
    const struct safetensors_tensor *t = find(b, name, "");
    bool same = true;

    if (!t && strstr(name, "lm_head."))
        t = find(b, "embed_tokens.weight", "");
    if (!t && (strstr(name, "lm_head.") || is_expert(name)))
        return INF_OK;
    if (!t)
        return error_set(err, INF_ERROR_MISMATCH,
                         "tensor %s: the server's base model has no %s that it could take the "
                         "place of",
                         tensor->name, name);
    if (t->dtype == SAFETENSORS_OTHER) /* packed: its shape is not the weight's */
        return INF_OK;
    for (int32_t i = 0; i < SAFETENSORS_MAX_DIMS; i++)
        same = same && t->shape[i] == tensor->shape[i];
    if (same && t->n_dims == tensor->n_dims)
        return INF_OK;
    return error_set(err, INF_ERROR_MISMATCH,
                     "tensor %s has %lld by %lld numbers, but %s of the server's base model has "
                     "%lld by %lld",
                     tensor->name, (long long)tensor->shape[0], (long long)tensor->shape[1],
                     t->name, (long long)t->shape[0], (long long)t->shape[1]);
}
