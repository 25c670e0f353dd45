/* blueprint: see the header. How rows are made is blueprint_rows.c's. */
#include "arch/blueprint.h"

#include "core/growing.h"
#include "core/memory.h"
#include "gguf/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_SIZE = 256 };

/* ------------------------------------------------------------------ for describe */

const char *blueprint_key(const struct blueprint *b, const char *suffix, char buf[128])
{
    snprintf(buf, 128, "%s.%s", b->family->name, suffix);
    return buf;
}

void blueprint_limit_window(struct blueprint *b, int64_t n, const char *why)
{
    if (n >= b->exact_window)
        return;
    b->exact_window = (int32_t)(n < 1 ? 1 : n);
    snprintf(b->window_reason, sizeof b->window_reason, "%s", why);
}

static struct blueprint_tensor *add_tensor(struct blueprint *b)
{
    if (!GROW(b->tensors, b->tensors_cap, b->n_tensors + 1))
        return NULL;
    b->tensors[b->n_tensors] = (struct blueprint_tensor){.n_dims = 0};
    return &b->tensors[b->n_tensors++];
}

void blueprint_add_values(struct blueprint *b, struct config_reader *r, const char *name,
                          const float *values, int64_t n)
{
    struct blueprint_tensor *t = r->code == INF_OK ? add_tensor(b) : NULL;
    float *copy = t ? mem_alloc((size_t)n * sizeof *copy) : NULL;

    if (r->code != INF_OK)
        return;
    if (!copy) {
        r->code = error_no_memory(r->err);
        return;
    }
    memcpy(copy, values, (size_t)n * sizeof *copy);
    snprintf(t->name, sizeof t->name, "%s", name);
    t->type = WEIGHT_TYPE_F32;
    t->n_dims = 1;
    t->ne[0] = n;
    t->ne[1] = t->ne[2] = t->ne[3] = 1;
    t->values = copy;
}

bool blueprint_has(const struct blueprint *b, const char *name)
{
    return weight_files_find(b->files, name) != NULL;
}

/* ------------------------------------------------------------------ names */

/* Which prefix this checkpoint's blocks have: that under which its first block has anything. */
static void find_prefix(struct blueprint *b)
{
    char start[NAME_SIZE];

    snprintf(b->prefix, sizeof b->prefix, "%s", b->family->prefix);
    for (const char *const *prefix = family_prefixes; *prefix; prefix++) {
        size_t n = (size_t)snprintf(start, sizeof start, "%s%s.0.", *prefix, b->family->blocks);

        for (size_t i = 0; i < weight_files_count(b->files); i++)
            if (strncmp(weight_files_at(b->files, i)->tensor->name, start, n) == 0) {
                snprintf(b->prefix, sizeof b->prefix, "%s", *prefix);
                return;
            }
    }
}

/* The whole name of a row's tensor: of that block (-1: a global), of that expert. */
static void write_name(char out[NAME_SIZE], const struct blueprint *b, const char *module,
                       int32_t block, int64_t expert)
{
    const char *mark = strchr(module, '#');
    char own[NAME_SIZE];

    if (mark)
        snprintf(own, sizeof own, "%.*s%lld%s", (int)(mark - module), module, (long long)expert,
                 mark + 1);
    else
        snprintf(own, sizeof own, "%s", module);
    if (block >= 0)
        snprintf(out, NAME_SIZE, "%.63s%s.%d.%.150s", b->prefix, b->family->blocks, block, own);
    else if (own[0] == '^')
        snprintf(out, NAME_SIZE, "%.63s%.180s", b->prefix, own + 1);
    else
        snprintf(out, NAME_SIZE, "%.255s", own);
}

/* The output layer of a nested model may lie beside or inside of its text part. */
static const struct weight *find_weight(const struct blueprint *b, const char *name)
{
    const struct weight *w = weight_files_find(b->files, name);
    char nested[NAME_SIZE];

    if (w || strncmp(name, "lm_head.", 8) != 0)
        return w;
    snprintf(nested, sizeof nested, "language_model.%.200s", name);
    return weight_files_find(b->files, nested);
}

/* ------------------------------------------------------------------ shapes */

static int64_t dim_of(const struct blueprint *b, uint8_t size)
{
    return size == SIZE_ONE ? 1 : b->size[size];
}

static int32_t count_dims(const uint8_t *shape)
{
    int32_t n = 0;

    while (n < WEIGHT_DIMS && shape[n] != SIZE_END)
        n++;
    return n;
}

static int32_t check_shape(const struct blueprint *b, const struct family_weight *w,
                           const struct safetensors_tensor *t, inf_error *err)
{
    int64_t wanted[WEIGHT_DIMS] = {0};
    int32_t n = count_dims(w->shape);
    char is[GGUF_SHAPE_SIZE];
    char should[GGUF_SHAPE_SIZE];

    for (int32_t i = 0; i < n; i++)
        wanted[i] = dim_of(b, w->shape[i]);
    if (t->n_dims == n && memcmp(wanted, t->shape, (size_t)n * sizeof *wanted) == 0)
        return INF_OK;
    gguf_show_shape(is, t->shape, t->n_dims);
    gguf_show_shape(should, wanted, n);
    return error_set(err, INF_ERROR_BAD_FORMAT,
                     "the tensor \"%.160s\" has the shape %s where config.json says %s", t->name,
                     is, should);
}

static int32_t check_dtype(const struct safetensors_tensor *t, inf_error *err)
{
    if (t->dtype != SAFETENSORS_OTHER)
        return INF_OK;
    return error_set(err, INF_ERROR_UNSUPPORTED,
                     "the tensor \"%.160s\" is of type %s; weights may be F64, F32, F16 or BF16",
                     t->name, t->dtype_name);
}

/* The result's shape, as llama.cpp writes it: fastest first, without the ones. */
static void set_shape(struct blueprint_tensor *t, const struct blueprint *b,
                      const struct family_weight *w)
{
    const uint8_t *shape = w->becomes[0] != SIZE_END ? w->becomes : w->shape;
    int32_t n = count_dims(shape);
    uint8_t own[WEIGHT_DIMS];

    memcpy(own, shape, sizeof own);
    if (shape == w->shape && w->change && w->change->transposed && n == 2) {
        own[0] = shape[1];
        own[1] = shape[0];
    }
    for (int32_t i = n - 1; i >= 0; i--)
        if (own[i] != SIZE_ONE)
            t->ne[t->n_dims++] = dim_of(b, own[i]);
    if (strchr(w->module, '#'))
        t->ne[t->n_dims++] = b->size[SIZE_EXPERTS];
    for (int32_t i = t->n_dims; i < WEIGHT_DIMS; i++)
        t->ne[i] = 1;
}

/* ------------------------------------------------------------------ types */

static size_t type_block(int32_t type)
{
    return gguf_weight_type(type)->block;
}

bool blueprint_is_head(const char *name)
{
    return strcmp(name, "token_embd.weight") == 0 || strcmp(name, "output.weight") == 0;
}

/* What is multiplied gets the model's type, everything else is f32. Of those that are quantised, the
 * embedding and the head keep 8 bits, and so does what no whole number of blocks makes up. */
static int32_t choose_type(const struct blueprint *b, const struct blueprint_tensor *t,
                           const struct family_weight *w)
{
    int32_t type = b->type;

    if (t->n_dims < 2 || (w->flags & WEIGHT_F32))
        return WEIGHT_TYPE_F32;
    if ((type == WEIGHT_TYPE_Q4_0 || type == WEIGHT_TYPE_Q4_K) &&
        (blueprint_is_head(t->name) || t->ne[0] % (int64_t)type_block(type) != 0))
        type = WEIGHT_TYPE_Q8_0;
    return t->ne[0] % (int64_t)type_block(type) == 0 ? type : b->plain_type;
}

static bool lies_ready(const struct blueprint_tensor *t, const struct family_weight *w)
{
    const struct weight *source = t->sources[0];
    int32_t dtype = source->tensor->dtype;

    return blueprint_is_same_type(dtype, t->type) && !w->change && t->n_sources == 1 &&
           (uintptr_t)source->data % number_size(dtype) == 0;
}

/* ------------------------------------------------------------------ rows of the tables */

/* The tensors that make up the row's: one, or one an expert. */
static int32_t find_sources(struct blueprint *b, struct blueprint_tensor *t,
                            const struct family_weight *w, int32_t block, inf_error *err)
{
    size_t n = strchr(w->module, '#') ? (size_t)b->size[SIZE_EXPERTS] : 1;
    const struct weight **sources = mem_calloc(n, sizeof *sources);
    char name[NAME_SIZE];
    int32_t code = INF_OK;

    if (!sources)
        return error_no_memory(err);
    t->sources = sources;
    t->n_sources = n;
    for (size_t i = 0; i < n && code == INF_OK; i++) {
        write_name(name, b, w->module, block, (int64_t)i);
        sources[i] = find_weight(b, name);
        if (!sources[i])
            return error_set(
                err, INF_ERROR_BAD_FORMAT,
                "the checkpoint has no tensor \"%.160s\", which a %s model of this config has",
                name, b->family->name);
        b->asked[sources[i] - weight_files_at(b->files, 0)] = true;
        code = check_dtype(sources[i]->tensor, err);
        if (code == INF_OK)
            code = check_shape(b, w, sources[i]->tensor, err);
    }
    return code;
}

static int32_t add_row(struct blueprint *b, const struct family_weight *w, int32_t block,
                       inf_error *err)
{
    struct blueprint_tensor *t = add_tensor(b);
    int32_t code = INF_OK;

    if (!t)
        return error_no_memory(err);
    if (block >= 0)
        snprintf(t->name, sizeof t->name, "blk.%d.%s", block, w->tensor);
    else
        snprintf(t->name, sizeof t->name, "%s", w->tensor);
    t->change = w->change;
    code = find_sources(b, t, w, block, err);
    if (code != INF_OK)
        return code;
    set_shape(t, b, w);
    t->type = choose_type(b, t, w);
    if (lies_ready(t, w))
        t->data = t->sources[0]->data;
    return INF_OK;
}

static int32_t add_rows(struct blueprint *b, const struct family_weight *rows, int32_t block,
                        uint32_t features, inf_error *err)
{
    int32_t code = INF_OK;

    for (const struct family_weight *w = rows; w->module && code == INF_OK; w++)
        if ((w->when & features) == w->when && (w->unless & features) == 0)
            code = add_row(b, w, block, err);
    return code;
}

static int32_t add_all(struct blueprint *b, inf_error *err)
{
    const struct family *f = b->family;
    int32_t code = add_rows(b, f->globals, -1, b->features, err);

    for (int32_t i = 0; i < b->n_layer && code == INF_OK; i++)
        code = add_rows(b, f->weights, i, b->features | b->block_features[i], err);
    return code;
}

/* ------------------------------------------------------------------ what is left over */

static int32_t check_leftover(const struct blueprint *b, inf_error *err)
{
    for (size_t i = 0; i < weight_files_count(b->files); i++) {
        const char *name = weight_files_at(b->files, i)->tensor->name;

        if (!b->asked[i] && !family_ignores(b->family, name))
            return error_set(err, INF_ERROR_UNSUPPORTED,
                             "the checkpoint has a tensor \"%.160s\", which a %s model of this "
                             "config has no use for",
                             name, b->family->name);
    }
    return INF_OK;
}

/* ------------------------------------------------------------------ the header */

static int32_t put_tensors(struct blueprint *b, inf_error *err)
{
    for (size_t i = 0; i < b->n_tensors; i++) {
        const struct blueprint_tensor *t = &b->tensors[i];
        const struct gguf_weight_type *type = gguf_weight_type(t->type);
        size_t n = (size_t)t->ne[0] / type->block * type->bytes;

        for (int32_t d = 1; d < t->n_dims; d++)
            if (!size_mul(n, (size_t)t->ne[d], &n))
                return error_set(err, INF_ERROR_BAD_FORMAT, "the tensor %s is too large", t->name);
        gguf_put_tensor(&b->header, t->name, t->type, t->n_dims, t->ne, n);
    }
    return INF_OK;
}

int32_t blueprint_make(struct blueprint *out, const struct family *family,
                       const struct model_config *config, const struct weight_files *files,
                       int32_t type, int32_t plain_type, inf_error *err)
{
    struct config_reader r = config_reader_of(config, err);
    int32_t code = INF_OK;

    *out = (struct blueprint){.family = family,
                              .files = files,
                              .type = type,
                              .plain_type = plain_type,
                              .exact_window = INT32_MAX};
    gguf_writer_init(&out->header);
    out->asked = mem_calloc(weight_files_count(files) + 1, sizeof *out->asked);
    if (!out->asked)
        return error_no_memory(err);
    find_prefix(out);
    gguf_put_text(&out->header, "general.architecture", family->name);
    gguf_put_text(&out->header, "tokenizer.ggml.model", "no_vocab");
    family->describe(out, &r);
    code = r.code;
    if (code == INF_OK)
        code = add_all(out, err);
    if (code == INF_OK)
        code = check_leftover(out, err);
    return code == INF_OK ? put_tensors(out, err) : code;
}

void blueprint_free(struct blueprint *b)
{
    for (size_t i = 0; i < b->n_tensors; i++) {
        mem_free((void *)(uintptr_t)b->tensors[i].sources);
        mem_free(b->tensors[i].values);
    }
    gguf_writer_free(&b->header);
    mem_free(b->tensors);
    mem_free(b->asked);
    *b = (struct blueprint){.family = NULL};
}
