/* lora_kernels: the vector paths of kernels and conversions against portable C, and a row's
 * independence of its neighbours. */
#include "core/cpu_features.h"
#include "lora/convert.h"
#include "lora/kernels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t state = 1;

static float random_float(void)
{
    state = state * 1664525u + 1013904223u;
    return (float)(int32_t)state / 2147483648.0f;
}

/* Any half but NaN and infinity. */
static uint16_t random_half(void)
{
    uint16_t h = 0;

    state = state * 1664525u + 1013904223u;
    h = (uint16_t)(state >> 16);
    return (h & 0x7c00u) == 0x7c00u ? (uint16_t)(h & ~0x4000u) : h;
}

static void *make_weights(int32_t type, size_t n)
{
    uint16_t *half = aligned_alloc(64, (n * 4 + 63) / 64 * 64);

    for (size_t i = 0; i < n; i++)
        if (type == NUMBER_F32)
            ((float *)(void *)half)[i] = random_float();
        else if (type == NUMBER_BF16)
            half[i] = (uint16_t)((random_half() & 0x807fu) | 0x3e00u); /* 2^-3 .. 2^-2 */
        else
            half[i] = (uint16_t)((random_half() & 0x83ffu) | 0x3000u); /* 2^-3 .. 2^-2 */
    return half;
}

static struct lora_module make_module(int32_t type, int32_t n_in, int32_t n_out, int32_t rank)
{
    struct lora_module m = {.tensor = "t",
                            .n_in = n_in,
                            .n_out = n_out,
                            .rank = rank,
                            .type = type,
                            .scale = 2,
                            .gain = 0.5f,
                            .padded_in = (n_in + 15) / 16 * 16,
                            .padded_out = (n_out + 15) / 16 * 16};

    m.a = make_weights(type, (size_t)rank * (size_t)m.padded_in);
    m.bt = make_weights(type, (size_t)rank * (size_t)m.padded_out);
    return m;
}

static void free_module(struct lora_module *m)
{
    free((void *)(uintptr_t)m->a);
    free((void *)(uintptr_t)m->bt);
}

static float *random_rows(size_t n)
{
    float *x = malloc(n * sizeof *x);

    for (size_t i = 0; i < n; i++)
        x[i] = random_float();
    return x;
}

static struct lora_rows rows_at(const float *data, size_t stride, int32_t n)
{
    return (struct lora_rows){(float *)(uintptr_t)data, stride, n};
}

/* The same bits by AVX2 alone, which computes fewer at once. */
static void check_with_fewer_registers(const struct lora_module *m, float scale,
                                       const struct lora_rows *x, const struct lora_rows *h)
{
#if defined(__x86_64__) && defined(__GNUC__)
    size_t bytes = (size_t)h->n * h->stride * sizeof(float);
    struct lora_rows other = rows_at(malloc(bytes), h->stride, h->n);

    if (cpu_has_avx2()) {
        lora_shrink_avx2(m, scale, x, 0, m->rank, &other);
        assert_memory_equal(other.data, h->data, bytes);
    }
    free(other.data);
#else
    (void)m, (void)scale, (void)x, (void)h;
#endif
}

/* Both passes, whole: y += scale * B (A x). */
static void apply(const struct lora_module *m, float scale, const float *x, size_t x_stride,
                  float *y, size_t y_stride, int32_t n_rows)
{
    struct lora_rows in = rows_at(x, x_stride, n_rows);
    struct lora_rows out = rows_at(y, y_stride, n_rows);
    struct lora_rows h = rows_at(malloc((size_t)n_rows * (size_t)m->rank * sizeof(float)),
                                 (size_t)m->rank, n_rows);

    lora_shrink(m, scale, &in, 0, m->rank, &h);
    check_with_fewer_registers(m, scale, &in, &h);
    lora_expand(m, &h, 0, m->n_out, &out);
    free(h.data);
}

static void apply_portable(const struct lora_module *m, float scale, const float *x,
                           size_t x_stride, float *y, size_t y_stride, int32_t n_rows)
{
    struct lora_rows in = rows_at(x, x_stride, n_rows);
    struct lora_rows out = rows_at(y, y_stride, n_rows);
    struct lora_rows h = rows_at(malloc((size_t)n_rows * (size_t)m->rank * sizeof(float)),
                                 (size_t)m->rank, n_rows);

    lora_shrink_portable(m, scale, &in, 0, m->rank, &h);
    lora_expand_portable(m, &h, 0, m->n_out, &out);
    free(h.data);
}

static void check_against_portable(int32_t type, int32_t n_in, int32_t n_out, int32_t rank,
                                   int32_t n_rows)
{
    struct lora_module m = make_module(type, n_in, n_out, rank);
    size_t xs = (size_t)n_in + 3;
    size_t ys = (size_t)n_out + 5;
    float *x = random_rows((size_t)n_rows * xs);
    float *y = random_rows((size_t)n_rows * ys);
    float *want = malloc((size_t)n_rows * ys * sizeof *want);

    memcpy(want, y, (size_t)n_rows * ys * sizeof *want);
    apply(&m, 1.5f, x, xs, y, ys, n_rows);
    apply_portable(&m, 1.5f, x, xs, want, ys, n_rows);
    for (size_t i = 0; i < (size_t)n_rows * ys; i++)
        assert_true(fabsf(y[i] - want[i]) <= 1e-4f * (1.0f + fabsf(want[i])));
    free(x);
    free(y);
    free(want);
    free_module(&m);
}

static void test_lora_apply__any_shape__equals_portable(void **unused)
{
    static const int32_t sizes[] = {1, 7, 8, 15, 16, 17, 64, 65, 192, 576};
    static const int32_t ranks[] = {1, 2, 3, 4, 7, 8, 9, 16, 33};

    (void)unused;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t r = 0; r < sizeof ranks / sizeof *ranks; r++) {
            int32_t rows = (int32_t)(i + r) % 9 + 1;

            check_against_portable(NUMBER_F16, sizes[i], sizes[9 - i], ranks[r], rows);
            check_against_portable(NUMBER_F32, sizes[i], sizes[9 - i], ranks[r], rows);
            check_against_portable(NUMBER_BF16, sizes[i], sizes[9 - i], ranks[r], rows);
        }
    }
}

static void test_lora_apply__every_finite_half__converts_exactly(void **unused)
{
    struct lora_module m = {.n_in = 1, .n_out = 1, .rank = 1, .type = NUMBER_F16, .gain = 1};
    uint16_t a[16] = {0};
    uint16_t b[16] = {0x3c00}; /* 1 */
    float one = 1;

    (void)unused;
    m.a = a;
    m.bt = b;
    m.padded_in = m.padded_out = 16;
    for (uint32_t h = 0; h < 0x10000; h++) {
        int exponent = (int)(h >> 10 & 0x1f);
        float mantissa = (float)(h & 0x3ff);
        float want = exponent ? ldexpf(1024 + mantissa, exponent - 25) : ldexpf(mantissa, -24);
        float y = 0;

        if (exponent == 0x1f)
            continue;
        a[0] = (uint16_t)h;
        apply_portable(&m, 1, &one, 1, &y, 1, 1);
        assert_true(y == (h & 0x8000 ? -want : want));
    }
}

static void test_lora_apply__row_among_others__is_bit_for_bit_the_row_alone(void **unused)
{
    struct lora_module m = make_module(NUMBER_F16, 576, 192, 8);
    float *x = random_rows(9 * 576);
    float *together = calloc(9 * 192, sizeof *together);
    float *alone = calloc(192, sizeof *alone);

    (void)unused;
    apply(&m, 1, x, 576, together, 192, 9);
    for (size_t r = 0; r < 9; r++) {
        memset(alone, 0, 192 * sizeof *alone);
        apply(&m, 1, x + r * 576, 576, alone, 192, 1);
        assert_memory_equal(alone, together + r * 192, 192 * sizeof *alone);
    }
    free(x);
    free(together);
    free(alone);
    free_module(&m);
}

/* However the threads share the ranks and the columns. */
static void test_lora_apply__in_parts__is_bit_for_bit_the_whole(void **unused)
{
    static const int32_t cuts[] = {1, 4, 5, 8, 12};
    struct lora_module m = make_module(NUMBER_F16, 71, 203, 13);
    float *x = random_rows(5 * 71);
    float *whole = calloc(5 * 203, sizeof *whole);
    float *parts = calloc(5 * 203, sizeof *parts);
    float *h = calloc(5 * 13, sizeof *h);
    struct lora_rows in = rows_at(x, 71, 5);
    struct lora_rows middle = rows_at(h, 13, 5);
    struct lora_rows out = rows_at(parts, 203, 5);

    (void)unused;
    apply(&m, 0.7f, x, 71, whole, 203, 5);
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        memset(parts, 0, 5 * 203 * sizeof *parts);
        lora_shrink(&m, 0.7f, &in, 0, cuts[i], &middle);
        lora_shrink(&m, 0.7f, &in, cuts[i], 13 - cuts[i], &middle);
        for (int32_t o = 0; o < 203; o += cuts[i] * LORA_COLUMNS)
            lora_expand(&m, &middle, o,
                        203 - o < cuts[i] * LORA_COLUMNS ? 203 - o : cuts[i] * LORA_COLUMNS, &out);
        assert_memory_equal(whole, parts, 5 * 203 * sizeof *parts);
    }
    free(x);
    free(whole);
    free(parts);
    free(h);
    free_module(&m);
}

static void test_lora_apply__row_with_nan__leaves_the_others_alone(void **unused)
{
    struct lora_module m = make_module(NUMBER_F32, 64, 64, 4);
    float *x = random_rows(4 * 64);
    float *y = calloc(4 * 64, sizeof *y);

    (void)unused;
    x[64 + 5] = NAN;
    apply(&m, 1, x, 64, y, 64, 4);
    for (size_t i = 0; i < 256; i++)
        assert_true((i / 64 == 1) == !isfinite(y[i]));
    free(x);
    free(y);
    free_module(&m);
}

/* Bytes of any bits, NaN and infinity among them. */
static void *random_bytes(size_t n)
{
    unsigned char *bytes = malloc(n + 1);

    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        bytes[i] = (unsigned char)(state >> 24);
    }
    return bytes;
}

static void check_conversion(int32_t source, int32_t type, int32_t rows, int32_t cols, int32_t head)
{
    int32_t padded_cols = (cols + 15) / 16 * 16;
    int32_t padded_rows = (rows + 15) / 16 * 16;
    size_t n = (size_t)(padded_cols * padded_rows);
    unsigned char *src = random_bytes((size_t)(rows * cols) * number_size(source));
    void *is = calloc(n, 4);
    void *want = calloc(n, 4);

    for (int32_t i = 0; i < rows * cols; i++) /* a NaN's bits may differ */
        if (!isfinite(number_at(src, source, (size_t)i)))
            memset(src + (size_t)i * number_size(source), 0, number_size(source));
    lora_convert_rows(is, type, padded_cols, src, source, rows, cols, 0.5f);
    lora_convert_rows_portable(want, type, padded_cols, src, source, rows, cols, 0.5f);
    assert_memory_equal(is, want, (size_t)(rows * padded_cols) * number_size(type));
    lora_convert_transposed(is, type, padded_rows, src, source, rows, cols, head, 0.5f);
    lora_convert_transposed_portable(want, type, padded_rows, src, source, rows, cols, head, 0.5f);
    assert_memory_equal(is, want, (size_t)(cols * padded_rows) * number_size(type));
    free(src);
    free(is);
    free(want);
}

static void test_lora_convert__any_types_and_shape__equals_portable(void **unused)
{
    static const int32_t sizes[] = {1, 3, 7, 8, 9, 16, 17, 40};

    (void)unused;
    for (int32_t source = NUMBER_F32; source <= NUMBER_BF16; source++) {
        for (size_t i = 0; i < 8; i++) {
            check_conversion(source, NUMBER_F32, sizes[i], sizes[7 - i], 0);
            check_conversion(source, NUMBER_F16, sizes[i], sizes[7 - i], 0);
            check_conversion(source, NUMBER_F16, sizes[i] * 4, sizes[7 - i], 4);
        }
    }
}

static uint32_t largest_bits(const void *halves, size_t n)
{
    uint32_t largest = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t bits = number_bits(halves, NUMBER_F16, i) & 0x7fff;

        largest = bits > largest ? bits : largest;
    }
    return largest;
}

static void check_copy(int32_t rows, int32_t cols, int32_t head)
{
    int32_t padded_cols = (cols + 15) / 16 * 16;
    int32_t padded_rows = (rows + 15) / 16 * 16;
    size_t n = (size_t)(padded_cols * padded_rows);
    unsigned char *src = random_bytes((size_t)(rows * cols) * 2 + 1) + 1; /* aligned to nothing */
    uint16_t *is = calloc(n, 2);
    uint16_t *want = calloc(n, 2);
    uint32_t largest = largest_bits(src, (size_t)(rows * cols));

    memset(is, 0xff, n * 2);
    assert_int_equal(lora_copy_rows(is, padded_cols, src, rows, cols), largest);
    assert_int_equal(lora_copy_rows_portable(want, padded_cols, src, rows, cols), largest);
    assert_memory_equal(is, want, (size_t)(rows * padded_cols) * 2);
    for (int32_t r = 0; r < rows; r++) {
        assert_memory_equal(is + r * padded_cols, src + 2 * r * cols, (size_t)cols * 2);
        for (int32_t c = cols; c < padded_cols; c++)
            assert_int_equal(is[r * padded_cols + c], 0);
    }
    memset(is, 0xff, n * 2);
    assert_int_equal(lora_copy_transposed(is, padded_rows, src, rows, cols, head), largest);
    assert_int_equal(lora_copy_transposed_portable(want, padded_rows, src, rows, cols, head),
                     largest);
    assert_memory_equal(is, want, (size_t)(cols * padded_rows) * 2);
    for (int32_t c = 0; c < cols; c++)
        for (int32_t r = 0; r < padded_rows; r++)
            assert_int_equal(is[c * padded_rows + r],
                             r < rows ? number_bits(src, NUMBER_F16,
                                                    (size_t)(lora_source_row(r, head) * cols + c))
                                      : 0);
    free(src - 1);
    free(is);
    free(want);
}

static void test_lora_copy__any_shape__equals_portable(void **unused)
{
    static const int32_t sizes[] = {1, 3, 7, 8, 9, 16, 17, 40, 48};

    (void)unused;
    for (size_t i = 0; i < 9; i++) {
        for (size_t k = 0; k < 9; k++) {
            check_copy(sizes[i], sizes[k], 0);
            check_copy(sizes[i] * 4, sizes[k], 4);
            check_copy(sizes[i] * 16, sizes[k], 16);
            check_copy(sizes[i] * 24, sizes[k], 24);
            check_copy(sizes[i] * 32, sizes[k], 32);
        }
    }
}

static void test_numbers_largest__any_bits__equals_portable(void **unused)
{
    (void)unused;
    for (int32_t type = NUMBER_F32; type <= NUMBER_BF16; type++) {
        for (size_t n = 0; n < 300; n++) {
            unsigned char *bytes = random_bytes(n * number_size(type));
            float is = 0;
            float want = 0;
            bool finite = true;

            for (size_t i = 0; i < n; i++) {
                float x = fabsf(number_at(bytes, type, i));

                if (n % 2 && !isfinite(x))
                    memset(bytes + i * number_size(type), 0, number_size(type));
                x = fabsf(number_at(bytes, type, i));
                finite = finite && isfinite(x);
                want = x > want ? x : want;
            }
            assert_int_equal(numbers_largest(&is, bytes, type, n), finite);
            assert_true(!finite || is == want);
            assert_int_equal(numbers_largest_portable(&is, bytes, type, n), finite);
            assert_true(!finite || is == want);
            free(bytes);
        }
    }
}

static void test_f16_of_f32__every_half__is_what_it_was(void **unused)
{
    (void)unused;
    for (uint32_t h = 0; h < 0x10000; h++)
        if ((h & 0x7c00) != 0x7c00 || (h & 0x3ff) == 0)
            assert_int_equal(f16_of_f32(f32_of_f16((uint16_t)h)), h);
    assert_int_equal(f16_of_f32(65520), 0x7c00);
    assert_int_equal(f16_of_f32(1 + 0x1p-11f), 0x3c00); /* ties go to even */
    assert_int_equal(f16_of_f32(1 + 3 * 0x1p-11f), 0x3c02);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lora_apply__any_shape__equals_portable),
        cmocka_unit_test(test_lora_apply__every_finite_half__converts_exactly),
        cmocka_unit_test(test_lora_apply__row_among_others__is_bit_for_bit_the_row_alone),
        cmocka_unit_test(test_lora_convert__any_types_and_shape__equals_portable),
        cmocka_unit_test(test_lora_copy__any_shape__equals_portable),
        cmocka_unit_test(test_numbers_largest__any_bits__equals_portable),
        cmocka_unit_test(test_f16_of_f32__every_half__is_what_it_was),
        cmocka_unit_test(test_lora_apply__in_parts__is_bit_for_bit_the_whole),
        cmocka_unit_test(test_lora_apply__row_with_nan__leaves_the_others_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
