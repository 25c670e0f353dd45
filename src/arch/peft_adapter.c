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
#include "core/memory.h"
#include "lora/convert.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum heads { HEADS_NONE, HEADS_Q, HEADS_K };

/* A linear layer of a block. */
struct layer_map {
    const char *module; /* Hugging Face: behind "<prefix>layers.N." */
    const char *tensor; /* GGUF: between "blk.N." and ".weight" */
    int32_t heads;      /* enum heads: whose rows are regrouped where the architecture does that */
};

struct lora_architecture {
    const char *name;
    const char *blocks; /* Hugging Face's list of blocks */
    const char *prefix; /* usually before it */
    bool regroups;
    const struct layer_map *layers;
    size_t n_layers;
};

static const struct layer_map split_layers[] = {
    {"self_attn.q_proj", "attn_q", HEADS_Q},    {"self_attn.k_proj", "attn_k", HEADS_K},
    {"self_attn.v_proj", "attn_v", HEADS_NONE}, {"self_attn.o_proj", "attn_output", HEADS_NONE},
    {"mlp.gate_proj", "ffn_gate", HEADS_NONE},  {"mlp.up_proj", "ffn_up", HEADS_NONE},
    {"mlp.down_proj", "ffn_down", HEADS_NONE},
};

static const struct layer_map phi3_layers[] = {
    {"self_attn.qkv_proj", "attn_qkv", HEADS_NONE},
    {"self_attn.o_proj", "attn_output", HEADS_NONE},
    {"mlp.gate_up_proj", "ffn_up", HEADS_NONE},
    {"mlp.down_proj", "ffn_down", HEADS_NONE},
};

static const struct layer_map gpt2_layers[] = {
    {"attn.c_attn", "attn_qkv", HEADS_NONE},
    {"attn.c_proj", "attn_output", HEADS_NONE},
    {"mlp.c_fc", "ffn_up", HEADS_NONE},
    {"mlp.c_proj", "ffn_down", HEADS_NONE},
};

#define LAYERS(table) table, sizeof table / sizeof table[0]

/* "llama" is Mistral too. */
static const struct lora_architecture architectures[] = {
    {"llama", "layers", "model.", true, LAYERS(split_layers)},
    {"qwen2", "layers", "model.", false, LAYERS(split_layers)},
    {"qwen3", "layers", "model.", false, LAYERS(split_layers)},
    {"gemma2", "layers", "model.", false, LAYERS(split_layers)},
    {"gemma3", "layers", "model.", false, LAYERS(split_layers)},
    {"phi3", "layers", "model.", false, LAYERS(phi3_layers)},
    {"smollm3", "layers", "model.", true, LAYERS(split_layers)},
    {"gpt2", "h", "transformer.", false, LAYERS(gpt2_layers)},
};

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

int32_t lora_architecture_find(const struct lora_architecture **out, const char *name,
                               inf_error *err)
{
    for (size_t i = 0; i < sizeof architectures / sizeof architectures[0]; i++) {
        if (strcmp(architectures[i].name, name) == 0) {
            *out = &architectures[i];
            return INF_OK;
        }
    }
    return error_set(
        err, INF_ERROR_UNSUPPORTED,
        "adapters for models of architecture \"%.60s\" are not supported; they are for "
        "llama (Llama, Mistral), qwen2, qwen3, gemma2, gemma3, phi3, smollm3 and gpt2",
        name);
}

/* Digits, without leading zeros, ended by a dot; *rest is behind it. */
static bool take_number(const char *s, int32_t *number, const char **rest)
{
    int32_t n = 0;
    const char *p = s;
    for (; *p >= '0' && *p <= '9' && p - s < 6; p++)
        n = n * 10 + (*p - '0');
    if (p == s || *p != '.' || (*s == '0' && p > s + 1))
        return false;
    *number = n;
    *rest = p + 1;
    return true;
}

bool lora_architecture_has(const struct lora_architecture *arch, const char *tensor)
{
    const char *rest = NULL;
    int32_t block = 0;
    if (strcmp(tensor, "output.weight") == 0)
        return true;
    if (strncmp(tensor, "blk.", 4) != 0 || !take_number(tensor + 4, &block, &rest))
        return false;
    for (size_t i = 0; i < arch->n_layers; i++) {
        size_t n = strlen(arch->layers[i].tensor);
        if (strncmp(rest, arch->layers[i].tensor, n) == 0 && strcmp(rest + n, ".weight") == 0)
            return true;
    }
    return false;
}

const struct gguf_tensor *lora_output_weight(const struct gguf_model *model)
{
    const struct gguf_tensor *output = gguf_file_find(model->file, "output.weight");
    return output ? output : gguf_file_find(model->file, "token_embd.weight");
}

/* ---------------------------------------------------------------- one module */

/* What a module's name means. */
struct place {
    const struct gguf_tensor *base; /* NULL: the model has no such weight */
    const struct layer_map *layer;  /* NULL: the output layer */
    size_t prefix;                  /* index into prefixes */
};

static const struct gguf_tensor *find_weight(const struct gguf_model *model, int32_t block,
                                             const struct layer_map *layer)
{
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "blk.%d.%s.weight", block, layer->tensor);
    return gguf_file_find(model->file, name);
}

/* `rest` is what follows the prefix. */
static bool find_in_blocks(struct place *out, const struct lora_architecture *arch,
                           const struct gguf_model *model, const char *rest)
{
    size_t n = strlen(arch->blocks);
    int32_t block = 0;
    if (strncmp(rest, arch->blocks, n) != 0 || rest[n] != '.' ||
        !take_number(rest + n + 1, &block, &rest)) {
        return false;
    }
    for (size_t i = 0; i < arch->n_layers; i++) {
        if (strcmp(rest, arch->layers[i].module) == 0) {
            out->layer = &arch->layers[i];
            out->base = find_weight(model, block, out->layer);
            return true;
        }
    }
    return false;
}

/* Where a module belongs; base stays NULL when nowhere. */
static void find_place(struct place *out, const struct lora_architecture *arch,
                       const struct gguf_model *model, const char *module)
{
    *out = (struct place){0};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        size_t n = strlen(prefixes[i]);
        if (strncmp(module, prefixes[i], n) != 0)
            continue;
        out->prefix = i;
        if (strcmp(module + n, "lm_head") == 0) {
            out->base = lora_output_weight(model);
            return;
        }
        if (find_in_blocks(out, arch, model, module + n))
            return;
    }
}

static bool is_matrix(const struct gguf_tensor *t)
{
    return t->ne[2] == 1 && t->ne[3] == 1 && t->ne[0] <= INT32_MAX / 2 && t->ne[1] <= INT32_MAX / 2;
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
static bool head_rows(const struct lora_architecture *arch, const struct place *place,
                      const struct gguf_model *model, int32_t *out, inf_error *why)
{
    *out = 0;
    if (!arch->regroups || !place->layer || place->layer->heads == HEADS_NONE)
        return true;
    int32_t heads = place->layer->heads == HEADS_Q ? model->n_head : model->n_head_kv;
    int64_t rows = place->base->ne[1];
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
    return (struct lora_matrix){.name = t->name,
                                .source = t->dtype == SAFETENSORS_F32   ? LORA_SOURCE_F32
                                          : t->dtype == SAFETENSORS_F16 ? LORA_SOURCE_F16
                                                                        : LORA_SOURCE_BF16,
                                .size = t->size,
                                .tensor = t};
}

/* Fills one module of the plan; false with *why. */
static bool plan_module(struct lora_plan_module *out, const struct peft_module *m,
                        const struct place *place, const struct lora_architecture *arch,
                        const struct gguf_model *model, inf_error *why)
{
    const struct gguf_tensor *base = place->base;
    int32_t head_dim = 0;
    if (!base || !is_matrix(base)) {
        error_set(why, INF_ERROR_MISMATCH,
                  "adapter tensor \"%.160s\" is for a module that the model (%s, %d layers) does "
                  "not have",
                  m->a->name, arch->name, model->n_layer);
        return false;
    }
    if (!check_shape(m->a, m->rank, base->ne[0], base, why) ||
        !check_shape(m->b, base->ne[1], m->rank, base, why) ||
        (m->base && !check_shape(m->base, base->ne[1], base->ne[0], base, why)) ||
        !head_rows(arch, place, model, &head_dim, why)) {
        return false;
    }
    *out = (struct lora_plan_module){.base = base,
                                     .a = matrix_of(m->a),
                                     .b = matrix_of(m->b),
                                     .rank = m->rank,
                                     .scale = m->scale,
                                     .head_dim = head_dim};
    return true;
}

/* ---------------------------------------------------------------- copies of base weights */

enum { TYPE_F32 = 0, TYPE_F16 = 1, TYPE_BF16 = 30 }; /* ggml's numbers */

static float value_at(const void *data, int32_t source, size_t i)
{
    float value = 0;
    uint32_t word = 0;
    uint16_t half = 0;
    const unsigned char *p = data;
    if (source == LORA_SOURCE_F32) {
        memcpy(&value, p + 4 * i, sizeof value);
        return value;
    }
    memcpy(&half, p + 2 * i, sizeof half);
    if (source == LORA_SOURCE_F16)
        return lora_f32_from_f16(half);
    word = (uint32_t)half << 16;
    memcpy(&value, &word, sizeof value);
    return value;
}

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
                               const struct place *place, inf_error *err)
{
    const struct gguf_tensor *base = place->base;
    const void *copy = NULL;
    if (place->layer) {
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         "adapter tensor \"%.160s\" is a weight of the base model, which is not "
                         "supported in an adapter",
                         m->base->name);
    }
    if (base->type != TYPE_F32 && base->type != TYPE_F16 && base->type != TYPE_BF16)
        return INF_OK;
    void *scratch = mem_alloc(m->base->size);
    int32_t code = scratch ? safetensors_data(&copy, adapter->weights, m->base, scratch, err)
                           : error_no_memory(err);
    int32_t from = matrix_of(m->base).source;
    int32_t own = base->type == TYPE_F32   ? LORA_SOURCE_F32
                  : base->type == TYPE_F16 ? LORA_SOURCE_F16
                                           : LORA_SOURCE_BF16;
    size_t n = (size_t)base->ne[0] * (size_t)base->ne[1];
    for (size_t i = 0; code == INF_OK && i < n; i++) {
        if (!nearly_equal(value_at(copy, from, i), value_at(base->data, own, i))) {
            code = error_set(err, INF_ERROR_UNSUPPORTED,
                             "adapter tensor \"%.160s\" is an output layer that differs from the "
                             "model's: trained or resized output layers are not supported",
                             m->base->name);
        }
    }
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
                              const struct lora_architecture *arch, const struct gguf_model *model,
                              const char *prefix, inf_error *err)
{
    char module[NAME_SIZE];
    int32_t code = INF_OK;
    for (int32_t block = 0; block < model->n_layer; block++) {
        for (size_t i = 0; i < arch->n_layers && code == INF_OK; i++) {
            if (find_weight(model, block, &arch->layers[i])) {
                snprintf(module, sizeof module, "%s%s.%d.%s", prefix, arch->blocks, block,
                         arch->layers[i].module);
                code = check_promise(misfits, adapter, module, false, err);
            }
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
                            const struct peft_adapter *adapter,
                            const struct lora_architecture *arch, const struct gguf_model *model,
                            const char **prefix, inf_error *err)
{
    int32_t code = INF_OK;
    bool prefix_known = false;
    for (size_t i = 0; i < adapter->n_modules && code == INF_OK; i++) {
        const struct peft_module *m = &adapter->modules[i];
        struct place place;
        inf_error why;
        find_place(&place, arch, model, m->name);
        if (!plan_module(&out->modules[out->n], m, &place, arch, model, &why)) {
            misfit(misfits, &why);
            continue;
        }
        out->n++;
        if (place.layer && !prefix_known) {
            *prefix = prefixes[place.prefix];
            prefix_known = true;
        }
        code = m->base ? check_base_copy(adapter, m, &place, err) : INF_OK;
    }
    return code;
}

int32_t peft_to_lora(struct lora_plan *out, struct peft_adapter *adapter,
                     const struct gguf_model *model, inf_error *err)
{
    const struct lora_architecture *arch = NULL;
    struct misfits misfits = {.n = 0};
    const char *prefix = NULL;
    int32_t code = lora_architecture_find(&arch, model->architecture, err);
    if (code != INF_OK)
        return code;
    prefix = arch->prefix;
    out->format = INF_ADAPTER_PEFT;
    out->n_tensors = (int32_t)safetensors_count(adapter->weights);
    out->weights = adapter->weights;
    out->modules = mem_calloc(adapter->n_modules, sizeof *out->modules);
    if (!out->modules)
        return error_no_memory(err);
    code = plan_modules(out, &misfits, adapter, arch, model, &prefix, err);
    if (code == INF_OK && misfits.n == 0 && peft_config_has_targets(adapter->config))
        code = check_promises(&misfits, adapter, arch, model, prefix, err);
    if (code == INF_OK)
        code = finish_misfits(&misfits, err);
    return code == INF_OK ? lora_plan_sort(out, err) : code;
}
