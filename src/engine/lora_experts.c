/*
 * lora_experts: the deltas of matmuls of stacked experts.
 *
 * ggml's own cannot be called, so that the delta comes when the next node is asked about: each thread
 * remembers the node. Nothing has been computed between the two, so that what it was computed from is still
 * there.
 */
#include "engine/lora_nodes.h"

/* One token's row under one of its experts. */
struct expert_row {
    const struct segment *segment;
    struct lora_module module; /* the expert's alone */
    struct lora_rows x, h, y;
};

/* An expert's part of a module. */
static struct lora_module expert_of(const struct lora_module *m, int32_t expert)
{
    size_t row = (size_t)expert * (size_t)m->rank;
    struct lora_module e = *m;

    e.a = (const char *)m->a + row * (size_t)m->padded_in * number_size(m->type);
    e.bt = (const char *)m->bt + row * (size_t)m->padded_out * number_size(m->type);
    e.n_experts = 0;
    return e;
}

/* Row `slot` of the token `at_token` of a segment; false: its expert's number makes no sense. */
static bool get_expert_row(struct expert_row *out, const struct lora_operator *o,
                           const struct ggml_tensor *t, const struct segment *s,
                           const struct lora_module *m, int32_t at_token, int64_t slot)
{
    const struct ggml_tensor *x = t->src[1];
    int64_t token = s->first + at_token;
    int32_t expert = *(const int32_t *)(const void *)((const char *)t->src[2]->data +
                                                      (size_t)slot * t->src[2]->nb[0] +
                                                      (size_t)token * t->src[2]->nb[1]);
    size_t width = lora_module_width(m);

    if (expert < 0 || expert >= m->n_experts)
        return false;
    out->segment = s;
    out->module = expert_of(m, expert);
    out->x = (struct lora_rows){tensor_at(x, slot % x->ne[1], token, 0), 0, 1};
    out->y = (struct lora_rows){tensor_at(t, slot, token, 0), 0, 1};
    out->h = (struct lora_rows){
        o->scratch + s->shrunk + (size_t)at_token * width + (size_t)expert * (size_t)m->rank, 0, 1};
    return true;
}

/* Each thread takes every so-many-th of the rows to shrink, and all of them for its columns. */
static void add_experts(const struct lora_operator *o, const struct ggml_tensor *t, int32_t tensor,
                        const struct segments *segments, const struct cpu_thread *thread,
                        bool expands)
{
    int64_t number = 0;

    for (int32_t i = 0; i < segments->n; i++) {
        const struct segment *s = &segments->list[i];
        const struct lora_module *m = engine_adapter_module(s->adapter, (size_t)tensor,
                                                            LORA_MULTIPLIED);
        struct expert_row row;
        int32_t first = m ? share(m->n_out, LORA_COLUMNS, thread->index, thread->n) : 0;
        int32_t end = m ? share(m->n_out, LORA_COLUMNS, thread->index + 1, thread->n) : 0;

        for (int32_t token = 0; m && token < s->n; token++) {
            for (int64_t slot = 0; slot < t->ne[1]; slot++, number++) {
                if ((!expands && number % thread->n != thread->index) ||
                    !get_expert_row(&row, o, t, s, m, token, slot))
                    continue;
                if (!expands)
                    lora_shrink(&row.module, s->scale, &row.x, 0, m->rank, &row.h);
                else if (first < end)
                    lora_expand(&row.module, &row.h, first, end - first, &row.y);
            }
        }
    }
}

static bool is_stack_known(const struct ggml_tensor *t)
{
    const struct ggml_tensor *x = t->src[1];

    return t->type == GGML_TYPE_F32 && x->type == GGML_TYPE_F32 && t->nb[0] == sizeof(float) &&
           x->nb[0] == sizeof(float) && t->ne[3] == 1 && x->ne[2] == t->ne[2] && x->ne[1] > 0 &&
           t->src[2]->type == GGML_TYPE_I32;
}

void lora_experts_begin(struct lora_operator *o, const struct cpu_thread *thread,
                        const struct ggml_tensor *t)
{
    if (o->kinds & 1u << LORA_EXPERTS && lora_touched(o, t->src[0], LORA_MULTIPLIED) >= 0)
        o->stack[thread->index] = t;
}

void lora_experts_finish(struct lora_operator *o, const struct cpu_thread *thread,
                         const struct ggml_tensor *next)
{
    const struct ggml_tensor *t = o->stack[thread->index];
    const struct segments *segments = NULL;
    int32_t tensor = -1;

    if (!t)
        return;
    segments = segments_of(o, t->ne[2]);
    tensor = weight_index_of(o->weights, t->src[0]);
    o->stack[thread->index] = NULL;
    if (!segments || !is_stack_known(t) ||
        (next->op != GGML_OP_MUL_MAT_ID && next->src[0] != t && next->src[1] != t)) {
        fail(o);
        return;
    }
    add_experts(o, t, tensor, segments, thread, false);
    cpu_operators_barrier(thread);
    add_experts(o, t, tensor, segments, thread, true);
    cpu_operators_barrier(thread);
}
