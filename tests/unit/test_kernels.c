/*
 * The kernels of src/kernels: against sums in double precision, over random weights, shapes and numbers
 * of rows; that every implementation gives the same bits (but those for activations of BF16, of which each has its own), and that a row's do not depend on the other
 * rows, nor on what they are; NaN stays in its row. Of the implementations those that the CPU can run; built
 * with INF_KERNELS_EMULATION the ones for AVX-512, whose instructions are functions then
 * (avx512_emulated.h), on any CPU with AVX2.
 */
#include "core/numbers.h"
#include "kernels/attention_parts.h"
#include "kernels/blocks.h"
#include "kernels/path.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t seed = 1;

static uint32_t random_u32(void)
{
    seed = seed * 1664525 + 1013904223;
    return seed >> 8;
}

static int32_t random_below(int32_t n)
{
    return (int32_t)(random_u32() % (uint32_t)n);
}

static float random_float(void)
{
    return (float)random_below(1 << 16) / (1 << 15) - 1;
}

/* ------------------------------------------------------------------ the implementations */

typedef void prepare_row(int32_t type, int32_t n_in, const float *x, struct activations *out);
typedef void round_row(int32_t n_in, const float *x, uint16_t *out);
typedef void columns(const struct matmul *m, int32_t first, int32_t n);
typedef void add_cells(const struct attention_cells *cells, int32_t first, int32_t end,
                       const struct attention_scores *scores, const struct attention_query *queries,
                       int32_t n);

#ifdef INF_KERNELS_EMULATION
columns emulated_columns_avx512, emulated_columns_avx512vnni, emulated_columns_avx512bf16;
round_row emulated_round_avx512bf16;
#endif

struct way {
    int32_t needs; /* enum kernel_path */
    prepare_row *prepare;
    columns *multiply;
    add_cells *attend;
    round_row *round; /* NULL: computes no activations of BF16 */
    columns *multiply_rounded;
};

static const struct way portable = {KERNELS_PORTABLE,        matmul_prepare_portable,
                                    matmul_columns_portable, attention_add_portable,
                                    matmul_round_portable,   matmul_columns_portable};

static const struct way others[] = {
#if INF_KERNELS_X86 && defined(INF_KERNELS_EMULATION)
    {KERNELS_AVX2, matmul_prepare_avx2, emulated_columns_avx512, attention_add_avx2, NULL, NULL},
    {KERNELS_AVX2, matmul_prepare_avx2, emulated_columns_avx512vnni, attention_add_avx2,
     emulated_round_avx512bf16, emulated_columns_avx512bf16},
#elif INF_KERNELS_X86
    {KERNELS_AVX2, matmul_prepare_avx2, matmul_columns_avx2, attention_add_avx2, NULL, NULL},
    {KERNELS_AVX512, matmul_prepare_avx2, matmul_columns_avx512, attention_add_avx2, NULL, NULL},
    {KERNELS_AVX512VNNI, matmul_prepare_avx2, matmul_columns_avx512vnni, attention_add_avx2, NULL,
     NULL},
    {KERNELS_AVX512BF16, matmul_prepare_avx2, matmul_columns_avx512vnni, attention_add_avx2,
     matmul_round_avx512bf16, matmul_columns_avx512bf16},
#elif INF_KERNELS_ARM
    {KERNELS_NEON, matmul_prepare_neon, matmul_columns_neon, attention_add_neon, NULL, NULL},
    {KERNELS_NEONDOT, matmul_prepare_neon, matmul_columns_neondot, attention_add_neon, NULL, NULL},
#endif
    {KERNEL_PATHS, NULL, NULL, NULL, NULL, NULL}};

/* The next one that can be run, from `way` on; NULL: none. */
static const struct way *runnable(const struct way *way)
{
    while (way->needs != KERNEL_PATHS && !kernel_path_exists(way->needs))
        way++;
    return way->needs == KERNEL_PATHS ? NULL : way;
}

/* ------------------------------------------------------------------ weights */

enum { MAX_IN = 1024, MAX_COLUMNS = 70, MAX_ROWS = 70 };

/* A number of a row of weights, as GGUF defines it. */
static double weight_at(int32_t type, const uint8_t *row, int32_t i)
{
    const struct block_q8_0 *q8 = (const void *)row;
    const struct block_q4_0 *q4 = (const void *)row;
    const struct block_q4_1 *q41 = (const void *)row;
    const struct block_q5_0 *q50 = (const void *)row;
    const struct block_q4_k *q4k = (const void *)row;
    const struct block_q5_k *q5k = (const void *)row;
    const struct block_q6_k *q6k = (const void *)row;
    int32_t b = i / 32, at = i % 32, k = i / 256, in = i % 256;
    int32_t nibble = at % 16, shift = at / 16 * 4;
    uint8_t scales[16];

    switch (type) {
    case WEIGHT_F32:
        return number_at(row, NUMBER_F32, (size_t)i);
    case WEIGHT_F16:
        return number_at(row, NUMBER_F16, (size_t)i);
    case WEIGHT_BF16:
    case WEIGHT_BF16_ROUNDED:
        return number_at(row, NUMBER_BF16, (size_t)i);
    case WEIGHT_Q8_0:
        return (double)f32_of_f16(q8[b].d) * q8[b].q[at];
    case WEIGHT_Q4_0:
        return (double)f32_of_f16(q4[b].d) * ((q4[b].q[nibble] >> shift & 15) - 8);
    case WEIGHT_Q4_1:
        return (double)f32_of_f16(q41[b].d) * (q41[b].q[nibble] >> shift & 15) +
               f32_of_f16(q41[b].m);
    case WEIGHT_Q5_0:
        return (double)f32_of_f16(q50[b].d) *
               ((q50[b].q[nibble] >> shift & 15) + 16 * (q50[b].high[at / 8] >> at % 8 & 1) - 16);
    case WEIGHT_Q4_K:
        unpack_scales(q4k[k].scales, scales);
        return (double)f32_of_f16(q4k[k].d) * scales[in / 32] *
                   (q4k[k].q[in / 64 * 32 + at] >> in / 32 % 2 * 4 & 15) -
               (double)f32_of_f16(q4k[k].m) * scales[8 + in / 32];
    case WEIGHT_Q5_K:
        unpack_scales(q5k[k].scales, scales);
        return (double)f32_of_f16(q5k[k].d) * scales[in / 32] *
                   ((q5k[k].q[in / 64 * 32 + at] >> in / 32 % 2 * 4 & 15) +
                    16 * (q5k[k].high[at] >> in / 32 & 1)) -
               (double)f32_of_f16(q5k[k].m) * scales[8 + in / 32];
    default:
        return (double)f32_of_f16(q6k[k].d) * q6k[k].scales[in / 16] *
               (((q6k[k].low[in / 128 * 64 + in % 64] >> in / 64 % 2 * 4 & 15) |
                 (q6k[k].high[in / 128 * 32 + at] >> in / 32 % 4 * 2 & 3) << 4) -
                32);
    }
}

static void put_half(uint8_t *at, float value)
{
    uint16_t half = f16_of_f32(value);

    memcpy(at, &half, sizeof half);
}

/* Random bytes, but for the half floats. */
static void fill_weights(int32_t type, uint8_t *w, int32_t n_blocks)
{
    const struct weight_facts *f = &weight_facts[type];
    bool at_end = type == WEIGHT_Q6_K;

    for (int32_t b = 0; b < n_blocks; b++, w += f->bytes) {
        float value = random_float();

        for (int32_t i = 0; i < f->bytes; i++)
            w[i] = (uint8_t)random_u32();
        if (type == WEIGHT_F32)
            memcpy(w, &value, sizeof value);
        else if (type == WEIGHT_BF16 || type == WEIGHT_BF16_ROUNDED)
            memcpy(w, (const char *)&value + 2, 2);
        else
            put_half(at_end ? w + f->bytes - 2 : w, value);
        if (f->has_min)
            put_half(w + 2, random_float());
    }
}

/* ------------------------------------------------------------------ matmuls */

struct example {
    struct matmul m;
    int32_t n_columns;
    uint8_t *w;
    float *x;
    struct activations *prepared;
};

static struct example make_example(int32_t type, int32_t n_in, int32_t n_columns, int32_t n_rows)
{
    const struct weight_facts *f = &weight_facts[type];
    size_t stride = (size_t)(n_in / f->block * f->bytes) + (size_t)random_below(3) * 2;
    size_t prepared = matmul_prepared_bytes(type, n_in);
    struct example e = {.n_columns = n_columns,
                        .w = malloc(stride * (size_t)n_columns),
                        .x = malloc(sizeof(float) * (size_t)(n_in * n_rows)),
                        .prepared = aligned_alloc(64, (prepared + 64) / 64 * 64 * (size_t)n_rows)};

    for (int32_t c = 0; c < n_columns; c++)
        fill_weights(type, e.w + (size_t)c * stride, n_in / f->block);
    for (int32_t i = 0; i < n_in * n_rows; i++)
        e.x[i] = random_float();
    e.m = (struct matmul){.type = type,
                          .n_in = n_in,
                          .w = e.w,
                          .w_stride = stride,
                          .x = prepared ? (const void *)e.prepared : e.x,
                          .x_stride = prepared ? prepared : sizeof(float) * (size_t)n_in,
                          .n_rows = n_rows,
                          .y_stride = (size_t)n_columns + (size_t)random_below(3)};
    return e;
}

static void free_example(struct example *e)
{
    free(e->w);
    free(e->x);
    free(e->prepared);
}

static bool is_rounded(const struct example *e)
{
    return e->m.type == WEIGHT_BF16_ROUNDED;
}

static void prepare(const struct example *e, const struct way *way, int32_t row)
{
    const float *x = e->x + (size_t)(row * e->m.n_in);
    void *out = (char *)e->prepared + (size_t)row * e->m.x_stride;

    if (is_rounded(e))
        way->round(e->m.n_in, x, out);
    else
        way->prepare(e->m.type, e->m.n_in, x, out);
}

/* y, (n_rows, y_stride), of the caller's. */
static float *compute(struct example *e, const struct way *way)
{
    float *y = calloc((size_t)e->m.n_rows * e->m.y_stride, sizeof *y);
    int32_t first = e->n_columns > MATMUL_COLUMNS ? MATMUL_COLUMNS : 0;
    columns *multiply = is_rounded(e) ? way->multiply_rounded : way->multiply;

    for (int32_t r = 0; e->m.x == e->prepared && r < e->m.n_rows; r++)
        prepare(e, way, r);
    e->m.y = y;
    multiply(&e->m, 0, first);
    multiply(&e->m, first, e->n_columns - first);
    return y;
}

/* The activations that are multiplied: quantised and rounded ones are what they were made to. */
static double activation_at(const struct example *e, int32_t row, int32_t i)
{
    const struct activations *a = (const void *)((const char *)e->prepared +
                                                 (size_t)row * e->m.x_stride);

    if (is_rounded(e))
        return number_at(a, NUMBER_BF16, (size_t)i);
    return e->m.x == e->x ? (double)e->x[row * e->m.n_in + i]
                          : (double)a[i / 256].d[i % 256 / 32] * a[i / 256].q[i % 256];
}

static void check_sums(const struct example *e, const float *y)
{
    for (int32_t r = 0; r < e->m.n_rows; r++) {
        for (int32_t c = 0; c < e->n_columns; c++) {
            double sum = 0;
            double size = 0;

            for (int32_t i = 0; i < e->m.n_in; i++) {
                double product = weight_at(e->m.type, e->w + (size_t)c * e->m.w_stride, i) *
                                 activation_at(e, r, i);

                sum += product;
                size += fabs(product);
            }
            /* Minima are added to sums of what is above them. */
            assert_true(fabs(y[(size_t)r * e->m.y_stride + (size_t)c] - sum) <= 4e-6 * size + 1e-4);
        }
    }
}

/* Quantising keeps seven bits and a sign, rounding eight and a sign. */
static void check_prepared(const struct example *e)
{
    for (int32_t r = 0; e->m.x == e->prepared && r < e->m.n_rows; r++)
        for (int32_t i = 0; i < e->m.n_in; i++)
            assert_true(fabs(activation_at(e, r, i) - (double)e->x[r * e->m.n_in + i]) <=
                        0.5 / 126);
}

/* One row alone has the bits that it has among others. */
static void check_alone(struct example *e, const struct way *way, const float *y)
{
    int32_t n_rows = e->m.n_rows;
    int32_t row = random_below(n_rows);
    float *x = e->x;
    float *alone = NULL;

    e->x = x + (size_t)(row * e->m.n_in);
    if (e->m.x == x)
        e->m.x = e->x;
    e->m.n_rows = 1;
    alone = compute(e, way);
    assert_memory_equal(alone, y + (size_t)row * e->m.y_stride,
                        sizeof(float) * (size_t)e->n_columns);
    free(alone);
    if (e->m.x == e->x)
        e->m.x = x;
    e->x = x;
    e->m.n_rows = n_rows;
}

/* Rows that are picked, some of them twice, and put elsewhere have the bits that they have in order. */
static void check_picked(struct example *e, const struct way *way, const float *y)
{
    struct matmul_row rows[MAX_ROWS];
    float *picked = NULL;

    for (int32_t r = 0; r < e->m.n_rows; r++)
        rows[r] = (struct matmul_row){random_below(e->m.n_rows), e->m.n_rows - 1 - r};
    e->m.rows = rows;
    picked = compute(e, way);
    for (int32_t r = 0; r < e->m.n_rows; r++)
        assert_memory_equal(picked + (size_t)rows[r].y * e->m.y_stride,
                            y + (size_t)rows[r].x * e->m.y_stride,
                            sizeof(float) * (size_t)e->n_columns);
    free(picked);
    e->m.rows = NULL;
}

static int32_t random_n_in(int32_t type)
{
    int32_t block = weight_facts[type].block;

    return block * (1 + random_below(MAX_IN / (block == 1 ? 4 : block)));
}

static void check_type(int32_t type)
{
    for (int i = 0; i < 24; i++) {
        int32_t n_rows = i < 10 ? 1 + i : 1 + random_below(MAX_ROWS);
        struct example e = make_example(type, random_n_in(type), 1 + random_below(MAX_COLUMNS),
                                        n_rows);
        float *y = compute(&e, &portable);

        check_prepared(&e);
        check_sums(&e, y);
        check_alone(&e, &portable, y);
        check_picked(&e, &portable, y);
        for (const struct way *w = runnable(others); w; w = runnable(w + 1)) {
            float *other = NULL;

            if (is_rounded(&e) && !w->round)
                continue;
            other = compute(&e, w);
            if (is_rounded(&e))
                check_sums(&e, other);
            else
                assert_memory_equal(y, other, sizeof(float) * (size_t)n_rows * e.m.y_stride);
            check_alone(&e, w, other);
            check_picked(&e, w, other);
            free(other);
        }
        free(y);
        free_example(&e);
    }
}

static void test_matmul__every_type__adds_up_and_has_one_result(void **state)
{
    (void)state;
    for (int32_t type = 0; type < WEIGHT_TYPES; type++)
        check_type(type);
}

static void check_nan(int32_t type, float bad, const struct way *way)
{
    struct example e = make_example(type, 512, 40, 9);
    float *before = compute(&e, way);
    float *after = NULL;

    e.x[4 * 512 + 300] = bad;
    after = compute(&e, way);
    for (int32_t r = 0; r < 9; r++) {
        size_t at = (size_t)r * e.m.y_stride;

        if (r != 4)
            assert_memory_equal(before + at, after + at, 40 * sizeof(float));
        for (int32_t c = 0; r == 4 && c < 40; c++)
            assert_true(isnan(after[at + (size_t)c]) || isinf(after[at + (size_t)c]));
    }
    free(before);
    free(after);
    free_example(&e);
}

static void test_matmul__what_is_not_finite__stays_in_its_row(void **state)
{
    const float bad[] = {NAN, INFINITY, -INFINITY};

    (void)state;
    for (int32_t type = 0; type < WEIGHT_TYPES; type++) {
        for (int i = 0; i < 3; i++) {
            check_nan(type, bad[i], &portable);
            for (const struct way *w = runnable(others); w; w = runnable(w + 1))
                if (type != WEIGHT_BF16_ROUNDED || w->round)
                    check_nan(type, bad[i], w);
        }
    }
}

/* The largest numbers there are must not overflow the sums of 16 bits. */
static void test_matmul__largest_weights_and_activations__add_up(void **state)
{
    (void)state;
    for (int32_t type = WEIGHT_Q8_0; type < WEIGHT_TYPES; type++) {
        struct example e = make_example(type, 512, 20, 6);
        float *y = NULL;

        for (size_t i = 0; i < 20 * e.m.w_stride; i++)
            e.w[i] = type == WEIGHT_Q8_0 ? 0x80 : 0xff;
        for (int32_t c = 0; c < 20; c++) {
            int32_t bytes = weight_facts[type].bytes;

            for (int32_t b = 0; b < 512 / weight_facts[type].block; b++) {
                uint8_t *w = e.w + (size_t)c * e.m.w_stride + (size_t)(b * bytes);

                put_half(type == WEIGHT_Q6_K ? w + bytes - 2 : w, 1);
                if (weight_facts[type].has_min)
                    put_half(w + 2, 1);
            }
        }
        for (int32_t i = 0; i < 512 * 6; i++)
            e.x[i] = i % 1024 < 512 ? -1 : 1;
        y = compute(&e, &portable);
        check_sums(&e, y);
        for (const struct way *w = runnable(others); w; w = runnable(w + 1)) {
            float *other = compute(&e, w);

            assert_memory_equal(y, other, sizeof(float) * 6 * e.m.y_stride);
            check_alone(&e, w, other);
            free(other);
        }
        free(y);
        free_example(&e);
    }
}

/* Longer rows of weights than those of which sums are kept at once. */
static void test_matmul__long_rows__one_result(void **state)
{
    (void)state;
    for (int32_t type = WEIGHT_Q8_0; type < WEIGHT_TYPES; type++) {
        for (int32_t n_rows = 1; n_rows <= 3; n_rows++) {
            int32_t n_in = 256 * (40 * n_rows + 2) + weight_facts[type].block % 256;
            struct example e = make_example(type, n_in, 21, n_rows);
            float *y = compute(&e, &portable);

            check_sums(&e, y);
            for (const struct way *w = runnable(others); w; w = runnable(w + 1)) {
                float *other = compute(&e, w);

                assert_memory_equal(y, other, sizeof(float) * (size_t)n_rows * e.m.y_stride);
                free(other);
            }
            free(y);
            free_example(&e);
        }
    }
}

/* ------------------------------------------------------------------ attention */

enum { MAX_CELLS = 700, MAX_QUERIES = 12 };

struct attention_example {
    struct attention_cells cells;
    struct attention_scores scores;
    int32_t n_cells, n_queries;
    uint16_t *k, *v;
    uint16_t mask[MAX_QUERIES][MAX_CELLS];
    float q[MAX_QUERIES][ATTENTION_MAX_HEAD];
    float slope[MAX_QUERIES];
};

static struct attention_example *make_attention(void)
{
    struct attention_example *e = calloc(1, sizeof *e);
    int32_t dk = 8 * (1 + random_below(ATTENTION_MAX_HEAD / 8));
    int32_t dv = 8 * (1 + random_below(ATTENTION_MAX_HEAD / 8));

    e->n_cells = 1 + random_below(MAX_CELLS);
    e->n_queries = 1 + random_below(MAX_QUERIES);
    e->k = malloc(sizeof *e->k * (size_t)(e->n_cells * dk));
    e->v = malloc(sizeof *e->v * (size_t)(e->n_cells * dv));
    for (int32_t i = 0; i < e->n_cells * dk; i++)
        e->k[i] = f16_of_f32(random_float() * 3);
    for (int32_t i = 0; i < e->n_cells * dv; i++)
        e->v[i] = f16_of_f32(random_float());
    e->cells = (struct attention_cells){(const char *)e->k,
                                        (const char *)e->v,
                                        sizeof *e->k * (size_t)dk,
                                        sizeof *e->v * (size_t)dv,
                                        dk,
                                        dv,
                                        false};
    e->scores = (struct attention_scores){1 / sqrtf((float)dk), (float)random_below(2) * 5};
    for (int32_t i = 0; i < e->n_queries; i++) {
        int32_t seen = 1 + random_below(e->n_cells);
        int32_t from = random_below(seen);

        e->slope[i] = random_below(2) ? 1 : 0.25f;
        for (int32_t c = 0; c < e->n_cells; c++)
            e->mask[i][c] = c >= from && c < seen ? f16_of_f32(-(float)random_below(3)) : 0xfc00;
        for (int32_t j = 0; j < dk; j++)
            e->q[i][j] = random_float() * 2;
    }
    return e;
}

static void free_attention(struct attention_example *e)
{
    free(e->k);
    free(e->v);
    free(e);
}

/* Queries first .. first+n-1 in segments, as they are cut for everyone. out: (n, dv). */
static void attend(const struct attention_example *e, add_cells *add, int32_t first, int32_t n,
                   float *out)
{
    static float states[2][MAX_QUERIES][2 + ATTENTION_MAX_HEAD];
    int32_t dv = e->cells.dv;

    for (int32_t from = 0; from < e->n_cells; from += ATTENTION_SEGMENT) {
        struct attention_query queries[MAX_QUERIES];
        int32_t end = from + ATTENTION_SEGMENT < e->n_cells ? from + ATTENTION_SEGMENT : e->n_cells;
        int later = from > 0;

        for (int32_t i = 0; i < n; i++) {
            queries[i] = (struct attention_query){e->q[first + i], e->mask[first + i],
                                                  e->slope[first + i], states[later][i]};
            attention_start(states[later][i], dv);
        }
        add(&e->cells, from, end, &e->scores, queries, n);
        for (int32_t i = 0; later && i < n; i++)
            attention_merge(states[0][i], states[1][i], dv);
    }
    for (int32_t i = 0; i < n; i++)
        attention_finish(states[0][i], NULL, out + i * dv, dv);
}

static double score_of(const struct attention_example *e, int32_t query, int32_t cell)
{
    double score = 0;

    for (int32_t j = 0; j < e->cells.dk; j++)
        score += (double)f32_of_f16(e->k[cell * e->cells.dk + j]) * (double)e->q[query][j];
    score *= (double)e->scores.scale;
    if (e->scores.cap != 0)
        score = (double)e->scores.cap * tanh(score);
    return score + (double)e->slope[query] * (double)f32_of_f16(e->mask[query][cell]);
}

static void check_attention(const struct attention_example *e, const float *out)
{
    for (int32_t i = 0; i < e->n_queries; i++) {
        double sum = 0;
        double values[ATTENTION_MAX_HEAD] = {0};

        for (int32_t c = 0; c < e->n_cells; c++) {
            double p = 0;

            if (e->mask[i][c] == 0xfc00)
                continue;
            p = exp(score_of(e, i, c));
            sum += p;
            for (int32_t j = 0; j < e->cells.dv; j++)
                values[j] += p * (double)f32_of_f16(e->v[c * e->cells.dv + j]);
        }
        for (int32_t j = 0; j < e->cells.dv; j++)
            assert_true(fabs((double)out[i * e->cells.dv + j] - values[j] / sum) < 1e-5);
    }
}

/* What no query sees may be anything. */
static void spoil_unseen(struct attention_example *e)
{
    for (int32_t c = 0; c < e->n_cells; c++) {
        bool is_seen = false;

        for (int32_t i = 0; i < e->n_queries; i++)
            is_seen = is_seen || e->mask[i][c] != 0xfc00;
        for (int32_t j = 0; !is_seen && j < e->cells.dk; j++)
            e->k[c * e->cells.dk + j] = 0x7e00;
        for (int32_t j = 0; !is_seen && j < e->cells.dv; j++)
            e->v[c * e->cells.dv + j] = 0x7e00;
    }
}

static void check_with(struct attention_example *e, add_cells *add, float *out)
{
    int32_t dv = e->cells.dv;
    int32_t one = random_below(e->n_queries);
    float alone[ATTENTION_MAX_HEAD];

    attend(e, add, 0, e->n_queries, out);
    check_attention(e, out);
    attend(e, add, one, 1, alone);
    assert_memory_equal(alone, out + one * dv, sizeof(float) * (size_t)dv);
}

static float *widened(const uint16_t *halves, int32_t n)
{
    float *out = malloc((size_t)n * sizeof *out);

    for (int32_t i = 0; i < n; i++)
        out[i] = f32_of_f16(halves[i]);
    return out;
}

/* The same numbers as floats: the same bits come out. */
static void check_floats(struct attention_example *e, add_cells *add, const float *wanted)
{
    static float out[MAX_QUERIES * ATTENTION_MAX_HEAD];
    struct attention_cells halves = e->cells;
    float *k = widened(e->k, e->n_cells * halves.dk);
    float *v = widened(e->v, e->n_cells * halves.dv);
    float alone[ATTENTION_MAX_HEAD];

    e->cells = (struct attention_cells){(const char *)k,
                                        (const char *)v,
                                        sizeof *k * (size_t)halves.dk,
                                        sizeof *v * (size_t)halves.dv,
                                        halves.dk,
                                        halves.dv,
                                        true};
    attend(e, add, 0, e->n_queries, out);
    assert_memory_equal(out, wanted, sizeof(float) * (size_t)(e->n_queries * halves.dv));
    attend(e, add, 0, 1, alone);
    assert_memory_equal(alone, wanted, sizeof(float) * (size_t)halves.dv);
    e->cells = halves;
    free(k);
    free(v);
}

static void test_attention__queries__are_exact_and_independent(void **state)
{
    static float out[MAX_QUERIES * ATTENTION_MAX_HEAD];

    (void)state;
    for (int i = 0; i < 40; i++) {
        struct attention_example *e = make_attention();

        spoil_unseen(e);
        check_with(e, attention_add_portable, out);
        check_floats(e, attention_add_portable, out);
        for (const struct way *w = runnable(others); w; w = runnable(w + 1)) {
            static float other[MAX_QUERIES * ATTENTION_MAX_HEAD];

            check_with(e, w->attend, other);
            check_floats(e, w->attend, other);
            assert_memory_equal(out, other, sizeof(float) * (size_t)(e->n_queries * e->cells.dv));
        }
        free_attention(e);
    }
}

static void check_nan_in_query(const struct way *way)
{
    static float out[MAX_QUERIES * ATTENTION_MAX_HEAD];

    for (int i = 0; i < 10; i++) {
        struct attention_example *e = make_attention();
        int32_t bad = random_below(e->n_queries);

        e->q[bad][0] = NAN;
        attend(e, way->attend, 0, e->n_queries, out);
        for (int32_t q = 0; q < e->n_queries; q++)
            for (int32_t j = 0; j < e->cells.dv; j++)
                assert_true(isnan(out[q * e->cells.dv + j]) == (q == bad));
        free_attention(e);
    }
}

static void test_attention__a_nan__is_not_lost(void **state)
{
    (void)state;
    check_nan_in_query(&portable);
    for (const struct way *w = runnable(others); w; w = runnable(w + 1))
        check_nan_in_query(w);
}

static void test_exp__of_all_sizes__is_exact(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        float x = -(float)i * 0.0043f;

        assert_true(fabs((double)attention_exp(x) - exp((double)x)) <= 2e-7 * exp((double)x));
    }
    assert_true(attention_exp(-INFINITY) == 0);
    assert_true(attention_exp(-1000) == 0);
    assert_true(isnan(attention_exp(NAN)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matmul__every_type__adds_up_and_has_one_result),
        cmocka_unit_test(test_matmul__what_is_not_finite__stays_in_its_row),
        cmocka_unit_test(test_matmul__largest_weights_and_activations__add_up),
        cmocka_unit_test(test_matmul__long_rows__one_result),
        cmocka_unit_test(test_attention__queries__are_exact_and_independent),
        cmocka_unit_test(test_attention__a_nan__is_not_lost),
        cmocka_unit_test(test_exp__of_all_sizes__is_exact),
    };

    return cmocka_run_group_tests_name("kernels", tests, NULL, NULL);
}
