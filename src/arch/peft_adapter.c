/*
 * peft_adapter: which weight of a GGUF model each module of a PEFT adapter changes.
 *
 * The names and the order of the rows are those of llama.cpp's converter: blocks are "blk.N.",
 * fused projections keep their order, Conv1D weights are stored transposed (so that B A is their
 * delta as it stands), and in the architectures whose rope turns neighbouring pairs the rows of q
 * and k are regrouped in each head.
 *
 * Norms and embeddings have the names that the family's checkpoints give them; experts and routers those
 * of transformers, whatever the family.
 *
 * Everything must fit: each tensor of the adapter has its weight, each shape is right, and each
 * module of the model that target_modules selects is in the adapter.
 */
#include "arch/adapter_base.h"
#include "arch/adapter_plan.h"
#include "arch/blueprint.h"
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
    const struct gguf_tensor *base;    /* NULL: the model has no such weight */
    const struct family_weight *layer; /* of a block; NULL: none */
    size_t prefix;                     /* index into prefixes */
    bool is_embedding;
    const struct family_weight *vector, *bias; /* of a norm, or NULL */
    int32_t block;
    int32_t expert; /* base is a stack, of which it is this one; -1: none */
};

/* Beside a family's layers, where the model has them. */
static const struct family_weight routers[] = {
    {WEIGHT("mlp.gate.weight", "ffn_gate_inp.weight", SIZE_EXPERTS, SIZE_EMBD)},
    {WEIGHT("block_sparse_moe.gate.weight", "ffn_gate_inp.weight", SIZE_EXPERTS, SIZE_EMBD)},
    {.module = NULL},
};

/* A name that is put together. snprintf would be a large part of what a load takes. */
struct name {
    char text[NAME_SIZE];
    size_t len;
};

/* Cut where the room ends. */
static void add_text(struct name *n, const char *text, size_t len)
{
    size_t room = sizeof n->text - 1 - n->len;

    len = len < room ? len : room;
    memcpy(n->text + n->len, text, len);
    n->len += len;
    n->text[n->len] = '\0';
}

static void add_string(struct name *n, const char *text)
{
    add_text(n, text, strlen(text));
}

/* ".<block>." */
static void add_block(struct name *n, int32_t block)
{
    char digits[12], *at = digits + sizeof digits;

    *--at = '.';
    do {
        *--at = (char)('0' + block % 10);
        block /= 10;
    } while (block > 0);
    *--at = '.';
    add_text(n, at, (size_t)(digits + sizeof digits - at));
}

static const struct gguf_tensor *find_tensor(const struct gguf_model *model, int32_t block,
                                             const char *tensor, const char *suffix)
{
    struct name name = {.len = 0};

    if (block < 0)
        return gguf_file_find(model->file, tensor);
    add_string(&name, "blk");
    add_block(&name, block);
    add_string(&name, tensor);
    add_string(&name, suffix);
    return gguf_file_find(model->file, name.text);
}

/* "<module><suffix>", a row's name in a checkpoint. */
static bool is_row(const struct family_weight *w, const char *module, const char *suffix)
{
    const char *name = w->module[0] == '^' ? w->module + 1 : w->module;
    size_t n = strlen(module);

    return strncmp(name, module, n) == 0 && strcmp(name + n, suffix) == 0;
}

/* Of "<stem>.weight". */
static int stem_length(const struct family_weight *w)
{
    return (int)(strlen(w->module) - strlen(".weight"));
}

static const struct family_weight *find_row(const struct family_weight *rows, const char *module,
                                            const char *suffix)
{
    for (const struct family_weight *w = rows; w->module; w++)
        if (is_row(w, module, suffix))
            return w;
    return NULL;
}

static const struct family_weight *find_layer(const struct family *family, const char *module)
{
    const struct family_weight *w = find_row(family->weights, module, ".weight");

    return w && family_is_layer(w) ? w : find_row(routers, module, ".weight");
}

/* A norm: one whose weight is a vector, of which nothing but the values is changed. */
static bool find_norm(struct place *out, const struct family_weight *rows, const char *module)
{
    const struct family_weight *w = find_row(rows, module, ".weight");

    if (!w || w->shape[1] != SIZE_END || (w->change && (w->change->row || w->change->column)))
        return false;
    out->vector = w;
    out->bias = find_row(rows, module, ".bias");
    return true;
}

/* The tensor that such a module looks up in, of tokens or of positions; NULL: it is none. */
static const char *looked_up(const struct family *family, const char *module)
{
    static const char *const tables[] = {"token_embd.weight", "position_embd.weight"};
    const struct family_weight *w = find_row(family->globals, module, ".weight");

    for (size_t i = 0; w && i < sizeof tables / sizeof tables[0]; i++)
        if (strcmp(w->tensor, tables[i]) == 0)
            return tables[i];
    return !w && strcmp(module, "embed_tokens") == 0 ? tables[0] : NULL;
}

static bool is_token_table(const struct gguf_tensor *t)
{
    return strcmp(t->name, "token_embd.weight") == 0;
}

/* "mlp.experts.<number>.gate_proj": how transformers 4 has experts, each a module of its own. */
static void find_expert(struct place *out, const struct gguf_model *model, const char *module)
{
    static const char *const lists[] = {"mlp.experts.", "block_sparse_moe.experts."};
    static const char *const stacks[][2] = {
        {"gate_proj", "ffn_gate_exps"}, {"up_proj", "ffn_up_exps"}, {"down_proj", "ffn_down_exps"},
        {"w1", "ffn_gate_exps"},        {"w3", "ffn_up_exps"},      {"w2", "ffn_down_exps"},
    };
    const char *name = NULL;
    int32_t expert = 0;

    for (size_t i = 0; i < 2 && !name; i++)
        if (strncmp(module, lists[i], strlen(lists[i])) == 0)
            name = family_in_block(module + strlen(lists[i]), &expert);
    for (size_t i = 0; name && i < sizeof stacks / sizeof stacks[0]; i++)
        if (strcmp(name, stacks[i][0]) == 0)
            out->base = find_tensor(model, out->block, stacks[i][1], ".weight");
    if (out->base)
        out->expert = expert;
}

/* What "<number>.<module>" is; the block alone where it may be experts. */
static void find_in_block(struct place *out, const struct family *family,
                          const struct gguf_model *model, const char *name)
{
    const char *module = family_in_block(name, &out->block);

    if (!module)
        return;
    out->layer = find_layer(family, module);
    if (!out->layer && !find_norm(out, family->weights, module))
        find_expert(out, model, module);
}

/* What a name without its prefix is; false: nothing. */
static bool find_by_name(struct place *out, const struct family *family,
                         const struct gguf_model *model, const char *name)
{
    size_t blocks = strlen(family->blocks);

    out->block = -1;
    if (strcmp(name, "lm_head") == 0) {
        out->base = output_weight(model);
    } else if (looked_up(family, name)) {
        out->base = gguf_file_find(model->file, looked_up(family, name));
        out->is_embedding = true;
    } else if (strncmp(name, family->blocks, blocks) == 0 && name[blocks] == '.') {
        find_in_block(out, family, model, name + blocks + 1);
    } else {
        find_norm(out, family->globals, name);
    }
    return out->base || out->layer || out->vector || out->block >= 0;
}

/* Where a module belongs; base stays NULL when nowhere. */
static void find_place(struct place *out, const struct family *family,
                       const struct gguf_model *model, const char *module)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        size_t n = strlen(prefixes[i]);

        *out = (struct place){.prefix = i, .block = -1, .expert = -1};
        if (strncmp(module, prefixes[i], n) == 0 && find_by_name(out, family, model, module + n))
            break;
    }
    if (out->layer || out->vector)
        out->base = find_tensor(model, out->block, (out->layer ? out->layer : out->vector)->tensor,
                                "");
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

static bool regroups(const struct weight_change *change)
{
    return change == &change_regroup_q || change == &change_regroup_k;
}

/* How many rows a head of q or k has; 0 where rows stay. */
static bool head_rows(const struct place *place, const struct gguf_model *model, int32_t *out,
                      inf_error *why)
{
    const struct weight_change *change = place->layer ? place->layer->change : NULL;
    int32_t heads = change == &change_regroup_q ? model->n_head : model->n_head_kv;
    int64_t rows = place->base->ne[1];

    *out = 0;
    if (!regroups(change))
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
    const struct weight_change *c = place->layer ? place->layer->change : NULL;
    bool of_inputs = c && c->column;
    int32_t n = of_inputs ? m->base.n_in : m->base.n_out;
    struct blueprint b = {.family = family};
    int32_t *order = NULL;

    if (!c || regroups(c) || (!c->row && !c->column) || (of_inputs && m->kind == LORA_VECTOR))
        return true;
    if (!family->sizes(&b, model) || b.size[place->layer->shape[of_inputs ? 1 : 0]] != n) {
        error_set(why, INF_ERROR_MISMATCH,
                  "%s of the model has no heads that its keys make sense of", m->base.name);
        return false;
    }
    order = mem_alloc((size_t)n * sizeof *order);
    if (!order) {
        error_no_memory(why);
        return false;
    }
    *(of_inputs ? &m->inputs : &m->outputs) = order;
    for (int32_t i = 0; i < n; i++)
        order[i] = (int32_t)(of_inputs ? c->column(&b, i) : c->row(&b, i));
    return true;
}

/* What the modules of a plan are made from. */
struct planning {
    struct lora_plan *plan;
    const struct peft_adapter *adapter;
    const struct family *family;
    const struct gguf_model *model;
};

static bool has_no_place(const struct planning *p, const char *tensor, inf_error *why)
{
    error_set(why, INF_ERROR_MISMATCH,
              "adapter tensor \"%.160s\" is for a module that the model (%s, %d layers) does "
              "not have",
              tensor, p->family->name, p->model->n_layer);
    return false;
}

static struct lora_matrix matrix_or_none(const struct safetensors_tensor *t)
{
    return t ? matrix_of(t) : (struct lora_matrix){.name = NULL};
}

/* LoRA of a matrix of so many inputs and outputs, and peft's copy of the matrix, where there is one. */
static bool check_pair(const struct peft_module *m, int64_t n_in, int64_t n_out,
                       const struct gguf_tensor *base, inf_error *why)
{
    return check_shape(m->a, m->rank, n_in, base, why) &&
           check_shape(m->b, n_out, m->rank, base, why) &&
           (!m->base || check_shape(m->base, base->ne[1], base->ne[0], base, why));
}

static bool check_count(const struct safetensors_tensor *t, const struct gguf_tensor *base,
                        int64_t n, inf_error *why)
{
    if (t->n_dims == 1 && t->shape[0] == n)
        return true;
    error_set(
        why, INF_ERROR_MISMATCH,
        "adapter tensor \"%.160s\" has %lld numbers in %d dimensions, but %s of the model has "
        "%lld",
        t->name, (long long)t->shape[0], t->n_dims, base->name, (long long)n);
    return false;
}

/* As an embedding looks to adapters: tokens are its inputs. */
static struct lora_base lookup_of(const struct gguf_model *model, const struct gguf_tensor *t)
{
    struct lora_base b = base_of(model, t);

    b.n_in = (int32_t)t->ne[1];
    b.n_out = (int32_t)t->ne[0];
    return b;
}

static struct lora_plan_module *next_module(const struct planning *p)
{
    struct lora_plan_module *m = &p->plan->modules[p->plan->n];

    *m = (struct lora_plan_module){.rank = 0};
    return m;
}

/* ---------------------------------------------------------------- each kind */

/* The module of the plan that a stack's experts go to. */
static struct lora_plan_module *stack_of(const struct planning *p, const struct gguf_tensor *base,
                                         const struct peft_module *m, inf_error *why)
{
    struct lora_plan_module *out = NULL;
    size_t n = (size_t)base->ne[2];

    for (size_t i = 0; i < p->plan->n; i++)
        if (p->plan->modules[i].experts_a && p->plan->modules[i].base.name == base->name)
            return &p->plan->modules[i];
    if (base->ne[3] != 1 || base->ne[2] > 4096 || base->ne[0] > INT32_MAX / 2 ||
        base->ne[1] > INT32_MAX / 2) {
        has_no_place(p, m->a->name, why);
        return NULL;
    }
    out = next_module(p);
    *out = (struct lora_plan_module){.base = base_of(p->model, base),
                                     .kind = LORA_EXPERTS,
                                     .a = matrix_of(m->a),
                                     .experts_a = mem_calloc(n, sizeof *out->experts_a),
                                     .experts_b = mem_calloc(n, sizeof *out->experts_b),
                                     .n_experts = (int32_t)n,
                                     .rank = m->rank,
                                     .scale = m->scale};
    p->plan->n++;
    if (out->experts_a && out->experts_b)
        return out;
    error_no_memory(why);
    return NULL;
}

static bool plan_expert(const struct planning *p, const struct peft_module *m,
                        const struct place *place, inf_error *why)
{
    const struct gguf_tensor *base = place->base;
    struct lora_plan_module *out = NULL;

    if (place->expert >= base->ne[2] || m->bias || m->magnitude || m->base)
        return has_no_place(p, (m->base ? m->base : m->a)->name, why);
    if (!check_pair(m, base->ne[0], base->ne[1], base, why))
        return false;
    out = stack_of(p, base, m, why);
    if (!out)
        return false;
    if (m->rank != out->rank || m->scale != out->scale) {
        error_set(
            why, INF_ERROR_UNSUPPORTED,
            "adapter tensor \"%.160s\" has another rank or scale than other experts of its block, "
            "as peft does not load",
            m->a->name);
        return false;
    }
    out->experts_a[place->expert] = matrix_of(m->a);
    out->experts_b[place->expert] = matrix_of(m->b);
    return true;
}

/* Another vector in the place of the model's. row: what the family says of it; NULL: nothing. */
static bool plan_vector(const struct planning *p, const struct safetensors_tensor *t,
                        const struct family_weight *row, const struct place *place, inf_error *why)
{
    const struct gguf_tensor *base = row ? find_tensor(p->model, place->block, row->tensor, "")
                                         : NULL;
    struct lora_plan_module *out = next_module(p);
    int32_t head_dim = 0;

    if (!base)
        return has_no_place(p, t->name, why);
    if (!check_count(t, base, base->ne[0], why) ||
        (place->layer && !head_rows(place, p->model, &head_dim, why)))
        return false;
    *out = (struct lora_plan_module){.base = base_of(p->model, base),
                                     .kind = LORA_VECTOR,
                                     .whole = matrix_of(t),
                                     .head_dim = head_dim,
                                     .change = row->change ? row->change->value : NULL};
    out->base.n_in = 1;
    out->base.n_out = (int32_t)base->ne[0];
    p->plan->n++;
    return own_order(out, p->family, place, p->model, why);
}

/* The base's own bias, trained too. */
static bool plan_bias(const struct planning *p, const struct peft_module *m,
                      const struct place *place, inf_error *why)
{
    char module[NAME_SIZE] = "";

    if (!m->whole_bias)
        return true;
    if (place->layer)
        snprintf(module, sizeof module, "%.*s", stem_length(place->layer), place->layer->module);
    return plan_vector(p, m->whole_bias, find_row(p->family->weights, module, ".bias"), place, why);
}

static bool plan_linear(const struct planning *p, const struct peft_module *m,
                        const struct place *place, inf_error *why)
{
    const struct gguf_tensor *base = place->base;
    struct lora_plan_module *out = next_module(p);
    int32_t head_dim = 0;

    if (place->expert >= 0)
        return plan_expert(p, m, place, why);
    if (!base || !is_matrix(base) || place->vector || place->is_embedding)
        return has_no_place(p, m->a->name, why);
    if (!check_pair(m, base->ne[0], base->ne[1], base, why) ||
        !head_rows(place, p->model, &head_dim, why))
        return false;
    *out = (struct lora_plan_module){.base = base_of(p->model, base),
                                     .a = matrix_of(m->a),
                                     .b = matrix_of(m->b),
                                     .bias = matrix_or_none(m->bias),
                                     .magnitude = matrix_or_none(m->magnitude),
                                     .rank = m->rank,
                                     .scale = m->scale,
                                     .head_dim = head_dim};
    p->plan->n++;
    return own_order(out, p->family, place, p->model, why) && plan_bias(p, m, place, why);
}

/* Whether the head has something of that kind in the file. */
static bool has_head(const struct peft_adapter *a, int32_t kind)
{
    static const char head[] = "lm_head";
    size_t n = sizeof head - 1;

    for (size_t i = 0; i < a->n_modules; i++) {
        size_t len = strlen(a->modules[i].name);

        if (a->modules[i].kind == kind && len >= n &&
            strcmp(a->modules[i].name + len - n, head) == 0)
            return true;
    }
    return false;
}

static bool plan_lookup(const struct planning *p, const struct peft_module *m,
                        const struct place *place, inf_error *why)
{
    const struct gguf_tensor *base = place->base;
    struct lora_plan_module *out = next_module(p);

    if (!base || !place->is_embedding)
        return has_no_place(p, m->a->name, why);
    if (peft_config_says(p->adapter->config)->ties && p->model->tied && is_token_table(base) &&
        !has_head(p->adapter, PEFT_LINEAR)) {
        error_set(
            why, INF_ERROR_MISMATCH,
            "adapter tensor \"%.160s\" is LoRA on embeddings that \"ensure_weight_tying\" keeps "
            "tied to the head, but there is none for lm_head beside it",
            m->a->name);
        return false;
    }
    if (!check_pair(m, base->ne[1], base->ne[0], base, why))
        return false;
    *out = (struct lora_plan_module){.base = lookup_of(p->model, base),
                                     .kind = LORA_LOOKUP,
                                     .a = matrix_of(m->a),
                                     .b = matrix_of(m->b),
                                     .magnitude = matrix_or_none(m->magnitude),
                                     .rank = m->rank,
                                     .scale = m->scale};
    p->plan->n++;
    return true;
}

/* The LoRA of one stack of the model, whose outputs are the rows of b from b_row on. */
static bool plan_stack(const struct planning *p, const struct peft_module *m,
                       const struct gguf_tensor *base, int64_t b_row, int64_t b_rows,
                       inf_error *why)
{
    struct lora_plan_module *out = next_module(p);
    int64_t rows = base->ne[2] * m->rank;

    if (base->ne[3] != 1 || base->ne[2] > INT32_MAX / m->rank || base->ne[0] > INT32_MAX / 2 ||
        base->ne[1] > INT32_MAX / 2)
        return has_no_place(p, m->a->name, why);
    if (!check_shape(m->a, rows, base->ne[0], base, why) ||
        !check_shape(m->b, b_rows, rows, base, why))
        return false;
    *out = (struct lora_plan_module){.base = base_of(p->model, base),
                                     .kind = LORA_EXPERTS,
                                     .a = matrix_of(m->a),
                                     .b = matrix_of(m->b),
                                     .b_row = b_row,
                                     .n_experts = (int32_t)base->ne[2],
                                     .rank = m->rank,
                                     .scale = m->scale};
    p->plan->n++;
    return true;
}

static bool plan_experts(const struct planning *p, const struct peft_module *m,
                         const struct place *place, inf_error *why)
{
    const struct gguf_tensor *gate = find_tensor(p->model, place->block, "ffn_gate_exps",
                                                 ".weight");
    const struct gguf_tensor *up = find_tensor(p->model, place->block, "ffn_up_exps", ".weight");
    const struct gguf_tensor *down = find_tensor(p->model, place->block, "ffn_down_exps",
                                                 ".weight");
    const char *end = strstr(m->name, ".mlp.experts");

    if (place->block < 0 || !end || strcmp(end, ".mlp.experts") != 0 || !gate || !up || !down ||
        m->base)
        return has_no_place(p, (m->base ? m->base : m->a)->name, why);
    if (strcmp(m->parameter, "down_proj") == 0)
        return plan_stack(p, m, down, 0, down->ne[1], why);
    return plan_stack(p, m, gate, 0, gate->ne[1] + up->ne[1], why) &&
           plan_stack(p, m, up, gate->ne[1], gate->ne[1] + up->ne[1], why);
}

/* A linear layer trained in full. */
static bool plan_whole_linear(const struct planning *p, const struct peft_module *m,
                              const struct place *place, inf_error *why)
{
    const struct weight_change *change = place->layer->change;
    const struct gguf_tensor *base = place->base;
    struct lora_plan_module *out = next_module(p);
    bool transposed = change && change->transposed;
    int32_t head_dim = 0;

    if (m->whole->n_dims != 2 || !is_matrix(base))
        return has_no_place(p, m->whole->name, why);
    if (!check_shape(m->whole, base->ne[transposed ? 0 : 1], base->ne[transposed ? 1 : 0], base,
                     why) ||
        !head_rows(place, p->model, &head_dim, why))
        return false;
    *out = (struct lora_plan_module){.base = base_of(p->model, base),
                                     .kind = LORA_WHOLE,
                                     .whole = matrix_of(m->whole),
                                     .transposed = transposed,
                                     .head_dim = head_dim};
    p->plan->n++;
    return own_order(out, p->family, place, p->model, why);
}

static bool plan_saved(const struct planning *p, const struct peft_module *m,
                       const struct place *place, inf_error *why)
{
    const struct safetensors_tensor *any = m->whole ? m->whole : m->whole_bias;
    struct lora_plan_module *out = next_module(p);

    if (place->vector)
        return (!m->whole || plan_vector(p, m->whole, place->vector, place, why)) &&
               (!m->whole_bias || plan_vector(p, m->whole_bias, place->bias, place, why));
    if (!place->base)
        return has_no_place(p, any->name, why);
    if (place->layer)
        return (!m->whole || plan_whole_linear(p, m, place, why)) && plan_bias(p, m, place, why);
    if (m->whole_bias || place->expert >= 0)
        return has_no_place(p, any->name, why);
    if (m->whole->n_dims != 2 ||
        !check_shape(m->whole, place->base->ne[1], place->base->ne[0], place->base, why))
        return m->whole->n_dims == 2 ? false : has_no_place(p, any->name, why);
    *out = (struct lora_plan_module){.base = place->is_embedding ? lookup_of(p->model, place->base)
                                                                 : base_of(p->model, place->base),
                                     .kind = place->is_embedding ? LORA_WHOLE_LOOKUP : LORA_WHOLE,
                                     .whole = matrix_of(m->whole)};
    p->plan->n++;
    return true;
}

static bool copy_ids(struct lora_plan_module *out, const struct peft_module *m,
                     const struct gguf_tensor *base, inf_error *why)
{
    size_t n = (size_t)m->rows->shape[0];

    out->rows = mem_alloc(n * sizeof *out->rows);
    if (!out->rows) {
        error_no_memory(why);
        return false;
    }
    out->n_rows = (int32_t)n;
    memcpy(out->rows, m->token_ids, n * sizeof *out->rows);
    for (size_t i = 0; i < n; i++) {
        if (m->token_ids[i] < base->ne[1])
            continue;
        error_set(
            why, INF_ERROR_MISMATCH,
            "adapter tensor \"%.160s\" is for a token %d, but %s of the model has %lld tokens",
            m->rows->name, m->token_ids[i], base->name, (long long)base->ne[1]);
        return false;
    }
    return true;
}

static bool plan_rows(const struct planning *p, const struct peft_module *m,
                      const struct gguf_tensor *base, int32_t kind, inf_error *why)
{
    struct lora_plan_module *out = next_module(p);

    if (!check_shape(m->rows, m->rows->shape[0], base->ne[0], base, why))
        return false;
    *out = (struct lora_plan_module){.base = kind == LORA_ROWS_LOOKUP ? lookup_of(p->model, base)
                                                                      : base_of(p->model, base),
                                     .kind = kind,
                                     .whole = matrix_of(m->rows)};
    p->plan->n++;
    return copy_ids(out, m, base, why);
}

/* Rows of embeddings that are the head's too are trained for both. */
static bool plan_tokens(const struct planning *p, const struct peft_module *m,
                        const struct place *place, inf_error *why)
{
    if (!place->base || place->layer || place->vector)
        return has_no_place(p, m->rows->name, why);
    if (!place->is_embedding)
        return plan_rows(p, m, place->base, LORA_ROWS, why);
    return plan_rows(p, m, place->base, LORA_ROWS_LOOKUP, why) &&
           (!p->model->tied || !is_token_table(place->base) || has_head(p->adapter, PEFT_TOKENS) ||
            plan_rows(p, m, place->base, LORA_ROWS, why));
}

/* Adds what a module is to the plan; false with *why. */
static bool plan_module(const struct planning *p, const struct peft_module *m,
                        const struct place *place, inf_error *why)
{
    switch (m->kind) {
    case PEFT_LINEAR:
        return plan_linear(p, m, place, why);
    case PEFT_EMBEDDING:
        return plan_lookup(p, m, place, why);
    case PEFT_EXPERTS:
        return plan_experts(p, m, place, why);
    case PEFT_SAVED:
        return plan_saved(p, m, place, why);
    default:
        return plan_tokens(p, m, place, why);
    }
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
 * float format the two must be the same; a quantised one cannot be compared here, which the plan says.
 */
static int32_t check_base_copy(struct lora_plan *plan, const struct peft_adapter *adapter,
                               const struct peft_module *m, const struct place *place,
                               const struct gguf_model *model, inf_error *err)
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
    if (!own.data) {
        plan->uncompared = m->base->name;
        return INF_OK;
    }
    scratch = mem_alloc(m->base->size);
    code = scratch ? safetensors_data(&copy, adapter->weights, m->base, scratch, err)
                   : error_no_memory(err);
    for (size_t i = 0; code == INF_OK && i < n; i++)
        if (!nearly_equal(number_at(copy, m->base->dtype, i), number_at(own.data, own.type, i)))
            code = error_set(
                err, INF_ERROR_UNSUPPORTED,
                "adapter tensor \"%.160s\" is a copy of a base weight that differs from "
                "the model's: resized or otherwise trained ones are not supported",
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
    int32_t code = INF_OK;

    if (has_module(adapter, module))
        return INF_OK;
    code = peft_config_selects(adapter->config, module, is_output, &selected, err);
    if (code == INF_OK && selected) {
        error_set(&why, INF_ERROR_MISMATCH,
                  "target_modules of adapter_config.json selects \"%.160s\" of the model, but "
                  "adapter_model.safetensors has nothing for it",
                  module);
        misfit(misfits, &why);
    }
    return code;
}

/* A layer of a block, if the model has it. */
static int32_t check_layer(struct misfits *misfits, const struct peft_adapter *adapter,
                           const struct name *in_block, const struct gguf_model *model,
                           int32_t block, const struct family_weight *w, inf_error *err)
{
    struct name module = *in_block;

    add_text(&module, w->module, (size_t)stem_length(w));
    if (has_module(adapter, module.text) || !find_tensor(model, block, w->tensor, ""))
        return INF_OK;
    return check_promise(misfits, adapter, module.text, false, err);
}

/* Every linear layer of the model, named with the prefix that the adapter uses. */
static int32_t check_promises(struct misfits *misfits, const struct peft_adapter *adapter,
                              const struct family *family, const struct gguf_model *model,
                              const char *prefix, inf_error *err)
{
    struct name before = {.len = 0}, module;
    int32_t code = INF_OK;

    add_string(&before, prefix);
    for (int32_t block = 0; block < model->n_layer; block++) {
        module = before;
        add_string(&module, family->blocks);
        add_block(&module, block);
        for (const struct family_weight *w = family->weights; w->module && code == INF_OK; w++)
            if (family_is_layer(w))
                code = check_layer(misfits, adapter, &module, model, block, w, err);
    }
    if (code == INF_OK)
        code = check_promise(misfits, adapter, "lm_head", true, err);
    add_string(&before, strcmp(family->blocks, "h") == 0 ? "wte" : "embed_tokens");
    return code == INF_OK ? check_promise(misfits, adapter, before.text, true, err) : code;
}

/* A part of the base that the file must have, in full: its weight, or, with `bias`, its bias. */
static void check_kept(struct misfits *misfits, const struct peft_adapter *adapter,
                       const char *module, bool bias)
{
    const struct peft_module *m = bsearch(module, adapter->modules, adapter->n_modules,
                                          sizeof *adapter->modules, by_name);
    inf_error why;

    if (m && (bias ? m->whole_bias : m->whole))
        return;
    error_set(&why, INF_ERROR_MISMATCH,
              "\"%s\" of adapter_config.json is for \"%.160s\" of the model, but "
              "adapter_model.safetensors has no %s for it",
              bias ? "bias" : "modules_to_save", module, bias ? "bias" : "weight");
    misfit(misfits, &why);
}

/* Whether the config says that a part, "<module>.weight" or "<module>.bias", is trained in full. */
static int32_t is_kept(const struct peft_adapter *adapter, const char *module, bool bias,
                       bool is_output, bool *kept, inf_error *err)
{
    struct peft_config *c = adapter->config;
    int32_t code = peft_config_saves(c, module, kept, err);

    if (code != INF_OK || *kept || !bias || !peft_config_says(c)->biases)
        return code;
    *kept = peft_config_says(c)->all_biases;
    return *kept ? INF_OK : peft_config_selects(c, module, is_output, kept, err);
}

/* What modules_to_save and "bias" say of the parts in a list of a family's. */
static int32_t check_kept_rows(struct misfits *misfits, const struct planning *p,
                               const struct family_weight *rows, const char *prefix, int32_t block,
                               inf_error *err)
{
    char module[NAME_SIZE];
    int32_t code = INF_OK;

    for (const struct family_weight *w = rows; w->module && code == INF_OK; w++) {
        const char *suffix = strrchr(w->module, '.');
        bool bias = suffix && strcmp(suffix, ".bias") == 0, kept = false;
        int n = suffix ? (int)(suffix - w->module) : 0;

        if ((!bias && (!suffix || strcmp(suffix, ".weight") != 0)) || strchr(w->module, '#') ||
            !find_tensor(p->model, block, w->tensor, ""))
            continue;
        if (block >= 0)
            snprintf(module, sizeof module, "%s%s.%d.%.*s", prefix, p->family->blocks, block, n,
                     w->module);
        else if (w->module[0] == '^')
            snprintf(module, sizeof module, "%s%.*s", prefix, n - 1, w->module + 1);
        else
            snprintf(module, sizeof module, "%.*s", n, w->module);
        code = is_kept(p->adapter, module, bias, false, &kept, err);
        if (code == INF_OK && kept)
            check_kept(misfits, p->adapter, module, bias);
    }
    return code;
}

static int32_t check_all_kept(struct misfits *misfits, const struct planning *p, const char *prefix,
                              inf_error *err)
{
    const struct family *f = p->family;
    int32_t code = INF_OK;

    if (!peft_config_says(p->adapter->config)->has_saved &&
        !peft_config_says(p->adapter->config)->biases)
        return INF_OK;
    code = check_kept_rows(misfits, p, f->globals, prefix, -1, err);
    for (int32_t block = 0; block < p->model->n_layer && code == INF_OK; block++)
        code = check_kept_rows(misfits, p, f->weights, prefix, block, err);
    return code;
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

/* The experts that lie apart in a block, of that part; NULL: none. */
static const struct lora_plan_module *stack_in(const struct planning *p, int32_t block,
                                               const char *part)
{
    const struct gguf_tensor *t = find_tensor(p->model, block, part, ".weight");

    for (size_t i = 0; t && i < p->plan->n; i++)
        if (p->plan->modules[i].experts_a && p->plan->modules[i].base.name == t->name)
            return &p->plan->modules[i];
    return NULL;
}

static bool is_whole_stack(const struct lora_plan_module *m)
{
    for (int32_t e = 0; m && e < m->n_experts; e++)
        if (!m->experts_a[e].name)
            return false;
    return true;
}

/*
 * What peft makes of modules of single experts when it loads them: gate and up become one parameter, so
 * that neither goes without the other; without down they are dropped, and with rslora they come out too
 * strong, both in silence. All experts of a block, or none.
 */
static int32_t check_experts(const struct planning *p, int32_t block, inf_error *err)
{
    const struct lora_plan_module *gate = stack_in(p, block, "ffn_gate_exps");
    const struct lora_plan_module *up = stack_in(p, block, "ffn_up_exps");
    const struct lora_plan_module *down = stack_in(p, block, "ffn_down_exps");
    const char *what = NULL;

    if (!is_whole_stack(gate) || !is_whole_stack(up) || !is_whole_stack(down))
        what = "has some of its experts only";
    else if (!gate != !up)
        what = "has one of gate and up without the other";
    else if (gate && !down)
        what = "has gate and up without down";
    else if (gate && (gate->rank != up->rank || gate->scale != up->scale))
        what = "has other ranks or scales for gate than for up";
    else if (gate && peft_config_says(p->adapter->config)->rslora)
        what = "has use_rslora";
    if (!what)
        return INF_OK;
    return error_set(
        err, INF_ERROR_UNSUPPORTED,
        "LoRA on modules of single experts: block %d %s, which peft does not load as it was "
        "trained",
        block, what);
}

/* A part of the whole model that this one has not, and that text never reaches: its checkpoint's tensors
 * are left out too. */
static bool is_ignored(const struct family *family, const struct place *place, const char *module)
{
    char name[NAME_SIZE * 2];

    snprintf(name, sizeof name, "%.200s.weight", module);
    return !place->base && !place->layer && place->block < 0 && family_ignores(family, name);
}

/* Places every module; the prefix of the first one in a block is the adapter's. */
static int32_t plan_modules(struct lora_plan *out, struct misfits *misfits,
                            const struct peft_adapter *adapter, const struct family *family,
                            const struct gguf_model *model, const char **prefix, inf_error *err)
{
    struct planning planning = {out, adapter, family, model};
    int32_t code = INF_OK;
    bool prefix_known = false;

    for (size_t i = 0; i < adapter->n_modules && code == INF_OK; i++) {
        const struct peft_module *m = &adapter->modules[i];
        struct place place;
        inf_error why;

        find_place(&place, family, model, m->name);
        if (is_ignored(family, &place, m->name))
            continue;
        if (!plan_module(&planning, m, &place, &why)) {
            misfit(misfits, &why);
            continue;
        }
        if (place.layer && !prefix_known) {
            *prefix = prefixes[place.prefix];
            prefix_known = true;
        }
        code = m->base ? check_base_copy(planning.plan, adapter, m, &place, model, err) : INF_OK;
    }
    for (int32_t block = 0; block < model->n_layer && code == INF_OK && misfits->n == 0; block++)
        code = check_experts(&planning, block, err);
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
    out->modules = mem_calloc(2 * adapter->n_modules, sizeof *out->modules); /* some are two */
    if (!out->modules)
        return error_no_memory(err);
    code = plan_modules(out, &misfits, adapter, family, model, &prefix, err);
    if (code == INF_OK && misfits.n == 0 && peft_config_says(adapter->config)->has_targets)
        code = check_promises(&misfits, adapter, family, model, prefix, err);
    if (code == INF_OK && misfits.n == 0)
        code = check_all_kept(&misfits, &(struct planning){out, adapter, family, model}, prefix,
                              err);
    if (code == INF_OK && misfits.n == 0 && out->n == 0)
        code = error_set(
            err, INF_ERROR_MISMATCH,
            "the adapter changes nothing of the text model, only parts that the base model "
            "here has not");
    if (code == INF_OK)
        code = finish_misfits(&misfits, err);
    return code == INF_OK ? lora_plan_sort(out, err) : code;
}
