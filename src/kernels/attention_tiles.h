/*
 * attention_tiles: attention by vectors of eight floats: the same operations in the same order as the portable one. Where
 * several queries see a tile its keys and values are made floats once for all of them, and each is read for two.
 *
 * A part of one source file for each kind of vectors, which includes it behind what it does with them.
 */
#ifndef INF_KERNELS_ATTENTION_TILES_H
#define INF_KERNELS_ATTENTION_TILES_H

#include "kernels/attention_parts.h"

#include <math.h>
#include <string.h>

/* Numbers of a key and its value with which a tile stays in the nearest cache while queries pass over it one by one. */
enum { IN_CACHE = 256 };

/* A tile's rows of keys or values: half floats as they lie, or floats. */
struct rows {
    const char *data;
    size_t stride;
    int32_t n;
};

/* Where there is none it is the last. */
INLINE const char *row_at(const struct rows *rows, int32_t i)
{
    return rows->data + (size_t)(i < rows->n ? i : rows->n - 1) * rows->stride;
}

TARGET static void to_floats(const char *data, size_t stride, int32_t n, int32_t width, float *out)
{
    for (int32_t i = 0; i < n; i++)
        for (int32_t j = 0; j < width; j += 8)
            store8(out + i * width + j, load8(true, data + (size_t)i * stride, j));
}

INLINE floats dot8(const bool is_half, const struct rows *k, int32_t first, const float *q,
                   int32_t dk)
{
    const char *row[8];
    floats s[8];

    UNROLL for (int c = 0; c < 8; c++)
    {
        row[c] = row_at(k, first + c);
        s[c] = floats_zero();
    }
    for (int32_t i = 0; i < dk; i += 8) {
        floats x = load_row(q + i);

        UNROLL for (int c = 0; c < 8; c++) s[c] = add_product(load8(is_half, row[c], i), x, s[c]);
    }
    return sum_lanes(s);
}

/* Of two queries with eight keys, which are floats: four keys at once, as many sums as hide an addition's time. */
INLINE void dot8_of_two(const struct rows *k, int32_t first, const float *qa, const float *qb,
                        int32_t dk, floats *a, floats *b)
{
    floats both[2];

    UNROLL for (int half = 0; half < 2; half++)
    {
        const char *row[4];
        floats s[8];

        UNROLL for (int c = 0; c < 4; c++)
        {
            row[c] = row_at(k, first + 4 * half + c);
            s[c] = s[4 + c] = floats_zero();
        }
        for (int32_t i = 0; i < dk; i += 8) {
            floats xa = load_row(qa + i);
            floats xb = load_row(qb + i);

            UNROLL for (int c = 0; c < 4; c++)
            {
                floats key = load8(false, row[c], i);

                s[c] = add_product(key, xa, s[c]);
                s[4 + c] = add_product(key, xb, s[4 + c]);
            }
        }
        both[half] = sum_lanes(s);
    }
    *a = first_halves(both[0], both[1]);
    *b = second_halves(both[0], both[1]);
}

TARGET static void raise_maximum(float *state, float maximum, int32_t dv)
{
    floats factor = exp8(all(state[0] - maximum));

    state[0] = maximum;
    state[1] *= first_of(factor);
    for (int32_t i = 0; i < dv; i += 8)
        store8(state + 2 + i, multiplied(load_row(state + 2 + i), factor));
}

/* The mask of a tile; cells beyond its end are masked. */
INLINE void copy_mask(const uint16_t *mask, int32_t first, int32_t n, uint16_t out[TILE])
{
    for (int32_t i = n; i < TILE; i++)
        out[i] = HALF_MINUS_INFINITY;
    if (mask)
        memcpy(out, mask + first, (size_t)n * sizeof *out);
    else
        memset(out, 0, (size_t)n * sizeof *out);
}

TARGET static void cap_scores(floats s[TILE / 8], float cap)
{
    float one[TILE];

    memcpy(one, s, sizeof one);
    for (int i = 0; i < TILE; i++)
        one[i] = cap * tanhf(one[i]);
    memcpy(s, one, sizeof one);
}

/* s: what dot8 gave. */
INLINE void make_scores(const struct attention_scores *scores, const struct attention_query *query,
                        const uint16_t mask[TILE], floats s[TILE / 8])
{
    UNROLL for (int i = 0; i < TILE / 8; i++) s[i] = multiplied(s[i], all(scores->scale));
    if (scores->cap != 0)
        cap_scores(s, scores->cap);
    UNROLL for (int i = 0; i < TILE / 8; i++)
    {
        floats m = load8(true, (const char *)mask, i * 8);

        if (query->mask)
            s[i] = add_product(all(query->slope), m, s[i]);
        s[i] = infinite_where(s[i], m);
    }
}

/* state += sum of p v, n_v times eight columns from j on. */
INLINE void add_values(const bool is_half, const struct rows *v, const float p[TILE], float *state,
                       int32_t j, const int n_v)
{
    floats y[8];

    UNROLL for (int i = 0; i < n_v; i++) y[i] = load_row(state + j + i * 8);
    for (int32_t c = 0; c < v->n; c++) {
        const char *row = v->data + (size_t)c * v->stride;
        floats weight = all(p[c]);

        if (p[c] == 0)
            continue;
        UNROLL for (int i = 0; i < n_v; i++)
            y[i] = add_product(load8(is_half, row, j + i * 8), weight, y[i]);
    }
    UNROLL for (int i = 0; i < n_v; i++) store8(state + j + i * 8, y[i]);
}

/* The same for two queries, n_v columns at once of each. A value whose weight is 0 is not multiplied: it may be of a
 * cell that the query does not see. */
INLINE void add_values_to_two(const struct rows *v, const float *pa, const float *pb, float *a,
                              float *b, const int n_v)
{
    floats y[2][4];

    UNROLL for (int i = 0; i < n_v; i++)
    {
        y[0][i] = load_row(a + i * 8);
        y[1][i] = load_row(b + i * 8);
    }
    for (int32_t c = 0; c < v->n; c++) {
        const float *row = (const float *)(const void *)(v->data + (size_t)c * v->stride);
        floats wa = all(pa[c]);
        floats wb = all(pb[c]);

        if (pa[c] != 0 && pb[c] != 0) {
            UNROLL for (int i = 0; i < n_v; i++)
            {
                floats value = load_row(row + i * 8);

                y[0][i] = add_product(value, wa, y[0][i]);
                y[1][i] = add_product(value, wb, y[1][i]);
            }
        } else if (pa[c] != 0) {
            UNROLL for (int i = 0; i < n_v; i++)
                y[0][i] = add_product(load_row(row + i * 8), wa, y[0][i]);
        } else if (pb[c] != 0) {
            UNROLL for (int i = 0; i < n_v; i++)
                y[1][i] = add_product(load_row(row + i * 8), wb, y[1][i]);
        }
    }
    UNROLL for (int i = 0; i < n_v; i++)
    {
        store8(a + i * 8, y[0][i]);
        store8(b + i * 8, y[1][i]);
    }
}

/* Of scores what values are multiplied with, in p, added to the state's sum; false: the query sees none of them. */
INLINE bool add_weights(floats s[TILE / 8], float *state, int32_t dv, float p[TILE])
{
    floats sums = floats_zero();
    float maximum = largest(s);

    if (maximum == -INFINITY)
        return false;
    if (!(maximum <= state[0]))
        raise_maximum(state, maximum, dv);
    UNROLL for (int i = 0; i < TILE / 8; i++)
    {
        s[i] = exp8(subtracted(s[i], all(state[0])));
        sums = added(sums, s[i]);
        store8(p + i * 8, s[i]);
    }
    state[1] += sum8(sums);
    return true;
}

INLINE void add_all_values(const bool is_half, const struct rows *v, int32_t dv,
                           const float p[TILE], float *state)
{
    int32_t j = 0;

    for (; j + 64 <= dv; j += 64)
        add_values(is_half, v, p, state + 2, j, 8);
    for (; j < dv; j += 8)
        add_values(is_half, v, p, state + 2, j, 1);
}

INLINE void add_tile(const bool is_half, const struct rows *k, const struct rows *v, int32_t dk,
                     int32_t dv, const struct attention_scores *scores,
                     const struct attention_query *query, const uint16_t mask[TILE])
{
    floats s[TILE / 8];
    float p[TILE];

    UNROLL for (int i = 0; i < TILE / 8; i++) s[i] = dot8(is_half, k, i * 8, query->q, dk);
    make_scores(scores, query, mask, s);
    if (add_weights(s, query->state, dv, p))
        add_all_values(is_half, v, dv, p, query->state);
}

/* A query that sees some of a tile, and which. */
struct looking {
    const struct attention_query *query;
    uint16_t mask[TILE];
};

/* Of floats. */
INLINE void add_tile_to_two(const struct rows *k, const struct rows *v, int32_t dk, int32_t dv,
                            const struct attention_scores *scores, const struct looking *a,
                            const struct looking *b)
{
    float *state_a = a->query->state;
    float *state_b = b->query->state;
    floats sa[TILE / 8];
    floats sb[TILE / 8];
    float pa[TILE];
    float pb[TILE];
    bool has_a = false;
    bool has_b = false;

    UNROLL for (int i = 0; i < TILE / 8; i++)
        dot8_of_two(k, i * 8, a->query->q, b->query->q, dk, &sa[i], &sb[i]);
    make_scores(scores, a->query, a->mask, sa);
    make_scores(scores, b->query, b->mask, sb);
    has_a = add_weights(sa, state_a, dv, pa);
    has_b = add_weights(sb, state_b, dv, pb);
    if (has_a && has_b) {
        struct rows from = *v;
        int32_t j = 0;

        for (; j + 32 <= dv; j += 32, from.data += 32 * sizeof(float))
            add_values_to_two(&from, pa, pb, state_a + 2 + j, state_b + 2 + j, 4);
        for (; j < dv; j += 8, from.data += 8 * sizeof(float))
            add_values_to_two(&from, pa, pb, state_a + 2 + j, state_b + 2 + j, 1);
    } else if (has_a) {
        add_all_values(false, v, dv, pa, state_a);
    } else if (has_b) {
        add_all_values(false, v, dv, pb, state_b);
    }
}

/* A single query reads the numbers as they lie. */
TARGET static void add_to_one(const struct attention_cells *cells, int32_t first, int32_t end,
                              const struct attention_scores *scores,
                              const struct attention_query *query)
{
    for (; first < end; first += TILE) {
        int32_t n = end - first < TILE ? end - first : TILE;
        struct rows k = {cells->k + (size_t)first * cells->k_stride, cells->k_stride, n};
        struct rows v = {cells->v + (size_t)first * cells->v_stride, cells->v_stride, n};
        uint16_t mask[TILE];

        copy_mask(query->mask, first, n, mask);
        if (!sees_some(mask))
            continue;
        if (cells->is_float)
            add_tile(false, &k, &v, cells->dk, cells->dv, scores, query, mask);
        else
            add_tile(true, &k, &v, cells->dk, cells->dv, scores, query, mask);
    }
}

/* The rows of a tile as floats: where they are, or, of half floats, in `out`. */
TARGET static struct rows as_floats(const struct attention_cells *cells, const char *data,
                                    size_t stride, int32_t n, int32_t width, float *out)
{
    if (cells->is_float)
        return (struct rows){data, stride, n};
    to_floats(data, stride, n, width, out);
    return (struct rows){(const char *)out, (size_t)width * sizeof(float), n};
}

TARGET static void add_to_many(const struct attention_cells *cells, int32_t first, int32_t end,
                               const struct attention_scores *scores,
                               const struct attention_query *queries, int32_t n_queries)
{
    float k_floats[TILE * ATTENTION_MAX_HEAD] __attribute__((aligned(64)));
    float v_floats[TILE * ATTENTION_MAX_HEAD] __attribute__((aligned(64)));
    struct rows k = {NULL, 0, 0};
    struct rows v = {NULL, 0, 0};
    const bool in_pairs = cells->dk + cells->dv > IN_CACHE;

    for (; first < end; first += TILE) {
        int32_t n = end - first < TILE ? end - first : TILE;
        struct looking two[2]; /* the first waits for another */
        int32_t waiting = 0;
        bool is_ready = false;

        for (int32_t i = 0; i < n_queries; i++) {
            two[waiting].query = &queries[i];
            copy_mask(queries[i].mask, first, n, two[waiting].mask);
            if (!sees_some(two[waiting].mask))
                continue;
            if (!is_ready) {
                k = as_floats(cells, cells->k + (size_t)first * cells->k_stride, cells->k_stride, n,
                              cells->dk, k_floats);
                v = as_floats(cells, cells->v + (size_t)first * cells->v_stride, cells->v_stride, n,
                              cells->dv, v_floats);
                is_ready = true;
            }
            if (!in_pairs) {
                add_tile(false, &k, &v, cells->dk, cells->dv, scores, two[0].query, two[0].mask);
                continue;
            }
            waiting = !waiting;
            if (!waiting)
                add_tile_to_two(&k, &v, cells->dk, cells->dv, scores, &two[0], &two[1]);
        }
        if (waiting)
            add_tile(false, &k, &v, cells->dk, cells->dv, scores, two[0].query, two[0].mask);
    }
}

INLINE void add_to_queries(const struct attention_cells *cells, int32_t first, int32_t end,
                           const struct attention_scores *scores,
                           const struct attention_query *queries, int32_t n)
{
    if (n == 1)
        add_to_one(cells, first, end, scores, queries);
    else
        add_to_many(cells, first, end, scores, queries, n);
}

#endif
