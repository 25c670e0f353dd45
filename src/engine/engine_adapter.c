/*
 * engine_adapter: see the header. DoRA's sums, which take a look at every weight that the adapter changes, are
 * made by all cores, module by module.
 */
#include "engine/engine_adapter.h"

#include "core/cpu_count.h"
#include "core/memory.h"
#include "core/min_max.h"
#include "core/parallel.h"
#include "engine/lora_export.h"
#include "lora/dora.h"

#include <ggml.h>
#include <string.h>

enum { ROWS_AT_ONCE = 64 };

/* ------------------------------------------------------------------ DoRA */

/* n rows of a weight of the base, from `first` on, as f32. */
static int32_t read_rows(const struct adapter_base *base, size_t tensor, int64_t first, int64_t n,
                         float *out, inf_error *err)
{
    const struct gguf_tensor *t = gguf_file_tensor(base->file, tensor);
    const struct model_weights *w = base->weights;
    const char *data = w ? w->ready(w->impl, tensor) : t->data;
    ggml_to_float_t to_float = ggml_get_type_traits((enum ggml_type)t->type)->to_float;
    size_t row = ggml_row_size((enum ggml_type)t->type, t->ne[0]);

    if (!data && w)
        return w->rows(w->impl, tensor, first, n, GGML_TYPE_F32, out, err);
    if (!data || (t->type != GGML_TYPE_F32 && !to_float))
        return error_set(err, INF_ERROR_UNSUPPORTED, "DoRA on %s: its numbers cannot be read",
                         t->name);
    if (t->type == GGML_TYPE_F32)
        memcpy(out, data + (size_t)first * row, (size_t)n * row);
    else
        to_float(data + (size_t)first * row, out, n * t->ne[0]);
    return INF_OK;
}

static int32_t make_sums(struct lora_module *m, const struct adapter_base *base, const inf_op *op,
                         inf_error *err)
{
    const struct gguf_tensor *t = gguf_file_tensor(base->file, m->index);
    float *rows = mem_alloc(ROWS_AT_ONCE * (size_t)t->ne[0] * sizeof *rows);
    struct dora_sums *sums = NULL;
    int32_t code = rows ? dora_begin(&sums, m, err) : error_no_memory(err);

    for (int64_t first = 0; code == INF_OK && first < t->ne[1]; first += ROWS_AT_ONCE) {
        int64_t n = t->ne[1] - first < ROWS_AT_ONCE ? t->ne[1] - first : ROWS_AT_ONCE;
        struct lora_rows of = {rows, (size_t)t->ne[0], (int32_t)n};

        if (op && op_stop_code(op) != INF_OK)
            code = op_stop_error(op, err);
        if (code == INF_OK)
            code = read_rows(base, m->index, first, n, rows, err);
        if (code == INF_OK)
            dora_rows(sums, &of);
    }
    dora_end(sums);
    mem_free(rows);
    return code;
}

struct summing {
    const struct adapter_base *base;
    struct lora_weights *weights;
    const inf_op *op;
};

static int32_t sum_module(void *owner, size_t i, inf_error *err)
{
    const struct summing *s = owner;
    struct lora_module *m = &s->weights->modules[i];

    return m->magnitude ? make_sums(m, s->base, s->op, err) : INF_OK;
}

static int32_t make_all_sums(struct lora_weights *weights, const struct adapter_base *base,
                             const inf_op *op, inf_error *err)
{
    struct summing s = {base, weights, op};
    int32_t wanted = 0;

    for (size_t i = 0; i < weights->n_modules; i++)
        wanted += weights->modules[i].magnitude != NULL;
    return wanted ? parallel_run(weights->n_modules, min_i32(wanted, cpu_count()), "inf-dora",
                                 sum_module, &s, err)
                  : INF_OK;
}

/* ------------------------------------------------------------------ life */

static int32_t list_modules(struct engine_adapter *a, inf_error *err)
{
    a->bytes = a->weights->bytes + sizeof *a;
    for (size_t i = 0; i < a->weights->n_modules; i++) {
        const struct lora_module *m = &a->weights->modules[i];
        int32_t use = lora_use_of(m->kind);

        if (!a->by_tensor[use]) {
            a->by_tensor[use] = mem_calloc(a->n_tensors + 1, sizeof *a->by_tensor[use]);
            a->bytes += a->n_tensors * sizeof *a->by_tensor[use];
        }
        if (!a->by_tensor[use])
            return error_no_memory(err);
        a->by_tensor[use][m->index] = m;
    }
    return INF_OK;
}

int32_t engine_adapter_create(void **out, size_t *bytes, struct lora_weights *weights,
                              const struct adapter_base *base, const inf_op *op, inf_error *err)
{
    struct engine_adapter *a = NULL;
    int32_t code = base->native ? lora_export_check(weights, err) : INF_OK;

    *out = NULL;
    if (code == INF_OK && !(a = mem_calloc(1, sizeof *a)))
        code = error_no_memory(err);
    if (code != INF_OK) {
        lora_weights_free(weights);
        return code;
    }
    a->weights = weights;
    a->n_tensors = gguf_file_tensor_count(base->file);
    code = list_modules(a, err);
    if (code == INF_OK)
        code = make_all_sums(weights, base, op, err);
    if (code != INF_OK) {
        engine_adapter_free(a);
        return code;
    }
    *out = a;
    *bytes = a->bytes;
    return INF_OK;
}

void engine_adapter_free(void *adapter)
{
    struct engine_adapter *a = adapter;

    if (!a)
        return;
    lora_weights_free(a->weights);
    for (int32_t use = 0; use < LORA_USES; use++)
        mem_free(a->by_tensor[use]);
    mem_free(a);
}

/* ------------------------------------------------------------------ several in one request */

/* A part that a replaces, and that b, if any, changes; or NULL. */
static const struct lora_module *replaced(const struct engine_adapter *a,
                                          const struct engine_adapter *b)
{
    for (size_t i = 0; i < a->weights->n_modules; i++) {
        const struct lora_module *m = &a->weights->modules[i];

        if (lora_replaces(m->kind) &&
            (!b || engine_adapter_module(b, m->index, lora_use_of(m->kind))))
            return m;
    }
    return NULL;
}

static int32_t check_scale(const struct scaled_adapter *a, inf_error *err)
{
    const struct lora_module *m = replaced(a->adapter->payload, NULL);

    if (!m || a->scale == 1)
        return INF_OK;
    return error_set(
        err, INF_ERROR_INVALID_ARGUMENT,
        "adapter '%.256s' replaces %s (modules_to_save, bias or trainable_token_indices), "
        "which has no scale: use it with scale 1",
        a->adapter->id, m->tensor);
}

static int32_t check_pair(const struct scaled_adapter *a, const struct scaled_adapter *b,
                          inf_error *err)
{
    const struct lora_module *m = replaced(a->adapter->payload, b->adapter->payload);

    if (!m)
        return INF_OK;
    return error_set(
        err, INF_ERROR_INVALID_ARGUMENT,
        "adapter '%.256s' replaces %s, which adapter '%.256s' changes too: a request takes "
        "one of the two",
        a->adapter->id, m->tensor, b->adapter->id);
}

int32_t engine_adapters_check(const struct adapter_set *set, inf_error *err)
{
    int32_t n = adapter_set_size(set);
    int32_t code = INF_OK;

    for (int32_t i = 0; i < n && code == INF_OK; i++) {
        code = check_scale(&set->list[i], err);
        for (int32_t k = 0; k < n && code == INF_OK; k++)
            if (k != i)
                code = check_pair(&set->list[i], &set->list[k], err);
    }
    return code;
}
