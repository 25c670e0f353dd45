/*
 * attention with AVX2, FMA and F16C: the same operations in the same order as the portable one. Where
 * several queries see a tile its keys and values are made floats once for all of them, and each is read for two.
 */
#include "kernels/attention_parts.h"

#if INF_KERNELS_X86

#define VECTOR_BYTES 32
#define VECTOR_DOTS 0
#include "kernels/vectors.h"

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

INLINE __m256 load8(const bool is_half, const char *row, int32_t i)
{
    return is_half ? _mm256_cvtph_ps(
                         _mm_loadu_si128((const __m128i *)(const void *)(row + (size_t)i * 2)))
                   : _mm256_loadu_ps((const float *)(const void *)(row + (size_t)i * 4));
}

/* Where there is none it is the last. */
INLINE const char *row_at(const struct rows *rows, int32_t i)
{
    return rows->data + (size_t)(i < rows->n ? i : rows->n - 1) * rows->stride;
}

TARGET static void to_floats(const char *data, size_t stride, int32_t n, int32_t width, float *out)
{
    for (int32_t i = 0; i < n; i++)
        for (int32_t j = 0; j < width; j += 8)
            _mm256_storeu_ps(out + i * width + j, load8(true, data + (size_t)i * stride, j));
}

/* The sum of the lanes of each of eight vectors: halves, then pairs, then neighbours. */
INLINE __m256 sum_lanes(const __m256 v[8])
{
    __m256 a[4];
    __m256 b[2];

    UNROLL for (int i = 0; i < 4; i++) a[i] = _mm256_add_ps(
        _mm256_permute2f128_ps(v[i], v[4 + i], 0x20), _mm256_permute2f128_ps(v[i], v[4 + i], 0x31));
    UNROLL for (int i = 0; i < 2; i++)
        b[i] = _mm256_add_ps(_mm256_shuffle_ps(a[2 * i], a[2 * i + 1], 0x44),
                             _mm256_shuffle_ps(a[2 * i], a[2 * i + 1], 0xee));
    return _mm256_add_ps(_mm256_shuffle_ps(b[0], b[1], 0x88), _mm256_shuffle_ps(b[0], b[1], 0xdd));
}

INLINE __m256 dot8(const bool is_half, const struct rows *k, int32_t first, const float *q,
                   int32_t dk)
{
    const char *row[8];
    __m256 s[8];

    UNROLL for (int c = 0; c < 8; c++)
    {
        row[c] = row_at(k, first + c);
        s[c] = _mm256_setzero_ps();
    }
    for (int32_t i = 0; i < dk; i += 8) {
        __m256 x = _mm256_loadu_ps(q + i);

        UNROLL for (int c = 0; c < 8; c++)
            s[c] = _mm256_fmadd_ps(load8(is_half, row[c], i), x, s[c]);
    }
    return sum_lanes(s);
}

/* Of two queries with eight keys, which are floats: four keys at once, as many sums as hide an addition's time. */
INLINE void dot8_of_two(const struct rows *k, int32_t first, const float *qa, const float *qb,
                        int32_t dk, __m256 *a, __m256 *b)
{
    __m256 both[2];

    UNROLL for (int half = 0; half < 2; half++)
    {
        const char *row[4];
        __m256 s[8];

        UNROLL for (int c = 0; c < 4; c++)
        {
            row[c] = row_at(k, first + 4 * half + c);
            s[c] = s[4 + c] = _mm256_setzero_ps();
        }
        for (int32_t i = 0; i < dk; i += 8) {
            __m256 xa = _mm256_loadu_ps(qa + i);
            __m256 xb = _mm256_loadu_ps(qb + i);

            UNROLL for (int c = 0; c < 4; c++)
            {
                __m256 key = load8(false, row[c], i);

                s[c] = _mm256_fmadd_ps(key, xa, s[c]);
                s[4 + c] = _mm256_fmadd_ps(key, xb, s[4 + c]);
            }
        }
        both[half] = sum_lanes(s);
    }
    *a = _mm256_permute2f128_ps(both[0], both[1], 0x20);
    *b = _mm256_permute2f128_ps(both[0], both[1], 0x31);
}

INLINE __m256 exp8(__m256 x)
{
    __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(EXP_LOG2E)),
                               _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_fmadd_ps(n, _mm256_set1_ps(-EXP_LN2_HIGH), x);
    __m256 e = _mm256_set1_ps(exp_terms[0]);
    __m256i power = _mm256_slli_epi32(
        _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);

    r = _mm256_fmadd_ps(n, _mm256_set1_ps(-EXP_LN2_LOW), r);
    UNROLL for (int i = 1; i < EXP_TERMS; i++)
        e = _mm256_fmadd_ps(e, r, _mm256_set1_ps(exp_terms[i]));
    return _mm256_andnot_ps(_mm256_cmp_ps(x, _mm256_set1_ps(EXP_LEAST), _CMP_LT_OQ),
                            _mm256_mul_ps(e, _mm256_castsi256_ps(power)));
}

INLINE float first_of(__m256 v)
{
    return _mm_cvtss_f32(_mm256_castps256_ps128(v));
}

/* NaN when one is NaN. */
INLINE float largest(const __m256 s[TILE / 8])
{
    __m256 m = s[0];
    __m256 nan = _mm256_cmp_ps(s[0], s[0], _CMP_UNORD_Q);
    __m128 h;

    UNROLL for (int i = 1; i < TILE / 8; i++)
    {
        m = _mm256_max_ps(m, s[i]);
        nan = _mm256_or_ps(nan, _mm256_cmp_ps(s[i], s[i], _CMP_UNORD_Q));
    }
    if (_mm256_movemask_ps(nan))
        return NAN;
    h = _mm_max_ps(_mm256_castps256_ps128(m), _mm256_extractf128_ps(m, 1));
    h = _mm_max_ps(h, _mm_movehl_ps(h, h));
    return _mm_cvtss_f32(_mm_max_ss(h, _mm_movehdup_ps(h)));
}

TARGET static void raise_maximum(float *state, float maximum, int32_t dv)
{
    __m256 factor = exp8(_mm256_set1_ps(state[0] - maximum));

    state[0] = maximum;
    state[1] *= first_of(factor);
    for (int32_t i = 0; i < dv; i += 8)
        _mm256_storeu_ps(state + 2 + i, _mm256_mul_ps(_mm256_loadu_ps(state + 2 + i), factor));
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

INLINE bool sees_some(const uint16_t mask[TILE])
{
    const __m256i masked = _mm256_set1_epi16((short)HALF_MINUS_INFINITY);
    __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)mask);
    __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(mask + 16));

    return _mm256_movemask_epi8(_mm256_and_si256(_mm256_cmpeq_epi16(a, masked),
                                                 _mm256_cmpeq_epi16(b, masked))) != -1;
}

TARGET static void cap_scores(__m256 s[TILE / 8], float cap)
{
    float one[TILE];

    memcpy(one, s, sizeof one);
    for (int i = 0; i < TILE; i++)
        one[i] = cap * tanhf(one[i]);
    memcpy(s, one, sizeof one);
}

/* s: what dot8 gave. */
INLINE void make_scores(const struct attention_scores *scores, const struct attention_query *query,
                        const uint16_t mask[TILE], __m256 s[TILE / 8])
{
    const __m256 infinite = _mm256_set1_ps(-INFINITY);

    UNROLL for (int i = 0; i < TILE / 8; i++)
        s[i] = _mm256_mul_ps(s[i], _mm256_set1_ps(scores->scale));
    if (scores->cap != 0)
        cap_scores(s, scores->cap);
    UNROLL for (int i = 0; i < TILE / 8; i++)
    {
        __m256 m = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(mask + i * 8)));

        if (query->mask)
            s[i] = _mm256_fmadd_ps(_mm256_set1_ps(query->slope), m, s[i]);
        s[i] = _mm256_blendv_ps(s[i], infinite, _mm256_cmp_ps(m, infinite, _CMP_EQ_OQ));
    }
}

/* state += sum of p v, n_v times eight columns from j on. */
INLINE void add_values(const bool is_half, const struct rows *v, const float p[TILE], float *state,
                       int32_t j, const int n_v)
{
    __m256 y[8];

    UNROLL for (int i = 0; i < n_v; i++) y[i] = _mm256_loadu_ps(state + j + i * 8);
    for (int32_t c = 0; c < v->n; c++) {
        const char *row = v->data + (size_t)c * v->stride;
        __m256 weight = _mm256_set1_ps(p[c]);

        if (p[c] == 0)
            continue;
        UNROLL for (int i = 0; i < n_v; i++)
            y[i] = _mm256_fmadd_ps(load8(is_half, row, j + i * 8), weight, y[i]);
    }
    UNROLL for (int i = 0; i < n_v; i++) _mm256_storeu_ps(state + j + i * 8, y[i]);
}

/* The same for two queries, n_v columns at once of each. A value whose weight is 0 is not multiplied: it may be of a
 * cell that the query does not see. */
INLINE void add_values_to_two(const struct rows *v, const float *pa, const float *pb, float *a,
                              float *b, const int n_v)
{
    __m256 y[2][4];

    UNROLL for (int i = 0; i < n_v; i++)
    {
        y[0][i] = _mm256_loadu_ps(a + i * 8);
        y[1][i] = _mm256_loadu_ps(b + i * 8);
    }
    for (int32_t c = 0; c < v->n; c++) {
        const float *row = (const float *)(const void *)(v->data + (size_t)c * v->stride);
        __m256 wa = _mm256_set1_ps(pa[c]);
        __m256 wb = _mm256_set1_ps(pb[c]);

        if (pa[c] != 0 && pb[c] != 0) {
            UNROLL for (int i = 0; i < n_v; i++)
            {
                __m256 value = _mm256_loadu_ps(row + i * 8);

                y[0][i] = _mm256_fmadd_ps(value, wa, y[0][i]);
                y[1][i] = _mm256_fmadd_ps(value, wb, y[1][i]);
            }
        } else if (pa[c] != 0) {
            UNROLL for (int i = 0; i < n_v; i++)
                y[0][i] = _mm256_fmadd_ps(_mm256_loadu_ps(row + i * 8), wa, y[0][i]);
        } else if (pb[c] != 0) {
            UNROLL for (int i = 0; i < n_v; i++)
                y[1][i] = _mm256_fmadd_ps(_mm256_loadu_ps(row + i * 8), wb, y[1][i]);
        }
    }
    UNROLL for (int i = 0; i < n_v; i++)
    {
        _mm256_storeu_ps(a + i * 8, y[0][i]);
        _mm256_storeu_ps(b + i * 8, y[1][i]);
    }
}

/* Of scores what values are multiplied with, in p, added to the state's sum; false: the query sees none of them. */
INLINE bool add_weights(__m256 s[TILE / 8], float *state, int32_t dv, float p[TILE])
{
    __m256 sums = _mm256_setzero_ps();
    float maximum = largest(s);

    if (maximum == -INFINITY)
        return false;
    if (!(maximum <= state[0]))
        raise_maximum(state, maximum, dv);
    UNROLL for (int i = 0; i < TILE / 8; i++)
    {
        s[i] = exp8(_mm256_sub_ps(s[i], _mm256_set1_ps(state[0])));
        sums = _mm256_add_ps(sums, s[i]);
        _mm256_storeu_ps(p + i * 8, s[i]);
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
    __m256 s[TILE / 8];
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
    __m256 sa[TILE / 8];
    __m256 sb[TILE / 8];
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

TARGET void attention_add_avx2(const struct attention_cells *cells, int32_t first, int32_t end,
                               const struct attention_scores *scores,
                               const struct attention_query *queries, int32_t n)
{
    if (n == 1)
        add_to_one(cells, first, end, scores, queries);
    else
        add_to_many(cells, first, end, scores, queries, n);
}

#endif
