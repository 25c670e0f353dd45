/*
 * weights: see the header. One block of memory; each matrix is read and put there while it is in the cache: as
 * it is, with a look for NaN and infinity in the same pass, or, behind a look for its largest magnitude,
 * converted. Where most of an adapter's file is in memory already and lies as the kernels read it, that memory
 * is a second block, and nothing of it is copied.
 */
#include "lora/weights.h"

#include "core/memory.h"
#include "lora/convert.h"
#include "lora/halves.h"
#include "lora/matrix.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64, ROW_MULTIPLE = 16 };

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

/* Where a module's parts lie. */
struct parts {
    size_t a, bt, bias, magnitude, sums, whole, rows;
};

static size_t stacked(const struct lora_plan_module *m)
{
    return (size_t)m->rank * (size_t)(m->n_experts ? m->n_experts : 1);
}

static bool reserve_matrices(size_t *total, const struct lora_plan_module *m, struct parts *p)
{
    size_t each = m->base.is_f32 ? sizeof(float) : sizeof(uint16_t);
    size_t n_a = 0, n_b = 0;

    return size_mul(stacked(m), (size_t)padded(m->base.n_in), &n_a) &&
           size_mul(stacked(m), (size_t)padded(m->base.n_out), &n_b) &&
           reserve(total, n_a, each, &p->a) && reserve(total, n_b, each, &p->bt);
}

static bool reserve_parts(size_t *total, const struct lora_plan_module *m, struct parts *p)
{
    size_t n_out = (size_t)m->base.n_out;
    bool vector = m->kind == LORA_VECTOR;

    *p = (struct parts){0};
    if (m->a.name && !m->stays && !reserve_matrices(total, m, p))
        return false;
    if (m->bias.name && !reserve(total, n_out, sizeof(float), &p->bias))
        return false;
    if (m->magnitude.name && (!reserve(total, n_out, sizeof(float), &p->magnitude) ||
                              !reserve(total, 3 * n_out, sizeof(float), &p->sums)))
        return false;
    return (!m->whole.name ||
            reserve(total, vector ? n_out * sizeof(float) : m->whole.size, 1, &p->whole)) &&
           (!m->rows || reserve(total, (size_t)m->n_rows, sizeof(int32_t), &p->rows));
}

static bool plan_layout(struct layout *out, const struct lora_plan *plan)
{
    size_t names = 0;
    struct parts ignored;

    out->total = sizeof(struct lora_weights);
    for (size_t i = 0; i < plan->n; i++)
        names += strlen(plan->modules[i].base.name) + 1;
    if (!reserve(&out->total, plan->n, sizeof(struct lora_module), &out->modules) ||
        !reserve(&out->total, names, 1, &out->names))
        return false;
    for (size_t i = 0; i < plan->n; i++)
        if (!reserve_parts(&out->total, &plan->modules[i], &ignored))
            return false;
    return true;
}

static void *at_or_null(char *block, size_t at)
{
    return at ? block + at : NULL;
}

static void set_module(struct lora_module *out, const struct lora_plan_module *m, char *block,
                       size_t *at, char **name)
{
    size_t len = strlen(m->base.name) + 1;
    struct parts p;

    reserve_parts(at, m, &p); /* cannot fail: plan_layout has done the same sums */
    memcpy(*name, m->base.name, len);
    *out = (struct lora_module){.tensor = *name,
                                .index = m->base.index,
                                .kind = m->kind,
                                .n_in = m->base.n_in,
                                .n_out = m->base.n_out,
                                .rank = m->rank,
                                .n_experts = m->n_experts,
                                .type = m->base.is_f32 ? NUMBER_F32 : NUMBER_F16,
                                .scale = m->scale,
                                .a = m->stays ? m->a.data : at_or_null(block, p.a),
                                .bt = m->stays ? m->b.data : at_or_null(block, p.bt),
                                .padded_in = padded(m->base.n_in),
                                .padded_out = padded(m->base.n_out),
                                .bias = at_or_null(block, p.bias),
                                .magnitude = at_or_null(block, p.magnitude),
                                .sums = at_or_null(block, p.sums),
                                .whole = at_or_null(block, p.whole),
                                .whole_type = m->kind == LORA_VECTOR ? NUMBER_F32 : m->whole.type,
                                .rows = at_or_null(block, p.rows),
                                .n_rows = m->n_rows};
    *name += len;
}

/* The block with everything in its place but the numbers. */
static struct lora_weights *make_block(const struct lora_plan *plan)
{
    struct layout layout = {0};
    struct block *own = plan_layout(&layout, plan) ? block_take(layout.total) : NULL;
    char *block = own ? own->data : NULL;
    struct lora_weights *w = (struct lora_weights *)(void *)block;
    struct lora_module *modules = NULL;
    char *name = NULL;
    size_t at = layout.names;

    if (!block)
        return NULL;
    modules = (struct lora_module *)(void *)(block + layout.modules);
    name = block + layout.names;
    *w = (struct lora_weights){.own = own,
                               .n_modules = plan->n,
                               .modules = modules,
                               .bytes = layout.total,
                               .format = plan->format,
                               .n_tensors = plan->n_tensors};
    for (size_t i = 0; i < plan->n; i++)
        at += strlen(plan->modules[i].base.name) + 1;
    for (size_t i = 0; i < plan->n; i++) {
        set_module(&modules[i], &plan->modules[i], block, &at, &name);
        w->max_rank = modules[i].rank > w->max_rank ? modules[i].rank : w->max_rank;
        if (lora_module_width(&modules[i]) > w->max_width)
            w->max_width = lora_module_width(&modules[i]);
    }
    return w;
}

/* ---------------------------------------------------------------- numbers */

/* Reads one matrix and finds its shift. */
static int32_t scan_matrix(const void **data, int32_t *shift, const struct lora_plan *plan,
                           const struct lora_matrix *m, int32_t type, void *scratch, inf_error *err)
{
    float largest = 0;
    int32_t code = lora_matrix_scan(data, &largest, plan, m, scratch, err);

    *shift = lora_find_shift(largest, type);
    return code;
}

/* From (n_out of all experts, rank·experts), rank by rank, to (experts·rank, n_out), expert by expert. */
static int32_t transpose_stack(struct lora_module *out, const struct lora_plan_module *m,
                               const void *data, float factor)
{
    size_t experts = (size_t)m->n_experts, rank = (size_t)m->rank;
    size_t padded_out = (size_t)out->padded_out;

    for (size_t row = 0; row < experts * rank; row++) {
        size_t column = row % rank * experts + row / rank;

        for (size_t o = 0; o < padded_out; o++) {
            float x = o < (size_t)out->n_out
                          ? factor * number_at(data, m->b.type,
                                               ((size_t)m->b_row + o) * experts * rank + column)
                          : 0;
            size_t at = row * padded_out + o;

            if (out->type == NUMBER_F32)
                ((float *)(uintptr_t)out->bt)[at] = x;
            else
                ((uint16_t *)(uintptr_t)out->bt)[at] = f16_of_f32(x);
        }
    }
    return INF_OK;
}

static int32_t convert_b(struct lora_module *out, const struct lora_plan *plan,
                         const struct lora_plan_module *m, int32_t *shift, void *scratch,
                         inf_error *err)
{
    const void *data = NULL;
    int32_t code = scan_matrix(&data, shift, plan, &m->b, out->type, scratch, err);

    if (code != INF_OK)
        return code;
    if (m->n_experts)
        return transpose_stack(out, m, data, ldexpf(1.0f, *shift));
    lora_convert_transposed((void *)(uintptr_t)out->bt, out->type, out->padded_out, data, m->b.type,
                            out->n_out, m->rank, m->head_dim, ldexpf(1.0f, *shift));
    return lora_reorder(out->bt, out->type, m->rank, out->padded_out, m->outputs, out->n_out, err);
}

static int32_t convert_pair(struct lora_module *out, const struct lora_plan *plan,
                            const struct lora_plan_module *m, void *scratch, inf_error *err)
{
    const void *data = NULL;
    int32_t shift_a = 0, shift_b = 0;
    int32_t rows = (int32_t)stacked(m);
    int32_t code = scan_matrix(&data, &shift_a, plan, &m->a, out->type, scratch, err);

    if (code != INF_OK)
        return code;
    lora_convert_rows((void *)(uintptr_t)out->a, out->type, out->padded_in, data, m->a.type, rows,
                      out->n_in, ldexpf(1.0f, shift_a));
    code = lora_reorder(out->a, out->type, rows, out->padded_in, m->inputs, out->n_in, err);
    if (code == INF_OK)
        code = convert_b(out, plan, m, &shift_b, scratch, err);
    return code == INF_OK ? lora_set_gain(out, shift_a + shift_b, m->a.name, err) : code;
}

/* The shift that all experts' matrices have in common. */
static int32_t scan_experts(int32_t *shift, const struct lora_plan *plan,
                            const struct lora_plan_module *m, const struct lora_matrix *all,
                            int32_t type, void *scratch, inf_error *err)
{
    const void *data = NULL;
    float largest = 0, one = 0;
    int32_t code = INF_OK;

    for (int32_t e = 0; e < m->n_experts && code == INF_OK; e++) {
        code = lora_matrix_scan(&data, &one, plan, &all[e], scratch, err);
        largest = one > largest ? one : largest;
    }
    *shift = lora_find_shift(largest, type);
    return code;
}

/* Matrices of experts that are apart, one behind another. */
static int32_t convert_experts(struct lora_module *out, const struct lora_plan *plan,
                               const struct lora_plan_module *m, void *scratch, inf_error *err)
{
    size_t row = (size_t)m->rank * number_size(out->type);
    char *a = (char *)(uintptr_t)out->a, *bt = (char *)(uintptr_t)out->bt;
    const void *data = NULL;
    float ignored = 0;
    int32_t shift_a = 0, shift_b = 0;
    int32_t code = scan_experts(&shift_a, plan, m, m->experts_a, out->type, scratch, err);

    if (code == INF_OK)
        code = scan_experts(&shift_b, plan, m, m->experts_b, out->type, scratch, err);
    for (int32_t e = 0; e < m->n_experts && code == INF_OK; e++) {
        code = lora_matrix_scan(&data, &ignored, plan, &m->experts_a[e], scratch, err);
        if (code != INF_OK)
            break;
        lora_convert_rows(a + (size_t)e * row * (size_t)out->padded_in, out->type, out->padded_in,
                          data, m->experts_a[e].type, m->rank, out->n_in, ldexpf(1.0f, shift_a));
        code = lora_matrix_scan(&data, &ignored, plan, &m->experts_b[e], scratch, err);
        if (code == INF_OK)
            lora_convert_transposed(bt + (size_t)e * row * (size_t)out->padded_out, out->type,
                                    out->padded_out, data, m->experts_b[e].type, out->n_out,
                                    m->rank, 0, ldexpf(1.0f, shift_b));
    }
    return code == INF_OK ? lora_set_gain(out, shift_a + shift_b, m->a.name, err) : code;
}

/* A vector of B's rows, in their order. */
static int32_t convert_vector(const float *out, const struct lora_plan *plan,
                              const struct lora_plan_module *m, const struct lora_matrix *from,
                              void *scratch, inf_error *err)
{
    const void *data = NULL;
    float largest = 0;
    float *to = (float *)(uintptr_t)out;
    int32_t code = INF_OK;

    if (!out)
        return INF_OK;
    code = lora_matrix_scan(&data, &largest, plan, from, scratch, err);
    for (int32_t i = 0; code == INF_OK && i < m->base.n_out; i++) {
        int32_t row = m->outputs ? m->outputs[i] : lora_source_row(i, m->head_dim);

        to[i] = number_at(data, from->type, (size_t)row);
        to[i] = m->change ? m->change(to[i]) : to[i];
    }
    return code;
}

/* A row of the model's matrix, and which of the file's it is. */
struct row_of {
    int32_t row, at;
};

static int by_row(const void *a, const void *b)
{
    const struct row_of *x = a, *y = b;

    return (x->row > y->row) - (x->row < y->row);
}

/* The rows in rising order, each once. */
static int32_t sort_rows(struct lora_module *out, const struct lora_plan_module *m,
                         const void *data, inf_error *err)
{
    size_t n = (size_t)m->n_rows, size = m->whole.size / n;
    struct row_of *rows = mem_alloc(n * sizeof *rows);
    int32_t code = rows ? INF_OK : error_no_memory(err);

    for (size_t i = 0; rows && i < n; i++)
        rows[i] = (struct row_of){m->rows[i], (int32_t)i};
    if (rows)
        qsort(rows, n, sizeof *rows, by_row);
    for (size_t i = 0; code == INF_OK && i < n; i++) {
        if (i > 0 && rows[i].row == rows[i - 1].row)
            code = error_set(err, INF_ERROR_BAD_FORMAT,
                             "adapter tensor \"%.160s\" has the row of token %d twice",
                             m->whole.name, rows[i].row);
        ((int32_t *)(uintptr_t)out->rows)[i] = rows[i].row;
        memcpy((char *)(uintptr_t)out->whole + i * size,
               (const char *)data + (size_t)rows[i].at * size, size);
    }
    mem_free(rows);
    return code;
}

/* Rows and columns where the model has them. */
static void rearrange(struct lora_module *out, const struct lora_plan_module *m, const void *data)
{
    size_t size = number_size(m->whole.type);
    size_t n_in = (size_t)m->base.n_in, n_out = (size_t)m->base.n_out;
    char *to = (char *)(uintptr_t)out->whole;

    for (size_t o = 0; o < n_out; o++) {
        size_t row = (size_t)(m->outputs ? m->outputs[o]
                                         : lora_source_row((int32_t)o, m->head_dim));

        for (size_t i = 0; i < n_in; i++, to += size) {
            size_t column = m->inputs ? (size_t)m->inputs[i] : i;
            size_t at = m->transposed ? column * n_out + row : row * n_in + column;

            memcpy(to, (const char *)data + at * size, size);
        }
    }
}

static int32_t convert_whole(struct lora_module *out, const struct lora_plan *plan,
                             const struct lora_plan_module *m, void *scratch, inf_error *err)
{
    const void *data = NULL;
    float largest = 0;
    int32_t code = lora_matrix_scan(&data, &largest, plan, &m->whole, scratch, err);

    if (code == INF_OK && m->rows)
        return sort_rows(out, m, data, err);
    if (code == INF_OK && (m->head_dim || m->outputs || m->inputs || m->transposed))
        rearrange(out, m, data);
    else if (code == INF_OK)
        memcpy((void *)(uintptr_t)out->whole, data, m->whole.size);
    return code;
}

static int32_t convert_module(struct lora_module *out, const struct lora_plan *plan,
                              const struct lora_plan_module *m, void *scratch, inf_error *err)
{
    int32_t code = INF_OK;
    bool kept = false;

    if (m->kind == LORA_VECTOR)
        return convert_vector(out->whole, plan, m, &m->whole, scratch, err);
    if (lora_replaces(m->kind))
        return convert_whole(out, plan, m, scratch, err);
    if (m->experts_a)
        return convert_experts(out, plan, m, scratch, err);
    if (m->stays)
        code = lora_place_halves(out, m, scratch, err);
    else if (lora_are_halves(m))
        code = lora_copy_halves(&kept, out, plan, m, scratch, err);
    if (code == INF_OK && !m->stays && !kept)
        code = convert_pair(out, plan, m, scratch, err);
    if (code == INF_OK)
        code = convert_vector(out->bias, plan, m, &m->bias, scratch, err);
    return code == INF_OK ? convert_vector(out->magnitude, plan, m, &m->magnitude, scratch, err)
                          : code;
}

static void grow(size_t *size, const struct lora_matrix *m, bool needed)
{
    *size = needed && m->size > *size ? m->size : *size;
}

/* The largest matrix that has to be read, or goes another way before it is put back. */
static size_t scratch_size(const struct lora_plan *plan)
{
    size_t size = 0;

    for (size_t i = 0; i < plan->n; i++) {
        const struct lora_plan_module *m = &plan->modules[i];
        const struct lora_matrix *all[] = {&m->a, &m->b, &m->bias, &m->magnitude, &m->whole};

        for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
            grow(&size, all[k], !all[k]->data || (m->stays && all[k] == &m->b));
        for (int32_t e = 0; m->experts_a && e < m->n_experts; e++) {
            grow(&size, &m->experts_a[e], !m->experts_a[e].data);
            grow(&size, &m->experts_b[e], !m->experts_b[e].data);
        }
    }
    return size;
}

/* Settles which matrices stay where they are: those that can, where they are most of the storage; the rest of
 * it lies idle. */
static void choose_stays(struct lora_plan *plan)
{
    size_t stay = 0;

    for (size_t i = 0; plan->storage && i < plan->n; i++) {
        struct lora_plan_module *m = &plan->modules[i];

        m->stays = lora_lie_well(plan, m);
        stay += m->stays ? m->a.size + m->b.size : 0;
    }
    if (plan->storage && stay >= plan->storage->size / 4 * 3)
        return;
    for (size_t i = 0; i < plan->n; i++)
        plan->modules[i].stays = false;
    plan->storage = NULL;
}

int32_t lora_weights_make(struct lora_weights **out, struct lora_plan *plan,
                          const inf_op *op_to_poll, inf_error *err)
{
    int32_t code = INF_OK;
    struct lora_weights *w = NULL;
    void *scratch = NULL;

    choose_stays(plan);
    w = make_block(plan);
    scratch = mem_alloc(scratch_size(plan));
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
    w->storage = plan->storage;
    w->bytes += w->storage ? w->storage->size : 0;
    *out = w;
    return INF_OK;
}

void lora_weights_free(struct lora_weights *w)
{
    if (!w)
        return;
    block_give(w->storage);
    block_give(w->own); /* w is in it */
}

const struct lora_module *lora_weights_scaled(const struct lora_weights *w)
{
    for (size_t i = 0; i < w->n_modules; i++)
        if (!lora_replaces(w->modules[i].kind))
            return &w->modules[i];
    return NULL;
}

static int by_module(const void *key, const void *element)
{
    return strcmp(key, ((const struct lora_module *)element)->tensor);
}

const struct lora_module *lora_weights_find(const struct lora_weights *w, const char *tensor)
{
    return bsearch(tensor, w->modules, w->n_modules, sizeof *w->modules, by_module);
}
