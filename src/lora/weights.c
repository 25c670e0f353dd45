/*
 * weights: see the header. One block of memory; each matrix is read, scanned for its largest
 * magnitude and for NaN and infinity in the same pass, and converted while it is in the cache.
 */
#include "lora/weights.h"

#include "core/memory.h"
#include "lora/convert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    ALIGNMENT = 64,
    ROW_MULTIPLE = 16,
    F16_EXPONENT = 14, /* magnitudes are brought below 2 to this */
    SHIFT_LIMIT = 126  /* 2 to this is a normal float, as its inverse */
};

/* ---------------------------------------------------------------- layout */

static int32_t padded(int32_t n)
{
    return (n + ROW_MULTIPLE - 1) / ROW_MULTIPLE * ROW_MULTIPLE;
}

/* Adds count elements of `each` bytes at the next aligned place of a growing total. */
static bool reserve(size_t *total, size_t count, size_t each, size_t *at)
{
    size_t bytes = 0, end = 0;

    if (!size_mul(count, each, &bytes) || !size_add(*total, ALIGNMENT - 1, &end))
        return false;
    *at = end / ALIGNMENT * ALIGNMENT;
    return size_add(*at, bytes, total);
}

/* Where everything lies in the block. */
struct layout {
    size_t modules, names, total;
};

static bool reserve_matrices(size_t *total, const struct lora_plan_module *m, size_t *a, size_t *bt)
{
    size_t each = m->base.is_f32 ? sizeof(float) : sizeof(uint16_t);
    size_t n_a = 0, n_b = 0;

    return size_mul((size_t)m->rank, (size_t)padded(m->base.n_in), &n_a) &&
           size_mul((size_t)m->rank, (size_t)padded(m->base.n_out), &n_b) &&
           reserve(total, n_a, each, a) && reserve(total, n_b, each, bt);
}

static bool plan_layout(struct layout *out, const struct lora_plan *plan)
{
    size_t names = 0, ignored = 0;

    out->total = sizeof(struct lora_weights);
    for (size_t i = 0; i < plan->n; i++)
        names += strlen(plan->modules[i].base.name) + 1;
    if (!reserve(&out->total, plan->n, sizeof(struct lora_module), &out->modules) ||
        !reserve(&out->total, names, 1, &out->names))
        return false;
    for (size_t i = 0; i < plan->n; i++)
        if (!reserve_matrices(&out->total, &plan->modules[i], &ignored, &ignored))
            return false;
    return true;
}

static void set_module(struct lora_module *out, const struct lora_plan_module *m, char *block,
                       size_t *at, char **name)
{
    size_t a = 0, bt = 0, len = strlen(m->base.name) + 1;

    reserve_matrices(at, m, &a, &bt); /* cannot fail: plan_layout has done the same sums */
    memcpy(*name, m->base.name, len);
    *out = (struct lora_module){.tensor = *name,
                                .index = m->base.index,
                                .n_in = m->base.n_in,
                                .n_out = m->base.n_out,
                                .rank = m->rank,
                                .type = m->base.is_f32 ? NUMBER_F32 : NUMBER_F16,
                                .scale = m->scale,
                                .a = block + a,
                                .bt = block + bt,
                                .padded_in = padded(m->base.n_in),
                                .padded_out = padded(m->base.n_out)};
    *name += len;
}

/* The block with everything in its place but the numbers. */
static struct lora_weights *make_block(const struct lora_plan *plan)
{
    struct layout layout = {0};
    char *block = plan_layout(&layout, plan) ? mem_aligned(ALIGNMENT, layout.total) : NULL;
    struct lora_weights *w = (struct lora_weights *)(void *)block;
    struct lora_module *modules = NULL;
    char *name = NULL;
    size_t at = layout.names;

    if (!block)
        return NULL;
    modules = (struct lora_module *)(void *)(block + layout.modules);
    name = block + layout.names;
    *w = (struct lora_weights){.n_modules = plan->n,
                               .modules = modules,
                               .bytes = layout.total,
                               .format = plan->format,
                               .n_tensors = plan->n_tensors};
    for (size_t i = 0; i < plan->n; i++)
        at += strlen(plan->modules[i].base.name) + 1;
    for (size_t i = 0; i < plan->n; i++) {
        set_module(&modules[i], &plan->modules[i], block, &at, &name);
        w->max_rank = modules[i].rank > w->max_rank ? modules[i].rank : w->max_rank;
    }
    return w;
}

/* ---------------------------------------------------------------- numbers */

/* The power of two that brings the largest magnitude to [2^13, 2^14); 0 where f32 keeps all. */
static int32_t find_shift(float largest, int32_t type)
{
    int exponent = 0;
    int32_t shift = 0;

    if (type == NUMBER_F32 || largest == 0)
        return 0;
    frexpf(largest, &exponent);
    shift = F16_EXPONENT - exponent;
    return shift > SHIFT_LIMIT ? SHIFT_LIMIT : shift < -SHIFT_LIMIT ? -SHIFT_LIMIT : shift;
}

/* Reads one matrix and finds its shift. */
static int32_t scan_matrix(const void **data, int32_t *shift, const struct lora_plan *plan,
                           const struct lora_matrix *m, size_t n, int32_t type, void *scratch,
                           inf_error *err)
{
    float largest = 0;
    int32_t code = m->data ? INF_OK : plan->read(data, plan->file, m->tensor, scratch, err);

    if (code != INF_OK)
        return code;
    if (m->data)
        *data = m->data;
    if (!numbers_largest(&largest, *data, m->type, n))
        return error_set(err, INF_ERROR_NOT_FINITE,
                         "adapter tensor \"%.160s\" holds a NaN or an infinity; train or save the "
                         "adapter again",
                         m->name);
    *shift = find_shift(largest, type);
    return INF_OK;
}

static int32_t set_gain(struct lora_module *m, int32_t shift, const char *name, inf_error *err)
{
    m->gain = (float)ldexp((double)m->scale, -shift);
    if (!isfinite(m->gain))
        return error_set(err, INF_ERROR_NOT_FINITE,
                         "adapter tensor \"%.160s\" and its partner are too large: their product "
                         "overflows",
                         name);
    return INF_OK;
}

/* Puts the first n numbers of each row in that order. */
static int32_t reorder(const void *rows, int32_t type, int32_t rank, int32_t padded,
                       const int32_t *order, int32_t n, inf_error *err)
{
    size_t size = number_size(type);
    char *row = (char *)(uintptr_t)rows;
    char *old = order ? mem_alloc((size_t)padded * size) : NULL;

    if (!order)
        return INF_OK;
    if (!old)
        return error_no_memory(err);
    for (int32_t r = 0; r < rank; r++, row += (size_t)padded * size) {
        memcpy(old, row, (size_t)padded * size);
        for (int32_t i = 0; i < n; i++)
            memcpy(row + (size_t)i * size, old + (size_t)order[i] * size, size);
    }
    mem_free(old);
    return INF_OK;
}

static int32_t convert_module(struct lora_module *out, const struct lora_plan *plan,
                              const struct lora_plan_module *m, void *scratch, inf_error *err)
{
    const void *data = NULL;
    int32_t shift_a = 0, shift_b = 0;
    size_t rank = (size_t)m->rank;
    int32_t code = scan_matrix(&data, &shift_a, plan, &m->a, rank * (size_t)out->n_in, out->type,
                               scratch, err);

    if (code != INF_OK)
        return code;
    lora_convert_rows((void *)(uintptr_t)out->a, out->type, out->padded_in, data, m->a.type,
                      m->rank, out->n_in, ldexpf(1.0f, shift_a));
    code = reorder(out->a, out->type, m->rank, out->padded_in, m->inputs, out->n_in, err);
    if (code != INF_OK)
        return code;
    code = scan_matrix(&data, &shift_b, plan, &m->b, rank * (size_t)out->n_out, out->type, scratch,
                       err);
    if (code != INF_OK)
        return code;
    lora_convert_transposed((void *)(uintptr_t)out->bt, out->type, out->padded_out, data, m->b.type,
                            out->n_out, m->rank, m->head_dim, ldexpf(1.0f, shift_b));
    code = reorder(out->bt, out->type, m->rank, out->padded_out, m->outputs, out->n_out, err);
    if (code != INF_OK)
        return code;
    return set_gain(out, shift_a + shift_b, m->a.name, err);
}

/* The largest matrix that has to be read. */
static size_t scratch_size(const struct lora_plan *plan)
{
    size_t size = 0;

    for (size_t i = 0; i < plan->n; i++) {
        const struct lora_plan_module *m = &plan->modules[i];

        size = !m->a.data && m->a.size > size ? m->a.size : size;
        size = !m->b.data && m->b.size > size ? m->b.size : size;
    }
    return size;
}

int32_t lora_weights_make(struct lora_weights **out, const struct lora_plan *plan,
                          const inf_op *op_to_poll, inf_error *err)
{
    int32_t code = INF_OK;
    struct lora_weights *w = make_block(plan);
    void *scratch = mem_alloc(scratch_size(plan));

    if (!w || !scratch)
        code = error_no_memory(err);
    for (size_t i = 0; i < plan->n && code == INF_OK; i++)
        code = op_to_poll && op_stop_code(op_to_poll) != INF_OK
                   ? op_stop_error(op_to_poll, err)
                   : convert_module(&w->modules[i], plan, &plan->modules[i], scratch, err);
    mem_free(scratch);
    if (code != INF_OK) {
        lora_weights_free(w);
        return code;
    }
    *out = w;
    return INF_OK;
}

void lora_weights_free(struct lora_weights *w)
{
    mem_free(w);
}

static int by_module(const void *key, const void *element)
{
    return strcmp(key, ((const struct lora_module *)element)->tensor);
}

const struct lora_module *lora_weights_find(const struct lora_weights *w, const char *tensor)
{
    return bsearch(tensor, w->modules, w->n_modules, sizeof *w->modules, by_module);
}
