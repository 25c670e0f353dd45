/*
 * peft_adapter: what each module of a PEFT adapter changes of a GGUF model's weights.
 *
 * The names and the order of the rows are those of llama.cpp's converter: blocks are "blk.N.",
 * fused projections keep their order, Conv1D weights are stored transposed (so that B A is their
 * delta as it stands), and in the architectures whose rope turns neighbouring pairs the rows of q
 * and k are regrouped in each head.
 *
 * Everything must fit: each tensor of the adapter has its weight, each shape is right, and each
 * module of the model that target_modules selects is in the adapter.
 */
#include "arch/blueprint.h"
#include "arch/families.h"
#include "arch/peft_parts.h"
#include "core/ascii.h"
#include "core/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Why something does not fit, into *why; false. */
#define MISFIT(why, ...) (error_set(why, __VA_ARGS__), false)

/* ---------------------------------------------------------------- shapes and orders */

static bool check_shape(const struct safetensors_tensor *t, int64_t rows, int64_t cols,
                        const struct gguf_tensor *base, inf_error *why)
{
    if (t->shape[0] == rows && t->shape[1] == cols)
        return true;
    return MISFIT(
        why, INF_ERROR_MISMATCH,
        "adapter tensor \"%.160s\" has shape [%lld, %lld], but for %s of the model it must be "
        "[%lld, %lld]",
        t->name, (long long)t->shape[0], (long long)t->shape[1], base->name, (long long)rows,
        (long long)cols);
}

static struct lora_matrix matrix_of(const struct safetensors_tensor *t)
{
    return t ? (struct lora_matrix){.name = t->name, .type = t->dtype, .size = t->size, .tensor = t}
             : (struct lora_matrix){.name = NULL};
}

/* How many rows a head of q or k has, which are regrouped. */
static bool set_head_rows(struct lora_plan_module *m, const struct place *place,
                          const struct gguf_model *model, inf_error *why)
{
    bool of_queries = place->layer->change == &change_regroup_q;
    int32_t heads = of_queries ? model->n_head : model->n_head_kv;
    int64_t rows = place->base->ne[1];

    if (heads < 1 || rows % heads != 0 || rows / heads % 2 != 0)
        return MISFIT(why, INF_ERROR_MISMATCH,
                      "%s of the model has %lld rows, which its %d heads do not share evenly",
                      place->base->name, (long long)rows, heads);
    m->head_dim = (int32_t)(rows / heads);
    return true;
}

/* The order of rows or columns that a family's model has for its own. */
static bool set_order(struct lora_plan_module *m, const struct planning *p,
                      const struct place *place, inf_error *why)
{
    const struct weight_change *c = place->layer ? place->layer->change : NULL;
    bool of_inputs = c && c->column;
    int32_t n = of_inputs ? m->base.n_in : m->base.n_out;
    struct blueprint b = {.family = p->family};
    int32_t *order = NULL;

    if (c == &change_regroup_q || c == &change_regroup_k)
        return set_head_rows(m, place, p->model, why);
    if (!c || (!c->row && !c->column) || (of_inputs && m->kind == LORA_VECTOR))
        return true;
    if (!p->family->sizes(&b, p->model) || b.size[place->layer->shape[of_inputs ? 1 : 0]] != n)
        return MISFIT(why, INF_ERROR_MISMATCH,
                      "%s of the model has no heads that its keys make sense of", m->base.name);
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

static bool has_no_place(const struct planning *p, const char *tensor, inf_error *why)
{
    return MISFIT(why, INF_ERROR_MISMATCH,
                  "adapter tensor \"%.160s\" is for a module that the model (%s, %d layers) does "
                  "not have",
                  tensor, p->family->name, p->model->n_layer);
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
    return MISFIT(
        why, INF_ERROR_MISMATCH,
        "adapter tensor \"%.160s\" has %lld numbers in %d dimensions, but %s of the model has "
        "%lld",
        t->name, (long long)t->shape[0], t->n_dims, base->name, (long long)n);
}

/* A weight as matmuls use it, or as an embedding looks to adapters: tokens are its inputs. */
static struct lora_base used_as(const struct planning *p, const struct gguf_tensor *t,
                                bool looked_up)
{
    struct lora_base b = base_of(p->model, t);

    if (looked_up) {
        b.n_in = (int32_t)t->ne[1];
        b.n_out = (int32_t)t->ne[0];
    }
    return b;
}

static struct lora_plan_module *add_module(const struct planning *p, struct lora_plan_module m)
{
    struct lora_plan_module *added = &p->plan->modules[p->plan->n++];

    *added = m;
    return added;
}

/* A and B, and what goes with them. */
static struct lora_plan_module *add_pair(const struct planning *p, const struct peft_module *m,
                                         const struct gguf_tensor *base, int32_t kind)
{
    return add_module(p, (struct lora_plan_module){.base = used_as(p, base, kind == LORA_LOOKUP),
                                                   .kind = kind,
                                                   .a = matrix_of(m->a),
                                                   .b = matrix_of(m->b),
                                                   .bias = matrix_of(m->bias),
                                                   .magnitude = matrix_of(m->magnitude),
                                                   .rank = m->rank,
                                                   .scale = m->scale});
}

/* What stands in the place of a weight. */
static struct lora_plan_module *add_whole(const struct planning *p,
                                          const struct safetensors_tensor *t,
                                          const struct gguf_tensor *base, int32_t kind)
{
    bool looked_up = kind == LORA_WHOLE_LOOKUP || kind == LORA_ROWS_LOOKUP;

    return add_module(p, (struct lora_plan_module){.base = used_as(p, base, looked_up),
                                                   .kind = kind,
                                                   .whole = matrix_of(t)});
}

/* Whether a weight has a matrix for each of so many experts at most. */
static bool is_stack(const struct gguf_tensor *t, int64_t most)
{
    return t->ne[3] == 1 && t->ne[2] <= most && t->ne[0] <= INT32_MAX / 2 &&
           t->ne[1] <= INT32_MAX / 2;
}

/* ---------------------------------------------------------------- each kind */

/* The module of the plan that a stack's experts go to. */
static struct lora_plan_module *stack_of(const struct planning *p, const struct gguf_tensor *base,
                                         const struct peft_module *m, inf_error *why)
{
    struct lora_plan_module *out = find_stack(p->plan, base);
    size_t n = (size_t)base->ne[2];

    if (out)
        return out;
    if (!is_stack(base, 4096)) {
        has_no_place(p, m->a->name, why);
        return NULL;
    }
    out = add_pair(p, m, base, LORA_EXPERTS);
    out->b = matrix_of(NULL);
    out->experts_a = mem_calloc(n, sizeof *out->experts_a);
    out->experts_b = mem_calloc(n, sizeof *out->experts_b);
    out->n_experts = (int32_t)n;
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
    if (m->rank != out->rank || m->scale != out->scale)
        return MISFIT(
            why, INF_ERROR_UNSUPPORTED,
            "adapter tensor \"%.160s\" has another rank or scale than other experts of its block, "
            "as peft does not load",
            m->a->name);
    out->experts_a[place->expert] = matrix_of(m->a);
    out->experts_b[place->expert] = matrix_of(m->b);
    return true;
}

/* Another vector in the place of the model's. row: what the family says of it; NULL: nothing. */
static bool plan_vector(const struct planning *p, const struct safetensors_tensor *t,
                        const struct family_weight *row, const struct place *place, inf_error *why)
{
    const struct gguf_tensor *base = row ? find_tensor(p->model, place->block, row->tensor) : NULL;
    struct lora_plan_module *out = NULL;

    if (!base)
        return has_no_place(p, t->name, why);
    if (!check_count(t, base, base->ne[0], why))
        return false;
    out = add_whole(p, t, base, LORA_VECTOR);
    out->change = row->change ? row->change->value : NULL;
    out->base.n_in = 1;
    out->base.n_out = (int32_t)base->ne[0];
    return set_order(out, p, place, why);
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

    if (place->expert >= 0)
        return plan_expert(p, m, place, why);
    if (!base || !is_matrix(base) || place->vector || place->is_embedding)
        return has_no_place(p, m->a->name, why);
    if (!check_pair(m, base->ne[0], base->ne[1], base, why))
        return false;
    return set_order(add_pair(p, m, base, LORA_DELTA), p, place, why) &&
           plan_bias(p, m, place, why);
}

/* Whether the head has something of that kind in the file. */
static bool has_head(const struct peft_adapter *a, int32_t kind)
{
    for (size_t i = 0; i < a->n_modules; i++) {
        const struct peft_module *m = &a->modules[i];

        if (m->kind == kind && text_ends(m->name, strlen(m->name), "lm_head"))
            return true;
    }
    return false;
}

static bool plan_lookup(const struct planning *p, const struct peft_module *m,
                        const struct place *place, inf_error *why)
{
    const struct gguf_tensor *base = place->base;

    if (!base || !place->is_embedding)
        return has_no_place(p, m->a->name, why);
    if (peft_config_says(p->adapter->config)->ties && p->model->tied && is_token_table(base) &&
        !has_head(p->adapter, PEFT_LINEAR))
        return MISFIT(
            why, INF_ERROR_MISMATCH,
            "adapter tensor \"%.160s\" is LoRA on embeddings that \"ensure_weight_tying\" keeps "
            "tied to the head, but there is none for lm_head beside it",
            m->a->name);
    if (!check_pair(m, base->ne[1], base->ne[0], base, why))
        return false;
    add_pair(p, m, base, LORA_LOOKUP);
    return true;
}

/* The LoRA of one stack of the model, whose outputs are the rows of b from b_row on. */
static bool plan_stack(const struct planning *p, const struct peft_module *m,
                       const struct gguf_tensor *base, int64_t b_row, int64_t b_rows,
                       inf_error *why)
{
    int64_t rows = base->ne[2] * m->rank;
    struct lora_plan_module *out = NULL;

    if (!is_stack(base, INT32_MAX / m->rank))
        return has_no_place(p, m->a->name, why);
    if (!check_shape(m->a, rows, base->ne[0], base, why) ||
        !check_shape(m->b, b_rows, rows, base, why))
        return false;
    out = add_pair(p, m, base, LORA_EXPERTS);
    out->b_row = b_row;
    out->n_experts = (int32_t)base->ne[2];
    return true;
}

static bool plan_experts(const struct planning *p, const struct peft_module *m,
                         const struct place *place, inf_error *why)
{
    const struct gguf_tensor *gate = find_tensor(p->model, place->block, STACK_GATE);
    const struct gguf_tensor *up = find_tensor(p->model, place->block, STACK_UP);
    const struct gguf_tensor *down = find_tensor(p->model, place->block, STACK_DOWN);
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
    bool transposed = change && change->transposed;
    struct lora_plan_module *out = NULL;

    if (m->whole->n_dims != 2 || !is_matrix(base))
        return has_no_place(p, m->whole->name, why);
    if (!check_shape(m->whole, base->ne[transposed ? 0 : 1], base->ne[transposed ? 1 : 0], base,
                     why))
        return false;
    out = add_whole(p, m->whole, base, LORA_WHOLE);
    out->transposed = transposed;
    return set_order(out, p, place, why);
}

static bool plan_saved(const struct planning *p, const struct peft_module *m,
                       const struct place *place, inf_error *why)
{
    const struct safetensors_tensor *any = m->whole ? m->whole : m->whole_bias;
    const struct gguf_tensor *base = place->base;

    if (place->vector)
        return (!m->whole || plan_vector(p, m->whole, place->vector, place, why)) &&
               (!m->whole_bias || plan_vector(p, m->whole_bias, place->bias, place, why));
    if (!any || !base)
        return has_no_place(p, any ? any->name : m->name, why);
    if (place->layer)
        return (!m->whole || plan_whole_linear(p, m, place, why)) && plan_bias(p, m, place, why);
    if (!m->whole || m->whole_bias || place->expert >= 0 || m->whole->n_dims != 2)
        return has_no_place(p, any->name, why);
    if (!check_shape(m->whole, base->ne[1], base->ne[0], base, why))
        return false;
    add_whole(p, m->whole, base, place->is_embedding ? LORA_WHOLE_LOOKUP : LORA_WHOLE);
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
    for (size_t i = 0; i < n; i++)
        if (m->token_ids[i] >= base->ne[1])
            return MISFIT(
                why, INF_ERROR_MISMATCH,
                "adapter tensor \"%.160s\" is for a token %d, but %s of the model has %lld tokens",
                m->rows->name, m->token_ids[i], base->name, (long long)base->ne[1]);
    return true;
}

static bool plan_rows(const struct planning *p, const struct peft_module *m,
                      const struct gguf_tensor *base, int32_t kind, inf_error *why)
{
    return check_shape(m->rows, m->rows->shape[0], base->ne[0], base, why) &&
           copy_ids(add_whole(p, m->rows, base, kind), m, base, why);
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

static float rounded(float x, int32_t type)
{
    return type == NUMBER_F16    ? f32_of_f16(f16_of_f32(x))
           : type == NUMBER_BF16 ? f32_of_bits((uint32_t)bf16_of_f32(x) << 16)
                                 : x;
}

/* Whether a number of a copy is the model's, in a type of numbers; with a quantised model's, type -1: but for
 * the rounding of a 16-bit format on either side. */
static bool is_same(float copy, float own, int32_t type)
{
    float larger = fabsf(copy) > fabsf(own) ? fabsf(copy) : fabsf(own);
    float x = rounded(copy, type), y = rounded(own, type);

    return type < 0 ? fabsf(copy - own) <= larger * 0x1p-7f + 1e-6f : x <= y && x >= y;
}

static bool is_copy(const void *copy, int32_t dtype, struct gguf_numbers own, size_t n,
                    int32_t type)
{
    if (dtype == own.type && memcmp(copy, own.data, n * number_size(dtype)) == 0)
        return true; /* as most are, and soon seen */
    for (size_t i = 0; i < n; i++)
        if (!is_same(number_at(copy, dtype, i), number_at(own.data, own.type, i), type))
            return false;
    return true;
}

/*
 * peft stores the weight of a targeted output layer beside its LoRA, and computes with it. Where the model's own
 * can be looked at the two must be the same in the type that the model computes with; what is quantised in its
 * file cannot be compared here, which the plan says.
 */
static int32_t check_base_copy(const struct planning *p, const struct peft_module *m,
                               const struct place *place, inf_error *err)
{
    const struct gguf_tensor *base = place->base;
    struct gguf_numbers own = numbers_of(p->model, base);
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
        p->plan->uncompared = m->base->name;
        return INF_OK;
    }
    scratch = mem_alloc(m->base->size);
    code = scratch ? safetensors_data(&copy, p->adapter->weights, m->base, scratch, err)
                   : error_no_memory(err);
    if (code == INF_OK && !is_copy(copy, m->base->dtype, own, n, number_type_of(base)))
        code = error_set(err, INF_ERROR_UNSUPPORTED,
                         "adapter tensor \"%.160s\" is a copy of a base weight that differs from "
                         "the model's: resized or otherwise trained ones are not supported",
                         m->base->name);
    mem_free(scratch);
    return code;
}

/* ---------------------------------------------------------------- the whole */

static int32_t finish_misfits(const struct planning *p, inf_error *err)
{
    if (p->n_misfits == 0)
        return INF_OK;
    if (p->n_misfits == 1)
        return error_set(err, p->misfit.code, "%s; is it for another base model?",
                         p->misfit.message);
    return error_set(err, p->misfit.code,
                     "%s (and %zu more do not fit); is it for another base model?",
                     p->misfit.message, p->n_misfits - 1);
}

/* A part of the whole model that this one has not, and that text never reaches: its checkpoint's tensors
 * are left out too. */
static bool is_ignored(const struct family *family, const struct place *place, const char *module)
{
    char name[NAME_SIZE * 2];

    snprintf(name, sizeof name, "%.200s.weight", module);
    return !place->base && !place->layer && place->block < 0 && family_ignores(family, name);
}

/* What belongs to the model inside has its prefix; the head stands outside. */
static bool tells_prefix(const struct place *place)
{
    return place->is_embedding || place->vector || place->block >= 0;
}

/* Places every module; the prefix of the first one that has any is the adapter's. */
static int32_t plan_modules(struct planning *p, inf_error *err)
{
    int32_t code = INF_OK;

    for (size_t i = 0; i < p->adapter->n_modules && code == INF_OK; i++) {
        const struct peft_module *m = &p->adapter->modules[i];
        struct place place;
        inf_error why;

        find_place(&place, p, m->name);
        if (is_ignored(p->family, &place, m->name))
            continue;
        if (!plan_module(p, m, &place, &why)) {
            note_misfit(p, &why);
            continue;
        }
        if (!p->prefix && tells_prefix(&place))
            p->prefix = place.prefix;
        code = m->base ? check_base_copy(p, m, &place, err) : INF_OK;
    }
    return code == INF_OK && p->n_misfits == 0 ? check_experts(p, err) : code;
}

static int32_t read_tensor(const void **data, const void *file, const void *tensor, void *scratch,
                           inf_error *err)
{
    return safetensors_data(data, file, tensor, scratch, err);
}

int32_t plan_peft_adapter(struct lora_plan *out, struct peft_adapter *adapter,
                          const struct gguf_model *model, inf_error *err)
{
    struct planning p = {.plan = out, .adapter = adapter, .model = model};
    int32_t code = family_find(&p.family, model->architecture, err);

    if (code != INF_OK)
        return code;
    out->format = INF_ADAPTER_PEFT;
    out->n_tensors = (int32_t)safetensors_count(adapter->weights);
    out->file = adapter->weights;
    out->read = read_tensor;
    out->modules = mem_calloc(2 * adapter->n_modules, sizeof *out->modules); /* some are two */
    if (!out->modules)
        return error_no_memory(err);
    code = plan_modules(&p, err);
    if (code == INF_OK && p.n_misfits == 0)
        code = check_promises(&p, err);
    if (code == INF_OK && p.n_misfits == 0 && out->n == 0)
        code = error_set(
            err, INF_ERROR_MISMATCH,
            "the adapter changes nothing of the text model, only parts that the base model "
            "here has not");
    if (code == INF_OK)
        code = finish_misfits(&p, err);
    return code == INF_OK ? lora_plan_sort(out, err) : code;
}
