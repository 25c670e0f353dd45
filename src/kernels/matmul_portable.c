/*
 * matmul in portable C: the same operations in the same order as the others, one number at a time.
 */
#include "kernels/blocks.h"

#include "core/numbers.h"

#include <math.h>
#include <string.h>

/* ------------------------------------------------------------------ activations */

/* The scale of a block: NaN where a number is not finite, so that the whole row's results are. */
static float scale_of(const float *x)
{
    float largest = 0;
    float zero = 0; /* NaN when a number is not finite */

    for (int i = 0; i < BLOCK; i++) {
        largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
        zero += x[i] * 0;
    }
    return zero == 0 ? largest / 127 : NAN;
}

static int8_t quantise(float x, float inverse)
{
    float q = rintf(x * inverse);

    return q >= -127 && q <= 127 ? (int8_t)q : 0;
}

static void prepare_block(const struct weight_facts *f, const float *x, struct activations *out,
                          int32_t b)
{
    float d = scale_of(x);
    float inverse = d > 0 ? 1 / d : 0;
    int32_t sums[2] = {0, 0};

    for (int i = 0; i < BLOCK; i++) {
        int8_t q = quantise(x[i], inverse);

        out->q[b * BLOCK + i] = q;
        sums[i / 16] += q;
    }
    keep_sums(f, out, b, d, sums);
}

void matmul_prepare_portable(int32_t type, int32_t n_in, const float *x, struct activations *out)
{
    for (int32_t i = 0; i < chunk_count(n_in); i++) {
        memset(&out[i], 0, sizeof out[i]);
        for (int32_t b = 0; b < blocks_in_chunk(n_in, i); b++)
            prepare_block(&weight_facts[type], x + i * CHUNK + b * BLOCK, &out[i], b);
    }
}

void matmul_round_portable(int32_t n_in, const float *x, uint16_t *out)
{
    memset(out, 0, (size_t)rounded_numbers(n_in) * sizeof *out);
    for (int32_t i = 0; i < n_in; i++)
        out[i] = bf16_of_f32(x[i]);
}

/* ------------------------------------------------------------------ weights */

/* A chunk of a row: the numbers as stored, the scales and minima. */
struct unpacked {
    int16_t q[CHUNK];
    float scale[GROUPS];
    float min[CHUNK_BLOCKS];
};

static void unpack_nibbles(const uint8_t *q, int16_t *out, int32_t half)
{
    for (int32_t i = 0; i < half; i++) {
        out[i] = q[i] & 15;
        out[half + i] = q[i] >> 4;
    }
}

static void unpack_simple(int32_t type, const void *w, int32_t n_blocks, struct unpacked *out)
{
    for (int32_t b = 0; b < n_blocks; b++) {
        const struct block_q8_0 *q8 = (const struct block_q8_0 *)w + b;
        const struct block_q4_0 *q4 = (const struct block_q4_0 *)w + b;
        const struct block_q5_0 *q5 = (const struct block_q5_0 *)w + b;
        const struct block_q4_1 *q4m = (const struct block_q4_1 *)w + b;

        if (type == WEIGHT_Q8_0) {
            for (int i = 0; i < BLOCK; i++)
                out->q[b * BLOCK + i] = (int16_t)(q8->q[i] + Q8_0_LEAST);
            out->scale[b] = f32_of_f16(q8->d);
        } else if (type == WEIGHT_Q4_0) {
            unpack_nibbles(q4->q, out->q + b * BLOCK, BLOCK / 2);
            out->scale[b] = f32_of_f16(q4->d);
        } else if (type == WEIGHT_Q5_0) {
            unpack_nibbles(q5->q, out->q + b * BLOCK, BLOCK / 2);
            for (int i = 0; i < BLOCK; i++)
                out->q[b * BLOCK + i] = (int16_t)(out->q[b * BLOCK + i] |
                                                  (q5->high[i / 8] >> i % 8 & 1) << 4);
            out->scale[b] = f32_of_f16(q5->d);
        } else {
            unpack_nibbles(q4m->q, out->q + b * BLOCK, BLOCK / 2);
            out->scale[b] = f32_of_f16(q4m->d);
            out->min[b] = f32_of_f16(q4m->m);
        }
    }
}

/* Q4_K; with `high`, Q5_K. */
static void unpack_k(const uint8_t *head, const uint8_t *high, const uint8_t *q,
                     struct unpacked *out)
{
    uint8_t scales[16];
    uint16_t d[2];

    memcpy(d, head, sizeof d);
    unpack_scales(head + sizeof d, scales);
    for (int32_t b = 0; b < CHUNK_BLOCKS; b++) {
        out->scale[b] = f32_of_f16(d[0]) * (float)scales[b];
        out->min[b] = -f32_of_f16(d[1]) * (float)scales[8 + b];
    }
    for (int32_t pair = 0; pair < CHUNK_BLOCKS / 2; pair++)
        unpack_nibbles(q + pair * BLOCK, out->q + pair * 2 * BLOCK, BLOCK);
    for (int32_t i = 0; high && i < CHUNK; i++)
        out->q[i] = (int16_t)(out->q[i] | (high[i % BLOCK] >> i / BLOCK & 1) << 4);
}

static void unpack_q6_k(const struct block_q6_k *w, struct unpacked *out)
{
    for (int32_t i = 0; i < CHUNK; i++) {
        int32_t half = i / 128, quarter = i / 32 % 4, at = i % 32;
        uint8_t low = w->low[half * 64 + quarter % 2 * 32 + at];
        uint8_t high = w->high[half * 32 + at];

        out->q[i] = (int16_t)((quarter < 2 ? low & 15 : low >> 4) | (high >> 2 * quarter & 3) << 4);
    }
    for (int32_t g = 0; g < GROUPS; g++)
        out->scale[g] = f32_of_f16(w->d) * (float)w->scales[g];
}

static void unpack(int32_t type, const void *w, int32_t n_blocks, struct unpacked *out)
{
    const struct block_q4_k *q4 = w;
    const struct block_q5_k *q5 = w;

    if (type == WEIGHT_Q4_K)
        unpack_k(w, NULL, q4->q, out);
    else if (type == WEIGHT_Q5_K)
        unpack_k(w, q5->high, q5->q, out);
    else if (type == WEIGHT_Q6_K)
        unpack_q6_k(w, out);
    else
        unpack_simple(type, w, n_blocks, out);
}

/* ------------------------------------------------------------------ products */

static float add_chunk(const struct weight_facts *f, const struct unpacked *w,
                       const struct activations *x, int32_t n_blocks, float y)
{
    int32_t groups = n_blocks * BLOCK / f->group;

    for (int32_t g = 0; g < groups; g++) {
        int32_t b = g * f->group / BLOCK;
        int32_t sum = -x->sum[g];

        for (int32_t i = g * f->group; i < (g + 1) * f->group; i++)
            sum += w->q[i] * x->q[i];
        y = fmaf((float)sum * w->scale[g], x->d[b], y);
        if (f->has_min)
            y = fmaf(w->min[b], x->s[b], y);
    }
    return y;
}

static void quantised_column(const struct matmul *m, int32_t column)
{
    const struct weight_facts *f = &weight_facts[m->type];
    const char *w = (const char *)m->w + (size_t)column * m->w_stride;
    size_t chunk_bytes = (size_t)(CHUNK / f->block) * (size_t)f->bytes;
    struct unpacked chunk = {0};

    for (int32_t r = 0; r < m->n_rows; r++)
        matmul_y(m, r)[column] = 0;
    for (int32_t i = 0; i < chunk_count(m->n_in); i++) {
        int32_t n_blocks = blocks_in_chunk(m->n_in, i);

        unpack(m->type, w + (size_t)i * chunk_bytes, n_blocks, &chunk);
        for (int32_t r = 0; r < m->n_rows; r++) {
            const struct activations *x = matmul_x(m, r);
            float *y = matmul_y(m, r) + column;

            *y = add_chunk(f, &chunk, x + i, n_blocks, *y);
        }
    }
}

static float dot(const struct matmul *m, const void *w, const float *x)
{
    int32_t type = m->type == WEIGHT_F32   ? NUMBER_F32
                   : m->type == WEIGHT_F16 ? NUMBER_F16
                                           : NUMBER_BF16;
    float s[8] = {0};

    for (int32_t i = 0; i < m->n_in; i++)
        s[i % 8] = fmaf(number_at(w, type, (size_t)i), x[i], s[i % 8]);
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

/* Sixteen sums of pairs, of which the second number comes first; added up as the vectors do it. */
static float dot_rounded(const struct matmul *m, const void *w, const void *x)
{
    float s[16] = {0};

    for (int32_t i = 0; i < m->n_in; i++) {
        int32_t at = i ^ 1;
        float *sum = &s[at / 2 % 16];

        if (at < m->n_in)
            *sum = fmaf(number_at(w, NUMBER_BF16, (size_t)at),
                        number_at(x, NUMBER_BF16, (size_t)at), *sum);
        else
            *sum = fmaf(number_at(w, NUMBER_BF16, (size_t)i), number_at(x, NUMBER_BF16, (size_t)i),
                        *sum);
    }
    for (int i = 0; i < 16; i += 4)
        s[i / 4] = (s[i] + s[i + 2]) + (s[i + 1] + s[i + 3]);
    return (s[0] + s[2]) + (s[1] + s[3]);
}

void matmul_columns_portable(const struct matmul *m, int32_t first, int32_t n)
{
    for (int32_t c = first; c < first + n; c++) {
        const char *w = (const char *)m->w + (size_t)c * m->w_stride;

        if (weight_is_quantised(m->type))
            quantised_column(m, c);
        for (int32_t r = 0; !weight_is_quantised(m->type) && r < m->n_rows; r++)
            matmul_y(m, r)[c] = m->type == WEIGHT_BF16_ROUNDED ? dot_rounded(m, w, matmul_x(m, r))
                                                               : dot(m, w, matmul_x(m, r));
    }
}
