/*
 * attention: softmax(q k^T) v over the cells of a cache, in pieces: each query keeps a running maximum,
 * sum and sum of values, to which the cells of a tile of 32 are added at once.
 *
 * A query's result is computed by one sequence of operations, whatever queries are computed with it:
 * tiles are counted from the cell that a call begins with, and those that a query does not see change
 * nothing. So whoever cuts a cache must cut it at the same cells for every query: ATTENTION_SEGMENT.
 * A cell that is masked for a query is not multiplied with: what lies in it, NaN too, does not matter.
 *
 * Knows no tensor and no thread. Pure functions; any thread.
 */
#ifndef INF_KERNELS_ATTENTION_H
#define INF_KERNELS_ATTENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Cells after which a new state begins; the states are put together in order. */
enum { ATTENTION_SEGMENT = 512, ATTENTION_MAX_HEAD = 256 };

/* The keys and values of a head, as half floats or floats; a row of numbers for each cell. */
struct attention_cells {
    const char *k, *v;
    size_t k_stride, v_stride; /* bytes */
    int32_t dk, dv;            /* multiples of 8, at most ATTENTION_MAX_HEAD */
    bool is_float;             /* they are floats */
};

struct attention_query {
    const float *q;       /* (dk) */
    const uint16_t *mask; /* a half float for each cell, added to its score; NULL: none */
    float slope;          /* of the mask */
    float *state;         /* (attention_state_size) */
};

struct attention_scores {
    float scale;
    float cap; /* scores become cap tanh(score); 0: they do not */
};

static inline size_t attention_state_size(int32_t dv)
{
    return 2 + (size_t)dv;
}

void attention_start(float *state, int32_t dv);
/* Adds the cells first .. end-1 to the states of n queries. */
void attention_add(const struct attention_cells *cells, int32_t first, int32_t end,
                   const struct attention_scores *scores, const struct attention_query *queries,
                   int32_t n);
/* What came after `state`. */
void attention_merge(float *state, const float *later, int32_t dv);
/* sink: a score without a value, or NULL. */
void attention_finish(const float *state, const float *sink, float *out, int32_t dv);

#endif
