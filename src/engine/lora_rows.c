/*
 * lora_rows: norms, biases and embeddings: vectors that rows have in the model's place, and rows that are looked
 * up.
 */
#include "engine/lora_nodes.h"

#include "lora/replace.h"

/* The vector that row `row` of a graph's rows has instead of the model's; NULL: the model's. */
static const float *vector_of(const struct segments *segments, int32_t tensor, int64_t row)
{
    const float *found = NULL;

    for (int32_t i = 0; i < segments->n; i++) {
        const struct segment *s = &segments->list[i];
        const struct lora_module *m = NULL;

        if (row < s->first || row >= s->first + s->n)
            continue;
        m = engine_adapter_module(s->adapter, (size_t)tensor, LORA_MULTIPLIED);
        if (m && m->kind == LORA_VECTOR)
            found = m->whole;
    }
    return found;
}

static bool is_vector(const struct ggml_tensor *w, const struct ggml_tensor *t)
{
    return w->type == GGML_TYPE_F32 && w->nb[0] == sizeof(float) && w->ne[0] == t->ne[0] &&
           w->ne[1] == 1 && w->ne[2] == 1 && w->ne[3] == 1;
}

/* y = x · w or x + w. y may be x. */
static void combine(float *y, const float *x, const float *w, int64_t n, bool product)
{
    if (product)
        for (int64_t i = 0; i < n; i++)
            y[i] = x[i] * w[i];
    else
        for (int64_t i = 0; i < n; i++)
            y[i] = x[i] + w[i];
}

static bool is_elementwise_known(const struct ggml_tensor *t)
{
    const struct ggml_tensor *x = t->src[0];
    bool same = t->type == GGML_TYPE_F32 && x->type == GGML_TYPE_F32 && t->nb[0] == sizeof(float) &&
                x->nb[0] == sizeof(float);

    for (int d = 0; d < 4; d++)
        same = same && t->ne[d] == x->ne[d];
    return same && is_vector(t->src[1], t);
}

/* Several rows of a graph may be one token's: those of its heads. */
bool lora_vector_compute(struct lora_operator *o, const struct cpu_thread *thread,
                         struct ggml_tensor *t)
{
    int32_t tensor = o->kinds & 1u << LORA_VECTOR ? lora_touched(o, t->src[1], LORA_MULTIPLIED)
                                                  : -1;
    const struct segments *segments = NULL;
    int64_t rows = ggml_nrows(t);
    int64_t each = 1;

    if (tensor < 0)
        return false;
    segments = segments_of(o, rows);
    if (!segments && rows % o->by_token.n_rows == 0) {
        segments = &o->by_token;
        each = rows / o->by_token.n_rows;
    }
    if (!segments || !is_elementwise_known(t))
        return fail(o);
    for (int64_t row = thread->index; row < rows; row += thread->n) {
        const float *w = vector_of(segments, tensor, row / each);

        combine(tensor_row(t, row), tensor_row(t->src[0], row), w ? w : t->src[1]->data, t->ne[0],
                t->op == GGML_OP_MUL);
    }
    return true;
}

bool lora_lookup_compute(struct lora_operator *o, const struct cpu_thread *thread,
                         struct ggml_tensor *t)
{
    int32_t tensor = lora_touched(o, t->src[0], LORA_LOOKED_UP);
    struct lora_rows y = {0};

    if (tensor < 0)
        return false;
    if (!is_rows(t) || ggml_nrows(t) != o->by_token.n_rows || t->src[1]->type != GGML_TYPE_I32)
        return fail(o);
    y = rows_in(t);
    cpu_operators_get_rows(thread, t);
    cpu_operators_barrier(thread);
    for (int32_t i = 0; i < o->by_token.n; i++) {
        const struct segment *s = &o->by_token.list[i];
        const struct lora_module *m = engine_adapter_module(s->adapter, (size_t)tensor,
                                                            LORA_LOOKED_UP);

        for (int32_t row = s->first; m && row < s->first + s->n; row++)
            if (row % thread->n == thread->index)
                lora_look_up(m, s->scale, ((const int32_t *)t->src[1]->data)[row],
                             lora_row(&y, row));
    }
    return true;
}
