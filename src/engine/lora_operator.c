/*
 * lora_operator: see the header. Which rows of a call have which adapters, and who computes a node.
 */
#include "engine/lora_operator.h"

#include "core/growing.h"
#include "engine/lora_nodes.h"

#include <string.h>

/* ------------------------------------------------------------------ any node */

/* See cpu_operators.h. */
static bool compute(void *owner, const struct cpu_thread *thread, struct ggml_tensor *t)
{
    struct lora_operator *o = owner;

    if (!o->any)
        return false;
    lora_experts_finish(o, thread, t);
    if (ggml_nrows(t) == 0)
        return false;
    switch (t->op) {
    case GGML_OP_MUL_MAT:
        return lora_matmul_compute(o, thread, t);
    case GGML_OP_MUL_MAT_ID:
        lora_experts_begin(o, thread, t);
        return false;
    case GGML_OP_GET_ROWS:
        return lora_lookup_compute(o, thread, t);
    case GGML_OP_MUL:
    case GGML_OP_ADD:
        return lora_vector_compute(o, thread, t);
    default:
        return false;
    }
}

/* A norm whose weight is another for some rows. */
static bool splits(void *owner, const struct ggml_tensor *product)
{
    struct lora_operator *o = owner;

    return o->any && o->kinds & 1u << LORA_VECTOR &&
           lora_touched(o, product->src[1], LORA_MULTIPLIED) >= 0;
}

/* ------------------------------------------------------------------ the call */

static bool reserve_scratch(struct lora_operator *o, size_t n)
{
    float *scratch = NULL;

    if (n <= o->scratch_size)
        return true;
    scratch = mem_alloc(n * sizeof *scratch);
    if (!scratch)
        return false;
    mem_free(o->scratch);
    o->scratch = scratch;
    o->scratch_size = n;
    return true;
}

/* The next `count` rows of the graph are this row's. Adapters with which the row before begins too go
 * on in its segments, so that what many requests have in common is computed for all at once; a row's
 * segments stay in the order of its adapters, in which their deltas are added. */
static bool add_run(struct segments *s, const struct engine_row *row, int32_t count)
{
    const struct adapter_set *set = row->adapters;
    int32_t n = adapter_set_size(set);
    int32_t common = adapter_set_common(s->last, set);

    if (count == 0)
        return true;
    if (n > 0 && (!GROW(s->list, s->capacity, (size_t)(s->n + n - common)) ||
                  !GROW(s->of_last, s->of_last_capacity, (size_t)n)))
        return false;
    for (int32_t i = 0; i < common; i++)
        s->list[s->of_last[i]].n += count;
    for (int32_t i = common; i < n; i++) {
        const struct scaled_adapter *a = &set->list[i];

        s->of_last[i] = s->n;
        s->list[s->n++] = (struct segment){s->n_rows, count, a->adapter->payload, a->scale, 0};
    }
    s->n_rows += count;
    s->last = set;
    return true;
}

/* Gives each segment its place in the scratch. Returns the floats that all take. */
static size_t lay_out(struct segments *s)
{
    size_t n = 0;

    for (int32_t i = 0; i < s->n; i++) {
        s->list[i].shrunk = n;
        n += (size_t)s->list[i].n * s->list[i].adapter->weights->max_width;
    }
    return n;
}

static void touch(struct lora_operator *o, const struct engine_adapter *a)
{
    for (size_t i = 0; i < a->weights->n_modules; i++) {
        const struct lora_module *m = &a->weights->modules[i];

        o->touched[m->index] |= (uint8_t)(1u << lora_use_of(m->kind));
        o->kinds |= 1u << m->kind;
    }
    o->any = true;
}

static void clear(struct segments *s)
{
    s->n = s->n_rows = 0;
    s->last = NULL;
}

int32_t lora_operator_begin(struct lora_operator *o, const struct engine_row *rows, int32_t n_rows,
                            int32_t n_tokens, inf_error *err)
{
    clear(&o->by_token);
    clear(&o->by_output);
    o->any = false;
    o->kinds = 0;
    atomic_store(&o->failed, false);
    for (int32_t i = 0; i < n_rows; i++)
        if (!add_run(&o->by_token, &rows[i], n_tokens) ||
            !add_run(&o->by_output, &rows[i], rows[i].n_logits))
            return error_no_memory(err);
    cpu_operators_split(NULL, NULL);
    if (!o->by_token.n) {
        cpu_operators_split(o->place, splits);
        return INF_OK;
    }
    lay_out(&o->by_output); /* never more than by_token takes */
    if (!reserve_scratch(o, lay_out(&o->by_token)))
        return error_no_memory(err);
    memset(o->touched, 0, o->n_tensors * sizeof *o->touched);
    for (int32_t i = 0; i < o->by_token.n; i++)
        touch(o, o->by_token.list[i].adapter);
    cpu_operators_split(o->place, splits);
    return INF_OK;
}

bool lora_operator_end(struct lora_operator *o)
{
    cpu_operators_split(NULL, NULL);
    o->any = false;
    for (int32_t i = 0; o->kinds & 1u << LORA_EXPERTS && i < MAX_THREADS; i++)
        if (o->stack[i]) { /* a graph that ends with it, or a decode that failed */
            o->stack[i] = NULL;
            fail(o);
        }
    return !atomic_load(&o->failed);
}

/* ------------------------------------------------------------------ life */

int32_t lora_operator_create(struct lora_operator **out, const struct gguf_file *base,
                             struct ggml_threadpool *pool, bool exact, inf_error *err)
{
    struct lora_operator *o = mem_calloc(1, sizeof *o);
    int32_t code = INF_OK;

    *out = NULL;
    if (!o)
        return error_no_memory(err);
    o->n_tensors = gguf_file_tensor_count(base);
    o->weights = weight_index_create(base);
    o->touched = mem_calloc(o->n_tensors + 1, sizeof *o->touched);
    if (!o->weights || !o->touched)
        code = error_no_memory(err);
    if (code == INF_OK)
        code = cpu_operators_open(&o->place, pool, exact, compute, o, err);
    if (code != INF_OK) {
        lora_operator_free(o);
        return code;
    }
    *out = o;
    return INF_OK;
}

void lora_operator_free(struct lora_operator *o)
{
    if (!o)
        return;
    cpu_operators_close(o->place);
    weight_index_free(o->weights);
    mem_free(o->by_token.list);
    mem_free(o->by_token.of_last);
    mem_free(o->by_output.list);
    mem_free(o->by_output.of_last);
    mem_free(o->touched);
    mem_free(o->scratch);
    mem_free(o);
}
