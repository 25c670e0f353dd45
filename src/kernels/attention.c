/* attention: see the header. The portable implementation, and which one is used. */
#include "kernels/attention_parts.h"

#include "core/numbers.h"
#include "core/touch.h"
#include "kernels/path.h"

#include <math.h>
#include <string.h>

float attention_exp(float x)
{
    float n = rintf(x * EXP_LOG2E);
    float r = fmaf(n, -EXP_LN2_LOW, fmaf(n, -EXP_LN2_HIGH, x));
    float e = exp_terms[0];

    if (isnan(x))
        return x;
    if (x < EXP_LEAST)
        return 0;
    for (int i = 1; i < EXP_TERMS; i++)
        e = fmaf(e, r, exp_terms[i]);
    return e * f32_of_bits((uint32_t)((int32_t)n + 127) << 23);
}

void attention_start(float *state, int32_t dv)
{
    state[0] = -INFINITY;
    memset(state + 1, 0, (size_t)(1 + dv) * sizeof *state);
}

/* A new maximum: what was summed up is less by so much. */
static void raise_maximum(float *state, float maximum, int32_t dv)
{
    float factor = attention_exp(state[0] - maximum);

    state[0] = maximum;
    for (int32_t i = 0; i <= dv; i++)
        state[1 + i] *= factor;
}

void attention_merge(float *state, const float *later, int32_t dv)
{
    float factor = 0;

    if (later[0] == -INFINITY)
        return;
    if (state[0] == -INFINITY) {
        memcpy(state, later, attention_state_size(dv) * sizeof *state);
        return;
    }
    if (later[0] > state[0])
        raise_maximum(state, later[0], dv);
    factor = attention_exp(later[0] - state[0]);
    for (int32_t i = 0; i <= dv; i++)
        state[1 + i] += later[1 + i] * factor;
}

void attention_finish(const float *state, const float *sink, float *out, int32_t dv)
{
    float factor = 1;
    float sum = state[1];

    if (sink && *sink > state[0]) {
        factor = attention_exp(state[0] - *sink);
        sum = sum * factor + 1;
    } else if (sink) {
        sum += attention_exp(*sink - state[0]);
    }
    factor = sum == 0 ? 0 : factor / sum;
    for (int32_t i = 0; i < dv; i++)
        out[i] = state[2 + i] * factor;
}

/* ------------------------------------------------------------------ portable */

static int32_t type_of(const struct attention_cells *cells)
{
    return cells->is_float ? NUMBER_F32 : NUMBER_F16;
}

static float score(const struct attention_cells *cells, const struct attention_scores *scores,
                   const struct attention_query *query, int32_t cell)
{
    const char *k = cells->k + (size_t)cell * cells->k_stride;
    float s[8] = {0};
    float sum = 0;

    if (query->mask && query->mask[cell] == HALF_MINUS_INFINITY)
        return -INFINITY;
    for (int32_t i = 0; i < cells->dk; i++)
        s[i % 8] = fmaf(number_at(k, type_of(cells), (size_t)i), query->q[i], s[i % 8]);
    sum = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
    sum *= scores->scale;
    if (scores->cap != 0)
        sum = scores->cap * tanhf(sum);
    return query->mask ? fmaf(query->slope, f32_of_f16(query->mask[cell]), sum) : sum;
}

/* Exponentials in place. Returns their sum, of eight sums by their index. */
static float exponentials(float s[TILE], float maximum)
{
    float sums[8] = {0};

    for (int i = 0; i < TILE; i++) {
        s[i] = attention_exp(s[i] - maximum);
        sums[i % 8] += s[i];
    }
    return ((sums[0] + sums[4]) + (sums[2] + sums[6])) +
           ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

static void add_tile(const struct attention_cells *cells, int32_t first, int32_t n,
                     const struct attention_scores *scores, const struct attention_query *query)
{
    float *state = query->state;
    float maximum = -INFINITY;
    float s[TILE];

    for (int32_t i = 0; i < TILE; i++) {
        s[i] = i < n ? score(cells, scores, query, first + i) : -INFINITY;
        maximum = s[i] > maximum || isnan(s[i]) ? s[i] : maximum;
    }
    if (maximum == -INFINITY)
        return;
    if (!(maximum <= state[0]))
        raise_maximum(state, maximum, cells->dv);
    state[1] += exponentials(s, state[0]);
    for (int32_t i = 0; i < n; i++) {
        const char *v = cells->v + (size_t)(first + i) * cells->v_stride;

        for (int32_t j = 0; s[i] != 0 && j < cells->dv; j++)
            state[2 + j] = fmaf(number_at(v, type_of(cells), (size_t)j), s[i], state[2 + j]);
    }
}

void attention_add_portable(const struct attention_cells *cells, int32_t first, int32_t end,
                            const struct attention_scores *scores,
                            const struct attention_query *queries, int32_t n)
{
    for (; first < end; first += TILE)
        for (int32_t i = 0; i < n; i++)
            add_tile(cells, first, end - first < TILE ? end - first : TILE, scores, &queries[i]);
}

static void touch_operands(const struct attention_cells *cells, int32_t first, int32_t end,
                           const struct attention_query *queries, int32_t n)
{
    size_t number = cells->is_float ? sizeof(float) : sizeof(uint16_t);

    for (int32_t i = first; i < end; i++) {
        touch_read(cells->k + (size_t)i * cells->k_stride, (size_t)cells->dk * number);
        touch_read(cells->v + (size_t)i * cells->v_stride, (size_t)cells->dv * number);
    }
    for (int32_t i = 0; i < n; i++) {
        touch_read(queries[i].q, (size_t)cells->dk * sizeof(float));
        touch_write(queries[i].state, attention_state_size(cells->dv) * sizeof(float));
        if (queries[i].mask)
            touch_read(queries[i].mask + first, (size_t)(end - first) * sizeof(uint16_t));
    }
}

void attention_add(const struct attention_cells *cells, int32_t first, int32_t end,
                   const struct attention_scores *scores, const struct attention_query *queries,
                   int32_t n)
{
    if (kernel_path() <= KERNELS_PORTABLE) {
        attention_add_portable(cells, first, end, scores, queries, n);
        return;
    }
    touch_operands(cells, first, end, queries, n);
#if INF_KERNELS_X86
    attention_add_avx2(cells, first, end, scores, queries, n);
#elif INF_KERNELS_ARM
    attention_add_neon(cells, first, end, scores, queries, n);
#endif
}
