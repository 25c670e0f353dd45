/* dora: see the header. */
#include "lora/dora.h"

#include "core/error.h"
#include "core/memory.h"

#include <math.h>

struct dora_sums {
    struct lora_module *module;
    int32_t next;    /* row that comes next */
    float *products; /* (rank) gain A·row, of a DELTA's row */
    double *lookups; /* (rank, n_out) gain A·W, of a LOOKUP, growing */
    double *square;  /* (n_out), of a LOOKUP, growing */
    float *gram;     /* (rank, rank) gain A·A */
    float *row;      /* (n_in) of A */
};

static float bt_at(const struct lora_module *m, int32_t rank, int32_t o)
{
    return number_at(m->bt, m->type, (size_t)rank * (size_t)m->padded_out + (size_t)o);
}

/* ------------------------------------------------------------------ |BA|² */

static void make_gram(struct dora_sums *d)
{
    const struct lora_module *m = d->module;
    struct lora_rows x = {d->row, 0, 1};
    struct lora_rows h = {NULL, 0, 1};

    for (int32_t r = 0; r < m->rank; r++) {
        for (int32_t i = 0; i < m->n_in; i++)
            d->row[i] = number_at(m->a, m->type, (size_t)r * (size_t)m->padded_in + (size_t)i);
        h.data = d->gram + (size_t)r * (size_t)m->rank;
        lora_shrink(m, 1, &x, 0, m->rank, &h);
    }
}

static float delta_square(const struct dora_sums *d, int32_t o)
{
    const struct lora_module *m = d->module;
    double sum = 0;

    for (int32_t r = 0; r < m->rank; r++) {
        const float *gram = d->gram + (size_t)r * (size_t)m->rank;
        double part = 0;

        for (int32_t q = 0; q < m->rank; q++)
            part += (double)gram[q] * bt_at(m, q, o);
        sum += part * bt_at(m, r, o);
    }
    return (float)(sum * m->gain);
}

/* ------------------------------------------------------------------ the weight's rows */

/* In eight partial sums of floats for each block, which doubles add up: a chain of double additions would
 * take most of the time of a load. */
static double square_of(const float *x, int32_t n)
{
    enum { LANES = 8, BLOCK = 128 };
    double sum = 0;

    for (int32_t from = 0; from < n; from += BLOCK) {
        int32_t end = n - from < BLOCK ? n : from + BLOCK;
        float lanes[LANES] = {0};
        int32_t i = from;

        for (; i + LANES <= end; i += LANES)
            for (int32_t k = 0; k < LANES; k++)
                lanes[k] += x[i + k] * x[i + k];
        for (; i < end; i++)
            lanes[0] += x[i] * x[i];
        for (int32_t k = 0; k < LANES; k++)
            sum += (double)lanes[k];
    }
    return sum;
}

/* The sums of output o from its row, all of it. */
static void add_output(struct dora_sums *d, int32_t o, float *row)
{
    const struct lora_module *m = d->module;
    struct lora_rows x = {row, 0, 1};
    struct lora_rows h = {d->products, 0, 1};
    double cross = 0;

    lora_shrink(m, 1, &x, 0, m->rank, &h);
    for (int32_t r = 0; r < m->rank; r++)
        cross += (double)d->products[r] * bt_at(m, r, o);
    m->sums[o] = (float)square_of(row, m->n_in);
    m->sums[m->n_out + o] = (float)cross;
}

/* What input i of an embedding adds to the sums of all outputs. */
static void add_input(struct dora_sums *d, int32_t i, const float *row)
{
    const struct lora_module *m = d->module;

    for (int32_t o = 0; o < m->n_out; o++)
        d->square[o] += (double)row[o] * row[o];
    for (int32_t r = 0; r < m->rank; r++) {
        double a = m->gain * number_at(m->a, m->type, (size_t)r * (size_t)m->padded_in + (size_t)i);
        double *products = d->lookups + (size_t)r * (size_t)m->n_out;

        for (int32_t o = 0; o < m->n_out; o++)
            products[o] += a * row[o];
    }
}

static void finish_inputs(struct dora_sums *d)
{
    const struct lora_module *m = d->module;

    for (int32_t o = 0; o < m->n_out; o++) {
        double cross = 0;

        for (int32_t r = 0; r < m->rank; r++)
            cross += d->lookups[(size_t)r * (size_t)m->n_out + (size_t)o] * bt_at(m, r, o);
        m->sums[o] = (float)d->square[o];
        m->sums[m->n_out + o] = (float)cross;
    }
}

/* ------------------------------------------------------------------ life */

static void dora_free(struct dora_sums *d)
{
    mem_free(d->products);
    mem_free(d->lookups);
    mem_free(d->square);
    mem_free(d->gram);
    mem_free(d->row);
    mem_free(d);
}

int32_t dora_begin(struct dora_sums **out, struct lora_module *m, inf_error *err)
{
    struct dora_sums *d = mem_calloc(1, sizeof *d);
    size_t rank = (size_t)m->rank;
    size_t n = m->kind == LORA_LOOKUP ? (size_t)m->n_out : 1;

    *out = NULL;
    if (!d)
        return error_no_memory(err);
    d->module = m;
    d->products = mem_calloc(rank, sizeof(float));
    d->lookups = mem_calloc(rank * n, sizeof(double));
    d->square = mem_calloc(n, sizeof(double));
    d->gram = mem_calloc(rank * rank, sizeof(float));
    d->row = mem_calloc((size_t)m->n_in, sizeof(float));
    if (!d->products || !d->lookups || !d->square || !d->gram || !d->row) {
        dora_free(d);
        return error_no_memory(err);
    }
    make_gram(d);
    *out = d;
    return INF_OK;
}

void dora_rows(struct dora_sums *d, const struct lora_rows *rows)
{
    for (int32_t i = 0; i < rows->n; i++, d->next++)
        if (d->module->kind == LORA_LOOKUP)
            add_input(d, d->next, lora_row(rows, i));
        else
            add_output(d, d->next, lora_row(rows, i));
}

void dora_end(struct dora_sums *d)
{
    if (!d)
        return;
    if (d->module->kind == LORA_LOOKUP)
        finish_inputs(d);
    for (int32_t o = 0; o < d->module->n_out; o++)
        d->module->sums[2 * d->module->n_out + o] = delta_square(d, o);
    dora_free(d);
}

/* ------------------------------------------------------------------ the operator */

void dora_apply(const struct lora_module *m, float scale, int32_t first, int32_t n,
                const struct lora_rows *y)
{
    const float *square = m->sums;
    const float *cross = square + m->n_out;
    const float *delta = cross + m->n_out;
    float factor[64];

    for (int32_t from = first; from < first + n; from += 64) {
        int32_t count = first + n - from < 64 ? first + n - from : 64;

        for (int32_t i = 0; i < count; i++) {
            int32_t o = from + i;
            float length = square[o] + scale * (2 * cross[o] + scale * delta[o]);

            factor[i] = m->magnitude[o] / sqrtf(length);
        }
        for (int32_t r = 0; r < y->n; r++)
            for (int32_t i = 0; i < count; i++)
                lora_row(y, r)[from + i] *= factor[i];
    }
}
