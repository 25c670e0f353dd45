/*
 * blueprint_rows: rows of a tensor made of what lies in the checkpoint: put elsewhere, computed with,
 * of another type.
 */
#include "arch/blueprint.h"
#include "core/memory.h"
#include "core/numbers.h"

#include <math.h>
#include <string.h>

#define F16_MAX 65504.0f

/* ------------------------------------------------------------------ changes */

/* llama.cpp's rope turns neighbours, transformers' the halves of a head: row i of the first half goes to
 * 2i, of the second to 2i + 1. */
static int64_t regroup(int64_t row, int64_t head)
{
    int64_t at = row % head;

    return row - at + (at % 2) * (head / 2) + at / 2;
}

static int64_t regroup_head(const struct blueprint *b, int64_t row)
{
    return regroup(row, b->size[SIZE_HEAD]);
}

static float plus_one(float x)
{
    return x + 1.0f;
}

const struct weight_change change_regroup_q = {.row = regroup_head};
const struct weight_change change_regroup_k = {.row = regroup_head};
const struct weight_change change_plus_one = {.value = plus_one};
const struct weight_change change_transpose = {.transposed = true};

/* ------------------------------------------------------------------ numbers */

static size_t source_size(int32_t dtype)
{
    return dtype == SAFETENSORS_F64 ? 8 : number_size(dtype);
}

static float source_at(const void *data, int32_t dtype, size_t i)
{
    double wide = 0;

    if (dtype != SAFETENSORS_F64)
        return number_at(data, dtype, i);
    memcpy(&wide, (const char *)data + 8 * i, sizeof wide);
    return (float)wide;
}

/* n neighbouring numbers as f32. */
static void load(float *out, const void *data, int32_t dtype, size_t n)
{
    if (dtype == SAFETENSORS_BF16) /* apart, so that the compiler vectorises it */
        for (size_t i = 0; i < n; i++)
            out[i] = number_at(data, NUMBER_BF16, i);
    else if (dtype == SAFETENSORS_F32)
        memcpy(out, data, n * sizeof *out);
    else
        for (size_t i = 0; i < n; i++)
            out[i] = source_at(data, dtype, i);
}

/* false: a finite number does not fit f16. */
static bool store(void *out, int32_t type, const float *x, size_t n)
{
    uint16_t *halves = out;
    bool fits = true;

    if (type == WEIGHT_TYPE_F32)
        memcpy(out, x, n * sizeof *x);
    else if (type == WEIGHT_TYPE_BF16)
        for (size_t i = 0; i < n; i++)
            halves[i] = bf16_of_f32(x[i]);
    else
        for (size_t i = 0; i < n; i++) {
            fits = fits && !(fabsf(x[i]) > F16_MAX && isfinite(x[i]));
            halves[i] = f16_of_f32(x[i]);
        }
    return fits;
}

bool blueprint_is_same_type(int32_t dtype, int32_t type)
{
    return (dtype == SAFETENSORS_F32 && type == WEIGHT_TYPE_F32) ||
           (dtype == SAFETENSORS_F16 && type == WEIGHT_TYPE_F16) ||
           (dtype == SAFETENSORS_BF16 && type == WEIGHT_TYPE_BF16);
}

/* ------------------------------------------------------------------ rows */

/* What a tensor's sources look like as matrices. */
struct matrix {
    const struct blueprint *b;
    const struct blueprint_tensor *t;
    int64_t columns;           /* of the result */
    int64_t source_rows;       /* of one source, after an exchange */
    const struct weight *seen; /* the source that the window is on */
    struct weight_window window;
};

static int64_t rows_of(const struct safetensors_tensor *t)
{
    int64_t rows = t->n_dims == 1 ? t->shape[0] : 1;

    for (int32_t d = 0; d + 1 < t->n_dims; d++)
        rows *= t->shape[d];
    return rows;
}

/* Where the row lies: its source, and which of its rows it is. */
static const struct weight *source_of(const struct matrix *m, int64_t row, int64_t *own)
{
    const struct weight_change *c = m->t->change;
    size_t source = m->t->n_sources > 1 ? (size_t)(row / m->source_rows) : 0;

    *own = m->t->n_sources > 1 ? row % m->source_rows : row;
    if (c && c->row)
        *own = c->row(m->b, *own);
    return m->t->sources[source];
}

/* Element by element; transposed: element (r, c) lies at (c, r). */
static void gather(const struct matrix *m, int64_t row, float *out)
{
    const struct weight_change *c = m->t->change;
    int32_t dtype = m->seen->tensor->dtype;

    for (int64_t i = 0; i < m->columns; i++) {
        int64_t column = c && c->column ? c->column(m->b, i) : i;
        int64_t at = c && c->transposed ? column * m->source_rows + row : row * m->columns + column;

        out[i] = source_at(m->window.data, dtype, (size_t)at);
    }
}

static void compute(const struct matrix *m, float *out)
{
    const struct weight_change *c = m->t->change;

    for (int64_t i = 0; c && c->value && i < m->columns; i++)
        out[i] = c->value(out[i]);
}

static int32_t look_at(struct matrix *m, const struct weight *source, inf_error *err)
{
    if (m->seen == source)
        return INF_OK;
    weight_window_close(&m->window);
    m->seen = source;
    return weight_window_open(&m->window, m->b->files, source, err);
}

static int32_t does_not_fit(const struct weight *source, inf_error *err)
{
    return error_set(err, INF_ERROR_NOT_FINITE,
                     "the tensor \"%.160s\" has numbers that float16 does not hold; use "
                     "bfloat16 or float32",
                     source->tensor->name);
}

static int32_t make_row(struct matrix *m, int64_t row, int32_t type, float *scratch, void *out,
                        inf_error *err)
{
    const struct weight_change *c = m->t->change;
    bool in_order = !c || (!c->column && !c->transposed);
    int64_t own = 0;
    const struct weight *from = source_of(m, row, &own);
    int32_t dtype = from->tensor->dtype;
    size_t size = source_size(dtype);
    int32_t code = look_at(m, from, err);
    const char *at = code == INF_OK
                         ? (const char *)m->window.data + (size_t)(own * m->columns) * size
                         : NULL;

    if (code != INF_OK)
        return code;
    if (in_order && !(c && c->value) && blueprint_is_same_type(dtype, type)) {
        memcpy(out, at, (size_t)m->columns * size);
        return INF_OK;
    }
    if (in_order)
        load(scratch, at, dtype, (size_t)m->columns);
    else
        gather(m, own, scratch);
    compute(m, scratch);
    return store(out, type, scratch, (size_t)m->columns) ? INF_OK : does_not_fit(from, err);
}

int32_t blueprint_rows(const struct blueprint *b, const struct blueprint_tensor *t, int64_t first,
                       int64_t n, int32_t type, void *out, inf_error *err)
{
    struct matrix m = {.b = b, .t = t, .columns = t->ne[0]};
    size_t row_bytes = 0;
    float *scratch = NULL;
    int32_t code = INF_OK;

    if (t->n_dims == 1) { /* a column, so that rows are what changes put elsewhere */
        m.columns = 1;
        n = t->ne[0];
    }
    row_bytes = (size_t)m.columns * (type == WEIGHT_TYPE_F32 ? 4 : 2);
    if (t->values) {
        memcpy(out, t->values, (size_t)n * row_bytes);
        return INF_OK;
    }
    scratch = mem_alloc((size_t)m.columns * sizeof *scratch);
    if (!scratch)
        return error_no_memory(err);
    m.source_rows = t->change && t->change->transposed ? t->sources[0]->tensor->shape[1]
                                                       : rows_of(t->sources[0]->tensor);
    for (int64_t i = 0; i < n && code == INF_OK; i++)
        code = make_row(&m, first + i, type, scratch, (char *)out + (size_t)i * row_bytes, err);
    weight_window_close(&m.window);
    mem_free(scratch);
    return code;
}
