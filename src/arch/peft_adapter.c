/*
 * peft_adapter: which weight of a GGUF model each module of a PEFT adapter changes.
 *
 * The names and the order of the rows are those of llama.cpp's converter: blocks are "blk.N.",
 * fused projections keep their order, Conv1D weights are stored transposed (so that B A is their
 * delta as it stands), and in the architectures whose rope turns neighbouring pairs the rows of q
 * and k are regrouped in each head.
 *
 * Everything must fit: each tensor of the adapter has its weight, each shape is right, and each
 * module of the model that target_modules selects is in the adapter.
 */
#include "arch/adapter_base.h"
#include "arch/adapter_plan.h"
#include "arch/families.h"
#include "core/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What may stand before the list of blocks, or before "lm_head", longest first. */
static const char *const prefixes[] = {
    "model.language_model.",
    "language_model.model.",
    "language_model.",
    "transformer.",
    "model.",
    "",
};

enum { NAME_SIZE = 128 };

/* ---------------------------------------------------------------- one module */

/* What a module's name means. */
struct place {
    const struct gguf_tensor *base;   /* NULL: the model has no such weight */
    const struct family_layer *layer; /* NULL: the output layer */
    size_t prefix;                    /* index into prefixes */
};

static const struct gguf_tensor *find_weight(const struct gguf_model *model, int32_t block,
                                             const struct family_layer *layer)
{
    char name[NAME_SIZE];

    snprintf(name, sizeof name, "blk.%d.%s.weight", block, layer->tensor);
    return gguf_file_find(model->file, name);
}

/* Where a module belongs; base stays NULL when nowhere. */
static void find_place(struct place *out, const struct family *family,
                       const struct gguf_model *model, const char *module)
{
    size_t blocks = strlen(family->blocks);
    int32_t block = 0;

    *out = (struct place){0};
    for (size_t i = 0; !out->base && !out->layer && i < sizeof prefixes / sizeof prefixes[0]; i++) {
        size_t n = strlen(prefixes[i]);
        const char *name = module + n;

        if (strncmp(module, prefixes[i], n) != 0)
            continue;
        out->prefix = i;
        if (strcmp(name, "lm_head") == 0)
            out->base = output_weight(model);
        else if (strncmp(name, family->blocks, blocks) == 0 && name[blocks] == '.')
            out->layer = family_find_module(family, name + blocks + 1, &block);
    }
    if (out->layer)
        out->base = find_weight(model, block, out->layer);
}

/* The first thing that does not fit, and how many modules have one. */
struct misfits {
    inf_error first;
    size_t n;
};

static void misfit(struct misfits *m, const inf_error *why)
{
    if (m->n++ == 0)
        m->first = *why;
}

static bool check_shape(const struct safetensors_tensor *t, int64_t rows, int64_t cols,
                        const struct gguf_tensor *base, inf_error *why)
{
    if (t->shape[0] == rows && t->shape[1] == cols)
        return true;
    error_set(
        why, INF_ERROR_MISMATCH,
        "adapter tensor \"%.160s\" has shape [%lld, %lld], but for %s of the model it must be "
        "[%lld, %lld]",
        t->name, (long long)t->shape[0], (long long)t->shape[1], base->name, (long long)rows,
        (long long)cols);
    return false;
}

/* How many rows a head of q or k has; 0 where rows stay. */
static bool head_rows(const struct family *family, const struct place *place,
                      const struct gguf_model *model, int32_t *out, inf_error *why)
{
    int32_t whose = family->regroups && place->layer ? place->layer->heads : HEADS_NONE;
    int32_t heads = whose == HEADS_Q ? model->n_head : model->n_head_kv;
    int64_t rows = place->base->ne[1];

    *out = 0;
    if (whose == HEADS_NONE || whose >= HEADS_OWN)
        return true;
    if (heads < 1 || rows % heads != 0 || rows / heads % 2 != 0) {
        error_set(why, INF_ERROR_MISMATCH,
                  "%s of the model has %lld rows, which its %d heads do not share evenly",
                  place->base->name, (long long)rows, heads);
        return false;
    }
    *out = (int32_t)(rows / heads);
    return true;
}

static struct lora_matrix matrix_of(const struct safetensors_tensor *t)
{
    return (struct lora_matrix){.name = t->name, .type = t->dtype, .size = t->size, .tensor = t};
}

/* Where a family has an order of its own. */
static bool own_order(struct lora_plan_module *m, const struct family *family,
                      const struct place *place, const struct gguf_model *model, inf_error *why)
{
    int32_t whose = place->layer ? place->layer->heads : HEADS_NONE;
    int32_t n = 0;
    int32_t *order = NULL;

    if (whose < HEADS_OWN)
        return true;
    n = whose & HEADS_INPUTS ? m->base.n_in : m->base.n_out;
    order = mem_alloc((size_t)n * sizeof *order);
    if (!order) {
        error_no_memory(why);
        return false;
    }
    *(whose & HEADS_INPUTS ? &m->inputs : &m->outputs) = order;
    if (family->order(model, whose & ~HEADS_INPUTS, order, n))
        return true;
    error_set(why, INF_ERROR_MISMATCH, "%s of the model has no heads that its keys make sense of",
              m->base.name);
    return false;
}

/* Fills one module of the plan; false with *why. */
static bool plan_module(struct lora_plan_module *out, const struct peft_module *m,
                        const struct place *place, const struct family *family,
                        const struct gguf_model *model, inf_error *why)
{
    const struct gguf_tensor *base = place->base;
    int32_t head_dim = 0;

    if (!base || !is_matrix(base)) {
        error_set(why, INF_ERROR_MISMATCH,
                  "adapter tensor \"%.160s\" is for a module that the model (%s, %d layers) does "
                  "not have",
                  m->a->name, family->name, model->n_layer);
        return false;
    }
    if (!check_shape(m->a, m->rank, base->ne[0], base, why) ||
        !check_shape(m->b, base->ne[1], m->rank, base, why) ||
        (m->base && !check_shape(m->base, base->ne[1], base->ne[0], base, why)) ||
        !head_rows(family, place, model, &head_dim, why))
        return false;
    *out = (struct lora_plan_module){.base = base_of(model, base),
                                     .a = matrix_of(m->a),
                                     .b = matrix_of(m->b),
                                     .rank = m->rank,
                                     .scale = m->scale,
                                     .head_dim = head_dim};
    if (own_order(out, family, place, model, why))
        return true;
    mem_free(out->inputs);
    mem_free(out->outputs);
    return false;
}

/* ---------------------------------------------------------------- copies of base weights */

/* Equal but for the rounding of a 16-bit format on either side. */
static bool nearly_equal(float x, float y)
{
    float larger = fabsf(x) > fabsf(y) ? fabsf(x) : fabsf(y);

    return fabsf(x - y) <= larger * 0x1p-7f + 1e-6f;
}

/*
 * peft stores the weight of a targeted output layer beside its LoRA. Where the model's own is in a
 * float format the two must be the same; a quantised one cannot be compared here.
 */
static int32_t check_base_copy(const struct peft_adapter *adapter, const struct peft_module *m,
                               const struct place *place, const struct gguf_model *model,
                               inf_error *err)
{
    const struct gguf_tensor *base = place->base;
    struct gguf_numbers own = numbers_of(model, base);
    size_t n = (size_t)base->ne[0] * (size_t)base->ne[1];
    const void *copy = NULL;
    void *scratch = NULL;
    int32_t code = INF_OK;

    if (place->layer)
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         "adapter tensor \"%.160s\" is a weight of the base model, which is not "
                         "supported in an adapter",
                         m->base->name);
    if (!own.data)
        return INF_OK;
    scratch = mem_alloc(m->base->size);
    code = scratch ? safetensors_data(&copy, adapter->weights, m->base, scratch, err)
                   : error_no_memory(err);
    for (size_t i = 0; code == INF_OK && i < n; i++)
        if (!nearly_equal(number_at(copy, m->base->dtype, i), number_at(own.data, own.type, i)))
            code = error_set(err, INF_ERROR_UNSUPPORTED,
                             "adapter tensor \"%.160s\" is an output layer that differs from the "
                             "model's: trained or resized output layers are not supported",
                             m->base->name);
    mem_free(scratch);
    return code;
}

/* ---------------------------------------------------------------- promises */

static int by_name(const void *key, const void *element)
{
    return strcmp(key, ((const struct peft_module *)element)->name);
}

static bool has_module(const struct peft_adapter *adapter, const char *name)
{
    return bsearch(name, adapter->modules, adapter->n_modules, sizeof *adapter->modules, by_name);
}

/* A module of the model: refused when target_modules selects it and the adapter lacks it. */
static int32_t check_promise(struct misfits *misfits, const struct peft_adapter *adapter,
                             const char *module, bool is_output, inf_error *err)
{
    bool selected = false;
    inf_error why;
    int32_t code = peft_config_selects(adapter->config, module, is_output, &selected, err);

    if (code == INF_OK && selected && !has_module(adapter, module)) {
        error_set(&why, INF_ERROR_MISMATCH,
                  "target_modules of adapter_config.json selects \"%.160s\" of the model, but "
                  "adapter_model.safetensors has nothing for it",
                  module);
        misfit(misfits, &why);
    }
    return code;
}

/* Every linear layer of the model, named with the prefix that the adapter uses. */
static int32_t check_promises(struct misfits *misfits, const struct peft_adapter *adapter,
                              const struct family *family, const struct gguf_model *model,
                              const char *prefix, inf_error *err)
{
    char module[NAME_SIZE];
    int32_t code = INF_OK;

    for (int32_t block = 0; block < model->n_layer; block++) {
        for (const struct family_layer *l = family->layers; l->module && code == INF_OK; l++) {
            if (!find_weight(model, block, l))
                continue;
            snprintf(module, sizeof module, "%s%s.%d.%s", prefix, family->blocks, block, l->module);
            code = check_promise(misfits, adapter, module, false, err);
        }
    }
    return code == INF_OK ? check_promise(misfits, adapter, "lm_head", true, err) : code;
}

/* ---------------------------------------------------------------- the whole */

static int32_t finish_misfits(const struct misfits *m, inf_error *err)
{
    if (m->n == 0)
        return INF_OK;
    if (m->n == 1)
        return error_set(err, m->first.code, "%s; is it for another base model?", m->first.message);
    return error_set(err, m->first.code,
                     "%s (and %zu more do not fit); is it for another base model?",
                     m->first.message, m->n - 1);
}

/* Places every module; the prefix of the first one in a block is the adapter's. */
static int32_t plan_modules(struct lora_plan *out, struct misfits *misfits,
                            const struct peft_adapter *adapter, const struct family *family,
                            const struct gguf_model *model, const char **prefix, inf_error *err)
{
    int32_t code = INF_OK;
    bool prefix_known = false;

    for (size_t i = 0; i < adapter->n_modules && code == INF_OK; i++) {
        const struct peft_module *m = &adapter->modules[i];
        struct place place;
        inf_error why;

        find_place(&place, family, model, m->name);
        if (!plan_module(&out->modules[out->n], m, &place, family, model, &why)) {
            misfit(misfits, &why);
            continue;
        }
        out->n++;
        if (place.layer && !prefix_known) {
            *prefix = prefixes[place.prefix];
            prefix_known = true;
        }
        code = m->base ? check_base_copy(adapter, m, &place, model, err) : INF_OK;
    }
    return code;
}

static int32_t read_tensor(const void **data, const void *file, const void *tensor, void *scratch,
                           inf_error *err)
{
    return safetensors_data(data, file, tensor, scratch, err);
}

int32_t plan_peft_adapter(struct lora_plan *out, struct peft_adapter *adapter,
                          const struct gguf_model *model, inf_error *err)
{
    const struct family *family = NULL;
    struct misfits misfits = {.n = 0};
    const char *prefix = NULL;
    int32_t code = family_find(&family, model->architecture, err);

    if (code != INF_OK)
        return code;
    prefix = family->prefix;
    out->format = INF_ADAPTER_PEFT;
    out->n_tensors = (int32_t)safetensors_count(adapter->weights);
    out->file = adapter->weights;
    out->read = read_tensor;
    out->modules = mem_calloc(adapter->n_modules, sizeof *out->modules);
    if (!out->modules)
        return error_no_memory(err);
    code = plan_modules(out, &misfits, adapter, family, model, &prefix, err);
    if (code == INF_OK && misfits.n == 0 && peft_config_has_targets(adapter->config))
        code = check_promises(&misfits, adapter, family, model, prefix, err);
    if (code == INF_OK)
        code = finish_misfits(&misfits, err);
    return code == INF_OK ? lora_plan_sort(out, err) : code;
}
